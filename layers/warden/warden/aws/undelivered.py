"""What Device Defender could not deliver, as AWS IoT counts it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

METRIC = "MisconfiguredDeviceDefenderNotification"
"""AWS IoT Core developer guide, "AWS IoT metrics and dimensions". That page does not list its dimensions."""

_HOUR = timedelta(hours=1)


def undelivered_alerts(cloudwatch: Any, since: datetime, until: datetime) -> int:
    """Add up the metric over whatever dimensions it has: under several of them, an alert counts several times.

    There is no such metric before the first such alert.
    """
    pages = cloudwatch.get_paginator("list_metrics").paginate(Namespace="AWS/IoT", MetricName=METRIC)
    total = 0.0
    for metric in (each for page in pages for each in page["Metrics"]):
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/IoT",
            MetricName=METRIC,
            Dimensions=metric.get("Dimensions", []),
            StartTime=since,
            EndTime=until,
            Period=int(_HOUR.total_seconds()),
            Statistics=["Sum"],
        )
        total += sum(each["Sum"] for each in answer["Datapoints"])
    return round(total)
