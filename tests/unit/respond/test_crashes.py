"""Every flow, with the function dying before and after every single call it makes to the world.

The message is then delivered again, as its queue would, and the sweep runs; the end must be the clean run's.
A third way to fail is a write whose answer is lost: it was made, and its repetition meets a conflict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import Any

import pytest

from tests.fakes import THING, Crash, World, a_finding, a_key, a_world, an_old_certificate, contained
from warden.core.errors import Conflict
from warden.core.ports import Ports
from warden.plan.actions import ROTATE_CERTIFICATE

RECEIVES = 5
"""More deliveries than crashes: nothing may be parked."""


class Fate(StrEnum):
    """What becomes of one call."""

    BEFORE = "dies before"
    AFTER = "dies after"
    ANSWER_LOST = "answer lost"


@dataclass
class Tripwire:
    """Counts the calls to all ports together, and strikes at one of them. Off until the flow begins."""

    strikes_at: int = 0
    fate: Fate = Fate.BEFORE
    armed: bool = False
    calls: int = 0
    commits: int = 0
    struck: str = ""

    def call(self, name: str, real: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """Make a call, unless this is where it ends."""
        if not self.armed:
            return real(*args, **named)
        self.calls += 1
        self.commits += name == "ledger.commit"
        counted = self.commits if self.fate is Fate.ANSWER_LOST else self.calls
        strikes = counted == self.strikes_at and not self.struck
        if not strikes or (self.fate is Fate.ANSWER_LOST and name != "ledger.commit"):
            return real(*args, **named)
        self.struck = name
        if self.fate is Fate.BEFORE:
            raise Crash(name)
        real(*args, **named)
        if self.fate is Fate.AFTER:
            raise Crash(name)
        raise Conflict("made, but its answer was lost and it was sent again")


class Wired:
    """A port with the tripwire on every call."""

    def __init__(self, name: str, port: object, wire: Tripwire) -> None:
        self._name, self._port, self._wire = name, port, wire

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return lambda *args, **named: self._wire.call(f"{self._name}.{name}", real, *args, **named)


def wired(world: World, wire: Tripwire) -> World:
    """Put the tripwire between the service and its world; the devices do not feel it."""
    ports: dict[str, Any] = {
        each.name: Wired(each.name, getattr(world.context.ports, each.name), wire) for each in fields(Ports)
    }
    world.context = replace(world.context, ports=Ports(**ports))
    return world


# --- the flows: each is set up undisturbed, then played with the wire armed ----------------------------------------


@dataclass(frozen=True)
class Flow:
    """A piece of the work: what comes before it, and the piece itself."""

    play: Callable[[World], None]
    set_up: Callable[[World], object] = lambda world: world


def quarantine(world: World) -> None:
    world.report(a_finding())


def collect_logs(world: World) -> None:
    world.device.work()
    world.drain()


def release_with_rotation(world: World) -> None:
    world.order("release", world.case.id, request="request-1")
    world.device.work()
    world.drain()


def release_keeping_the_certificate(world: World) -> None:
    world.order("release-keeping-certificate", world.case.id, request="request-1")


def rotate(world: World) -> None:
    world.report(an_old_certificate())
    world.device.work()
    world.drain()


def asked_to_rotate(world: World) -> None:
    world.report(an_old_certificate())


def release_begun(world: World) -> None:
    contained(world)
    world.order("release", world.case.id, request="request-1")


def confirm_and_keep_silent(world: World) -> None:
    """The device confirms, then neither it nor AWS IoT ever tells how the job ended: only the sweep is left."""
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.loses_events = True
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.device.confirm()
    world.sweep(after=timedelta(hours=25))


def take_a_certificate_and_keep_silent(world: World) -> None:
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.loses_events = True
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.sweep(after=timedelta(hours=25))


def never_answer(world: World) -> None:
    world.jobs.loses_events = True
    world.sweep(after=timedelta(hours=25))


def fail_the_rotation(world: World) -> None:
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.jobs.move(job, "FAILED")
    world.drain()


def lose_the_key_once(world: World) -> None:
    """The device loses its power, and the key, after the first certificate."""
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.device.keys += 1
    world.device.create()
    world.device.confirm()
    world.jobs.move(job, "SUCCEEDED")
    world.drain()


def grace_over(world: World) -> None:
    world.sweep(after=timedelta(days=8))


def rotated(world: World) -> None:
    rotate(world)


def second_disconnect(world: World) -> None:
    world.sweep(after=timedelta(minutes=9))


FLOWS = {
    "quarantine": Flow(quarantine),
    "collect-logs": Flow(collect_logs, set_up=quarantine),
    "logs-never-come": Flow(never_answer, set_up=quarantine),
    "release-with-rotation": Flow(release_with_rotation, set_up=contained),
    "release-keeping-the-certificate": Flow(release_keeping_the_certificate, set_up=contained),
    "released-by-the-deadline": Flow(confirm_and_keep_silent, set_up=release_begun),
    "release-given-up": Flow(take_a_certificate_and_keep_silent, set_up=release_begun),
    "rotate": Flow(rotate),
    "finish-by-the-deadline": Flow(confirm_and_keep_silent, set_up=asked_to_rotate),
    "roll-back-by-the-deadline": Flow(take_a_certificate_and_keep_silent, set_up=asked_to_rotate),
    "give-up-a-silent-device": Flow(never_answer, set_up=asked_to_rotate),
    "roll-back-a-failure": Flow(fail_the_rotation, set_up=asked_to_rotate),
    "lose-the-key-once": Flow(lose_the_key_once, set_up=asked_to_rotate),
    "delete-the-old-certificate": Flow(grace_over, set_up=rotated),
    "second-disconnect": Flow(second_disconnect, set_up=contained),
}


def run(flow: Flow, wire: Tripwire) -> World:
    world = a_world(receives=RECEIVES)
    world.registry.group_policies["pumps"] = ["pumps-policy"]
    world.registry.groups[THING] = ["pumps", "site-4"]
    wired(world, wire)
    flow.set_up(world)
    wire.armed = True
    flow.play(world)
    world.sweep()
    wire.armed = False
    return world


@cache
def _key_names() -> dict[str, str]:
    return {a_key(number).pem: f"key {number}" for number in range(100, 106)}


def state_of(world: World) -> dict[str, object]:
    """Write down everything that must be as after one clean run; ids of certificates are told by their keys."""
    names = {certificate: _key_names()[stored.pem] for certificate, stored in world.certificates.stored.items()}
    return {
        "certificates": sorted(
            (names[each], stored.status, sorted(stored.policies), world.registry.things_of(each))
            for each, stored in world.certificates.stored.items()
        ),
        "groups": sorted(world.registry.groups[THING]),
        "jobs": sorted(
            (job.thing, str(job.document["warden"]["operation"]), job.status) for job in world.jobs.started.values()
        ),
        "cases": [
            (case.state, case.resolution, case.findings, {name: each.progress for name, each in case.outcomes.items()})
            for case in world.cases
        ],
        "timeline": sorted(what for case in world.cases for what in world.steps(case) if what != "notified"),
        "notices": sorted({notice.subject for notice in world.notices.sent}),
        "containments": [
            (each["state"], sorted(each["policies"].values()), each["groups"], each["cases"], "due" in each)
            for each in world.ledger.of_type("containment")
        ],
        "rotations": [(each["state"], names.get(each["new"], "none")) for each in world.ledger.of_type("rotation")],
        "due": sorted(str(record["type"]) for record in _due(world)),
        "evidence": sorted(world.evidence.objects.values()),
        "parked": world.queue.parked,
        "refused": world.refusals,
    }


def _due(world: World) -> Iterator[dict[str, Any]]:
    for name in ("job", "containment", "retirement"):
        yield from (dict(record) for record in world.ledger.of_type(name) if "due" in record)


@cache
def clean(name: str) -> tuple[dict[str, object], int, int]:
    wire = Tripwire()
    world = run(FLOWS[name], wire)
    return state_of(world), wire.calls, wire.commits


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("name", FLOWS)
def test_a_failure_at_any_call_ends_as_one_clean_run(
    name: str, fate: Fate, record_property: Callable[[str, object], None]
) -> None:
    expected, calls, commits = clean(name)
    points = commits if fate is Fate.ANSWER_LOST else calls
    record_property("points", points)
    print(f"{points} points")  # noqa: T201 - pytest shows it beside a failure, and with -rP
    wrong = {}

    for nth in range(1, points + 1):
        wire = Tripwire(strikes_at=nth, fate=fate)
        state = state_of(run(FLOWS[name], wire))
        assert wire.struck, "the run was shorter than the clean one"
        if state != expected:
            different = {key: (value, expected[key]) for key, value in state.items() if value != expected[key]}
            wrong[f"call {nth}, {wire.struck}"] = different

    assert wrong == {}


def test_the_flows_are_long_enough_to_mean_something() -> None:
    points = sum(2 * calls + commits for _, calls, commits in map(clean, FLOWS))

    assert points > 1400


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_by_itself_parks_and_refuses_nothing(name: str) -> None:
    state, _, _ = clean(name)

    assert state["parked"] == []
    assert state["refused"] == []
