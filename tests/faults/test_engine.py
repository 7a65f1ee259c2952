"""The engine saves work; here it is held against doing all of it, and against a product that is broken on purpose."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import zip_longest
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults import table
from tests.faults.engine import Engine
from tests.faults.flows import FLOWS, Flow
from tests.faults.ground import laid
from tests.faults.wire import Remembered
from warden import telling
from warden.aws import certificates
from warden.aws.messaging import SqsCaseQueue
from warden.cases import Case
from warden.service import Service


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with laid() as ground:
        yield Engine(ground)


def _flow(name: str) -> Flow:
    return next(flow for flow in FLOWS if flow.name == name)


def _plain(made: Remembered) -> object:
    refusal = made.refusal and (made.refusal[0], made.refusal[1].get("Error"), made.refusal[2])
    return made.call, made.asked, made.answer and pickle.loads(made.answer), refusal  # noqa: S301 - our own


@pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: str(flow.name))
def test_every_answer_that_is_given_at_once_is_the_sdk_s(engine: Engine, flow: Flow) -> None:
    wire = engine.world.ground.wire
    at_once = engine.course(flow)

    wire.shortens = False
    try:
        by_the_sdk = engine.course(flow)
    finally:
        wire.shortens = True

    assert at_once.calls == by_the_sdk.calls
    assert at_once.end == by_the_sdk.end
    for one, other in zip_longest(at_once.invocations, by_the_sdk.invocations):
        assert [_plain(made.came) for made in one.calls] == [_plain(made.came) for made in other.calls]
        assert one.outcome == other.outcome


def test_a_fault_is_tried_at_each_call_once_for_each_fate(engine: Engine) -> None:
    course = engine.course(_flow("operator dismisses"))

    assert course.calls == sum(len(each.calls) for each in course.invocations)
    assert len(set(engine.points(course))) == course.calls * 10


# --- seeded defects --------------------------------------------------------------------------------------------------


def _notify_after_noting(real: Callable[..., Case]) -> Callable[..., Case]:
    """Write down that people were told, and then tell them: who dies in between has told nobody."""

    def notify(case: Case, service: Service, reason: str) -> Case:
        sent: list[tuple[str, str]] = []
        notices = SimpleNamespace(send=lambda *notice: sent.append(notice))
        told = real(case, replace(service, ports=replace(service.ports, notices=notices)), reason)
        for notice in sent:
            service.ports.notices.send(*notice)
        return told

    return notify


def _whatever_comes_of_it(real: Callable[..., None]) -> Callable[..., None]:
    """Send, and take no notice of a failure."""

    def send(*args: Any, **named: Any) -> None:
        with suppress(ClientError, BotoCoreError):
            real(*args, **named)

    return send


def _unconditionally(_real: object) -> Callable[..., bool]:
    """Write over whatever somebody else wrote meanwhile."""
    return lambda *_: True


def _sent_again(_real: object) -> Callable[..., None]:
    """Have the SDK ask for a certificate again when it did not hear of the first."""
    return lambda *_, **__: None


@pytest.mark.parametrize(
    ("place", "name", "defect", "flow"),
    [
        (telling, "_notify", _notify_after_noting, "source generic-finding"),
        (SqsCaseQueue, "put_all", _whatever_comes_of_it, "source generic-finding"),
        (table, "_holds", _unconditionally, "action quarantine"),
        (certificates, "_unless_it_may_be_made", _sent_again, "rotation failed"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_defect_is_found(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, defect: Callable[[Any], Any], flow: str
) -> None:
    monkeypatch.setattr(place, name, defect(getattr(place, name)))

    with laid() as ground:
        engine = Engine(ground)
        tried = engine.every_point(engine.course(_flow(flow)))

    assert tried.broken
    assert len(tried.broken) < tried.points / 2
