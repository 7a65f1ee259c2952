"""An alarm of CloudWatch on a metric that counts samples, played hour by hour.

After the user guide, "Configuring how CloudWatch alarms treat missing data": an alarm begins in INSUFFICIENT_DATA, and
acts only when its state changes. The model leaves out that CloudWatch looks further back than the periods, which delays
an alarm of missing data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

_ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", "INSUFFICIENT_DATA": "InsufficientDataActions"}


def told(alarm: Mapping[str, Any], sampled: Set[int], *, until: int) -> list[tuple[int, str]]:
    """Evaluate at the start of each hour from the deployment on; return when people were notified of which state."""
    state, found = "INSUFFICIENT_DATA", []
    for now in range(until):
        hours = range(now - alarm["EvaluationPeriods"], now)
        new = _state(alarm, [hour in sampled for hour in hours], state)
        if new != state and alarm.get(_ACTIONS[new]):
            found.append((now, new))
        state = new
    return found


def _state(alarm: Mapping[str, Any], sampled: Sequence[bool], before: str) -> str:
    """A sample is never below the threshold, so only missing data could breach it."""
    assert (alarm["Statistic"], alarm["Threshold"], alarm["ComparisonOperator"]) == (
        "SampleCount",
        1,
        "LessThanThreshold",
    )
    missing = sampled.count(False)
    match alarm["TreatMissingData"]:
        case "breaching":
            return "ALARM" if missing >= alarm["DatapointsToAlarm"] else "OK"
        case "missing":
            return "INSUFFICIENT_DATA" if missing == len(sampled) else "OK"
        case "ignore":
            return before if missing == len(sampled) else "OK"
    return "OK"
