"""AWS IoT Device Defender Detect: a device's behaviour violates its security profile, or complies again.

The message is the JSON in an SNS message. Its criteria describe normal behaviour, so an alarm means that they were not
met. It has no account, region or ARN. `thingName` can be the client id of a device that is not registered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Ending, Finding, Severity, Source
from warden.validation.evidence import bounded
from warden.validation.fields import moment, optional_object, optional_word, text, word
from warden.validation.names import device

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "Device Defender Detect"

CLOUD_SIDE_METRICS = frozenset(
    {
        "aws:disconnect-duration",
        "aws:message-byte-size",
        "aws:num-authorization-failures",
        "aws:num-connection-attempts",
        "aws:num-disconnects",
        "aws:num-messages-received",
        "aws:num-messages-sent",
        "aws:source-ip-address",
    }
)
"""The metrics that AWS IoT measures itself. The device reports all others, and a device can lie."""

SEVERITIES: Mapping[tuple[str, str], Severity] = MappingProxyType(
    {
        # A person set the limit, so crossing it is what that person calls abnormal.
        ("static", ""): Severity.HIGH,
        # Some device always crosses a percentile of the fleet's own past, even when all is well.
        ("statistical", ""): Severity.MEDIUM,
        # The model states its own confidence.
        ("machine-learning", "HIGH"): Severity.HIGH,
        ("machine-learning", "MEDIUM"): Severity.MEDIUM,
        ("machine-learning", "LOW"): Severity.LOW,
    }
)
"""The severity of a violation, by its criteria and the model's confidence; medium if it is not listed."""

# Each kind of criteria has its own field; the first one present decides.
_CRITERIA = {"value": "static", "statisticalThreshold": "statistical", "mlDetectionConfig": "machine-learning"}

# The words for each type of event in a title.
_EVENTS = {"in-alarm": "in alarm", "alarm-cleared": "alarm cleared", "alarm-invalidated": "alarm invalidated"}

_EVIDENCE = (
    "violationId",
    "violationEventType",
    "violationEventTime",
    "thingName",
    "securityProfileName",
    "behavior",
    "metricValue",
    "violationEventAdditionalInfo",
    "verificationState",
    "verificationStateDescription",
)


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise violations, even malformed ones, and reports of device metrics that may share their topic."""
    return "violationId" in message or "violationEventType" in message or _is_metrics_report(message)


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read one violation event.

    Raises:
        Refused: when it cannot be read.
    """
    if not _is_metrics_report(message):
        yield _finding(message, envelope)


def kind_of(metric: str, behavior: str) -> str:
    """Return the kind of problem: the metric, or the behaviour if it has no metric."""
    return metric or f"behavior/{behavior or 'unnamed'}"


def is_device_side(metric: str) -> bool:
    """Check whether the device reports the metric itself, as for every custom metric, and so could invent it."""
    return metric not in CLOUD_SIDE_METRICS


def severity_of(criteria: str, confidence: str) -> Severity:
    """Look up the severity by `static`, `statistical` or `machine-learning`, the last with its confidence."""
    return SEVERITIES.get((criteria, confidence if criteria == "machine-learning" else ""), Severity.MEDIUM)


def title_of(event: str, kind: str, profile: str, name: str) -> str:
    """Write a violation as one plain line."""
    return f"Device Defender Detect: {shown(kind)} of {shown(name)} {_EVENTS[event]} (profile {shown(profile) or '-'})"


def _finding(message: Mapping[str, Any], envelope: Envelope) -> Finding:
    violation_id = word(message, "violationId")
    event = _event_of(message)
    name = text(message, "thingName")
    metric = optional_word(message, "behavior.metric")
    behavior = optional_word(message, "behavior.name")
    profile = optional_word(message, "securityProfileName")
    confidence = _confidence_of(message)
    criteria = _criteria_of(message) or ("machine-learning" if confidence else "")
    attributes = {
        "metric": metric,
        "security-profile": profile,
        "behavior": behavior,
        "criteria": criteria,
        "confidence": confidence,
        "event-type": event,
        "verification-state": optional_word(message, "verificationState"),
        "device-side": "true" if is_device_side(metric) else "false",
    }
    kind = kind_of(metric, behavior)
    return Finding(
        id=violation_id,
        source=Source.DETECT,
        kind=kind,
        subject=device(name, "thingName"),
        severity=severity_of(criteria, confidence),
        observed_at=moment(message, "violationEventTime", latest=envelope.received_at),
        title=title_of(event, kind, profile, name),
        is_open=event == "in-alarm",
        ending=None if event == "in-alarm" else Ending(event),
        attributes={key: value for key, value in attributes.items() if value},
        evidence=bounded(message, _EVIDENCE),
    )


def _event_of(message: Mapping[str, Any]) -> str:
    event = word(message, "violationEventType")
    if event not in _EVENTS:
        known = ", ".join(_EVENTS)
        raise Refused("unknown-event-type", f"'violationEventType' must be one of {known}; this one is not known")
    return event


def _criteria_of(message: Mapping[str, Any]) -> str:
    criteria = optional_object(message, "behavior.criteria")
    return next((name for field, name in _CRITERIA.items() if criteria.get(field) is not None), "")


def _confidence_of(message: Mapping[str, Any]) -> str:
    """Read the confidence of the model, or else the confidence that the behaviour requires."""
    level = optional_word(message, "violationEventAdditionalInfo.confidenceLevel")
    return level or optional_word(message, "behavior.criteria.mlDetectionConfig.confidenceLevel")


def _is_metrics_report(message: Mapping[str, Any]) -> bool:
    keys = message.keys()
    return {"reportId", "thingName"} <= keys and keys.isdisjoint({"violationId", "violationEventType"})
