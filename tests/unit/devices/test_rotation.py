"""A rotation's records, its two ends, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    NOON,
    RESTRICTED_POLICY,
    THING,
    Crash,
    FakeLedger,
    World,
    a_key,
    a_world,
    an_old_certificate,
    contained,
)
from warden.cases.model import CaseState, Progress
from warden.containment.snapshot import read_containment
from warden.core.ledger import Key, Put
from warden.core.ports import Certificate
from warden.devices.rotation import certificate_with_key, end_rotation, new_rotation
from warden.devices.rotation_records import (
    Rotation,
    RotationState,
    key_record,
    read_rotation,
    retirement_key,
    retirement_put,
    rotation_key,
    rotation_put,
    save_rotation,
)
from warden.plan.actions import ROTATE_CERTIFICATE

OLD, NEW = "a" * 64, "b" * 64

EVERYTHING = Rotation(
    thing=THING,
    job_id="warden-1",
    case_id="case-1",
    state=RotationState.ISSUED,
    old=(OLD,),
    new=NEW,
    request="request",
    key="key",
    issuing_since=NOON,
    issued=2,
    spent=("c" * 64,),
    confirmed_at=NOON,
    version=4,
)


@pytest.fixture(name="world")
def _world() -> World:
    """A device whose job to rotate is IN_PROGRESS."""
    world = a_world()
    world.report(an_old_certificate())
    world.jobs.move(job_of(world), "IN_PROGRESS")
    return world


def job_of(world: World) -> str:
    return world.jobs.of(ROTATE_CERTIFICATE)[-1]


def rotation_of(world: World, thing: str = THING) -> Rotation:
    rotation = read_rotation(world.ledger, thing)
    assert rotation is not None
    return rotation


def touched(world: World) -> list[str]:
    """Note every certificate that is deactivated, detached or deleted from now on."""
    seen: list[str] = []
    certificates = world.certificates
    real_deactivate, real_detach, real_delete = certificates.deactivate, certificates.detach_thing, certificates.delete

    def deactivate(certificate_id: str) -> str:
        seen.append(certificate_id)
        return real_deactivate(certificate_id)

    def detach_thing(certificate_id: str, thing: str) -> None:
        seen.append(certificate_id)
        real_detach(certificate_id, thing)

    def delete(certificate_id: str) -> None:
        seen.append(certificate_id)
        real_delete(certificate_id)

    certificates.deactivate = deactivate  # type: ignore[method-assign]  # the same, and noted
    certificates.detach_thing = detach_thing  # type: ignore[method-assign]  # the same, and noted
    certificates.delete = delete  # type: ignore[method-assign]  # the same, and noted
    return seen


# --- records -------------------------------------------------------------------------------------------------------


def test_a_rotation_is_written_whole_and_read_as_it_was_written() -> None:
    ledger = FakeLedger()

    assert rotation_put(EVERYTHING) == Put(
        Key("THING#pump-3", "ROTATION"),
        {
            "type": "rotation",
            "v": 1,
            "thing": "pump-3",
            "job_id": "warden-1",
            "case_id": "case-1",
            "state": "issued",
            "old": [OLD],
            "new": NEW,
            "request": "request",
            "key": "key",
            "issuing_since": "2026-11-22T12:00:00.000000Z",
            "issued": 2,
            "spent": ["c" * 64],
            "confirmed_at": "2026-11-22T12:00:00.000000Z",
        },
        4,
    )
    saved = save_rotation(ledger, replace(EVERYTHING, version=0))
    assert saved == replace(EVERYTHING, version=1)
    assert read_rotation(ledger, THING) == saved


def test_a_rotation_just_requested_is_read_as_it_was_written() -> None:
    ledger = FakeLedger()
    first = save_rotation(ledger, new_rotation(None, thing=THING, job_id="warden-1", case_id="case-1", old=[OLD]))
    ended = save_rotation(ledger, replace(first, state=RotationState.FINISHED))

    again = new_rotation(ended, thing=THING, job_id="warden-2", case_id="case-2")

    assert first == Rotation(
        thing=THING, job_id="warden-1", case_id="case-1", state=RotationState.REQUESTED, old=(OLD,), version=1
    )
    assert rotation_put(first).record["issuing_since"] == ""
    assert again == Rotation(
        thing=THING, job_id="warden-2", case_id="case-2", state=RotationState.REQUESTED, old=(), version=2
    )
    assert save_rotation(ledger, again) == read_rotation(ledger, THING)


def test_a_key_and_a_retirement_have_a_record_each() -> None:
    assert key_record(THING, "digest", NEW) == Put(
        Key("THING#pump-3", "KEY#digest"), {"type": "key", "thing": "pump-3", "certificate": NEW}, 0
    )
    assert retirement_put(OLD, THING, NOON, 3) == Put(
        Key(f"CERTIFICATE#{OLD}", "RETIREMENT"),
        {
            "type": "retirement",
            "certificate": OLD,
            "thing": "pump-3",
            "due": "due",
            "due_at": "2026-11-22T12:00:00.000000Z",
        },
        3,
    )


@pytest.mark.parametrize("state", list(RotationState))
def test_a_rotation_is_over_when_it_went_forward_or_back(state: RotationState) -> None:
    over = state in (RotationState.FINISHED, RotationState.ROLLED_BACK, RotationState.STRANDED)

    assert replace(EVERYTHING, state=state).is_over is over


# --- ends ----------------------------------------------------------------------------------------------------------


def test_a_device_that_never_asked_is_left_as_it_is(world: World) -> None:
    world.certificates.enrol(NEW, a_key(900).pem, [])
    world.certificates.deactivate(NEW)  # somebody's, made by hand
    seen = touched(world)

    ended = end_rotation(rotation_of(world), world.context)

    assert ended.state is RotationState.ROLLED_BACK
    assert seen == []
    assert world.active_certificates() == [world.device.certificate]


def test_a_certificate_that_was_asked_for_and_never_made_needs_no_withdrawing(world: World) -> None:
    asked = replace(rotation_of(world), state=RotationState.ISSUING, issuing_since=world.clock(), key="key")
    save_rotation(world.ledger, asked)
    seen = touched(world)

    assert end_rotation(rotation_of(world), world.context).state is RotationState.ROLLED_BACK
    assert seen == []


def test_a_certificate_made_just_before_a_crash_goes_when_the_device_asks_with_another_key(world: World) -> None:
    old, real = world.device.certificate, world.certificates.issue

    def make_and_crash(csr: str, thing: str) -> Certificate:
        real(csr, thing)
        raise Crash

    world.certificates.issue = make_and_crash  # type: ignore[method-assign]  # once
    with pytest.raises(Crash):
        world.device.create()
    world.certificates.issue = real  # type: ignore[method-assign]  # the next function
    world.device.keys += 1  # its power was cut too, and the key is lost

    verdict, answer = world.device.create()

    assert verdict == "accepted"
    assert set(world.certificates.stored) == {old, answer["certificateId"]}


def test_everything_that_was_issued_is_withdrawn(world: World) -> None:
    _, first = world.device.create()
    world.device.keys += 1
    _, second = world.device.create()
    seen = touched(world)

    end_rotation(rotation_of(world), world.context)

    assert second["certificateId"] in seen
    assert {first["certificateId"], second["certificateId"]}.isdisjoint(world.certificates.stored)


def test_a_certificate_is_found_again_by_its_key_among_those_made_since(world: World) -> None:
    device = world.device
    _, made = device.create()
    fingerprint = rotation_of(world).key
    world.certificates.deactivate(made["certificateId"])

    assert certificate_with_key(fingerprint, NOON, world.context) == made["certificateId"]
    assert certificate_with_key("another", NOON, world.context) is None
    later = world.clock() + timedelta(days=1)
    assert certificate_with_key(fingerprint, later, world.context) is None


def test_two_that_end_a_rotation_at_once_end_it_once(world: World) -> None:
    world.device.create()
    world.device.confirm()
    real = world.certificates.deactivate
    rotation = rotation_of(world)

    def deactivate_and_be_overtaken(certificate_id: str) -> str:
        world.certificates.deactivate = real  # type: ignore[method-assign]  # once
        end_rotation(rotation, world.context)
        world.clock.advance(timedelta(hours=1))
        return real(certificate_id)

    world.certificates.deactivate = deactivate_and_be_overtaken  # type: ignore[method-assign]  # another responder

    assert end_rotation(rotation, world.context) == rotation_of(world)
    assert rotation_of(world).state is RotationState.FINISHED
    [retirement] = world.ledger.of_type("retirement")
    assert retirement["due_at"] == "2026-11-29T12:00:00.000000Z", "seven days after the first end"


@pytest.mark.parametrize(
    ("due", "kept"),
    [
        ({"due": "due", "due_at": "2026-11-25T12:00:00.000000Z"}, "2026-11-25T12:00:00.000000Z"),
        ({}, "2026-11-29T12:00:00.000000Z"),
    ],
)
def test_a_retirement_that_waits_keeps_its_day_and_one_that_was_settled_gets_another(
    world: World, due: dict[str, str], kept: str
) -> None:
    old = world.device.certificate
    known = {"type": "retirement", "certificate": old, "thing": THING, **due}
    world.ledger.commit(Put(retirement_key(old), known, 0))
    world.device.create()
    world.device.confirm()

    end_rotation(rotation_of(world), world.context)

    retirement = world.ledger.read(retirement_key(old))
    assert retirement is not None
    assert (retirement["due"], retirement["due_at"]) == ("due", kept)


@pytest.mark.parametrize("works", [True, False])
def test_a_rotation_inside_a_quarantine_moves_the_snapshot_only_when_it_goes_forward(works: bool) -> None:
    world = a_world()
    case = contained(world)
    old = world.device.certificate
    world.order("release", case.id)
    world.jobs.move(job_of(world), "IN_PROGRESS")
    world.device.create()
    if works:
        world.device.confirm()

    ended = end_rotation(rotation_of(world), world.context)

    containment = read_containment(world.ledger, THING)
    assert containment is not None
    assert containment.is_active
    assert ended.state is (RotationState.FINISHED if works else RotationState.ROLLED_BACK)
    assert containment.policies == {ended.new if works else old: (DEVICE_POLICY,)}
    assert world.certificates.stored[old].policies == [RESTRICTED_POLICY], "nothing is given back before the release"


def test_a_certificate_of_its_own_is_retired_beside_one_that_it_shared(world: World) -> None:
    shared, own = OLD, world.device.certificate
    world.enrol("pump-4")
    world.certificates.enrol(shared, a_key(900).pem, [DEVICE_POLICY])
    world.registry.attached += [(shared, THING), (shared, "pump-4")]
    save_rotation(world.ledger, replace(rotation_of(world), old=(shared, own)))
    world.device.create()
    world.device.confirm()

    ended = end_rotation(rotation_of(world), world.context)

    assert ended.state is RotationState.FINISHED
    assert world.registry.certificates_of(THING) == [ended.new]
    assert [world.certificates.stored[each].status for each in (shared, own)] == ["ACTIVE", "INACTIVE"]
    assert [record["certificate"] for record in world.ledger.of_type("retirement")] == [own]


# --- beginnings ----------------------------------------------------------------------------------------------------


def test_a_thing_without_a_certificate_cannot_rotate() -> None:
    world = a_world()
    world.registry.attached.clear()

    world.report(an_old_certificate())

    outcome = world.case.outcomes[ROTATE_CERTIFICATE]
    assert (outcome.progress, outcome.detail) == (Progress.FAILED, f"{THING} has no certificate to rotate")
    assert read_rotation(world.ledger, THING) is None


def test_a_rotation_begins_with_what_the_device_has_and_a_deadline(world: World) -> None:
    case = world.case
    assert case.state is CaseState.RESPONDING
    assert rotation_of(world) == Rotation(
        thing=THING,
        job_id=job_of(world),
        case_id=case.id,
        state=RotationState.REQUESTED,
        old=(world.device.certificate,),
        version=1,
    )
    [job] = world.ledger.of_type("job")
    assert (job["action"], job["case_id"], job["thing"]) == (ROTATE_CERTIFICATE, case.id, THING)
    assert (job["began_at"], job["due_at"]) == ("2026-11-22T12:00:00.000000Z", "2026-11-23T12:00:00.000000Z")


def test_another_rotation_is_named_by_its_case(world: World) -> None:
    first = world.case.id

    world.report(an_old_certificate(id="audit-2", kind="certificate-shared"))

    said = world.cases[-1].outcomes[ROTATE_CERTIFICATE].detail
    assert said == f"a rotation of {THING} is under way already, for case {first}"
    assert rotation_key(THING) == Key(f"THING#{THING}", "ROTATION")
