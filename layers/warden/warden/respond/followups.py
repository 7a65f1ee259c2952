"""Follow up later: jobs that end, deadlines that pass, second disconnects, retired certificates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from functools import partial

from warden.campaigns.rollout import advance, note_end
from warden.cases.model import Case, CaseState, Progress
from warden.containment.snapshot import ContainmentState, containment_from, first_look
from warden.context import Context
from warden.core.clock import CLOCKS_APART, from_text, to_text
from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.core.ledger import Key, Put, Record, retry_on_conflict, version_of
from warden.devices.jobs import LAST_LOOK, Job, NoStatus, job_from, look_key, look_put, read_job, save_job
from warden.devices.rotation import is_discarded
from warden.notify.digests import send_digest
from warden.notify.notifier import notify, retry_notifications
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.actions import judge_of
from warden.respond.decisions import recover, resume
from warden.respond.looks import look_at_contained, look_at_released, put_off
from warden.respond.responder import contain_again, record_outcome, respond, settle_after_job
from warden.respond.unconfirmed import settle


class Retired(StrEnum):
    """The fate of a retired certificate after its grace period: kept if it is in use, or might register itself.

    One that is under transfer to another account is in use, too.
    """

    KEPT = "kept"
    KEPT_INACTIVE = "kept-inactive"
    DELETED = "deleted"


def job_ended(job_id: str, thing: str, context: Context) -> None:
    """Handle an event that a job's execution may be over. The event is a hint: IoT Jobs is asked for the status."""
    job = read_job(context.ports.ledger, job_id, thing)
    if job is None:
        return
    if not _end_if_over(job, context):
        retry_on_conflict(lambda: _look_again(job, 1, context))


def _end_if_over(job: Job, context: Context) -> bool:
    """End a job that IoT Jobs shows as over, or no longer; return whether it does."""
    execution = context.ports.jobs.execution(job.id, job.thing)
    if execution is not None and not execution.is_over:
        return False
    _end(job, execution.status if execution else NoStatus.GONE, context)
    return True


def _look_again(job: Job, looks: int, context: Context) -> None:
    """Schedule another look at an execution that IoT Jobs has reported as over and does not show as over yet."""
    ledger = context.ports.ledger
    ledger.commit(look_put(job, looks, context.now(), ledger.read(look_key(job.id, job.thing))))


def _look_due(_key: Key, record: Record, context: Context) -> None:
    job = read_job(context.ports.ledger, record["job_id"], record["thing"])
    if job is None:
        return
    looks = LAST_LOOK if _end_if_over(job, context) else record["looks"] + 1
    retry_on_conflict(lambda: _look_again(job, looks, context))


def due(key: Key, context: Context) -> None:
    """Do what a due record asks for; a record that is no longer due is left alone.

    The clock of the sweep, which found it due, may be ahead of this one.
    """
    record = context.ports.ledger.read(key)
    if record is None or "due_at" not in record or from_text(record["due_at"]) > context.now() + CLOCKS_APART:
        return
    _DUE[record["type"]](key, record, context)


def _end(job: Job, status: str, context: Context) -> None:
    """Judge a job that is over and continue its case. Its deadline is cleared last, so that the sweep repeats this."""
    outcome = judge_of(job.action)(job, status, context)
    case = context.cases.read(job.case_id)
    recorded = case.outcomes.get(job.action)
    if recorded is not None and recorded.job_id == job.id:  # otherwise the case has continued without this job
        if recorded.progress not in (Progress.DONE, Progress.FAILED):
            case = record_outcome(case.id, job.action, outcome, context)
        _continue(case, job, context)
    note_end(job.thing, job.id, outcome, status, context)
    retry_on_conflict(lambda: _stop_clock(job, context))


def _continue(case: Case, job: Job, context: Context) -> None:
    if case.state is CaseState.RECOVERING and job.action == ROTATE_CERTIFICATE:
        recover(case, context)
    else:
        notify(settle_after_job(case.id, context), context)


def _stop_clock(ended: Job, context: Context) -> None:
    job = read_job(context.ports.ledger, ended.id, ended.thing)
    if job is not None and job.deadline is not None:
        save_job(context.ports.ledger, replace(job, deadline=None))


def _job_due(_key: Key, record: Record, context: Context) -> None:
    """End a job that was silent past its deadline: a QUEUED execution never times out by itself."""
    job = job_from(record)
    execution = context.ports.jobs.execution(job.id, job.thing)
    if execution is not None and not execution.is_over:
        context.ports.jobs.cancel(job.id, job.thing)
    _end(job, execution.status if execution and execution.is_over else NoStatus.SILENT, context)


def _containment_due(key: Key, record: Record, context: Context) -> None:
    """Look at a containment again; continue a quarantine or release that was begun and that nothing else continues."""
    containment = containment_from(record)
    for case_id in containment.cases:
        contain_again(case_id, context)
    if containment.state is ContainmentState.CONTAINED:
        look_at_contained(containment_from(context.ports.ledger.read(key) or record), context)
    elif containment.state is ContainmentState.RELEASED:
        look_at_released(containment, context)
    else:
        for case_id in containment.cases:
            resume(context.cases.read(case_id), context)
        retry_on_conflict(partial(put_off, containment.thing, context, only_in=containment.state))


def _retirement_due(key: Key, record: Record, context: Context) -> None:
    """Delete a retired certificate, unless it is in use again or would register itself again.

    It counts as in use only when two looks in a row show a thing: one list may be out of date.
    """
    fate = _fate_of_unused(record, context) if record.get("unused") else _fate_of(record, context)
    if fate is None:
        again = {**record, "seen_in_use": True, "due_at": to_text(first_look(context))}
        context.ports.ledger.commit(Put(key, again, version_of(record)))
        return
    settled = {name: value for name, value in record.items() if name not in ("due", "due_at")}
    context.ports.ledger.commit(Put(key, {**settled, "outcome": fate}, version_of(record)))


def _fate_of_unused(record: Record, context: Context) -> Retired | None:
    return Retired.DELETED if is_discarded(record["certificate"], record["thing"], context) else None


def _fate_of(record: Record, context: Context) -> Retired | None:
    """Delete a certificate, unless it is in use; return its fate, None if another look has to confirm its use."""
    certificate = context.ports.certificates.read(record["certificate"])
    if certificate is None:
        return Retired.DELETED
    if certificate.is_active or certificate.is_under_transfer or context.ports.registry.things_of(certificate.id):
        return Retired.KEPT if record.get("seen_in_use") else None
    if certificate.may_register_itself:
        return Retired.KEPT_INACTIVE
    context.ports.certificates.delete(certificate.id)
    return Retired.DELETED


def _finding_due(_key: Key, record: Record, context: Context) -> None:
    """Respond to a finding that its detector did not list when it arrived."""
    try:
        respond(Finding.from_message(record["finding"]), context)
    except Refused:
        settle(record, context)
        raise
    settle(record, context)


def _settle_check(key: Key, record: Record, context: Context) -> None:
    from warden.ingest.audit_reports import settle_check  # the detectors, which are read once after an audit

    settle_check(key, record, context)


def _requeue_stalled_run(key: Key, record: Record, context: Context) -> None:
    from warden.campaigns.inventory_runs import requeue_stalled_run  # only for a sweep that died

    requeue_stalled_run(key, record, context)


_DUE: dict[str, Callable[[Key, Record, Context], None]] = {
    "job": _job_due,
    "job-look": _look_due,
    "containment": _containment_due,
    "retirement": _retirement_due,
    "unconfirmed": _finding_due,
    "audit-check": _settle_check,
    "outbox": retry_notifications,
    "digest": send_digest,
    "campaign": advance,
    "sweep": _requeue_stalled_run,
}
