"""Fields of messages: read as what they must be, or refused with the path that is wrong."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.ingest.detectors.samples import event, from_event_bridge, message_of
from warden.core.errors import Refused
from warden.core.findings import Finding, SubjectType
from warden.ingest.detectors import security_hub
from warden.validation import fields
from warden.validation.evidence import bounded

LATEST = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


def refusal(read: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(Refused) as caught:
        read(*arguments, **named)
    return str(caught.value)


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), (False, False), ("true", True), ("True", True), ("false", False), ("FALSE", False), (None, False)],
)
def test_a_flag_may_be_written_as_text_or_left_out(value: object, flag: bool) -> None:
    assert fields.optional_flag({"a": {"flag": value}}, "a.flag") is flag


@pytest.mark.parametrize("value", ["yes", "", 1, 0, [], {}])
def test_what_is_no_flag_is_refused_by_its_path(value: object) -> None:
    assert "'a.flag' must be a boolean" in refusal(fields.optional_flag, {"a": {"flag": value}}, "a.flag")


def test_a_list_that_is_left_out_is_empty_and_another_thing_is_refused() -> None:
    assert fields.optional_list({}, "findings") == []
    assert fields.optional_list({"findings": None}, "findings") == []
    assert fields.optional_list({"findings": [1]}, "findings") == [1]
    assert "'findings' must be a list" in refusal(fields.optional_list, {"findings": {}}, "findings")


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("2026-11-22T09:00:00+01:00", datetime(2026, 11, 22, 8, 0, tzinfo=UTC)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1, tzinfo=UTC)),
        ("1795334400000", datetime(2026, 11, 22, 8, 0, tzinfo=UTC)),
        (datetime(2026, 11, 22, 8, 0), datetime(2026, 11, 22, 8, 0, tzinfo=UTC)),  # noqa: DTZ001 - as boto3 never does
        ("2026-11-22T10:00:01Z", LATEST),
        (None, LATEST),
    ],
)
def test_a_moment_is_read_in_utc_and_never_lies_in_the_future(value: object, seen: datetime) -> None:
    assert fields.moment({"at": value}, "at", LATEST) == seen


@pytest.mark.parametrize("value", ["1969-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", -1, "yesterday", "9" * 16])
def test_what_is_no_moment_is_refused_by_its_path(value: object) -> None:
    assert "'at' is not a time" in refusal(fields.moment, {"at": value}, "at", LATEST)


def test_a_value_of_no_kind_that_json_has_is_kept_as_text() -> None:
    assert bounded({"a": Decimal("1.50"), "b": b"x"}, "ab") == {"a": "1.50", "b": "b'x'"}


# --- by way of Security Hub ----------------------------------------------------------------------------------------


def from_the_hub(**changes: Any) -> list[Finding]:
    """Read Device Defender's audit finding as Security Hub passes it on, with fields of the product changed."""
    message = event("security-hub-audit")
    first = message["detail"]["findings"][0]
    first["ProductFields"] |= changes
    message["detail"]["findings"] = [first]
    return list(security_hub.findings(message, from_event_bridge()))


def test_a_finding_that_device_defender_suppresses_is_none() -> None:
    assert from_the_hub(IsSuppressed="true") == []
    assert len(from_the_hub(IsSuppressed="false")) == 1


def test_a_finding_about_the_account_is_about_the_one_the_event_came_from() -> None:
    [finding] = from_the_hub(ResourceType="ACCOUNT_SETTINGS")

    assert (finding.subject.type, finding.subject.name) == (SubjectType.ACCOUNT, "000000000000")


def test_another_event_of_security_hub_holds_nothing_for_us() -> None:
    message, envelope = message_of("security-hub-audit")

    assert list(security_hub.findings({**message, "detail-type": "Security Hub Insight Results"}, envelope)) == []
