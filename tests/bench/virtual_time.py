"""A clock that moves only when somebody waits: hours pass in seconds, and the same run takes the same time each time.

Threads take turns: one runs until it waits, then the one that waited for the earliest moment goes on. So nothing
depends on the machine, and what they share needs no lock.
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from threading import Event, Thread


@dataclass
class VirtualTime:
    """Seconds since the run began."""

    now: float = 0.0
    _waiting: list[tuple[float, int, Event]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=count)

    def sleep(self, seconds: float) -> None:
        """Wait, and let others go on meanwhile."""
        turn = self._wait_for(self.now + max(0.0, seconds))
        self._pass_on()
        turn.wait()

    def run(self, *works: Callable[[], object]) -> None:
        """Run these side by side, each in a thread of its own, until all are done.

        Raises:
            Exception: the first that one of them raised; the others are run to their end before.
        """
        failures: list[BaseException] = []

        def body(work: Callable[[], object], turn: Event) -> None:
            turn.wait()
            try:
                work()
            except Exception as error:  # noqa: BLE001 - it is raised again where the run was begun
                failures.append(error)
            finally:
                self._pass_on()

        threads = [Thread(target=body, args=(work, self._wait_for(self.now)), daemon=True) for work in works]
        for thread in threads:
            thread.start()
        self._pass_on()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _wait_for(self, moment: float) -> Event:
        turn = Event()
        heapq.heappush(self._waiting, (moment, next(self._numbers), turn))
        return turn

    def _pass_on(self) -> None:
        if self._waiting:
            self.now, _, turn = heapq.heappop(self._waiting)
            turn.set()


@contextmanager
def sleeping_in(clock: VirtualTime) -> Iterator[None]:
    """Let every `time.sleep` of this process, botocore's between two attempts too, pass on this clock."""
    real = time.sleep
    time.sleep = clock.sleep  # type: ignore[assignment]  # nobody sleeps for a SupportsIndex
    try:
        yield
    finally:
        time.sleep = real


@dataclass
class TokenBucket:
    """A quota of so many calls a second; what was not used is kept for one second."""

    per_second: float
    _tokens: float = field(init=False)
    _filled_at: float = 0.0

    def __post_init__(self) -> None:
        """Begin with a full second."""
        self._tokens = self.per_second

    def take(self, now: float) -> bool:
        """Take a token, if there is one."""
        gained = (now - self._filled_at) * self.per_second
        self._tokens, self._filled_at = min(self.per_second, self._tokens + gained), now
        if self._tokens < 1 - 1e-9:
            return False
        self._tokens -= 1
        return True


def in_turns(clock: VirtualTime, workers: int, works: Sequence[Callable[[], object]]) -> None:
    """Let this many workers do all tasks; each takes the next task when it is free."""
    left = iter(works)

    def worker() -> None:
        for work in left:
            work()

    clock.run(*[worker] * workers)
