"""A world that delivers messages as SQS does: a failed one comes again, in its group's order, until it is parked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from functools import cache
from hashlib import sha256
from random import Random
from typing import Any

from tests.fakes import OPERATOR, FakeDevice, World, forwarded
from tests.faults.queues import Queue, queues
from tests.interleavings.old_answers import OldAnswers
from tests.interleavings.scheduler import Relay, Schedule
from tests.port_wire import Wire, wired
from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.core.ledger import Index
from warden.core.ports import Ports, QueueEntry
from warden.devices.job_events import track
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.operate.commands import operate
from warden.queues.messages import send_finding
from warden.respond.dispatch import dispatch
from warden.respond.due import sweep
from warden.validation.strict_json import message_in

CASES, REQUESTS, EVENTS = "CaseQueue.fifo", "DeviceRequestQueue", "JobEventQueue"
SWEEP_EVERY = timedelta(minutes=5)
_DETACHES_AFTER = timedelta(seconds=5)
"""How long a detachment takes: seconds (AWS IoT API reference, DetachThingPrincipal)."""

type Invocation = Callable[[Play], None]
"""One run of a function. Its queue handles what it raises."""


@cache
def _terms() -> Mapping[str, Queue]:
    return queues()


class _CasePort:
    """The case queue as the service writes to it."""

    def __init__(self, queue: Queue, clock: Callable[[], datetime]) -> None:
        self._queue, self._clock = queue, clock

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        for entry in entries:
            self._queue.send(json.dumps(entry.message), self._clock(), group=entry.group, once=entry.once)


class Points(Wire):
    """The wire to the ports: each call is a point of the relay, if one runs."""

    def __init__(self, after: Callable[[str, tuple[Any, ...]], None]) -> None:
        super().__init__(after=after)
        self.relay: Relay | None = None
        self.answer: Callable[[str, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any] | None = None
        self.trace: list[str] | None = None

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make a call once it is this invocation's turn."""
        if self.relay is not None:
            self.relay.point()
            if self.trace is not None:
                self.trace.append(f"{chr(ord('A') + self.relay.running)} {name}{args}")
        if self.answer is not None:
            real = self._answered(name, real)
        return super().call(name, real, args, named)

    def _answered(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        answer = self.answer
        assert answer is not None
        return lambda *args, **named: answer(name, real, args, named)


@dataclass
class Agent:
    """What a device remembers of the job that it works at."""

    device: FakeDevice
    asks: str = ""
    refused: str = ""
    confirmed: bool = False


@dataclass
class Parked:
    """A message that failed as many times as its queue allows."""

    queue: str
    body: str
    failure: str


class Play:
    """A world with its queues, on which invocations run at once and which then comes to rest."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.clock = world.clock
        self.queues = {
            name: Queue(name, queue.visibility, queue.most_receives)
            for name, queue in _terms().items()
            if name in (CASES, REQUESTS, EVENTS)
        }
        for group, waiting in world.queue.groups.items():
            for message in waiting:
                self.queues[CASES].send(message.body, self.clock(), group=group)
        self.agents = {thing: Agent(device) for thing, device in world.devices.items()}
        self.wire = Points(self._seen)
        ports: dict[str, Any] = {each.name: getattr(world.context.ports, each.name) for each in fields(Ports)}
        ports["queue"] = _CasePort(self.queues[CASES], self.clock)
        world.context = replace(world.context, ports=Ports(**ports))
        wired(world, self.wire)
        self.old: OldAnswers | None = None
        world.certificates.detaches_after = _DETACHES_AFTER
        self.broken: list[str] = []
        self.failures: list[str] = []
        self._answered = len(world.replies.published)

    # --- invocations ----------------------------------------------------------------------------------------------

    def race(self, invocations: Sequence[Invocation], schedule: Schedule) -> list[int]:
        """Run invocations as a schedule says; return how many calls each has made."""
        relay = Relay(schedule)
        self.wire.relay = relay
        relay.run([lambda each=each: each(self) for each in invocations])  # type: ignore[misc]  # bound at once
        self.wire.relay = None
        return relay.calls

    def answer_late(self, chance: Random) -> OldAnswers:
        """From now on, make lists of AWS IoT old, detachments slow, and its clock different from ours."""
        self.world.aws_clock.apart = timedelta(seconds=chance.randint(-9, 9))
        self.world.certificates.detaches_after = timedelta(seconds=chance.choice((0, 5, 30)))
        self.old = OldAnswers(self.world, chance)
        self.wire.answer = self.old.answer
        return self.old

    def deliver(self, name: str, group: str = "") -> None:
        """Hand out the first message of a queue, or of a group of it, to its function."""
        queue = self.queues[name]
        waiting = [each for each in queue.waiting if each.group == group] if queue.is_fifo else queue.waiting
        heads = waiting[:1] if queue.is_fifo else waiting
        message = next((each for each in heads if each.visible_at <= self.clock()), None)
        if message is None:
            return
        queue.take(message, self.clock())
        try:
            _HANDLERS[name](self, message.body)
        except Exception as error:  # noqa: BLE001 - a queue does not care what went wrong
            self.failures.append(f"{name}: {error!r}")
            queue.failed(message, repr(error))
        else:
            queue.done(message)

    def handle(self, body: str) -> None:
        """Respond to a message of the case queue."""
        dispatch(json.loads(body), self.world.context)

    def serve(self, body: str) -> None:
        """Answer a device; it reads its answer as soon as it is there."""
        serve(request_from(message_in(body)), self.world.context)
        self._hear()

    def track(self, body: str) -> None:
        """Follow up a job event."""
        track(json.loads(body), self.world.context)

    def ask(self, thing: str, what: str, payload: Mapping[str, Any], over: str) -> None:
        """Let a device send a request."""
        agent = self.agents[thing]
        agent.asks = what
        agent.device.tokens += 1
        body = {"clientToken": f"{thing}-{agent.device.tokens}", **payload}
        message = forwarded(thing, what, over, json.dumps(body).encode())
        self.queues[REQUESTS].send(json.dumps(message), self.clock())

    def _hear(self) -> None:
        for topic, answer in self.world.replies.published[self._answered :]:
            _, thing, resource, verb, verdict = topic.split("/")
            agent = self.agents[thing]
            if f"{resource}/{verb}" == agent.asks:
                agent.asks = ""
            if verdict == "rejected":
                agent.refused = str(answer["code"])
            elif verb == "create":
                agent.device.candidate = answer["certificateId"]
            elif agent.device.candidate:
                agent.confirmed = True
                agent.device.certificate, agent.device.candidate = agent.device.candidate, ""
                agent.device.keys += 1
        self._answered = len(self.world.replies.published)

    # --- coming to rest -------------------------------------------------------------------------------------------

    def rest(self, span: timedelta = timedelta(days=2)) -> None:
        """Deliver what is left, let devices answer and the sweep run, for two days."""
        until = self.clock() + span
        while True:
            while self._anything_done():
                pass
            moment = self._next_moment()
            if moment is None or moment > until:
                self.clock.time = until
                return
            self.clock.time = moment
            self.world.registry.propagate()
            if self.old is not None:
                self.old.note()
            self.world.jobs.end()
            if self._is_anything_due():
                sweep(self.world.context)

    def _anything_done(self) -> bool:
        self.take_events()
        for name, queue in self.queues.items():
            message = queue.receivable(self.clock())
            if message is not None:
                self.deliver(name, message.group)
                return True
        acted = [self._act(agent) for agent in self.agents.values()]
        return True in acted

    def take_events(self) -> None:
        """Queue what IoT Jobs reports."""
        for event in self.world.jobs.events:
            self.queues[EVENTS].send(json.dumps(event), self.clock())
        self.world.jobs.events.clear()

    def _next_moment(self) -> datetime | None:
        """Return when something may happen next: a message is visible again, or a sweep finds something due."""
        moments = [queue.next_at() for queue in self.queues.values()]
        due = [record["due_at"] for _, record in self.world.ledger.find(Index.DUE, "due")]
        if due:
            at = max(datetime.fromisoformat(min(due)), self.clock() + timedelta(microseconds=1))
            moments.append(next_sweep(at))
        ends = [job.order.ends_at for job in self.world.jobs.started.values() if not _is_over(job)]
        moments += [each for each in ends if each > self.clock()]
        moments += [at - self.world.aws_clock.apart for at, _ in self.world.certificates.detached]
        return min((each for each in moments if each is not None), default=None)

    def _is_anything_due(self) -> bool:
        return self.clock() == next_sweep(self.clock())

    def _act(self, agent: Agent) -> bool:
        """Let a device continue the jobs it has; a device that waits for an answer does nothing else."""
        thing = agent.device.thing
        working = [
            job_id
            for job_id, job in self.world.jobs.started.items()
            if (found := job.executions.get(thing)) is not None and found.status in ("QUEUED", "IN_PROGRESS")
        ]
        if not working:
            self._forget(agent)
            return False
        if agent.asks and any(thing in each.body for each in self.queues[REQUESTS].waiting):
            return False
        self._go_on(agent, working[0])
        return True

    def _forget(self, agent: Agent) -> None:
        """Drop the remains of an ended job: the next one begins with another key."""
        if agent.device.candidate or agent.refused:
            agent.device.keys += 1
        agent.device.candidate, agent.refused, agent.confirmed, agent.asks = "", "", False, ""

    def _go_on(self, agent: Agent, job_id: str) -> None:
        device, jobs = agent.device, self.world.jobs
        if jobs.started[job_id].executions[device.thing].status == "QUEUED":
            self._forget(agent)
            jobs.move(job_id, "IN_PROGRESS", device.thing)
        if agent.confirmed:
            jobs.move(job_id, "SUCCEEDED", device.thing)
        elif agent.refused or (device.candidate and not self.is_let_in(device.thing, device.candidate)):
            jobs.move(job_id, "FAILED", device.thing)
        elif device.candidate:
            self.ask(device.thing, "certificate/confirm", {}, device.candidate)
        else:
            self.ask(device.thing, "certificate/create", {"csr": device.next_key.csr}, device.certificate)

    # --- what is so at each moment --------------------------------------------------------------------------------

    def is_let_in(self, thing: str, certificate: str) -> bool:
        """Check whether a device can connect with a certificate as this thing, and do anything at all."""
        return self._is_valid(thing, certificate) and bool(self.world.certificates.stored[certificate].policies)

    def _seen(self, name: str, _args: tuple[Any, ...]) -> None:
        """Note the devices that the last call left without a certificate: that cannot be undone."""
        if not name.startswith("certificates."):
            return
        for thing, agent in self.agents.items():
            held = (agent.device.certificate, agent.device.candidate)
            if not any(self._is_valid(thing, each) for each in held):
                found = f"{thing} has no certificate that is ACTIVE and attached, after {name}"
                if found not in self.broken:
                    self.broken.append(found)

    def _is_valid(self, thing: str, certificate: str) -> bool:
        stored = self.world.certificates.stored.get(certificate)
        return stored is not None and stored.status == "ACTIVE" and (certificate, thing) in self.world.registry.attached

    @property
    def parked(self) -> list[Parked]:
        """What was given up."""
        return [
            Parked(name, message.body, message.failure)
            for name, queue in self.queues.items()
            for message in queue.parked
        ]

    def state(self) -> str:
        """Return everything that decides how this continues; equal states continue alike."""
        world = self.world
        return repr(
            (
                self.clock.time,
                sorted(world.ledger.records.items()),
                world.registry.groups,
                world.registry.attached,
                sorted(world.registry.exclusive),
                {
                    name: (each.status, each.policies, each.changed_at)
                    for name, each in world.certificates.stored.items()
                },
                {name: job.executions for name, job in world.jobs.started.items()},
                world.jobs.events,
                [
                    [(each.body, each.group, each.visible_at, each.receives) for each in queue.waiting + queue.parked]
                    for queue in self.queues.values()
                ],
                [queue.seen for queue in self.queues.values()],
                [
                    (agent.asks, agent.refused, agent.confirmed, agent.device.certificate, agent.device.candidate)
                    for agent in self.agents.values()
                ],
                sorted(world.connections.open),
                self.broken,
            )
        )


_HANDLERS: Mapping[str, Callable[[Play, str], None]] = {CASES: Play.handle, REQUESTS: Play.serve, EVENTS: Play.track}


def next_sweep(at: datetime) -> datetime:
    """Return the first run of the sweep at or after a moment."""
    past = timedelta(seconds=at.timestamp() % SWEEP_EVERY.total_seconds())
    return at if not past else at - past + SWEEP_EVERY


def _is_over(job: Any) -> bool:
    return all(each.status not in ("QUEUED", "IN_PROGRESS") for each in job.executions.values())


def copy_of(world: World) -> World:
    """Copy a world, without what nobody changes."""
    shared = (world.account, world.context.plan, world.context.settings)
    return deepcopy(world, {id(each): each for each in shared})


# --- invocations by name ---------------------------------------------------------------------------------------------


def respond(thing: str) -> Invocation:
    """Return the responder's run with the first message of a thing's group."""
    return lambda play: play.deliver(CASES, sha256(thing.encode()).hexdigest())


def create(thing: str) -> Invocation:
    """Return the run that answers a device's request for a certificate for its next key."""

    def run(play: Play) -> None:
        device = play.agents[thing].device
        play.ask(thing, "certificate/create", {"csr": device.next_key.csr}, device.certificate)
        play.deliver(REQUESTS)

    return run


def confirm(thing: str) -> Invocation:
    """Return the run that answers a device which has come back over its new certificate."""

    def run(play: Play) -> None:
        device = play.agents[thing].device
        play.ask(thing, "certificate/confirm", {}, device.candidate or device.certificate)
        play.deliver(REQUESTS)

    return run


def take_up(thing: str) -> Invocation:
    """Return a device that begins with a job as soon as it is there, and the run that answers its first request."""

    def run(play: Play) -> None:
        for job_id, job in play.world.jobs.started.items():
            if thing in job.executions and job.executions[thing].status == "QUEUED":
                play.world.jobs.move(job_id, "IN_PROGRESS", thing)
                create(thing)(play)

    return run


def job_over(thing: str) -> Invocation:
    """Return the run that gets the event of the end of a thing's job."""

    def run(play: Play) -> None:
        mine = [each for each in play.world.jobs.events if each["thingArn"].endswith(f"/{thing}")]
        assert mine, "the scene has no event"
        play.take_events()
        play.deliver(EVENTS)

    return run


def sweeping() -> Invocation:
    """Return the run of the sweep."""

    def run(play: Play) -> None:
        try:
            sweep(play.world.context)
        except Exception as error:  # noqa: BLE001 - the next sweep does it
            play.failures.append(f"sweep: {error!r}")

    return run


def operator(command: str, case: str) -> Invocation:
    """Return the run that answers an operator."""

    def run(play: Play) -> None:
        try:
            operate({"command": command, "case": case}, OPERATOR, f"{command} {case}", play.world.context)
        except Refused as refusal:
            play.failures.append(f"operate: {refusal}")

    return run


def find(world: World, finding: Finding) -> None:
    """Queue a finding, and leave it there."""
    send_finding(world.context.ports.queue, finding)
