"""Every AWS call of every flow, with every fault: the promises hold, and the run ends like one without a fault.

`make test` tries one sixth of the points: at each call every sixth fault, at the next calls the others.
FAULT_POINTS=all tries all of them; FAULT_POINTS=pairs two faults in one run, a choice of them that is the same each
time. Both take too long for every push (`make nightly`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.conftest import BROKEN, LEFT, PLAYED, TRIED
from tests.faults.engine import Engine, Recording, Tried
from tests.faults.environment import environment
from tests.faults.fault_transport import FaultKind, FaultPoint
from tests.faults.flows import ENDS, FLOWS, Flow
from tests.sample_events import InFaults, in_faults
from warden.plan.actions import TOUCHING

POINTS = os.environ.get("FAULT_POINTS", "sixth")
PAIRS = POINTS == "pairs"
_FAULTS = list(FaultKind)
_PAIRS_PER_FLOW = 150
_ONE_OF = 211
"""Prime to the number of fates, so that every fate meets every kind of call."""

type Count = Callable[[str, object], None]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with environment() as ground:
        yield Engine(ground)


def _pairs(engine: Engine, recording: Recording) -> Tried:
    """Try some pairs; what comes of the first changes what the second meets, so that each is played whole."""
    chance, points, tried = Random(recording.flow.name), engine.points(recording), Tried()  # noqa: S311 - the same each time
    for first, second in (chance.sample(points, 2) for _ in range(_PAIRS_PER_FLOW)):
        if first.at != second.at:
            tried.points += 1
            tried.played += 1
            if wrong := engine.strike(recording, first, second):
                tried.broken[first, second] = wrong
    return tried


def is_chosen(point: FaultPoint) -> bool:
    """Choose every sixth fault of a call, and the others at the next calls."""
    return POINTS == "all" or (point.at + _FAULTS.index(point.fate)) % 6 == 0


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: str(flow.name))
def test_the_promises_hold_at_every_point(engine: Engine, flow: Flow, record_property: Count) -> None:
    recording = engine.recording(flow)

    tried = _pairs(engine, recording) if PAIRS else engine.every_point(recording, is_chosen)

    record_property(TRIED, tried.points)
    record_property(LEFT, tried.left)
    record_property(PLAYED, tried.played)
    record_property(BROKEN, len(tried.broken))
    assert recording.calls > 0
    assert PAIRS or tried.points + tried.left == recording.calls * len(FaultKind)
    assert PAIRS or (POINTS == "all") == (tried.left == 0)
    assert not tried.broken, str(tried)
    for point in engine.points(recording)[FLOWS.index(flow) % _ONE_OF :: _ONE_OF]:
        if not PAIRS and is_chosen(point):
            assert not engine.strike(recording, point), "played whole, another end is found"


def test_the_points_are_chosen_from_what_there_is() -> None:
    assert POINTS in ("sixth", "all", "pairs")


@pytest.mark.parametrize("fate", FaultKind)
def test_of_six_calls_one_is_tried_with_each_fault(fate: FaultKind) -> None:
    chosen = [is_chosen(FaultPoint(at, fate)) for at in (1, 2, 3, 4, 5, 6)]

    assert sum(chosen) == (6 if POINTS == "all" else 1)


def test_every_action_has_a_flow_of_its_own() -> None:
    assert {f"action {name}" for name in TOUCHING} <= {flow.name for flow in FLOWS}


def test_every_sample_that_ends_a_finding_has_a_flow_with_one() -> None:
    assert set(ENDS) == set(in_faults(InFaults.ENDS))
