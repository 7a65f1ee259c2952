"""The sample events and the corpus, and what carries their messages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.sample_events import SAMPLE_EVENTS
from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.ingest import intake
from warden.ingest.detectors import Detector, Envelope
from warden.validation.evidence import BYTES

ROOT = Path(__file__).parents[4]
CORPUS = ROOT / "tests" / "corpus"

DETECTORS = tuple(reversed(intake.DETECTORS))
"""In another order than the service's: whichever is asked first, one recognises the message."""

ACCOUNT = "000000000000"
CERTIFICATE = "3c7d9f0a4b1e62858d0f7c2a91b6e4d3508f2c1a7be94d6603f5a8c2e719b4d0"
RECEIVED_AT = datetime(2026, 11, 22, 10, 0, 4, 250_000, tzinfo=UTC)
TOPIC = f"arn:aws:sns:us-east-1:{ACCOUNT}:iot-defender-report-notification"


def an_envelope(*, topic: str = TOPIC, received_at: datetime = RECEIVED_AT) -> Envelope:
    return Envelope(message_id="m-1", received_at=received_at, account=ACCOUNT, region="us-east-1", topic=topic)


def from_event_bridge() -> Envelope:
    return an_envelope(topic="")


def event(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(SAMPLE_EVENTS[name].path.read_text())
    return found


def message_of(name: str) -> tuple[dict[str, Any], Envelope]:
    """Unwrap a sample event into the message a detector sees and what carried it."""
    sample = event(name)
    if "detail-type" in sample:
        return sample, an_envelope(topic="", received_at=datetime.fromisoformat(sample["time"]))
    record = sample["Records"][0]
    notification = record["Sns"] if "Sns" in record else json.loads(record["body"])
    received_at = datetime.fromisoformat(notification["Timestamp"])
    return json.loads(notification["Message"]), an_envelope(topic=notification["TopicArn"], received_at=received_at)


def detector_of(message: Mapping[str, Any]) -> Detector | None:
    return next((detector for detector in DETECTORS if detector.recognises(message)), None)


def findings_of(name: str) -> list[Finding]:
    """Read a sample event as the service does."""
    message, envelope = message_of(name)
    detector = detector_of(message)
    assert detector is not None, f"nobody recognises {name}"
    return list(detector.findings(message, envelope))


def the_finding_of(name: str) -> Finding:
    (finding,) = findings_of(name)
    return finding


def a_violation(**changes: Any) -> dict[str, Any]:
    """Make the main sample's message with some keys changed, or left out where the value is None."""
    message, _ = message_of("detect-violation-in-alarm")
    return {key: value for key, value in {**message, **changes}.items() if value is not None}


def assert_is_safe(finding: Finding) -> None:
    """Check what holds for every finding, whatever the message was."""
    written = json.dumps(finding.to_message(), allow_nan=False)
    read_back = Finding.from_message(json.loads(written))

    assert read_back == finding
    assert read_back.problem == finding.problem
    assert finding.title.isascii()
    assert finding.title.isprintable()
    assert len(finding.title) < 300
    assert len(json.dumps(finding.evidence)) <= BYTES
    assert all(can_be_stored(value) for value in finding.evidence.values())
    assert finding.is_open == (not finding.ending)


def assert_is_plain(refused: Refused) -> None:
    """Check that a refusal is a code to count by and a sentence that carries no text of the message's own."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", refused.code)
    assert refused.reason.isascii()
    assert refused.reason.isprintable()


def can_be_stored(value: object) -> bool:
    """Check whether DynamoDB can store a value as it is: no floats, at most 38 digits, valid UTF-8."""
    match value:
        case dict():
            return all(key and can_be_stored(key) and can_be_stored(item) for key, item in value.items())
        case list():
            return all(can_be_stored(item) for item in value)
        case bool() | None:
            return True
        case int():
            return abs(value) < 10**38
        case str():
            return not any("\ud800" <= char <= "\udfff" for char in value)
        case _:
            return False
