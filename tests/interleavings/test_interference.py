"""Whatever people do to a device between any two calls, it comes to rest, and nothing is a dead end.

One moment of 43 in every run, every one at night (WARDEN_NIGHTLY=1).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.conftest import INTERFERED, SPOILT
from tests.interleavings.courses import COURSES, Course
from tests.interleavings.interference import (
    ACTS,
    Act,
    delete_group,
    interfere,
    moments_of,
    provision,
)
from warden.containment import release
from warden.context import Context
from warden.respond import looks

ONE_OF = 1 if os.environ.get("WARDEN_NIGHTLY", "") == "1" else 43
"""Coprime with the number of acts, so that each act is done at some call."""

type Count = Callable[[str, object], None]


@pytest.mark.parametrize("course", COURSES, ids=lambda course: str(course.name))
def test_no_interference_is_a_dead_end(course: Course, record_property: Count) -> None:
    tried = interfere(course, moments_of(course)[COURSES.index(course) % ONE_OF :: ONE_OF])

    record_property(INTERFERED, tried.moments)
    record_property(SPOILT, len(tried.broken))
    assert tried.moments > 0
    assert not tried.broken, str(tried)


def test_each_thing_is_done_in_every_run() -> None:
    done = {act for number, course in enumerate(COURSES) for _, act in moments_of(course)[number % ONE_OF :: ONE_OF]}

    assert done == {*ACTS}


def _joins_or_fails(thing: str, group: str, _lost: list[str], context: Context) -> bool:
    """Put a thing back into a group that may be gone."""
    context.ports.registry.join_group(thing, group)
    return True


@pytest.mark.parametrize(
    ("place", "name", "defect", "course", "act"),
    [
        (release, "_joins", _joins_or_fails, "release keeping the certificate", delete_group),
        (looks, "_restrict_again", lambda _containment, _context: None, "quarantine", provision),
    ],
    ids=["a group that is gone stops a release", "nobody looks again"],
)
def test_a_defect_is_found(
    monkeypatch: pytest.MonkeyPatch, place: object, name: str, defect: object, course: str, act: Act
) -> None:
    [flow] = [each for each in COURSES if each.name == course]
    monkeypatch.setattr(place, name, defect)

    tried = interfere(flow, [(at, done) for at, done in moments_of(flow) if done is act][::6])

    assert tried.broken
