"""Time as a dependency: code that needs the time is given a clock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

type Clock = Callable[[], datetime]

_SECONDS_END = 100_000_000_000
"""Epoch values below this are seconds; as milliseconds they would be before March 1973."""


CLOCKS_APART = timedelta(seconds=10)
"""How far apart two compared clocks may be: AWS IoT's and ours, or those of two of our functions.

AWS keeps its own within a second (Amazon Time Sync Service); how far AWS IoT's are is not documented (unverified).
"""


def utc_now() -> datetime:
    """Return the time of this machine, in UTC."""
    return datetime.now(UTC)


def from_epoch(value: float) -> datetime:
    """Read an epoch time in seconds or milliseconds.

    Device Defender sends milliseconds over SNS and seconds in its API; job events carry seconds.

    Raises:
        ValueError: when the value is not a time between 1970 and 9999.
    """
    seconds = value if abs(value) < _SECONDS_END else value / 1000
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, OSError) as error:
        raise ValueError(f"{value} is not an epoch time") from error


def to_text(moment: datetime) -> str:
    """Write a moment as ISO 8601 in UTC with microseconds, so that strings sort by time."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_text(text: str) -> datetime:
    """Read what `to_text` wrote, or any ISO 8601 time with an offset.

    Raises:
        ValueError: when it is not one, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no offset from UTC")
    return moment.astimezone(UTC)
