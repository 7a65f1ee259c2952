"""Client of the service: a POST to its function URL, signed with the caller's own AWS credentials (SigV4)."""

import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import (
    BotoCoreError,
    ConnectTimeoutError,
    EndpointConnectionError,
    PartialCredentialsError,
    ProfileNotFound,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.httpsession import URLLib3Session
from botocore.session import Session
from botocore.utils import get_environ_proxies

from warden_cli.errors import NO_CREDENTIALS, BadUsage, NotReached, Refused
from warden_cli.regions import ended, known_region
from warden_cli.terminal import shown

CONNECT_SECONDS = 5
ANSWER_SECONDS = 35
"""A little longer than the function's own time-out, so that its answer comes first."""

_FUNCTION_URL = re.compile(r"[a-z0-9]+\.lambda-url\.(?P<region>[a-z0-9-]+)\.on\.aws(\.com\.cn)?")
_THIS_MACHINE = {"127.0.0.1", "localhost", "::1"}
_WHERE_FROM = "the stack's output OperateUrl is the right one"

_DENIALS = (
    ("token included in the request is expired", "your AWS session has expired; sign in again and repeat this"),
    (
        "token included in the request is invalid",
        "AWS does not know these credentials; sign in, or use --profile",
    ),
    ("signature expired", "AWS says that your clock is wrong; set it and repeat the command"),
    ("signature not yet current", "AWS says that your clock is wrong; set it and repeat the command"),
    (
        "signature we calculated does not match",
        "AWS does not accept the signature; check the secret key, and that --region is the region of the URL",
    ),
)
_FORBIDDEN = (
    "AWS does not let you ask (403): attach the policy in the stack's output OperatorPolicyArn to the "
    f"identity that `aws sts get-caller-identity` shows, and check the URL, {_WHERE_FROM}"
)


_NO_ANSWER: tuple[tuple[type[Exception], str], ...] = (
    (
        ReadTimeoutError,
        f"no answer from {{host}} within {ANSWER_SECONDS} seconds; the decision may still have been carried out: "
        "look with `warden show` before you repeat it",
    ),
    (ConnectTimeoutError, f"{{host}} refuses connections; check your network and the URL: {_WHERE_FROM}"),
    (ProxyConnectionError, "the proxy does not allow calls to {host}; check HTTPS_PROXY and NO_PROXY"),
    (SSLError, "the certificate of {host} is not trusted; behind an inspecting proxy, set AWS_CA_BUNDLE"),
    (EndpointConnectionError, f"cannot connect to {{host}}; check your network, and the URL: {_WHERE_FROM}"),
)


class Service:
    """The service at a function URL, called as this caller."""

    def __init__(self, url: str, *, region: str = "", profile: str = "") -> None:
        self._url = _checked(url)
        session = Session(profile=profile or None)
        self._credentials = _credentials_of(session, profile)
        self.region = known_region(session, region or _region_of(self._url, session))
        self._http = URLLib3Session(
            proxies=get_environ_proxies(self._url),
            timeout=(CONNECT_SECONDS, ANSWER_SECONDS),  # type: ignore[arg-type]  # botocore takes a pair, its stubs do not
        )

    def ask(self, command: str, **arguments: str | bool) -> Mapping[str, Any]:
        """Send one command and return the service's answer.

        Raises:
            Refused: when the service refuses, with its own words.
            NotReached: when it cannot be reached.
        """
        body = json.dumps({"command": command, **arguments}).encode()
        request = AWSRequest("POST", self._url, headers={"Content-Type": "application/json"}, data=body)
        SigV4Auth(self._credentials, "lambda", self.region).add_auth(request)
        try:
            response = self._http.send(request.prepare())
        except BotoCoreError as error:
            raise NotReached(self._why_not(error)) from error
        return _answer(response.status_code, response.content)

    def _why_not(self, error: BotoCoreError) -> str:
        host = shown(urlsplit(self._url).netloc, 120)
        for kind, words in _NO_ANSWER:
            if isinstance(error, kind):
                return words.format(host=host)
        return f"the call to {host} broke off; look with `warden show` before you repeat a decision"


def _checked(url: str) -> str:
    if not url:
        raise BadUsage(f"where is the service? Set WARDEN_URL, or use --url; {_WHERE_FROM}")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
        _ = parts.port  # read here, because reading it fails if it is not a port
    except ValueError:
        usable, parts = False, urlsplit("")
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise BadUsage(f"{shown(url, 120)!r} cannot be a URL of the service; {_WHERE_FROM}")
    if parts.scheme == "http" and parts.hostname not in _THIS_MACHINE:
        raise BadUsage(f"use https:// for {shown(parts.netloc, 120)}; plain http is only for a local AWS")
    return url if parts.path else f"{url}/"


def _region_of(url: str, session: Session) -> str:
    """Return the region, from the URL if it names one: a signature for any other is not accepted."""
    named = _FUNCTION_URL.fullmatch(urlsplit(url).hostname or "")
    # AWS_REGION is what Lambda and most SDKs read; botocore's own variable is AWS_DEFAULT_REGION.
    region = named["region"] if named else os.environ.get("AWS_REGION") or session.get_config_variable("region")
    if not region:
        raise BadUsage("which region is the service in? Set AWS_REGION, or use --region")
    return str(region)


def _credentials_of(session: Session, profile: str) -> ReadOnlyCredentials:
    try:
        credentials = session.get_credentials()
        frozen = credentials.get_frozen_credentials() if credentials else None
    except ProfileNotFound as error:
        raise BadUsage(
            f"there is no AWS profile {shown(profile, 80) or 'of the name in AWS_PROFILE'}; "
            "`aws configure list-profiles` lists them"
        ) from error
    except PartialCredentialsError as error:
        raise NotReached(f"your AWS credentials are incomplete: {shown(str(error), 200)}") from error
    except BotoCoreError as error:
        unusable = NotReached(f"your AWS credentials cannot be used: {shown(str(error), 200)}; sign in again")
        raise (ended(error, profile) or unusable) from error
    if frozen is None or not frozen.access_key:
        raise NotReached(NO_CREDENTIALS)
    return frozen


def _answer(status: int, content: bytes) -> Mapping[str, Any]:
    said = _json_object(content)
    if status == 200 and said is not None:
        return said
    if said and isinstance(code := said.get("error"), str) and isinstance(message := said.get("message"), str):
        failure = NotReached if code == "not-authenticated" else Refused
        raise failure(shown(message, 1000))
    raise NotReached(_what_aws_says(status, said or {}))


def _what_aws_says(status: int, said: Mapping[str, Any]) -> str:
    """Return the error for an answer that the service itself did not write."""
    if status == 403:
        message = str(said.get("message") or said.get("Message") or "").lower()
        return next((advice for words, advice in _DENIALS if words in message), _FORBIDDEN)
    if status == 429:
        return "the service is busy (429); repeat the command in a moment"
    if status >= 500:
        return (
            f"the service failed to answer ({status}); repeat the command, and if it fails again, read the log group "
            "/aws/lambda/<stack>-operate"
        )
    return f"the program that answers there ({status}) is not Fleet Warden; check the URL: {_WHERE_FROM}"


def _json_object(content: bytes) -> Mapping[str, Any] | None:
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None
