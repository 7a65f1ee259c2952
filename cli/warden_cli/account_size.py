"""How large the account is, by its own numbers: what the baseline's prices are multiplied by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from warden.core import quotas
from warden.core.account_facts import Unread
from warden_cli.reading import CONFIG, read

if TYPE_CHECKING:
    from boto3 import Session

MOST_PAGES = 40
"""The most certificates that are counted: the devices need these calls too."""

_DEFAULT_LOG_GROUP = "AWSIotLogsV2"
_MONTH = timedelta(days=30)
_GB = 10**9


@dataclass(frozen=True)
class Amount:
    """One number, and its source. `at_least` is set if counting stopped early."""

    value: float
    source: str
    at_least: bool = False


type Size = Mapping[str, Amount | Unread | None]
"""By the names of the inputs in `controls.toml`. None is what the account cannot know yet."""


def size_of(session: Session, now: datetime, *, has_iot: bool) -> Size:
    """Count what can be counted without a bill. The rest is the caller's to assume."""
    size: dict[str, Amount | Unread | None] = {"roles_and_users": read("iam", lambda: _roles_and_users(session))}
    if has_iot:
        size["active_certificates"] = read("iot", lambda: _certificates(session))
        size["log_gb"] = read("cloudwatch", lambda: _log_gb(session, now))
    return size


def _certificates(session: Session) -> Amount:
    paginator = session.client("iot", config=CONFIG).get_paginator("list_certificates")
    pages = iter(paginator.paginate(PaginationConfig={"PageSize": quotas.LIST_PAGE}))
    counted = sum(each["status"] == "ACTIVE" for page in islice(pages, MOST_PAGES) for each in page["certificates"])
    return Amount(counted, "certificates that are ACTIVE", at_least=next(pages, None) is not None)


def _roles_and_users(session: Session) -> Amount:
    summary = session.client("iam", config=CONFIG).get_account_summary()["SummaryMap"]
    return Amount(summary.get("Roles", 0) + summary.get("Users", 0), "IAM's summary of the account")


def _log_gb(session: Session, now: datetime) -> Amount | None:
    answer = session.client("cloudwatch", config=CONFIG).get_metric_statistics(
        Namespace="AWS/Logs",
        MetricName="IncomingBytes",
        Dimensions=[{"Name": "LogGroupName", "Value": _DEFAULT_LOG_GROUP}],
        StartTime=now - _MONTH,
        EndTime=now,
        Period=int(_MONTH.total_seconds()),
        Statistics=["Sum"],
    )
    if not answer["Datapoints"]:
        return None
    return Amount(sum(each["Sum"] for each in answer["Datapoints"]) / _GB, f"{_DEFAULT_LOG_GROUP}, the last 30 days")
