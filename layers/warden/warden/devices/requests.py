"""What devices ask for, and what they are told. Identity comes from the topic, the principal and the registry.

Asking again gets the same answer: a device that lost power asks with the same request and is given the same
certificate. Whatever is refused is answered with a code, and noted on the case of the thing it concerns.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from warden.cases.model import Step
from warden.containment.snapshot import read_containment
from warden.context import Context
from warden.core.errors import ActionFailed, Conflict, Refused
from warden.core.ledger import Put, retry_on_conflict
from warden.devices.jobs import JOB_ID, Job, Upload, job_put, read_job
from warden.devices.rotation import (
    Rotation,
    RotationState,
    certificate_with_key,
    discard,
    key_record,
    read_rotation,
    rotation_put,
    save_rotation,
)
from warden.plan.actions import COLLECT_LOGS
from warden.refusals import record_refusal
from warden.validation.names import THING_NAME, shown
from warden.validation.strict_json import message_in

if TYPE_CHECKING:
    from warden.devices.csr import SigningRequest

_PAYLOAD_BYTES = 64 * 1024
_TOKEN_CHARACTERS = 64
_FILE_NAME_CHARACTERS = 128
_CERTIFICATES_PER_ROTATION = 5
"""A device that loses its key again and again is given up; its operator hears of it when the job fails."""

_UPLOAD_LIFETIME = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """A request as the IoT rule passes it on: all but `payload` is AWS IoT's own word."""

    thing: str
    resource: str
    verb: str
    principal: str
    client: str
    payload: bytes

    @property
    def topic(self) -> str:
        """The topic it came on."""
        return f"warden/{self.thing}/{self.resource}/{self.verb}"

    @property
    def certificate(self) -> str:
        """The certificate it came with."""
        return self.principal.lower()


def request_from(message: Mapping[str, Any]) -> DeviceRequest:
    """Read what the IoT rule put on the queue.

    Raises:
        Refused: when it is not what the rule writes.
    """
    names = ("thing", "resource", "verb", "principal", "client")
    fields = {name: message.get(name) for name in names}
    if not all(isinstance(value, str) and value for value in fields.values()) or not isinstance(
        message.get("payload"), str
    ):
        raise Refused("not-a-device-request", f"the message lacks one of {', '.join((*names, 'payload'))}")
    if not re.fullmatch(THING_NAME, str(fields["thing"])):  # a topic can hold any text, the registry cannot
        raise Refused("not-a-device-request", "the topic names no thing that could be registered")
    try:
        payload = b64decode(message["payload"], validate=True)
    except ValueError as error:  # what is not ASCII fails before it is decoded
        raise Refused("not-a-device-request", "the payload is not base64, which the IoT rule writes") from error
    return DeviceRequest(**fields, payload=payload)  # type: ignore[arg-type]  # all seen to be str just above


def serve(request: DeviceRequest, context: Context) -> str:
    """Answer a device's request on `.../accepted` or `.../rejected`; gives `accepted`, or the code of the refusal."""
    answer = _ANSWERS.get((request.resource, request.verb))
    if answer is None:
        unknown = Refused("unknown-request", f"there is no {shown(request.resource)}/{shown(request.verb)}")
        _note_refusal(request, unknown, context)
        return unknown.code
    token = ""  # nosec B105 # none was read yet
    try:
        body = _body_of(request)
        token = _token_of(body)
        said = retry_on_conflict(lambda: answer(request, body, context))
    except Refused as refusal:
        _note_refusal(request, refusal, context)
        _reply(request, "rejected", {"clientToken": token, "code": refusal.code, "message": refusal.reason}, context)
        return refusal.code
    _reply(request, "accepted", {"clientToken": token, **said}, context)
    return "accepted"


def _reply(request: DeviceRequest, verdict: str, payload: Mapping[str, Any], context: Context) -> None:
    context.ports.replies.publish(f"{request.topic}/{verdict}", payload)


def _note_refusal(request: DeviceRequest, refusal: Refused, context: Context) -> None:
    """Put a refusal on record, and on the case that the thing named in the topic has with us, if it has one."""
    seen = f"{request.topic} {request.principal} {refusal.code} {sha256(request.payload).hexdigest()}"
    record_refusal(context, refusal, what=seen, about=request.thing)
    case_id = _case_of(request.thing, context)
    if case_id is None:
        return
    complaint = f"{request.resource}/{request.verb} {refusal.code} {request.certificate[:12]}"

    def write() -> None:
        case = context.cases.read(case_id)
        outbox = context.cases.outbox(case)
        if complaint in outbox.refusals_seen:  # one line for each kind: a device cannot fill its timeline
            return
        step = Step(
            "device request refused",
            f"certificate {request.certificate[:12]}",
            refusal.reason,
            {"code": refusal.code, "topic": request.topic},
        )
        noted = replace(outbox, refusals_seen=(*outbox.refusals_seen, complaint))
        context.cases.save_outbox(case, noted, context.now(), step)

    retry_on_conflict(write)


def _case_of(thing: str, context: Context) -> str | None:
    rotation = read_rotation(context.ports.ledger, thing)
    if rotation is not None and not rotation.is_over:
        return rotation.case_id
    containment = read_containment(context.ports.ledger, thing)
    if containment is not None and containment.is_active and containment.cases:
        return containment.cases[-1]
    return rotation.case_id if rotation else None


def _body_of(request: DeviceRequest) -> Mapping[str, Any]:
    if len(request.payload) > _PAYLOAD_BYTES:
        raise Refused(
            "payload-too-large", f"the payload has {len(request.payload)} bytes; at most {_PAYLOAD_BYTES} are read"
        )
    try:
        return message_in(request.payload.decode())
    except (UnicodeDecodeError, Refused) as error:
        raise Refused("payload-not-json", "the payload is not one JSON object in UTF-8, each key once") from error


def _token_of(body: Mapping[str, Any]) -> str:
    token = body.get("clientToken")
    if not isinstance(token, str) or not 1 <= len(token) <= _TOKEN_CHARACTERS:
        raise Refused(
            "client-token", f"`clientToken` must be a text of 1 to {_TOKEN_CHARACTERS} characters, chosen by the device"
        )
    return token


def _require_own(request: DeviceRequest, context: Context) -> list[str]:
    """See that the certificate the request came with is good for the thing whose topic it came on; gives all of its.

    A session that is open outlives its certificate's being set INACTIVE, so that is asked as well.
    """
    certificates = context.ports.registry.certificates_of(request.thing)
    if request.certificate not in certificates:
        raise Refused("not-yours", f"the certificate in use is not attached to {request.thing}")
    certificate = context.ports.certificates.read(request.certificate)
    if certificate is None or not certificate.is_active:
        raise Refused("not-active", "the certificate in use is not ACTIVE")
    return certificates


def _open_rotation(request: DeviceRequest, context: Context) -> Rotation:
    rotation = read_rotation(context.ports.ledger, request.thing)
    if rotation is None or rotation.is_over:
        raise Refused("no-job", f"no rotation is under way for {request.thing}; wait for the job")
    if rotation.state is RotationState.ROLLING_BACK:
        raise Refused("rotation-over", "this rotation was given up; go on with the certificate you have")
    return rotation


def _require_in_progress(job_id: str, thing: str, context: Context) -> None:
    execution = context.ports.jobs.execution(job_id, thing)
    if execution is None or execution.status != "IN_PROGRESS":
        status = execution.status if execution else "not there"
        raise Refused("no-job", f"job {job_id} is {status} for {thing}; it must be IN_PROGRESS")


# --- certificate/create ------------------------------------------------------------------------------------------


def _create_certificate(request: DeviceRequest, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    attached = _require_own(request, context)
    rotation = _open_rotation(request, context)
    if not rotation.old:  # a campaign asks nothing about a device before the device does
        rotation = replace(rotation, old=tuple(attached))
    _require_in_progress(rotation.job_id, request.thing, context)
    from warden.devices.csr import read_csr  # cryptography takes 40 ms to import, and only this request needs it

    csr = read_csr(body.get("csr"))
    if rotation.state is RotationState.CONFIRMED:
        if csr.sha256 != rotation.request:
            raise Refused("already-confirmed", "the new certificate was confirmed already; use it")
        return _certificate_of(rotation, context)
    if request.certificate not in rotation.old:
        raise Refused("not-the-old-certificate", "ask with the certificate that is to be replaced")
    if rotation.state is not RotationState.ISSUED or csr.sha256 != rotation.request:
        rotation = _issue(rotation, csr, context)
    _make_usable(rotation, request.certificate, context)
    return _certificate_of(rotation, context)


def _certificate_of(rotation: Rotation, context: Context) -> dict[str, Any]:
    certificate = context.ports.certificates.read(rotation.new)
    if certificate is None:
        raise Refused("rotation-over", "the certificate made for this request is gone; wait for another job")
    return {"certificateId": certificate.id, "certificatePem": certificate.pem}


def _issue(rotation: Rotation, csr: SigningRequest, context: Context) -> Rotation:
    """Have the certificate made, exactly once: the intent is on record before, and found again after a crash."""
    ledger, certificates = context.ports.ledger, context.ports.certificates
    if rotation.state is not RotationState.ISSUING or rotation.request != csr.sha256:
        rotation = _intend(rotation, csr, context)
    discard(rotation.spent, rotation.thing, context)
    since = rotation.issuing_since or context.now()
    made = certificate_with_key(csr.key_sha256, since, context) or _made(csr, rotation.thing, context)
    known = key_record(rotation.thing, csr.key_sha256, made)
    issued = replace(rotation, state=RotationState.ISSUED, new=made, issued=rotation.issued + 1)
    puts = [known] if ledger.read(known.key) is None else []
    try:
        return save_rotation(ledger, issued, *puts)
    except Conflict:
        now = read_rotation(ledger, rotation.thing)
        if now is None or (now.new != made and not _still_wants(now, csr)):
            certificates.delete(made)  # the rotation went on without it
        raise


def _made(csr: SigningRequest, thing: str, context: Context) -> str:
    try:
        return context.ports.certificates.issue(csr.pem, thing).id
    except ActionFailed as error:
        raise Refused("not-issued", str(error)) from error


def _still_wants(rotation: Rotation, csr: SigningRequest) -> bool:
    """Tell whether whoever answers this request next will look for a certificate already made for it."""
    return rotation.state is RotationState.ISSUING and rotation.request == csr.sha256


def _intend(rotation: Rotation, csr: SigningRequest, context: Context) -> Rotation:
    if rotation.issued >= _CERTIFICATES_PER_ROTATION:
        raise Refused("too-many-requests", f"this rotation has been given {rotation.issued} certificates already")
    replaced = _refuse_known_key(rotation, csr, context)
    # The device lost the key of the one before. That goes once this is written: a confirmation over it is refused then.
    given_up = rotation.new or _made_before_a_crash(rotation, context)
    spent = (*rotation.spent, given_up) if given_up else rotation.spent
    # AWS IoT keeps creation dates in whole seconds: look from the beginning of this one.
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


def _made_before_a_crash(rotation: Rotation, context: Context) -> str:
    """Find the certificate of the request before, whose function was gone before it could write it down."""
    if rotation.state is not RotationState.ISSUING or rotation.issuing_since is None:
        return ""
    return certificate_with_key(rotation.key, rotation.issuing_since, context) or ""


def _refuse_known_key(rotation: Rotation, csr: SigningRequest, context: Context) -> list[Put]:
    """See that the key is new to the thing; gives the writes that remember the keys which this rotation replaces.

    A certificate that somebody else issued, as at the enrolment, is deleted one day: its key must be known then too.
    """
    from warden.devices.csr import key_of_certificate

    ledger, replaced = context.ports.ledger, {}
    for certificate_id in rotation.old:
        certificate = context.ports.certificates.read(certificate_id)
        if certificate is not None:
            replaced[key_of_certificate(certificate.pem)] = certificate_id
    asked = key_record(rotation.thing, csr.key_sha256, "")
    if csr.key_sha256 in replaced or ledger.read(asked.key) is not None:
        current = read_rotation(ledger, rotation.thing)
        if current is None or current.version != rotation.version:
            raise Conflict(f"the rotation of {rotation.thing} went on meanwhile: it may be by this very request")
        raise Refused("csr-known-key", f"{rotation.thing} has had this key already; make a new one")
    puts = [key_record(rotation.thing, key, certificate) for key, certificate in replaced.items()]
    return [put for put in puts if ledger.read(put.key) is None]


def _make_usable(rotation: Rotation, asked_with: str, context: Context) -> None:
    """Give the new certificate its thing and policies, and only then let it in.

    The thing comes first and the containment is read again after the policies: a quarantine that begins
    meanwhile either sees this certificate among the thing's, or is seen here.

    Raises:
        Conflict: when a quarantine began or ended meanwhile: the request is answered anew.
    """
    certificates = context.ports.certificates
    certificates.attach_thing(rotation.new, rotation.thing)
    contained = _is_contained(rotation.thing, context)
    wanted = [context.settings.restricted_policy] if contained else _policies_for(rotation.thing, asked_with, context)
    if not contained and context.settings.restricted_policy in wanted:
        _refuse_while_shared_restricted(rotation.thing, context)
    for policy in certificates.policies_of(rotation.new):  # there from an attempt that a quarantine overtook
        if policy not in wanted:
            certificates.detach_policy(rotation.new, policy)
    _attach(rotation.new, wanted, context)
    if _is_contained(rotation.thing, context) is not contained:
        raise Conflict(f"the containment of {rotation.thing} changed meanwhile")
    certificates.activate(rotation.new)


def _policies_for(thing: str, asked_with: str, context: Context) -> list[str]:
    """Tell what a new certificate may do: what the plan says for its thing's type, or what the old one may."""
    has = context.ports.certificates.policies_of(asked_with)
    if not context.plan.rotation.policies_by_type or context.settings.restricted_policy in has:
        return has
    described = context.ports.registry.thing(thing)
    planned = context.plan.rotation.policies_for(described.thing_type) if described else None
    return has if planned is None else list(planned)


def _refuse_while_shared_restricted(thing: str, context: Context) -> None:
    if _is_contained(thing, context):
        raise Conflict(f"the containment of {thing} changed meanwhile")
    raise Refused("restricted", f"{thing} shares its certificate with a contained device; ask again when that is free")


def _attach(certificate: str, policies: list[str], context: Context) -> None:
    try:
        for policy in policies:
            context.ports.certificates.attach_policy(certificate, policy)
    except ActionFailed as error:
        raise Refused("policy-gone", str(error)) from error


def _is_contained(thing: str, context: Context) -> bool:
    containment = read_containment(context.ports.ledger, thing)
    return containment is not None and containment.is_active


# --- certificate/confirm -----------------------------------------------------------------------------------------


def _confirm_certificate(request: DeviceRequest, _body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Take in that the device is really using the new certificate: this message came over it."""
    rotation = read_rotation(context.ports.ledger, request.thing)
    if rotation is not None and request.certificate == rotation.new:
        if rotation.state in (RotationState.CONFIRMED, RotationState.FINISHED):
            return {}
        if rotation.state is RotationState.ISSUED:
            _require_own(request, context)
            step = Step(
                "new certificate in use", f"certificate {request.certificate[:12]}", "confirmed by the device over it"
            )
            confirmed = rotation_put(replace(rotation, state=RotationState.CONFIRMED))
            context.cases.save(context.cases.read(rotation.case_id), context.now(), step, also=(confirmed,))
            return {}
    _require_own(request, context)
    rotation = _open_rotation(request, context)
    raise Refused("not-the-new-certificate", "confirm over the new certificate, once it has been issued")


# --- logs/create -------------------------------------------------------------------------------------------------


def _create_uploads(request: DeviceRequest, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    _require_own(request, context)
    job_id = body.get("jobId")
    named = isinstance(job_id, str) and JOB_ID.fullmatch(job_id)
    job = read_job(context.ports.ledger, str(job_id), request.thing) if named else None
    if job is None or job.action != COLLECT_LOGS:
        raise Refused("no-job", "`jobId` names no log collection of this thing")
    _require_in_progress(job.id, request.thing, context)
    uploads = _announced(body.get("files"), job, context)
    if job.uploads and uploads != job.uploads:
        raise Refused("files-changed", "other files were announced for this job before; announce the same ones")
    if not job.uploads:
        _remember_uploads(job, uploads, context)
    forms = [
        context.ports.evidence.upload_form(each.key, each.bytes, each.sha256, _UPLOAD_LIFETIME) for each in uploads
    ]
    return {
        "uploads": [
            {"name": upload.name, "url": form.url, "fields": dict(form.fields)}
            for upload, form in zip(uploads, forms, strict=True)
        ]
    }


def _remember_uploads(job: Job, uploads: tuple[Upload, ...], context: Context) -> None:
    facts = {
        "files": [{"name": each.name, "bytes": each.bytes, "sha256": each.sha256, "key": each.key} for each in uploads]
    }
    step = Step("logs announced", f"thing {job.thing}", "", facts)
    announced = job_put(replace(job, uploads=uploads))
    context.cases.save(context.cases.read(job.case_id), context.now(), step, also=(announced,))


def _announced(files: object, job: Job, context: Context) -> tuple[Upload, ...]:
    most = context.settings.evidence_files
    if not isinstance(files, list) or not 1 <= len(files) <= most:
        raise Refused("files-invalid", f"`files` must list 1 to {most} files")
    uploads = tuple(_upload(file, number, job, context) for number, file in enumerate(files))
    if len({upload.name for upload in uploads}) != len(uploads):
        raise Refused("files-invalid", "two files have the same name")
    return uploads


def _upload(file: object, number: int, job: Job, context: Context) -> Upload:
    if not isinstance(file, dict):
        raise Refused("files-invalid", f"file {number} is not an object with name, bytes and sha256")
    name, size, digest = file.get("name"), file.get("bytes"), file.get("sha256")
    if not isinstance(name, str) or not 1 <= len(name) <= _FILE_NAME_CHARACTERS or not name.isprintable():
        raise Refused(
            "files-invalid", f"file {number}: `name` must be 1 to {_FILE_NAME_CHARACTERS} printable characters"
        )
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= context.settings.evidence_file_bytes:
        raise Refused(
            "files-invalid", f"file {number}: `bytes` must be a number up to {context.settings.evidence_file_bytes}"
        )
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise Refused("files-invalid", f"file {number}: `sha256` must be 64 lower-case hex digits")
    # No byte of a name reaches the key: it is built here, and the name stays data.
    return Upload(name, size, digest, f"cases/{job.case_id}/{job.id}/{number:02d}-{digest[:16]}")


_ANSWERS: dict[tuple[str, str], Callable[[DeviceRequest, Mapping[str, Any], Context], dict[str, Any]]] = {
    ("certificate", "create"): _create_certificate,
    ("certificate", "confirm"): _confirm_certificate,
    ("logs", "create"): _create_uploads,
}

PERMISSIONS = (
    "iot:ListThingPrincipals",
    "iot:DescribeThing",
    "iot:ListThingGroupsForThing",
    "iot:ListAttachedPolicies",
    "iot:DescribeCertificate",
    "iot:ListCertificates",
    "iot:CreateCertificateFromCsr",
    "iot:UpdateCertificate",
    "iot:DeleteCertificate",
    "iot:AttachThingPrincipal",
    "iot:DetachThingPrincipal",
    "iot:AttachPolicy",
    "iot:DetachPolicy",
    "iot:Publish",
    "iot:DescribeJobExecution",
    "s3:PutObject",
)
"""What the role of `serve_device` needs; a test holds template.yaml against it."""

PRIVATE_CA_PERMISSIONS = (
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:IssueCertificate",
    "acm-pca:GetCertificate",
    "iot:RegisterCertificateWithoutCA",
)
"""What it needs besides, where an authority in AWS Private CA signs the certificates."""
