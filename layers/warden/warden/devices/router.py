"""Route the requests of devices, and answer them.

A repeated request gets the same answer: a device that lost power sends the same request and gets the same
certificate. A refused request is answered with a code, and noted on the case of its thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Any

from warden.cases.model import Step, StepKind
from warden.containment.snapshot import active_containment
from warden.context import Context
from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.ledger import retry_on_conflict
from warden.devices import certificate_requests, upload_requests
from warden.devices.requests import DeviceRequest, body_of, token_of
from warden.devices.rotation_records import read_rotation
from warden.refusals import record_refusal

_ANSWERS: dict[tuple[str, str], Callable[[DeviceRequest, Mapping[str, Any], Context], dict[str, Any]]] = {
    ("certificate", "create"): certificate_requests.create_certificate,
    ("certificate", "confirm"): certificate_requests.confirm_certificate,
    ("logs", "create"): upload_requests.create_uploads,
}

PERMISSIONS = frozenset(("iot:Publish", *certificate_requests.PERMISSIONS, *upload_requests.PERMISSIONS))
"""What the role of `serve_device` needs; a test compares template.yaml with it."""

PRIVATE_CA_PERMISSIONS = (
    "acm-pca:DescribeCertificateAuthority",
    "acm-pca:IssueCertificate",
    "acm-pca:GetCertificate",
    "iot:RegisterCertificateWithoutCA",
)
"""The additional permissions for certificates that an authority in AWS Private CA signs."""


_MOST_KINDS = 20
"""Kinds of refusals on a case: what was asked, the code, and the certificate, of which a stranger may have many."""


def serve(request: DeviceRequest, context: Context) -> str:
    """Answer a device's request on `.../accepted` or `.../rejected`; return `accepted`, or the code of the refusal."""
    answer = _ANSWERS.get((request.resource, request.verb))
    if answer is None:
        unknown = Refused("unknown-request", f"there is no {shown(request.resource)}/{shown(request.verb)}")
        _note_refusal(request, unknown, context)
        return unknown.code
    token = ""  # nosec B105 # not read yet
    try:
        body = body_of(request)
        token = token_of(body)
        fields = retry_on_conflict(lambda: answer(request, body, context))
    except Refused as refusal:
        _note_refusal(request, refusal, context)
        _reply(request, "rejected", {"clientToken": token, "code": refusal.code, "message": refusal.reason}, context)
        return refusal.code
    _reply(request, "accepted", {"clientToken": token, **fields}, context)
    return "accepted"


def _reply(request: DeviceRequest, verdict: str, payload: Mapping[str, Any], context: Context) -> None:
    context.ports.replies.publish(f"{request.topic}/{verdict}", payload)


def _note_refusal(request: DeviceRequest, refusal: Refused, context: Context) -> None:
    """Record a refusal, also on the case of the thing in the topic, if it has one."""
    seen = f"{request.topic} {request.principal} {refusal.code} {sha256(request.payload).hexdigest()}"
    record_refusal(context, refusal, what=seen, about=request.thing)
    case_id = _case_of(request.thing, context)
    if case_id is None:
        return
    is_known = (request.resource, request.verb) in _ANSWERS
    kind = f"{request.resource}/{request.verb}" if is_known else "unknown"
    complaint = f"{kind}:{refusal.code}:{request.certificate[:12]}"

    def write() -> None:
        case = context.cases.find(case_id)
        if case is None:  # the ledger has forgotten it
            return
        outbox = context.cases.outbox(case)
        # One step for each kind, and few kinds: nobody can fill a timeline. Every refusal is on record for itself.
        if complaint in outbox.refusals_seen or len(outbox.refusals_seen) >= _MOST_KINDS:
            return
        step = Step(
            StepKind.DEVICE_REQUEST_REFUSED,
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
    containment = active_containment(context.ports.ledger, thing)
    if containment is not None and containment.cases:
        return containment.cases[-1]
    return rotation.case_id if rotation else None
