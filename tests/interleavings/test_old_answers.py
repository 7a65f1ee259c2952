"""Answers that are old: by at most six writes and six minutes, out of order, and the same for the same seed."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from random import Random

import pytest

from tests.fakes import THING, a_world
from tests.interleavings.old_answers import MOST_TIME, MOST_WRITES, OldAnswers

READS = 400


def _behind(old: OldAnswers, writes: int) -> list[int]:
    """Ask repeatedly which groups a thing is in; return how many writes each answer is behind."""
    registry = old.world.registry
    return [writes - len(old.answer("registry.thing", registry.thing, (THING,), {}).groups) for _ in range(READS)]


@pytest.fixture(name="old")
def _old() -> OldAnswers:
    world = a_world(THING)
    world.registry.group_policies |= {f"group-{number}": [] for number in range(9)}
    return OldAnswers(world, Random("seed"))  # noqa: S311 - the same each time


def _write(old: OldAnswers, number: int) -> None:
    old.answer("registry.join_group", old.world.registry.join_group, (THING, f"group-{number}"), {})


def test_answers_are_up_to_six_writes_behind_and_a_later_one_may_be_older(old: OldAnswers) -> None:
    for number in range(9):
        _write(old, number)

    behind = _behind(old, 9)

    assert set(behind) == set(range(MOST_WRITES + 1))
    assert any(later > earlier for earlier, later in pairwise(behind))
    assert old.old == sum(each > 0 for each in behind)


def test_what_is_over_for_six_minutes_is_not_shown_any_more(old: OldAnswers) -> None:
    _write(old, 0)
    old.world.clock.advance(timedelta(minutes=5))
    _write(old, 1)

    assert set(_behind(old, 2)) == {0, 1, 2}
    old.world.clock.advance(timedelta(minutes=2))
    assert set(_behind(old, 2)) == {0, 1}
    old.world.clock.advance(MOST_TIME)
    assert set(_behind(old, 2)) == {0}


def test_what_others_change_is_a_write_as_well(old: OldAnswers) -> None:
    old.world.certificates.attach_policy(old.world.device.certificate, "slipped-in")

    of = old.world.certificates.policies_of
    answers = {
        len(old.answer("certificates.policies_of", of, (old.world.device.certificate,), {})) for _ in range(READS)
    }

    assert answers == {1, 2}


def test_what_is_written_is_written_at_once(old: OldAnswers) -> None:
    _write(old, 0)

    assert old.world.registry.groups[THING] == ["group-0"]
