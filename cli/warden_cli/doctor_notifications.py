"""The check for alerts that Device Defender could not deliver, by AWS IoT's metric and logs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from warden.aws.undelivered import METRIC, undelivered_alerts
from warden_cli.baseline_proposal import is_unread
from warden_cli.doctor_model import Finding, Health, Patient, unknown
from warden_cli.reading import CONFIG, read

if TYPE_CHECKING:
    from boto3 import Session

_SINCE = timedelta(hours=26)
_LOG_GROUP = "AWSIotLogsV2"
_MOST_PAGES = 20
"""A large log is searched in part: the metric counts everything."""


def notifications(patient: Patient) -> Iterator[Finding]:
    """Look for alerts that Device Defender could not deliver."""
    since = datetime.now(UTC) - _SINCE
    counted = read("cloudwatch", lambda: _counted(patient.session, since))
    told = read("logs", lambda: _told(patient.session, since))
    for each in (counted, told):
        if is_unread(each):
            yield unknown("notifications", each)
    if is_unread(counted) or is_unread(told):
        return
    if not counted and not told:
        says = f"AWS IoT counts no alert of the last 26 hours that could not be delivered ({METRIC})"
        yield Finding(check="notifications", health=Health.OK, says=says)
        return
    yield Finding(
        check="notifications",
        health=Health.WRONG,
        says=f"Device Defender could not deliver alerts in the last 26 hours: {counted} counted, {told} log lines",
        fix="Its role must be allowed to publish by the topic's policy and to use the topic's key: see alert-delivery.",
    )


def _counted(session: Session, since: datetime) -> int:
    return undelivered_alerts(session.client("cloudwatch", config=CONFIG), since, datetime.now(UTC))


def _told(session: Session, since: datetime) -> int:
    """Count the lines of AWS IoT's log that name it; no such log has none."""
    logs = session.client("logs", config=CONFIG)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=_LOG_GROUP, filterPattern=f'"{METRIC}"', startTime=int(since.timestamp() * 1000)
    )
    try:
        return sum(len(page["events"]) for page in islice(pages, _MOST_PAGES))
    except logs.exceptions.ResourceNotFoundException:
        return 0
