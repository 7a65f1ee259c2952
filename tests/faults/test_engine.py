"""The engine saves work; here it is held against doing all of it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from itertools import zip_longest

import pytest

from tests.faults.engine import Engine
from tests.faults.environment import environment
from tests.faults.fault_transport import Remembered
from tests.faults.flows import FLOWS, Flow


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with environment() as ground:
        yield Engine(ground)


def _flow(name: str) -> Flow:
    return next(flow for flow in FLOWS if flow.name == name)


def _plain(made: Remembered) -> object:
    refusal = made.refusal and (made.refusal[0], made.refusal[1].get("Error"), made.refusal[2])
    return made.call, made.asked, made.answer and pickle.loads(made.answer), refusal  # noqa: S301 - our own


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: str(flow.name))
def test_every_answer_that_is_given_at_once_is_the_sdk_s(engine: Engine, flow: Flow) -> None:
    wire = engine.world.ground.wire
    at_once = engine.recording(flow)

    wire.shortens = False
    try:
        by_the_sdk = engine.recording(flow)
    finally:
        wire.shortens = True

    assert at_once.calls == by_the_sdk.calls
    assert at_once.end == by_the_sdk.end
    for one, other in zip_longest(at_once.invocations, by_the_sdk.invocations):
        assert [_plain(made.came) for made in one.calls] == [_plain(made.came) for made in other.calls]
        assert one.outcome == other.outcome


def test_a_fault_is_tried_at_each_call_once_for_each_fate(engine: Engine) -> None:
    recording = engine.recording(_flow("operator dismisses"))

    assert recording.calls == sum(len(each.calls) for each in recording.invocations)
    assert len(set(engine.points(recording))) == recording.calls * 10
