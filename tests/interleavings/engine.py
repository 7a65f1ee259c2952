"""Tries schedules of a pair: each from the same world, to the end, and the promises judged.

Two schedules that leave the same state behind end alike, so only one of them is continued.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from random import Random

from tests.interleavings import scheduler
from tests.interleavings.pairs import Pair, scene_of
from tests.interleavings.play import Play, copy_of
from tests.interleavings.promises import broken, said_too_early
from tests.interleavings.scheduler import Schedule, with_one_switch, with_two_switches


@dataclass
class Tried:
    """The result of the schedules: how many were tried, how many ends they have, and those that broke a promise."""

    schedules: int = 0
    ends: int = 0
    old: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the figures, and the shortest schedules that broke each promise."""
        lines = [f"{len(self.broken):,} of {self.schedules:,} schedules broken ({self._about})"]
        shown: dict[str, str] = {}
        for schedule, found in self.broken.items():
            shown.setdefault("; ".join(found), schedule)
        lines += [f"  {schedule}: {what}" for what, schedule in shown.items()]
        return "\n".join(lines)

    @property
    def _about(self) -> str:
        return f"{self.old:,} old answers" if self.old else f"{self.ends:,} ends"


@cache
def lengths_of(pair: Pair) -> Sequence[int]:
    """Count the calls of each invocation when none is switched."""
    calls = [0 for _ in pair.invocations]
    for first in range(len(calls)):
        order = (first, *(each for each in range(len(calls)) if each != first))
        play = Play(copy_of(scene_of(pair).world))
        calls = [max(both) for both in zip(calls, play.race(pair.invocations, Schedule((), order)), strict=True)]
    assert all(calls), f"an invocation of {pair.name} does nothing: {calls}"
    return calls


def one_switch(pair: Pair) -> Iterable[Schedule]:
    """List every schedule of a pair with one switch."""
    return with_one_switch(lengths_of(pair))


def two_switches(pair: Pair) -> Iterable[Schedule]:
    """List every schedule of a pair with two switches."""
    return with_two_switches(lengths_of(pair))


def of_three(pair: Pair) -> Iterable[Schedule]:
    """List every schedule of three invocations with two switches."""
    return scheduler.of_three(lengths_of(pair))


def attempt_with_old_answers(pair: Pair, runs: int) -> Tried:
    """Try random schedules, the same each time, with lists of AWS IoT that are out of date."""
    tried, scene, lengths = Tried(), scene_of(pair), lengths_of(pair)
    for number in range(runs):
        chance = Random(f"{pair.name} {number}")  # noqa: S311 - the same each time
        schedule = scheduler.at_random(lengths, chance)
        play = Play(copy_of(scene.world))
        old = play.answer_late(chance)
        play.race(pair.invocations, schedule)
        play.rest()
        tried.schedules += 1
        tried.old += old.old
        if found := broken(play, scene.had):
            tried.broken[f"run {number}: {schedule}"] = found
    return tried


def attempt(pair: Pair, schedules: Iterable[Schedule]) -> Tried:
    """Try schedules."""
    tried, ends, scene = Tried(), dict[str, list[str]](), scene_of(pair)
    for schedule in schedules:
        tried.schedules += 1
        play = Play(copy_of(scene.world))
        play.race(pair.invocations, schedule)
        state = f"{play.state()} {bool(play.failures)}"
        if state not in ends:
            early = said_too_early(play)
            play.rest()
            ends[state] = [*early, *broken(play, scene.had)]
        if ends[state]:
            tried.broken[str(schedule)] = ends[state]
    tried.ends = len(ends)
    return tried
