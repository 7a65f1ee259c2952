"""An operator wants a device's logs without a case: the plan answers, and a repeated command is no second wish."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import OPERATOR, PLAN, THING, World, a_world, contained
from warden.cases.model import CaseState, Progress, is_case_id
from warden.core.errors import Refused
from warden.core.mode import Mode
from warden.operate.commands import operate

RULE = """
[[rule]]
name = "an-operator-wants-logs"
source = "operator"
kind = "logs-wanted"
actions = ["collect-logs", "notify"]
mode = "enforce"
limits = { cool_down_minutes = 5 }

[[rule]]
name = "everything-else"
"""
WANTING = PLAN.replace('\n[[rule]]\nname = "everything-else"\n', RULE)
LOOKS_LIKE_A_CASE = "b579a3f0e1d4-1"


@pytest.fixture(name="world")
def _world() -> World:
    return a_world(plan=WANTING)


def wanted(world: World, thing: str = THING, request: str = "request-1", **more: Any) -> dict[str, Any]:
    command = {"command": "collect-logs", "thing": thing, **more}
    answer = operate(command, OPERATOR, request, world.context)
    world.drain()
    return answer


def refusal(world: World, **command: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        operate({"command": "collect-logs", **command}, OPERATOR, "request-1", world.context)
    assert len(world.queue) == 0
    return caught.value


def test_the_logs_arrive_and_the_case_is_over(world: World) -> None:
    answer = wanted(world, why="it restarts at night")

    assert answer == {
        "thing": THING,
        "who": OPERATOR,
        "rule": "an-operator-wants-logs",
        "mode": "enforce",
        "case": "",
        "state": "",
        "queued": "finding",
        "finding": "request-1",
    }
    assert world.case.state is CaseState.RESPONDING
    world.device.work()
    world.drain()
    case = world.case
    assert (case.state, case.resolution) == (CaseState.CLOSED, "collected")
    assert (case.source, case.kind, case.progress("collect-logs")) == ("operator", "logs-wanted", Progress.DONE)
    assert case.evidence == {"who": OPERATOR, "why": "it restarts at night"}
    assert world.notices.subjects == [f"Fleet Warden: closed: {THING} (low)"]


def test_logs_that_do_not_arrive_leave_the_case_to_people(world: World) -> None:
    wanted(world)

    world.sweep(after=timedelta(hours=25))

    assert (world.case.state, world.case.progress("collect-logs")) == (CaseState.OPEN, Progress.FAILED)
    answer = wanted(world, request="request-2")
    assert (answer["case"], answer["state"], answer["queued"]) == (world.case.id, "open", "")
    world.order("collect-logs", world.case.id)
    world.device.work()
    world.drain()
    assert world.case.resolution == "collected"


@pytest.mark.parametrize(
    ("mode", "state"), [(Mode.OBSERVE, CaseState.OPEN), (Mode.APPROVE, CaseState.AWAITING_APPROVAL)]
)
def test_the_mode_of_the_stack_is_the_ceiling_however_often_it_is_asked(mode: Mode, state: CaseState) -> None:
    world = a_world(plan=WANTING, mode=mode)

    first, second = wanted(world), wanted(world, request="request-2")

    assert (first["mode"], first["queued"], second["queued"]) == (mode, "finding", "")
    assert (second["case"], second["state"]) == (world.case.id, state)
    assert world.jobs.of("collect-logs") == []


def test_what_was_approved_is_collected() -> None:
    world = a_world(plan=WANTING, mode=Mode.APPROVE)
    wanted(world)

    world.order("approve", world.case.id)
    world.device.work()
    world.drain()

    assert (world.case.resolution, world.case.approved_by) == ("collected", OPERATOR)


def test_asked_again_while_they_are_collected_it_is_the_same_case_and_job(world: World) -> None:
    wanted(world)

    answer = wanted(world, request="request-2")

    assert (answer["case"], answer["state"]) == (world.case.id, "responding")
    assert len(world.jobs.of("collect-logs")) == 1


def test_two_who_ask_at_once_get_one_case(world: World) -> None:
    for request in ("request-1", "request-2"):
        operate({"command": "collect-logs", "thing": THING}, OPERATOR, request, world.context)

    world.drain()

    assert set(world.case.findings) == {"request-1", "request-2"}
    assert len(world.jobs.of("collect-logs")) == 1


def test_asked_again_just_after_they_came_there_is_no_second_case_and_later_there_is(world: World) -> None:
    wanted(world)
    world.device.work()
    world.drain()
    first = world.case

    world.clock.advance(timedelta(minutes=4))
    assert wanted(world, request="request-2")["case"] == first.id
    assert world.case == first

    world.clock.advance(timedelta(minutes=1))
    assert wanted(world, request="request-3")["queued"] == "finding"
    assert [case.state for case in world.cases] == [CaseState.CLOSED, CaseState.RESPONDING]


def test_a_wish_that_was_dismissed_can_be_made_again_at_once() -> None:
    world = a_world(plan=WANTING, mode=Mode.APPROVE)
    wanted(world)
    world.order("dismiss", world.case.id)
    world.clock.advance(timedelta(seconds=1))

    assert wanted(world, request="request-2")["queued"] == "finding"
    assert [case.state for case in world.cases] == [CaseState.CLOSED, CaseState.AWAITING_APPROVAL]


def test_the_limits_hold_for_it_as_for_any_finding() -> None:
    things = [f"pump-{number}" for number in range(3)]
    world = a_world(*things, plan=WANTING.replace("devices_per_hour = 20", "devices_per_hour = 2"))

    for number, thing in enumerate(things):
        wanted(world, thing, f"request-{number}")

    assert [case.state for case in world.cases].count(CaseState.HELD) == 1


def test_a_contained_device_gives_its_logs_and_stays_contained(world: World) -> None:
    contained(world)

    wanted(world)
    world.device.work()
    world.drain()

    assert {case.kind: case.state for case in world.cases} == {
        "aws:all-bytes-out": CaseState.CONTAINED,
        "logs-wanted": CaseState.CLOSED,
    }


@pytest.mark.parametrize("thing", ["PUMP-3", "pump-9"])
def test_a_thing_that_is_not_there_is_refused_at_once(world: World, thing: str) -> None:
    said = refusal(world, thing=thing)

    assert said.code == "no-device"
    assert f"the registry has no thing {thing};" in said.reason


def test_a_device_that_is_never_touched_is_not_asked() -> None:
    world = a_world(plan=WANTING.replace("[limits]", '[never_touch]\nthings = ["pump-*"]\n\n[limits]'))

    assert refusal(world, thing=THING).code == "never-touch"


@pytest.mark.parametrize(
    ("actions", "told"),
    [('["notify"]', "with notify"), ('["quarantine", "collect-logs", "notify"]', "with quarantine, collect-logs")],
)
def test_a_plan_that_does_not_just_collect_is_not_asked(actions: str, told: str) -> None:
    world = a_world(
        plan=WANTING.replace('"logs-wanted"\nactions = ["collect-logs", "notify"]', f'"*"\nactions = {actions}')
    )

    said = refusal(world, thing=THING)

    assert said.code == "not-in-the-plan"
    assert told in said.reason
    assert 'kind = "logs-wanted"' in said.reason


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({}, "bad-argument"),
        ({"thing": ""}, "bad-argument"),
        ({"thing": "pump 3"}, "bad-argument"),
        ({"thing": ["pump-3"]}, "bad-argument"),
        ({"thing": THING, "why": "x" * 501}, "bad-argument"),
        ({"thing": THING, "case": LOOKS_LIKE_A_CASE}, "bad-argument"),
        ({"case": LOOKS_LIKE_A_CASE}, "no-such-case"),
    ],
)
def test_what_cannot_be_asked_says_why(world: World, command: dict[str, Any], code: str) -> None:
    assert refusal(world, **command).code == code


def test_a_case_that_is_not_there_may_be_meant_as_a_thing(world: World) -> None:
    world.enrol(LOOKS_LIKE_A_CASE)

    assert "if it is the name of a thing, add --thing" in refusal(world, case=LOOKS_LIKE_A_CASE).reason

    assert is_case_id(LOOKS_LIKE_A_CASE)
    assert wanted(world, LOOKS_LIKE_A_CASE)["queued"] == "finding"


def test_another_refusal_about_a_case_is_told_as_it_is() -> None:
    world = a_world(plan=WANTING, mode=Mode.APPROVE)
    wanted(world)

    said = refusal(world, case=world.case.id)

    assert said.code == "wrong-state"
    assert "--thing" not in said.reason
