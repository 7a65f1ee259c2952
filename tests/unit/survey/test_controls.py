"""The package carries the baseline's controls, and reads of them what the survey needs."""

from __future__ import annotations

from warden.ingest.detectors.audit import CHECKS
from warden.survey.controls import EVERY_CHECK, baseline


def test_the_eleven_are_read_with_their_checks_and_what_closes_them() -> None:
    controls = baseline().controls

    assert [each.number for each in controls.values()] == list(range(1, 12))
    assert controls["daily-audit"].checks == (EVERY_CHECK,)
    assert controls["logging"].closes == ("LoggingMode=create",)
    assert all(each.closes for each in controls.values())


def test_the_checks_are_those_of_device_defender() -> None:
    assert baseline().checks == set(CHECKS)


def test_where_there_is_no_iot_there_is_no_audit_either() -> None:
    assert {"sa-east-1", "ap-southeast-4"} <= baseline().regions_without_audit
    assert "eu-central-1" not in baseline().regions_without_audit
