"""The main job, once through: a violation comes in, the device is contained, examined, re-keyed and released."""

from datetime import timedelta

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    LOG,
    RESTRICTED_GROUP,
    THING,
    World,
    a_finding,
    a_world,
    contained,
    its_end,
)
from warden.cases.model import CaseState, Progress
from warden.containment.snapshot import ContainmentState, read_containment
from warden.core.actions import QUARANTINE
from warden.plan.actions import COLLECT_LOGS, ROTATE_CERTIFICATE


@pytest.fixture(name="world")
def _world() -> World:
    world = a_world()
    world.registry.group_policies["pumps"] = ["pumps-policy"]
    world.registry.group_policies["site-4"] = []
    world.registry.groups[THING] = ["pumps", "site-4"]
    return world


def release(world: World) -> None:
    world.order("release", world.case.id)
    world.device.work()
    world.drain()


def test_a_violation_restricts_the_device_before_anything_else(world: World) -> None:
    world.report(a_finding())

    assert world.is_restricted()
    assert world.registry.groups[THING] == ["site-4", RESTRICTED_GROUP]
    assert world.connections.asked == [THING]
    assert world.case.state is CaseState.CONTAINED
    assert world.case.outcomes[QUARANTINE].progress is Progress.DONE
    assert world.case.outcomes[COLLECT_LOGS].progress is Progress.STARTED


def test_a_contained_device_still_answers_its_jobs(world: World) -> None:
    case = contained(world)

    assert case.outcomes[COLLECT_LOGS].progress is Progress.DONE
    assert list(world.evidence.objects.values()) == [LOG]
    assert case.outcomes[COLLECT_LOGS].detail == f"syslog: {len(LOG)} bytes, sha256 as announced"


def test_no_rotation_is_begun_on_a_suspected_device_unasked(world: World) -> None:
    contained(world)

    assert world.jobs.of(ROTATE_CERTIFICATE) == []


def test_a_contained_device_is_disconnected_a_second_time(world: World) -> None:
    contained(world)

    world.sweep(after=timedelta(minutes=7))
    assert world.connections.asked == [THING]

    world.sweep(after=timedelta(minutes=2))
    world.sweep(after=timedelta(minutes=30))
    assert world.connections.asked == [THING, THING]
    assert world.steps().count("second-disconnect") == 1


def test_a_release_restores_what_was_taken_on_a_new_certificate(world: World) -> None:
    old = world.device.certificate
    contained(world)

    release(world)

    new = world.device.certificate
    assert new != old
    assert world.policies() == {new: {DEVICE_POLICY}}
    assert sorted(world.registry.groups[THING]) == ["pumps", "site-4"]
    assert world.active_certificates() == [new]
    assert world.case.state is CaseState.CLOSED
    assert world.case.resolution == "released"
    containment = read_containment(world.ledger, THING)
    assert containment is not None
    assert containment.state is ContainmentState.RELEASED


def test_the_old_certificate_is_inactive_and_belongs_to_no_thing_after_the_release(world: World) -> None:
    old = world.device.certificate
    contained(world)

    release(world)

    assert world.certificates.stored[old].status == "INACTIVE"
    assert world.registry.things_of(old) == []


def test_the_old_certificate_is_deleted_after_its_grace(world: World) -> None:
    old = world.device.certificate
    contained(world)
    release(world)

    world.sweep(after=timedelta(days=6, hours=23))
    assert old in world.certificates.stored

    world.sweep(after=timedelta(hours=2))
    assert old not in world.certificates.stored
    assert world.active_certificates() == [world.device.certificate]


def test_a_device_released_on_its_old_certificate_keeps_it(world: World) -> None:
    old = world.device.certificate
    contained(world)

    world.order("release-keeping-certificate", world.case.id)

    assert world.policies() == {old: {DEVICE_POLICY}}
    assert world.active_certificates() == [old]
    assert world.jobs.of(ROTATE_CERTIFICATE) == []
    assert world.case.state is CaseState.CLOSED


def test_a_released_device_is_disconnected_so_that_it_picks_its_rights_up(world: World) -> None:
    contained(world)
    before = len(world.connections.asked)

    world.order("release-keeping-certificate", world.case.id)

    assert len(world.connections.asked) == before + 1


def test_people_hear_of_the_containment_and_of_the_end(world: World) -> None:
    contained(world)
    release(world)

    assert world.notices.subjects == [
        "Fleet Warden: contained: pump-3 (high)",
        "Fleet Warden: closed: pump-3 (high)",
    ]


def test_the_timeline_tells_the_whole_story_once(world: World) -> None:
    contained(world)
    release(world)

    assert world.steps() == [
        "finding",
        "decided",
        "admitted",
        "quarantine-done",
        "collect-logs-started",
        "contained",
        "notified",
        "logs-announced",
        "collect-logs-done",
        "release",
        "rotate-certificate-started",
        "new-certificate-in-use",
        "rotate-certificate-done",
        "released",
        "notified",
    ]


def test_nothing_is_due_when_the_job_is_done_but_the_old_certificate(world: World) -> None:
    contained(world)
    release(world)
    world.sweep(after=timedelta(minutes=8))

    assert [record["type"] for record in world.ledger.of_type("retirement") if "due" in record] == ["retirement"]
    assert [record for record in world.ledger.of_type("job") if "due" in record] == []
    assert [record for record in world.ledger.of_type("containment") if "due" in record] == []


def test_an_alarm_that_clears_leaves_a_contained_device_to_the_operator(world: World) -> None:
    contained(world)

    world.report(its_end(a_finding()))

    assert world.case.state is CaseState.CONTAINED
    assert world.is_restricted()
    assert not world.case.finding_is_open


def test_the_other_devices_are_never_touched() -> None:
    world = a_world("pump-3", "pump-1", "pump-2")
    before = {thing: world.policies(thing) for thing in ("pump-1", "pump-2")}

    contained(world)
    release(world)

    assert {thing: world.policies(thing) for thing in ("pump-1", "pump-2")} == before
    assert set(world.connections.asked) == {"pump-3"}
    assert {job.thing for job in world.jobs.started.values()} == {"pump-3"}


@pytest.mark.parametrize("thing", ["p" * 128, "plant1:pump-9", ":" * 128])
def test_any_name_that_a_thing_may_have_goes_the_whole_way(thing: str) -> None:
    world = a_world(thing)

    contained(world)
    release(world)

    assert world.case.state is CaseState.CLOSED
    assert world.policies(thing) == {world.device.certificate: {DEVICE_POLICY}}
    assert all(len(job_id) <= 64 and job_id.replace("-", "").isalnum() for job_id in world.jobs.started)
