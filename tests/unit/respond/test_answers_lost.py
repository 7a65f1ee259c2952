"""A commit that was made, but whose answer was lost, is a conflict with itself: what it did is found, and done once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fakes import World, a_finding, a_world, contained
from tests.port_wire import Fate, Wire, wired
from warden.cases.model import CaseState
from warden.plan.actions import ROTATE_CERTIFICATE


def contain(world: World) -> None:
    world.report(a_finding())
    world.device.work()
    world.drain()


def release(world: World) -> None:
    contained(world)
    world.order("release", world.case.id, request="request-1")
    world.device.work()
    world.drain()


def fail_to_release(world: World) -> None:
    contained(world)
    world.order("release", world.case.id, request="request-1")
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.move(job, "IN_PROGRESS")
    world.jobs.move(job, "FAILED")
    world.drain()


def ended(play: Callable[[World], None], wire: Wire) -> tuple[CaseState, list[str], list[str]]:
    """Return how the case ended, its timeline without notices, and the jobs that were started."""
    world = wired(a_world(receives=5), wire)
    play(world)
    wire.disarm()
    return world.case.state, [said for said in world.steps() if said != "notified"], sorted(world.jobs.started)


@pytest.mark.parametrize(
    ("play", "state"),
    [(contain, CaseState.CONTAINED), (release, CaseState.CLOSED), (fail_to_release, CaseState.CONTAINED)],
)
def test_a_commit_whose_answer_is_lost_is_made_once(play: Callable[[World], None], state: CaseState) -> None:
    clean = Wire()
    expected = ended(play, clean)

    for nth in range(1, clean.commits + 1):
        wire = Wire()
        wire.arm(nth, Fate.ANSWER_LOST)

        assert ended(play, wire) == expected, f"commit {nth}"
        assert wire.struck

    assert expected[0] is state
