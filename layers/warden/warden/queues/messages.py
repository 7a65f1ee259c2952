"""The messages on the case queue. Each device is a group, so that its messages are handled one at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from warden.core.findings import Finding, SubjectType
from warden.core.ledger import Key
from warden.core.ports import CaseQueue, QueueEntry

SCHEMA = 1


def send_finding(queue: CaseQueue, finding: Finding, *, verified: bool = False) -> None:
    """Queue a finding after everything else about its device (or its subject, when that is not a device).

    `verified` means that it was just read from its detector's own API and need not be verified again.
    """
    _put(queue, group_of(finding), "finding", finding=finding.to_message(), verified=verified)


def send_findings(queue: CaseQueue, findings: Sequence[Finding], *, verified: bool) -> None:
    """Queue findings in as few calls as the queue allows."""
    queue.put_all(
        [_entry(group_of(each), "finding", finding=each.to_message(), verified=verified) for each in findings]
    )


def group_of(finding: Finding) -> str:
    """Return the group whose messages a finding comes after."""
    return finding.subject.name if finding.subject.type is SubjectType.THING else str(finding.subject)


def send_decision(
    queue: CaseQueue,
    *,
    thing: str,
    decision: str,
    case_id: str,
    who: str,
    why: str,
    request: str,
    accept_changes: bool = False,
) -> None:
    """Queue an operator's decision; `request` is the id of the operator's call."""
    body: dict[str, Any] = {"decision": decision, "case": case_id, "who": who, "why": why, "request": request}
    body |= {"accept_changes": True} if accept_changes else {}
    _put(queue, thing, "decision", **body)


def send_campaign_decision(queue: CaseQueue, *, decision: str, campaign: str, who: str, why: str, request: str) -> None:
    """Queue an operator's decision about a campaign, after the campaign's other messages."""
    body = {"decision": decision, "campaign": campaign, "who": who, "why": why, "request": request}
    _put(queue, "campaign", "campaign-decision", **body)


def send_batch_over(queue: CaseQueue, *, batch: str) -> None:
    """Queue that every device of a campaign's batch has ended, so that the campaign need not wait for the sweep."""
    _put(queue, "campaign", "batch-over", batch=batch)


def send_job_ended(queue: CaseQueue, *, thing: str, job_id: str, event: str) -> None:
    """Queue that a job's execution on a device ended; `event` is the id of the event that reported it."""
    _put(queue, thing, "job-ended", job=job_id, thing=thing, event=event)


def send_due(queue: CaseQueue, *, thing: str, key: Key, due_at: str, round_: str) -> None:
    """Queue that a record is due; `round_` names the sweep, so that the next sweep queues it again."""
    _put(queue, thing, "due", partition=key.partition, sort=key.sort, due=due_at, round=round_)


def _put(queue: CaseQueue, group: str, message_type: str, **body: object) -> None:
    queue.put_all([_entry(group, message_type, **body)])


def _entry(group: str, message_type: str, **body: object) -> QueueEntry:
    message: Mapping[str, Any] = {"schema": SCHEMA, "type": message_type, **body}
    digest = sha256(json.dumps(message, sort_keys=True).encode()).hexdigest()
    return QueueEntry(message, group=sha256(group.encode()).hexdigest(), once=digest)
