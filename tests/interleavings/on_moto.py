"""Functions that meet on the real adapters: each call of the SDK is a point at which the next may take over.

Below the SDK is the world of the fault points (tests/faults), with its queues, its devices and its judge. What runs at
once is the code of each handler; what comes before and after goes through the handlers themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import boto3

from tests.fakes import a_key, forwarded
from tests.faults import invariants
from tests.faults.cloud import Snapshot
from tests.faults.environment import RESTRICTED, Ground
from tests.faults.fault_transport import Call, Remembered
from tests.faults.flows import STANDARD, reported
from tests.faults.invariants import Ledger
from tests.faults.state_digest import digest_of
from tests.faults.world import PREFIX, THING, DeviceState, Enrolled, World, furnish
from tests.interleavings.engine import Tried
from tests.interleavings.play import CASES, EVENTS, REQUESTS, next_sweep
from tests.interleavings.scheduler import Relay, Schedule
from warden import bootstrap
from warden.core.actions import QUARANTINE
from warden.core.clock import from_text
from warden.devices.job_events import track
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.dispatch import dispatch
from warden.respond.due import sweep
from warden.validation.strict_json import message_in

OTHER = "pump-4"
"""A thing on the certificate of `THING`, in another group."""

KEEPING = "release-keeping-certificate"
_INBOX = "InboxQueue"
_REST = timedelta(hours=27)
"""As long as a job may take, and the retries of its end."""

type Invocation = Callable[[Stage], None]
"""One run of a function. Its queue handles what it raises."""


@dataclass
class _Points:
    """Makes each call of the SDK a point of the relay, and names the run that makes it."""

    relay: Relay
    world: World

    def before(self, _call: Call) -> None:
        """Let another invocation take over, if this is where the schedule says so."""
        self.relay.point()
        self.world.cloud.run = f"at once {self.relay.running}"

    def after(self, _call: Call, _came: Remembered) -> None:
        """Nothing is switched between a call and its answer."""


class Stage:
    """The world of the fault points with two things on one certificate, or with one."""

    def __init__(self, ground: Ground) -> None:
        self.world = World(ground)
        self._wire = ground.wire
        self.failures: list[str] = []
        self._wire.calm()
        ground.deploy(STANDARD)
        furnish(self.world)
        self.world.cloud.after = lambda call: invariants.instant(self.world, call, overtaken=True)
        self._alone = self.world.snapshot()
        _share(self.world)
        self._sharing = self.world.snapshot()

    def set(self, *, shared: bool) -> None:
        """Begin a scene."""
        self.world.restore(self._sharing if shared else self._alone)
        self.world.begin("scene")

    # --- at once --------------------------------------------------------------------------------------------------

    def race(self, invocations: Sequence[Invocation], schedule: Schedule) -> list[int]:
        """Run invocations as a schedule says; return how many calls each has made."""
        self.failures = []
        relay = Relay(schedule)
        self._wire.begin()
        self._wire.watcher = _Points(relay, self.world)
        relay.run([lambda each=each: each(self) for each in invocations])  # type: ignore[misc]  # bound at once
        self._wire.calm()
        return relay.calls

    def take(self, name: str, run: Callable[[str], object], group: str = "") -> None:
        """Let a function take the first message of a queue, or of one of its groups."""
        now, queue = self.world.clock(), self.world.cloud.state.queues[name]
        waiting = [each for each in queue.waiting if each.visible_at <= now and group in ("", each.group)]
        if not waiting:
            return
        queue.take(waiting[0], now)
        try:
            run(waiting[0].body)
        except Exception as error:  # noqa: BLE001 - a queue does not care what went wrong
            self.failures.append(f"{name}: {error!r}")
            queue.failed(waiting[0], repr(error))
        else:
            queue.done(waiting[0])

    def ask(self, thing: str, what: str, payload: Mapping[str, Any], over: str) -> dict[str, Any] | None:
        """Send a device's request and have it answered; None where it is refused, or not answered yet."""
        device = self.world.state.devices[thing]
        device.tokens += 1
        token = f"{thing}-{device.tokens}"
        message = forwarded(thing, what, over, json.dumps({"clientToken": token, **payload}).encode())
        self.world.cloud.state.queues[REQUESTS].send(json.dumps(message), self.world.clock())
        self.take(REQUESTS, lambda body: serve(request_from(message_in(body)), bootstrap.context()))
        accepted = f"warden/{thing}/{what}/accepted"
        answers = [said for topic, said in self.world.cloud.state.replies if topic == accepted]
        return next((said for said in answers if said["clientToken"] == token), None)

    # --- at rest --------------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """Deliver what is left, let devices end their jobs and the sweep run where anything is due."""
        until = self.world.clock() + _REST
        self._work()
        while (at := self._next_due()) is not None and at <= until:
            self.world.clock.time = at
            self.world.sweep()
            self._work()

    def _work(self) -> None:
        self.world.drain()
        iot = self.world.cloud.iot
        while working := [
            (job, thing)
            for (job, thing), each in iot.job_executions.items()
            if each.status in ("QUEUED", "IN_PROGRESS")
        ]:
            self._end(*working[0])
            self.world.drain()

    def _end(self, job: str, thing: str) -> None:
        """Let a device continue a job where it stopped. The remains of an ended job are of no use in this one."""
        device, iot = self.world.state.devices[thing], self.world.cloud.iot
        if iot.job_executions[job, thing].status == "QUEUED" and device.held[-1] not in device.used:
            device.held.pop()
            device.next_key += 1
        self.world.cloud.move(job, thing, "IN_PROGRESS")
        done = self.world.device(thing).rotate()
        self.world.cloud.move(job, thing, "SUCCEEDED" if done else "FAILED")

    def _next_due(self) -> datetime | None:
        due = [from_text(each["due_at"]) for each in Ledger(self.world).records if each.get("due") == "due"]
        return next_sweep(max(min(due), self.world.clock() + timedelta(seconds=1))) if due else None

    def said_too_early(self) -> list[str]:
        """List what the ledger says falsely just after the invocations; one that failed has not ended yet."""
        contained = [each["thing"] for each in Ledger(self.world).of("containment") if each["state"] == "contained"]
        return [
            f"{thing} is said to be contained, and {certificate[:6]} has {policies}"
            for thing in contained
            for certificate in invariants.certificates_of(self.world, thing)
            if not self.failures
            and self.world.cloud.iot.certificates[certificate].status == "ACTIVE"
            and (policies := invariants.policies_of(self.world, certificate)) != [RESTRICTED]
        ]

    # --- how a scene comes about ----------------------------------------------------------------------------------

    def found(self, *things: str) -> None:
        """Queue a finding about each thing, whose answer is a quarantine."""
        for thing in things:
            body = reported(f"needs-{QUARANTINE}", self._number(), thing)
            self.world.cloud.state.queues[_INBOX].send(body, self.world.clock())
            self.world.deliver(_INBOX)

    def contained(self, *things: str) -> None:
        """Contain things."""
        self.found(*things)
        self.world.drain()

    def decided(self, *things: str, decision: str = KEEPING) -> None:
        """Queue an operator's decision about each thing's containment."""
        for thing in things:
            self.world.command(decision, case=self._case(thing))

    def releasing(self, *things: str) -> None:
        """Release things with new certificates, and let the devices begin their jobs."""
        for thing in things:
            self.world.order("release", case=self._case(thing))
            self.world.device(thing).begin_rotation()

    def renewing(self, *things: str) -> None:
        """Ask for new certificates by a detector, and let the devices begin their jobs."""
        for thing in things:
            self.world.report(reported(f"needs-{ROTATE_CERTIFICATE}", self._number(), thing))
            self.world.device(thing).begin_rotation()

    def issued(self, *things: str) -> None:
        """Let devices get their new certificates."""
        for thing in things:
            assert self.world.device(thing).create()

    def re_keyed(self, *things: str) -> None:
        """Let devices end their jobs; the responder has not followed up yet."""
        self.ended(*things)
        for _ in things:
            self.world.deliver(EVENTS)

    def ended(self, *things: str) -> None:
        """Let devices end their jobs; IoT Jobs has reported it and nobody has read it."""
        for thing in things:
            assert self.world.device(thing).rotate()
        for thing in things:
            self.move(thing, "SUCCEEDED")

    def timed_out(self, *things: str) -> None:
        """Let jobs time out; the responder has not followed up yet."""
        for thing in things:
            self.move(thing, "TIMED_OUT")
            self.world.deliver(EVENTS)

    def past_deadline(self) -> None:
        """Let the deadline of rotations pass; no sweep has seen it yet."""
        self.world.advance(timedelta(hours=25))

    def due(self) -> None:
        """Let the sweep queue what is due; the responder has not run yet."""
        self.world.invoke("sweep_cases", {})

    def move(self, thing: str, status: str) -> None:
        """Let a thing's last job end."""
        [*_, job] = [job for job, other in self.world.cloud.iot.job_executions if other == thing]
        self.world.cloud.move(job, thing, status)

    def _case(self, thing: str) -> str:
        cases = Ledger(self.world).of("case")
        [case] = [each for each in cases if each.get("case_thing") == thing and each["case_state"] == "contained"]
        return str(case["case_id"])

    def _number(self) -> int:
        return 1 + len(Ledger(self.world).of("case"))


def _share(world: World) -> None:
    """Put another thing on the device's certificate, in a group of its own that has a policy, too."""
    iot: Any = boto3.client("iot")
    certificate = world.state.devices[THING].enrolled.certificate
    iot.create_thing(thingName=OTHER)
    iot.attach_thing_principal(thingName=OTHER, principal=f"{PREFIX}cert/{certificate}")
    iot.create_thing_group(thingGroupName="valves")
    iot.attach_policy(policyName="pumps-policy", target=f"{PREFIX}thinggroup/valves")
    for group in ("valves", "site-4"):
        iot.add_thing_to_thing_group(thingName=OTHER, thingGroupName=group)
    enrolled = Enrolled(certificate, world.state.devices[THING].enrolled.policies, ["valves", "site-4"])
    world.state.devices[OTHER] = DeviceState(OTHER, [certificate], [certificate], 401, enrolled)
    world.device(OTHER).connect()


# --- invocations by name ----------------------------------------------------------------------------------------------


def respond(thing: str) -> Invocation:
    """Return the responder's run with the first message of a thing's group."""
    group = sha256(thing.encode()).hexdigest()
    return lambda stage: stage.take(CASES, lambda body: dispatch(json.loads(body), bootstrap.context()), group)


def create(thing: str) -> Invocation:
    """Return the run that answers a device's request for a certificate for its next key."""

    def run(stage: Stage) -> None:
        device = stage.world.state.devices[thing]
        csr = a_key(device.next_key).csr
        answer = stage.ask(thing, "certificate/create", {"csr": csr}, stage.world.device(thing).certificate)
        if answer and answer["certificateId"] not in device.held:
            device.held.append(answer["certificateId"])

    return run


def confirm(thing: str) -> Invocation:
    """Return the run that answers a device which has come back over its new certificate, and then ends its job."""

    def run(stage: Stage) -> None:
        device = stage.world.state.devices[thing]
        new = device.held[-1]
        if not stage.world.device(thing).is_let_in(new):
            return
        if new not in device.used:
            device.used.append(new)
        if stage.ask(thing, "certificate/confirm", {}, new):
            device.next_key += 1
            stage.move(thing, "SUCCEEDED")

    return run


def job_over() -> Invocation:
    """Return the run that gets the event of the end of a job."""
    return lambda stage: stage.take(EVENTS, lambda body: track(message_in(body), bootstrap.context()))


def sweeping() -> Invocation:
    """Return the run of the sweep; one that fails is made again, five minutes later."""

    def run(stage: Stage) -> None:
        try:
            sweep(bootstrap.context())
        except Exception as error:  # noqa: BLE001 - the next sweep does it
            stage.failures.append(f"sweep: {error!r}")

    return run


# --- schedules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Meeting:
    """Two invocations that meet, and what leads to it."""

    name: str
    shared: bool
    scene: Callable[[Stage], None]
    invocations: Sequence[Invocation]


@dataclass
class Met:
    """The state of a meeting when both invocations are about to run, and how many calls each makes."""

    meeting: Meeting
    world: Snapshot
    lengths: Sequence[int] = ()
    ends: dict[bytes, list[str]] = field(default_factory=dict)


def prepared(stage: Stage, meeting: Meeting) -> Met:
    """Play what comes before, and count the calls of each invocation when none is switched."""
    stage.set(shared=meeting.shared)
    meeting.scene(stage)
    met = Met(meeting, stage.world.snapshot())
    calls = []
    for order in ((0, 1), (1, 0)):
        stage.world.restore(met.world)
        calls.append(stage.race(meeting.invocations, Schedule((), order)))
    met.lengths = [max(both) for both in zip(*calls, strict=True)]
    assert all(met.lengths), f"an invocation of {meeting.name} does nothing: {met.lengths}"
    return met


def attempt(stage: Stage, met: Met, schedules: Iterable[Schedule]) -> Tried:
    """Try schedules, each to its end. Two that leave the same world behind end alike: only one of them is continued."""
    tried = Tried()
    for schedule in schedules:
        tried.schedules += 1
        stage.world.restore(met.world)
        stage.world.begin("race")
        stage.race(met.meeting.invocations, schedule)
        left = digest_of(stage.world, bool(stage.failures), frozenset())
        if left not in met.ends:
            met.ends[left] = [*stage.said_too_early(), *_end_of(stage)]
        if met.ends[left]:
            tried.broken[str(schedule)] = met.ends[left]
    tried.ends = len(met.ends)
    return tried


def _end_of(stage: Stage) -> list[str]:
    stage.rest()
    return invariants.broken(stage.world, STANDARD.plan, may_park=False)
