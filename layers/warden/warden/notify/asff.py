"""A case in AWS Security Finding Format 2018-10-08: one finding in Security Hub, updated with the case."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from warden.cases.model import Case
from warden.core import quotas
from warden.core.clock import to_text
from warden.notify.case_notices import plain
from warden.settings import Settings


def finding_of(case: Case, settings: Settings, now: datetime) -> dict[str, Any]:
    """Write a case as a finding. Its id never changes, so that Security Hub has one; a closed case is archived."""
    hub = f"arn:{settings.partition}:securityhub:{settings.region}:{settings.account}"
    return {
        "SchemaVersion": "2018-10-08",
        "Id": f"{hub}:fleet-warden/{settings.event_source}/{case.id}",
        "ProductArn": f"{hub}:product/{settings.account}/default",
        "ProductName": "Fleet Warden",
        "GeneratorId": f"fleet-warden/{case.rule or 'undecided'}",
        "AwsAccountId": settings.account,
        "Types": ["Unusual Behaviors"],
        "CreatedAt": to_text(case.opened_at),
        "UpdatedAt": to_text(now),
        "Severity": {"Label": case.severity.upper()},
        "Title": plain(case.title, quotas.FINDING_TITLE_CHARACTERS),
        "Description": plain(
            f"{case.title}. Case {case.id} is {case.state}; `warden show {case.id}`.",
            quotas.FINDING_DESCRIPTION_CHARACTERS,
        ),
        "Resources": [_resource(case, settings)],
        "RecordState": "ACTIVE" if case.is_open else "ARCHIVED",
        "ProductFields": {
            "fleet-warden/case": case.id,
            "fleet-warden/state": case.state,
            "fleet-warden/resolution": case.resolution or "none",
            "fleet-warden/mode": case.mode or "none",
            "fleet-warden/source": case.source,
            "fleet-warden/kind": plain(case.kind, quotas.FINDING_FIELD_CHARACTERS),
            "fleet-warden/actions": _actions(case),
        },
    }


def _resource(case: Case, settings: Settings) -> dict[str, Any]:
    name = f"{settings.arn_prefix}thing/{case.thing}" if case.thing else f"{case.subject.type}/{case.subject.name}"
    return {
        "Type": "Other",
        "Id": plain(name, quotas.FINDING_RESOURCE_CHARACTERS),
        "Partition": settings.partition,
        "Region": settings.region,
    }


def _actions(case: Case) -> str:
    outcomes = ", ".join(f"{action} {outcome.progress}" for action, outcome in case.outcomes.items())
    return plain(outcomes, quotas.FINDING_FIELD_CHARACTERS) or "none"
