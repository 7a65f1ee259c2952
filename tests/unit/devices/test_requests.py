"""What devices ask for: every rotation's end, certificates, uploads, and everything that is refused."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.fakes import (
    DEVICE_POLICY,
    LOG,
    RESTRICTED_POLICY,
    THING,
    AwsError,
    Crash,
    FakeDevice,
    World,
    a_finding,
    a_job_event,
    a_key,
    a_world,
    an_old_certificate,
    contained,
)
from warden.cases.model import CaseState, Progress
from warden.cases.outbox import outbox_key
from warden.core.errors import Refused
from warden.devices.jobs import look_key
from warden.devices.requests import request_from
from warden.devices.rotation_records import RotationState, read_rotation
from warden.plan.actions import COLLECT_LOGS, ROTATE_CERTIFICATE

ENDINGS = ["SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED"]


@pytest.fixture(name="world")
def _world() -> World:
    """A device whose job to rotate is IN_PROGRESS."""
    world = a_world()
    world.report(an_old_certificate())
    world.jobs.move(rotation_job(world), "IN_PROGRESS")
    return world


@pytest.fixture(name="device")
def _device(world: World) -> FakeDevice:
    return world.device


def rotation_job(world: World) -> str:
    return world.jobs.of(ROTATE_CERTIFICATE)[-1]


def refusal(answer: tuple[str, dict[str, Any]]) -> str:
    verdict, payload = answer
    assert verdict == "rejected", payload
    assert payload["message"]
    return str(payload["code"])


# --- every rotation ends -------------------------------------------------------------------------------------------


def nothing(device: FakeDevice) -> None:
    """The device never asked."""


def create(device: FakeDevice) -> None:
    device.create()


def create_and_confirm(device: FakeDevice) -> None:
    device.create()
    device.confirm()


@pytest.mark.parametrize("ending", [*ENDINGS, "deleted", "silence"])
@pytest.mark.parametrize("got_as_far_as", [nothing, create, create_and_confirm])
def test_every_end_of_a_job_leaves_one_active_certificate(
    world: World, device: FakeDevice, got_as_far_as: Callable[[FakeDevice], None], ending: str
) -> None:
    old = device.certificate
    got_as_far_as(device)

    if ending == "silence":
        world.sweep(after=timedelta(hours=25))
    elif ending == "deleted":
        world.jobs.delete(rotation_job(world))
        world.drain()
    else:
        world.jobs.move(rotation_job(world), ending)
        world.drain()

    forward = got_as_far_as is create_and_confirm
    assert world.active_certificates() == [device.certificate]
    assert (device.certificate != old) is forward
    assert world.policies() == {device.certificate: {DEVICE_POLICY}}
    assert world.case.outcomes[ROTATE_CERTIFICATE].progress is (Progress.DONE if forward else Progress.FAILED)
    rotation = read_rotation(world.ledger, THING)
    assert rotation is not None
    assert rotation.state is (RotationState.FINISHED if forward else RotationState.ROLLED_BACK)
    assert set(world.certificates.stored) == ({old, device.certificate} if forward else {old})


def test_a_silent_devices_job_is_cancelled(world: World) -> None:
    world.sweep(after=timedelta(hours=25))

    assert world.jobs.started[rotation_job(world)].status == "CANCELED"


def test_a_job_is_not_given_up_before_its_deadline(world: World, device: FakeDevice) -> None:
    world.sweep(after=timedelta(hours=23))
    create_and_confirm(device)
    world.jobs.move(rotation_job(world), "SUCCEEDED")
    world.drain()

    assert world.case.resolution == "rotated"


def test_success_that_nobody_saw_is_none(world: World) -> None:
    world.jobs.move(rotation_job(world), "SUCCEEDED")
    world.drain()

    assert "never seen in use" in world.case.outcomes[ROTATE_CERTIFICATE].detail
    assert world.case.state is CaseState.OPEN


def test_an_end_that_jobs_does_not_confirm_is_only_looked_at_again(world: World) -> None:
    before, job = dict(world.ledger.records), rotation_job(world)

    world.jobs.events.append(a_job_event(job, THING, "FAILED", number=666))
    world.drain()

    assert {key: text for key, text in world.ledger.records.items() if key != look_key(job, THING)} == before


def test_a_confirmation_after_the_roll_back_is_refused(world: World, device: FakeDevice) -> None:
    device.create()
    candidate = device.candidate
    world.sweep(after=timedelta(hours=25))

    assert refusal(device.ask("certificate/confirm", {}, over=candidate)) == "not-yours"
    assert world.active_certificates() == [device.certificate]


def test_a_second_rotation_waits_for_no_first(world: World) -> None:
    world.report(an_old_certificate(id="audit-2", kind="certificate-shared"))

    assert world.cases[-1].outcomes[ROTATE_CERTIFICATE].progress is Progress.FAILED
    assert "under way already" in world.cases[-1].outcomes[ROTATE_CERTIFICATE].detail
    assert len(world.jobs.started) == 1


def test_a_device_can_rotate_again_later(world: World, device: FakeDevice) -> None:
    create_and_confirm(device)
    world.jobs.move(rotation_job(world), "SUCCEEDED")
    world.drain()
    world.clock.advance(timedelta(days=400))

    world.report(an_old_certificate(id="audit-2", observed_at=world.clock()))
    device.work()
    world.drain()

    assert [case.resolution for case in world.cases] == ["rotated", "rotated"]
    assert world.active_certificates() == [device.certificate]


# --- asking again --------------------------------------------------------------------------------------------------


def test_the_same_request_gets_the_same_certificate(world: World, device: FakeDevice) -> None:
    _, first = device.create()
    _, second = device.create()

    assert first["certificateId"] == second["certificateId"]
    assert first["certificatePem"] == second["certificatePem"]
    assert world.certificates.issued == 1


def test_the_same_request_gets_the_same_certificate_after_the_confirmation(device: FakeDevice) -> None:
    csr = device.next_key.csr
    _, first = device.create()
    device.confirm()

    verdict, second = device.create(csr)

    assert verdict == "accepted"
    assert second["certificateId"] == first["certificateId"]


def test_confirming_twice_is_confirming_once(world: World, device: FakeDevice) -> None:
    create_and_confirm(device)

    verdict, _ = device.ask("certificate/confirm", {})

    assert verdict == "accepted"
    assert world.steps().count("new-certificate-in-use") == 1


def test_a_device_that_lost_its_new_key_gets_another_certificate_and_the_first_is_gone(
    world: World, device: FakeDevice
) -> None:
    _, first = device.create()
    device.keys += 1

    verdict, second = device.create()

    assert verdict == "accepted"
    assert first["certificateId"] not in world.certificates.stored
    assert world.active_certificates() == [device.certificate, second["certificateId"]]


def test_a_device_that_loses_key_after_key_is_given_up(world: World, device: FakeDevice) -> None:
    for _ in range(5):
        assert device.create()[0] == "accepted"
        device.keys += 1

    assert refusal(device.create()) == "too-many-requests"
    assert len(world.certificates.stored) == 2


def test_a_late_copy_of_an_earlier_request_takes_nothing_away(world: World, device: FakeDevice) -> None:
    device.create()
    first = device.next_key.csr
    device.keys += 1
    _, second = device.create()

    assert refusal(device.create(first)) == "csr-known-key"
    assert second["certificateId"] in world.active_certificates()


@pytest.mark.parametrize("what", ["issue", "commit"])
def test_two_copies_of_one_request_at_once_make_one_certificate(world: World, device: FakeDevice, what: str) -> None:
    """The second copy is answered whole in the middle of the first, just after the certificate was made."""
    copies = iter([device.next_key.csr])
    real = world.certificates.issue

    def issue_and_be_overtaken(csr: str, thing: str) -> Any:
        if what == "issue":
            overtake()
        made = real(csr, thing)
        if what == "commit":
            overtake()
        return made

    def overtake() -> None:
        for csr in copies:
            device.create(csr)

    world.certificates.issue = issue_and_be_overtaken  # type: ignore[method-assign]  # the other copy

    verdict, answer = device.create()

    assert verdict == "accepted"
    assert len(world.certificates.stored) == 2
    assert world.active_certificates() == [device.certificate, answer["certificateId"]]


def test_a_confirmation_in_the_middle_of_another_request_is_not_undone(world: World, device: FakeDevice) -> None:
    """A second, different request must not take away what the device is confirming at that very moment."""
    old = device.certificate
    _, first = device.create()
    confirmed: list[str] = []
    real = world.ledger.read

    def read_and_confirm(key: Any) -> Any:
        if key.sort.startswith("KEY#") and not confirmed:
            confirmed.append(key.sort)
            device.confirm()
        return real(key)

    world.ledger.read = read_and_confirm  # type: ignore[method-assign]  # the confirmation overtakes the request
    answer = device.ask("certificate/create", {"csr": a_key(150).csr}, over=old)

    assert refusal(answer) == "already-confirmed"
    assert first["certificateId"] in world.active_certificates()


def test_a_certificate_given_up_just_before_a_crash_goes_with_the_roll_back(world: World, device: FakeDevice) -> None:
    old = device.certificate
    device.create()
    device.keys += 1
    real = world.certificates.delete

    def refuse(certificate_id: str) -> None:
        raise AwsError(f"ThrottlingException: {certificate_id}")

    world.certificates.delete = refuse  # type: ignore[method-assign]  # for as long as the device asks
    with pytest.raises(AwsError):
        device.create()
    world.certificates.delete = real  # type: ignore[method-assign]

    world.sweep(after=timedelta(hours=25))

    assert set(world.certificates.stored) == {old}


def test_a_certificate_made_just_before_a_crash_goes_with_the_roll_back(world: World, device: FakeDevice) -> None:
    old = device.certificate
    real = world.certificates.issue

    def make_and_crash(csr: str, thing: str) -> Any:
        real(csr, thing)
        raise Crash

    world.certificates.issue = make_and_crash  # type: ignore[method-assign]  # and nobody asks again
    with pytest.raises(Crash):
        device.create()
    assert len(world.certificates.stored) == 2

    world.sweep(after=timedelta(hours=25))

    assert set(world.certificates.stored) == {old}


def test_a_certificate_given_up_inside_a_quarantine_is_no_drift_at_the_release() -> None:
    world = a_world()
    first = contained(world)
    world.order("release", first.id)
    job = rotation_job(world)
    world.jobs.move(job, "IN_PROGRESS")
    world.device.create()
    world.report(a_finding(id="violation-2", kind="aws:num-messages-sent"))
    world.device.keys += 1

    create_and_confirm(world.device)
    world.jobs.move(job, "SUCCEEDED")
    world.drain()
    world.order("release-keeping-certificate", world.cases[-1].id)

    assert [case.resolution for case in world.cases] == ["released", "released"]
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


# --- a quarantine in the middle ------------------------------------------------------------------------------------


def _calls_of_create() -> int:
    world = a_world()
    world.report(an_old_certificate())
    world.jobs.move(rotation_job(world), "IN_PROGRESS")
    counter = Interrupter(world, 0)
    world.device.create()
    return counter.calls


class Interrupter:
    """Lets something happen in the world just before the nth call of a request to registry, certificates or ledger."""

    def __init__(self, world: World, nth: int) -> None:
        self.world, self.nth, self.calls, self.done = world, nth, 0, False
        self.is_within_a_call = False
        for port in (world.ledger, world.registry, world.certificates, world.jobs):
            for name in dir(port):
                if not name.startswith("_") and callable(getattr(port, name)):
                    setattr(port, name, self._watched(getattr(port, name)))

    def _watched(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            if self.is_within_a_call:  # a fake that asks another
                return real(*args, **named)
            self.calls += 1
            if self.calls == self.nth and not self.done:
                self.done = True
                self.world.report(a_finding())
            self.is_within_a_call = True
            try:
                return real(*args, **named)
            finally:
                self.is_within_a_call = False

        return call


@pytest.mark.parametrize("crash", [False, True])
@pytest.mark.parametrize("nth", range(1, _calls_of_create() + 1))
def test_a_quarantine_that_begins_anywhere_in_a_request_takes_the_rotation_back(nth: int, crash: bool) -> None:
    world = a_world(receives=3)
    old = world.device.certificate
    world.report(an_old_certificate())
    job = rotation_job(world)
    world.jobs.move(job, "IN_PROGRESS")
    interrupter = Interrupter(world, nth)

    world.device.create()
    if crash:  # the device lost its power and asks once more
        assert refusal(world.device.create()) in ("rotation-over", "no-job")

    assert interrupter.done
    assert world.queue.parked == []
    assert world.is_restricted()
    contained_case = next(case for case in world.cases if case.kind == "aws:all-bytes-out")
    assert contained_case.state is CaseState.CONTAINED
    assert world.jobs.started[job].executions[THING].status == "CANCELED"

    world.drain()
    assert world.active_certificates() == [old]
    world.order("release-keeping-certificate", contained_case.id)
    assert world.policies() == {old: {DEVICE_POLICY}}


def test_a_new_certificate_of_a_contained_device_is_restricted_too() -> None:
    world = a_world()
    contained(world)
    world.order("release", world.case.id)
    world.jobs.move(rotation_job(world), "IN_PROGRESS")

    _, answer = world.device.create()

    assert world.policies()[answer["certificateId"]] == {RESTRICTED_POLICY}


def test_a_device_whose_certificate_another_contained_thing_shares_is_asked_to_wait(
    world: World, device: FakeDevice
) -> None:
    world.registry.add_thing("pump-4")
    world.registry.attached.append((device.certificate, "pump-4"))
    world.report(a_finding("pump-4"))

    assert refusal(device.create()) == "restricted"


# --- certificate/create refused ------------------------------------------------------------------------------------


def a_csr(key: Any, algorithm: Any = hashes.SHA256()) -> str:  # noqa: B008 - a constant without state
    return (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .sign(key, algorithm)
        .public_bytes(Encoding.PEM)
        .decode()
    )


def with_a_broken_signature() -> str:
    csr = x509.load_pem_x509_csr(a_key(7).csr.encode()).public_bytes(Encoding.DER)
    broken = csr[:-1] + bytes([csr[-1] ^ 1])
    return x509.load_der_x509_csr(broken).public_bytes(Encoding.PEM).decode()


def of_version_two() -> str:
    csr = x509.load_pem_x509_csr(a_key(7).csr.encode()).public_bytes(Encoding.DER)
    return in_pem(csr.replace(b"\x02\x01\x00", b"\x02\x01\x02", 1))


def without_line_breaks() -> str:
    """Make a request that AWS IoT would read, but not with the line breaks that PEM should have."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "u" * size) for size in [64] * 37 + [14]])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    der = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.DER)
    return in_pem(der)


def in_pem(der: bytes) -> str:
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{b64encode(der).decode()}\n-----END CERTIFICATE REQUEST-----\n"


CSR_FAULTS: dict[str, tuple[Callable[[], object], str]] = {
    "none": (lambda: None, "csr-missing"),
    "empty": (lambda: "", "csr-missing"),
    "a number": (lambda: 7, "csr-missing"),
    "junk": (lambda: "please", "csr-unreadable"),
    "a lone surrogate": (lambda: "-----BEGIN \ud800", "csr-unreadable"),
    "junk in a PEM": (
        lambda: "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
        "csr-unreadable",
    ),
    "a certificate": (lambda: a_key(7).pem, "csr-unreadable"),
    "two PEMs": (lambda: a_key(7).csr + a_key(8).csr, "csr-unreadable"),
    "more than AWS IoT reads": (lambda: a_key(7).csr.ljust(4097), "csr-too-large"),
    "more than AWS IoT reads once it has its line breaks": (without_line_breaks, "csr-too-large"),
    "of a version that was never defined": (of_version_two, "csr-unreadable"),
    "a broken signature": (with_a_broken_signature, "csr-signature"),
    "RSA 1024": (lambda: a_csr(rsa.generate_private_key(65537, 1024)), "csr-weak-key"),  # noqa: S505 - weak on purpose
    "secp256k1": (lambda: a_csr(ec.generate_private_key(ec.SECP256K1())), "csr-weak-key"),
    "Ed25519": (lambda: a_csr(ed25519.Ed25519PrivateKey.generate(), None), "csr-weak-key"),
}


@pytest.mark.parametrize("name", CSR_FAULTS)
def test_a_signing_request_that_may_not_be_signed_is_refused(world: World, device: FakeDevice, name: str) -> None:
    make, code = CSR_FAULTS[name]

    assert refusal(device.ask("certificate/create", {"csr": make()})) == code

    assert world.certificates.issued == 0
    assert world.refusals == [code]
    assert "device-request-refused" in world.steps()


def test_what_a_device_puts_around_its_request_goes_nowhere(world: World, device: FakeDevice) -> None:
    csr = device.next_key.csr

    assert device.create(f"Proc-Type: 4,ENCRYPTED\n{csr}trailing\x00garbage")[0] == "accepted"

    assert world.certificates.asked == [csr]


def test_strong_keys_of_every_kind_are_taken(device: FakeDevice) -> None:
    keys = [ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP521R1())]

    assert [device.create(a_csr(key))[0] for key in keys] == ["accepted", "accepted"]


def test_the_key_the_device_has_already_is_not_certified_again(device: FakeDevice) -> None:
    assert refusal(device.create(a_key(100).csr)) == "csr-known-key"


def test_a_key_of_an_earlier_rotation_is_not_certified_again(world: World, device: FakeDevice) -> None:
    first = device.next_key.csr
    device.create()
    world.jobs.move(rotation_job(world), "FAILED")
    world.drain()
    world.report(an_old_certificate(id="audit-2", kind="another"))
    world.jobs.move(rotation_job(world), "IN_PROGRESS")

    assert refusal(device.create(first)) == "csr-known-key"


@pytest.mark.parametrize("what", ["certificate/create", "certificate/confirm", "logs/create"])
def test_a_device_is_refused_on_another_devices_topic(world: World, what: str) -> None:
    thief = world.enrol("pump-4")

    answer = thief.ask(what, {"csr": thief.next_key.csr, "jobId": rotation_job(world)}, thing=THING)

    assert refusal(answer) == "not-yours"
    assert world.certificates.issued == 0
    assert "device-request-refused" in world.steps()


def test_a_device_without_a_job_is_refused() -> None:
    world = a_world()

    assert refusal(world.device.create()) == "no-job"
    assert refusal(world.device.ask("certificate/confirm", {})) == "no-job"
    assert refusal(world.device.ask("logs/create", {"jobId": "job-1", "files": []})) == "no-job"


@pytest.mark.parametrize("status", ["QUEUED", *ENDINGS])
def test_a_job_that_is_not_in_progress_opens_no_door(world: World, device: FakeDevice, status: str) -> None:
    world.jobs.started[rotation_job(world)].status = status

    assert refusal(device.create()) == "no-job"


def test_the_new_certificate_may_not_ask_for_the_next(device: FakeDevice) -> None:
    device.create()

    answer = device.ask("certificate/create", {"csr": a_key(160).csr}, over=device.candidate)

    assert refusal(answer) == "not-the-old-certificate"


def test_the_old_certificate_may_not_confirm(device: FakeDevice) -> None:
    device.create()

    assert refusal(device.ask("certificate/confirm", {})) == "not-the-new-certificate"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", "payload-not-json"),
        (b"\xff\xfe", "payload-not-json"),
        (b"[]", "payload-not-json"),
        (b"[" * 60_000, "payload-not-json"),
        (b'{"clientToken": "' + b"a" * 70_000 + b'"}', "payload-too-large"),
        (b'{"clientToken": "t", "clientToken": "u"}', "payload-not-json"),
        (b'{"clientToken": NaN}', "payload-not-json"),
        ('{"clientToken": "t"}'.encode("utf-16"), "payload-not-json"),
        (b"{}", "client-token"),
        (b'{"clientToken": ""}', "client-token"),
        (b'{"clientToken": 7}', "client-token"),
        (json.dumps({"clientToken": "a" * 65}).encode(), "client-token"),
    ],
)
def test_a_payload_that_cannot_be_read_is_refused(world: World, device: FakeDevice, payload: bytes, code: str) -> None:
    assert refusal(world.device_says(THING, "certificate/create", device.certificate, payload)) == code


def test_an_unknown_request_is_on_record_and_not_answered(world: World, device: FakeDevice) -> None:
    assert world.device_says(THING, "certificate/steal", device.certificate, b"{}") == ("", {})

    assert world.refusals == ["unknown-request"]


def test_the_same_refusal_again_and_again_is_one_line_in_the_timeline(world: World, device: FakeDevice) -> None:
    for _ in range(20):
        device.ask("certificate/create", {"csr": "please"})

    assert world.steps().count("device-request-refused") == 1


def test_requests_that_nobody_knows_are_one_line_in_the_timeline_whatever_they_are_called(
    world: World, device: FakeDevice
) -> None:
    for number in range(40):
        world.device_says(THING, f"certificate/steal-{number}", device.certificate, b"{}")

    assert world.steps().count("device-request-refused") == 1
    assert len(world.refusals) == 40


def test_however_many_certificates_ask_the_case_stays_small(world: World, device: FakeDevice) -> None:
    csr = json.dumps({"clientToken": "t", "csr": device.next_key.csr}).encode()

    for number in range(40):
        stranger = sha256(f"{number}".encode()).hexdigest()
        assert world.device_says(THING, "certificate/create", stranger, csr)[1]["code"] == "not-yours"

    assert world.steps().count("device-request-refused") == len(world.outbox.refusals_seen) == 20
    assert len(world.refusals) == 40


def test_a_device_whose_last_case_is_forgotten_gets_its_answer(world: World, device: FakeDevice) -> None:
    case = world.case
    for key in (case.key, outbox_key(case.id)):
        world.ledger.records.pop(key, None)

    assert refusal(device.ask("certificate/create", {"csr": "please"})) == "csr-unreadable"
    assert world.refusals == ["csr-unreadable"]


@pytest.mark.parametrize(
    "change",
    [
        {"thing": ""},
        {"thing": "a b"},
        {"thing": "pump\u2028"},
        {"thing": "a" * 129},
        {"principal": None},
        {"payload": "%%"},
        {"payload": "\xfc"},
        {"payload": 7},
        {"verb": ["create"]},
    ],
)
def test_what_the_rule_would_not_write_is_no_request(change: dict[str, Any]) -> None:
    message = {
        "thing": THING,
        "resource": "certificate",
        "verb": "create",
        "principal": "a" * 64,
        "client": THING,
        "payload": "e30=",
    }

    with pytest.raises(Refused, match="not-a-device-request"):
        request_from({**message, **change})


# --- retirement ----------------------------------------------------------------------------------------------------


@pytest.fixture(name="retired")
def _retired(world: World, device: FakeDevice) -> tuple[World, str]:
    old = device.certificate
    create_and_confirm(device)
    world.jobs.move(rotation_job(world), "SUCCEEDED")
    world.drain()
    return world, old


def test_a_retired_certificate_that_an_old_list_shows_on_its_thing_is_deleted_all_the_same(
    retired: tuple[World, str],
) -> None:
    world, old = retired
    real = world.registry.things_of
    world.registry.things_of = lambda certificate_id: [THING] if certificate_id else []  # type: ignore[method-assign]  # a list that shows what was
    world.sweep(after=timedelta(days=8))
    assert old in world.certificates.stored

    world.registry.things_of = real  # type: ignore[method-assign]
    world.sweep(after=timedelta(minutes=8))

    assert old not in world.certificates.stored


def test_a_retired_certificate_that_is_in_use_again_is_kept(retired: tuple[World, str]) -> None:
    world, old = retired
    world.certificates.activate(old)

    world.sweep(after=timedelta(days=8))
    world.sweep(after=timedelta(minutes=8))

    assert old in world.certificates.stored
    assert world.ledger.of_type("retirement")[0]["outcome"] == "kept"
    assert world.queue.parked == []


def test_a_retired_certificate_that_would_register_itself_again_is_kept_inactive(retired: tuple[World, str]) -> None:
    world, old = retired
    world.certificates.stored[old].ca = "c" * 64

    world.sweep(after=timedelta(days=8))

    assert world.certificates.stored[old].status == "INACTIVE"
    [retirement] = world.ledger.of_type("retirement")
    assert (retirement["outcome"], "due" in retirement) == ("kept-inactive", False)


def test_a_retired_certificate_that_somebody_deleted_is_settled(retired: tuple[World, str]) -> None:
    world, old = retired
    world.certificates.delete(old)

    world.sweep(after=timedelta(days=8))

    assert world.ledger.of_type("retirement")[0]["outcome"] == "deleted"


def test_a_certificate_retired_a_second_time_is_deleted_after_all(retired: tuple[World, str]) -> None:
    world, old = retired
    world.certificates.activate(old)
    world.sweep(after=timedelta(days=8))
    world.registry.attached.append((old, THING))

    world.report(an_old_certificate(id="audit-2", observed_at=world.clock()))
    world.device.work()
    world.drain()
    world.sweep(after=timedelta(days=8))

    assert set(world.certificates.stored) == {world.device.certificate}


# --- logs ----------------------------------------------------------------------------------------------------------


@pytest.fixture(name="logging")
def _logging() -> World:
    """A contained device whose job to collect logs is IN_PROGRESS."""
    world = a_world()
    world.report(a_finding())
    world.jobs.move(log_job(world), "IN_PROGRESS")
    return world


def log_job(world: World) -> str:
    return world.jobs.of(COLLECT_LOGS)[-1]


def a_file(**changes: Any) -> dict[str, Any]:
    return {"name": "syslog", "bytes": len(LOG), "sha256": sha256(LOG).hexdigest(), **changes}


def announce(world: World, *files: Any, job: object = "") -> tuple[str, dict[str, Any]]:
    return world.device.ask("logs/create", {"jobId": job or log_job(world), "files": list(files)})


def test_a_form_is_for_this_job_this_size_and_this_digest_alone(logging: World) -> None:
    _, answer = announce(logging, a_file())

    (form,) = logging.evidence.forms
    assert form["key"].startswith(f"cases/{logging.case.id}/{log_job(logging)}/")
    assert (form["size"], form["sha256"]) == (len(LOG), sha256(LOG).hexdigest())
    assert form["lifetime"] <= timedelta(minutes=5)
    assert [upload["name"] for upload in answer["uploads"]] == ["syslog"]


def test_announcing_again_gets_fresh_forms_for_the_same_files(logging: World) -> None:
    _, first = announce(logging, a_file())
    _, second = announce(logging, a_file())

    assert first["uploads"] == second["uploads"]
    assert logging.steps().count("logs-announced") == 1


def test_announcing_other_files_is_refused(logging: World) -> None:
    announce(logging, a_file())

    assert refusal(announce(logging, a_file(bytes=1))) == "files-changed"


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "<script>", "log?x=#y", "=cmd()", "ü" * 128])
def test_no_byte_of_a_name_reaches_the_key(logging: World, name: str) -> None:
    verdict, answer = announce(logging, a_file(name=name))

    assert verdict == "accepted"
    assert answer["uploads"][0]["name"] == name
    assert logging.evidence.forms[0]["key"].replace("/", "").replace("-", "").isalnum()


@pytest.mark.parametrize(
    "files",
    [
        [],
        [a_file()] * 2,
        [a_file(name=f"log-{number}") for number in range(11)],
        ["syslog"],
        [a_file(name="")],
        [a_file(name="a" * 129)],
        [a_file(name="a\nb")],
        [a_file(name="a\x00")],
        [a_file(name="\ud800")],
        [a_file(name=7)],
        [a_file(bytes=-1)],
        [a_file(bytes=10 * 1024 * 1024 + 1)],
        [a_file(bytes=True)],
        [a_file(bytes=1.5)],
        [a_file(bytes="9")],
        [a_file(sha256="")],
        [a_file(sha256="A" * 64)],
        [a_file(sha256="a" * 63)],
        [a_file(sha256=None)],
    ],
)
def test_an_announcement_that_cannot_be_is_refused(logging: World, files: list[Any]) -> None:
    assert refusal(announce(logging, *files)) == "files-invalid"
    assert logging.evidence.forms == []


@pytest.mark.parametrize("job", ["", "a" * 65, "a\nb", "a b", "warden-other", "\ud800", "../..", 7, None, ["job"]])
def test_a_job_id_that_is_none_of_ours_is_refused(logging: World, job: object) -> None:
    answer = logging.device.ask("logs/create", {"jobId": job, "files": [a_file()]})

    assert refusal(answer) == "no-job"


def test_logs_are_not_taken_for_a_job_of_another_kind(world: World) -> None:
    assert refusal(announce(world, a_file(), job=rotation_job(world))) == "no-job"


def test_a_log_job_that_is_over_opens_no_door(logging: World) -> None:
    logging.jobs.started[log_job(logging)].status = "SUCCEEDED"

    assert refusal(announce(logging, a_file())) == "no-job"


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (None, "not in the bucket as announced: syslog"),
        (b"something else", "not in the bucket as announced: syslog"),
        (LOG[:-1] + b"!", "not in the bucket as announced: syslog"),
    ],
)
def test_logs_that_did_not_arrive_as_announced_are_a_failure(logging: World, there: bytes | None, said: str) -> None:
    announce(logging, a_file())
    if there is not None:
        logging.evidence.objects[logging.evidence.forms[0]["key"]] = there

    logging.jobs.move(log_job(logging), "SUCCEEDED")
    logging.drain()

    outcome = logging.case.outcomes[COLLECT_LOGS]
    assert outcome.progress is Progress.FAILED
    assert said in outcome.detail
    assert logging.case.state is CaseState.CONTAINED


def test_a_device_that_announced_nothing_has_sent_nothing(logging: World) -> None:
    logging.jobs.move(log_job(logging), "SUCCEEDED")
    logging.drain()

    assert "announced no files" in logging.case.outcomes[COLLECT_LOGS].detail


def test_logs_that_arrived_count_whatever_the_job_says_of_itself(logging: World) -> None:
    logging.device.upload(log_job(logging))
    logging.jobs.move(log_job(logging), "FAILED")
    logging.drain()

    assert logging.case.outcomes[COLLECT_LOGS].progress is Progress.DONE


def test_an_empty_log_is_a_log(logging: World) -> None:
    logging.device.logs = {"syslog": b""}
    logging.device.upload(log_job(logging))
    logging.jobs.move(log_job(logging), "SUCCEEDED")
    logging.drain()

    assert logging.case.outcomes[COLLECT_LOGS].progress is Progress.DONE


def test_an_operator_can_ask_for_the_logs_again(logging: World) -> None:
    logging.device.run(log_job(logging))
    logging.drain()

    logging.order("collect-logs", logging.case.id)
    logging.device.work()
    logging.drain()

    assert len(logging.jobs.of(COLLECT_LOGS)) == 2
    assert logging.case.outcomes[COLLECT_LOGS].progress is Progress.DONE
    assert logging.case.state is CaseState.CONTAINED
