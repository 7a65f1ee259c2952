from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.ingest.detectors.samples import ACCOUNT, CERTIFICATE, findings_of, message_of, the_finding_of
from warden.core.findings import Severity, Source, Subject, SubjectType
from warden.ingest.detectors import guardduty


def a_finding(**changes: Any) -> dict[str, Any]:
    event, _ = message_of("guardduty-device-credentials")
    return {**event, "detail": {**event["detail"], **changes}}


def test_credentials_of_a_device_lead_to_its_certificate() -> None:
    finding = the_finding_of("guardduty-device-credentials")

    assert finding.source is Source.GUARDDUTY
    assert finding.kind == "UnauthorizedAccess:IAMUser/MaliciousIPCaller.Custom"
    assert finding.subject == Subject(SubjectType.CERTIFICATE, CERTIFICATE)
    assert finding.severity is Severity.HIGH
    assert finding.observed_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert finding.attributes == {
        "resource-type": "AccessKey",
        "user-type": "AssumedRole",
        "role": "fleet-credentials",
    }


def test_credentials_of_a_person_are_about_the_account() -> None:
    assert the_finding_of("guardduty-user").subject == Subject(SubjectType.ACCOUNT, ACCOUNT)


@pytest.mark.parametrize("sample", ["guardduty-sample", "guardduty-archived"])
def test_samples_and_archived_findings_are_left_out(sample: str) -> None:
    assert findings_of(sample) == []


@pytest.mark.parametrize(
    ("number", "severity"),
    [
        (0, Severity.LOW),
        (3.9, Severity.LOW),
        (4, Severity.MEDIUM),
        (6.9, Severity.MEDIUM),
        (7.0, Severity.HIGH),
        (8, Severity.HIGH),
        (9, Severity.CRITICAL),
        (10, Severity.CRITICAL),
        (None, Severity.MEDIUM),
    ],
)
def test_guardduty_numbers_become_words(number: float | None, severity: Severity) -> None:
    _, envelope = message_of("guardduty-device-credentials")

    (finding,) = guardduty.findings(a_finding(severity=number), envelope)

    assert finding.severity is severity


def test_an_update_of_a_finding_is_the_same_problem() -> None:
    _, envelope = message_of("guardduty-device-credentials")

    (updated,) = guardduty.findings(a_finding(updatedAt="2026-11-22T16:00:00.000Z", severity=9), envelope)

    assert updated.problem == the_finding_of("guardduty-device-credentials").problem
