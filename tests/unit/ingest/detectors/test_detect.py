from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.unit.ingest.detectors.samples import RECEIVED_AT, a_violation, an_envelope, the_finding_of
from warden.core.errors import Refused
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.ingest.detectors import detect


def the_finding(**changes: object) -> Finding:
    (finding,) = detect.findings(a_violation(**changes), an_envelope())
    return finding


def test_a_violation_becomes_an_open_finding_about_the_thing() -> None:
    finding = the_finding_of("detect-violation-in-alarm")

    assert finding.source is Source.DETECT
    assert finding.id == "37e18651d207bbc74236c13faf146127"
    assert finding.kind == "aws:all-bytes-out"
    assert finding.subject == Subject(SubjectType.THING, "pump-3")
    assert finding.severity is Severity.HIGH
    assert finding.observed_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert finding.title == "Device Defender Detect: aws:all-bytes-out of pump-3 in alarm (profile pump-baseline)"
    assert finding.is_open
    assert finding.attributes == {
        "metric": "aws:all-bytes-out",
        "security-profile": "pump-baseline",
        "behavior": "bytes-out-within-normal",
        "criteria": "static",
        "event-type": "in-alarm",
        "device-side": "true",
    }
    assert finding.evidence["metricValue"] == {"count": 7340032}


@pytest.mark.parametrize(
    ("sample", "ending"),
    [
        ("detect-violation-alarm-cleared", "alarm-cleared"),
        ("detect-violation-alarm-invalidated", "alarm-invalidated"),
    ],
)
def test_the_end_of_an_alarm_is_a_closed_finding_about_the_same_problem(sample: str, ending: str) -> None:
    finding = the_finding_of(sample)

    assert not finding.is_open
    assert finding.ending == ending
    assert finding.problem == the_finding_of("detect-violation-in-alarm").problem


def test_an_operators_verdict_can_be_matched_on() -> None:
    finding = the_finding_of("detect-violation-alarm-invalidated")

    assert finding.attributes["verification-state"] == "FALSE_POSITIVE"


@pytest.mark.parametrize(
    ("criteria", "confidence", "severity"),
    [
        ("static", "", Severity.HIGH),
        ("static", "LOW", Severity.HIGH),
        ("statistical", "", Severity.MEDIUM),
        ("machine-learning", "HIGH", Severity.HIGH),
        ("machine-learning", "MEDIUM", Severity.MEDIUM),
        ("machine-learning", "LOW", Severity.LOW),
        ("machine-learning", "", Severity.MEDIUM),
        ("", "", Severity.MEDIUM),
    ],
)
def test_severity_follows_criteria_and_confidence(criteria: str, confidence: str, severity: Severity) -> None:
    assert detect.severity_of(criteria, confidence) is severity


def test_the_models_own_confidence_counts_before_the_one_that_was_wished_for() -> None:
    behavior = {
        "name": "b",
        "metric": "aws:all-bytes-out",
        "criteria": {"mlDetectionConfig": {"confidenceLevel": "HIGH"}},
    }

    assert the_finding(behavior=behavior).severity is Severity.HIGH
    assert (
        the_finding(behavior=behavior, violationEventAdditionalInfo={"confidenceLevel": "LOW"}).severity is Severity.LOW
    )


def test_a_confidence_tells_machine_learning_even_without_criteria() -> None:
    finding = the_finding(
        behavior={"metric": "aws:all-bytes-out"}, violationEventAdditionalInfo={"confidenceLevel": "LOW"}
    )

    assert finding.attributes["criteria"] == "machine-learning"
    assert finding.severity is Severity.LOW


def test_statistical_criteria_are_told_from_written_ones() -> None:
    finding = the_finding_of("detect-violation-statistical")

    assert finding.attributes["criteria"] == "statistical"
    assert finding.severity is Severity.MEDIUM


@pytest.mark.parametrize(
    ("metric", "device_side"),
    [
        ("aws:num-authorization-failures", "false"),
        ("aws:source-ip-address", "false"),
        ("aws:all-bytes-out", "true"),
        ("battery-percent", "true"),
        ("aws:a-metric-of-the-future", "true"),
    ],
)
def test_only_what_the_cloud_measured_itself_is_beyond_the_devices_reach(metric: str, device_side: str) -> None:
    assert the_finding(behavior={"metric": metric}).attributes["device-side"] == device_side


def test_a_custom_metrics_name_is_the_kind() -> None:
    finding = the_finding_of("detect-violation-custom-metric")

    assert finding.kind == "battery-percent"
    assert finding.evidence["metricValue"] == {"number": "11.5"}


def test_a_behaviour_without_a_metric_is_a_kind_of_its_own() -> None:
    assert the_finding(behavior={"name": "odd"}).kind == "behavior/odd"


def test_a_client_that_could_be_no_thing_is_kept_under_its_client_id() -> None:
    finding = the_finding_of("detect-violation-unregistered-client")

    assert finding.subject == Subject(SubjectType.CLIENT_ID, "test/laptop of M\u00fcller")
    assert r"test/laptop of M\u00fcller" in finding.title


def test_a_name_of_128_characters_is_kept_whole_and_cut_in_the_title() -> None:
    finding = the_finding_of("detect-violation-long-thing-name")

    assert finding.subject.type is SubjectType.THING
    assert len(finding.subject.name) == 128
    assert finding.subject.name not in finding.title


def test_an_event_cannot_date_itself_into_the_future() -> None:
    tomorrow = int((RECEIVED_AT + timedelta(days=1)).timestamp() * 1000)

    assert the_finding(violationEventTime=tomorrow).observed_at == RECEIVED_AT


@pytest.mark.parametrize("field", ["thingName", "violationEventType", "violationId"])
def test_a_missing_field_is_refused_by_its_name(field: str) -> None:
    with pytest.raises(Refused, match=f"missing-field: '{field}'"):
        the_finding(**{field: None})


def test_a_field_of_the_wrong_type_is_refused_with_what_it_should_be() -> None:
    with pytest.raises(Refused, match=r"wrong-type: 'behavior\.criteria' must be an object but is a list"):
        the_finding(behavior={"criteria": []})


def test_a_refusal_repeats_nothing_of_the_message() -> None:
    with pytest.raises(Refused) as refused:
        the_finding(violationEventType="<script>")

    assert "script" not in str(refused.value)
