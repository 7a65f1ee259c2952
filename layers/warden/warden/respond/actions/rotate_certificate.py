"""Rotate the certificate: ask the device, by a job, to make a new key and to prove it before the old one goes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.core.ports import HasCertificates, HasJobs, HasLedger, HasRegistry
from warden.devices.device_view import DeviceView
from warden.devices.jobs import Job
from warden.devices.rotation import begin_rotation, end_rotation, others_on
from warden.devices.rotation_records import RotationState, read_rotation
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.actions.action import Action

_NAMED = 3
_USERS_LOOKED_AT = 20
"""How many users of a shared certificate are named, and of how many it is read whether they are moving."""


class _Ports(HasLedger, HasRegistry, HasCertificates, HasJobs, Protocol):
    """What this action touches."""


def rotate_certificate(case: Case, context: Context[_Ports], _view: DeviceView | None = None) -> Outcome:
    """Start the rotation; it is over when the device has confirmed over its new certificate, or has not.

    Raises:
        ActionFailed: when the thing has no certificate, or another rotation is under way on it.
    """
    job = case.outcomes[ROTATE_CERTIFICATE].job_id
    begin_rotation(case, job, context)
    return Outcome(Progress.STARTED, "job sent", job)


def judge_rotation(job: Job, status: str, context: Context[_Ports]) -> Outcome:
    """Success is the new certificate seen in use, whatever the job says of itself."""
    rotation = read_rotation(context.ports.ledger, job.thing)
    if rotation is None or rotation.job_id != job.id:
        return Outcome(Progress.FAILED, f"no rotation is on record; the job is {status}", job.id)
    ended = end_rotation(rotation, context)
    if ended.state is RotationState.FINISHED:
        became = "; ".join(_became(certificate, job.thing, context) for certificate in ended.old)
        return Outcome(Progress.DONE, f"now on {ended.new[:12]}; {became}", job.id)
    has_one = bool(context.ports.registry.certificates_of(job.thing))
    left_with = "back on the old one" if has_one else f"{job.thing} has no certificate any more"
    return Outcome(
        Progress.FAILED,
        f"the new certificate was never seen in use, or is ACTIVE no more; the job is {status}; {left_with}",
        job.id,
    )


def _became(old: str, thing: str, context: Context[_Ports]) -> str:
    """Say what became of an old certificate, and name users of a shared one that nobody is moving off it."""
    others = sorted(others_on(old, thing, context))
    if not others:
        return f"{old[:12]} is INACTIVE"
    rotations = {each: read_rotation(context.ports.ledger, each) for each in others[:_USERS_LOOKED_AT]}
    unknown = [each for each, rotation in rotations.items() if rotation is None or rotation.is_over]
    said = f"{old[:12]} stays in use by {_named(others)}"
    return f"{said}; no rotation is under way for {_named(unknown)}" if unknown else said


def _named(things: Sequence[str]) -> str:
    more = len(things) - _NAMED
    return ", ".join(things[:_NAMED]) + (f" and {more:,} more" if more > 0 else "")


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
    judge=judge_rotation,
)
