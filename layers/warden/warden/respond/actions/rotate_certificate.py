"""Rotate the certificate: ask the device, by a job, to make a new key and to prove it before the old one goes."""

from __future__ import annotations

from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.devices.rotation import begin_rotation
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.actions.action import Action


def rotate_certificate(case: Case, context: Context) -> Outcome:
    """Start the rotation; it is over when the device has confirmed over its new certificate, or has not.

    Raises:
        ActionFailed: when the thing has no certificate, or another rotation is under way on it.
    """
    job = case.outcomes[ROTATE_CERTIFICATE].job_id
    begin_rotation(case, job, context)
    return Outcome(Progress.STARTED, "job sent", job)


ACTION = Action(
    name=ROTATE_CERTIFICATE,
    run=rotate_certificate,
    permissions=(
        "iot:ListThingPrincipals",
        "iot:DescribeCertificate",
        "iot:CreateJob",
        "iot:CancelJobExecution",
        "iot:DescribeJobExecution",
        "iot:UpdateCertificate",
        "iot:DetachThingPrincipal",
        "iot:ListAttachedPolicies",
        "iot:AttachPolicy",
        "iot:DetachPolicy",
        "iot:DeleteCertificate",
        "iot:ListPrincipalThings",
        "iot:ListCertificates",
    ),
    is_job=True,
)
