"""Forward the ends of job executions that IoT Jobs reports to the device's queue group."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

from warden.context import Context
from warden.core import quotas
from warden.core.errors import Refused
from warden.core.ports import HasLedger, HasQueue
from warden.devices.jobs import JOB_ID_PREFIX, read_job
from warden.queues.messages import send_job_ended

_ENDINGS = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED", "DELETED")
_THING = re.compile(rf"arn:[^:]+:iot:[^:]*:[0-9]*:thing/(?P<name>{quotas.THING_NAME})")


class _Ports(HasLedger, HasQueue, Protocol):
    """The ports of tracking."""


class Tracked(StrEnum):
    """The result of a job event."""

    HANDED_ON = "handed-on"
    NOT_OURS = "not-ours"
    NOT_AN_END = "not-an-end"
    NOT_ON_RECORD = "not-on-record"


def track(event: Mapping[str, Any], context: Context[_Ports]) -> Tracked:
    """Queue the end of one of our executions.

    The thing that the event names counts only if our own record says that the job is for it.

    Raises:
        Refused: when it is not a job execution event.
    """
    job_id = event.get("jobId")
    status = event.get("status") or str(event.get("operation", "")).upper()
    if not isinstance(job_id, str) or not re.fullmatch(quotas.JOB_ID, job_id):
        raise Refused("not-a-job-event", "the event has no `jobId` that IoT Jobs could have made")
    if not job_id.startswith(JOB_ID_PREFIX):
        return Tracked.NOT_OURS
    if status not in _ENDINGS:
        return Tracked.NOT_AN_END
    thing = _THING.fullmatch(str(event.get("thingArn", "")))
    if thing is None:
        raise Refused("not-a-job-event", "the event has no `thingArn` of a thing")
    job = read_job(context.ports.ledger, job_id, thing["name"])
    if job is None:
        return Tracked.NOT_ON_RECORD
    send_job_ended(context.ports.queue, thing=job.thing, job_id=job.id, event=str(event.get("eventId", status)))
    return Tracked.HANDED_ON
