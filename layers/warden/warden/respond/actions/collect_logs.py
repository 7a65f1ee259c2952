"""Collect logs: ask the device, by a job, to upload the files that its own allow-list names."""

from __future__ import annotations

from typing import Protocol

from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.core.ports import HasEvidence, HasJobs, HasLedger
from warden.devices.device_view import DeviceView
from warden.devices.jobs import Job, order_for, read_job, save_job
from warden.plan.actions import COLLECT_LOGS
from warden.respond.actions.action import Action


class _Ports(HasLedger, HasJobs, HasEvidence, Protocol):
    """The ports of this action."""


def collect_logs(case: Case, context: Context[_Ports], _view: DeviceView | None = None) -> Outcome:
    """Start the job; `judge_logs` checks its result when it ends."""
    job_id = case.outcomes[COLLECT_LOGS].job_id
    ledger, now = context.ports.ledger, context.now()
    job = read_job(ledger, job_id, case.thing)
    if job is None:
        deadline = now + context.settings.collection_deadline
        begun = Job(id=job_id, action=COLLECT_LOGS, case_id=case.id, thing=case.thing, began_at=now, deadline=deadline)
        job = save_job(ledger, begun)
    context.ports.jobs.start(order_for(job, context))
    return Outcome(Progress.STARTED, "job sent", job_id)


def judge_logs(job: Job, status: str, context: Context[_Ports]) -> Outcome:
    """Judge by the objects in the bucket: each must be byte for byte what the device announced."""
    missing = []
    for upload in job.uploads:
        there = context.ports.evidence.uploaded(upload.key)
        if there is None or (there.bytes, there.sha256) != (upload.bytes, upload.sha256):
            missing.append(upload.name)
    if missing:
        return Outcome(
            Progress.FAILED, f"not in the bucket as announced: {', '.join(missing)}; the job is {status}", job.id
        )
    if not job.uploads:
        return Outcome(Progress.FAILED, f"the device announced no files; the job is {status}", job.id)
    total = sum(upload.bytes for upload in job.uploads)
    names = ", ".join(upload.name for upload in job.uploads)
    return Outcome(Progress.DONE, f"{names}: {total} bytes, sha256 as announced", job.id)


ACTION = Action(
    name=COLLECT_LOGS,
    run=collect_logs,
    permissions=(
        "iot:CreateJob",
        "iot:DescribeJobExecution",
        "iot:CancelJobExecution",
        "s3:GetObject",
        "s3:ListBucket",
    ),
    judge=judge_logs,
)
