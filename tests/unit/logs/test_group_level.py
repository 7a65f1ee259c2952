"""The level at which AWS IoT logs contained devices: set while there are any, taken back after."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import RESTRICTED_GROUP, THING, World, a_finding, a_world
from tests.port_wire import Fate, Wire, wired
from warden.core.account_facts import IotLogging
from warden.core.ledger import Put
from warden.logs.group_level import _KEY, GroupLevel, LevelState, keep_level, read_group_level, take_level_back

ROUND = timedelta(minutes=5)
HOUR = timedelta(hours=1)
DEBUG = {RESTRICTED_GROUP: "DEBUG"}


@pytest.fixture
def world() -> World:
    """A world in which AWS IoT logs, and a device is contained."""
    world = a_world()
    world.account.logging = IotLogging(level="ERROR", disabled=False)
    world.report(a_finding())
    return world


def release(world: World) -> None:
    world.order("release-keeping-certificate", world.case.id)


def level(world: World) -> GroupLevel:
    found = read_group_level(world.ledger)
    assert found is not None
    return found


def asked(world: World) -> list[str]:
    """Note from now on every call of the port."""
    calls: list[str] = []
    wired(world, Wire(before=lambda name, _: calls.append(name)))
    return calls


def test_it_is_debug_while_a_device_is_contained_and_no_longer(world: World) -> None:
    world.sweep()
    assert world.account.group_levels == DEBUG

    world.order("release", world.case.id)
    world.sweep(ROUND)
    assert world.account.group_levels == DEBUG  # until the rotation is over it is in the group

    world.device.work()
    world.drain()
    world.sweep(ROUND)
    assert world.account.group_levels == {}
    assert (level(world).state, level(world).ours) == (LevelState.IDLE, False)


def test_where_nobody_was_ever_contained_nothing_is_written() -> None:
    world = a_world()

    world.sweep()

    assert keep_level(world.level_keeper) is None
    assert take_level_back(world.level_keeper) is None
    assert world.ledger.of_type("group-level") == []


def test_aws_iot_is_asked_on_change_and_once_an_hour(world: World) -> None:
    calls = asked(world)
    for _ in range(12):
        world.sweep(ROUND)
    counted = [call for call in calls if call.startswith("log_levels.")]
    assert counted == [f"log_levels.{name}" for name in ("logging_is_on", "level_of", "set_level")]

    world.sweep(ROUND)
    assert [call for call in calls if call.startswith("log_levels.")][3:] == [
        "log_levels.logging_is_on",
        "log_levels.level_of",
    ]


def test_who_removes_it_by_hand_finds_it_set_again_within_the_hour(world: World) -> None:
    world.sweep()
    world.account.group_levels.clear()

    world.sweep(ROUND)
    assert world.account.group_levels == {}
    world.sweep(HOUR)
    assert world.account.group_levels == DEBUG


@pytest.mark.parametrize("theirs", ["INFO", "DEBUG", "DISABLED"])
def test_a_level_that_was_there_before_is_neither_changed_nor_removed(world: World, theirs: str) -> None:
    world.account.group_levels[RESTRICTED_GROUP] = theirs

    world.sweep()
    assert (level(world).state, level(world).found) == (LevelState.THEIRS, theirs)
    release(world)
    world.sweep(ROUND)
    world.sweep(HOUR)

    assert world.account.group_levels == {RESTRICTED_GROUP: theirs}
    assert level(world).state is LevelState.IDLE


@pytest.mark.parametrize("seen", [True, False])
def test_a_level_that_somebody_put_in_the_place_of_ours_is_theirs(world: World, seen: bool) -> None:
    world.sweep()
    world.account.group_levels[RESTRICTED_GROUP] = "WARN"
    if seen:
        world.sweep(HOUR)
        assert level(world).state is LevelState.THEIRS

    release(world)
    world.sweep(ROUND)

    assert world.account.group_levels == {RESTRICTED_GROUP: "WARN"}


def test_a_debug_that_somebody_sets_after_another_level_is_theirs(world: World) -> None:
    world.sweep()
    world.account.group_levels[RESTRICTED_GROUP] = "WARN"
    world.sweep(HOUR)
    world.account.group_levels[RESTRICTED_GROUP] = "DEBUG"
    world.sweep(HOUR)
    release(world)
    world.sweep(ROUND)

    assert world.account.group_levels == DEBUG


def test_it_is_on_record_since_when_it_stands(world: World) -> None:
    world.sweep(ROUND)
    set_at = level(world).since

    world.sweep(HOUR)
    assert (level(world).since, level(world).checked_at) == (set_at, set_at + HOUR)


def test_while_nobody_is_contained_nothing_is_written(world: World) -> None:
    world.sweep()
    release(world)
    world.sweep(ROUND)
    idle = level(world)

    world.sweep(10 * HOUR)

    assert level(world) == idle


def test_switching_the_parameter_off_takes_it_back(world: World) -> None:
    world.sweep()
    world.context = replace(world.context, settings=replace(world.context.settings, log_contained=False))

    world.sweep(ROUND)

    assert world.account.group_levels == {}


def test_with_the_parameter_off_nothing_is_asked() -> None:
    world = a_world(log_contained=False)
    world.account.logging = IotLogging(level="ERROR", disabled=False)
    world.report(a_finding())
    calls = asked(world)

    world.sweep()

    assert not [call for call in calls if call.startswith("log_levels.")]


@pytest.mark.parametrize("logging", [None, IotLogging(level="ERROR", disabled=True)])
def test_where_aws_iot_logs_nothing_it_does_nothing_and_says_so(world: World, logging: IotLogging | None) -> None:
    world.account.logging = logging

    world.sweep()
    assert (level(world).state, level(world).ours) == (LevelState.LOGGING_OFF, False)
    assert world.account.group_levels == {}

    world.account.logging = IotLogging(level="ERROR", disabled=False)
    world.sweep(HOUR)
    assert world.account.group_levels == DEBUG


def test_a_level_set_before_logging_was_switched_off_is_still_taken_back(world: World) -> None:
    world.sweep()
    world.account.logging = IotLogging(level="ERROR", disabled=True)
    world.sweep(HOUR)
    assert (level(world).state, level(world).ours) == (LevelState.LOGGING_OFF, True)

    release(world)
    world.sweep(ROUND)

    assert world.account.group_levels == {}


ASKED = ("iot:GetV2LoggingOptions", "iot:ListV2LoggingLevels", "iot:SetV2LoggingLevel")


@pytest.mark.parametrize("action", ASKED)
@pytest.mark.parametrize("denied", [True, False])
def test_what_is_refused_is_on_record_and_tried_again_an_hour_later(world: World, action: str, denied: bool) -> None:
    if denied:
        world.account.denied = {action}
    else:
        world.account.refused = {action: "LimitExceededException"}
    calls = asked(world)

    for _ in range(6):
        world.sweep(ROUND)
    tried = calls.count("log_levels.logging_is_on")

    state = LevelState.DENIED if denied else LevelState.REFUSED
    code = "AccessDeniedException" if denied else "LimitExceededException"
    assert (level(world).state, level(world).ours) == (state, False)
    assert (level(world).action, level(world).code) == (action, code)
    assert tried == 1

    world.account.denied.clear()
    world.account.refused.clear()
    world.sweep(HOUR)
    assert world.account.group_levels == DEBUG


@pytest.mark.parametrize("action", ["iot:ListV2LoggingLevels", "iot:DeleteV2LoggingLevel"])
def test_what_could_not_be_taken_back_stays_ours_and_is_tried_again(world: World, action: str) -> None:
    world.sweep()
    world.account.denied = {action}
    release(world)
    world.sweep(ROUND)
    assert (level(world).state, level(world).action, level(world).ours) == (LevelState.DENIED, action, True)

    world.account.denied.clear()
    world.sweep(ROUND)
    assert world.account.group_levels == DEBUG
    world.sweep(HOUR)
    assert world.account.group_levels == {}


@pytest.mark.parametrize("fate", [Fate.BEFORE, Fate.AFTER])
@pytest.mark.parametrize("contained", [True, False])
def test_a_sweep_that_dies_anywhere_is_made_up_for(contained: bool, fate: Fate) -> None:
    for place in range(1, 12):
        world = a_world(receives=3)
        world.account.logging = IotLogging(level="ERROR", disabled=False)
        world.report(a_finding())
        if not contained:
            world.sweep()
            release(world)
        wire = Wire()
        wired(world, wire)
        wire.arm(place, fate)

        world.sweep(ROUND)
        world.sweep(ROUND)

        assert world.account.group_levels == (DEBUG if contained else {})
        assert level(world).state is (LevelState.SET if contained else LevelState.IDLE)


def test_one_who_is_about_to_set_it_is_left_to_it(world: World) -> None:
    """Two sweeps at once: the second decides nothing about what the first has not done yet."""
    world.sweep()
    setting = replace(level(world), state=LevelState.SETTING, checked_at=world.clock())
    record = world.ledger.of_type("group-level")[0]
    world.ledger.commit(Put(_KEY, {**record, "state": "setting"}, setting.version))
    release(world)

    world.sweep()
    assert world.account.group_levels == DEBUG
    world.sweep(ROUND)
    assert world.account.group_levels == {}


def test_the_sweep_does_its_work_whatever_aws_iot_says_of_levels(world: World) -> None:
    world.account.denied = {*ASKED}

    world.sweep(timedelta(minutes=9))

    assert f"CONTAINMENT#{THING}" not in str([each for each in world.ledger.of_type("containment") if "due" in each])
    assert not world.queue.parked
