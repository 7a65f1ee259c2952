"""Every schedule of every pair keeps the promises, except the known ones, which have to break.

One switch in every run. At night (WARDEN_NIGHTLY=1) two, and more runs with old answers of AWS IoT.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import pytest

from tests.conftest import MISTIMED, SCHEDULES
from tests.interleavings.engine import Tried, attempt, attempt_with_old_answers, of_three, one_switch, two_switches
from tests.interleavings.known import OLD_ANSWERS, ONE_SWITCH, THREE_AT_A_TIME, TWO_SWITCHES
from tests.interleavings.pairs import PAIRS, THREES, Pair

NIGHTLY = os.environ.get("WARDEN_NIGHTLY", "") == "1"
_OLD_RUNS = 100 if NIGHTLY else 2
_ONE_OF_THREE = 1 if NIGHTLY else 307
"""Coprime with the lengths of the invocations, so that each is switched everywhere."""

type Count = Callable[[str, object], None]


def _known(pairs: Sequence[Pair], broken: Mapping[str, str]) -> list[object]:
    """Mark the pairs that are known to break: they fail this suite once they no longer break."""
    return [pytest.param(pair, id=pair.name, marks=_marks(broken.get(pair.name, ""))) for pair in pairs]


def _marks(known: str) -> list[pytest.MarkDecorator]:
    return [pytest.mark.xfail(reason=f"known: {known} break a promise", strict=True)] if known else []


def _judge(tried: Tried, record_property: Count) -> None:
    record_property(SCHEDULES, tried.schedules)
    record_property(MISTIMED, len(tried.broken))
    assert not tried.broken, str(tried)


@pytest.mark.parametrize("pair", _known(PAIRS, TWO_SWITCHES if NIGHTLY else ONE_SWITCH))
def test_the_promises_hold_in_every_schedule(pair: Pair, record_property: Count) -> None:
    _judge(attempt(pair, two_switches(pair) if NIGHTLY else one_switch(pair)), record_property)


@pytest.mark.parametrize("trio", _known(THREES, THREE_AT_A_TIME))
def test_the_promises_hold_with_three_at_a_time(trio: Pair, record_property: Count) -> None:
    _judge(attempt(trio, islice(of_three(trio), 0, None, _ONE_OF_THREE)), record_property)


@pytest.mark.parametrize(
    "pair", _known([each for each in PAIRS if NIGHTLY or each.name not in OLD_ANSWERS], OLD_ANSWERS)
)
def test_the_promises_hold_where_lists_show_what_was(pair: Pair, record_property: Count) -> None:
    _judge(attempt_with_old_answers(pair, _OLD_RUNS), record_property)


def test_what_is_known_to_break_is_tried() -> None:
    names = {pair.name for pair in (*PAIRS, *THREES)}

    assert len(names) == len(PAIRS) + len(THREES)
    assert {*ONE_SWITCH, *TWO_SWITCHES, *THREE_AT_A_TIME, *OLD_ANSWERS} <= names
