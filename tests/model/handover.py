"""The hand-over of a rotation as a small model, and a checker that walks through every one of its states.

One thing, one rotation. Every call to AWS IoT or to the ledger is a step of its own, and the steps of all handlers
interleave freely: copies of the device's requests, the responder that ends the rotation, the device, the clock.
A handler may be gone between any two steps and its message delivered again, any number of times; requests and
answers may be lost, come twice and come late; a device may lose the key it made until it has confirmed with it.
`formal/rotation.tla` says the same in TLA+; both find the same number of states.

What is left out: policies by name (a certificate has its rights or has none), containment, certificates shared by
several things, people who delete certificates meanwhile. Those are tests/model/test_fleet.py's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

OLD = 0
"""The place of the old certificate among all; those that are made come after it, so 0 also says `none was made`."""

REQUESTED, ISSUING, ISSUED, CONFIRMED = "requested", "issuing", "issued", "confirmed"
FINISHED, ROLLING_BACK, ROLLED_BACK = "finished", "rolling-back", "rolled-back"
OVER = (FINISHED, ROLLED_BACK)


class Defect(StrEnum):
    """What an implementation could get wrong. The checker must see each of them."""

    ACTIVATES_FIRST = "lets the new certificate in before it has its thing and its rights"
    RETIRES_UNCONFIRMED = "takes the old certificate away when the job says SUCCEEDED"
    NO_INTENT = "has a certificate made without writing down first for which key"
    NO_LOOK = "does not look for the certificate that a crashed handler made"
    CONFIRMS_LATE = "takes a confirmation in without comparing what it read"
    UNDECIDED = "withdraws the new certificate before writing down that it goes back"
    ENDS_FIRST = "says that it is rolled back before the new certificate is gone"
    KEEPS_WITHDRAWN = "makes the withdrawn certificate inactive, but does not delete it"
    FORGETS_UNRECORDED = "forgets the certificate that a crashed handler made for a key that the device then lost"
    FORGETS_SPENT = "forgets the certificate whose key the device lost"
    KEY_AGAIN = "certifies a key that the thing has had already"
    ISSUES_CONFIRMED = "begins again on another request although one certificate was confirmed"
    DEVICE_HURRIES = "the device destroys its old key before the confirmation is answered"


class Certificate(NamedTuple):
    """A certificate in AWS IoT."""

    key: int
    active: bool = False
    attached: bool = False
    granted: bool = False
    gone: bool = False

    @property
    def usable(self) -> bool:
        """Whether a device can work with it."""
        return self.active and self.attached and self.granted


class Record(NamedTuple):
    """The rotation in the ledger. `since` is how many certificates had been made when this key was asked for."""

    state: str = REQUESTED
    new: int = 0
    key: int = 0
    since: int = 0
    spent: tuple[int, ...] = ()
    issued: int = 0


class Create(NamedTuple):
    """A handler of `certificate/create`: what it does next and what it knows. `fresh`: the record is as it read it."""

    at: str
    key: int
    fresh: bool = True
    made: int = 0
    since: int = 0
    todo: tuple[int, ...] = ()


class End(NamedTuple):
    """The responder while it ends the rotation."""

    at: str
    todo: tuple[int, ...] = ()


class Device(NamedTuple):
    """What the device has: the key it made (0: none, -1: it gave up), the certificate for it, which one it keeps."""

    key: int = 0
    candidate: int = 0
    own: int = OLD


class State(NamedTuple):
    """Everything. `asked` counts the keys that were asked for; of answers and confirmations none is ever forgotten."""

    job: str = "queued"
    record: Record = Record()
    certificates: tuple[Certificate, ...] = (Certificate(0, active=True, attached=True, granted=True),)
    known: frozenset[int] = frozenset()
    asked: int = 0
    answered: frozenset[int] = frozenset()
    confirming: frozenset[int] = frozenset()
    acknowledged: frozenset[int] = frozenset()
    device: Device = Device()
    creating: tuple[Create | None, ...] = (None,)
    ending: End | None = None


Step = tuple[str, State]

_COMMITTING = ("seek", "intend", "discard", "look", "issue", "note")
"""The places where a handler has a commit before it that depends on whether the record is as it read it."""


@dataclass(frozen=True)
class Model:
    """The rules. `copies`: how many handlers of device requests may run at once; `keys`: how many the device makes."""

    copies: int = 1
    keys: int = 2
    most_made: int = 3
    defect: Defect | None = None

    @property
    def start(self) -> State:
        """Where it begins: the rotation is on record and its job is sent."""
        return State(creating=(None,) * self.copies)

    def steps(self, state: State) -> Iterator[Step]:
        """List everything that may happen next."""
        yield from _job_steps(state)
        yield from self._device_steps(state)
        yield from self._confirm_steps(state)
        for place in range(len(state.creating)):
            yield from self._create_steps(state, place)
        yield from self._end_steps(state)

    # --- the device -------------------------------------------------------------------------------------------

    def _device_steps(self, state: State) -> Iterator[Step]:
        device = state.device
        yield from self._asking(state)
        if device.key > 0 and device.candidate == 0 and device.own == OLD:
            for made in state.answered:
                if state.certificates[made].key == device.key:
                    yield "device installs", state._replace(device=device._replace(candidate=made))
        confirming = device.candidate in state.confirming
        if device.candidate and not confirming and state.certificates[device.candidate].usable:
            yield "device confirms", state._replace(confirming=state.confirming | {device.candidate})
        if device.candidate in (state.confirming if self.defect is Defect.DEVICE_HURRIES else state.acknowledged):
            yield "device destroys its old key", state._replace(device=Device(device.key, 0, device.candidate))
        if device.own == OLD and device.key != -1 and state.job != "over":
            # It keeps the candidate beside the old one once it has said anything over it.
            kept = device if confirming else Device(-1, 0, OLD)
            yield "device gives up", state._replace(job="over", device=kept)

    def _asking(self, state: State) -> Iterator[Step]:
        device = state.device
        if state.job != "in-progress" or device.candidate in state.confirming:
            return
        key = device.key + 1
        if device.key == 0:
            yield "device asks", state._replace(device=device._replace(key=key), asked=key)
        elif 0 < device.key < self.keys:
            yield "device loses its key, asks again", state._replace(device=Device(key, 0, device.own), asked=key)

    # --- certificate/confirm ----------------------------------------------------------------------------------

    def _confirm_steps(self, state: State) -> Iterator[Step]:
        record = state.record
        if record.new in state.confirming:
            takes = (ISSUED, ROLLING_BACK, ROLLED_BACK) if self.defect is Defect.CONFIRMS_LATE else (ISSUED,)
            if record.state in takes:
                yield "confirm: on record", _commit(state, record._replace(state=CONFIRMED))
            if record.state in (CONFIRMED, FINISHED) and record.new not in state.acknowledged:
                yield "confirm: answered", state._replace(acknowledged=state.acknowledged | {record.new})

    # --- certificate/create -----------------------------------------------------------------------------------

    def _create_steps(self, state: State, place: int) -> Iterator[Step]:
        handler = state.creating[place]
        if handler is None:
            if state.certificates[OLD].attached and state.job == "in-progress":
                for key in range(1, state.asked + 1):
                    yield from self._read(state, place, key)
            return
        yield "create: handler is gone", _go(state, place, None)
        yield from getattr(self, f"_{handler.at}")(state, place, handler)

    def _read(self, state: State, place: int, key: int) -> Iterator[Step]:
        record = state.record
        if record.state in (*OVER, ROLLING_BACK):
            return
        if record.state == CONFIRMED:
            if key == record.key and record.new not in state.answered:
                yield "create: answered again", state._replace(answered=state.answered | {record.new})
            if key == record.key or self.defect is not Defect.ISSUES_CONFIRMED:
                return
        handler = self._handler(state, key)
        if handler is not None:
            yield "create: read", _go(state, place, handler)

    def _handler(self, state: State, key: int) -> Create | None:
        """Choose where a handler begins, by what it has read; None when it refuses."""
        record = state.record
        if record.state == ISSUED and record.key == key:
            return Create("attach", key, made=record.new)
        if self.defect is Defect.NO_INTENT:
            return Create("look", key, since=len(state.certificates))
        if record.state == ISSUING and record.key == key:
            return _after_intent(record, key)
        if key in state.known and self.defect is not Defect.KEY_AGAIN:
            return None
        if record.state == ISSUING and self.defect is not Defect.FORGETS_UNRECORDED:
            return Create("seek", key)
        return Create("intend", key, made=0 if self.defect is Defect.FORGETS_SPENT else record.new)

    def _seek(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        """Look for a certificate made for the key earlier, by a handler that died before it could record it."""
        found = _inactive_for(state, state.record.key, state.record.since) if handler.fresh else 0
        yield "create: sought one given up", _go(state, place, handler._replace(at="intend", made=found))

    def _intend(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        record = state.record
        if not handler.fresh:
            yield "create: conflict", _go(state, place, None)
            return
        spent = (*record.spent, handler.made) if handler.made else record.spent
        intent = record._replace(state=ISSUING, new=0, key=handler.key, since=len(state.certificates), spent=spent)
        after = _commit(state, intent, place)
        yield "create: intent on record", _go(after, place, _after_intent(intent, handler.key))

    def _discard(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        for label, after, rest in self._discards(state, handler.todo):
            moved = handler._replace(todo=rest, at="discard" if rest else "look")
            yield f"create: {label}", _go(after, place, moved)

    def _look(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        found = 0 if self.defect is Defect.NO_LOOK else _inactive_for(state, handler.key, handler.since)
        if found:
            yield "create: found it made", _go(state, place, handler._replace(at="note", made=found))
        elif len(state.certificates) <= self.most_made:
            yield "create: none there", _go(state, place, handler._replace(at="issue"))

    def _issue(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        if len(state.certificates) > self.most_made:
            return
        after = state._replace(certificates=(*state.certificates, Certificate(handler.key)))
        yield "create: issued", _go(after, place, handler._replace(at="note", made=len(state.certificates)))

    def _note(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        record = state.record
        if handler.fresh:
            issued = record._replace(state=ISSUED, new=handler.made, key=handler.key, issued=record.issued + 1)
            after = _commit(state, issued, place)._replace(known=state.known | {handler.key})
            yield "create: issue on record", _go(after, place, Create("attach", handler.key, made=handler.made))
            return
        wanted = record.new == handler.made or (record.state == ISSUING and record.key == handler.key)
        certificate = state.certificates[handler.made]
        if not wanted and not certificate.attached and not certificate.active:
            after = _change(state, handler.made, gone=True)
            yield "create: conflict, its certificate deleted", _go(after, place, None)
        else:
            yield "create: conflict", _go(state, place, None)

    def _attach(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        then = "activate" if self.defect is Defect.ACTIVATES_FIRST else "grant"
        yield from self._work(state, place, handler, then, attached=True)

    def _grant(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        then = "answer" if self.defect is Defect.ACTIVATES_FIRST else "activate"
        yield from self._work(state, place, handler, then, granted=True)

    def _activate(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        then = "grant" if self.defect is Defect.ACTIVATES_FIRST else "answer"
        yield from self._work(state, place, handler, then, active=True)

    def _work(self, state: State, place: int, handler: Create, then: str, **change: bool) -> Iterator[Step]:
        if state.certificates[handler.made].gone:
            yield "create: its certificate is gone", _go(state, place, None)
        else:
            after = _change(state, handler.made, **change)
            yield f"create: {handler.at}", _go(after, place, handler._replace(at=then))

    def _answer(self, state: State, place: int, handler: Create) -> Iterator[Step]:
        if not state.certificates[handler.made].gone:
            state = state._replace(answered=state.answered | {handler.made})
        yield "create: answered", _go(state, place, None)

    # --- the responder, once the job or the time is over ------------------------------------------------------

    def _end_steps(self, state: State) -> Iterator[Step]:
        if state.record.state == FINISHED and not state.certificates[OLD].gone:
            old = state.certificates[OLD]
            if not old.active and not old.attached:
                yield "grace is over", _change(state, OLD, gone=True)
        if state.ending is not None:
            yield "end: handler is gone", state._replace(ending=None)
            yield from getattr(self, f"_end_{state.ending.at}")(state, state.ending)
        elif state.job == "over" and state.record.state not in OVER:
            yield from self._settle(state)

    def _settle(self, state: State) -> Iterator[Step]:
        record = state.record
        forward = record.state == CONFIRMED or (self.defect is Defect.RETIRES_UNCONFIRMED and record.state == ISSUED)
        if forward:
            yield "end: goes forward", state._replace(ending=End("deactivate"))
        elif record.state == ROLLING_BACK or self.defect is Defect.UNDECIDED:
            yield "end: goes back", state._replace(ending=End("gather"))
        else:
            after = _commit(state, record._replace(state=ROLLING_BACK))
            yield "end: goes back, on record", after._replace(ending=End("gather"))

    def _end_deactivate(self, state: State, _: End) -> Iterator[Step]:
        yield "end: old one inactive", _change(state, OLD, active=False)._replace(ending=End("detach"))

    def _end_detach(self, state: State, _: End) -> Iterator[Step]:
        yield "end: old one detached", _change(state, OLD, attached=False)._replace(ending=End("finish"))

    def _end_finish(self, state: State, _: End) -> Iterator[Step]:
        yield "end: finished", _commit(state, state.record._replace(state=FINISHED))._replace(ending=None)

    def _end_gather(self, state: State, _: End) -> Iterator[Step]:
        record = state.record
        made = record.new or (_inactive_for(state, record.key, record.since) if record.key else 0)
        todo = (*record.spent, *((made,) if made else ()))
        if self.defect is Defect.ENDS_FIRST:
            after = _commit(state, record._replace(state=ROLLED_BACK))
            yield "end: rolled back", after._replace(ending=End("withdraw", todo) if todo else None)
        else:
            yield "end: gathered", state._replace(ending=End("withdraw" if todo else "return", todo))

    def _end_withdraw(self, state: State, ending: End) -> Iterator[Step]:
        for label, after, rest in self._discards(state, ending.todo):
            then = End("withdraw", rest) if rest else End("return")
            if self.defect is Defect.ENDS_FIRST and not rest:
                yield f"end: {label}", after._replace(ending=None)
            else:
                yield f"end: {label}", after._replace(ending=then)

    def _end_return(self, state: State, _: End) -> Iterator[Step]:
        yield "end: rolled back", _commit(state, state.record._replace(state=ROLLED_BACK))._replace(ending=None)

    def _discards(self, state: State, todo: tuple[int, ...]) -> Iterator[tuple[str, State, tuple[int, ...]]]:
        """Take the next step to delete the first certificate; a failure of AWS IoT ends the handler."""
        certificate = state.certificates[todo[0]]
        if certificate.gone:
            yield "nothing to discard", state, todo[1:]
        elif certificate.active:
            yield "discard: inactive", _change(state, todo[0], active=False), todo
        elif certificate.attached:
            yield "discard: detached", _change(state, todo[0], attached=False), todo
        elif self.defect is Defect.KEEPS_WITHDRAWN:
            yield "discard: left", state, todo[1:]
        else:
            yield "discard: deleted", _change(state, todo[0], gone=True), todo[1:]


def _job_steps(state: State) -> Iterator[Step]:
    if state.job == "queued":
        yield "job: in progress", state._replace(job="in-progress")
    if state.job != "over":
        yield "job: over, whatever it says, or out of time", state._replace(job="over")


def _after_intent(record: Record, key: int) -> Create:
    at = "discard" if record.spent else "look"
    return Create(at, key, since=record.since, todo=record.spent)


def _inactive_for(state: State, key: int, since: int) -> int:
    """Find the newest inactive certificate for a key among those made since; 0 when there is none."""
    for place in range(len(state.certificates) - 1, since - 1, -1):
        certificate = state.certificates[place]
        if certificate.key == key and not certificate.active and not certificate.gone:
            return place
    return 0


def _change(state: State, place: int, **change: bool) -> State:
    certificates = list(state.certificates)
    certificates[place] = certificates[place]._replace(**change)
    if certificates[place].gone:
        certificates[place] = Certificate(certificates[place].key, gone=True)
    return state._replace(certificates=tuple(certificates))


def _commit(state: State, record: Record, by: int = -1) -> State:
    """Write the record; other readers then find it changed."""
    creating = tuple(
        each._replace(fresh=False) if each is not None and place != by and each.at in _COMMITTING else each
        for place, each in enumerate(state.creating)
    )
    return state._replace(record=record, creating=creating if by >= 0 else _in_order(creating))


def _go(state: State, place: int, handler: Create | None) -> State:
    return state._replace(creating=_in_order((*state.creating[:place], handler, *state.creating[place + 1 :])))


def _in_order(creating: tuple[Create | None, ...]) -> tuple[Create | None, ...]:
    """Put handlers into one order: they are alike, and states that differ only by their places are one state."""
    return tuple(sorted(creating, key=_rank))


def _rank(handler: Create | None) -> tuple[bool, Create]:
    return handler is not None, handler or Create("", 0)


# --- what must hold ------------------------------------------------------------------------------------------------


def _never_without(state: State) -> bool:
    """At no instant is the device without a certificate that it has the key of and can work with."""
    has = {state.device.own} | ({state.device.candidate} if state.device.candidate else set())
    return any(state.certificates[place].usable for place in has)


def _old_one_only_after_use(state: State) -> bool:
    """The old certificate is disabled only after the cloud saw the new one in use."""
    record = state.record
    seen = record.state in (CONFIRMED, FINISHED) and record.new in state.confirming
    return state.certificates[OLD].usable or seen


def _let_in_last(state: State) -> bool:
    """A certificate is ACTIVE only with its thing and its rights, unless it is just being deleted."""
    record = state.record
    going = set(record.spent) | ({record.new} if record.state == ROLLING_BACK else set())
    return all(each.usable for place, each in enumerate(state.certificates) if each.active and place not in going)


def _one_in_the_end(state: State) -> bool:
    """When it is over and no handler runs, exactly one certificate is ACTIVE: the one the device uses."""
    if not is_settled(state):
        return True
    used = state.record.new if state.record.state == FINISHED else OLD
    return [place for place, each in enumerate(state.certificates) if each.active] == [used]


def _acknowledged_for_good(state: State) -> bool:
    """A confirmation that the device was sent stays valid: the device then destroys its old key."""
    return all(
        place == state.record.new and state.record.state in (CONFIRMED, FINISHED) for place in state.acknowledged
    )


def _same_answer(state: State) -> bool:
    """Asking again with the same request gets the same certificate."""
    keys = [state.certificates[place].key for place in state.answered]
    return len(keys) == len(set(keys))


def _made_once(state: State) -> bool:
    """For one key there is one certificate, whatever crashes. (Two copies at the same moment may make two.)"""
    keys = [each.key for each in state.certificates if not each.gone]
    return len(state.creating) > 1 or len(keys) == len(set(keys))


def _nothing_left(state: State) -> bool:
    """When it is over, unused certificates are gone; one left by a crash is INACTIVE, on no thing, without policies."""
    if not is_settled(state):
        return True
    used = state.record.new if state.record.state == FINISHED else OLD
    made = [each for place, each in enumerate(state.certificates) if place not in (OLD, used)]
    return not any(each.active or each.attached or each.granted for each in made)


INVARIANTS: Mapping[str, Callable[[State], bool]] = {
    "never without a certificate": _never_without,
    "old one disabled only after the new one was in use": _old_one_only_after_use,
    "let in last": _let_in_last,
    "one ACTIVE in the end": _one_in_the_end,
    "acknowledged for good": _acknowledged_for_good,
    "the same answer": _same_answer,
    "made once": _made_once,
    "nothing left": _nothing_left,
}
ENDS = "it ends"
"""The promise about paths, not states: from any state, the rotation can come to its end."""


def is_settled(state: State) -> bool:
    """Check whether the rotation is over and no handler is at work."""
    return state.record.state in OVER and state.ending is None and not any(state.creating)


# --- the checker ---------------------------------------------------------------------------------------------------


class Effect(NamedTuple):
    """Something done to a certificate while the record was in a state."""

    state: str
    whose: str
    what: str


@dataclass(frozen=True)
class Violation:
    """A promise that does not hold, and the shortest way there."""

    promise: str
    way: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """What was found. `depth` is the length of the longest of the shortest ways.

    `edges` are the changes of the record; `effects` those of certificates: the record's state, whose certificate
    (old, new, spent, or made and not on record) and what was done to it.
    """

    states: int
    transitions: int
    depth: int
    violation: Violation | None
    edges: frozenset[tuple[Record, Record]]
    effects: frozenset[Effect]


def check(model: Model, promises: Collection[str] = (*INVARIANTS, ENDS), *, most_states: int = 2_000_000) -> Result:
    """Walk through every state, breadth first, and stop at the first that breaks one of these promises.

    Raises:
        OverflowError: when there are more states than `most_states`: a result about a part would be none.
    """
    walk = _Walk(model.start)
    transitions = 0
    while walk.waiting:
        state = walk.waiting.popleft()
        here = walk.number[state]
        broken = next((each for each in promises if each != ENDS and not INVARIANTS[each](state)), None)
        if broken is not None:
            return walk.result(transitions, broken, here)
        for label, after in model.steps(state):
            transitions += 1
            walk.note(here, label, state, after)
        if len(walk.came) > most_states:
            raise OverflowError(f"more than {most_states} states")
    lost = walk.cannot_end() if ENDS in promises else None
    return walk.result(transitions) if lost is None else walk.result(transitions, ENDS, lost)


class _Walk:
    """The states seen so far; each has a number, in the order in which they were met."""

    def __init__(self, start: State) -> None:
        self.number = {start: 0}
        self.came = [(-1, "")]
        self.depths = [0]
        self.before: list[list[int]] = [[]]
        self.edges: set[tuple[Record, Record]] = set()
        self.effects: set[Effect] = set()
        self.waiting = deque([start])

    def note(self, here: int, label: str, state: State, after: State) -> None:
        """Take in a step from a state seen to another."""
        if after.record != state.record:
            self.edges.add((state.record, after.record))
        if after.certificates is not state.certificates:
            self.effects |= set(_effects(state, after))
        there = self.number.get(after)
        if there is None:
            there = self.number[after] = len(self.came)
            self.came.append((here, label))
            self.depths.append(self.depths[here] + 1)
            self.before.append([])
            self.waiting.append(after)
        self.before[there].append(here)

    def cannot_end(self) -> int | None:
        """Find the first state from which no way leads to a settled one."""
        reached = {place for state, place in self.number.items() if is_settled(state)}
        waiting = list(reached)
        while waiting:
            for each in self.before[waiting.pop()]:
                if each not in reached:
                    reached.add(each)
                    waiting.append(each)
        return next((place for place in range(len(self.before)) if place not in reached), None)

    def result(self, transitions: int, promise: str = "", at: int = 0) -> Result:
        """Put together what was found; `at` is the state that breaks `promise`."""
        way = []
        while at > 0:
            at, label = self.came[at]
            way.append(label)
        violation = Violation(promise, tuple(reversed(way))) if promise else None
        return Result(
            len(self.number), transitions, max(self.depths), violation, frozenset(self.edges), frozenset(self.effects)
        )


def _effects(state: State, after: State) -> Iterator[Effect]:
    record = state.record
    if len(after.certificates) > len(state.certificates):
        yield Effect(record.state, "made", "issued")
    for place, (one, other) in enumerate(zip(state.certificates, after.certificates, strict=False)):
        if one != other:
            whose = "old" if place == OLD else "new" if place == record.new else "made"
            yield Effect(record.state, "spent" if place in record.spent else whose, _what_changed(one, other))


def _what_changed(one: Certificate, other: Certificate) -> str:
    if other.gone:
        return "deleted"
    if one.active != other.active:
        return "activated" if other.active else "deactivated"
    if one.attached != other.attached:
        return "attached" if other.attached else "detached"
    return "granted"
