"""Unwrap messages to body and envelope. They arrive by SNS or EventBridge, through SQS or bare."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from warden.core.clock import from_epoch
from warden.ingest.detectors import Envelope
from warden.settings import Settings


def bare_records(event: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """Return a bare SNS or EventBridge event as SQS records; None when it is a batch of them already.

    `sam local invoke` and tests in the console send bare events; the stack always uses the queue.
    """
    records = event.get("Records")
    if isinstance(records, list) and records and all(isinstance(record, dict) for record in records):
        if all("Sns" in record for record in records):
            return [
                {
                    "messageId": record["Sns"].get("MessageId", ""),
                    "body": json.dumps(_sns_envelope(record["Sns"])),
                    "attributes": {},
                }
                for record in records
            ]
        return None
    return [{"messageId": str(event.get("id", "bare")), "body": json.dumps(event), "attributes": {}}]


def _sns_envelope(sns: Mapping[str, Any]) -> dict[str, Any]:
    return {"Type": "Notification", **sns}


def unwrap(record: Mapping[str, Any], settings: Settings, now: datetime) -> tuple[str, Envelope]:
    """Return a message from its SQS record, and from the SNS notification inside if there is one.

    The time of receipt is SQS's `SentTimestamp`, or now when there is none.
    """
    body = str(record.get("body", ""))
    topic = ""
    try:
        outer = json.loads(body)
    except (ValueError, RecursionError):
        outer = None
    if isinstance(outer, dict) and outer.get("Type") == "Notification" and isinstance(outer.get("Message"), str):
        topic = str(outer.get("TopicArn", ""))
        body = outer["Message"]
    sent = record.get("attributes", {}).get("SentTimestamp")
    received = min(from_epoch(int(sent)), now) if isinstance(sent, str) and sent.isdecimal() else now
    envelope = Envelope(
        message_id=str(record.get("messageId", "")),
        received_at=received,
        account=settings.account,
        region=settings.region,
        topic=topic,
    )
    return body, envelope
