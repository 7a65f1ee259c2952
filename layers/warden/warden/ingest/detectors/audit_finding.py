"""One audit finding on its own, as the mitigation action PUBLISH_FINDING_TO_SNS sends it.

The message names no account. It has the shape of an entry of `ListAuditFindings`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from warden.core.findings import Finding
from warden.ingest.detectors.audit import finding_of

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "Device Defender Audit (one finding)"


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise an audit's finding, even a malformed one."""
    return "nonCompliantResource" in message or ("findingId" in message and "checkName" in message)


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read the finding, unless it is suppressed.

    Raises:
        Refused: when it cannot be read.
    """
    finding = finding_of(message, envelope)
    if finding is not None:
        yield finding
