"""Rotations that are not of the plain kind: shared and second certificates, key algorithms, policies by type."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.fakes import (
    DEVICE_POLICY,
    PLAN,
    RESTRICTED_POLICY,
    THING,
    Crash,
    World,
    a_finding,
    a_key,
    a_world,
    an_old_certificate,
    contained,
)
from warden.cases.model import CaseState, Outcome, Progress
from warden.containment.desired import leave
from warden.core.errors import NotYet
from warden.core.findings import Subject, SubjectType
from warden.core.ledger import Put
from warden.core.ports import Disconnection
from warden.devices.rotation_records import retirement_key
from warden.plan.actions import ROTATE_CERTIFICATE

GRACE = timedelta(days=7)


def a_planned_world(rotation: str, *things: str) -> World:
    """Build a world whose plan has these lines in its table of rotation."""
    return a_world(*things, plan=PLAN.replace("[[rule]]", f"[rotation]\n{rotation}\n\n[[rule]]", 1))


def begin(world: World, thing: str = THING, **changes: Any) -> str:
    """Find a thing's certificate too old; return the job that is on the device's hands now."""
    world.report(an_old_certificate(thing, **changes))
    job = world.jobs.of(ROTATE_CERTIFICATE)[-1]
    world.jobs.move(job, "IN_PROGRESS", thing)
    return job


def end(world: World, job: str, status: str = "SUCCEEDED") -> None:
    world.jobs.move(job, status)
    world.drain()


def renew(world: World, thing: str = THING, **changes: Any) -> None:
    job = begin(world, thing, **changes)
    assert world.devices[thing].create()[0] == "accepted"
    assert world.devices[thing].confirm()[0] == "accepted"
    end(world, job)


def said_of(world: World, thing: str) -> str:
    (case,) = [case for case in world.cases if case.thing == thing]
    return case.outcomes[ROTATE_CERTIFICATE].detail


def status_of(world: World, certificate: str) -> str:
    return world.certificates.stored[certificate].status


# --- shared certificates -------------------------------------------------------------------------------------------


@pytest.fixture(name="sharing")
def _sharing() -> World:
    """Three things on one certificate, the first one's."""
    world = a_world("pump-1", "pump-2", "pump-3")
    shared = world.device.certificate
    for thing in ("pump-2", "pump-3"):
        world.registry.attached.remove((world.devices[thing].certificate, thing))
        del world.certificates.stored[world.devices[thing].certificate]
        world.registry.attached.append((shared, thing))
        world.devices[thing].certificate = shared
    return world


def test_each_thing_of_a_shared_certificate_gets_its_own_and_the_last_one_retires_it(sharing: World) -> None:
    shared = sharing.device.certificate

    for thing, left in (("pump-1", ["pump-2", "pump-3"]), ("pump-2", ["pump-3"]), ("pump-3", [])):
        renew(sharing, thing)
        assert sharing.registry.things_of(shared) == left
        assert status_of(sharing, shared) == ("ACTIVE" if left else "INACTIVE")

    own = {thing: sharing.active_certificates(thing) for thing in sharing.devices}
    assert own == {thing: [device.certificate] for thing, device in sharing.devices.items()}
    assert len({certificate for (certificate,) in own.values()}) == 3


def test_who_stays_on_a_shared_certificate_is_named_and_so_is_whom_nobody_moves(sharing: World) -> None:
    shared = sharing.device.certificate
    begin(sharing, "pump-2")

    renew(sharing, "pump-1")

    new = sharing.device.certificate[:12]
    assert said_of(sharing, "pump-1") == (
        f"now on {new}; {shared[:12]} stays in use by pump-2, pump-3; no rotation is under way for pump-3"
    )


def test_of_many_users_of_a_shared_certificate_three_are_named(sharing: World) -> None:
    shared = sharing.device.certificate
    sharing.registry.attached += [(shared, f"valve-{number}") for number in range(40)]

    renew(sharing, "pump-1")

    said = said_of(sharing, "pump-1")
    assert "stays in use by pump-2, pump-3, valve-0 and 39 more" in said
    assert said.endswith("no rotation is under way for pump-2, pump-3, valve-0 and 17 more")


def test_whose_rotation_is_over_and_still_uses_the_shared_one_is_named_too(sharing: World) -> None:
    end(sharing, begin(sharing, "pump-2"), "FAILED")

    renew(sharing, "pump-1")

    assert "no rotation is under way for pump-2, pump-3" in said_of(sharing, "pump-1")


def test_the_grace_of_a_shared_certificate_begins_when_the_last_has_moved(sharing: World) -> None:
    shared = sharing.device.certificate
    renew(sharing, "pump-1")
    sharing.sweep(after=GRACE - timedelta(days=1))
    renew(sharing, "pump-2", observed_at=sharing.clock())
    renew(sharing, "pump-3", observed_at=sharing.clock())

    sharing.sweep(after=GRACE - timedelta(days=1))
    assert shared in sharing.certificates.stored, "six days after the last has moved"
    sharing.sweep(after=timedelta(days=1))

    assert shared not in sharing.certificates.stored


def test_two_that_leave_a_shared_certificate_at_once_do_not_leave_it_to_each_other(sharing: World) -> None:
    """The other one ends wholly between the first one's look at who is there and its leaving."""
    shared = sharing.device.certificate
    renew(sharing, "pump-3")
    jobs = [begin(sharing, thing) for thing in ("pump-1", "pump-2")]
    for thing in ("pump-1", "pump-2"):
        sharing.devices[thing].create()
        sharing.devices[thing].confirm()
    detach = sharing.certificates.detach_thing
    ended: list[str] = []

    def detach_second(certificate_id: str, thing: str) -> None:
        if not ended:
            ended.append(thing)
            end(sharing, jobs[1])
        detach(certificate_id, thing)

    sharing.certificates.detach_thing = detach_second  # type: ignore[method-assign]  # overtaken just there

    end(sharing, jobs[0])

    assert ended == ["pump-1"]
    assert sharing.registry.things_of(shared) == []
    assert status_of(sharing, shared) == "INACTIVE"
    assert sharing.ledger.read(retirement_key(shared)) is not None


def test_the_last_one_to_leave_retires_it_though_the_list_still_shows_who_left_before(sharing: World) -> None:
    shared = sharing.device.certificate
    renew(sharing, "pump-1")
    renew(sharing, "pump-2")
    real = sharing.registry.things_of
    sharing.registry.things_of = lambda certificate_id: [  # type: ignore[method-assign]  # lists are eventually consistent
        *real(certificate_id),
        *(["pump-1", "pump-2"] if certificate_id == shared else []),
    ]

    renew(sharing, "pump-3")

    assert status_of(sharing, shared) == "INACTIVE"
    assert said_of(sharing, "pump-3").endswith(f"{shared[:12]} is out of use")


def test_one_that_leaves_while_this_one_does_is_known_by_the_record(sharing: World) -> None:
    shared = sharing.device.certificate
    renew(sharing, "pump-1")
    job = begin(sharing, "pump-2")
    assert sharing.devices["pump-2"].create()[0] == "accepted"
    assert sharing.devices["pump-2"].confirm()[0] == "accepted"
    asked = list[str]()

    def things_of(certificate_id: str) -> list[str]:
        asked.append(certificate_id)
        if asked.count(shared) == 2:
            leave(shared, "pump-3", sharing.context)  # another responder, just after this list was made
        return ["pump-2", "pump-3"] if certificate_id == shared else ["pump-2"]

    sharing.registry.things_of = things_of  # type: ignore[method-assign]  # two leave at once
    end(sharing, job)

    assert asked.count(shared) >= 2
    assert status_of(sharing, shared) == "INACTIVE"


def test_a_crash_while_the_last_one_leaves_retires_it_all_the_same(sharing: World) -> None:
    shared = sharing.device.certificate
    for thing in ("pump-2", "pump-3"):
        renew(sharing, thing)
    job = begin(sharing, "pump-1")
    sharing.device.create()
    sharing.device.confirm()
    real = sharing.certificates.deactivate

    def crash(certificate_id: str) -> str:
        sharing.certificates.deactivate = real  # type: ignore[method-assign]  # once
        raise Crash(certificate_id)

    sharing.certificates.deactivate = crash  # type: ignore[method-assign]  # gone, just before it retires the last
    sharing.receives = 3
    end(sharing, job)

    assert sharing.queue.parked == []
    assert (status_of(sharing, shared), sharing.registry.things_of(shared)) == ("INACTIVE", [])


def test_one_that_leaves_again_after_a_crash_is_known_to_the_last_one_though_a_list_still_shows_it(
    sharing: World,
) -> None:
    """The first attempt was gone twelve minutes ago: what counts is when the thing is really detached."""
    shared = sharing.device.certificate
    sharing.registry.attached.remove((shared, "pump-3"))
    jobs = {thing: begin(sharing, thing) for thing in ("pump-1", "pump-2")}
    for thing in jobs:
        sharing.devices[thing].create()
        sharing.devices[thing].confirm()
    leave(shared, "pump-1", sharing.context)
    sharing.clock.advance(timedelta(minutes=12))
    end(sharing, jobs["pump-1"])
    assert sharing.registry.things_of(shared) == ["pump-2"]
    real = sharing.registry.things_of
    sharing.registry.things_of = lambda certificate_id: [  # type: ignore[method-assign]  # lists are eventually consistent
        *real(certificate_id),
        *(["pump-1"] if certificate_id == shared else []),
    ]

    end(sharing, jobs["pump-2"])

    assert status_of(sharing, shared) == "INACTIVE"
    assert sharing.ledger.read(retirement_key(shared)) is not None


def test_a_contained_thing_is_off_a_shared_certificate_before_the_others_have_its_rights_again(sharing: World) -> None:
    shared = sharing.device.certificate
    sharing.report(a_finding("pump-1"))
    sharing.order("release", sharing.case.id)
    job = sharing.jobs.of(ROTATE_CERTIFICATE)[-1]
    sharing.jobs.move(job, "IN_PROGRESS")
    sharing.device.create()
    sharing.device.confirm()
    real, users = sharing.certificates.attach_policy, list[list[str]]()

    def attach(certificate_id: str, policy: str) -> None:
        if (certificate_id, policy) == (shared, DEVICE_POLICY):
            users.append(sharing.registry.things_of(shared))
        real(certificate_id, policy)

    sharing.certificates.attach_policy = attach  # type: ignore[method-assign]  # who has its rights at that moment

    end(sharing, job)

    assert users == [["pump-2", "pump-3"]]


def test_a_request_that_is_overtaken_by_the_whole_release_holds_nothing() -> None:
    """A copy of the request, delivered late: the device has confirmed meanwhile, and is being released."""
    world = a_world()
    case = contained(world)
    world.order("release", case.id)
    job = world.jobs.of(ROTATE_CERTIFICATE)[-1]
    world.jobs.move(job, "IN_PROGRESS")
    csr = {"csr": world.device.next_key.csr}
    assert world.device.create()[0] == "accepted"
    attach, disconnect = world.certificates.attach_thing, world.connections.disconnect

    def gone(client_id: str, *, forget: bool = False) -> Disconnection:
        world.connections.disconnect = disconnect  # type: ignore[method-assign]  # once
        raise Crash(client_id, forget)

    def attach_and_be_overtaken(certificate_id: str, thing: str) -> None:
        world.certificates.attach_thing = attach  # type: ignore[method-assign]  # once
        attach(certificate_id, thing)
        world.connections.disconnect = gone  # type: ignore[method-assign]  # the release is not over yet
        world.device.confirm()
        with suppress(Crash):
            end(world, job)

    world.certificates.attach_thing = attach_and_be_overtaken  # type: ignore[method-assign]  # just there

    verdict, answer = world.device.ask("certificate/create", csr)
    world.sweep(after=timedelta(minutes=12))

    assert (verdict, answer["code"]) == ("rejected", "no-job")
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
    assert world.case.state is CaseState.CLOSED


def test_a_request_that_is_overtaken_by_the_confirmation_changes_nothing_any_more() -> None:
    """The device was contained after it had confirmed, and is being released, before its rotation has ended."""
    world = a_world()
    begin(world)
    world.jobs.loses_events = True
    csr = {"csr": world.device.next_key.csr}
    assert world.device.create()[0] == "accepted"
    new = world.device.candidate
    attach, disconnect = world.certificates.attach_thing, world.connections.disconnect

    def gone(client_id: str, *, forget: bool = False) -> Disconnection:
        world.connections.disconnect = disconnect  # type: ignore[method-assign]  # once
        raise Crash(client_id, forget)

    def attach_and_be_overtaken(certificate_id: str, thing: str) -> None:
        world.certificates.attach_thing = attach  # type: ignore[method-assign]  # once
        attach(certificate_id, thing)
        world.device.confirm()
        world.report(a_finding())
        world.connections.disconnect = gone  # type: ignore[method-assign]  # the release is not over yet
        with suppress(Crash):
            world.order("release-keeping-certificate", world.cases[1].id)

    world.certificates.attach_thing = attach_and_be_overtaken  # type: ignore[method-assign]  # just there

    verdict, answer = world.device.ask("certificate/create", csr)
    world.sweep(after=timedelta(minutes=12))

    assert (verdict, answer["certificateId"]) == ("accepted", new)
    assert world.policies()[new] == {DEVICE_POLICY}


def test_a_request_that_is_overtaken_by_one_with_another_key_goes_no_further() -> None:
    world = a_world()
    begin(world)
    attach = world.certificates.attach_thing

    def attach_and_be_overtaken(certificate_id: str, thing: str) -> None:
        world.certificates.attach_thing = attach  # type: ignore[method-assign]  # once
        attach(certificate_id, thing)
        world.device.keys += 1
        assert world.device.create()[0] == "accepted"

    world.certificates.attach_thing = attach_and_be_overtaken  # type: ignore[method-assign]  # just there

    verdict, answer = world.device.ask("certificate/create", {"csr": world.device.next_key.csr})

    assert (verdict, answer["code"]) == ("rejected", "rotation-over")
    assert world.active_certificates() == [world.device.certificate, world.device.candidate]


# --- a detachment takes seconds -------------------------------------------------------------------------------------


def rolled_back(world: World) -> str:
    """Ask for a certificate as the device, and let its job fail; return the certificate."""
    world.certificates.detaches_after = timedelta(seconds=5)
    job = begin(world)
    world.device.create()
    end(world, job, "FAILED")
    assert rotation_of(world).progress is Progress.FAILED
    assert world.device.candidate in world.certificates.stored
    return world.device.candidate


def test_a_rotation_is_rolled_back_at_once_and_its_certificate_is_deleted_later() -> None:
    world = a_world()
    new = rolled_back(world)

    world.sweep(after=timedelta(minutes=8))

    assert new not in world.certificates.stored
    assert world.ledger.of_type("retirement")[0]["outcome"] == "deleted"


def test_a_certificate_that_a_request_made_active_meanwhile_is_deleted_all_the_same() -> None:
    """The request was being answered when the rotation was rolled back: an ACTIVE certificate of nobody's was left."""
    world = a_world()
    new = rolled_back(world)
    world.certificates.activate(new)

    world.sweep(after=timedelta(minutes=8))

    assert new not in world.certificates.stored


def test_one_that_a_request_makes_active_while_it_is_taken_back_does_not_hold_up_the_end() -> None:
    """The end of the job was delivered again after twelve minutes only, and the release said nothing until then."""
    world = a_world()
    job = begin(world)
    world.device.create()
    new, detach = world.device.candidate, world.certificates.detach_thing

    def detach_and_be_overtaken(certificate_id: str, thing: str) -> None:
        world.certificates.detach_thing = detach  # type: ignore[method-assign]  # once
        detach(certificate_id, thing)
        world.certificates.activate(certificate_id)

    world.certificates.detach_thing = detach_and_be_overtaken  # type: ignore[method-assign]  # just there

    end(world, job, "FAILED")
    assert rotation_of(world).progress is Progress.FAILED
    world.sweep(after=timedelta(minutes=8))

    assert new not in world.certificates.stored


def test_one_that_is_still_attached_by_then_is_deleted_by_a_later_sweep() -> None:
    world = a_world()
    new = rolled_back(world)
    world.registry.attached.append((new, THING))

    world.sweep(after=timedelta(minutes=8))
    world.sweep(after=timedelta(minutes=8))

    assert new not in world.certificates.stored


def test_a_device_that_lost_its_key_is_answered_while_its_last_certificate_is_still_attached() -> None:
    world = a_world()
    world.certificates.detaches_after = timedelta(seconds=5)
    begin(world)
    world.device.create()
    lost = world.device.candidate
    world.device.keys += 1

    assert world.device.create()[0] == "accepted"
    world.sweep(after=timedelta(minutes=8))

    assert lost not in world.certificates.stored
    assert world.device.candidate in world.certificates.stored


@pytest.mark.parametrize("shares", [False, True])
def test_a_device_is_released_while_its_old_certificate_is_still_attached(shares: bool) -> None:
    world = a_world()
    if shares:
        world.registry.add_thing("pump-4")
        world.registry.attached.append((world.device.certificate, "pump-4"))
    contained(world)
    world.certificates.detaches_after = timedelta(seconds=5)
    old = world.device.certificate

    world.order("release", world.case.id)
    world.device.work()
    world.drain()

    assert old in world.registry.certificates_of(THING), "for seconds"
    assert world.case.resolution == "released"


# --- AWS IoT's clock is not ours --------------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [timedelta(seconds=-9), timedelta(seconds=9)])
def test_a_certificate_that_a_crash_left_is_found_whatever_its_clock_says(apart: timedelta) -> None:
    world = a_world()
    world.aws_clock.apart = apart
    begin(world)
    real = world.ledger.commit

    def crash(*puts: Put) -> None:
        if any(put.record.get("state") == "issued" for put in puts):
            world.ledger.commit = real  # type: ignore[method-assign]  # once
            raise Crash
        real(*puts)

    world.ledger.commit = crash  # type: ignore[method-assign]  # gone, once the certificate is made
    world.receives = 2

    assert world.device.create()[0] == "accepted"
    assert world.certificates.issued == 1


@pytest.mark.parametrize("apart", [timedelta(seconds=-9), timedelta(seconds=9)])
def test_a_job_is_taken_whatever_its_clock_says(apart: timedelta) -> None:
    world = a_world(rotation_deadline=timedelta(minutes=1))
    world.aws_clock.apart = apart

    begin(world)

    assert len(world.jobs.started) == 1


# --- who may ask ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["certificate/create", "certificate/confirm", "logs/create"])
@pytest.mark.parametrize("status", ["INACTIVE", "REVOKED"])
def test_a_certificate_out_of_use_opens_nothing_over_a_session_that_is_still_open(what: str, status: str) -> None:
    world = a_world()
    job = begin(world)
    world.certificates.stored[world.device.certificate].status = status

    verdict, answer = world.device.ask(what, {"csr": world.device.next_key.csr, "jobId": job, "files": []})

    assert (verdict, answer["code"]) == ("rejected", "not-active")
    assert (world.certificates.issued, world.refusals) == (0, ["not-active"])
    assert world.steps().count("device-request-refused") == 1


def test_a_confirmation_over_a_new_certificate_that_is_out_of_use_is_none() -> None:
    world = a_world()
    job = begin(world)
    world.device.create()
    new = world.device.candidate
    world.certificates.deactivate(new)

    _, answer = world.device.ask("certificate/confirm", {}, over=new)
    end(world, job)

    assert answer["code"] == "not-active"
    assert world.active_certificates() == [world.device.certificate]
    assert new not in world.certificates.stored


# --- never a key this thing had before -----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [timedelta(hours=2), timedelta(days=30)])
def test_the_key_of_a_certificate_that_we_did_not_issue_is_known_after_its_end(after: timedelta) -> None:
    world = a_world()
    enrolment = world.device.certificate
    renew(world)
    world.sweep(after=after)
    assert (enrolment in world.certificates.stored) is (after < GRACE)
    begin(world, id="audit-2", observed_at=world.clock())

    verdict, answer = world.device.create(a_key(100).csr)

    assert (verdict, answer["code"]) == ("rejected", "csr-known-key")
    assert world.device.create()[0] == "accepted"


def test_a_key_of_any_of_its_two_certificates_is_known() -> None:
    world = a_world()
    second = add_a_certificate(world, 7)
    renew(world)
    assert status_of(world, second) == "INACTIVE"
    world.clock.advance(timedelta(hours=2))
    begin(world, id="audit-2", observed_at=world.clock())

    codes = [world.device.create(a_key(number).csr)[1]["code"] for number in (7, 100, 101)]

    assert codes == ["csr-known-key"] * 3


def test_a_key_of_another_thing_is_no_key_of_this_one() -> None:
    """That would tell a device which keys others have; AWS IoT takes a key twice."""
    world = a_world("pump-1", "pump-2")
    begin(world, "pump-1")

    assert world.device.create(a_key(200).csr)[0] == "accepted"


def test_the_subject_of_a_request_is_ignored() -> None:
    world = a_world("pump-1", "pump-2")
    begin(world, "pump-1")
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pump-2")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name)
    signed = csr.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()

    _, answer = world.device.create(signed)

    assert world.registry.things_of(answer["certificateId"]) == ["pump-1"]
    assert world.policies("pump-1")[answer["certificateId"]] == {DEVICE_POLICY}


def add_a_certificate(
    world: World, key: int, *, status: str = "ACTIVE", policies: tuple[str, ...] = (DEVICE_POLICY,)
) -> str:
    """Attach another certificate, made by somebody else, to the first device."""
    certificate = f"{key:064x}"
    world.certificates.enrol(certificate, a_key(key).pem, policies)
    world.certificates.stored[certificate].status = status
    world.registry.attached.append((certificate, world.device.thing))
    return certificate


# --- more than one certificate, or none ----------------------------------------------------------------------------


def test_a_thing_with_two_certificates_ends_on_one() -> None:
    world = a_world()
    first, second = world.device.certificate, add_a_certificate(world, 7)

    renew(world)

    assert world.active_certificates() == [world.device.certificate]
    assert [status_of(world, each) for each in (first, second)] == ["INACTIVE"] * 2
    new = world.device.certificate[:12]
    assert said_of(world, THING) == f"now on {new}; {first[:12]} is out of use; {second[:12]} is out of use"
    world.sweep(after=GRACE)
    assert set(world.certificates.stored) == {world.device.certificate}


def test_a_thing_with_two_certificates_that_does_not_confirm_keeps_both() -> None:
    world = a_world()
    both = [world.device.certificate, add_a_certificate(world, 7)]
    job = begin(world)
    world.device.create()

    end(world, job, "FAILED")

    assert world.active_certificates() == both
    assert set(world.certificates.stored) == set(both)


def test_a_device_may_ask_over_either_of_its_two_certificates_and_gets_what_that_one_may() -> None:
    world = a_world()
    second = add_a_certificate(world, 7, policies=("another-policy",))
    begin(world)

    _, answer = world.device.ask("certificate/create", {"csr": world.device.next_key.csr}, over=second)

    assert world.policies()[answer["certificateId"]] == {"another-policy"}


def test_a_certificate_on_no_thing_is_a_case_for_people() -> None:
    world = a_world()
    alone = add_a_certificate(world, 7)
    world.registry.attached.remove((alone, THING))

    world.report(an_old_certificate(subject=Subject(SubjectType.CERTIFICATE, alone)))

    assert (world.case.thing, world.case.state, world.jobs.started) == ("", CaseState.OPEN, {})
    assert ROTATE_CERTIFICATE not in world.case.outcomes
    assert status_of(world, alone) == "ACTIVE"


def test_a_thing_without_a_certificate_is_asked_for_nothing() -> None:
    world = a_world()
    world.registry.attached.clear()

    world.report(an_old_certificate())

    assert world.case.outcomes[ROTATE_CERTIFICATE].detail == f"{THING} has no certificate to rotate"
    assert world.jobs.started == {}


@pytest.mark.parametrize("what", ["set INACTIVE", "taken off the thing", "deleted"])
def test_a_new_certificate_that_somebody_takes_away_after_the_confirmation_is_not_what_the_device_is_left_with(
    what: str,
) -> None:
    world = a_world()
    old = world.device.certificate
    job = begin(world)
    world.device.create()
    world.device.confirm()
    new = world.device.certificate
    if what != "taken off the thing":
        world.certificates.deactivate(new)
    if what != "set INACTIVE":
        world.certificates.detach_thing(new, THING)
    if what == "deleted":
        world.certificates.delete(new)

    stored = {certificate: replace(each) for certificate, each in world.certificates.stored.items()}
    with pytest.raises(NotYet, match="is not shown as usable yet"):
        end(world, job)
    world.sweep(after=timedelta(hours=25))

    assert world.certificates.stored == stored, "its old key may be gone, so nothing is taken away"
    assert old in world.active_certificates()
    assert world.case.state is CaseState.OPEN
    assert f"is no longer usable; {old[:12]} and {new[:12]} are kept" in said_of(world, THING)


def test_a_quarantine_takes_the_job_of_a_rotation_back_so_that_a_release_can_rotate() -> None:
    world = a_world()
    old, job = world.device.certificate, begin(world)
    world.report(a_finding())
    held = next(case for case in world.cases if case.state is CaseState.CONTAINED)
    assert world.jobs.started[job].executions[THING].status == "CANCELED"

    world.order("release", held.id)
    world.device.work()
    world.drain()

    assert len(world.jobs.of(ROTATE_CERTIFICATE)) == 2
    assert world.device.certificate != old
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


# --- suspicion -----------------------------------------------------------------------------------------------------


def suspected() -> World:
    """Build a world with a device whose quarantine waits for an operator, while its certificate is found too old."""
    return a_world(plan=PLAN.replace('mode = "enforce"', 'mode = "approve"', 1))


def test_a_device_that_may_yet_be_contained_gets_no_job_to_rotate() -> None:
    world = suspected()
    world.report(a_finding())
    [waiting] = world.cases
    assert waiting.state is CaseState.AWAITING_APPROVAL

    world.report(an_old_certificate())

    assert world.jobs.of(ROTATE_CERTIFICATE) == []
    assert f"case {waiting.id} is open and may contain it" in rotation_of(world).detail


def test_a_device_that_comes_under_suspicion_meanwhile_gets_no_certificate() -> None:
    world = suspected()
    begin(world)
    world.report(a_finding())

    verdict, answer = world.device.create()

    assert (verdict, answer["code"]) == ("rejected", "suspected")
    assert len(world.certificates.stored) == 1


def test_a_device_that_comes_under_suspicion_before_it_confirms_stays_on_its_old_certificate() -> None:
    world = suspected()
    old, job = world.device.certificate, begin(world)
    world.device.create()
    world.report(a_finding())

    assert world.device.confirm()[1]["code"] == "suspected"
    end(world, job, "FAILED")

    assert world.active_certificates() == [old]


def test_a_device_is_renewed_once_its_case_is_dismissed() -> None:
    world = suspected()
    world.report(a_finding())
    world.order("dismiss", world.cases[0].id)

    renew(world)

    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


def test_a_rule_that_rotates_leaves_a_contained_device_alone() -> None:
    world = a_world()
    world.report(a_finding())
    [held] = world.cases

    world.report(an_old_certificate())

    assert world.jobs.of(ROTATE_CERTIFICATE) == []
    assert f"it is contained for {held.id}" in rotation_of(world).detail


def rotation_of(world: World) -> Outcome:
    [outcome] = [case.outcomes[ROTATE_CERTIFICATE] for case in world.cases if ROTATE_CERTIFICATE in case.outcomes]
    return outcome


# --- key algorithms ------------------------------------------------------------------------------------------------


KEYS: dict[str, Any] = {
    "EC_P256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EC_P384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "RSA_2048": lambda: rsa.generate_private_key(65537, 2048),
    "RSA_3072": lambda: rsa.generate_private_key(65537, 3072),
}


def csr_of(key: Any) -> str:
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    return request.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.parametrize("algorithm", ["", *KEYS])
def test_a_device_makes_the_key_that_the_plan_asks_for_and_ends_on_it(algorithm: str) -> None:
    world = a_planned_world(f'key_algorithm = "{algorithm}"' if algorithm else "")
    old, job = world.device.certificate, begin(world)
    asked_for = world.jobs.started[job].document["warden"]["keyAlgorithm"]
    key = KEYS[asked_for]()

    assert asked_for == (algorithm or "EC_P256")
    assert world.device.create(csr_of(key))[0] == "accepted"
    assert world.device.confirm()[0] == "accepted"
    end(world, job)

    new = world.certificates.stored[world.device.certificate]
    assert x509.load_pem_x509_certificate(new.pem.encode()).public_key() == key.public_key()
    assert world.active_certificates() == [world.device.certificate]
    assert (world.case.resolution, status_of(world, old)) == ("rotated", "INACTIVE")


def test_a_device_that_can_make_another_strong_key_only_is_taken() -> None:
    world = a_planned_world('key_algorithm = "RSA_3072"')
    begin(world)

    assert world.device.create(csr_of(KEYS["EC_P384"]()))[0] == "accepted"


# --- policies by the type of thing ---------------------------------------------------------------------------------


NARROWER = 'policies_by_type = { "meter-*" = ["meter-policy", "meter-telemetry"], "*-2" = ["other"] }'


def a_meter(thing_type: str = "meter-2", rotation: str = NARROWER) -> World:
    world = a_planned_world(rotation)
    world.registry.types[THING] = thing_type
    return world


@pytest.mark.parametrize(
    ("thing_type", "policies"),
    [
        ("meter-2", {"meter-policy", "meter-telemetry"}),  # the first that matches counts
        ("pump-2", {"other"}),
        ("pump", {DEVICE_POLICY}),
        ("", {DEVICE_POLICY}),
    ],
)
def test_a_new_certificate_gets_the_policies_of_its_type_or_else_those_of_the_old_one(
    thing_type: str, policies: set[str]
) -> None:
    world = a_meter(thing_type)

    renew(world)

    assert world.policies() == {world.device.certificate: policies}


def test_the_old_certificate_keeps_its_own_policies_until_it_goes() -> None:
    world = a_meter()
    old, job = world.device.certificate, begin(world)
    world.device.create()
    assert world.policies()[old] == {DEVICE_POLICY}

    end(world, job, "FAILED")

    assert world.policies() == {old: {DEVICE_POLICY}}


def test_a_contained_device_is_restricted_whatever_its_type_and_gets_back_exactly_what_it_had() -> None:
    world = a_meter()
    held = contained(world)
    world.order("release", held.id)
    job = world.jobs.of(ROTATE_CERTIFICATE)[-1]
    world.jobs.move(job, "IN_PROGRESS")

    _, answer = world.device.create()
    assert world.policies()[answer["certificateId"]] == {RESTRICTED_POLICY}
    world.device.confirm()
    end(world, job)

    assert (world.case.resolution, world.policies()) == ("released", {world.device.certificate: {DEVICE_POLICY}})


@pytest.mark.parametrize("gone", [{"meter-policy"}, {"meter-telemetry"}, {"meter-policy", "meter-telemetry"}])
def test_a_planned_policy_that_is_not_there_leaves_the_device_on_its_old_certificate(gone: set[str]) -> None:
    world = a_meter()
    old, job = world.device.certificate, begin(world)
    world.certificates.gone_policies |= gone

    answers = [world.device.create() for _ in range(2)]

    assert [(verdict, answer["code"]) for verdict, answer in answers] == [("rejected", "policy-gone")] * 2
    assert sorted(gone)[0] in answers[0][1]["message"]
    assert world.active_certificates() == [old]
    end(world, job, "FAILED")
    assert set(world.certificates.stored) == {old}
    assert world.policies() == {old: {DEVICE_POLICY}}


def test_a_planned_policy_that_is_there_again_is_given_when_the_device_asks_again() -> None:
    world = a_meter()
    begin(world)
    world.certificates.gone_policies |= {"meter-telemetry"}
    world.device.create()
    world.certificates.gone_policies.clear()

    verdict, answer = world.device.create()

    assert verdict == "accepted"
    assert world.policies()[answer["certificateId"]] == {"meter-policy", "meter-telemetry"}
    assert world.certificates.issued == 1


def test_a_thing_whose_type_changes_between_two_requests_has_the_policies_of_the_later() -> None:
    world = a_meter()
    begin(world)
    world.device.create()
    world.registry.types[THING] = "pump-2"

    _, answer = world.device.create()

    assert world.policies()[answer["certificateId"]] == {"other"}


def test_the_registry_is_not_asked_for_a_type_that_the_plan_does_not_name() -> None:
    world = a_world()
    begin(world)
    asked = []
    world.registry.thing = lambda name, **_: asked.append(name)  # type: ignore[method-assign]  # DescribeThing

    assert world.device.create()[0] == "accepted"
    assert asked == []
