"""The messages in an event file, read as the service reads them: their findings, or why they have none."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.ingest.detectors import Detector, Envelope, audit
from warden.ingest.envelopes import bare_records, unwrap
from warden.ingest.intake import DETECTORS
from warden.settings import Settings
from warden.validation.strict_json import message_in
from warden_cli.errors import BadUsage


@dataclass(frozen=True, kw_only=True)
class Message:
    """One message and what the service makes of it: findings, nothing, or a refusal with its code."""

    findings: Sequence[Finding] = ()
    ignored: str = ""
    refused: str = ""
    reason: str = ""
    detector: str = ""


def messages_in(event: Any, now: datetime) -> Iterator[Message]:
    """Read every message of an event: an SNS, SQS or EventBridge event, or a detector's message by itself.

    Raises:
        BadUsage: when it is not an event.
    """
    if not isinstance(event, Mapping):
        raise BadUsage("the file holds JSON, but not an object; an event or a detector's message is one")
    if stranger := _stranger(event):
        yield Message(ignored=stranger)
        return
    try:
        bare = bare_records(event)
        records = list(event["Records"]) if bare is None else bare
        carried = [unwrap(record, _here(event, record), now) for record in records]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadUsage("the file has `Records`, but they are neither SNS's nor SQS's") from error
    for body, envelope in carried:
        yield _read(body, envelope)


def _read(body: str, envelope: Envelope) -> Message:
    detector = None
    try:
        message = message_in(body)
        if from_queue := _from_case_queue(message):
            return from_queue
        if stranger := _stranger(message):
            return Message(ignored=stranger)
        detector = next((each for each in DETECTORS if each.recognises(message)), None)
        if detector is None:
            keys = ", ".join(sorted(message)[:10]) or "none"
            return Message(refused="unknown-message", reason=f"no detector writes a message with these keys: {keys}")
        findings = tuple(detector.findings(message, envelope))
    except Refused as refusal:
        return Message(refused=refusal.code, reason=refusal.reason, detector=detector.TITLE if detector else "")
    if findings:
        return Message(findings=findings, detector=detector.TITLE)
    return Message(ignored=_why_nothing(detector, message), detector=detector.TITLE)


def _why_nothing(detector: Detector, message: Mapping[str, Any]) -> str:
    if detector is audit:
        checks = ", ".join(run.check for run in audit.checks_to_read(message))
        if not checks:
            return "the audit found nothing"
        return f"the report only names the checks with findings ({checks}); ListAuditFindings has the findings"
    return "nothing to act on: a status report, a summary, a sample, or an archived or suppressed finding"


def _from_case_queue(message: Mapping[str, Any]) -> Message | None:
    """Read a message of the service's own case queue."""
    if "schema" not in message or message.get("type") not in ("finding", "decision", "job-ended", "due"):
        return None
    if message["type"] != "finding":
        return Message(ignored=f"a message of the case queue ({message['type']}); no rule is asked about it")
    try:
        return Message(findings=(Finding.from_message(message["finding"]),), detector="the case queue")
    except (AttributeError, KeyError, TypeError, ValueError):
        return Message(
            refused="unknown-message", reason="a finding of the case queue, but not in the form it has there"
        )


_STRANGERS: tuple[tuple[Callable[[Mapping[str, Any]], bool], str], ...] = (
    (
        lambda event: "requestContext" in event,
        "an operator's call, for `operate`; no rule is asked about it",
    ),
    (
        lambda event: {"RequestType", "LogicalResourceId"} <= event.keys(),
        "a message of CloudFormation, for `set_up_account`",
    ),
    (lambda event: event.get("detail-type") == "Scheduled Event", "the schedule of a sweep; it has no finding"),
    (lambda event: event.get("eventType") in ("JOB", "JOB_EXECUTION"), "the event of a job, for `track_device`"),
    (lambda event: {"thing", "principal", "payload"} <= event.keys(), "a device's own request, for `serve_device`"),
)


def _stranger(event: Mapping[str, Any]) -> str:
    """Name an event that is for another function, not a detector's message."""
    return next((words for fits, words in _STRANGERS if fits(event)), "")


def _here(event: Mapping[str, Any], record: Mapping[str, Any]) -> Settings:
    """Take account and region from the envelope, as if the service ran where the event comes from."""
    account, region = str(event.get("account", "")), str(event.get("region", ""))
    arn = record.get("eventSourceARN") or _topic_in(str(record.get("body", "")))
    if isinstance(arn, str) and arn.count(":") >= 5:
        region, account = arn.split(":")[3:5]
    return Settings(
        region=region,
        account=account,
        partition="aws",
        ledger_table="",
        case_queue_url="",
        inbox_url="",
        renewal_queue_url="",
        evidence_bucket="",
        notices_topic="",
        restricted_group="",
        restricted_policy="",
    )


def _topic_in(body: str) -> object:
    try:
        outer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    return outer.get("TopicArn", "") if isinstance(outer, dict) else ""
