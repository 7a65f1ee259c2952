"""A case in plain values, for the operator's command and for events on EventBridge."""

from __future__ import annotations

from typing import Any

from warden.cases.model import Case
from warden.core.clock import to_text


def summary(case: Case) -> dict[str, Any]:
    """Write a case for people and programs: ISO times, plain values."""
    return {
        "id": case.id,
        "state": case.state,
        "resolution": case.resolution or "",
        "thing": case.thing,
        "subject": {"type": case.subject.type, "name": case.subject.name},
        "source": case.source,
        "kind": case.kind,
        "severity": case.severity,
        "title": case.title,
        "openedAt": to_text(case.opened_at),
        "closedAt": to_text(case.closed_at) if case.closed_at else "",
        "rule": case.rule,
        "mode": case.mode,
        "findings": dict(case.findings),
        "affected": list(case.affected),
        "actions": {
            action: {"progress": outcome.progress, "detail": outcome.detail, "job": outcome.job_id}
            for action, outcome in case.outcomes.items()
        },
        "approvedBy": case.approved_by,
        "releasedBy": case.released_by,
    }
