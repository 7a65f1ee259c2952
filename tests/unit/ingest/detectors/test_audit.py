from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.ingest.detectors.samples import (
    ACCOUNT,
    CERTIFICATE,
    an_envelope,
    assert_is_safe,
    findings_of,
    message_of,
    the_finding_of,
)
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.ingest.detectors import audit
from warden.ingest.detectors.audit import CheckRun

TASK = "9f71b6e90cfb57d4ac671be3a4898e6a"
CA = "e57c02ad914f3b680d9a2e7cf15b8346a0c3d87e29f46b15709ed8a1c45f3b72"


def an_audit_finding(**changes: Any) -> dict[str, Any]:
    message, _ = message_of("audit-finding-certificate")
    return {key: value for key, value in {**message, **changes}.items() if value is not None}


def the_finding(audit_finding: dict[str, Any]) -> Finding:
    finding = audit.finding_of(audit_finding, an_envelope())
    assert finding is not None
    return finding


def test_a_report_names_the_checks_whose_findings_are_to_be_read() -> None:
    message, _ = message_of("audit-report")

    assert audit.checks_to_read(message) == (
        CheckRun(TASK, "DEVICE_CERTIFICATE_SHARED_CHECK"),
        CheckRun(TASK, "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"),
    )
    assert findings_of("audit-report") == []


def test_a_report_of_an_audit_that_found_nothing_names_no_check() -> None:
    message, _ = message_of("audit-report-compliant")

    assert audit.checks_to_read(message) == ()


def test_a_check_that_is_listed_twice_is_read_once() -> None:
    detail = {"checkName": "LOGGING_DISABLED_CHECK", "checkRunStatus": "COMPLETED_NON_COMPLIANT"}

    assert audit.checks_to_read({"taskId": "t", "auditDetails": [detail, detail]}) == (
        CheckRun("t", "LOGGING_DISABLED_CHECK"),
    )


def test_a_published_finding_is_about_its_policy() -> None:
    finding = the_finding_of("audit-finding")

    assert finding.source is Source.AUDIT
    assert finding.kind == "IOT_POLICY_OVERLY_PERMISSIVE_CHECK"
    assert finding.subject == Subject(SubjectType.POLICY, "pump-wide-open")
    assert finding.severity is Severity.CRITICAL
    assert finding.attributes == {
        "check": "IOT_POLICY_OVERLY_PERMISSIVE_CHECK",
        "task": "9f71b6e90cfb57d4ac671be3a4898e6a",
        "resource-type": "IOT_POLICY",
        "reason": "ALLOWS_BROAD_ACCESS_TO_IOT_DATA_PLANE_ACTIONS",
        "policy-version": "1",
    }


@pytest.mark.parametrize(
    ("resource_type", "identifier", "subject"),
    [
        ("DEVICE_CERTIFICATE", {"deviceCertificateId": CERTIFICATE}, Subject(SubjectType.CERTIFICATE, CERTIFICATE)),
        (
            "DEVICE_CERTIFICATE",
            {"deviceCertificateArn": f"arn:aws:iot:us-east-1:{ACCOUNT}:cert/{CERTIFICATE}"},
            Subject(SubjectType.CERTIFICATE, CERTIFICATE),
        ),
        ("CA_CERTIFICATE", {"caCertificateId": CA}, Subject(SubjectType.CA_CERTIFICATE, CA)),
        (
            "ISSUER_CERTIFICATE",
            {"issuerCertificateIdentifier": {"issuerCertificateSubject": "CN=plant", "issuerId": "0x1f"}},
            Subject(SubjectType.CA_CERTIFICATE, "0x1f"),
        ),
        (
            "ISSUER_CERTIFICATE",
            {"issuerCertificateIdentifier": {"issuerCertificateSerialNumber": "4a:00:1f"}},
            Subject(SubjectType.CA_CERTIFICATE, "4a:00:1f"),
        ),
        (
            "IOT_POLICY",
            {"policyVersionIdentifier": {"policyName": "pump", "policyVersionId": "3"}},
            Subject(SubjectType.POLICY, "pump"),
        ),
        (
            "COGNITO_IDENTITY_POOL",
            {"cognitoIdentityPoolId": "us-east-1:1f0a"},
            Subject(SubjectType.IDENTITY_POOL, "us-east-1:1f0a"),
        ),
        ("CLIENT_ID", {"clientId": "pump 3"}, Subject(SubjectType.CLIENT_ID, "pump 3")),
        ("ACCOUNT_SETTINGS", {"account": ACCOUNT}, Subject(SubjectType.ACCOUNT, ACCOUNT)),
        ("ACCOUNT_SETTINGS", {}, Subject(SubjectType.ACCOUNT, ACCOUNT)),
        (
            "ROLE_ALIAS",
            {"roleAliasArn": f"arn:aws:iot:us-east-1:{ACCOUNT}:rolealias/fleet"},
            Subject(SubjectType.ROLE_ALIAS, "fleet"),
        ),
        (
            "IAM_ROLE",
            {"iamRoleArn": f"arn:aws:iam::{ACCOUNT}:role/service/fleet-role"},
            Subject(SubjectType.IAM_ROLE, "fleet-role"),
        ),
    ],
)
def test_a_finding_is_about_the_resource_that_does_not_comply(
    resource_type: str, identifier: dict[str, Any], subject: Subject
) -> None:
    resource = {"resourceType": resource_type, "resourceIdentifier": identifier}

    assert the_finding(an_audit_finding(nonCompliantResource=resource)).subject == subject


def test_all_seventeen_checks_have_a_severity_of_their_own() -> None:
    assert len(audit.CHECKS) == 17


@pytest.mark.parametrize("check", audit.CHECKS)
def test_a_finding_without_a_severity_has_its_checks(check: str) -> None:
    assert the_finding(an_audit_finding(checkName=check, severity=None)).severity is audit.CHECKS[check]


def test_a_check_with_two_names_is_one_kind() -> None:
    assert (
        the_finding(an_audit_finding(checkName="REVOKED_CA_CERT_CHECK")).kind
        == "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK"
    )


def test_a_check_that_aws_adds_one_day_is_of_medium_severity() -> None:
    assert the_finding(an_audit_finding(checkName="NEW_CHECK", severity=None)).severity is Severity.MEDIUM


def test_an_entry_of_the_list_is_read_like_a_published_finding() -> None:
    entry = an_audit_finding(
        findingTime=datetime(2026, 11, 22, 10, tzinfo=UTC),
        taskStartTime=datetime(2026, 11, 22, 9, 59, tzinfo=UTC),
        isSuppressed=False,
    )

    listed = the_finding(entry)

    assert listed.observed_at == the_finding_of("audit-finding-certificate").observed_at
    assert listed.evidence["taskStartTime"] == "2026-11-22T09:59:00.000000Z"
    assert_is_safe(listed)


def test_a_finding_that_returns_tomorrow_is_the_same_problem() -> None:
    again = an_audit_finding(findingId="another", taskId="another")

    assert the_finding(again).problem == the_finding_of("audit-finding-certificate").problem


def test_a_suppressed_finding_is_none() -> None:
    assert audit.finding_of(an_audit_finding(isSuppressed=True), an_envelope()) is None
