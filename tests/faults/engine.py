"""The engine: a flow without a fault, to learn its calls and its end; then again with a fault at each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tests.faults import promises
from tests.faults.flows import PLAN, Flow
from tests.faults.ground import Ground
from tests.faults.wire import Call, Fate, Strike
from tests.faults.world import World, furnish

_REST = timedelta(hours=2)
"""More than the visibility timeouts of all deliveries together: the last sweep is at the same time in each run."""


@dataclass(frozen=True)
class Course:
    """A flow's clean run: the world before each step, how many calls came before it, all calls, and the end."""

    flow: Flow
    before: tuple[bytes, ...]
    counts: tuple[int, ...]
    calls: tuple[str, ...]
    ended_at: datetime
    end: dict[str, object]


class Engine:
    """Plays flows on one ground, one after the other."""

    def __init__(self, ground: Ground) -> None:
        self.world = World(ground)
        self._wire = ground.wire
        self._watch(False)
        furnish(self.world)
        self._base = self.world.snapshot()
        self._courses: dict[str, Course] = {}

    def _watch(self, on: bool) -> None:
        def after(call: Call) -> None:
            promises.instant(self.world, call)

        self.world.cloud.after = after if on else lambda _call: None

    def course(self, flow: Flow) -> Course:
        """Play a flow without a fault, once."""
        if flow.name not in self._courses:
            self._courses[flow.name] = self._clean(flow)
        return self._courses[flow.name]

    def _clean(self, flow: Flow) -> Course:
        self._watch(False)
        self._wire.calm()
        self.world.restore(self._base)
        for step in flow.before:
            step(self.world)
        self._watch(True)
        self._wire.begin()
        before, counts = [], []
        for step in flow.steps:
            before.append(self.world.snapshot())
            counts.append(self._wire.count)
            step(self.world)
        calls = tuple(self._wire.made)
        ended_at = self.world.clock()
        self._close(ended_at)
        wrong = promises.broken(self.world, PLAN, may_park=False)
        assert wrong == [], f"{flow.name} breaks promises without any fault: {wrong}"
        return Course(flow, tuple(before), tuple(counts), calls, ended_at, promises.state_of(self.world))

    def _close(self, ended_at: datetime) -> None:
        """Let everything come to rest: one sweep, and once more whatever came from outside."""
        self._wire.armed = False
        self.world.clock.time = max(self.world.clock(), ended_at + _REST)
        self.world.sweep()
        self.world.replay()

    def points(self, flow: Flow) -> list[Strike]:
        """List every single fault of a flow."""
        return [Strike(number, fate) for number in range(1, len(self.course(flow).calls) + 1) for fate in Fate]

    def strike(self, flow: Flow, *strikes: Strike) -> list[str]:
        """Play a flow with faults; gives every promise that is broken then, and every difference to the clean run."""
        course = self.course(flow)
        step = max(index for index, count in enumerate(course.counts) if count < min(each.at for each in strikes))
        self._watch(True)
        self._wire.calm()
        self.world.restore(course.before[step])
        self._wire.begin(course.counts[step], strikes)
        for each in flow.steps[step:]:
            each(self.world)
        struck = list(self._wire.struck)
        denied = bool(self._wire.denied)
        self._close(course.ended_at)
        if not struck:
            return [f"{strikes} never struck"]
        wrong = promises.broken(self.world, PLAN, may_park=denied)
        if not denied:
            wrong += list(_differences(promises.state_of(self.world), course.end))
        return [f"{flow.name}, {'; '.join(struck)}: {why}" for why in wrong]


def _differences(state: dict[str, Any], clean: dict[str, Any]) -> Iterator[str]:
    for name, value in state.items():
        if value != clean[name]:
            yield f"2: {name} are {value}, and {clean[name]} after a clean run"
