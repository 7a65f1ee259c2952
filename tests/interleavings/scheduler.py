"""Several invocations at once, one running at a time: every call of a port is a point at which the next may take over.

Each invocation has a thread of its own. One baton passes between the threads only where the schedule says so, so that a
schedule is the same run each time. Nothing sleeps and nothing races.
"""

from __future__ import annotations

import sys
from _thread import LockType, allocate_lock, start_new_thread
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from random import Random
from typing import NamedTuple

_TO_ITS_END = sys.maxsize


class Turn(NamedTuple):
    """An invocation, by its number, and how many calls it makes until the next takes over."""

    who: int
    calls: int

    def __str__(self) -> str:
        """Return the turn as `A 12`."""
        return f"{_letter(self.who)} {self.calls}"


@dataclass(frozen=True)
class Schedule:
    """Which invocation begins and where it is switched. After the turns, each one in `rest` runs to its end."""

    turns: tuple[Turn, ...]
    rest: tuple[int, ...]

    def __str__(self) -> str:
        """Return the schedule as `A 12, B, A`: a turn without a number runs to its end."""
        return ", ".join((*map(str, self.turns), *map(_letter, self.rest)))

    @property
    def first(self) -> int:
        """The invocation that begins."""
        return (*(turn.who for turn in self.turns), *self.rest)[0]


def _letter(who: int) -> str:
    return chr(ord("A") + who)


class Relay:
    """One run of a schedule. The invocation that begins has the caller's thread."""

    def __init__(self, schedule: Schedule) -> None:
        self._turns = [*schedule.turns, *(Turn(who, _TO_ITS_END) for who in schedule.rest)]
        self._turns.reverse()
        self._first = self._turns[-1].who
        self._left = 0
        self.running = 0
        self._invocations: Sequence[Callable[[], None]] = ()
        self._batons: dict[int, LockType] = {}
        self._over: set[int] = set()
        self._all_over = allocate_lock()
        self._error: BaseException | None = None
        self.calls: list[int] = []

    def run(self, invocations: Sequence[Callable[[], None]]) -> None:
        """Run the invocations to their ends.

        Raises:
            BaseException: what an invocation raised, which is a fault of the test: the caller handles the product's
            errors.
        """
        self._invocations = invocations
        self.calls = [0] * len(invocations)
        self._all_over.acquire()
        self.running, self._left = self._turns.pop()
        self._batons[self._first] = _held()
        self._run(self._first)
        self._all_over.acquire()
        if self._error is not None:
            raise self._error

    def point(self) -> None:
        """Let another invocation take over before the next call, if this is where the schedule says so."""
        who = self.running
        while self._left == 0:
            self._hand_over()
            self._batons[who].acquire()
        self._left -= 1
        self.calls[who] += 1

    def _run(self, who: int) -> None:
        try:
            self._invocations[who]()
        except BaseException as error:  # noqa: BLE001 - raised again where the test waits for it
            self._error = error
        self._over.add(who)
        self._hand_over()

    def _hand_over(self) -> None:
        """Wake or start the invocation whose turn is next. Threads start only here, which saves a wait."""
        while self._turns:
            turn = self._turns.pop()
            if turn.who in self._over:
                continue
            self.running, self._left = turn
            if turn.who in self._batons:
                self._batons[turn.who].release()
            else:
                self._batons[turn.who] = _held()
                start_new_thread(self._run, (turn.who,))
            return
        self._all_over.release()


def _held() -> LockType:
    lock = allocate_lock()
    lock.acquire()
    return lock


def with_one_switch(lengths: Sequence[int]) -> Iterator[Schedule]:
    """List the schedules of two in which one is switched once: A runs k calls, B to its end, A on. Both orders."""
    for first, other in ((0, 1), (1, 0)):
        for calls in range(lengths[first] + 1):
            yield Schedule((Turn(first, calls),), (other, first))


def with_two_switches(lengths: Sequence[int]) -> Iterator[Schedule]:
    """List those in which both are switched once: A runs k calls, B l calls, A to its end, B to its end."""
    for first, other in ((0, 1), (1, 0)):
        for calls in range(1, lengths[first]):
            for others in range(1, lengths[other]):
                yield Schedule((Turn(first, calls), Turn(other, others)), (first, other))


def of_three(lengths: Sequence[int]) -> Iterator[Schedule]:
    """List those of three in which two are switched: A k calls, B l calls, C to its end, then A and B, or B and A."""
    for first, second, third in permutations(range(3)):
        for calls in range(1, lengths[first]):
            for others in range(1, lengths[second]):
                turns = (Turn(first, calls), Turn(second, others))
                yield Schedule(turns, (third, first, second))
                yield Schedule(turns, (third, second, first))


def at_random(lengths: Sequence[int], chance: Random) -> Schedule:
    """Return a schedule of any two or more with up to three switches."""
    everybody = list(range(len(lengths)))
    turns = [Turn(who, chance.randint(1, lengths[who])) for who in chance.choices(everybody, k=chance.randint(0, 3))]
    chance.shuffle(everybody)
    return Schedule(tuple(turns), tuple(everybody))
