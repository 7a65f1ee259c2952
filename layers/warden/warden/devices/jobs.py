"""The jobs that devices run: their ids, their documents, and the record of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Any

from warden.context import Context
from warden.core import quotas
from warden.core.clock import to_text
from warden.core.ledger import Key, Ledger, Put, Record, version_of
from warden.core.ports import JobOrder
from warden.core.records import RecordType
from warden.plan.actions import ROTATE_CERTIFICATE

JOB_ID_PREFIX = "warden-"
_SPARE = timedelta(minutes=1)


class NoStatus(StrEnum):
    """Our status of an execution that has none in IoT Jobs: it is gone, or the device was silent."""

    GONE = "gone"
    SILENT = "silent-past-deadline"


@dataclass(frozen=True)
class Upload:
    """A file that a device announced: its name, size and digest, and the key for its upload."""

    name: str
    bytes: int
    sha256: str
    key: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One device's part of a job. `deadline` is when silence counts as its end; None once it has ended.

    A job of IoT Jobs may be for many devices (a campaign's are); here there is a record for each of them.
    """

    id: str
    action: str
    case_id: str
    thing: str
    began_at: datetime
    deadline: datetime | None
    uploads: Sequence[Upload] = ()
    version: int = 0


def job_id(case_id: str, action: str, nth: int) -> str:
    """Return the id of a job; the same decision has the same id."""
    return f"{JOB_ID_PREFIX}{action}-{sha256(f'{case_id} {action} {nth}'.encode()).hexdigest()[:24]}"


def document(action: str, job: str, key_algorithm: str) -> dict[str, Any]:
    """Write the job document in AWS IoT Device Client's schema, with our own block beside it.

    Device Client ignores fields it does not know (device-client-observed.md, section 6); `version` must be a string.
    """
    return {
        "version": "1.0",
        "steps": [
            {
                "action": {
                    "name": action,
                    "type": "runHandler",
                    "input": {"handler": f"warden-{action}", "args": [job], "path": "default"},
                }
            }
        ],
        "warden": {"operation": action, "jobId": job}
        | ({"keyAlgorithm": key_algorithm} if action == ROTATE_CERTIFICATE else {}),
    }


def order_for(job: Job, context: Context[object]) -> JobOrder:
    """Return the order for one device's job. It has an end time, because a QUEUED execution never times out."""
    return JobOrder(
        id=job.id,
        things=(job.thing,),
        document=document(job.action, job.id, context.plan.rotation.key_algorithm),
        work_timeout=context.settings.work_timeout,
        ends_at=end_time(job.deadline, context.now()),
    )


def end_time(deadline: datetime | None, now: datetime) -> datetime:
    """Return a deadline as an end time that IoT Jobs accepts: at least its quota ahead, with a minute to spare."""
    return max(deadline or now, now + quotas.LEAST_TIME_TO_END + _SPARE)


def _key(job: str, thing: str) -> Key:
    return Key(f"JOB#{job}", f"THING#{thing}")


def read_job(ledger: Ledger, job: str, thing: str) -> Job | None:
    """Read the record of a job for a thing; None when it is not ours, or not for that thing."""
    record = ledger.read(_key(job, thing))
    return job_from(record) if record else None


def save_job(ledger: Ledger, job: Job) -> Job:
    """Write the record of a job.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(job_put(job))
    return replace(job, version=job.version + 1)


_JOB = RecordType(name="job", of=Job, attributes={"id": "job_id", "deadline": "due_at"}, sparse=("deadline",))


def job_put(job: Job) -> Put:
    """Return the write of a job's record, for a commit; the sweep finds it while the job has a deadline."""
    record = _JOB.record(job) | ({"due": "due"} if job.deadline else {})
    return Put(_key(job.id, job.thing), record, job.version)


job_from = _JOB.value


LAST_LOOK = 4
_LOOK_AFTER = timedelta(minutes=2)


def look_put(job: Job, looks: int, now: datetime, before: Record | None) -> Put:
    """Return the write that makes the sweep look again at a job whose end was reported and is not shown yet. After
    `LAST_LOOK` there is none: the job is over, or the report was wrong and the deadline ends it.
    """
    record = {"type": "job-look", "job_id": job.id, "thing": job.thing, "looks": looks}
    due = {"due": "due", "due_at": to_text(now + looks * _LOOK_AFTER)} if looks < LAST_LOOK else {}
    return Put(look_key(job.id, job.thing), record | due, version_of(before))


def look_key(job: str, thing: str) -> Key:
    """Return the key under which the next look at a job is stored."""
    return Key(f"JOB#{job}", f"LOOK#{thing}")
