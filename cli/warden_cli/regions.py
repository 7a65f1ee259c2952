"""The regions that the SDK here knows, and the sessions of AWS that have ended: both end a command in one sentence."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, Protocol

from botocore import __version__
from botocore.exceptions import BotoCoreError, SSOError, TokenRetrievalError

from warden_cli.errors import BadUsage, NotReached
from warden_cli.terminal import pasted, shown

_ENDED = frozenset(["ExpiredToken", "ExpiredTokenException", "RequestExpired", "UnrecognizedClientException"])
"""How AWS says that a session is over. Without this it would look like a call that the role lacks."""


class _Session(Protocol):
    """A session of boto3, or of botocore."""

    def get_available_partitions(self) -> Any: ...
    def get_available_regions(self, service_name: str, partition_name: str = ..., /) -> Any: ...


def known_region(session: _Session, region: str) -> str:
    """Return the region.

    Raises:
        BadUsage: when the SDK's data has no such region: a call would end somewhere else, or nowhere.
    """
    partitions = session.get_available_partitions()
    known: Sequence[str] = [each for one in partitions for each in session.get_available_regions("sts", one)]
    if region in known:
        return region
    near = get_close_matches(region, known, n=1)
    meant = f"; did you mean {near[0]}?" if near else "; check --region and AWS_REGION"
    new = f"If it is new, upgrade boto3 (botocore {__version__} is what is asked here)"
    raise BadUsage(f"the AWS SDK knows no region {shown(region, 60)!r}{meant} {new}")


def ended(error: BotoCoreError | str, profile: str = "") -> NotReached | None:
    """Return the end of a command whose caller has to sign in again; None if the error is another."""
    over = error in _ENDED if isinstance(error, str) else isinstance(error, SSOError | TokenRetrievalError)
    if not over:
        return None
    login = f"aws sso login --profile {pasted(profile)}" if profile else "aws sso login"
    return NotReached(f"your AWS session has expired or is not valid (`{login}` renews one of SSO); sign in again")
