"""Certificates that somebody else put out of use, REVOKED or under transfer: nothing waits for them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    NOON,
    RESTRICTED_GROUP,
    RESTRICTED_POLICY,
    THING,
    World,
    a_finding,
    a_key,
    a_world,
    an_old_certificate,
)
from warden.cases.model import Case, CaseState, Outcome, Progress
from warden.core.actions import QUARANTINE
from warden.core.findings import Severity, Source, Subject, SubjectType
from warden.devices.rotation_records import RotationState, read_rotation
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.actions.deactivate_certificate import deactivate_certificate

KEEP = "release-keeping-certificate"
SECOND = "b" * 64
STATUSES = ("REVOKED", "PENDING_TRANSFER")
GRACE = timedelta(days=7, minutes=5)

type PutOut = Callable[[World, str], None]


def put_out(world: World, certificate: str, status: str) -> None:
    if status == "REVOKED":
        world.certificates.revoke(certificate)
    else:
        world.certificates.transfer(certificate)


def status_of(world: World, certificate: str) -> str:
    return world.certificates.stored[certificate].status


def with_a_second(status: str) -> World:
    world = a_world()
    world.certificates.enrol(SECOND, a_key(900).pem, ["other-policy"])
    world.registry.attached.append((SECOND, THING))
    put_out(world, SECOND, status)
    return world


# --- a quarantine ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("status", STATUSES)
def test_a_device_with_one_is_contained_looked_at_in_silence_and_released(status: str, tells: bool) -> None:
    world = with_a_second(status)
    world.registry.tells_what_is_effective = tells
    before = world.policies()

    world.report(a_finding(kind="aws:num-messages-sent"))
    assert world.case.outcomes[QUARANTINE].progress is Progress.DONE
    assert world.policies()[world.device.certificate] == {RESTRICTED_POLICY}
    world.sweep(after=timedelta(minutes=8))
    steps = world.steps()
    world.sweep(after=timedelta(hours=1))
    assert world.steps() == steps
    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"
    assert world.policies() == before
    assert status_of(world, SECOND) == status


def test_a_device_whose_only_one_is_under_transfer_is_contained() -> None:
    world = a_world()
    world.certificates.transfer(world.device.certificate)

    world.report(a_finding(kind="aws:num-messages-sent"))

    assert world.case.state is CaseState.CONTAINED
    assert world.registry.groups[THING] == [RESTRICTED_GROUP]


def test_one_whose_transfer_is_cancelled_is_restricted_again() -> None:
    world = with_a_second("PENDING_TRANSFER")
    world.report(a_finding(kind="aws:num-messages-sent"))

    world.certificates.stored[SECOND].status = "INACTIVE"
    world.sweep(after=timedelta(hours=1))

    assert world.is_restricted()


def test_a_policy_that_an_active_certificate_does_not_take_is_a_failure_all_the_same() -> None:
    world = a_world()
    world.certificates.stored[world.device.certificate].policies.clear()
    world.certificates.gone_policies.add(RESTRICTED_POLICY)

    world.report(a_finding(kind="aws:num-messages-sent"))

    assert world.case.outcomes[QUARANTINE].progress is Progress.FAILED


# --- a rotation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "fate"), [("REVOKED", "deleted"), ("PENDING_TRANSFER", "kept")])
def test_an_old_one_does_not_keep_a_rotation_from_its_end(status: str, fate: str) -> None:
    world = a_world()
    world.report(an_old_certificate())
    old, [job] = world.device.certificate, world.jobs.of("rotate-certificate")
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.device.confirm()
    put_out(world, old, status)

    world.jobs.move(job, "SUCCEEDED")
    world.drain()

    assert world.case.outcomes[ROTATE_CERTIFICATE].progress is Progress.DONE
    assert world.case.outcomes[ROTATE_CERTIFICATE].detail.endswith(f"{old[:12]} is out of use")
    assert status_of(world, old) == status
    assert world.registry.things_of(old) == []
    world.sweep(after=GRACE)
    world.sweep(after=timedelta(minutes=8))
    [retired] = world.ledger.of_type("retirement")
    assert retired["outcome"] == fate
    assert (old in world.certificates.stored) is (fate == "kept")


@pytest.mark.parametrize("status", STATUSES)
def test_a_new_one_is_not_made_active_again(status: str) -> None:
    world = a_world()
    world.report(an_old_certificate())
    [job] = world.jobs.of("rotate-certificate")
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    new = world.device.candidate
    put_out(world, new, status)

    verdict, answer = world.device.create()

    assert (verdict, answer["code"]) == ("rejected", "rotation-over")
    assert status in answer["message"]
    assert status_of(world, new) == status


@pytest.mark.parametrize("status", STATUSES)
def test_a_new_one_does_not_keep_a_rotation_from_being_rolled_back(status: str) -> None:
    world = a_world()
    world.report(an_old_certificate())
    [job] = world.jobs.of("rotate-certificate")
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    new = world.device.candidate
    put_out(world, new, status)

    world.jobs.move(job, "FAILED")
    world.drain()

    rotation = read_rotation(world.ledger, THING)
    assert rotation is not None
    assert rotation.state is RotationState.ROLLED_BACK
    assert world.registry.certificates_of(THING) == [world.device.certificate]
    assert (new in world.certificates.stored) is (status == "PENDING_TRANSFER")
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


# --- the last resort -------------------------------------------------------------------------------------------------


def test_what_each_certificate_is_then_is_said() -> None:
    world = with_a_second("REVOKED")
    world.certificates.enrol("c" * 64, a_key(901).pem, [])
    world.registry.attached.append(("c" * 64, THING))
    world.registry.attached.append(("d" * 64, THING))  # deleted, and still listed
    case = Case(
        id="0123456789ab-1",
        problem="p",
        source=Source.GENERIC,
        kind="stolen",
        subject=Subject(SubjectType.THING, THING),
        thing=THING,
        severity=Severity.HIGH,
        title="stolen",
        state=CaseState.RESPONDING,
        opened_at=NOON,
        findings={},
        attributes={},
        evidence={},
    )

    outcome = deactivate_certificate(case, world.context)

    first = world.device.certificate[:12]
    said = f"INACTIVE: {first}, cccccccccccc; REVOKED: bbbbbbbbbbbb; gone: dddddddddddd"
    assert outcome == Outcome(Progress.DONE, said)
    assert status_of(world, SECOND) == "REVOKED"
