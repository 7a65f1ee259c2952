"""Amazon GuardDuty on EventBridge: credentials were used in a way in which their owner would not use them.

GuardDuty does not know devices. A device that gets AWS credentials through a role alias has a session that is named
after its certificate's id; only this name connects a finding with a device. A session can have any name, so the name
must be exactly a certificate's id. Before anything is done to that certificate, AWS IoT is asked whether it exists and
whether its role is behind a role alias. Every other finding is about the account: people are notified, nothing is
touched.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.ingest.detectors.event_bridge import detail_of
from warden.validation.evidence import bounded
from warden.validation.fields import (
    is_word,
    moment,
    optional_flag,
    optional_object,
    optional_text,
    optional_word,
    value_at,
    word,
)
from warden.validation.names import subject

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "GuardDuty"

_DEVICE_SESSION = re.compile(r"[A-Z0-9]+:(?P<certificate>[0-9a-f]{64})")

# GuardDuty's own scale ends at 10; each row applies from its value upwards.
_SEVERITIES = ((9, Severity.CRITICAL), (7, Severity.HIGH), (4, Severity.MEDIUM), (0, Severity.LOW))
_WORST = 10

_KEY = "resource.accessKeyDetails"
_SAMPLE_USER = "GeneratedFindingUserType"
_KEY_DEPTH = 6  # how deep below `detail` the fields are that we read

_EVIDENCE = (
    "id",
    "arn",
    "type",
    "severity",
    "accountId",
    "region",
    "createdAt",
    "updatedAt",
    "title",
    "description",
    "resource",
    "service",
)


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise everything that GuardDuty sends, including what is not a finding."""
    return message.get("source") == "aws.guardduty"


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read a finding about credentials; skip samples, archived findings and those about anything else.

    Raises:
        Refused: when it cannot be read.
    """
    event = detail_of(message, envelope)
    if message.get("detail-type") != "GuardDuty Finding":
        return
    detail = _in_camel_case(event)
    type_ = optional_text(detail, "type")
    if not type_:
        raise Refused("missing-field", "'detail.type' is missing or empty; send the event as GuardDuty wrote it")
    if (
        _concerns_credentials(detail, type_)
        and not _is_sample(detail)
        and not optional_flag(detail, "service.archived")
    ):
        yield _finding(detail, envelope)


def _finding(detail: Mapping[str, Any], envelope: Envelope) -> Finding:
    kind = word(detail, "type")
    about = _subject_of(detail, envelope)
    last_seen = "service.eventLastSeen" if value_at(detail, "service.eventLastSeen") is not None else "updatedAt"
    return Finding(
        id=word(detail, "id"),
        source=Source.GUARDDUTY,
        kind=kind,
        subject=about,
        severity=_severity_of(detail),
        observed_at=moment(detail, last_seen, latest=envelope.received_at),
        title=f"GuardDuty: {shown(kind, 100)} concerns {about.type} {shown(about.name)}",
        attributes=_attributes_of(detail),
        evidence=bounded(detail, _EVIDENCE),
    )


def _subject_of(detail: Mapping[str, Any], envelope: Envelope) -> Subject:
    account = optional_word(detail, "accountId") or envelope.account
    session = _DEVICE_SESSION.fullmatch(optional_text(detail, f"{_KEY}.principalId"))
    is_assumed = optional_text(detail, f"{_KEY}.userType") == "AssumedRole"
    if session and is_assumed and account == envelope.account:
        return subject(SubjectType.CERTIFICATE, session["certificate"], f"{_KEY}.principalId")
    return subject(SubjectType.ACCOUNT, account, "accountId")


def _severity_of(detail: Mapping[str, Any]) -> Severity:
    value = detail.get("severity")
    if value is None:
        return Severity.MEDIUM
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _WORST:
        raise Refused(
            "bad-value", "'detail.severity' must be a number from 0 to 10; send the event as GuardDuty wrote it"
        )
    return next(severity for least, severity in _SEVERITIES if value >= least)


def _attributes_of(detail: Mapping[str, Any]) -> dict[str, str]:
    attributes = {
        "resource-type": optional_text(detail, "resource.resourceType"),
        "user-type": optional_text(detail, f"{_KEY}.userType"),
        "role": optional_text(detail, f"{_KEY}.userName"),
    }
    # A federated user's name can be any string: it stays in the evidence, as a plan matches only words.
    return {key: value for key, value in attributes.items() if is_word(value)}


def _concerns_credentials(detail: Mapping[str, Any], type_: str) -> bool:
    """Check whether a finding is about an access key, or about a chain of events with one."""
    return bool(optional_object(detail, _KEY)) or type_.startswith("AttackSequence:IAM/")


def _is_sample(detail: Mapping[str, Any]) -> bool:
    """Check whether a finding is a generated sample, which is marked in one of three places."""
    info = optional_object(detail, "service.additionalInfo")
    return (
        optional_flag(info, "sample")
        or _names_a_sample(info.get("value"))
        or optional_text(detail, f"{_KEY}.userType") == _SAMPLE_USER
    )


def _names_a_sample(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        info = json.loads(value)
    except (ValueError, RecursionError):
        return False
    return isinstance(info, dict) and info.get("sample") is True


def _in_camel_case(detail: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a finding that was forwarded in the API's form (`Id`) to the form of the event (`id`)."""
    return detail if "type" in detail or "Type" not in detail else _lowered(detail, _KEY_DEPTH)


def _lowered(value: Any, depth: int) -> Any:
    if not isinstance(value, dict) or depth == 0:
        return value
    return {key[:1].lower() + key[1:]: _lowered(item, depth - 1) for key, item in value.items()}
