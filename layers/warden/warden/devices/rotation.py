"""Rotation: a new key made on the device, proved over the air, and only then the old one taken away (design section 5).

requested ─▶ issuing ─▶ issued ─▶ confirmed ─▶ finished        the device proved the new certificate
     └──────────┴──────────┴────▶ rolling-back ─▶ rolled-back   it did not, and the job or the time is over

The device moves it as far as `confirmed` (devices/requests.py); the responder ends it, one way or the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from warden.cases.model import Case
from warden.containment.release import return_shared_policies
from warden.containment.snapshot import containment_put, read_containment
from warden.context import Context
from warden.core.clock import from_text, to_text
from warden.core.errors import ActionFailed
from warden.core.ledger import Key, Ledger, Put, retry_on_conflict, version_of
from warden.core.ports import HasCertificates, HasJobs, HasLedger, HasRegistry
from warden.devices.jobs import Job, job_put, order_for, read_job
from warden.plan.actions import ROTATE_CERTIFICATE


class _PortsToBegin(HasLedger, HasRegistry, HasJobs, Protocol):
    """What the beginning of a rotation touches."""


class _Ports(HasLedger, HasRegistry, HasCertificates, Protocol):
    """What the end of a rotation touches."""


class RotationState(StrEnum):
    """How far a rotation has come."""

    REQUESTED = "requested"
    ISSUING = "issuing"
    ISSUED = "issued"
    CONFIRMED = "confirmed"
    FINISHED = "finished"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"


ENDED = (RotationState.FINISHED, RotationState.ROLLED_BACK)


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The one rotation of a thing: the last one, whether over or not.

    `old` are the certificates it is to replace; `new` is empty until one has been issued. `request` is the
    digest of the signing request that `new` answers, `key` the fingerprint of its key. `spent` were issued before
    it and are given up: the device lost their keys.
    """

    thing: str
    job_id: str
    case_id: str
    state: RotationState
    old: Sequence[str]
    new: str = ""
    request: str = ""
    key: str = ""
    issuing_since: datetime | None = None
    issued: int = 0
    spent: Sequence[str] = ()
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ENDED


def rotation_key(thing: str) -> Key:
    """Tell where a thing's rotation is kept."""
    return Key(f"THING#{thing}", "ROTATION")


def key_record(thing: str, fingerprint: str, certificate: str) -> Put:
    """Give the write that remembers a key this thing has had: it is never certified again."""
    record = {"type": "key", "thing": thing, "certificate": certificate}
    return Put(Key(f"THING#{thing}", f"KEY#{fingerprint}"), record, 0)


def retirement_put(certificate: str, thing: str, delete_at: datetime, seen: int) -> Put:
    """Give the write that has a retired certificate deleted when its grace is over."""
    record = {
        "type": "retirement",
        "certificate": certificate,
        "thing": thing,
        "due": "due",
        "due_at": to_text(delete_at),
    }
    return Put(retirement_key(certificate), record, seen)


def retirement_key(certificate: str) -> Key:
    """Tell where it is kept that a certificate is retired."""
    return Key(f"CERTIFICATE#{certificate}", "RETIREMENT")


def read_rotation(ledger: Ledger, thing: str) -> Rotation | None:
    """Read a thing's last rotation; None when it never had one."""
    record = ledger.read(rotation_key(thing))
    return _from(record) if record else None


def save_rotation(ledger: Ledger, rotation: Rotation, *also: Put) -> Rotation:
    """Write a rotation, and what must be true together with it.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(rotation_put(rotation), *also)
    return replace(rotation, version=rotation.version + 1)


def begin_rotation(case: Case, job_id: str, context: Context[_PortsToBegin]) -> None:
    """Write down a new rotation and send the job. Beginning the same one again is harmless.

    Raises:
        ActionFailed: when the thing has no certificate, or another rotation is under way on it.
    """
    ledger, thing = context.ports.ledger, case.thing
    rotation = read_rotation(ledger, thing)
    if rotation is None or rotation.job_id != job_id:
        if rotation is not None and not rotation.is_over:
            raise ActionFailed(f"a rotation of {thing} is under way already, for case {rotation.case_id}")
        old = context.ports.registry.certificates_of(thing)
        if not old:
            raise ActionFailed(f"{thing} has no certificate to rotate")
        deadline = context.now() + context.settings.rotation_deadline
        rotation = new_rotation(rotation, thing=thing, job_id=job_id, case_id=case.id, old=old)
        save_rotation(ledger, rotation, job_put(rotation_job(rotation, context.now(), deadline)))
    job = read_job(ledger, job_id, thing)
    if job is not None:
        context.ports.jobs.start(order_for(job, context))


def new_rotation(
    before: Rotation | None, *, thing: str, job_id: str, case_id: str, old: Sequence[str] = ()
) -> Rotation:
    """Give a new rotation in the place of a thing's last; `old` may be left until the device has asked."""
    version = before.version if before else 0
    state = RotationState.REQUESTED
    return Rotation(thing=thing, job_id=job_id, case_id=case_id, state=state, old=tuple(old), version=version)


def rotation_job(rotation: Rotation, now: datetime, deadline: datetime) -> Job:
    """Give the record of the job that asks the device for it."""
    return Job(
        id=rotation.job_id,
        action=ROTATE_CERTIFICATE,
        case_id=rotation.case_id,
        thing=rotation.thing,
        began_at=now,
        deadline=deadline,
    )


def end_rotation(rotation: Rotation, context: Context[_Ports]) -> Rotation:
    """Bring a rotation whose job or time is over to its end: forward if the device confirmed, back if it did not."""
    rotation = retry_on_conflict(lambda: _settle_direction(rotation.thing, context))
    if rotation.is_over:
        return rotation
    if rotation.state is RotationState.CONFIRMED and _is_usable(rotation, context):
        retired = _retire(rotation, context)
        return retry_on_conflict(lambda: _finish(rotation, RotationState.FINISHED, retired, context))
    _withdraw(rotation, context)
    return retry_on_conflict(lambda: _finish(rotation, RotationState.ROLLED_BACK, (), context))


def _is_usable(rotation: Rotation, context: Context[_Ports]) -> bool:
    """See that the device is not left without: somebody may have taken its new certificate off it or out of use."""
    certificate = context.ports.certificates.read(rotation.new)
    if certificate is None or not certificate.is_active:
        return False
    return rotation.new in context.ports.registry.certificates_of(rotation.thing)


def _settle_direction(thing: str, context: Context[HasLedger]) -> Rotation:
    """Decide once: after this commit a late confirmation is refused, or has come before it."""
    rotation = read_rotation(context.ports.ledger, thing)
    if rotation is None:
        raise ActionFailed(f"{thing} has no rotation to end")
    if rotation.is_over or rotation.state in (RotationState.CONFIRMED, RotationState.ROLLING_BACK):
        return rotation
    return save_rotation(context.ports.ledger, replace(rotation, state=RotationState.ROLLING_BACK))


def _retire(rotation: Rotation, context: Context[_Ports]) -> list[str]:
    """Take the old certificates away; gives those that are out of use. A shared one is when the last thing has moved.

    Whoever leaves a shared one looks again afterwards: of two that leave at once, the later one sees that it was last.
    """
    ports, retired = context.ports, []
    for certificate in rotation.old:
        if others_on(certificate, rotation.thing, context):
            return_shared_policies(certificate, rotation.thing, context)
            ports.certificates.detach_thing(certificate, rotation.thing)
            if others_on(certificate, rotation.thing, context):
                continue
        ports.certificates.deactivate(certificate)
        ports.certificates.detach_thing(certificate, rotation.thing)
        retired.append(certificate)
    return retired


def others_on(certificate: str, thing: str, context: Context[HasRegistry]) -> list[str]:
    """List the other things that use a certificate."""
    return [each for each in context.ports.registry.things_of(certificate) if each != thing]


def _withdraw(rotation: Rotation, context: Context[HasCertificates]) -> None:
    made = rotation.new or _unrecorded(rotation, context)
    discard((*rotation.spent, *([made] if made else [])), rotation.thing, context)


def discard(certificates: Sequence[str], thing: str, context: Context[HasCertificates]) -> None:
    """Take certificates out of the world that were made for a thing and will never be used."""
    for certificate in certificates:
        context.ports.certificates.deactivate(certificate)
        context.ports.certificates.detach_thing(certificate, thing)
        context.ports.certificates.delete(certificate)


def _unrecorded(rotation: Rotation, context: Context[HasCertificates]) -> str:
    """Find the certificate that was made just before a crash, if one was."""
    if rotation.state is not RotationState.ROLLING_BACK or rotation.issuing_since is None:
        return ""
    found = certificate_with_key(rotation.key, rotation.issuing_since, context)
    return found or ""


def certificate_with_key(fingerprint: str, since: datetime, context: Context[HasCertificates]) -> str | None:
    """Find an inactive certificate made since a moment for a key: CreateCertificateFromCsr is not idempotent."""
    from warden.devices.csr import key_of_certificate

    for certificate in context.ports.certificates.issued_since(since):
        if key_of_certificate(certificate.pem) == fingerprint:
            return certificate.id
    return None


def _finish(rotation: Rotation, state: RotationState, retired: Sequence[str], context: Context[HasLedger]) -> Rotation:
    ledger = context.ports.ledger
    current = read_rotation(ledger, rotation.thing) or rotation
    if current.is_over:
        return current
    puts: list[Put] = []
    containment = read_containment(ledger, rotation.thing)
    if containment is not None and containment.is_active:
        gone, stays = (rotation.old, rotation.new) if state is RotationState.FINISHED else ((rotation.new,), "")
        puts.append(containment_put(containment.with_certificates_replaced((*gone, *rotation.spent), stays)))
    delete_at = context.now() + context.settings.certificate_grace
    known = {certificate: ledger.read(retirement_key(certificate)) for certificate in retired}
    puts.extend(
        retirement_put(certificate, rotation.thing, delete_at, version_of(record))
        for certificate, record in known.items()
        if record is None or "due_at" not in record  # settled once already: it was in use again, and is not now
    )
    return save_rotation(ledger, replace(current, state=state), *puts)


def rotation_put(rotation: Rotation) -> Put:
    """Give the write that belongs into somebody's commit."""
    record = {
        "type": "rotation",
        "thing": rotation.thing,
        "job_id": rotation.job_id,
        "case_id": rotation.case_id,
        "state": rotation.state,
        "old": list(rotation.old),
        "new": rotation.new,
        "request": rotation.request,
        "key": rotation.key,
        "issuing_since": to_text(rotation.issuing_since) if rotation.issuing_since else "",
        "issued": rotation.issued,
        "spent": list(rotation.spent),
    }
    return Put(rotation_key(rotation.thing), record, rotation.version)


def _from(record: Mapping[str, Any]) -> Rotation:
    return Rotation(
        thing=record["thing"],
        job_id=record["job_id"],
        case_id=record["case_id"],
        state=RotationState(record["state"]),
        old=tuple(record["old"]),
        new=record["new"],
        request=record["request"],
        key=record["key"],
        issuing_since=from_text(record["issuing_since"]) if record["issuing_since"] else None,
        issued=int(record["issued"]),
        spent=tuple(record["spent"]),
        version=version_of(record),
    )
