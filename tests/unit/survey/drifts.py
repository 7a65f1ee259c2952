"""A property that drifted and one that the service has tried to change back, for tests that show them."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from warden.survey.model import Difference, Mend, MendState, NotChecked

NO_SUCH_TYPE = NotChecked(resource="Mail", type="AWS::SNS::Subscription", why="no such type")


def a_difference(since: datetime, **changes: Any) -> Difference:
    """Build a log level that was switched off."""
    difference = Difference(
        resource="Logging",
        type="AWS::IoT::Logging",
        path="/DefaultLogLevel",
        expected="ERROR",
        found="DISABLED",
        since=since,
        closes=("undo it",),
    )
    return replace(difference, **changes)


def a_failed_mend(at: datetime, why: str) -> Mend:
    """Build an audit's frequency that could not be changed back."""
    return Mend(
        resource="DailyAudit",
        type="AWS::IoT::ScheduledAudit",
        id="daily",
        path="/Frequency",
        found="MONTHLY",
        back_to="DAILY",
        at=at,
        patch="[]",
        once="once",
        state=MendState.FAILED,
        why=why,
    )
