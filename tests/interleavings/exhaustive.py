"""Every old answer of a flow: each read of AWS IoT up to three writes behind, alone and together with others.

Where the flow reads little, all combinations are played; where it reads more, all of one old answer and all of two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import combinations, product
from math import prod

from tests.fakes import NOON
from tests.interleavings.courses import Course
from tests.interleavings.engine import Tried
from tests.interleavings.old_answers import MOST_TIME, PlannedAnswers, Shown
from tests.interleavings.play import Play, copy_of
from tests.interleavings.promises import broken
from tests.interleavings.scenes import Scene

MOST_BEHIND = 3
_FEW = 2_000
"""So many combinations are played whole."""

type Plan = Mapping[int, int]
"""For each read, how many writes its answer is behind."""


def _played(course: Course, scene: Scene, plan: Plan) -> tuple[Play, PlannedAnswers]:
    play = Play(copy_of(scene.world))
    play.old = planned = PlannedAnswers(play.world, plan, _before(scene))
    play.wire.answer = planned.answer
    course.run(play)
    return play, planned


def _before(scene: Scene) -> list[Shown]:
    """Return what was shown before anything happened, if that is no longer ago than lists may lag."""
    world = scene.world
    if world.clock() - NOON > MOST_TIME:
        return []
    stored = world.certificates.stored
    first = [pair for pair in world.registry.attached if stored[pair[0]].created_at < NOON]
    return [
        Shown(
            groups={thing: tuple(rights.groups) for thing, rights in scene.had.items()},
            attached=tuple(first),
            policies={certificate: tuple(scene.had[thing].policies) for certificate, thing in first},
            executions={},
        )
    ]


@cache
def reach_of(course: Course) -> list[int]:
    """Return how many writes each read of a flow may be behind, if no answer is old."""
    _, planned = _played(course, course.scene(), {})
    return [min(MOST_BEHIND, each) for each in planned.reach]


def plans_of(reach: list[int]) -> Iterator[Plan]:
    """List the plans with an old answer: each read alone, then two at a time, or all combinations of few."""
    old = {read: range(1, writes + 1) for read, writes in enumerate(reach) if writes}
    if prod(len(each) + 1 for each in old.values()) <= _FEW:
        for behind in product(*(range(len(each) + 1) for each in old.values())):
            if any(behind):
                yield {read: writes for read, writes in zip(old, behind, strict=True) if writes}
        return
    yield from ({read: writes} for read, each in old.items() for writes in each)
    for one, other in combinations(old, 2):
        yield from ({one: writes, other: more} for writes in old[one] for more in old[other])


def attempt(course: Course, plans: list[Plan]) -> Tried:
    """Play a flow by each plan, to the end."""
    tried, scene = Tried(), course.scene()
    for plan in plans:
        play, planned = _played(course, scene, plan)
        play.rest()
        tried.schedules += 1
        tried.old += planned.old
        if found := broken(play, scene.had):
            tried.broken[f"reads {dict(plan)}"] = found
    return tried
