"""Intake: a message from outside becomes findings on the case queue, or is refused with a reason on record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from warden.errors import Refused
from warden.findings import Finding
from warden.messages import send_finding
from warden.refusals import record_refusal
from warden.service import Service
from warden.sources import Detector, Envelope, audit, audit_finding, detect, generic, guardduty, security_hub
from warden.sources.json_text import message_in
from warden.sources.names import shown

DETECTORS: tuple[Detector, ...] = (detect, audit, audit_finding, guardduty, security_hub, generic)
"""Every detector we understand. The first that recognises a message reads it; no two recognise the same."""


@dataclass(frozen=True)
class Intake:
    """What became of one message."""

    queued: int
    refused: str = ""


def take_in(body: str, envelope: Envelope, service: Service) -> Intake:
    """Read a message and queue what it says. Nothing a message holds makes this fail: it is refused instead."""
    try:
        queued = 0
        for finding in _findings(body, envelope):
            send_finding(service.ports.queue, finding)
            queued += 1
    except Refused as refusal:
        record_refusal(service, refusal, what=f"{envelope.message_id} {body}")
        return Intake(0, str(refusal))
    return Intake(queued)


def _findings(body: str, envelope: Envelope) -> Iterator[Finding]:
    message = message_in(body)
    for detector in DETECTORS:
        if detector.recognises(message):
            yield from detector.findings(message, envelope)
            return
    keys = ", ".join(sorted(message)[:10]) or "none"
    raise Refused("unknown-message", f"no detector we know writes a message with these keys: {shown(keys)}")
