"""A finding about a certificate is passed to its things, and so is its end: to those that had the finding."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.fakes import NOON, THING, World, a_finding, a_world, its_end
from warden.cases.model import CaseState, Resolution
from warden.core.findings import Ending, Finding, Source, Subject, SubjectType
from warden.core.ledger import EXPIRY

OTHER = "pump-4"


@pytest.fixture(name="world")
def _world() -> World:
    """Build two things, of which the first has the certificate."""
    return a_world(THING, OTHER)


def about(world: World, **changes: object) -> Finding:
    """Build a finding of a detector that reports the end itself."""
    subject = Subject(SubjectType.CERTIFICATE, world.device.certificate)
    made = {"id": "f-1", "source": Source.GENERIC, "kind": "seen-elsewhere", "subject": subject, **changes}
    return a_finding(**made)  # type: ignore[arg-type]  # the fields of a finding


def the_end(world: World) -> Finding:
    return its_end(about(world), ending=Ending.CLOSED_BY_DETECTOR)


def records(world: World) -> list[str]:
    return sorted(record["thing"] for record in world.ledger.of_type("passed"))


def test_the_end_closes_the_case_of_a_thing_that_has_another_certificate_by_then(world: World) -> None:
    world.report(about(world))
    world.registry.attached = [(each, OTHER) for each, thing in world.registry.attached if thing == THING]
    assert world.case.thing == THING

    world.report(the_end(world))

    assert (world.case.state, world.case.resolution) == (CaseState.CLOSED, Resolution.CLOSED_BY_DETECTOR)


def test_the_end_closes_the_case_when_nobody_has_the_certificate_by_then(world: World) -> None:
    world.report(about(world))
    world.registry.attached.clear()

    world.report(the_end(world))

    assert not world.case.is_open


def test_the_end_closes_the_certificates_own_case_when_a_thing_has_it_by_then(world: World) -> None:
    attached = list(world.registry.attached)
    world.registry.attached.clear()
    world.report(about(world))
    assert world.case.thing == ""
    world.registry.attached = attached

    world.report(the_end(world))

    assert not world.case.is_open


def test_the_end_is_passed_to_a_thing_that_came_later_too(world: World) -> None:
    """Its alarm, which may come after its end, opens no case then."""
    world.report(about(world))
    world.registry.attached.append((world.device.certificate, OTHER))
    world.report(the_end(world))

    world.report(about(world, observed_at=NOON - timedelta(minutes=1)))

    assert [case.thing for case in world.cases if case.is_open] == []


def test_what_is_found_every_day_is_recorded_once_a_month(world: World) -> None:
    world.report(about(world))
    [first] = world.ledger.of_type("passed")

    world.clock.advance(timedelta(days=29))
    world.report(about(world, id="f-2", observed_at=world.clock()))
    assert world.ledger.of_type("passed") == [first]

    world.clock.advance(timedelta(days=2))
    world.report(about(world, id="f-3", observed_at=world.clock()))
    [again] = world.ledger.of_type("passed")
    assert again[EXPIRY] - first[EXPIRY] == timedelta(days=31).total_seconds()


def test_a_certificate_of_a_whole_fleet_is_recorded_in_several_commits() -> None:
    things = [f"pump-{number}" for number in range(130)]
    world = a_world(*things)
    world.registry.attached = [(world.device.certificate, thing) for thing in things]

    world.report(about(world))
    world.registry.attached.clear()
    assert records(world) == sorted(things)
    world.report(the_end(world))

    assert len(world.cases) == len(things)
    assert [case.thing for case in world.cases if case.is_open] == []
