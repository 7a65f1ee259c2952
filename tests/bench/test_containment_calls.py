"""What the bench measures, held to its limits in every run of the tests, on a small fleet."""

from tests.bench.containment import MOST_CALLS, storm

QUESTIONS = {"ListActiveViolations", "ListThingGroupsForThing", "ListThingPrincipals", "ListPrincipalThings"}


def test_a_device_is_contained_disconnected_and_checked_in_ten_calls() -> None:
    (first, next_one), many = storm(devices=12, workers=2)

    assert next_one.calls_per_device <= MOST_CALLS
    assert next_one.calls["DeleteConnection"] == next_one.calls["GetEffectivePolicies"] == 1
    assert set(next_one.calls) >= QUESTIONS
    assert first.calls_per_device <= MOST_CALLS + 2  # whether its two groups carry policies is asked once
    assert first.to_contain <= MOST_CALLS
    assert many.calls_per_device <= MOST_CALLS
