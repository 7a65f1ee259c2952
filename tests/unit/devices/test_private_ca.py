"""Rotation where AWS Private CA signs, with its calls and the registration failing at every point, late, and forgetful.

Here runs the real adapter's making of a certificate, over an authority in memory; all else is the fakes'.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.aws_stand_in.authority import AuthorityClient
from tests.aws_stand_in.private_ca import AUTHORITY, TOKENS_LAST, says
from tests.fakes import World, _StoredCertificate, a_key, a_world, an_old_certificate
from tests.port_wire import Fate, Wire, Wired, wired
from tests.unit.test_settings import LEAST
from warden.aws.certificates import IotCertificates
from warden.aws.private_ca import PrivateAuthority
from warden.core.errors import NotYet
from warden.devices.csr import key_of_certificate
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.settings import settings_from

PREFIX = "arn:aws:iot:us-east-1:000000000000:"


class AlreadyThereError(ClientError):
    """AWS IoT's ResourceAlreadyExistsException."""


class Registrations:
    """The two calls of AWS IoT that the making of a certificate needs, on the certificates of a world."""

    def __init__(self, world: World) -> None:
        self._world = world

    def register_certificate_without_ca(self, *, certificatePem: str, status: str) -> dict[str, str]:  # noqa: N803 - AWS's
        made = sha256(x509.load_pem_x509_certificate(certificatePem.encode()).public_bytes(Encoding.DER)).hexdigest()
        stored = self._world.certificates.stored
        if made in stored:
            said: Any = {"Error": {"Code": "ResourceAlreadyExistsException", "Message": ""}, "resourceId": made}
            raise AlreadyThereError(said, "RegisterCertificateWithoutCA")
        stored[made] = _StoredCertificate(certificatePem, status, self._world.clock().replace(microsecond=0))
        return {"certificateId": made}

    def describe_certificate(self, *, certificateId: str) -> dict[str, Any]:  # noqa: N803 - AWS's
        stored = self._world.certificates.stored[certificateId]
        described = {"certificateId": certificateId, "status": stored.status, "certificatePem": stored.pem}
        times = {"creationDate": stored.created_at, "lastModifiedDate": stored.changed_at or stored.created_at}
        return {"certificateDescription": {**described, **times}}


@dataclass
class Private:
    """A world whose certificates an authority signs."""

    world: World
    authority: AuthorityClient


def a_private_world(wire: Wire, *, late: int = 0, tokens_last: timedelta = TOKENS_LAST) -> Private:
    """Make one, with the wire on every call of AWS that the making of a certificate takes, and on every port."""
    world = a_world(receives=5)
    authority = AuthorityClient(world.clock, late=late, tokens_last=tokens_last)
    iot: Any = Wired("iot", Registrations(world), wire)
    iot.exceptions = SimpleNamespace(ResourceAlreadyExistsException=AlreadyThereError)
    iot.meta = SimpleNamespace(events=SimpleNamespace(register=lambda *_: None))  # it is never retried here
    pca: Any = Wired("acm-pca", authority, wire)
    signed = PrivateAuthority(pca, AUTHORITY, days=730, arn_prefix=PREFIX, sleep=lambda _: None)
    world.certificates.issue = IotCertificates(iot, PREFIX, signed).issue  # type: ignore[method-assign]
    return Private(wired(world, wire), authority)


# --- the flows -----------------------------------------------------------------------------------------------------


def rotate(world: World) -> None:
    world.report(an_old_certificate())
    world.device.work()
    world.drain()


def begin(world: World) -> None:
    world.report(an_old_certificate())
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.move(job, "IN_PROGRESS")


def lose_the_key_once(world: World) -> None:
    begin(world)
    world.device.create()
    world.device.keys += 1
    world.device.create()
    world.device.confirm()
    world.jobs.move(world.jobs.of(ROTATE_CERTIFICATE)[0], "SUCCEEDED")
    world.drain()


def fail_with_a_certificate(world: World) -> None:
    begin(world)
    world.device.create()
    world.jobs.move(world.jobs.of(ROTATE_CERTIFICATE)[0], "FAILED")
    world.drain()


FLOWS: dict[str, Callable[[World], None]] = {
    "rotate": rotate,
    "lose-the-key-once": lose_the_key_once,
    "fail-with-a-certificate": fail_with_a_certificate,
}


def run(name: str, wire: Wire, **authority: Any) -> Private:
    private = a_private_world(wire, **authority)
    FLOWS[name](private.world)
    private.world.sweep()
    return private


def state_of(private: Private) -> dict[str, object]:
    """Write down what must be as after one clean run; certificates are told by their keys, as their ids differ."""
    world = private.world
    keys = {a_key(number).fingerprint: f"key {number}" for number in range(100, 103)}
    names = {each: keys[key_of_certificate(stored.pem)] for each, stored in world.certificates.stored.items()}
    return {
        "certificates": sorted(
            (names[each], stored.status, sorted(stored.policies), world.registry.things_of(each))
            for each, stored in world.certificates.stored.items()
        ),
        "rotations": [(each["state"], names.get(each["new"], "none")) for each in world.ledger.of_type("rotation")],
        "cases": [(case.state, case.resolution) for case in world.cases],
        "timeline": sorted(what for what in world.steps() if what != "notified"),
        "parked": world.queue.parked,
        "refused": world.refusals,
    }


@pytest.mark.parametrize(
    ("name", "certificates"),
    [
        ("rotate", [("key 100", "INACTIVE"), ("key 101", "ACTIVE")]),
        ("lose-the-key-once", [("key 100", "INACTIVE"), ("key 102", "ACTIVE")]),
        ("fail-with-a-certificate", [("key 100", "ACTIVE")]),
    ],
)
def test_a_rotation_ends_in_one_certificate_that_the_authority_signed(
    name: str, certificates: list[tuple[str, str]]
) -> None:
    private = run(name, Wire())

    state = state_of(private)
    assert [(key, status) for key, status, *_ in state["certificates"]] == certificates  # type: ignore[attr-defined]
    assert (state["parked"], state["refused"]) == ([], [])
    active = [private.world.certificates.stored[each].pem for each in private.world.active_certificates()]
    assert [pem in private.authority.issued.values() for pem in active] == [name != "fail-with-a-certificate"]


@pytest.mark.parametrize("fate", [Fate.BEFORE, Fate.AFTER])
@pytest.mark.parametrize("name", FLOWS)
def test_an_authority_that_forgets_what_it_was_asked_leaves_nothing_of_it_with_aws_iot(name: str, fate: Fate) -> None:
    """Beyond the five minutes of its token a request is a new one: what was signed before it is registered nowhere.

    For a request within those minutes, tests/faults checks at every call that it is signed once.
    """
    clean = Wire()
    private = run(name, clean, tokens_last=timedelta(0))
    points, expected, certified = clean.calls, state_of(private), len(private.authority.issued)
    twice = 0

    for nth in range(1, points + 1):
        wire = Wire()
        wire.arm(nth, fate)
        private = run(name, wire, tokens_last=timedelta(0))
        assert wire.struck, "the run was shorter than the clean one"
        assert state_of(private) == expected, f"call {nth}, {wire.struck}"
        twice += len(private.authority.issued) > certified

    assert points >= 60
    assert twice > 0


@pytest.mark.parametrize("late", [1, 5, 6, 11])
def test_a_late_authority_is_waited_for_over_as_many_deliveries_as_it_takes(late: int) -> None:
    """Six looks are made in a delivery, and within the token's five minutes there are two deliveries."""
    punctual = state_of(run("rotate", Wire()))

    private = run("rotate", Wire(), late=late)

    assert state_of(private) == punctual
    assert len(private.authority.issued) == 1


def test_an_authority_that_is_never_done_leaves_the_device_as_it_was() -> None:
    private = a_private_world(Wire(), late=1_000_000)
    world = private.world
    begin(world)
    old = world.device.certificate

    with pytest.raises(NotYet, match="still making"):
        world.device.create()
    world.sweep(after=timedelta(hours=25))

    assert set(world.certificates.stored) == {old}
    assert world.active_certificates() == [old]
    assert [each["state"] for each in world.ledger.of_type("rotation")] == ["rolled-back"]


def test_an_authority_that_will_not_is_told_to_the_device_and_put_on_its_case() -> None:
    private = a_private_world(Wire())
    begin(private.world)

    def will_not(**_: object) -> None:
        raise says("InvalidStateException", "IssueCertificate")

    private.authority.issue_certificate = will_not  # type: ignore[method-assign, assignment]

    verdict, answer = private.world.device.create()

    assert (verdict, answer["code"]) == ("rejected", "not-issued")
    assert "InvalidStateException" in answer["message"]
    assert AUTHORITY not in answer["message"]
    assert "device-request-refused" in private.world.steps()
    assert private.world.refusals == ["not-issued"]


def test_without_settings_no_authority_signs_and_one_that_does_signs_for_two_rotations() -> None:
    unset = settings_from(LEAST)
    settings = settings_from({**LEAST, "WARDEN_PRIVATE_CA": AUTHORITY, "WARDEN_PRIVATE_CA_VALIDITY_DAYS": "30"})

    assert (unset.private_ca, unset.private_ca_validity) == ("", 2 * unset.rotate_after)
    assert (settings.private_ca, settings.private_ca_validity) == (AUTHORITY, timedelta(days=30))


def test_two_things_that_send_one_request_are_given_two_certificates() -> None:
    private = a_private_world(Wire())
    issue = private.world.certificates.issue

    one, other = issue(a_key(101).csr, "pump-3"), issue(a_key(101).csr, "pump-4")

    assert one.id != other.id


def test_the_same_request_of_a_thing_is_one_certificate_and_its_state_is_left_alone() -> None:
    private = a_private_world(Wire())
    issue = private.world.certificates.issue
    first = issue(a_key(101).csr, "pump-3")
    private.world.certificates.activate(first.id)

    again = issue(a_key(101).csr, "pump-3")

    assert (again.id, again.status) == (first.id, "ACTIVE")
