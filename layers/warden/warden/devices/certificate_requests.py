"""Requests for certificates: who may create and confirm one, and the answers. `devices.rotation` does the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from warden.context import Context
from warden.devices.csr import read_csr
from warden.devices.requests import DeviceRequest, require_in_progress, require_own
from warden.devices.rotation import confirm, issue_certificate, require_open
from warden.devices.rotation_records import read_rotation

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
    "iot:DescribeJobExecution",
)
"""What the answers and the rotation behind them need from AWS."""


def create_certificate(request: DeviceRequest, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer certificate/create with the certificate made for the device's signing request.

    Raises:
        Refused: not-yours, not-active, no-job, and what `read_csr`, `require_open` and `issue_certificate` refuse.
    """
    attached = require_own(request, context)
    rotation = require_open(read_rotation(context.ports.ledger, request.thing), request.thing)
    require_in_progress(rotation.job_id, request.thing, context)
    csr = read_csr(body.get("csr"))
    certificate = issue_certificate(rotation, csr, request.certificate, attached, context)
    return {"certificateId": certificate.id, "certificatePem": certificate.pem}


def confirm_certificate(request: DeviceRequest, _body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer certificate/confirm: the device uses its new certificate, as this message came over it.

    Raises:
        Refused: not-yours, not-active, and what `confirm` refuses.
    """
    rotation = read_rotation(context.ports.ledger, request.thing)
    if rotation is None or not rotation.is_confirmed_over(request.certificate):
        require_own(request, context)
        confirm(require_open(rotation, request.thing), request.certificate, context)
    return {}
