"""The pairs of the design, again on the real adapters over moto: the promises hold in every schedule.

In every run one schedule of thirteen with one switch is tried, at night (WARDEN_NIGHTLY=1) each of them. All pairs, and
all schedules with two switches, are tried on the world in memory (test_interleavings.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from tests.conftest import MISTIMED, SCHEDULES
from tests.faults.environment import environment
from tests.faults.world import THING
from tests.interleavings.on_moto import (
    OTHER,
    Invocation,
    Meeting,
    Stage,
    attempt,
    confirm,
    create,
    job_over,
    prepared,
    respond,
    sweeping,
)
from tests.interleavings.scheduler import Schedule, with_one_switch
from warden.containment import desired

ONE_OF = 1 if os.environ.get("WARDEN_NIGHTLY", "") == "1" else 13
_BOTH = respond(THING), respond(OTHER)
_ONE = respond(THING)

type Count = Callable[[str, object], None]
type Scene = Callable[[Stage], None]


def _shared(name: str, scene: Scene, *invocations: Invocation) -> Meeting:
    return Meeting(name, True, scene, invocations or _BOTH)


def _same(name: str, scene: Scene, *invocations: Invocation) -> Meeting:
    return Meeting(name, False, scene, invocations)


def _released_and_found(stage: Stage) -> None:
    stage.contained(THING)
    stage.decided(THING)
    stage.found(OTHER)


def _both_released(stage: Stage) -> None:
    stage.contained(THING, OTHER)
    stage.decided(THING, OTHER)


def _re_keyed_and_found(stage: Stage) -> None:
    stage.contained(THING)
    stage.releasing(THING)
    stage.re_keyed(THING)
    stage.found(OTHER)


def _re_keyed_and_released(stage: Stage) -> None:
    stage.contained(THING, OTHER)
    stage.releasing(THING)
    stage.re_keyed(THING)
    stage.decided(OTHER)


def _both_re_keyed(stage: Stage) -> None:
    stage.contained(THING, OTHER)
    stage.releasing(THING, OTHER)
    stage.re_keyed(THING, OTHER)


def _both_renewed(stage: Stage) -> None:
    stage.renewing(THING, OTHER)
    stage.re_keyed(THING, OTHER)


def _renewing_and_found(stage: Stage) -> None:
    stage.renewing(THING)
    stage.found(OTHER)


def _released_after_renewal(stage: Stage) -> None:
    stage.renewing(THING)
    stage.contained(THING)
    stage.decided(THING)


def _renewing(stage: Stage) -> None:
    stage.renewing(THING)


def _suspected(stage: Stage) -> None:
    stage.renewing(THING)
    stage.found(THING)


def _issued_and_suspected(stage: Stage) -> None:
    stage.renewing(THING)
    stage.issued(THING)
    stage.found(THING)


def _ended_and_suspected(stage: Stage) -> None:
    stage.renewing(THING)
    stage.ended(THING)
    stage.found(THING)


def _over(stage: Stage) -> None:
    stage.renewing(THING)
    stage.timed_out(THING)


def _over_and_issued(stage: Stage) -> None:
    stage.renewing(THING)
    stage.issued(THING)
    stage.timed_out(THING)


def _due(stage: Stage) -> None:
    stage.renewing(THING)
    stage.past_deadline()
    stage.due()


def _due_and_issued(stage: Stage) -> None:
    stage.renewing(THING)
    stage.issued(THING)
    stage.past_deadline()
    stage.due()


def _past_deadline(stage: Stage) -> None:
    stage.renewing(THING)
    stage.issued(THING)
    stage.past_deadline()


MEETINGS = (
    _shared("release x quarantine of the other", _released_and_found),
    _shared("release x release of the other", _both_released),
    _shared("end of a release's rotation x quarantine of the other", _re_keyed_and_found),
    _shared("end of a release's rotation x release of the other", _re_keyed_and_released),
    _shared("end of a release's rotation x that of the other", _both_re_keyed),
    _shared("end of a renewal x that of the other", _both_renewed),
    _shared("quarantine x quarantine of the other", lambda stage: stage.found(THING, OTHER)),
    _shared("create x quarantine of the other", _renewing_and_found, create(THING), respond(OTHER)),
    _same("release x create of the renewal before", _released_after_renewal, _ONE, create(THING)),
    _same("quarantine x create", _suspected, _ONE, create(THING)),
    _same("quarantine x confirm", _issued_and_suspected, _ONE, confirm(THING)),
    _same("quarantine x job over", _ended_and_suspected, _ONE, job_over()),
    _same("quarantine x sweep", _ended_and_suspected, _ONE, sweeping()),
    _same("job timed out x create", _over, _ONE, create(THING)),
    _same("job timed out x confirm", _over_and_issued, _ONE, confirm(THING)),
    _same("deadline x create", _due, _ONE, create(THING)),
    _same("deadline x confirm", _due_and_issued, _ONE, confirm(THING)),
    _same("sweep x confirm", _past_deadline, sweeping(), confirm(THING)),
    _same("create x the same create", _renewing, create(THING), create(THING)),
)
"""Those of the table in the design: two things on one certificate, and one thing through two functions."""


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with environment() as ground:
        yield Stage(ground)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda meeting: str(meeting.name))
def test_the_promises_hold_in_every_schedule(stage: Stage, meeting: Meeting, record_property: Count) -> None:
    met = prepared(stage, meeting)

    tried = attempt(stage, met, islice(with_one_switch(met.lengths), 0, None, ONE_OF))

    record_property(SCHEDULES, tried.schedules)
    record_property(MISTIMED, len(tried.broken))
    assert tried.schedules > 0
    assert not tried.broken, str(tried)


def test_a_defect_is_found_here_too(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    met = prepared(stage, MEETINGS[0])
    monkeypatch.setattr(desired, "_fence", lambda _wanted, _context: None)

    assert not attempt(stage, met, [Schedule((), (0, 1)), Schedule((), (1, 0))]).broken
    tried = attempt(stage, met, with_one_switch(met.lengths))

    assert 0 < len(tried.broken) < tried.schedules / 2
