"""The wire between the SDK and AWS: where requests are counted, and where faults are made.

The SDK is real: it validates, retries, waits and parses as in a function. What it sends is taken off the wire by a
`before-send` handler and answered by AWS's stand-in (cloud.py); a fault answers, or fails, in its place.

A call that nothing is done to need not take that way: a stand-in may answer it at once (`Cloud.at_once`), and a call
that was made before, from the same state, has its answer already (`Remembered`). Both give what the SDK gives
(test_engine.py holds every flow's answers against the SDK's). Every call that AWS refuses goes through the SDK, and a
call that is struck, with all its repetitions. But what the SDK makes of a fault that keeps requests from AWS is asked
of it once for each operation, and a crash or a second delivery is nothing that it could know of.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from typing import Any, Protocol

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError, ParamValidationError, ReadTimeoutError
from botocore.model import ServiceModel
from botocore.response import StreamingBody
from botocore.validate import ParamValidator

from tests.aws_stand_in.refusal import Refusal, status_of
from tests.aws_stand_in.shapes import INVALID, malformed
from tests.fakes import Crash


class FaultKind(StrEnum):
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
class FaultPoint:
    """A fault at the nth call of a flow, counted from one."""

    at: int
    fate: FaultKind


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

    def at_once(self, call: Call) -> dict[str, Any] | None:
        """Do what was asked and answer as the SDK would; None where only the SDK can."""
        ...

    def unheard(self) -> None:
        """Take note that the last answer was lost."""
        ...


class UnlikeError(BaseException):
    """A function that begins in the same world did something else: nobody may take it for a fault and go on."""


@dataclass(frozen=True)
class Remembered:
    """A call that was made, and what came of it: an answer, or AWS's refusal."""

    call: str
    asked: str
    answer: bytes = b""
    refusal: tuple[type[ClientError], Any, str] | None = None

    def given(self, call: Call) -> Any:
        """Replay the result for the same request."""
        if (str(call), _said(call)) != (self.call, self.asked):
            raise UnlikeError(f"{call} {call.parameters} was {self.call} {self.asked} the first time")
        if self.refusal:
            kind, said, operation = self.refusal
            raise kind(said, operation)
        answer = pickle.loads(self.answer)  # noqa: S301 - our own, of a moment ago
        if isinstance(answer.get("Body"), bytes):
            answer["Body"] = StreamingBody(BytesIO(answer["Body"]), len(answer["Body"]))
        return answer


def remembered(call: Call, answer: Any) -> Remembered:
    """Keep what a call was answered, apart from what the SDK says of its own doing."""
    kept = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    if isinstance(body := kept.get("Body"), StreamingBody):
        kept["Body"] = body.read()
        answer["Body"] = StreamingBody(BytesIO(kept["Body"]), len(kept["Body"]))
    return Remembered(str(call), _said(call), written(kept))


def written(value: object) -> bytes:
    """Write a value down: equal ones alike, whether the same text in it twice is one object or two."""
    file = BytesIO()
    pickler = pickle.Pickler(file)
    pickler.fast = True
    pickler.dump(value)
    return file.getvalue()


def _said(call: Call) -> str:
    return repr({name: value for name, value in call.parameters.items() if not hasattr(value, "read")})


class Watcher(Protocol):
    """An observer of the calls that are counted."""

    def before(self, call: Call) -> None:
        """Learn that a call is about to be made."""
        ...

    def after(self, call: Call, came: Remembered) -> None:
        """Learn what came of it, unless the function is gone."""
        ...


_THROTTLES = {"dynamodb": "ProvisionedThroughputExceededException", "s3": "SlowDown", "sns": "Throttling"}
_DENIALS = {"s3": "AccessDenied", "sns": "AuthorizationError", "iot-data": "ForbiddenException"}


@dataclass
class Wire:
    """Every call of every client while it is installed. Counts, and strikes, only while `armed`."""

    cloud: Cloud
    armed: bool = False
    count: int = 0
    strikes: tuple[FaultPoint, ...] = ()
    struck: list[str] = field(default_factory=list)
    denied: set[str] = field(default_factory=set)
    made: list[str] = field(default_factory=list)
    again: Callable[[], None] = lambda: None
    shortens: bool = True
    known: Sequence[Remembered] = ()
    watcher: Watcher | None = None
    _under_way: list[Call] = field(default_factory=list)
    _known_from: int = 0
    refusals: dict[tuple[str, FaultKind], tuple[type[ClientError], Any, str]] = field(default_factory=dict)
    """How the SDK told of each fault that refuses a call."""
    sent_again: set[str] = field(default_factory=set)
    """The calls that the SDK was seen to send again when they are throttled."""
    taken: set[int] = field(default_factory=set)

    def begin(self, count: int = 0, strikes: tuple[FaultPoint, ...] = (), known: Sequence[Remembered] = ()) -> None:
        """Begin to count, after `count` calls of the flow that need not be made again; `known` are the next ones."""
        self.armed, self.count, self.strikes = True, count, strikes
        self.known, self._known_from, self.watcher = known, count, None
        self.struck, self.denied, self.made, self._under_way = [], set(), [], []

    def calm(self) -> None:
        """Let everything through, and count nothing."""
        self.begin()
        self.armed = False

    def call(self, real: Callable[..., Any], client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        """Let the SDK make a call; stands in the place of the client's own method."""
        # A copy: handlers inside the SDK write into what they are given.
        call = Call(client.meta.service_model, operation, dict(parameters))
        if self.armed:
            self.count += 1
            call.number = self.count
            self.made.append(str(call))
            if (place := call.number - self._known_from) <= len(self.known):
                return self.known[place - 1].given(call)
        self._check(client, call)
        watcher = self.watcher if call.number else None
        if watcher:
            watcher.before(call)
        try:
            answer = self._made(real, client, call)
        except ClientError as error:
            if watcher:
                refusal = type(error), error.response, error.operation_name
                watcher.after(call, Remembered(str(call), _said(call), refusal=refusal))
            raise
        if watcher:
            watcher.after(call, remembered(call, answer))
        return answer

    def _made(self, real: Callable[..., Any], client: BaseClient, call: Call) -> Any:
        if self.shortens and (answer := self._without_the_sdk(call)) is not None:
            return answer
        self._under_way.append(call)
        try:
            answer = real(client, call.operation, dict(call.parameters))
        except ClientError as error:
            self._learn(call, error)
            raise
        else:
            self._learn(call)
            return answer
        finally:
            self._under_way.pop()

    def _without_the_sdk(self, call: Call) -> Any:
        """Make a call as the SDK would, if it is known how; None where the SDK has to."""
        fate = self._fate(call)
        if fate is None:
            if str(call) in self.denied:
                return self._tell_again(call, FaultKind.DENIED_FOR_GOOD)
            return self.cloud.at_once(call)
        self._refuse(call, fate)
        if fate is FaultKind.CRASH_BEFORE:
            self._note(call, fate)
            raise Crash(str(call))
        if fate is FaultKind.DUPLICATE:
            self._note(call, fate)
            call.attempts = 1
            self._deliver_again()
            return self.cloud.at_once(call)
        if fate is FaultKind.CRASH_AFTER and self.cloud.at_once(call) is not None:
            self._note(call, fate)
            raise Crash(str(call))
        if fate is FaultKind.THROTTLED_ONCE and str(call) in self.sent_again:
            answer = self.cloud.at_once(call)
            if answer is not None:
                self._note(call, fate)
            return answer
        return None

    def _refuse(self, call: Call, fate: FaultKind) -> None:
        """Refuse a call as the SDK would, once it is known how."""
        if (str(call), fate) not in self.refusals:
            return
        self._note(call, fate)
        if fate is FaultKind.DENIED_FOR_GOOD:
            self.denied.add(str(call))
        self._tell_again(call, fate)

    def _tell_again(self, call: Call, fate: FaultKind) -> None:
        """Raise what the SDK made of a refusal, in the same words."""
        if refusal := self.refusals.get((str(call), fate)):
            kind, said, operation = refusal
            raise kind(said, operation)

    def _learn(self, call: Call, error: ClientError | None = None) -> None:
        """Keep what the SDK makes of a fault that keeps a request from AWS: it is the same for each such request."""
        fate = self._fate(call)
        if fate is FaultKind.THROTTLED_ONCE and call.attempts > 1:
            self.sent_again.add(str(call))
        elif error and fate in _REFUSED:
            self.refusals[str(call), fate] = type(error), error.response, error.operation_name

    def _note(self, call: Call, fate: FaultKind) -> None:
        self.struck.append(f"call {call.number}, {call}: {fate}")

    def _check(self, client: BaseClient, call: Call) -> None:
        """Check that the SDK and AWS accept a request; one that was accepted before is not checked again."""
        if (request := hash(f"{call} {call.parameters}")) in self.taken:
            return
        if wrong := malformed(call.model, call.operation, call.parameters):
            raise AssertionError(f"AWS would answer {INVALID.get(call.service, 'ValidationException')}: {wrong}")
        _validate(client, call)
        self.taken.add(request)

    def _fate(self, call: Call) -> FaultKind | None:
        return next((strike.fate for strike in self.strikes if call.number and strike.at == call.number), None)

    def send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Take a request off the wire: the handler of `before-send`."""
        call = self._under_way[-1]
        call.attempts += 1
        if str(call) in self.denied:
            return denied(call)
        if (fate := self._fate(call)) is None:
            return self.cloud.answer(call, request)
        if call.attempts == 1:
            self._note(call, fate)
        return self._strike(fate, call, request)

    def _strike(self, fate: FaultKind, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        if fate is FaultKind.CRASH_BEFORE:
            raise Crash(str(call))
        if fate is FaultKind.DUPLICATE and call.attempts == 1:
            self._deliver_again()
        if fate is FaultKind.DENIED_FOR_GOOD:
            self.denied.add(str(call))
        if fate in _REFUSED and (fate is not FaultKind.THROTTLED_ONCE or call.attempts == 1):
            return _REFUSED[fate](call)
        answer = self.cloud.answer(call, request)
        if fate is FaultKind.CRASH_AFTER:
            raise Crash(str(call))
        if fate is FaultKind.ANSWERS_LOST or (fate is FaultKind.ANSWER_LOST and call.attempts == 1):
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


def _validate(client: BaseClient, call: Call) -> None:
    """Complain of what is missing or mistyped, as the SDK does before anything is sent."""
    shape: Any = client.meta.service_model.operation_model(call.operation).input_shape
    report = _VALIDATOR.validate(call.parameters, shape)
    if report.has_errors():
        raise ParamValidationError(report=report.generate_report())


_VALIDATOR = ParamValidator()


def denied(call: Call) -> AWSResponse:
    """Answer as IAM does."""
    return failure(call.model, _DENIALS.get(call.service, "AccessDeniedException"), "not authorized", 403)


def _throttled(call: Call) -> AWSResponse:
    return failure(call.model, _THROTTLES.get(call.service, "ThrottlingException"), "Rate exceeded", 400)


def _failing(call: Call) -> AWSResponse:
    return failure(call.model, "InternalFailure", "made by a test", 500)


_REFUSED: dict[FaultKind, Callable[[Call], AWSResponse]] = {
    FaultKind.THROTTLED_ONCE: _throttled,
    FaultKind.THROTTLED: _throttled,
    FaultKind.FAILING: _failing,
    FaultKind.DENIED: denied,
    FaultKind.DENIED_FOR_GOOD: denied,
}


def refused(call: Call, refusal: Refusal) -> AWSResponse:
    """Answer with an error of the service's own, under the status that its model gives."""
    reasons = [{"Code": reason} for reason in getattr(refusal, "reasons", ())]
    return failure(
        call.model, refusal.code, refusal.message, status_of(call.model, refusal.code), {"CancellationReasons": reasons}
    )


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


def answered(call: Call, answer: Mapping[str, Any]) -> AWSResponse:
    """Write an answer in the service's protocol; of XML only as much as SNS, whose answers are a flat row of texts."""
    if call.model.resolved_protocol != "query":
        return response(200, json.dumps(answer).encode())
    given = "".join(f"<{name}>{value}</{name}>" for name, value in answer.items())
    name = call.operation
    return response(200, f"<{name}Response><{name}Result>{given}</{name}Result></{name}Response>".encode())


def response(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> AWSResponse:
    """Write an answer as it comes off the wire."""
    given = HTTPHeaders()
    for name, value in (headers or {}).items():
        given[name] = value
    return AWSResponse("https://aws.example/", status, given, _Raw(body))


class _Raw(BytesIO):
    """A body as urllib3 gives it."""

    def stream(self, **_: Any) -> Any:
        """Return the body in one piece."""
        if rest := self.read():
            yield rest
