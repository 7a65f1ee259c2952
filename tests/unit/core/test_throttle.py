"""Calls at an even rate: none too early, and no burst after a pause."""

from __future__ import annotations

from warden.core.throttle import RateLimiter


class Clock:
    """A clock that runs while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_turns_come_at_the_rate() -> None:
    clock = Clock()
    turn = RateLimiter(4, clock.now, clock.sleep)
    at = []

    for _ in range(3):
        turn()
        at.append(clock.seconds)

    assert at == [0, 0.25, 0.5]


def test_missed_turns_are_not_made_up_for() -> None:
    clock = Clock()
    turn = RateLimiter(4, clock.now, clock.sleep)
    turn()
    clock.sleep(10)

    turn()
    turn()

    assert clock.seconds == 10.25
