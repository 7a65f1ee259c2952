"""The governor: nothing beyond its limits is touched, whatever arrives; in doubt it refuses, and people are told."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import PLAN, THING, AwsError, FakeClock, FakeLedger, World, a_finding, a_world
from warden.cases.model import CaseState
from warden.core.errors import Conflict
from warden.core.ledger import Key, Put
from warden.core.mode import Mode
from warden.core.ports import Thing
from warden.plan.governor import STOP_KEY, Admission, Governor, Grounds
from warden.plan.model import Limits, NeverTouch, Plan, Rule
from warden.plan.renewal_terms import RotationTerms

PUMP = Thing(name=THING, thing_type="pump", groups=("site-4", "pumps"))
MINUTE = timedelta(minutes=1)


class Desk:
    """A governor and what it is asked."""

    def __init__(
        self, limits: Limits | None = None, never_touch: NeverTouch | None = None, devices_per_day: int = 100
    ) -> None:
        self.clock = FakeClock()
        self.ledger = FakeLedger()
        plan = Plan(
            limits=limits or Limits(devices_per_hour=3),
            never_touch=never_touch or NeverTouch(),
            rules=(),
            rotation=RotationTerms(devices_per_day=devices_per_day),
        )
        self.governor = Governor(plan, self.ledger)

    def weigh(
        self, *things: Thing, rule: Rule | None = None, approved: bool = False, counted: bool = True
    ) -> Admission:
        asked = rule or Rule(name="rule", actions=("quarantine",), mode=Mode.ENFORCE)
        verdict = self.governor.weigh(asked, things or (PUMP,), self.clock(), approved=approved, counted=counted)
        self.ledger.commit(*verdict.writes)
        return verdict

    def allowed(self, times: int) -> list[bool]:
        return [self.weigh().allowed for _ in range(times)]


# --- numbers -------------------------------------------------------------------------------------------------------


def test_so_many_devices_an_hour_and_not_one_more() -> None:
    assert Desk().allowed(5) == [True, True, True, False, False]


def test_what_a_campaign_will_count_is_let_through_and_not_counted() -> None:
    desk = Desk()

    left_to_campaigns = Admission(True, Grounds.CAMPAIGN_LIMITS, "the limits of campaigns hold")
    assert [desk.weigh(counted=False) for _ in range(5)] == [left_to_campaigns] * 5

    assert desk.allowed(4) == [True, True, True, False]
    assert desk.weigh(counted=False).allowed


def test_an_hour_is_never_shorter_than_an_hour() -> None:
    desk = Desk()
    desk.clock.advance(timedelta(seconds=59))
    desk.allowed(3)

    desk.clock.advance(timedelta(hours=1))
    assert not desk.weigh().allowed

    desk.clock.advance(MINUTE)
    assert desk.weigh().allowed


def test_an_hour_is_at_most_a_minute_longer_than_an_hour() -> None:
    desk = Desk()
    desk.allowed(3)

    desk.clock.advance(timedelta(minutes=60, seconds=59))
    assert not desk.weigh().allowed

    desk.clock.advance(timedelta(seconds=1))
    assert desk.weigh().allowed


def test_no_burst_slips_through_at_the_edge_of_two_hours() -> None:
    desk = Desk()
    desk.clock.advance(timedelta(minutes=59))

    assert sum(desk.allowed(9)) + sum(desk.allowed(9)) == 3


def test_a_day_is_never_shorter_than_a_day() -> None:
    desk = Desk(Limits(devices_per_hour=100, percent_of_fleet_per_day=2, fleet_size=100))
    desk.clock.advance(timedelta(minutes=59))
    assert desk.allowed(3) == [True, True, False]

    desk.clock.advance(timedelta(hours=24))
    assert not desk.weigh().allowed

    desk.clock.advance(timedelta(hours=1))
    assert desk.weigh().allowed


def test_a_share_of_a_small_fleet_is_at_least_one_device() -> None:
    assert Desk(Limits(devices_per_hour=100, percent_of_fleet_per_day=1, fleet_size=7)).allowed(2) == [True, False]


def test_a_refusal_uses_nothing_up() -> None:
    desk = Desk()
    four = [Thing(name=f"pump-{number}") for number in range(4)]

    assert not desk.weigh(*four).allowed
    assert desk.weigh(*four[:3]).allowed


def test_a_rules_own_limit_counts_beside_the_limit_of_all() -> None:
    desk = Desk(Limits(devices_per_hour=10))
    careful = Rule(name="careful", actions=("quarantine",), mode=Mode.ENFORCE, limits=Limits(devices_per_hour=1))

    assert [desk.weigh(rule=careful).allowed for _ in range(2)] == [True, False]
    assert desk.weigh().allowed


def test_a_rule_called_all_has_a_limit_of_its_own() -> None:
    desk = Desk(Limits(devices_per_hour=10))
    named = Rule(name="all", actions=("quarantine",), mode=Mode.ENFORCE, limits=Limits(devices_per_hour=1))

    assert [desk.weigh(rule=named).allowed for _ in range(2)] == [True, False]
    assert desk.weigh().allowed


def test_an_operator_stands_above_the_numbers_and_is_counted() -> None:
    desk = Desk()
    desk.allowed(3)

    assert desk.weigh(approved=True).allowed
    assert desk.weigh().reason == "4 of 3 devices an hour are used"


def test_counters_forget_what_is_past() -> None:
    desk = Desk(Limits(devices_per_hour=1000))
    for _ in range(200):
        desk.weigh()
        desk.clock.advance(MINUTE)

    (counter,) = desk.ledger.of_type("counter")
    assert len(counter["counts"]) <= 61


def test_what_is_allowed_is_counted_in_the_slot_of_now_under_the_limits_name() -> None:
    desk = Desk(Limits(devices_per_hour=5, percent_of_fleet_per_day=5, fleet_size=100))
    desk.clock.advance(timedelta(minutes=7, seconds=8))

    verdict = desk.weigh(PUMP, Thing(name="pump-4"))

    assert (verdict.allowed, verdict.reason, verdict.for_all) == (True, "within the limits", False)
    assert {put.key: put.record for put in verdict.writes} == {
        Key("LIMIT#all#hour", "COUNTER"): {
            "type": "counter",
            "window": "all#hour",
            "counts": {"2026-11-22T12:07:00.000000Z": 2},
        },
        Key("LIMIT#all#day", "COUNTER"): {
            "type": "counter",
            "window": "all#day",
            "counts": {"2026-11-22T12:00:00.000000Z": 2},
        },
    }


def test_what_is_approved_says_so() -> None:
    verdict = Desk().weigh(approved=True)

    assert (verdict.allowed, verdict.reason) == (True, "approved")


def test_nobody_is_taken_to_have_approved_who_was_not_asked() -> None:
    desk = Desk(Limits(devices_per_hour=1))
    rule = Rule(name="rule", actions=("quarantine",), mode=Mode.ENFORCE)
    desk.weigh()

    assert desk.governor.weigh(rule, (PUMP,), desk.clock()) == Admission(
        allowed=False, grounds=Grounds.LIMIT_REACHED, reason="1 of 1 devices an hour are used", for_all=True
    )


def test_a_refusal_says_whose_limit_over_which_time_is_used_up() -> None:
    desk = Desk(Limits(devices_per_hour=100, percent_of_fleet_per_day=2, fleet_size=100))
    limits = Limits(devices_per_hour=1, percent_of_fleet_per_day=1, fleet_size=100)
    careful = Rule(name="careful", actions=("quarantine",), mode=Mode.ENFORCE, limits=limits)
    timid = Rule(name="timid", actions=("quarantine",), mode=Mode.ENFORCE, limits=limits)

    assert [desk.weigh(rule=careful).allowed, desk.weigh(rule=timid).allowed] == [True, True]
    assert desk.weigh().reason == "2 of 2 devices a day are used"
    desk.clock.advance(timedelta(hours=2))
    assert desk.weigh().reason == "2 of 2 devices a day are used"
    desk.clock.advance(timedelta(hours=22, minutes=59))
    assert desk.weigh(rule=careful).reason == "2 of 2 devices a day are used"
    desk.clock.advance(MINUTE)
    assert desk.weigh(rule=careful).allowed
    assert desk.weigh(rule=careful).reason == "1 of 1 devices of rule careful an hour are used"
    desk.clock.advance(timedelta(hours=2))
    assert desk.weigh(rule=careful).reason == "1 of 1 devices of rule careful a day are used"


# --- campaigns -----------------------------------------------------------------------------------------------------


def test_a_campaign_has_a_days_room_of_its_own() -> None:
    desk = Desk(Limits(devices_per_hour=3), devices_per_day=5)
    desk.allowed(3)
    assert desk.governor.room_for_campaign(desk.clock()) == 5

    desk.clock.advance(timedelta(minutes=59))
    desk.ledger.commit(desk.governor.count_for_campaign(2, desk.clock()))
    desk.clock.advance(timedelta(hours=1))
    desk.ledger.commit(desk.governor.count_for_campaign(2, desk.clock()))
    assert desk.governor.room_for_campaign(desk.clock()) == 1
    desk.ledger.commit(desk.governor.count_for_campaign(4, desk.clock()))
    assert desk.governor.room_for_campaign(desk.clock()) == 0

    assert desk.ledger.read(Key("LIMIT#campaign#day", "COUNTER")) == {
        "type": "counter",
        "window": "campaign#day",
        "counts": {"2026-11-22T12:00:00.000000Z": 2, "2026-11-22T13:00:00.000000Z": 6},
        "version": 3,
    }
    desk.clock.advance(timedelta(hours=23))
    assert desk.governor.room_for_campaign(desk.clock()) == 0
    desk.clock.advance(MINUTE)
    assert desk.governor.room_for_campaign(desk.clock()) == 0, "six of the second hour"
    desk.clock.advance(timedelta(hours=1))
    assert desk.governor.room_for_campaign(desk.clock()) == 5


@pytest.mark.parametrize(("stopped", "room"), [(True, 0), (False, 5)])
def test_a_campaign_has_no_room_while_the_switch_is_off(stopped: bool, room: int) -> None:
    desk = Desk(devices_per_day=5)
    desk.ledger.commit(Put(STOP_KEY, {"type": "switch", "stopped": stopped, "who": "dana"}, 0))

    assert desk.governor.room_for_campaign(desk.clock()) == room


# --- names ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "never",
    [
        NeverTouch(things=("pump-3",)),
        NeverTouch(things=("pump-[0-9]",)),
        NeverTouch(thing_types=("p*",)),
        NeverTouch(thing_groups=("pumps",)),
    ],
)
@pytest.mark.parametrize("approved", [False, True])
def test_what_may_never_be_touched_is_not_whoever_asks(never: NeverTouch, approved: bool) -> None:
    verdict = Desk(never_touch=never).weigh(approved=approved)

    assert verdict.allowed is False
    assert "never-touch list" in verdict.reason
    assert verdict.for_all is False


def test_one_protected_thing_on_the_same_certificate_protects_them_all() -> None:
    desk = Desk(never_touch=NeverTouch(things=("gateway",)))

    assert not desk.weigh(PUMP, Thing(name="gateway")).allowed


def test_case_counts_in_names() -> None:
    assert Desk(never_touch=NeverTouch(things=("PUMP-3",))).weigh().allowed


# --- the switch and doubt ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("approved", [False, True])
def test_while_the_switch_is_off_nothing_is_touched(approved: bool) -> None:
    desk = Desk()
    record = {"type": "switch", "stopped": True, "who": "dana", "why": "storm", "at": "2026-11-22T12:00:00.000000Z"}
    desk.ledger.commit(Put(STOP_KEY, record, 0))

    verdict = desk.weigh(approved=approved)
    assert verdict == Admission(
        allowed=False,
        grounds=Grounds.STOPPED,
        reason="stopped by dana at 2026-11-22T12:00:00.000000Z: storm",
        for_all=True,
    )


class _Unreadable(FakeLedger):
    def read(self, key: Any) -> Any:
        raise AwsError(f"ProvisionedThroughputExceededException: {key}")


def test_a_governor_that_cannot_read_its_counters_lets_nothing_through() -> None:
    governor = Governor(Plan(limits=Limits(devices_per_hour=3), never_touch=NeverTouch(), rules=()), _Unreadable())

    with pytest.raises(AwsError):
        governor.weigh(Rule(name="rule", actions=("quarantine",), mode=Mode.ENFORCE), (PUMP,), FakeClock()())


def storm(world: World, things: Sequence[str]) -> list[CaseState]:
    for thing in things:
        world.report(a_finding(thing))
    return [case.state for case in world.cases]


def test_a_storm_stops_at_the_limit_and_the_rest_waits_for_people() -> None:
    things = [f"pump-{number:02d}" for number in range(10)]
    world = a_world(*things, plan=PLAN.replace("devices_per_hour = 20", "devices_per_hour = 3"))

    states = storm(world, things)

    assert sorted(states) == [CaseState.CONTAINED] * 3 + [CaseState.HELD] * 7
    assert sum(world.is_restricted(thing) for thing in things) == 3
    assert sum("NOT TOUCHED" in subject for subject in world.notices.subjects) == 1, "one notice, not seven"


def test_a_held_case_is_carried_out_when_an_operator_says_so() -> None:
    world = a_world("pump-1", "pump-2", plan=PLAN.replace("devices_per_hour = 20", "devices_per_hour = 1"))
    storm(world, ["pump-1", "pump-2"])
    held = next(case for case in world.cases if case.state is CaseState.HELD)

    world.order("approve", held.id)

    assert world.is_restricted("pump-1")
    assert world.is_restricted("pump-2")


def test_two_devices_at_once_cannot_both_take_the_last_place() -> None:
    """Another responder takes the last place between this one's reading and writing."""
    world = a_world("pump-1", "pump-2", plan=PLAN.replace("devices_per_hour = 20", "devices_per_hour = 1"))
    real = world.ledger.commit
    taken: list[str] = []

    def overtaken(*puts: Put) -> None:
        if any(put.key.partition.startswith("LIMIT#") for put in puts) and not taken:
            taken.append("pump-2")
            world.report(a_finding("pump-2"))
        real(*puts)

    world.ledger.commit = overtaken  # type: ignore[method-assign]  # the other responder

    world.report(a_finding("pump-1"))

    assert world.is_restricted("pump-2")
    assert not world.is_restricted("pump-1")
    assert {case.thing: case.state for case in world.cases} == {
        "pump-1": CaseState.HELD,
        "pump-2": CaseState.CONTAINED,
    }


def test_a_conflict_that_does_not_end_leaves_the_message_in_its_queue() -> None:
    world = a_world()
    real = world.ledger.commit

    def always_overtaken(*puts: Put) -> None:
        if any(put.key.partition.startswith("LIMIT#") for put in puts):
            raise Conflict("again")
        real(*puts)

    world.ledger.commit = always_overtaken  # type: ignore[method-assign]  # a storm

    with pytest.raises(Conflict):
        world.report(a_finding())
    assert not world.is_restricted()


def test_a_protected_thing_is_reported_and_left_alone_even_when_approved() -> None:
    world = a_world(plan=PLAN + '\n[never_touch]\nthings = ["pump-*"]\n')

    world.report(a_finding())
    world.order("approve", world.case.id)

    assert world.case.state is CaseState.HELD
    assert not world.is_restricted()
    assert "NOT TOUCHED" in world.notices.subjects[0]


def test_the_switch_holds_cases_until_it_is_turned_back() -> None:
    world = a_world()
    world.order("stop", why="maintenance")

    world.report(a_finding())
    assert [case.state for case in world.cases] == [CaseState.HELD]
    assert not world.is_restricted()

    world.order("resume")
    world.order("approve", world.case.id)
    assert world.is_restricted()


def test_a_problem_that_was_just_dealt_with_is_not_acted_on_again_unasked() -> None:
    world = a_world()
    world.report(a_finding())
    world.order("release-keeping-certificate", world.case.id)
    world.clock.advance(timedelta(minutes=59))

    world.report(a_finding(id="violation-2", observed_at=world.clock()))

    again = world.cases[-1]
    assert again.state is CaseState.HELD
    assert not world.is_restricted()
    world.order("approve", again.id)
    assert world.is_restricted(), "a person may decide otherwise"


def test_after_the_cool_down_it_is() -> None:
    world = a_world()
    world.report(a_finding())
    world.order("release-keeping-certificate", world.case.id)
    world.clock.advance(timedelta(minutes=61))

    world.report(a_finding(id="violation-2", observed_at=world.clock()))

    assert world.cases[-1].state is CaseState.CONTAINED
