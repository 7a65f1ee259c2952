"""A product that is broken on purpose: the schedules find it, though one after the other all is done that should be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.fakes import FakeLedger
from tests.interleavings.engine import attempt, one_switch
from tests.interleavings.pairs import PAIRS
from tests.interleavings.scheduler import Schedule
from warden.core.ledger import Put
from warden.devices import rotation


def _without_versions(_real: object) -> Callable[..., None]:
    """Write whatever somebody else wrote meanwhile."""

    def commit(self: FakeLedger, *puts: Put) -> None:
        for put in puts:
            self.records[put.key] = json.dumps({**put.record, "version": put.seen + 1})

    return commit


def _read_once(real: Callable[..., Any]) -> Callable[..., bool]:
    """Believe for as long as a request is answered what was read of the containment at its beginning."""
    known: dict[int, bool] = {}

    def is_contained(thing: str, context: Any) -> bool:
        return known.setdefault(id(context), bool(real(thing, context)))

    return is_contained


@pytest.mark.parametrize(
    ("place", "name", "defect", "pair"),
    [
        (FakeLedger, "commit", _without_versions, "job timed out x confirm"),
        (FakeLedger, "commit", _without_versions, "deadline x confirm"),
        (rotation, "_is_contained", _read_once, "quarantine x create"),
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
