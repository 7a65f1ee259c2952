"""Read the findings of audits page by page, as reports hold none; the next run continues what one cannot finish.

All findings of a page are queued before the next page is read. The rest of the report is a message of our own on the
inbox. When a run dies, its message is delivered again and its pages are read again; a finding that is queued twice
counts once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from warden.cases.model import Case, CaseState, case_from
from warden.context import Context
from warden.core.clock import to_text
from warden.core.errors import Refused
from warden.core.findings import Ending, Finding, Source, Subject, SubjectType
from warden.core.ledger import Index, Key, Put, retry_on_conflict, version_of
from warden.ingest.detectors import Envelope, audit
from warden.queues.messages import send_findings
from warden.refusals import record_if_refused

_PAGE = "fleetWardenAuditPage"
_LEAST_TIME = timedelta(seconds=20)
"""The time a run must have left to begin a page: 250 findings are listed and queued in a second or two."""

_SETTLED_AFTER = timedelta(minutes=30)
"""How long after an audit the cases that it no longer finds are closed; the case queue is long empty by then."""


@dataclass(frozen=True)
class Reading:
    """The next page to read of one check of one audit; empty for the first."""

    task_id: str
    check: str
    page: str = ""

    def to_message(self) -> str:
        """Write the reading as JSON for the inbox."""
        return json.dumps({_PAGE: 1, "taskId": self.task_id, "checkName": self.check, "page": self.page})


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise our own message that names the next page to read."""
    return _PAGE in message


def reading_in(message: Mapping[str, Any]) -> Reading:
    """Read what `Reading.to_message` wrote.

    Raises:
        Refused: when somebody else wrote it.
    """
    parts = [message.get(name) for name in ("taskId", "checkName", "page")]
    if message.get(_PAGE) != 1 or not all(isinstance(part, str) for part in parts):
        raise Refused(
            "not-a-reading",
            f"a message with `{_PAGE}` may only come from Fleet Warden, and this one does not have its form",
        )
    return Reading(*(str(part) for part in parts))


def begin_reading(report: Mapping[str, Any], context: Context) -> None:
    """Queue a reading for each check that found something; schedule the others to be settled."""
    found = {run.check for run in audit.checks_to_read(report)}
    for run in audit.checks_done(report):
        if run.check in found:
            context.ports.inbox.put(Reading(run.task_id, run.check).to_message())
        else:
            _settle_later(Reading(run.task_id, run.check), context)


def read_on(reading: Reading, envelope: Envelope, context: Context, time_left: Callable[[], timedelta]) -> int:
    """Queue a check's findings from a page on while there is time; return how many."""
    queued = 0
    while True:
        page = context.ports.detectors.audit_page(reading.task_id, reading.check, reading.page)
        findings = [finding for entry in page.findings if (finding := _finding(entry, envelope, context)) is not None]
        send_findings(context.ports.queue, findings, verified=True)
        queued += len(findings)
        if not page.next_page:
            _settle_later(reading, context)
            return queued
        reading = replace(reading, page=page.next_page)
        if time_left() < _LEAST_TIME:
            context.ports.inbox.put(reading.to_message())
            return queued


def _finding(entry: Mapping[str, Any], envelope: Envelope, context: Context) -> Finding | None:
    read = record_if_refused(lambda: audit.finding_of(entry, envelope), context, what=repr(entry.get("findingId")))
    return None if isinstance(read, Refused) else read  # does not stop the others


def _settle_later(reading: Reading, context: Context) -> None:
    """Schedule the check to be settled once its findings have been handled."""
    key, now = Key(f"AUDIT#{reading.check}", "SETTLE"), context.now()

    def write() -> None:
        record = {
            "type": "audit-check",
            "thing": f"audit:{reading.check}",
            "task": reading.task_id,
            "check": reading.check,
            "read_at": to_text(now),
            "due": "due",
            "due_at": to_text(now + _SETTLED_AFTER),
        }
        context.ports.ledger.commit(Put(key, record, version_of(context.ports.ledger.read(key))))

    retry_on_conflict(write)


def settle_check(key: Key, record: Mapping[str, Any], context: Context) -> None:
    """End the findings of each open case of a check whose subject its last audit, read again, does not find."""
    reading = Reading(record["task"], record["check"])
    cases = _cases_of_earlier_audits(reading, record["read_at"], context)
    found = _subjects_found(reading, context) if cases else set()
    ended = [
        _ended(case, finding_id, context)
        for case in cases
        if _found_subject(case) not in found
        for finding_id in case.findings
    ]
    send_findings(context.ports.queue, ended, verified=True)
    settled = {name: value for name, value in record.items() if name not in ("due", "due_at")}
    context.ports.ledger.commit(Put(key, settled, version_of(record)))


def _subjects_found(reading: Reading, context: Context) -> set[Subject]:
    envelope = Envelope(
        message_id="", received_at=context.now(), account=context.settings.account, region=context.settings.region
    )
    found, page = set(), ""
    while True:
        listed = context.ports.detectors.audit_page(reading.task_id, reading.check, page)
        found |= {finding.subject for entry in listed.findings if (finding := _finding(entry, envelope, context))}
        if not listed.next_page:
            return found
        page = listed.next_page


def _cases_of_earlier_audits(reading: Reading, before: str, context: Context) -> list[Case]:
    found = []
    for state in CaseState:
        if state is CaseState.CLOSED:
            continue
        for _, record in context.ports.ledger.find(Index.STATE, state, until=before):
            case = case_from(record)
            if (
                case.source is Source.AUDIT
                and case.kind == reading.check
                and case.attributes.get("task") != reading.task_id
            ):
                found.append(case)
    return found


def _found_subject(case: Case) -> Subject:
    """Return the subject in the audit: the certificate, if its finding was turned into a thing's."""
    certificate = case.attributes.get("certificate")
    return Subject(SubjectType.CERTIFICATE, certificate) if certificate else case.subject


def _ended(case: Case, finding_id: str, context: Context) -> Finding:
    return Finding(
        id=finding_id,
        source=case.source,
        kind=case.kind,
        subject=case.subject,
        severity=case.severity,
        observed_at=context.now(),
        title=case.title,
        is_open=False,
        ending=Ending.NOT_FOUND_BY_AUDIT,
    )
