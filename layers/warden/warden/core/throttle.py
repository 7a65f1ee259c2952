"""Call at an even rate, so that a long run is never throttled and leaves a part of the quota to others."""

from __future__ import annotations

from collections.abc import Callable


class RateLimiter:
    """Returns from a call no sooner than the rate allows. `monotonic` and `sleep` count seconds, as in `time`."""

    def __init__(self, per_second: float, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._interval = 1 / per_second
        self._monotonic = monotonic
        self._sleep = sleep
        self._next = monotonic()

    def __call__(self) -> None:
        """Wait for the next turn. Missed turns are not made up for: that would be a burst."""
        now = self._monotonic()
        if now < self._next:
            self._sleep(self._next - now)
        self._next = max(now, self._next) + self._interval
