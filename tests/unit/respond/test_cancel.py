"""A release may be taken back while it waits for its device; then another may follow."""

from __future__ import annotations

import pytest

from tests.fakes import DEVICE_POLICY, OPERATOR, THING, World, a_world, contained
from warden.cases.allowed import Decision
from warden.cases.model import CaseState
from warden.devices.rotation_records import RotationState, read_rotation
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.decisions import Order, carry_out

KEEP = "release-keeping-certificate"


@pytest.fixture(name="releasing")
def _releasing() -> World:
    """A device that was offline when its release sent the job."""
    world = a_world()
    contained(world)
    world.order("release", world.case.id)
    assert world.case.state is CaseState.RECOVERING
    return world


def job_of(world: World) -> str:
    return world.jobs.of(ROTATE_CERTIFICATE)[-1]


@pytest.mark.parametrize("as_far_as", ["offline", "in progress", "issued"])
def test_a_release_is_taken_back_with_its_job_and_its_certificate(releasing: World, as_far_as: str) -> None:
    old, job = releasing.device.certificate, job_of(releasing)
    if as_far_as != "offline":
        releasing.jobs.move(job, "IN_PROGRESS")
    if as_far_as == "issued":
        assert releasing.device.create()[0] == "accepted"

    releasing.order("cancel", releasing.case.id, why="false alarm")

    assert releasing.case.state is CaseState.CONTAINED
    assert ROTATE_CERTIFICATE not in releasing.case.outcomes
    assert releasing.jobs.started[job].executions[THING].status == "CANCELED"
    assert set(releasing.certificates.stored) == {old}
    assert releasing.is_restricted()
    assert "cancel" in releasing.steps()


@pytest.mark.parametrize("command", [KEEP, "release"])
def test_another_release_may_follow_at_once(releasing: World, command: str) -> None:
    old = releasing.device.certificate
    releasing.order("cancel", releasing.case.id)

    releasing.order(command, releasing.case.id)
    releasing.device.work()
    releasing.drain()

    assert (releasing.case.state, releasing.case.resolution) == (CaseState.CLOSED, "released")
    assert releasing.policies() == {releasing.device.certificate: {DEVICE_POLICY}}
    assert (releasing.device.certificate == old) == (command == KEEP)


def test_once_the_device_has_confirmed_the_release_goes_on(releasing: World) -> None:
    releasing.jobs.move(job_of(releasing), "IN_PROGRESS")
    assert releasing.device.create()[0] == "accepted"
    assert releasing.device.confirm()[0] == "accepted"

    releasing.order("cancel", releasing.case.id)

    assert releasing.refusals == ["too-late"]
    assert releasing.case.state is CaseState.RECOVERING
    rotation = read_rotation(releasing.ledger, THING)
    assert rotation is not None
    assert rotation.state is RotationState.CONFIRMED


def test_a_second_delivery_finishes_what_the_first_could_not(releasing: World) -> None:
    real = releasing.jobs.cancel

    def die(job_id: str, thing: str) -> None:
        raise TimeoutError(f"{job_id} {thing}")

    releasing.receives = 2
    failures = iter([die])
    releasing.jobs.cancel = lambda job_id, thing: next(failures, real)(job_id, thing)  # type: ignore[method-assign]

    releasing.order("cancel", releasing.case.id, request="request-9")

    assert releasing.queue.parked == []
    assert releasing.jobs.started[job_of(releasing)].executions[THING].status == "CANCELED"
    rotation = read_rotation(releasing.ledger, THING)
    assert rotation is not None
    assert rotation.state is RotationState.ROLLED_BACK


def test_the_same_order_again_changes_nothing(releasing: World) -> None:
    releasing.order("cancel", releasing.case.id, request="request-9")
    steps, cancelled = releasing.steps(), releasing.jobs.started[job_of(releasing)].executions[THING]

    order = Order(decision=Decision.CANCEL, case_id=releasing.case.id, who=OPERATOR, request="request-9")
    carry_out(order, releasing.context)

    assert releasing.steps() == steps
    assert releasing.jobs.started[job_of(releasing)].executions[THING] == cancelled
