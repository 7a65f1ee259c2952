"""Time, and the back-off between tries."""

import random
import time
from datetime import UTC, datetime


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class Backoff:
    """Delays that double up to a bound; the upper half is random, so that a fleet does not reconnect all at once."""

    def __init__(self, minimum: float, maximum: float, chance: random.Random) -> None:
        self._minimum = minimum
        self._maximum = maximum
        self._chance = chance
        self._failures = 0

    def next_delay(self) -> float:
        # Past 2**32 the bound applies anyway, and a device that is offline for a year must not overflow.
        ceiling = min(self._maximum, self._minimum * 2 ** min(self._failures, 32))
        self._failures += 1
        return self._chance.uniform(ceiling / 2, ceiling)

    def reset(self) -> None:
        self._failures = 0
