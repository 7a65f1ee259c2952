"""Every AWS call of every flow, with every fault: the promises hold, and the end is that of a run without one.

`make test` tries a sample, the same each time. FAULT_POINTS=all tries every point, FAULT_POINTS=pairs two faults in one
run, both too long for every push (the nightly targets).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from random import Random

import pytest

from tests.faults.conftest import BROKEN, TRIED
from tests.faults.engine import Engine
from tests.faults.flows import FLOWS, PLAN, Flow
from tests.faults.ground import laid
from tests.faults.wire import Strike
from warden.actions import TOUCHING

EXTENT = os.environ.get("FAULT_POINTS", "sample")
_ONE_OF = 37
"""The sample: prime to the number of fates, so that every fate meets every kind of call."""

_PAIRS_PER_FLOW = 150
_SHOWN = 10

type Count = Callable[[str, object], None]


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with laid(PLAN) as ground:
        yield Engine(ground)


def _tried(engine: Engine, flow: Flow) -> list[tuple[Strike, ...]]:
    points = engine.points(flow)
    if EXTENT == "all":
        return [(point,) for point in points]
    if EXTENT == "pairs":
        chance = Random(flow.name)  # noqa: S311 - the same pairs each time
        pairs = [chance.sample(points, 2) for _ in range(_PAIRS_PER_FLOW)]
        return [(first, second) for first, second in pairs if first.at != second.at]
    return [(point,) for point in points[FLOWS.index(flow) % _ONE_OF :: _ONE_OF]]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: str(flow.name))
def test_the_promises_hold_at_every_point(engine: Engine, flow: Flow, record_property: Count) -> None:
    tried = _tried(engine, flow)

    broken = [wrong for strikes in tried if (wrong := engine.strike(flow, *strikes))]

    record_property(TRIED, len(tried))
    record_property(BROKEN, len(broken))
    assert not broken, "\n".join(why for wrong in broken[:_SHOWN] for why in wrong)


def test_every_action_has_a_flow_of_its_own() -> None:
    assert {f"action {name}" for name in TOUCHING} <= {flow.name for flow in FLOWS}
