"""What the bench measures of the renewal of certificates, held to its limits in every run of the tests."""

from tests.bench.certificates import (
    LEAST_SHARE,
    MOST_CALLS,
    obvious_calls,
    obvious_way,
    our_way,
)
from tests.bench.fleet import NOON, FleetShape


def test_a_due_certificate_costs_one_call_and_its_share_of_the_pages_and_jobs() -> None:
    sweep = our_way(5_000, 500)

    assert sweep.found == 500
    assert sweep.calls_per_due <= MOST_CALLS
    assert (sweep.list_calls, sweep.lookup_calls) == (3, 500)
    assert sweep.share_of_quota >= LEAST_SHARE
    assert sweep.throttled == 0


def test_the_obvious_way_costs_what_is_computed_for_fleets_too_big_to_run_it_on() -> None:
    assert obvious_way(60, 7).calls == obvious_calls(60, 7) == 3 + 60 + 14


def test_a_fleet_is_listed_by_age_and_exactly_as_many_are_due_as_it_is_asked_for() -> None:
    shape = FleetShape(size=500, due=30, now=NOON)

    made = [shape.created_at(index) for index in range(shape.size)]

    assert made == sorted(made)
    assert sum(NOON - each >= shape.old_after for each in made) == 30
    assert [shape.index_of(shape.certificate(index)) for index in (0, 29, 499)] == [0, 29, 499]
