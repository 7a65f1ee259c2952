"""IoT Jobs reports an end that it does not show yet: not seen yet is not "no"."""

from datetime import timedelta

import pytest

from tests.fakes import THING, World, a_world, contained
from warden.cases.model import CaseState
from warden.core.ports import Execution
from warden.devices.jobs import look_key
from warden.plan.actions import ROTATE_CERTIFICATE


def shows(world: World, execution: Execution | None) -> list[str]:
    """Make IoT Jobs show this; return the jobs that it is asked about."""
    asked: list[str] = []

    def shown_now(job_id: str, thing: str) -> Execution | None:  # noqa: ARG001 - the same of every thing
        asked.append(job_id)
        return execution

    world.jobs.execution = shown_now  # type: ignore[method-assign]  # an old answer, not what is so
    return asked


@pytest.fixture(name="world")
def _world() -> World:
    """Release a device whose rotation has ended, and have IoT Jobs show that it has not."""
    world = a_world()
    contained(world)
    world.order("release", world.case.id)
    shows(world, Execution("IN_PROGRESS"))
    world.device.work()
    world.drain()
    assert world.case.state is CaseState.RECOVERING
    return world


def shown(world: World) -> None:
    """Make IoT Jobs show the current state."""
    del world.jobs.execution  # the method of the class comes back


def test_an_end_that_is_shown_late_ends_the_release_within_minutes(world: World) -> None:
    shown(world)

    world.sweep(timedelta(minutes=2))

    assert (world.case.state, world.case.resolution) == (CaseState.CLOSED, "released")


def test_an_end_that_is_shown_later_still_is_looked_for_again(world: World) -> None:
    world.sweep(timedelta(minutes=2))
    assert world.case.state is CaseState.RECOVERING
    shown(world)

    world.sweep(timedelta(minutes=4))

    assert world.case.resolution == "released"


def test_a_wrong_report_is_looked_at_three_times_and_ends_nothing(world: World) -> None:
    asked = shows(world, Execution("IN_PROGRESS"))

    for _ in range(6):
        world.sweep(timedelta(minutes=6))

    assert len(asked) == 3
    assert world.case.state is CaseState.RECOVERING


def test_a_job_whose_execution_is_gone_has_ended(world: World) -> None:
    shows(world, None)

    world.sweep(timedelta(minutes=2))

    assert world.case.state is CaseState.CLOSED


def test_a_look_at_a_job_that_is_not_on_record_changes_nothing(world: World) -> None:
    [job] = world.jobs.of(ROTATE_CERTIFICATE)
    for key in [key for key in world.ledger.records if key.partition == f"JOB#{job}" and key != look_key(job, THING)]:
        del world.ledger.records[key]

    world.sweep(timedelta(minutes=2))

    assert world.case.state is CaseState.RECOVERING
