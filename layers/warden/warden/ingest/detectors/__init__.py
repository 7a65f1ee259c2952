"""The detectors: one module each. Nothing outside a detector's module knows its payload.

A module offers its `TITLE` and two functions. `recognises(message)` checks by shape alone whether a message is
this detector's. `findings(message, envelope)` reads it. It raises `Refused` when the message has the detector's shape
but cannot be read, and yields nothing when there is nothing to act on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from warden.core.findings import Finding


@dataclass(frozen=True, kw_only=True)
class Envelope:
    """Facts about a message that AWS states, not its sender.

    `topic` is the SNS topic's ARN, empty when the message came from EventBridge.
    """

    message_id: str
    received_at: datetime
    account: str
    region: str
    topic: str = ""


class Detector(Protocol):
    """The interface of a detector's module."""

    TITLE: str

    def recognises(self, message: Mapping[str, Any]) -> bool: ...

    def findings(self, message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]: ...
