"""AWS Security Hub's imported findings of Device Defender, for accounts that already collect them there.

They are converted to the form in which Device Defender itself would have sent them, and read by its modules. An
account that uses both ways has one case, not two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.core.findings import Ending, Finding
from warden.ingest.detectors import audit, detect
from warden.ingest.detectors.event_bridge import detail_of
from warden.validation.fields import (
    objects,
    optional_flag,
    optional_list,
    optional_object,
    optional_text,
    optional_word,
)

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "Security Hub"

_PRODUCT = re.compile(r"arn:aws[a-z-]*:securityhub:[a-z0-9-]+::product/aws/iot-device-defender-(?P<name>audit|detect)")

_CRITERIA = MappingProxyType(
    {
        "STATIC": "value",
        "STATISTICAL": "statisticalThreshold",
        "MACHINE_LEARNING": "mlDetectionConfig",
    }
)


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise everything that Security Hub sends."""
    return message.get("source") == "aws.securityhub"


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read what Device Defender imported about this account and region; skip everything else.

    Raises:
        Refused: when a finding cannot be read.
    """
    detail = detail_of(message, envelope)
    if message.get("detail-type") != "Security Hub Findings - Imported":
        return
    for imported in objects(optional_list(detail, "findings"), "detail.findings"):
        product = _PRODUCT.fullmatch(optional_text(imported, "ProductArn"))
        if product and _is_ours(imported, envelope):
            yield from (_violations if product["name"] == "detect" else _audit_findings)(imported, envelope)


def _violations(imported: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    fields = optional_object(imported, "ProductFields")
    criteria = _CRITERIA.get(optional_text(fields, "BehaviorCriteriaType"))
    violation: dict[str, Any] = {
        "violationId": fields.get("ViolationId"),
        "thingName": fields.get("ThingName") or _resource_name(imported),
        "securityProfileName": fields.get("SecurityProfileName"),
        "behavior": {
            "name": fields.get("BehaviorName"),
            "metric": fields.get("MetricName"),
            "criteria": {criteria: {}} if criteria else None,
        },
        "violationEventType": "in-alarm" if _is_active(imported) else "alarm-cleared",
        # An update of an old finding is not a new event: an alarm counts from its beginning.
        "violationEventTime": fields.get("ViolationStartTime") if _is_active(imported) else imported.get("UpdatedAt"),
    }
    for finding in detect.findings(violation, envelope):
        yield _from_the_hub(finding)


def _audit_findings(imported: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    fields = optional_object(imported, "ProductFields")
    if optional_text(fields, "ReportType") == "CheckSummary":
        return
    resource_type = optional_text(fields, "ResourceType")
    audit_finding: dict[str, Any] = {
        "findingId": fields.get("FindingId"),
        "taskId": fields.get("TaskId"),
        "checkName": fields.get("CheckName"),
        "findingTime": imported.get("UpdatedAt"),
        "severity": optional_text(imported, "Severity.Label"),
        "reasonForNonComplianceCode": fields.get("ReasonForNonComplianceCode"),
        "reasonForNonCompliance": imported.get("Description"),
        "isSuppressed": optional_flag(fields, "IsSuppressed"),
        "nonCompliantResource": {
            "resourceType": resource_type,
            "resourceIdentifier": _identifier(resource_type, fields, _resource_name(imported)),
        },
    }
    finding = audit.finding_of(audit_finding, envelope)
    if finding is not None:
        closed = finding if _is_active(imported) else replace(finding, is_open=False, ending=Ending.ARCHIVED)
        yield _from_the_hub(closed)


def _identifier(resource_type: str, fields: Mapping[str, Any], resource_name: str) -> dict[str, Any]:
    if resource_type == "IOT_POLICY":
        version = {
            "policyName": fields.get("PolicyName") or resource_name,
            "policyVersionId": fields.get("PolicyVersionId"),
        }
        return {"policyVersionIdentifier": version}
    if resource_type == "ACCOUNT_SETTINGS":
        return {}  # the account that the event came from; Security Hub has several names for it
    outer, _, inner = audit.identifier_key(resource_type).partition(".")
    return {outer: {inner: resource_name} if inner else resource_name}


def _resource_name(imported: Mapping[str, Any]) -> str:
    resources = objects(optional_list(imported, "Resources"), "Resources")
    return optional_text(resources[0], "Id") if resources else ""


def _is_active(imported: Mapping[str, Any]) -> bool:
    state = optional_word(imported, "RecordState") or "ACTIVE"
    if state not in {"ACTIVE", "ARCHIVED"}:
        raise Refused("bad-value", "'RecordState' must be ACTIVE or ARCHIVED; send the event as Security Hub wrote it")
    return state == "ACTIVE"


def _is_ours(imported: Mapping[str, Any], envelope: Envelope) -> bool:
    """Check whether a finding is of this account and region, as a central account gets all, and not suppressed."""
    account = optional_text(imported, "AwsAccountId") or envelope.account
    region = optional_text(imported, "Region") or envelope.region
    silenced = optional_text(imported, "Workflow.Status") == "SUPPRESSED"
    return account == envelope.account and region == envelope.region and not silenced


def _from_the_hub(finding: Finding) -> Finding:
    return replace(finding, attributes={**finding.attributes, "via": "security-hub"})
