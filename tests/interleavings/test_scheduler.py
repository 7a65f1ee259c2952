"""The scheduler itself: one runs at a time, exactly as the schedule says, and the same each time."""

from __future__ import annotations

import json
from random import Random
from threading import get_ident

import pytest

from tests.fakes import THING
from tests.interleavings.pairs import PAIRS, SAME, scene_of
from tests.interleavings.play import CASES, Play, copy_of, respond
from tests.interleavings.scenes import V1, V2, release_and_quarantine
from tests.interleavings.scheduler import Relay, Schedule, Turn, at_random, of_three, with_one_switch, with_two_switches


def _order(schedule: Schedule, *lengths: int) -> str:
    """Run invocations that only make calls; return who made each."""
    relay, made, threads = Relay(schedule), list[str](), set[int]()

    def invocation(who: int) -> None:
        for _ in range(lengths[who]):
            relay.point()
            made.append("ABC"[who])
            threads.add(get_ident())

    relay.run([lambda who=who: invocation(who) for who in range(len(lengths))])  # type: ignore[misc]  # bound at once
    assert relay.calls == list(lengths)
    assert len(threads) == sum(map(bool, lengths))
    return "".join(made)


@pytest.mark.parametrize(
    ("schedule", "order"),
    [
        (Schedule((), (0, 1)), "AAABB"),
        (Schedule((Turn(0, 0),), (1, 0)), "BBAAA"),
        (Schedule((Turn(0, 2),), (1, 0)), "AABBA"),
        (Schedule((Turn(0, 3),), (1, 0)), "AAABB"),
        (Schedule((Turn(0, 9),), (1, 0)), "AAABB"),
        (Schedule((Turn(0, 1), Turn(1, 1)), (0, 1)), "ABAAB"),
        (Schedule((Turn(1, 1), Turn(0, 1)), (1, 0)), "BABAA"),
        (Schedule((Turn(0, 1), Turn(0, 1)), (1, 0)), "AABBA"),
    ],
    ids=str,
)
def test_each_runs_when_it_is_its_turn(schedule: Schedule, order: str) -> None:
    assert _order(schedule, 3, 2) == order


def test_one_without_a_call_runs_in_its_turn_as_well() -> None:
    assert _order(Schedule((Turn(0, 1),), (1, 0)), 2, 0) == "AA"


def test_three_take_turns() -> None:
    assert _order(Schedule((Turn(0, 1), Turn(1, 1)), (2, 1, 0)), 2, 2, 2) == "ABCCBA"


def test_what_rises_out_of_an_invocation_fails_the_test() -> None:
    def fails() -> None:
        raise LookupError("a fault of the test")

    with pytest.raises(LookupError, match="a fault of the test"):
        Relay(Schedule((), (0, 1))).run([fails, lambda: None])


def test_every_schedule_with_one_switch_is_listed_once() -> None:
    schedules = list(with_one_switch([3, 2]))

    assert len(schedules) == len(set(schedules)) == 3 + 1 + 2 + 1
    assert {_order(each, 3, 2) for each in schedules} == {"AAABB", "BBAAA", "ABBAA", "AABBA", "BAAAB"}


def test_every_schedule_with_two_switches_is_listed_once() -> None:
    schedules = list(with_two_switches([3, 3]))

    assert len(schedules) == len(set(schedules)) == 2 * 2 * 2
    assert len({_order(each, 3, 3) for each in schedules}) == 8


def test_every_schedule_of_three_with_two_switches_is_listed_once() -> None:
    schedules = list(of_three([2, 3, 2]))

    assert len(schedules) == len(set(schedules)) == 2 * 2 * (1 * 2 + 1 * 1 + 2 * 1)


def test_a_schedule_at_random_is_the_same_for_the_same_seed() -> None:
    first, again = (at_random([9, 9], Random("seed")) for _ in range(2))  # noqa: S311 - the same each time

    assert first == again


def test_a_schedule_is_the_same_run_each_time() -> None:
    pair, schedule = PAIRS[0], Schedule((Turn(0, 16), Turn(1, 7)), (0, 1))

    def run() -> str:
        play = Play(copy_of(scene_of(pair).world))
        play.race(pair.invocations, schedule)
        return play.state()

    assert run() == run()


def test_a_scene_is_left_as_it_was() -> None:
    pair = SAME[0]
    before = Play(copy_of(scene_of(pair).world)).state()

    play = Play(copy_of(scene_of(pair).world))
    play.race(pair.invocations, Schedule((), (0, 1)))
    play.rest()

    assert Play(copy_of(scene_of(pair).world)).state() == before != play.state()


def test_what_fails_comes_again_after_twelve_minutes_and_is_parked_after_five_times() -> None:
    play = Play(release_and_quarantine().world)
    began, asked = play.clock(), list[int]()

    def fail(thing: str) -> list[str]:
        asked.append(int((play.clock() - began).total_seconds() / 60))
        raise TimeoutError(f"AWS IoT does not list the certificates of {thing}")

    play.world.registry.certificates_of = fail  # type: ignore[method-assign]

    respond(V1)(play)
    respond(V1)(play)
    assert asked == [0], "it cannot be seen yet"
    play.rest()

    assert sorted(set(asked))[:6] == [0, 12, 24, 36, 48, 60], "five times, and then the sweep's own looks"
    assert {each.queue for each in play.parked} == {CASES}
    assert len([each for each in play.parked if json.loads(each.body)["type"] != "due"]) == len((V1, V2))


def test_a_sweep_with_nothing_due_is_left_out_and_time_passes_all_the_same() -> None:
    play = Play(copy_of(scene_of(SAME[0]).world))
    play.rest()

    assert play.world.active_certificates(THING) == [play.world.devices[THING].certificate]
