"""Time: a time in a detector's message is read in UTC, or refused."""

from datetime import UTC, datetime, timedelta

import pytest

from warden.core.clock import from_epoch, from_text, to_text, utc_now

AT = datetime(2026, 11, 22, 12, 0, 0, 250000, tzinfo=UTC)


@pytest.mark.parametrize("value", [1795348800.25, 1795348800250, 1795348800250.0])
def test_seconds_and_milliseconds_are_told_apart(value: float) -> None:
    assert from_epoch(value) == AT


@pytest.mark.parametrize(
    ("value", "said"),
    [(1e300, "is not an epoch time"), (-1e300, "is not an epoch time"), (1e17, "year 3170843 is out of range")],
)
def test_what_lies_outside_the_calendar_is_no_time(value: float, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        from_epoch(value)


def test_text_has_microseconds_and_is_utc_so_that_its_order_is_times_order() -> None:
    assert to_text(AT.astimezone()) == "2026-11-22T12:00:00.250000Z"
    assert to_text(AT.replace(microsecond=0)) == "2026-11-22T12:00:00.000000Z"
    assert from_text("2026-11-22T13:00:00.250+01:00") == AT


def test_a_time_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="has no offset from UTC"):
        from_text("2026-11-22T12:00:00")


def test_the_service_runs_on_this_machines_time_in_utc() -> None:
    said = utc_now()

    assert said.utcoffset() == timedelta()
    assert abs(datetime.now(UTC) - said) < timedelta(minutes=1)
