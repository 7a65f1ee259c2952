"""Reading the account with the caller's own credentials: a session, and answers that say why there is none."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from boto3 import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from warden.aws.patience import NoAnswerInTimeError, Patience
from warden.core.account_facts import NO_ANSWER, Denied, Unanswered, Unread
from warden_cli.errors import NO_CREDENTIALS, BadUsage, NotReached
from warden_cli.regions import ended, known_region
from warden_cli.terminal import shown

CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})


def session_of(region: str, profile: str) -> Session:
    """Make the caller's session.

    Raises:
        BadUsage: when the region or the profile is not known.
    """
    try:
        # AWS_REGION is what Lambda and most SDKs read; boto3's own variable is AWS_DEFAULT_REGION.
        session = Session(profile_name=profile or None, region_name=region or os.environ.get("AWS_REGION") or None)
    except BotoCoreError as error:
        raise BadUsage(f"{shown(str(error), 200)}; `aws configure list-profiles` lists the profiles") from error
    if not session.region_name:
        raise BadUsage("which region? Set AWS_REGION, or use --region")
    known_region(session, session.region_name)
    return session


AT_MOST = timedelta(minutes=10)
"""How long a command that reads an account, or a sample of its devices, may ask AWS."""


def impatient(session: Session, limit: timedelta = AT_MOST) -> Session:
    """Stop the session's clients from asking a service that twice failed to answer, or any after the limit."""
    Patience(time.monotonic).listen(session.events, limit)
    return session


def account_of(session: Session) -> str:
    """Read whose credentials these are, which needs no permission.

    Raises:
        NotReached: when AWS cannot be asked, or does not know the caller.
    """
    try:
        return session.client("sts", config=CONFIG).get_caller_identity()["Account"]
    except ClientError as error:
        code = shown(error.response["Error"]["Code"], 80)
        refused = NotReached(f"AWS does not accept these credentials ({code}); sign in again")
        raise (ended(code, _profile_of(session)) or refused) from error
    except NoCredentialsError as error:
        raise NotReached(NO_CREDENTIALS) from error
    except BotoCoreError as error:
        unheard = NotReached(f"AWS cannot be asked: {shown(str(error), 200)}")
        raise (ended(error, _profile_of(session)) or unheard) from error


def _profile_of(session: Session) -> str:
    return "" if session.profile_name == "default" else session.profile_name


def read[T](prefix: str, call: Callable[[], T]) -> T | Unread:
    """Return what a call reads, or why AWS did not answer. `prefix` is the service's in IAM's actions.

    Raises:
        NotReached: when the caller's session is over. Nothing is known then of what the role lacks.
    """
    try:
        return call()
    except ClientError as error:
        action, code = f"{prefix}:{error.operation_name}", error.response["Error"]["Code"]
        if over := ended(code):
            raise over from error
        return Denied(action) if is_denial(error.response) else Unanswered(action, code)
    except NoAnswerInTimeError as error:
        return Unanswered(f"{prefix}:{error.kwargs['operation']}", NO_ANSWER, may_pass=True)
    except BotoCoreError as error:
        if over := ended(error):
            raise over from error
        return Unanswered(prefix, type(error).__name__)


def is_denial(response: Any) -> bool:
    """Judge by the status, as each service has a code of its own. A caller unknown to AWS was refused earlier."""
    return bool(response["ResponseMetadata"].get("HTTPStatusCode") == 403)
