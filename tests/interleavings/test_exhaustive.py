"""No answers of AWS IoT that are up to three writes old, alone or combined, break a promise of a flow.

One plan of 13 in every run, every one at night (WARDEN_NIGHTLY=1).
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.conftest import MISTIMED, SCHEDULES
from tests.interleavings.courses import COURSES, Course
from tests.interleavings.exhaustive import attempt, plans_of, reach_of
from warden.containment.desired import Desired

ONE_OF = 1 if os.environ.get("WARDEN_NIGHTLY", "") == "1" else 13
type Count = Callable[[str, object], None]


@pytest.mark.parametrize("course", COURSES, ids=lambda course: str(course.name))
def test_no_old_answer_breaks_a_promise(course: Course, record_property: Count) -> None:
    reach = reach_of(course)

    tried = attempt(course, list(plans_of(reach))[::ONE_OF])

    record_property(SCHEDULES, tried.schedules)
    record_property(MISTIMED, len(tried.broken))
    assert (tried.old > 0) is any(reach), "only a flow that reads what was just written can get an old answer"
    assert not tried.broken, str(tried)


def test_all_combinations_of_few_and_all_pairs_of_many() -> None:
    few, many = list(plans_of([0, 1, 2])), list(plans_of([3] * 6))

    assert few == [{2: 1}, {2: 2}, {1: 1}, {1: 1, 2: 1}, {1: 1, 2: 2}]
    assert len(many) == 6 * 3 + 15 * 9
    assert len({tuple(sorted(each.items())) for each in many}) == len(many)


def test_what_believes_each_answer_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    [course] = [each for each in COURSES if each.name == "release keeping the certificate"]
    monkeypatch.setattr(Desired, "is_young", lambda _self, _context: False)

    assert not attempt(course, [{}]).broken
    assert attempt(course, list(plans_of(reach_of(course)))).broken
