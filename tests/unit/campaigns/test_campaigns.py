"""Campaigns: steps, budget, window and bounds are kept, and every device ends on exactly one certificate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes import Crash, World, a_finding
from tests.unit.campaigns.test_inventory import a_fleet, state_of
from warden.campaigns.records import (
    Batch,
    Campaign,
    CampaignState,
    MemberResult,
    MemberState,
    Tally,
    batch_from,
    batch_put,
    read_campaign,
    read_member,
)
from warden.cases.model import CaseState
from warden.core.errors import Refused
from warden.core.findings import Source
from warden.core.mode import Mode
from warden.core.ports import JobOrder
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.plan.model import NeverTouch

ENFORCED = '[rotation]\nmode = "enforce"\n'
TURN = timedelta(minutes=5)


def a_campaign(devices: int, rotation: str = ENFORCED, **settings: Any) -> World:
    """Build a fleet whose certificates are all due, pump-1's the oldest, then pump-2's, and sweep it."""
    world = a_fleet(*(1000 - number for number in range(devices)), rotation=rotation, **settings)
    world.find_what_is_due()
    return world


def campaign(world: World) -> Campaign:
    found = read_campaign(world.ledger)
    assert found is not None
    return found


def asked(world: World) -> list[tuple[str, ...]]:
    """List the devices of each job, oldest job first."""
    return [tuple(world.jobs.started[job].executions) for job in world.jobs.of(ROTATE_CERTIFICATE)]


def obey(world: World) -> None:
    """Let every device do its waiting jobs."""
    for device in world.devices.values():
        device.work()
    world.drain()


def fail(world: World, *things: str, status: str = "FAILED") -> None:
    """Let the begun executions of some devices fail."""
    for job_id, job in world.jobs.started.items():
        for thing, execution in job.executions.items():
            if thing in things and execution.status == "QUEUED":
                world.jobs.move(job_id, "IN_PROGRESS", thing)
                world.jobs.move(job_id, status, thing)
    world.drain()


def active(world: World, thing: str) -> list[str]:
    attached = [certificate for certificate, name in world.registry.attached if name == thing]
    return [each for each in attached if world.certificates.stored[each].status == "ACTIVE"]


def run(world: World, turns: int = 12) -> None:
    """Let devices obey and the sweep run until the campaign is over."""
    for _ in range(turns):
        world.sweep(after=TURN)
        obey(world)


def test_one_device_then_a_percent_then_the_rest() -> None:
    world = a_campaign(5, rotation=f"{ENFORCED}canary_percent = 40\n")

    run(world)

    assert asked(world) == [("pump-1",), ("pump-2", "pump-3"), ("pump-4", "pump-5")]
    assert (campaign(world).state, campaign(world).in_all.done) == (CampaignState.FINISHED, 5)


def test_every_device_ends_on_one_new_certificate_and_its_case_is_closed() -> None:
    world = a_campaign(4)
    before = {name: device.certificate for name, device in world.devices.items()}

    run(world)

    for name, device in world.devices.items():
        assert active(world, name) == [device.certificate]
        assert device.certificate != before[name]
        assert world.certificates.stored[before[name]].status == "INACTIVE"
    assert {(case.state, case.resolution, case.source) for case in world.cases} == {
        (CaseState.CLOSED, "rotated", Source.SCHEDULE)
    }


def test_no_step_begins_before_the_one_before_it_came_through() -> None:
    world = a_campaign(3)

    for _ in range(5):
        world.sweep(after=TURN)

    assert asked(world) == [("pump-1",)]


def test_a_job_is_for_a_hundred_devices_at_most_and_says_its_bounds() -> None:
    world = a_campaign(103, rotation=f"{ENFORCED}devices_per_day = 1000\njobs_per_minute = 7\nsuccess_percent = 80\n")

    run(world, turns=5)

    sizes = [len(things) for things in asked(world)]
    assert sizes == [1, 2, 100]
    order = world.jobs.started[world.jobs.of(ROTATE_CERTIFICATE)[-1]].order
    assert (order.per_minute, order.abort_percent, order.abort_after) == (7, 20.0, 10)
    assert order.work_timeout == timedelta(minutes=15)
    assert timedelta(days=6) < order.ends_at - world.clock() <= timedelta(days=7)


def test_the_budget_of_a_day_is_never_exceeded() -> None:
    world = a_campaign(9, rotation=f"{ENFORCED}devices_per_day = 4\n")
    sent_at = dict[str, datetime]()

    for _ in range(60):
        world.sweep(after=timedelta(hours=1))
        for things in asked(world):
            for thing in things:
                sent_at.setdefault(thing, world.clock())
        obey(world)

    moments = sorted(sent_at.values())
    assert len(moments) == 9
    assert all(later - earlier >= timedelta(days=1) for earlier, later in zip(moments, moments[4:], strict=False))


def test_jobs_are_sent_within_the_window_alone() -> None:
    world = a_campaign(3, rotation=f'{ENFORCED}window = "0 2 * * *"\nwindow_minutes = 60\n')
    sent_at = []

    for _ in range(100):
        before = len(asked(world))
        world.sweep(after=timedelta(minutes=30))
        obey(world)
        sent_at += [world.clock()] * (len(asked(world)) - before)

    assert len(sent_at) == 3
    assert {moment.astimezone(UTC).hour for moment in sent_at} == {2}


def test_a_canary_that_fails_stops_the_campaign_and_calls_a_human() -> None:
    world = a_campaign(3)
    old = world.devices["pump-1"].certificate
    world.sweep(after=TURN)
    fail(world, "pump-1")

    world.sweep(after=TURN)
    world.sweep(after=TURN)

    assert campaign(world).state is CampaignState.STOPPED
    assert asked(world) == [("pump-1",)]
    assert active(world, "pump-1") == [old]
    stopped = [notice for notice in world.notices.sent if "STOPPED" in notice.subject]
    assert len(stopped) == 1
    assert "1 of 1 devices of step 1 failed" in stopped[0].body
    assert "Failed last\n  pump-1" in stopped[0].body


def test_failures_past_a_share_stop_the_last_step_too() -> None:
    world = a_campaign(60, rotation=f"{ENFORCED}canary_percent = 1\nsuccess_percent = 90\n")
    for _ in range(2):
        world.sweep(after=TURN)
        obey(world)
    world.sweep(after=TURN)
    fail(world, *(f"pump-{number}" for number in range(3, 9)))
    obey(world)
    world.sweep(after=TURN)

    assert campaign(world).state is CampaignState.STOPPED
    assert campaign(world).why == "6 of 58 devices of step 3 failed; 90 % must succeed"


def test_a_stopped_campaign_goes_on_when_a_person_says_so() -> None:
    world = a_campaign(3)
    world.sweep(after=TURN)
    fail(world, "pump-1")
    world.sweep(after=TURN)

    world.order("campaign-resume", why="a broken image, mended")
    run(world)

    assert campaign(world).state is CampaignState.FINISHED
    assert (campaign(world).in_all.done, campaign(world).in_all.failed) == (2, 1)
    assert state_of(world, "pump-1") is MemberState.FAILED


def test_a_device_that_was_not_reached_waits_again_behind_the_others() -> None:
    world = a_campaign(3, rotation=f"{ENFORCED}attempts = 2\n")
    world.sweep(after=TURN)
    world.sweep(after=timedelta(hours=25))

    assert state_of(world, "pump-1") is MemberState.WAITING
    obey(world)
    run(world)

    assert asked(world) == [("pump-1",), ("pump-2",), ("pump-3",), ("pump-1",)]
    assert campaign(world).in_all.failed == 0
    assert active(world, "pump-1") == [world.devices["pump-1"].certificate]


def test_a_device_that_never_comes_is_left_for_the_next_sweep() -> None:
    world = a_campaign(1, rotation=f"{ENFORCED}attempts = 2\n")
    for _ in range(4):
        world.sweep(after=timedelta(hours=25))
    for _ in range(3):
        world.sweep(after=TURN)

    assert state_of(world, "pump-1") is MemberState.UNREACHABLE
    assert (campaign(world).state, campaign(world).in_all.unreachable) == (CampaignState.FINISHED, 1)
    assert len(active(world, "pump-1")) == 1
    assert "1  were not reached; the next sweep finds them again" in world.notices.sent[-1].body


def test_a_device_that_comes_back_within_its_time_is_renewed() -> None:
    world = a_campaign(3)
    for _ in range(2):
        world.sweep(after=TURN)
        obey(world)
    world.sweep(after=TURN)
    world.sweep(after=timedelta(days=6))
    obey(world)

    assert state_of(world, "pump-3") is MemberState.DONE


def test_a_thing_that_is_gone_does_not_keep_the_job_from_the_others() -> None:
    world = a_campaign(5, rotation=f"{ENFORCED}canary_percent = 80\n")
    world.sweep(after=TURN)
    world.registry.delete_thing("pump-3")

    run(world)

    assert asked(world)[1] == ("pump-2", "pump-4", "pump-5")
    assert state_of(world, "pump-3") is MemberState.SKIPPED
    assert (campaign(world).state, campaign(world).in_all.done) == (CampaignState.FINISHED, 4)


def test_a_job_whose_only_thing_is_gone_is_sent_to_nobody() -> None:
    world = a_campaign(2)
    world.registry.delete_thing("pump-1")

    run(world)

    assert asked(world) == [("pump-2",)]
    assert (state_of(world, "pump-1"), campaign(world).in_all.done) == (MemberState.SKIPPED, 1)


def die_before_the_job(world: World, turn: Callable[[World], object]) -> None:
    """Take a turn in which a batch is prepared, by a function that dies when it is to send the job."""
    start = world.jobs.start

    def die(_: JobOrder) -> None:
        raise Crash("jobs.start")

    world.jobs.start = die  # type: ignore[method-assign, assignment]
    with suppress(Crash):
        turn(world)
    world.jobs.start = start  # type: ignore[method-assign]
    world.queue.parked.clear()


def test_a_batch_that_was_prepared_and_not_sent_is_sent_to_those_that_were_not_left_out() -> None:
    world = a_campaign(3, rotation=f"{ENFORCED}canary_percent = 100\n")
    world.sweep(after=TURN)
    world.report(a_finding("pump-2"))
    die_before_the_job(world, obey)

    run(world)

    assert asked(world) == [("pump-1",), ("pump-3",)]
    assert (campaign(world).in_all.done, campaign(world).in_all.skipped) == (2, 1)


def test_a_batch_that_was_prepared_and_not_sent_is_given_up_with_its_campaign() -> None:
    world = a_campaign(1)
    die_before_the_job(world, lambda world: world.sweep(after=TURN))

    world.order("campaign-cancel")
    run(world, turns=3)

    assert asked(world) == []
    assert (state_of(world, "pump-1"), campaign(world).out) == (MemberState.SKIPPED, 0)
    assert active(world, "pump-1") == [world.devices["pump-1"].certificate]


def test_a_device_contained_meanwhile_is_left_out() -> None:
    world = a_campaign(2)
    world.report(a_finding("pump-1"))

    run(world)

    assert state_of(world, "pump-1") is MemberState.SKIPPED
    assert [things for things in asked(world) if "pump-1" in things] == []
    assert campaign(world).in_all.done == 1


def test_every_certificate_a_device_has_is_retired_for_the_new_one() -> None:
    world = a_campaign(1)
    second = world.enrol("other").certificate
    world.registry.attached.remove((second, "other"))
    world.registry.attached.append((second, "pump-1"))

    run(world)

    assert active(world, "pump-1") == [world.devices["pump-1"].certificate]
    assert world.certificates.stored[second].status == "INACTIVE"


def test_a_campaign_waits_for_an_operator_where_the_plan_says_so() -> None:
    world = a_campaign(1, rotation='[rotation]\nmode = "approve"\n')
    run(world, turns=3)
    assert (campaign(world).state, asked(world)) == (CampaignState.AWAITING_APPROVAL, [])

    world.order("campaign-start")
    run(world, turns=4)

    assert campaign(world).state is CampaignState.FINISHED
    assert campaign(world).who.endswith("dana")


def test_a_paused_campaign_sends_nothing_and_counts_what_is_out() -> None:
    world = a_campaign(2)
    world.sweep(after=TURN)
    world.order("campaign-pause")
    run(world, turns=4)

    assert asked(world) == [("pump-1",)]
    assert (campaign(world).state, campaign(world).in_all.done, campaign(world).out) == (CampaignState.PAUSED, 1, 0)

    world.order("campaign-resume")
    run(world, turns=6)
    assert campaign(world).state is CampaignState.FINISHED


def test_a_cancelled_campaign_takes_waiting_jobs_back_and_lets_devices_at_work_finish() -> None:
    world = a_campaign(3, rotation=f"{ENFORCED}canary_percent = 100\n")
    world.sweep(after=TURN)
    obey(world)
    world.sweep(after=TURN)
    job = world.jobs.of(ROTATE_CERTIFICATE)[-1]
    world.jobs.move(job, "IN_PROGRESS", "pump-2")

    world.order("campaign-cancel", why="wrong week")

    statuses = {thing: execution.status for thing, execution in world.jobs.started[job].executions.items()}
    assert statuses == {"pump-2": "IN_PROGRESS", "pump-3": "CANCELED"}
    world.jobs.started[job].executions["pump-2"].status = "QUEUED"
    world.devices["pump-2"].work()
    run(world, turns=3)
    assert len(active(world, "pump-3")) == 1
    assert campaign(world).state is CampaignState.CANCELLED
    assert len(asked(world)) == 2


@pytest.mark.parametrize(
    ("order", "state"),
    [("campaign-start", "running"), ("campaign-resume", "running"), ("campaign-pause", "paused")],
)
def test_what_does_not_fit_the_state_is_refused(order: str, state: str) -> None:
    world = a_campaign(1)
    if state == "paused":
        world.order("campaign-pause")

    with pytest.raises(Refused, match=f"wrong-state.* is {state}"):
        world.order(order)


def test_without_a_campaign_there_is_nothing_to_decide() -> None:
    world = a_fleet(1)

    with pytest.raises(Refused, match="no-campaign"):
        world.order("campaign-start")
    assert world.order("campaign") == {"campaign": None}


def test_the_kill_switch_holds_a_campaign_too() -> None:
    world = a_campaign(1)
    world.order("stop", why="look first")

    run(world, turns=3)

    assert asked(world) == []
    world.order("resume")
    run(world, turns=4)
    assert campaign(world).state is CampaignState.FINISHED


def test_a_device_that_may_yet_be_contained_is_left_out_of_its_turn() -> None:
    world = a_campaign(3)
    world.report(a_finding("pump-2", kind="aws:all-bytes-out"))
    world.order("stop", why="nothing is contained meanwhile")
    world.report(a_finding("pump-3", id="violation-2"))
    world.order("resume")
    [held] = [case for case in world.cases if case.state is CaseState.HELD]

    run(world)

    assert {thing for things in asked(world) for thing in things} == {"pump-1"}
    assert state_of(world, "pump-2") is state_of(world, "pump-3") is MemberState.SKIPPED
    member = read_member(world.ledger, "pump-3")
    assert member is not None
    assert member.note == f"case {held.id} is open and may contain it"


def test_a_device_that_is_contained_while_its_job_is_out_is_left_out_and_no_failure() -> None:
    world = a_campaign(3)
    world.sweep(after=TURN)
    assert asked(world) == [("pump-1",)]

    world.report(a_finding("pump-1"))
    world.drain()
    run(world)

    assert state_of(world, "pump-1") is MemberState.SKIPPED
    assert (campaign(world).state, campaign(world).in_all.failed) == (CampaignState.FINISHED, 0)
    assert campaign(world).in_all.done == 2


@pytest.mark.parametrize("of_the", ["stack", "plan"])
def test_observe_mode_stops_a_campaign_that_runs(of_the: str) -> None:
    world = a_campaign(4)
    world.sweep(after=TURN)
    assert asked(world) == [("pump-1",)]

    _observe(world, of_the)
    run(world, turns=3)

    assert asked(world) == [("pump-1",)]
    assert campaign(world).state is CampaignState.STOPPED
    [notice] = [each for each in world.notices.sent if "STOPPED" in each.subject]
    assert "campaigns are in observe mode now" in notice.body
    with pytest.raises(Refused, match="observe-only"):
        world.order("campaign-resume")


def test_a_campaign_that_observe_mode_stopped_goes_on_in_another_mode_when_a_person_says_so() -> None:
    world = a_campaign(2)
    before = world.context
    _observe(world, "stack")
    world.sweep(after=TURN)

    world.context = before
    run(world, turns=3)
    assert asked(world) == []
    world.order("campaign-resume")
    run(world)

    assert campaign(world).in_all.done == 2


def _observe(world: World, of_the: str) -> None:
    settings, plan = world.context.settings, world.context.plan
    if of_the == "stack":
        world.context = replace(world.context, settings=replace(settings, mode=Mode.OBSERVE))
    else:
        world.context = replace(world.context, plan=replace(plan, campaign_mode=Mode.OBSERVE))


@pytest.mark.parametrize(
    "listed",
    [
        NeverTouch(things=("pump-2",)),
        NeverTouch(thing_types=("ventilator",)),
        NeverTouch(thing_groups=("operating-room",)),
    ],
    ids=["name", "type", "group"],
)
def test_the_never_touch_list_is_asked_when_a_device_s_turn_comes(listed: NeverTouch) -> None:
    world = a_campaign(3)
    world.registry.types["pump-2"] = "ventilator"
    world.registry.groups["pump-2"] = ["operating-room"]

    world.context = replace(world.context, plan=replace(world.context.plan, never_touch=listed))
    run(world)

    assert "pump-2" not in {thing for things in asked(world) for thing in things}
    assert state_of(world, "pump-2") is MemberState.SKIPPED
    assert (campaign(world).state, campaign(world).in_all.done) == (CampaignState.FINISHED, 2)


def test_the_command_says_where_a_campaign_stands() -> None:
    world = a_campaign(4)
    world.sweep(after=TURN)

    told = world.order("campaign")["campaign"]

    assert {name: told[name] for name in ("state", "step", "enrolled", "waiting", "sent", "done", "jobs")} == {
        "state": "running",
        "step": 1,
        "enrolled": 4,
        "waiting": 3,
        "sent": 1,
        "done": 0,
        "jobs": 1,
    }


def test_people_are_told_of_the_campaign_and_not_of_each_device() -> None:
    world = a_campaign(6)

    run(world)

    subjects = Counter(notice.subject.split(":")[1].strip() for notice in world.notices.sent)
    assert subjects == {"certificates": 1, "certificate campaign finished": 1}


# --- results -------------------------------------------------------------------------------------------------------


def test_what_came_of_a_device_is_a_value_and_each_is_counted() -> None:
    results = {f"pump-{number}": result for number, result in enumerate(MemberResult)}
    batch = Batch(
        campaign="c",
        number=1,
        job_id="j",
        step=2,
        things=list(results),
        began_at=datetime(2026, 11, 22, tzinfo=UTC),
        outcomes=results,
    )

    read = batch_from(batch_put(batch).record)

    assert all(isinstance(result, MemberResult) for result in read.outcomes.values())
    assert read.tally == Tally(done=1, failed=1, absent=1, unreachable=1, skipped=1)
    assert list(vars(read.tally)) == list(MemberResult)
