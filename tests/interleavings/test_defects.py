"""A product that is broken on purpose: the schedules find it, although nothing breaks one after the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import FakeLedger
from tests.interleavings.engine import attempt, one_switch
from tests.interleavings.pairs import PAIRS
from tests.interleavings.scheduler import Schedule
from warden.containment import desired
from warden.core.ledger import Put


def _without_versions(_real: object) -> Callable[..., None]:
    """Write whatever somebody else wrote meanwhile."""

    def commit(self: FakeLedger, *puts: Put) -> None:
        for put in puts:
            self.records[put.key] = json.dumps({**put.record, "version": put.seen + 1})

    return commit


def _without_a_second_look(_real: object) -> Callable[..., None]:
    """Carry out what the record wanted when the pass began."""
    return lambda _wanted, _context: None


@pytest.mark.parametrize(
    ("place", "name", "defect", "pair"),
    [
        (FakeLedger, "commit", _without_versions, "job timed out x confirm"),
        (FakeLedger, "commit", _without_versions, "deadline x confirm"),
        (desired, "_fence", _without_a_second_look, "release x quarantine of the other"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_defect_is_found(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, defect: Callable[[Any], Any], pair: str
) -> None:
    meeting = next(each for each in PAIRS if each.name == pair)
    schedules = list(one_switch(meeting))
    monkeypatch.setattr(place, name, defect(getattr(place, name)))

    assert not attempt(meeting, [Schedule((), (0, 1)), Schedule((), (1, 0))]).broken
    tried = attempt(meeting, schedules)

    assert tried.broken
    assert len(tried.broken) < tried.schedules / 2
