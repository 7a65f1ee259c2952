"""The wire between the SDK and AWS: where requests are counted, and where faults are made.

The SDK is real: it validates, signs, retries, waits and parses as in a function. What it sends is taken off the wire by
a `before-send` handler and answered by AWS's stand-in (cloud.py); a fault answers, or fails, in its place.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Any, Protocol

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError
from botocore.model import ServiceModel

from tests.aws.rules import Refusal
from tests.aws.strict import INVALID, malformed
from tests.fakes import Crash


class Fate(StrEnum):
    """What becomes of one call."""

    CRASH_BEFORE = "crash before"
    CRASH_AFTER = "crash after"
    ANSWER_LOST = "answer lost, sent again by the SDK"
    ANSWERS_LOST = "every answer lost"
    THROTTLED_ONCE = "throttled once"
    THROTTLED = "throttled to exhaustion"
    FAILING = "5xx to exhaustion"
    DENIED = "denied"
    DENIED_FOR_GOOD = "denied for good"
    DUPLICATE = "second delivery in between"


@dataclass(frozen=True)
class Strike:
    """A fault at the nth call of a flow, counted from one."""

    at: int
    fate: Fate


@dataclass
class Call:
    """A call of the SDK: `number` is its place in the flow, 0 when it is not counted; `attempts` what the SDK sent."""

    model: ServiceModel
    operation: str
    parameters: Mapping[str, Any]
    number: int = 0
    attempts: int = 0

    @property
    def service(self) -> str:
        """The service's name, as boto3 has it."""
        return str(self.model.service_name)

    def __str__(self) -> str:
        return f"{self.service}.{self.operation}"


class Cloud(Protocol):
    """Whatever answers requests."""

    def answer(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        """Do what was asked."""
        ...

    def unheard(self) -> None:
        """Take note that the last answer was lost."""
        ...


_THROTTLES = {"dynamodb": "ProvisionedThroughputExceededException", "s3": "SlowDown", "sns": "Throttling"}
_DENIALS = {"s3": "AccessDenied", "sns": "AuthorizationError", "iot-data": "ForbiddenException"}


@dataclass
class Wire:
    """Every call of every client while it is installed. Counts, and strikes, only while `armed`."""

    cloud: Cloud
    armed: bool = False
    count: int = 0
    strikes: tuple[Strike, ...] = ()
    struck: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    made: list[str] = field(default_factory=list)
    again: Callable[[], None] = lambda: None
    _under_way: list[Call] = field(default_factory=list)

    def begin(self, count: int = 0, strikes: tuple[Strike, ...] = ()) -> None:
        """Begin to count, after `count` calls of the flow that need not be made again."""
        self.armed, self.count, self.strikes = True, count, strikes
        self.struck, self.denied, self.made, self._under_way = [], set(), [], []

    def calm(self) -> None:
        """Let everything through, and count nothing."""
        self.begin()
        self.armed = False

    def call(self, real: Callable[..., Any], client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        """Let the SDK make a call; stands in the place of the client's own method."""
        call = Call(client.meta.service_model, operation, parameters)
        if wrong := malformed(client, operation, parameters):
            raise AssertionError(f"AWS would answer {INVALID.get(call.service, 'ValidationException')}: {wrong}")
        if self.armed:
            self.count += 1
            call.number = self.count
            self.made.append(str(call))
        self._under_way.append(call)
        try:
            return real(client, operation, parameters)
        finally:
            self._under_way.pop()

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Take a request off the wire: the handler of `before-send`."""
        call = self._under_way[-1]
        call.attempts += 1
        if str(call) in self.denied:
            return denied(call)
        fate = next((strike.fate for strike in self.strikes if call.number and strike.at == call.number), None)
        if fate is None:
            return self.cloud.answer(call, request)
        if call.attempts == 1:
            self.struck.append(f"call {call.number}, {call}: {fate}")
        return self._strike(fate, call, request)

    def _strike(self, fate: Fate, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        if fate is Fate.CRASH_BEFORE:
            raise Crash(str(call))
        if fate is Fate.DUPLICATE and call.attempts == 1:
            self._deliver_again()
        if fate is Fate.DENIED_FOR_GOOD:
            self.denied.add(str(call))
        if fate in _REFUSED and (fate is not Fate.THROTTLED_ONCE or call.attempts == 1):
            return _REFUSED[fate](call)
        answer = self.cloud.answer(call, request)
        if fate is Fate.CRASH_AFTER:
            raise Crash(str(call))
        if fate is Fate.ANSWERS_LOST or (fate is Fate.ANSWER_LOST and call.attempts == 1):
            self.cloud.unheard()
            raise ReadTimeoutError(endpoint_url=request.url, error="made by a test")
        return answer

    def _deliver_again(self) -> None:
        """Run the second delivery of the same message, whole, while the first one waits for this call."""
        self.armed = False
        try:
            with suppress(Exception):
                self.again()
        finally:
            self.armed = True


def denied(call: Call) -> AWSResponse:
    """Answer as IAM does."""
    return failure(call.model, _DENIALS.get(call.service, "AccessDeniedException"), "not authorized", 403)


def _throttled(call: Call) -> AWSResponse:
    return failure(call.model, _THROTTLES.get(call.service, "ThrottlingException"), "Rate exceeded", 400)


def _failing(call: Call) -> AWSResponse:
    return failure(call.model, "InternalFailure", "made by a test", 500)


_REFUSED: dict[Fate, Callable[[Call], AWSResponse]] = {
    Fate.THROTTLED_ONCE: _throttled,
    Fate.THROTTLED: _throttled,
    Fate.FAILING: _failing,
    Fate.DENIED: denied,
    Fate.DENIED_FOR_GOOD: denied,
}


def refused(call: Call, refusal: Refusal) -> AWSResponse:
    """Answer with an error of the service's own, under the status that its model gives."""
    shape: Any = call.model.shape_for_error_code(refusal.code)  # type: ignore[arg-type]  # the stubs take a number
    status = shape.metadata.get("error", {}).get("httpStatusCode", 400) if shape else 400
    reasons = [{"Code": reason} for reason in getattr(refusal, "reasons", ())]
    return failure(call.model, refusal.code, refusal.message, int(status), {"CancellationReasons": reasons})


def failure(
    model: ServiceModel, code: str, message: str, status: int, also: Mapping[str, Any] | None = None
) -> AWSResponse:
    """Write an error in the service's protocol."""
    protocol = model.resolved_protocol
    if protocol == "query":
        body = f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    elif protocol == "rest-xml":
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    else:
        body = json.dumps({"__type": code, "message": message, **(also or {})})
    return response(status, body.encode(), {"x-amzn-errortype": code})


def response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> AWSResponse:
    """Write an answer as it comes off the wire."""
    given = HTTPHeaders()
    for name, value in (headers or {}).items():
        given[name] = value
    return AWSResponse("https://aws.example/", status, given, _Raw(body))


class _Raw(BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_: Any) -> Any:
        """Give it in one piece."""
        if rest := self.read():
            yield rest
