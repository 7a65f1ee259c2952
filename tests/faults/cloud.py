"""AWS behind the wire: moto with AWS's behaviour (tests/aws_stand_in), and the engine's own table, queues and topic.

Everything that can be looked at later, or must be as it was for the next point, is in `CloudState` or in moto's own
backends; `snapshot` and `restore` keep and bring back both.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.backends import get_backend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.request import normalize_request
from moto.iot.models import IoTBackend, iot_backends
from moto.iot.responses import IoTResponse
from werkzeug.exceptions import HTTPException

from tests.aws_stand_in import behaviour
from tests.aws_stand_in.answers import AwsState
from tests.aws_stand_in.behaviour import BEHAVIOUR, check, corrected
from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.rules import ACCOUNT, REGION
from tests.aws_stand_in.shapes import shaped
from tests.fakes import FakeClock, a_job_event
from tests.faults import direct, table
from tests.faults.fault_transport import Call, answered, refused, response
from tests.faults.queues import Queue, queues

PAGE = 2
"""The largest page of any list: nothing that is read has only one."""

_BACKENDS: dict[Any, str] = {"iot": REGION, "s3": "aws"}


_UNCHANGED = ("iot-data", "acm-pca", "dynamodb")
"""The services that are sent what nobody changes: bytes, of which JSON makes something else, and typed items."""

_READS = ("Get", "List", "Describe", "Query")
"""What operations that change nothing begin with."""


@dataclass(frozen=True)
class Reached:
    """A request that AWS carried out: in which run of a function, and whether its answer was heard."""

    run: str
    call: str
    asked: dict[str, Any]
    heard: bool = True
    done: bool = True
    reads: bool = False

    @cached_property
    def text(self) -> str:
        """Everything that was asked, in writing."""
        return repr(self.asked)


@dataclass(frozen=True)
class Snapshot:
    """The whole state, written out, except what nothing changes, which the world keeps with its snapshots."""

    written: bytes
    ledger: table.Items
    reached: tuple[Reached, ...]
    effects: tuple[Reached, ...]


@dataclass(kw_only=True)
class CloudState(AwsState):
    """What the stand-ins remember, on a clock that is set."""

    clock: FakeClock = field(default_factory=FakeClock)
    queues: dict[str, Queue] = field(default_factory=queues)
    ledger: table.Items = field(default_factory=dict)
    stack_answers: list[str] = field(default_factory=list)
    job_events: int = 0
    reached: list[Reached] = field(default_factory=list)
    """What was carried out and changes something; of what is only read, the first of a run, to say when it began."""
    effects: list[Reached] = field(default_factory=list)
    """The same of the invocation that is under way, with what was refused."""

    def now(self) -> datetime:
        """Return the time that is set."""
        return self.clock()


class MotoCloud:
    """Answers every request. `after` is called for each one carried out; `run` names the run that asks."""

    def __init__(self) -> None:
        self.state = CloudState()
        self.run = ""
        self.after: Callable[[Call], None] = lambda _call: None
        self._moto = BotocoreStubber()
        self._last = Reached("", "", {})
        self.forget()

    @property
    def iot(self) -> IoTBackend:
        """moto's own state of AWS IoT."""
        backend: IoTBackend = iot_backends[ACCOUNT][REGION]
        return backend

    @staticmethod
    def forget() -> None:
        """Clear the state that moto keeps in the process."""
        for name in _BACKENDS:
            get_backend(name).reset()

    def answer(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        """Do what was asked, or refuse it as AWS would."""
        try:
            check(call.service, call.operation, call.parameters, REGION)
            given = self._given(call, call.parameters)
            answer = self._by_moto(call, request) if given is None else answered(call, given)
        except Refusal as refusal:
            self._note(call, done=False)
            return refused(call, refusal)
        self._note(call, done=answer.status_code < 300)
        return answer

    def at_once(self, call: Call) -> dict[str, Any] | None:
        """Let a stand-in answer without the SDK. A refusal changes nothing, so the SDK can ask for it again."""
        by_moto = call.service == "iot" and call.operation in direct.OPERATIONS
        try:
            check(call.service, call.operation, call.parameters, REGION)
            answer = self._by_stand_in(call)
            if answer is None and by_moto:
                answer = self._by_moto_itself(call)
        except Refusal:
            return None
        if answer is not None:
            self._note(call, done=True)
        return answer

    def _by_moto_itself(self, call: Call) -> dict[str, Any] | None:
        answer = direct.answered(self.iot, call)
        if answer is None:
            return None
        return corrected(call.service, call.operation, call.parameters, answer, page=PAGE)

    def _given(self, call: Call, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        """Answer in the place of moto; None where it is moto that answers."""
        own = STAND_INS.get((call.service, call.operation))
        given = own(self, asked) if own else behaviour.answer(self.state, call.service, call.operation, asked)
        return None if given is None else corrected(call.service, call.operation, asked, given, page=PAGE)

    def _by_stand_in(self, call: Call) -> dict[str, Any] | None:
        if not self._stands_in(call):
            return None
        # Data goes through JSON both ways, as on the wire: nobody holds what another may change.
        asked = call.parameters if call.service in _UNCHANGED else json.loads(json.dumps(call.parameters))
        given = self._given(call, asked)
        if given is None or call.service == "dynamodb":
            return given
        answer: dict[str, Any] = json.loads(json.dumps(given))
        shape = call.model.operation_model(call.operation).output_shape
        # Of what is not AWS IoT's nothing has to be made: records are too many to look into.
        return shaped(shape, answer) if call.service == "iot" and shape else answer

    @staticmethod
    def _stands_in(call: Call) -> bool:
        place = call.service, call.operation
        return place in STAND_INS or (place in BEHAVIOUR and BEHAVIOUR[place].answers is not None)

    def _note(self, call: Call, *, done: bool) -> None:
        reads = call.operation.startswith(_READS)
        asked = {name: value for name, value in call.parameters.items() if not hasattr(value, "read")}
        self._last = Reached(self.run, str(call), {} if reads else asked, done=done, reads=reads)
        begins = done and all(each.run != self.run for each in self.state.effects)
        if begins or not reads:
            self.state.effects.append(self._last)
            if done:
                self.state.reached.append(self._last)
        if done:
            self._follow(call)
            self.after(call)

    def unheard(self) -> None:
        """Note that nobody heard the last answer."""
        unheard = replace(self._last, heard=False)
        for noted in (self.state.effects, self.state.reached):
            noted[:] = [unheard if each is self._last else each for each in noted]
        self._last = unheard

    def _by_moto(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        if call.service == "iot":
            asked = normalize_request(request)
            try:
                answered: Any = IoTResponse.dispatch(asked, asked.raw_url, asked.headers)
            except HTTPException as error:
                answered = error.code, dict(error.get_headers()), error.get_body()
        else:
            answered = self._moto.process_request(request)
        if answered is None:
            raise AssertionError(f"neither moto nor a stand-in knows {call}")
        status, headers, body = answered
        if status < 300 and BEHAVIOUR.get((call.service, call.operation), behaviour.AS_MOTO).pages:
            paged = corrected(call.service, call.operation, call.parameters, json.loads(body), page=PAGE)
            body = json.dumps(paged)
        given = body.encode() if isinstance(body, str) else bytes(body)
        return response(int(status), given, {str(name): str(value) for name, value in headers.items()})

    def _follow(self, call: Call) -> None:
        if call.operation == "CancelJobExecution":
            self.tell_of_job(call.parameters["jobId"], call.parameters["thingName"], "CANCELED")
        while self.state.cancelled:
            self.tell_of_job(*self.state.cancelled.pop(0), "CANCELED")
        if call.operation == "UpdateCertificate":  # moto leaves the time at which it was made
            self.iot.certificates[call.parameters["certificateId"]].last_modified_date = on_clock(self.state.clock)()

    def move(self, job_id: str, thing: str, status: str) -> None:
        """Let a device move its execution; publish an end as an event, as AWS IoT does."""
        execution = self.iot.job_executions[job_id, thing]
        if execution.status not in ("QUEUED", "IN_PROGRESS"):
            return
        execution.status = status
        if status != "IN_PROGRESS":
            self.tell_of_job(job_id, thing, status)

    def tell_of_job(self, job_id: str, thing: str, status: str) -> None:
        """Put the event of an execution's end where the IoT rule puts it."""
        self.state.job_events += 1
        event = a_job_event(job_id, thing, status, number=self.state.job_events)
        self.state.queues["JobEventQueue"].send(json.dumps(event), self.state.clock())

    def snapshot(self, *also: Any) -> Snapshot:
        """Write down everything there is.

        Most of the data is items of the ledger and noted requests. They are never changed, only replaced, so they need
        no copy.
        """
        backends = {name: dict(_backend(name).__dict__) for name in _BACKENDS}
        state = self.state
        changing = replace(state, ledger={}, reached=[], effects=[])
        written = pickle.dumps((backends, changing, also))
        return Snapshot(written, dict(state.ledger), tuple(state.reached), tuple(state.effects))

    def restore(self, snapshot: Snapshot) -> tuple[Any, ...]:
        """Make everything as it was; return what was written down beside it."""
        backends, self.state, also = pickle.loads(snapshot.written)  # noqa: S301 - our own, of a moment ago
        self.state.ledger.update(snapshot.ledger)
        self.state.reached[:], self.state.effects[:] = snapshot.reached, snapshot.effects
        for name, kept in backends.items():
            _backend(name).__dict__.clear()
            _backend(name).__dict__.update(kept)
        return tuple(also)


def _backend(name: Any) -> Any:
    return get_backend(name)[ACCOUNT][_BACKENDS[name]]


# --- what the engine has in the place of moto, to be quicker or on its own clock -----------------------------------

type _StandIn = Callable[[MotoCloud, Mapping[str, Any]], dict[str, Any]]


def _notify(_cloud: MotoCloud, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take a notice: what was told is among what was reached."""
    return {"MessageId": "1"}


def _send_message(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    _queue(cloud, asked).send(asked["MessageBody"], cloud.state.clock())
    return {"MessageId": "1"}


def _send_messages(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    for entry in asked["Entries"]:
        group, once = entry["MessageGroupId"], entry["MessageDeduplicationId"]
        _queue(cloud, asked).send(entry["MessageBody"], cloud.state.clock(), group=group, once=once)
    return {"Successful": [{"Id": entry["Id"], "MessageId": entry["Id"]} for entry in asked["Entries"]], "Failed": []}


def _queue(cloud: MotoCloud, asked: Mapping[str, Any]) -> Queue:
    return cloud.state.queues[asked["QueueUrl"].rsplit("/", 1)[1]]


def _on_table(do: Callable[[table.Items, Mapping[str, Any]], dict[str, Any]]) -> _StandIn:
    return lambda cloud, asked: do(cloud.state.ledger, asked)


STAND_INS: dict[tuple[str, str], _StandIn] = {
    ("dynamodb", "GetItem"): _on_table(table.get),
    ("dynamodb", "PutItem"): _on_table(table.put),
    ("dynamodb", "TransactWriteItems"): _on_table(table.transact),
    ("dynamodb", "Query"): _on_table(table.query),
    ("sns", "Publish"): _notify,
    ("sqs", "SendMessage"): _send_message,
    ("sqs", "SendMessageBatch"): _send_messages,
}


def on_clock(moment: Callable[[], datetime]) -> Callable[[], datetime]:
    """Return the time as moto has it: naive, in UTC."""
    return lambda: moment().replace(tzinfo=None)
