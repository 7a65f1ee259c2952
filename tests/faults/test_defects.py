"""A product that is broken on purpose: the fault points find it, though without a fault it does all that it should."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from tests.faults import table
from tests.faults.engine import Engine
from tests.faults.environment import environment
from tests.faults.flows import FLOWS
from warden.aws import certificates
from warden.aws.jobs import IotJobs
from warden.cases.model import Case
from warden.context import Context
from warden.notify import notifier


def _notify_after_noting(real: Callable[..., Case]) -> Callable[..., Case]:
    """Write down that people were told, and then tell them: who dies in between has told nobody."""

    def notify(case: Case, context: Context, reason: str) -> Case:
        sent: list[tuple[str, str]] = []
        notices = SimpleNamespace(send=lambda *notice: sent.append(notice))
        told = real(case, replace(context, ports=replace(context.ports, notices=notices)), reason)
        for notice in sent:
            context.ports.notices.send(*notice)
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
    """Let the SDK ask for a certificate again when the first answer is lost."""
    return lambda *_, **__: None


@pytest.mark.parametrize(
    ("place", "name", "defect", "flow"),
    [
        (notifier, "_notify", _notify_after_noting, "source generic-finding"),
        (IotJobs, "start", _whatever_comes_of_it, "action collect-logs"),
        (table, "_holds", _unconditionally, "action quarantine"),
        (certificates, "_never_repeat", _sent_again, "rotation failed"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_defect_is_found(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, defect: Callable[[Any], Any], flow: str
) -> None:
    monkeypatch.setattr(place, name, defect(getattr(place, name)))

    with environment() as ground:
        engine = Engine(ground)
        tried = engine.every_point(engine.recording(next(each for each in FLOWS if each.name == flow)))

    assert tried.broken
    assert len(tried.broken) < tried.points / 2


def test_a_defect_is_found_at_the_same_points_when_every_point_is_played_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real: Any = notifier._notify
    monkeypatch.setattr(notifier, "_notify", _notify_after_noting(real))

    with environment() as ground:
        engine = Engine(ground)
        recording = engine.recording(next(each for each in FLOWS if each.name == "source generic-finding"))
        tried = engine.every_point(recording)
        whole = {point for point in engine.points(recording) if engine.strike(recording, point)}

    assert whole
    assert {point for (point,) in tried.broken} == whole
