"""Rotation: the device makes a new key and proves it in use; only then its old one is retired (design section 5).

requested ─▶ issuing ─▶ issued ─▶ confirmed ─▶ finished        the device proved the new certificate
     │          │          │          └───────▶ stranded        ... and has it no longer: people decide
     └──────────┴──────────┴────▶ rolling-back ─▶ rolled-back   it did not, and its job or deadline is over

Every transition is here. A device's requests move a rotation as far as `confirmed` (`issue_certificate`, `confirm`);
the responder ends it, one way or the other (`end_rotation`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from warden.cases.model import Case, CaseState, Step, StepKind
from warden.containment.desired import Desired, desired_or_new, desired_put, leave, read_desired, reconcile
from warden.containment.snapshot import active_containment, containment_put, first_look
from warden.containment.suspicion import why_suspected
from warden.context import Context
from warden.core.clock import CLOCKS_APART
from warden.core.errors import ActionFailed, Conflict, NotYet, Refused
from warden.core.ledger import Put, retry_on_conflict, version_of
from warden.core.ports import Certificate, HasCertificates, HasJobs, HasLedger, HasRegistry
from warden.devices.csr import SigningRequest, key_of_certificate
from warden.devices.jobs import Job, job_put, order_for, read_job
from warden.devices.rotation_records import (
    Rotation,
    RotationState,
    key_record,
    read_rotation,
    retirement_key,
    retirement_put,
    rotation_put,
    save_rotation,
)
from warden.plan.actions import ROTATE_CERTIFICATE

_CERTIFICATES_PER_ROTATION = 5
"""A device that loses its key repeatedly gets no more; its job then fails, and its operator is notified."""


class _PortsToBegin(HasLedger, HasRegistry, HasJobs, Protocol):
    """The ports for the beginning of a rotation."""


class _PortsToIssue(HasLedger, HasCertificates, Protocol):
    """The ports for the issue of a certificate."""


class _Ports(HasLedger, HasRegistry, HasCertificates, Protocol):
    """The ports for the rest of a rotation."""


def begin_rotation(case: Case, job_id: str, context: Context[_PortsToBegin]) -> None:
    """Record a new rotation and send its job. Beginning the same one again is harmless.

    Raises:
        ActionFailed: when the thing has no certificate, another rotation is under way on it, or it is under suspicion.
    """
    ledger, thing = context.ports.ledger, case.thing
    rotation = read_rotation(ledger, thing)
    if rotation is None or rotation.job_id != job_id:
        if rotation is not None and not rotation.is_over:
            raise ActionFailed(f"a rotation of {thing} is under way already, for case {rotation.case_id}")
        if why := why_not_unattended(case.id, thing, context):
            raise ActionFailed(f"{thing} gets no new certificate now: {why}")
        old = context.ports.registry.certificates_of(thing)
        if not old:
            raise ActionFailed(f"{thing} has no certificate to rotate")
        deadline = context.now() + context.settings.rotation_deadline
        rotation = new_rotation(rotation, thing=thing, job_id=job_id, case_id=case.id, old=old)
        ledger.commit(*opening_puts(rotation, context.now(), deadline))
    job = read_job(ledger, job_id, thing)
    if job is not None:
        context.ports.jobs.start(order_for(job, context))


def why_not_unattended(case_id: str, thing: str, context: Context[HasLedger]) -> str:
    """Return why a case may not renew its thing's certificate now; empty when it may.

    Of a device that is contained, or that another open case may contain, only a release renews the certificate: the
    device may be in a thief's hands.
    """
    if context.cases.read(case_id).state is CaseState.RECOVERING:
        return ""
    containment = active_containment(context.ports.ledger, thing)
    if containment is not None and case_id not in containment.cases:
        return f"it is contained for {', '.join(containment.cases)}; releasing it renews the certificate"
    return why_suspected(thing, context, but=case_id)


def taking_back(rotation: Rotation | None, releases: Sequence[str]) -> tuple[Put, ...]:
    """Return the write by which a quarantine takes back a thing's rotation, if there is one to take back. A rotation
    that the device has confirmed continues, and so does one for a case in `releases`.
    """
    if (
        rotation is None
        or rotation.is_over
        or rotation.state is RotationState.CONFIRMED
        or rotation.case_id in releases
    ):
        return ()
    return (rotation_put(replace(rotation, state=RotationState.ROLLING_BACK)),)


def _require_unsuspected(rotation: Rotation, context: Context[HasLedger]) -> None:
    if why := why_not_unattended(rotation.case_id, rotation.thing, context):
        raise Refused("suspected", f"{rotation.thing} gets no new certificate now: {why}")


def new_rotation(
    before: Rotation | None, *, thing: str, job_id: str, case_id: str, old: Sequence[str] = ()
) -> Rotation:
    """Return a new rotation that replaces a thing's last; `old` may be empty until the device has asked."""
    version = before.version if before else 0
    state = RotationState.REQUESTED
    return Rotation(thing=thing, job_id=job_id, case_id=case_id, state=state, old=tuple(old), version=version)


def opening_puts(rotation: Rotation, now: datetime, deadline: datetime) -> tuple[Put, Put]:
    """Return the writes that begin a rotation: its record, and the record of the job that asks the device for it."""
    job = Job(
        id=rotation.job_id,
        action=ROTATE_CERTIFICATE,
        case_id=rotation.case_id,
        thing=rotation.thing,
        began_at=now,
        deadline=deadline,
    )
    return rotation_put(rotation), job_put(job)


def require_open(rotation: Rotation | None, thing: str) -> Rotation:
    """Check that a device may still make requests in a rotation.

    Raises:
        Refused: no-job, rotation-over.
    """
    if rotation is None or rotation.is_over:
        raise Refused("no-job", f"no rotation is under way for {thing}; wait for the job")
    if rotation.state is RotationState.ROLLING_BACK:
        raise Refused("rotation-over", "this rotation was given up; keep using your present certificate")
    return rotation


def issue_certificate(
    rotation: Rotation, csr: SigningRequest, asked_with: str, attached: Sequence[str], context: Context[_Ports]
) -> Certificate:
    """Return the usable certificate for a signing request; the same request gets the same certificate.

    `asked_with` is the certificate the request came with, `attached` are all of the thing's.

    Raises:
        Refused: already-confirmed, not-the-old-certificate, too-many-requests, csr-known-key, not-issued,
            suspected, restricted, policy-gone, rotation-over.
        Conflict: when the rotation or the containment was changed meanwhile: read again, ask again.
    """
    if not rotation.old:  # a campaign asks nothing about a device before the device does
        rotation = replace(rotation, old=tuple(attached))
    if rotation.state is RotationState.CONFIRMED:
        if csr.sha256 != rotation.request:
            raise Refused("already-confirmed", "the new certificate was confirmed already; use it")
        return _certificate_of(rotation, context)
    if asked_with not in rotation.old:
        raise Refused("not-the-old-certificate", "ask with the certificate that is to be replaced")
    _require_unsuspected(rotation, context)
    if rotation.state is not RotationState.ISSUED or csr.sha256 != rotation.request:
        rotation = _issue(rotation, csr, context)
    certificate = _certificate_of(rotation, context)
    _make_usable(rotation, asked_with, context)
    return certificate


def _certificate_of(rotation: Rotation, context: Context[HasCertificates]) -> Certificate:
    certificate = context.ports.certificates.read(rotation.new)
    if certificate is None:
        raise Refused("rotation-over", "the certificate made for this request is gone; wait for another job")
    if certificate.is_out_of_use:  # not ours to make ACTIVE again
        why = f"the certificate made for this request is {certificate.status}; wait for another job"
        raise Refused("rotation-over", why)
    return certificate


def _issue(rotation: Rotation, csr: SigningRequest, context: Context[_PortsToIssue]) -> Rotation:
    """Make the certificate exactly once: the intent is recorded first, so that a retry after a crash finds it."""
    ledger, certificates = context.ports.ledger, context.ports.certificates
    if rotation.state is not RotationState.ISSUING or rotation.request != csr.sha256:
        rotation = _record_intent(rotation, csr, context)
    discard(rotation.spent, rotation.thing, context)
    since = rotation.issuing_since or context.now()
    certificate_id = certificate_with_key(csr.key_sha256, since, context) or _request_certificate(
        csr, rotation.thing, context
    )
    known = key_record(rotation.thing, csr.key_sha256, certificate_id)
    issued = replace(rotation, state=RotationState.ISSUED, new=certificate_id, issued=rotation.issued + 1)
    puts = [known] if ledger.read(known.key) is None else []
    try:
        return save_rotation(ledger, issued, *puts)
    except Conflict:
        now = read_rotation(ledger, rotation.thing)
        if now is None or (now.new != certificate_id and not _is_still_awaited(now, csr)):
            certificates.delete(certificate_id)  # the rotation continued without it
        raise


def _request_certificate(csr: SigningRequest, thing: str, context: Context[HasCertificates]) -> str:
    try:
        return context.ports.certificates.issue(csr.pem, thing).id
    except ActionFailed as error:
        raise Refused("not-issued", str(error)) from error


def _is_still_awaited(rotation: Rotation, csr: SigningRequest) -> bool:
    """Whether the next answer to this request will look for a certificate already made for it."""
    return rotation.state is RotationState.ISSUING and rotation.request == csr.sha256


def _record_intent(rotation: Rotation, csr: SigningRequest, context: Context[_PortsToIssue]) -> Rotation:
    if rotation.issued >= _CERTIFICATES_PER_ROTATION:
        raise Refused("too-many-requests", f"this rotation has been given {rotation.issued} certificates already")
    replaced = _refuse_known_key(rotation, csr, context)
    # The device lost the previous key. Its certificate goes once this is written; confirming over it is then refused.
    given_up = _recorded_or_found(rotation, context)
    spent = (*rotation.spent, given_up) if given_up else rotation.spent
    # AWS IoT has creation dates in whole seconds: search from the beginning of this second.
    since = context.now().replace(microsecond=0)
    intent = replace(
        rotation,
        state=RotationState.ISSUING,
        new="",
        request=csr.sha256,
        key=csr.key_sha256,
        issuing_since=since,
        spent=spent,
    )
    return save_rotation(context.ports.ledger, intent, *replaced)


def _recorded_or_found(rotation: Rotation, context: Context[HasCertificates]) -> str:
    """Return the certificate made for a rotation, even if the function died before it could record it."""
    if rotation.new or rotation.issuing_since is None:
        return rotation.new
    return certificate_with_key(rotation.key, rotation.issuing_since, context) or ""


def _refuse_known_key(rotation: Rotation, csr: SigningRequest, context: Context[_PortsToIssue]) -> list[Put]:
    """Check that the thing never had this key; return the writes that record the keys which this rotation replaces.

    A certificate that others issued, for example at provisioning, is deleted later: its key must still be known then.
    """
    ledger, replaced = context.ports.ledger, {}
    for certificate_id in rotation.old:
        certificate = context.ports.certificates.read(certificate_id)
        if certificate is not None:
            replaced[key_of_certificate(certificate.pem)] = certificate_id
    asked = key_record(rotation.thing, csr.key_sha256, "")
    if csr.key_sha256 in replaced or ledger.read(asked.key) is not None:
        current = read_rotation(ledger, rotation.thing)
        if current is None or current.version != rotation.version:
            raise Conflict(f"the rotation of {rotation.thing} was changed meanwhile, perhaps by the same request")
        raise Refused("csr-known-key", f"{rotation.thing} has had this key already; make a new one")
    puts = [key_record(rotation.thing, key, certificate) for key, certificate in replaced.items()]
    return [put for put in puts if ledger.read(put.key) is None]


def _make_usable(rotation: Rotation, asked_with: str, context: Context[_Ports]) -> None:
    """Attach the new certificate to its thing, attach its policies, and only then set it ACTIVE.

    The thing comes first, and the containment is read again after the policies. A quarantine that begins meanwhile
    either sees this certificate among the thing's, or is seen here.

    Raises:
        Conflict: when a quarantine began or ended meanwhile: the request is answered again.
    """
    certificates = context.ports.certificates
    certificates.attach_thing(rotation.new, rotation.thing)
    wanted = retry_on_conflict(lambda: _want(rotation, asked_with, context))
    if wanted is None:
        return
    shown = certificates.policies_of(rotation.new)
    kept = [each for each in shown if each in (*wanted.before, context.settings.restricted_policy)]
    for policy in [each for each in shown if each not in kept]:  # of an earlier attempt
        certificates.detach_policy(rotation.new, policy)
    carried = reconcile(rotation.new, context, kept)
    if carried.gone:
        raise Refused("policy-gone", "; ".join(carried.gone.values()))
    if _is_contained(rotation.thing, context) is not wanted.is_held:
        raise Conflict(f"the containment of {rotation.thing} changed meanwhile")
    certificates.activate(rotation.new)


def _want(rotation: Rotation, asked_with: str, context: Context[_Ports]) -> Desired | None:
    """Record what the new certificate should carry, contained or not; return None if it is already in use.

    The record is read before all else. A containment or release from now on changes the record, so that this commit
    fails; an earlier one was possible only after the device had confirmed.

    Raises:
        Refused: no-job, rotation-over.
        Conflict: when the record was changed meanwhile.
    """
    ledger, thing = context.ports.ledger, rotation.thing
    known = desired_or_new(ledger, rotation.new, context)
    current = require_open(read_rotation(ledger, thing), thing)
    if current.new != rotation.new:
        raise Refused("rotation-over", "another certificate was asked for meanwhile; use that one")
    if current.state is RotationState.CONFIRMED:
        return None
    contained = _is_contained(thing, context)
    before = tuple(sorted(_rights_for(thing, asked_with, context, contained=contained)))
    wanted = known.changed(
        context, before=before, holders=(thing,) if contained else (), touched=known.touched or contained
    )
    if wanted != known or not known.version:
        ledger.commit(desired_put(wanted))
    return wanted


def _rights_for(thing: str, asked_with: str, context: Context[_Ports], *, contained: bool) -> Sequence[str]:
    """Return the policies of a new certificate: those of the plan for its thing's type, or those of the old one.

    Those of an old one that is restricted, or was a moment ago, are on record: a list shows what is or was.
    """
    ours, old = context.settings.restricted_policy, read_desired(context.ports.ledger, asked_with)
    is_on_record = old is not None and old.touched and (old.is_held or old.is_young(context))
    has = old.before if old and is_on_record else context.ports.certificates.policies_of(asked_with)
    if contained:
        return [name for name in has if name != ours]
    if ours in has or (old and old.is_held):
        _refuse_while_shared_restricted(thing, context)
    if not context.plan.rotation.policies_by_type:
        return has
    described = context.ports.registry.thing(thing)
    planned = context.plan.rotation.policies_for(described.thing_type) if described else None
    return has if planned is None else planned


def _refuse_while_shared_restricted(thing: str, context: Context[HasLedger]) -> None:
    if _is_contained(thing, context):
        raise Conflict(f"the containment of {thing} changed meanwhile")
    raise Refused("restricted", f"{thing} shares its certificate with a contained device; ask again when it is free")


def _is_contained(thing: str, context: Context[HasLedger]) -> bool:
    return active_containment(context.ports.ledger, thing) is not None


def confirm(rotation: Rotation, certificate: str, context: Context[HasLedger]) -> None:
    """Record that the device uses its new certificate: it sent a message over it.

    Raises:
        Refused: not-the-new-certificate, suspected.
        Conflict: when the rotation or its case was changed meanwhile.
    """
    if rotation.state is not RotationState.ISSUED or certificate != rotation.new:
        raise Refused("not-the-new-certificate", "confirm over the new certificate, once it has been issued")
    _require_unsuspected(rotation, context)
    who, why = f"certificate {certificate[:12]}", "confirmed by the device over it"
    step = Step(StepKind.NEW_CERTIFICATE_IN_USE, who, why)
    confirmed = rotation_put(replace(rotation, state=RotationState.CONFIRMED, confirmed_at=context.now()))
    context.cases.save(context.cases.read(rotation.case_id), context.now(), step, also=(confirmed,))


def end_rotation(rotation: Rotation, context: Context[_Ports]) -> Rotation:
    """End a rotation whose job or deadline is over: finish it if the device confirmed, roll it back if not.

    Once the device has confirmed, it may have destroyed its old key: nothing is deleted then, whatever a list shows.

    Raises:
        NotYet: when the confirmed certificate is not shown as usable, and was confirmed a moment ago.
    """
    rotation = retry_on_conflict(lambda: _settle_direction(rotation.thing, context))
    if rotation.is_over:
        return rotation
    if rotation.state is not RotationState.CONFIRMED:
        _withdraw(rotation, context)
        return retry_on_conflict(lambda: _finish(rotation, RotationState.ROLLED_BACK, (), context))
    if not _is_usable(rotation, context):
        put_out = _put_out_if_the_thing_is_gone(rotation, context)
        return retry_on_conflict(lambda: _finish(rotation, RotationState.STRANDED, put_out, context))
    retired = _retire(rotation, context)
    return retry_on_conflict(lambda: _finish(rotation, RotationState.FINISHED, retired, context))


def _put_out_if_the_thing_is_gone(rotation: Rotation, context: Context[_Ports]) -> Sequence[str]:
    """Set the new certificate INACTIVE, which can be undone, and return it if its thing is gone; otherwise leave it.

    Raises:
        NotYet: when lists may not show yet that it is usable.
    """
    if context.ports.registry.thing(rotation.thing, with_type=False) is None:
        context.ports.certificates.deactivate(rotation.new)
        return (rotation.new,)
    confirmed_at = rotation.confirmed_at
    if confirmed_at and context.now() - confirmed_at < context.settings.second_disconnect_after:
        raise NotYet(f"the new certificate of {rotation.thing} is not shown as usable yet")
    return ()


def _is_usable(rotation: Rotation, context: Context[_Ports]) -> bool:
    """Check that the device still has its new certificate: it may have been detached or set INACTIVE."""
    certificate = context.ports.certificates.read(rotation.new)
    if certificate is None or not certificate.is_active:
        return False
    return rotation.new in context.ports.registry.certificates_of(rotation.thing)


def _settle_direction(thing: str, context: Context[HasLedger]) -> Rotation:
    """Decide once: a confirmation either came before this commit, or is refused after it."""
    rotation = read_rotation(context.ports.ledger, thing)
    if rotation is None:
        raise ActionFailed(f"{thing} has no rotation to end")
    if rotation.is_over or rotation.state in (RotationState.CONFIRMED, RotationState.ROLLING_BACK):
        return rotation
    return save_rotation(context.ports.ledger, replace(rotation, state=RotationState.ROLLING_BACK))


def _retire(rotation: Rotation, context: Context[_Ports]) -> list[str]:
    """Retire the old certificates; return those out of use. A shared one is out of use when its last thing has moved.

    Each thing that leaves is on the certificate's record: of two that leave at once, the later knows of the earlier,
    whatever a list shows.
    """
    ports, retired = context.ports, []
    for certificate in rotation.old:
        if other_users_of(certificate, rotation.thing, context):
            leave(certificate, rotation.thing, context)
            if other_users_of(certificate, rotation.thing, context):
                ports.certificates.detach_thing(certificate, rotation.thing)
                reconcile(certificate, context)  # a contained thing is off it before the others have its rights again
                continue
        ports.certificates.deactivate(certificate)
        ports.certificates.detach_thing(certificate, rotation.thing)
        retired.append(certificate)
    return retired


def other_users_of(certificate: str, thing: str, context: Context[_Ports]) -> list[str]:
    """List the other things that use a certificate, without those that have just left it."""
    users = [each for each in context.ports.registry.things_of(certificate) if each != thing]
    if not users:
        return []
    known = desired_or_new(context.ports.ledger, certificate, context)
    return [each for each in users if not known.has_left(each, context)]


def _withdraw(rotation: Rotation, context: Context[_PortsToIssue]) -> None:
    certificate_id = _recorded_or_found(rotation, context)
    discard((*rotation.spent, *([certificate_id] if certificate_id else [])), rotation.thing, context)


def discard(certificates: Sequence[str], thing: str, context: Context[_PortsToIssue]) -> None:
    """Delete certificates made for a thing that will never be used; the sweep deletes what cannot be deleted yet."""
    for certificate in certificates:
        if not is_discarded(certificate, thing, context):
            retry_on_conflict(partial(_discard_later, certificate, thing, context))


def is_discarded(certificate: str, thing: str, context: Context[HasCertificates]) -> bool:
    """Delete a certificate that will never be used; return whether it is gone. One under transfer is another's.

    AWS IoT shows it attached for seconds after it was detached. A request that is being answered may set it ACTIVE in
    that time, so that this is done again, from the beginning.
    """
    status = context.ports.certificates.deactivate(certificate)
    context.ports.certificates.detach_thing(certificate, thing)
    if status == "PENDING_TRANSFER":
        return True
    try:
        context.ports.certificates.delete(certificate)
    except NotYet:
        return False
    return True


def _discard_later(certificate: str, thing: str, context: Context[HasLedger]) -> None:
    ledger, at = context.ports.ledger, first_look(context)
    seen = version_of(ledger.read(retirement_key(certificate)))
    ledger.commit(retirement_put(certificate, thing, at, seen, unused=True))


def certificate_with_key(fingerprint: str, since: datetime, context: Context[HasCertificates]) -> str | None:
    """Find an inactive certificate made since a moment for a key: CreateCertificateFromCsr is not idempotent.

    The moment is ours, and the time at which a certificate was made is AWS IoT's.
    """
    for certificate in context.ports.certificates.issued_since(since - CLOCKS_APART):
        if key_of_certificate(certificate.pem) == fingerprint:
            return certificate.id
    return None


def _finish(rotation: Rotation, state: RotationState, retired: Sequence[str], context: Context[HasLedger]) -> Rotation:
    ledger = context.ports.ledger
    current = read_rotation(ledger, rotation.thing) or rotation
    if current.is_over:
        return current
    puts = _passing_on(current, state, context)
    delete_at = context.now() + context.settings.certificate_grace
    known = {certificate: ledger.read(retirement_key(certificate)) for certificate in retired}
    puts.extend(
        retirement_put(certificate, rotation.thing, delete_at, version_of(record))
        for certificate, record in known.items()
        if record is None or "due_at" not in record  # decided before: it was in use again, and now is not
    )
    return save_rotation(ledger, replace(current, state=state), *puts)


def _passing_on(rotation: Rotation, state: RotationState, context: Context[HasLedger]) -> list[Put]:
    """Return the writes by which what was held passes from the certificates that are gone to the one that stays."""
    ledger, thing = context.ports.ledger, rotation.thing
    containment = active_containment(ledger, thing)
    if containment is None or state is RotationState.STRANDED:
        return []
    is_new = state is RotationState.FINISHED
    gone = (*(rotation.old if is_new else (rotation.new,)), *rotation.spent)
    stays = rotation.new if is_new else ""
    puts = [containment_put(containment.with_certificates_replaced(gone, stays))]
    for certificate in gone:
        known = read_desired(ledger, certificate)
        if known is not None and thing in known.holders:
            puts.append(desired_put(known.without(thing, context, leaves=True)))
    return puts
