"""Every state of the rotation's hand-over keeps its promises, and an implementation that gets it wrong is caught.

`make test` walks through two sizes of the model: one handler of device requests at a time and a device that may lose
its key once, and two copies of a request at the same moment. WARDEN_MODEL=big (the nightly one) adds both together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache

import pytest

from tests.model.handover import ENDS, INVARIANTS, Defect, Model, Result, State, Step, check

ONE_AT_A_TIME = Model(copies=1, keys=2, most_made=3)
TWO_COPIES = Model(copies=2, keys=1, most_made=3)
BOTH = Model(copies=2, keys=2, most_made=2)
MODELS = {"one-at-a-time": ONE_AT_A_TIME, "two-copies": TWO_COPIES}
if os.environ.get("WARDEN_MODEL") == "big":
    MODELS["both"] = BOTH

BREAKS = {
    Defect.ACTIVATES_FIRST: "let in last",
    Defect.RETIRES_UNCONFIRMED: "old one disabled only after the new one was in use",
    Defect.NO_INTENT: "made once",
    Defect.NO_LOOK: "made once",
    Defect.CONFIRMS_LATE: "never without a certificate",
    Defect.UNDECIDED: "acknowledged for good",
    Defect.ENDS_FIRST: "one ACTIVE in the end",
    Defect.KEEPS_WITHDRAWN: "one ACTIVE in the end",
    Defect.FORGETS_UNRECORDED: "made once",
    Defect.FORGETS_SPENT: "nothing left",
    Defect.KEY_AGAIN: "the same answer",
    Defect.ISSUES_CONFIRMED: "acknowledged for good",
    Defect.DEVICE_HURRIES: "never without a certificate",
}
"""A promise that each defect breaks."""


@cache
def checked(model: Model) -> Result:
    return check(model)


@pytest.mark.parametrize("name", MODELS)
def test_every_state_keeps_the_promises(name: str, record_property: Callable[[str, object], None]) -> None:
    result = checked(MODELS[name])

    print(f"{result.states} states, {result.transitions} transitions, depth {result.depth}")  # noqa: T201 - for -rP
    record_property("states", result.states)
    assert result.violation is None


def test_the_models_are_large_enough_to_mean_something() -> None:
    states = {name: checked(model).states for name, model in MODELS.items()}

    assert states["one-at-a-time"] > 40_000
    assert states["two-copies"] > 15_000


@pytest.mark.parametrize("defect", Defect, ids=lambda defect: defect.name.lower())
def test_a_defect_is_caught_and_shown(defect: Defect) -> None:
    result = check(replace(ONE_AT_A_TIME, defect=defect), [BREAKS[defect]])

    assert result.violation is not None, defect
    assert result.violation.promise == BREAKS[defect]
    assert result.violation.way[0].startswith("job: ")
    assert len(result.violation.way) >= 9


def test_each_promise_has_a_defect_that_breaks_it() -> None:
    assert set(BREAKS.values()) == set(INVARIANTS)


class Unended(Model):
    """A service without the responder: every other promise holds, and nothing ever ends."""

    def _end_steps(self, _state: State) -> Iterator[Step]:
        yield from ()


def test_a_rotation_that_could_not_end_would_be_seen() -> None:
    result = check(Unended())

    assert result.violation is not None
    assert result.violation.promise == ENDS
