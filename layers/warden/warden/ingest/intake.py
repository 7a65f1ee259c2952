"""Turn a message from outside into findings on the case queue, or refuse it and record the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any, cast

from warden.context import Context
from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Finding, Source
from warden.ingest import audit_reports
from warden.ingest.detectors import Detector, Envelope, audit
from warden.queues.messages import send_findings
from warden.refusals import record_if_refused
from warden.validation.strict_json import message_in

DETECTORS = tuple(
    cast("Detector", import_module(f"warden.ingest.detectors.{module}"))
    for source in Source
    for module in source.detectors
)
"""Every detector that the sources name. No two recognise the same message."""


@dataclass(frozen=True)
class Intake:
    """The result of one message."""

    queued: int
    refused: Refused | None = None


def ingest(body: str, envelope: Envelope, context: Context, time_left: Callable[[], timedelta]) -> Intake:
    """Read a message and queue its findings. No content of a message raises an error here: the message is refused.

    `time_left` returns the rest of this run's time: an audit may have more findings than one run can read.
    """
    queued = record_if_refused(
        lambda: _ingest(message_in(body), envelope, context, time_left), context, what=f"{envelope.message_id} {body}"
    )
    return Intake(0, queued) if isinstance(queued, Refused) else Intake(queued)


def _ingest(
    message: Mapping[str, Any], envelope: Envelope, context: Context, time_left: Callable[[], timedelta]
) -> int:
    if audit_reports.recognises(message):
        return audit_reports.read_on(audit_reports.reading_in(message), envelope, context, time_left)
    findings = list(findings_in(message, envelope))
    send_findings(context.ports.queue, findings, verified=False)
    if audit.recognises(message):
        audit_reports.begin_reading(message, context)
    return len(findings)


def findings_in(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read the findings in a detector's message.

    Raises:
        Refused: when no known detector writes such a message, or it cannot be read.
    """
    for detector in DETECTORS:
        if detector.recognises(message):
            yield from detector.findings(message, envelope)
            return
    keys = ", ".join(sorted(message)[:10]) or "none"
    raise Refused("unknown-message", f"no known detector writes a message with these keys: {shown(keys)}")
