"""Rotations that are not of the plain kind: shared and second certificates, key algorithms, policies by type."""

from __future__ import annotations

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
    NOON,
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
from warden.cases import Case, CaseState, Progress
from warden.findings import Subject, SubjectType
from warden.plan import ROTATE_CERTIFICATE
from warden.rotation import RotationState, read_rotation, retirement_key

GRACE = timedelta(days=7)


def a_planned_world(rotation: str, *things: str) -> World:
    """Build a world whose plan has these lines in its table of rotation."""
    return a_world(*things, plan=PLAN.replace("[[rule]]", f"[rotation]\n{rotation}\n\n[[rule]]", 1))


def begin(world: World, thing: str = THING, **changes: Any) -> str:
    """Find a thing's certificate too old; gives the job that is on the device's hands now."""
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
    detach, ended = sharing.certificates.detach_thing, []

    def detach_second(certificate: str, thing: str) -> None:
        if not ended:
            ended.append(thing)
            end(sharing, jobs[1])
        detach(certificate, thing)

    sharing.certificates.detach_thing = detach_second  # type: ignore[method-assign]  # overtaken just there

    end(sharing, jobs[0])

    assert ended == ["pump-1"]
    assert sharing.registry.things_of(shared) == []
    assert status_of(sharing, shared) == "INACTIVE"
    assert sharing.ledger.read(retirement_key(shared)) is not None


def test_a_crash_while_the_last_one_leaves_retires_it_all_the_same(sharing: World) -> None:
    shared = sharing.device.certificate
    for thing in ("pump-2", "pump-3"):
        renew(sharing, thing)
    job = begin(sharing, "pump-1")
    sharing.device.create()
    sharing.device.confirm()
    real = sharing.certificates.deactivate

    def crash(certificate: str) -> None:
        sharing.certificates.deactivate = real  # type: ignore[method-assign]  # once
        raise Crash(certificate)

    sharing.certificates.deactivate = crash  # type: ignore[method-assign]  # gone, just before it retires the last
    sharing.receives = 3
    end(sharing, job)

    assert sharing.queue.parked == []
    assert (status_of(sharing, shared), sharing.registry.things_of(shared)) == ("INACTIVE", [])


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
    assert world.steps().count("device request refused") == 1


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
    """Give the first device another certificate, made by somebody else."""
    certificate = f"{key:064x}"
    world.certificates.enrol(certificate, a_key(key).pem, policies)
    world.certificates.stored[certificate].status = status
    world.registry.attached.append((certificate, world.device.thing))
    return certificate
