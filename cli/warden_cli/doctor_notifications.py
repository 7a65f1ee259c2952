"""The check of what Device Defender could not deliver, as AWS IoT counts it and as its logs have it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from warden_cli.baseline_proposal import is_unread
from warden_cli.doctor_model import Finding, Health, Patient, unknown
from warden_cli.reading import CONFIG, read

if TYPE_CHECKING:
    from boto3 import Session

_METRIC = "MisconfiguredDeviceDefenderNotification"
"""AWS IoT Core developer guide, "AWS IoT metrics and dimensions". Which dimensions it has is not said there."""

_SINCE = timedelta(hours=26)
_LOG_GROUP = "AWSIotLogsV2"
_MOST_PAGES = 20
"""A large log is looked through in part: the metric counts the whole."""


def notifications(patient: Patient) -> Iterator[Finding]:
    """Look for alerts that did not leave Device Defender."""
    since = datetime.now(UTC) - _SINCE
    counted = read("cloudwatch", lambda: _counted(patient.session, since))
    told = read("logs", lambda: _told(patient.session, since))
    for each in (counted, told):
        if is_unread(each):
            yield unknown("notifications", each)
    if is_unread(counted) or is_unread(told):
        return
    if not counted and not told:
        says = f"AWS IoT counts no alert of the last 26 hours that could not be delivered ({_METRIC})"
        yield Finding(check="notifications", health=Health.OK, says=says)
        return
    yield Finding(
        check="notifications",
        health=Health.WRONG,
        says=f"Device Defender could not deliver alerts in the last 26 hours: {counted:g} counted, {told} log lines",
        fix="Its role must be allowed to publish by the topic's policy and to use the topic's key: see alert-delivery.",
    )


def _counted(session: Session, since: datetime) -> float:
    """Add up the metric over whatever dimensions it has."""
    cloudwatch = session.client("cloudwatch", config=CONFIG)
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="AWS/IoT", MetricName=_METRIC)
    total = 0.0
    for metric in (each for page in pages for each in page["Metrics"]):
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/IoT",
            MetricName=_METRIC,
            Dimensions=metric.get("Dimensions", []),
            StartTime=since,
            EndTime=datetime.now(UTC),
            Period=3600,
            Statistics=["Sum"],
        )
        total += sum(each["Sum"] for each in answer["Datapoints"])
    return total


def _told(session: Session, since: datetime) -> int:
    """Count the lines of AWS IoT's log that name it; no such log has none."""
    logs = session.client("logs", config=CONFIG)
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=_LOG_GROUP, filterPattern=f'"{_METRIC}"', startTime=int(since.timestamp() * 1000)
    )
    try:
        return sum(len(page["events"]) for page in islice(pages, _MOST_PAGES))
    except logs.exceptions.ResourceNotFoundException:
        return 0
