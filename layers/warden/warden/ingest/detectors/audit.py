"""AWS IoT Device Defender Audit: a check found resources that do not comply.

The report of a completed audit holds no findings, only which checks have some. They are read with `ListAuditFindings`.
Each entry of that list has the same shape as a finding published on its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.validation.evidence import bounded
from warden.validation.fields import moment, objects, optional_flag, optional_list, optional_text, optional_word, word
from warden.validation.names import subject, without_arn

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "Device Defender Audit"

CHECKS: Mapping[str, Severity] = MappingProxyType(
    {
        "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK": Severity.CRITICAL,
        "CA_CERTIFICATE_EXPIRING_CHECK": Severity.MEDIUM,
        "CA_CERTIFICATE_KEY_QUALITY_CHECK": Severity.CRITICAL,
        "CONFLICTING_CLIENT_IDS_CHECK": Severity.HIGH,
        "DEVICE_CERTIFICATE_AGE_CHECK": Severity.LOW,
        "DEVICE_CERTIFICATE_EXPIRING_CHECK": Severity.MEDIUM,
        "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK": Severity.CRITICAL,
        "DEVICE_CERTIFICATE_SHARED_CHECK": Severity.CRITICAL,
        "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK": Severity.CRITICAL,
        "IOT_POLICY_OVERLY_PERMISSIVE_CHECK": Severity.CRITICAL,
        "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK": Severity.MEDIUM,
        "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK": Severity.MEDIUM,
        "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK": Severity.CRITICAL,
        "LOGGING_DISABLED_CHECK": Severity.LOW,
        "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK": Severity.CRITICAL,
        "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK": Severity.MEDIUM,
        "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK": Severity.CRITICAL,
    }
)
"""Every check with the severity that AWS documents for it, used when a finding has none."""

# AWS's documents have two names for this check.
_ALIASES = MappingProxyType({"REVOKED_CA_CERT_CHECK": "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK"})

_RESOURCES: Mapping[str, tuple[SubjectType, tuple[str, ...]]] = MappingProxyType(
    {
        "DEVICE_CERTIFICATE": (SubjectType.CERTIFICATE, ("deviceCertificateId", "deviceCertificateArn")),
        "CA_CERTIFICATE": (SubjectType.CA_CERTIFICATE, ("caCertificateId",)),
        "ISSUER_CERTIFICATE": (
            SubjectType.CA_CERTIFICATE,
            ("issuerCertificateIdentifier.issuerId", "issuerCertificateIdentifier.issuerCertificateSerialNumber"),
        ),
        "IOT_POLICY": (SubjectType.POLICY, ("policyVersionIdentifier.policyName",)),
        "COGNITO_IDENTITY_POOL": (SubjectType.IDENTITY_POOL, ("cognitoIdentityPoolId",)),
        "CLIENT_ID": (SubjectType.CLIENT_ID, ("clientId",)),
        "ACCOUNT_SETTINGS": (SubjectType.ACCOUNT, ("account",)),
        "ROLE_ALIAS": (SubjectType.ROLE_ALIAS, ("roleAliasArn",)),
        "IAM_ROLE": (SubjectType.IAM_ROLE, ("iamRoleArn",)),
    }
)
"""The subject type of each type of resource, and the keys of its identifier that can name it."""

_RESOURCE = "nonCompliantResource"

_EVIDENCE = (
    "findingId",
    "taskId",
    "checkName",
    "findingTime",
    "taskStartTime",
    "severity",
    "reasonForNonComplianceCode",
    "reasonForNonCompliance",
    "nonCompliantResource",
    "relatedResources",
)


class CheckRun(NamedTuple):
    """One check of one audit whose findings are to be read."""

    task_id: str
    check: str


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise the report of an audit; a failed audit's report may have no details."""
    return "auditDetails" in message or ("taskId" in message and "taskStatus" in message)


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Check that the report can be read, and yield nothing: a report holds no findings.

    Raises:
        Refused: when it cannot be read, or belongs to another account.
    """
    account = optional_word(message, "accountId")
    if account and account != envelope.account:
        raise Refused("other-account", "'accountId' is not the account that this report came from; nothing was read")
    checks_to_read(message)
    yield from ()


def checks_to_read(message: Mapping[str, Any]) -> tuple[CheckRun, ...]:
    """List the checks of this report that found something.

    Raises:
        Refused: when the report cannot be read.
    """
    return _runs(message, "COMPLETED_NON_COMPLIANT")


def checks_done(message: Mapping[str, Any]) -> tuple[CheckRun, ...]:
    """List the checks of this report that ran to the end, with or without findings.

    Raises:
        Refused: when the report cannot be read.
    """
    return _runs(message, "COMPLETED_COMPLIANT", "COMPLETED_NON_COMPLIANT")


def _runs(message: Mapping[str, Any], *statuses: str) -> tuple[CheckRun, ...]:
    task_id = word(message, "taskId")
    details = objects(optional_list(message, "auditDetails"), "auditDetails")
    runs = [
        CheckRun(task_id, word(detail, "checkName"))
        for detail in details
        if optional_word(detail, "checkRunStatus") in statuses
    ]
    return tuple(dict.fromkeys(runs))


def finding_of(audit_finding: Mapping[str, Any], envelope: Envelope) -> Finding | None:
    """Read one finding of an audit; None for a suppressed one.

    Raises:
        Refused: when it cannot be read.
    """
    if optional_flag(audit_finding, "isSuppressed"):
        return None
    check = _check_of(audit_finding)
    about = _subject_of(audit_finding, envelope)
    return Finding(
        id=word(audit_finding, "findingId"),
        source=Source.AUDIT,
        kind=check,
        subject=about,
        severity=_severity_of(audit_finding, check),
        observed_at=moment(audit_finding, "findingTime", latest=envelope.received_at),
        title=f"Device Defender Audit: {shown(check)} on {about.type} {shown(about.name)}",
        supersedes=True,
        attributes=_attributes_of(audit_finding, check),
        evidence=bounded(audit_finding, _EVIDENCE),
    )


def identifier_key(resource_type: str) -> str:
    """Return which key of a resource's identifier names it, as a dotted path; empty for an unknown type."""
    return _RESOURCES[resource_type][1][0] if resource_type in _RESOURCES else ""


def _check_of(audit_finding: Mapping[str, Any]) -> str:
    check = word(audit_finding, "checkName")
    return _ALIASES.get(check, check)


def _severity_of(audit_finding: Mapping[str, Any], check: str) -> Severity:
    severity = optional_word(audit_finding, "severity").lower()
    return Severity(severity) if severity in set(Severity) else CHECKS.get(check, Severity.MEDIUM)


def _subject_of(audit_finding: Mapping[str, Any], envelope: Envelope) -> Subject:
    resource_type = word(audit_finding, f"{_RESOURCE}.resourceType")
    if resource_type not in _RESOURCES:
        # A type that AWS may add: no action applies to it, but people get a notice.
        return subject(SubjectType.ACCOUNT, envelope.account, "account")
    kind, keys = _RESOURCES[resource_type]
    paths = [f"{_RESOURCE}.resourceIdentifier.{key}" for key in keys]
    for path in paths:
        if name := optional_text(audit_finding, path):
            # A client id can be any string, even one that begins like an ARN.
            return subject(kind, name if kind is SubjectType.CLIENT_ID else without_arn(name), path)
    if kind is SubjectType.ACCOUNT:
        return subject(kind, envelope.account, paths[0])
    raise Refused("missing-field", f"'{paths[0]}' is missing or empty; send the finding as the audit wrote it")


def _attributes_of(audit_finding: Mapping[str, Any], check: str) -> dict[str, str]:
    attributes = {
        "check": check,
        "task": optional_word(audit_finding, "taskId"),
        "resource-type": optional_word(audit_finding, f"{_RESOURCE}.resourceType"),
        "reason": optional_word(audit_finding, "reasonForNonComplianceCode"),
        "policy-version": optional_word(
            audit_finding, f"{_RESOURCE}.resourceIdentifier.policyVersionIdentifier.policyVersionId"
        ),
    }
    return {key: value for key, value in attributes.items() if value}
