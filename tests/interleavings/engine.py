"""Tries schedules of a pair: each from the same world, to the end, and the promises judged.

Two schedules that leave the same state behind end alike, so that one of them is played on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.interleavings.pairs import Pair, scene_of
from tests.interleavings.play import Play, copy_of
from tests.interleavings.promises import broken
from tests.interleavings.scheduler import Schedule, with_one_switch, with_two_switches


@dataclass
class Tried:
    """What came of the schedules that were tried: how many, how many ends they have, and those that broke a promise."""

    schedules: int = 0
    ends: int = 0
    broken: dict[Schedule, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the figures, and the shortest schedules that broke each promise."""
        lines = [f"{len(self.broken):,} of {self.schedules:,} schedules broken ({self.ends:,} ends)"]
        shown: dict[str, Schedule] = {}
        for schedule, found in self.broken.items():
            shown.setdefault("; ".join(found), schedule)
        lines += [f"  {schedule}: {what}" for what, schedule in shown.items()]
        return "\n".join(lines)


def lengths_of(pair: Pair) -> list[int]:
    """Count the calls of each invocation when none is switched."""
    calls = [0 for _ in pair.invocations]
    for first in range(len(calls)):
        order = (first, *(each for each in range(len(calls)) if each != first))
        play = Play(copy_of(scene_of(pair).world))
        calls = [max(both) for both in zip(calls, play.race(pair.invocations, Schedule((), order)), strict=True)]
    return calls


def one_switch(pair: Pair) -> Iterable[Schedule]:
    """List every schedule of a pair with one switch."""
    return with_one_switch(lengths_of(pair))


def two_switches(pair: Pair) -> Iterable[Schedule]:
    """List every schedule of a pair with two switches."""
    return with_two_switches(lengths_of(pair))


def attempt(pair: Pair, schedules: Iterable[Schedule]) -> Tried:
    """Try schedules."""
    tried, ends, scene = Tried(), dict[str, list[str]](), scene_of(pair)
    for schedule in schedules:
        tried.schedules += 1
        play = Play(copy_of(scene.world))
        play.race(pair.invocations, schedule)
        state = play.state()
        if state not in ends:
            play.rest()
            ends[state] = broken(play, scene.had)
        if ends[state]:
            tried.broken[schedule] = ends[state]
    tried.ends = len(ends)
    return tried
