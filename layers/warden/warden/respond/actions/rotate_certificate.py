"""Rotate the certificate: send the device a job to make a new key and prove it before the old one is retired."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.core.ports import HasCertificates, HasJobs, HasLedger, HasRegistry
from warden.devices.device_view import DeviceView
from warden.devices.jobs import Job
from warden.devices.rotation import begin_rotation, end_rotation, other_users_of
from warden.devices.rotation_records import RotationState, read_rotation
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.actions.action import Action

_NAMED = 3
_USERS_READ = 20
"""Of a shared certificate's users, `_NAMED` are named, and the rotations of `_USERS_READ` are read."""


class _Ports(HasLedger, HasRegistry, HasCertificates, HasJobs, Protocol):
    """The ports of this action."""


def rotate_certificate(case: Case, context: Context[_Ports], _view: DeviceView | None = None) -> Outcome:
    """Start the rotation. It ends when the device has confirmed over its new certificate, or has failed to.

    Raises:
        ActionFailed: when the thing has no certificate, or another rotation is under way on it.
    """
    job = case.outcomes[ROTATE_CERTIFICATE].job_id
    begin_rotation(case, job, context)
    return Outcome(Progress.STARTED, "job sent", job)


def judge_rotation(job: Job, status: str, context: Context[_Ports]) -> Outcome:
    """Judge by whether the new certificate was seen in use, whatever the job's status."""
    rotation = read_rotation(context.ports.ledger, job.thing)
    if rotation is None or rotation.job_id != job.id:
        return Outcome(Progress.FAILED, f"no rotation is on record; the job is {status}", job.id)
    ended = end_rotation(rotation, context)
    if ended.state is RotationState.FINISHED:
        old = "; ".join(_what_became_of(certificate, job.thing, context) for certificate in ended.old)
        return Outcome(Progress.DONE, f"now on {ended.new[:12]}; {old}", job.id)
    if ended.state is RotationState.STRANDED:
        both = " and ".join(each[:12] for each in (*ended.old, ended.new))
        why = f"the device confirmed its new certificate, which is no longer usable; {both} are kept"
        return Outcome(Progress.FAILED, why, job.id)
    has_one = bool(context.ports.registry.certificates_of(job.thing))
    left_with = "back on the old one" if has_one else f"{job.thing} no longer has a certificate"
    return Outcome(
        Progress.FAILED,
        f"the new certificate was never seen in use; the job is {status}; {left_with}",
        job.id,
    )


def _what_became_of(old: str, thing: str, context: Context[_Ports]) -> str:
    """Return what became of an old certificate, and which users of a shared one have no rotation under way."""
    others = sorted(other_users_of(old, thing, context))
    if not others:
        return f"{old[:12]} is out of use"
    rotations = {each: read_rotation(context.ports.ledger, each) for each in others[:_USERS_READ]}
    unknown = [each for each, rotation in rotations.items() if rotation is None or rotation.is_over]
    in_use = f"{old[:12]} stays in use by {_named(others)}"
    return f"{in_use}; no rotation is under way for {_named(unknown)}" if unknown else in_use


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
