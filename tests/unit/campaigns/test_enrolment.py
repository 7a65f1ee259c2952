"""Renewals that a detector asks for: a place ahead of certificates that are only old, and one case to the end."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import THING, World, a_finding, a_world, an_old_certificate
from tests.port_wire import Fate, Wire, wired
from tests.unit.campaigns.test_campaigns import TURN, active, asked, campaign, fail, obey, run
from tests.unit.campaigns.test_inventory import a_fleet, state_of
from warden.campaigns.enrolment import new_campaign
from warden.campaigns.inventory import Turn, resume_run
from warden.campaigns.inventory_runs import read_run
from warden.campaigns.records import CampaignState, MemberState, campaign_put, open_campaign
from warden.cases.model import Case, CaseState, Progress
from warden.core.findings import Ending, Finding, Source
from warden.core.ledger import Key
from warden.core.mode import Mode
from warden.plan.actions import RENEW_CERTIFICATE, ROTATE_CERTIFICATE
from warden.plan.parser import read_plan
from warden.respond.responder import respond

RENEW = """
version = 1
[limits]
devices_per_hour = 2
[rotation]
mode = "enforce"
attempts = 1
[[rule]]
name = "expires"
source = "device-defender-audit"
actions = ["renew-certificate", "notify"]
mode = "enforce"
[[rule]]
name = "leaks"
source = "device-defender-detect"
actions = ["quarantine"]
mode = "enforce"
[[rule]]
name = "everything-else"
actions = ["notify"]
"""
WAITS = RENEW.replace('mode = "enforce"\nattempts', 'mode = "approve"\nattempts')


def it_expires(thing: str = THING, audit: int = 1, **changes: Any) -> Finding:
    """Build an audit's finding about a certificate that expires; each audit has a new id for it."""
    return an_old_certificate(thing, id=f"audit-{audit}-{thing}", supersedes=True, **changes)


def of(world: World, thing: str = THING) -> Case:
    (case,) = [case for case in world.cases if case.thing == thing]
    return case


def outcome(world: World, action: str = RENEW_CERTIFICATE, thing: str = THING) -> tuple[Progress, str]:
    found = of(world, thing).outcomes[action]
    return found.progress, found.detail


# --- a place ---------------------------------------------------------------------------------------------------------


def test_more_than_the_limits_allow_are_enrolled_and_nobody_is_held() -> None:
    things = [f"pump-{number}" for number in range(1, 6)]
    world = a_world(*things, plan=RENEW)

    for thing in things:
        world.report(it_expires(thing))

    assert {case.state for case in world.cases} == {CaseState.OPEN}
    assert {state_of(world, thing) for thing in things} == {MemberState.WAITING}
    assert campaign(world).size == 5
    assert world.jobs.started == {}
    assert world.ledger.of_type("counter") == []


def test_the_campaign_renews_them_within_its_own_steps_and_each_case_tells_the_whole_story() -> None:
    things = ["pump-1", "pump-2", "pump-3"]
    world = a_world(*things, plan=RENEW)
    before = {thing: world.devices[thing].certificate for thing in things}
    for thing in things:
        world.report(it_expires(thing))

    run(world)

    assert asked(world) == [("pump-1",), ("pump-2",), ("pump-3",)]
    assert (campaign(world).state, campaign(world).in_all.done) == (CampaignState.FINISHED, 3)
    assert {(case.state, case.resolution, case.source) for case in world.cases} == {
        (CaseState.CLOSED, "rotated", Source.AUDIT)
    }
    assert world.steps(of(world, "pump-2")) == [
        "finding",
        "decided",
        "admitted",
        "renew-certificate-done",
        "responded",
        "rotate-certificate-started",
        "new-certificate-in-use",
        "rotate-certificate-done",
        "closed",
    ]
    for thing in things:
        assert active(world, thing) == [world.devices[thing].certificate] != [before[thing]]


def test_its_rule_and_mode_stay_what_the_plan_said() -> None:
    world = a_world(plan=RENEW)
    world.report(it_expires())

    run(world)

    assert (of(world).rule, of(world).mode, of(world).affected) == ("expires", "enforce", (THING,))


def test_nothing_is_asked_of_aws_about_who_shares_its_certificate() -> None:
    world = a_world(plan=RENEW)
    world.registry.certificates_of = None  # type: ignore[assignment,method-assign]  # any call fails

    world.report(it_expires())

    assert of(world).affected == (THING,)


def test_whom_a_detector_names_is_asked_before_whoever_is_only_old() -> None:
    world = a_fleet(900, 800, rotation='[rotation]\nmode = "enforce"\n')
    world.context = replace(world.context, plan=read_plan(RENEW))
    world.enrol("valve-1")
    world.find_what_is_due()
    world.report(it_expires("valve-1"))

    run(world)

    assert asked(world) == [("valve-1",), ("pump-1",), ("pump-2",)]


def test_the_same_again_changes_nothing() -> None:
    world = a_world(plan=RENEW)
    for _ in range(3):
        world.report(it_expires())
    world.report(it_expires(audit=2))

    assert campaign(world).size == 1
    assert world.steps().count("renew-certificate-done") == 1


def test_a_campaign_that_was_quiet_goes_on() -> None:
    world = a_world("pump-1", "pump-2", plan=RENEW)
    world.report(it_expires("pump-1"))
    for _ in range(2):
        world.sweep(after=TURN)
        obey(world)
    assert campaign(world).quiet_since is not None

    world.report(it_expires("pump-2"))

    assert campaign(world).quiet_since is None
    run(world)
    assert campaign(world).in_all.done == 2


# --- who begins it ---------------------------------------------------------------------------------------------------


def test_people_are_asked_once_to_begin_the_campaign_that_findings_opened() -> None:
    world = a_world("pump-1", "pump-2", plan=WAITS)
    world.report(it_expires("pump-1"))
    world.report(it_expires("pump-2"))

    for _ in range(3):
        world.sweep(after=TURN)

    (notice,) = world.notices.sent
    assert notice.subject == "Fleet Warden: certificate campaign APPROVAL NEEDED: 2 to be renewed so far"
    opening = f"Findings request new certificates. The campaign {campaign(world).id} waits for you to start it."
    assert notice.body.startswith(f"{opening}\n\n          2  devices were enrolled\n")
    assert "Start it:    warden campaign start" in notice.body
    assert asked(world) == []
    world.order("campaign-start")
    run(world)
    assert campaign(world).in_all.done == 2


def test_the_report_of_a_sweep_that_opened_it_is_all_that_is_said() -> None:
    world = a_fleet(900, rotation='[rotation]\nmode = "approve"\n')
    world.find_what_is_due()

    for _ in range(3):
        world.sweep(after=TURN)

    assert [notice.subject for notice in world.notices.sent] == ["Fleet Warden: certificates: 1 due, 1 to be renewed"]


def test_devices_of_a_campaign_are_told_of_by_the_campaign_alone() -> None:
    world = a_world("pump-1", "pump-2", plan=RENEW)
    world.report(it_expires("pump-1"))
    world.report(it_expires("pump-2"))
    world.sweep(after=TURN)
    obey(world)
    world.sweep(after=TURN)
    fail(world, "pump-2")
    world.sweep(after=TURN)

    assert outcome(world, ROTATE_CERTIFICATE, "pump-2")[0] is Progress.FAILED
    assert [notice.subject for notice in world.notices.sent] == [
        "Fleet Warden: certificate campaign STOPPED, decide: 1 of 2 renewed"
    ]


def test_with_approval_it_is_enrolled_when_a_person_says_so() -> None:
    world = a_world(plan=RENEW.replace('"notify"]\nmode = "enforce"', '"notify"]\nmode = "approve"', 1))
    world.report(it_expires())
    assert of(world).state is CaseState.AWAITING_APPROVAL

    world.order("approve", of(world).id)

    assert state_of(world, THING) is MemberState.WAITING
    assert "the limits of campaigns hold" in [entry.step.why for entry in timeline(world)]


def timeline(world: World) -> Any:
    return world.context.cases.timeline(of(world).id)


@pytest.mark.parametrize("how", ["stopped", "never-touch"])
def test_the_switch_and_the_list_of_what_is_never_touched_hold(how: str) -> None:
    never = '[never_touch]\nthings = ["pump-*"]\n' if how == "never-touch" else ""
    world = a_world(plan=RENEW.replace("[rotation]", f"{never}[rotation]"))
    if how == "stopped":
        world.order("stop", why="drill")

    world.report(it_expires())

    assert of(world).state is CaseState.HELD
    assert open_campaign(world.ledger) is None


# --- with the sweep of certificates ----------------------------------------------------------------------------------


def lines(world: World) -> dict[str, str]:
    (report,) = world.reports.kept.values()
    return {row["thing"]: row["verdict"] for row in csv.DictReader(report)}


def test_whom_the_sweep_found_first_has_one_case_and_moves_ahead() -> None:
    world = a_fleet(900, 800, rotation='[rotation]\nmode = "enforce"\n')
    world.context = replace(world.context, plan=read_plan(RENEW))
    world.find_what_is_due()

    world.report(it_expires("pump-2"))
    run(world)

    assert asked(world) == [("pump-2",), ("pump-1",)]
    assert campaign(world).size == 2
    assert sorted((case.thing, case.source) for case in world.cases) == [
        ("pump-1", Source.SCHEDULE),
        ("pump-2", Source.AUDIT),
    ]


def test_whom_a_finding_enrolled_first_is_counted_once() -> None:
    world = a_fleet(900, 800, rotation='[rotation]\nmode = "enforce"\n')
    world.context = replace(world.context, plan=read_plan(RENEW))
    old = world.devices["pump-2"].certificate
    world.report(it_expires("pump-2", attributes={"certificate": old}))

    world.find_what_is_due()

    assert lines(world) == {"pump-1": "enrolled", "pump-2": "waiting"}
    assert campaign(world).size == 2


class Interrupted:
    """A sweep of certificates in two turns, with something in between."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.renewal_queue.runs.clear()
        world.drain = lambda: None  # type: ignore[method-assign]  # the second turn comes when it is told to
        world.find_what_is_due(lookups_a_turn=1)
        del world.drain
        world.renewal_queue.runs.clear()

    def goes_on(self) -> None:
        found = read_run(self.world.ledger)
        assert found is not None
        turn = Turn(self.world.context, lambda: timedelta(minutes=10), lambda: None)
        self.world.redeliver(lambda: resume_run(found.id, turn))
        self.world.drain()


def test_a_finding_and_a_sweep_at_work_end_in_one_campaign() -> None:
    world = a_fleet(900, 800, rotation='[rotation]\nmode = "enforce"\n')
    world.context = replace(world.context, plan=read_plan(RENEW))
    world.enrol("valve-1")
    sweep = Interrupted(world)
    world.clock.advance(timedelta(minutes=1))

    world.report(it_expires("valve-1"))
    sweep.goes_on()
    run(world)

    assert lines(world) == {"pump-1": "enrolled", "pump-2": "enrolled"}
    assert (campaign(world).size, campaign(world).in_all.done) == (3, 3)


@pytest.mark.parametrize("when", ["between two turns", "during the report"])
def test_a_sweep_that_lost_the_race_for_the_campaign_begins_anew_under_the_open_one(when: str) -> None:
    world = a_fleet(900, 800, rotation='[rotation]\nmode = "enforce"\n', receives=2)
    world.context = replace(world.context, plan=read_plan(RENEW))
    sweep = Interrupted(world)

    def open_another(*_: object) -> None:
        another = new_campaign("another", world.context, is_told=False)
        world.ledger.commit(campaign_put(another))

    if when == "between two turns":
        open_another()
    else:
        keep = world.reports.keep

        def keep_and_be_overtaken(key: str, path: str) -> str:
            del world.reports.keep  # once
            open_another()
            return keep(key, path)

        world.reports.keep = keep_and_be_overtaken  # type: ignore[method-assign]
    sweep.goes_on()
    world.sweep(after=timedelta(minutes=25))
    run(world)

    assert campaign(world).id == "another"
    assert (campaign(world).size, campaign(world).in_all.done) == (2, 2)
    assert {member["campaign"] for member in world.ledger.of_type("member")} == {"another"}


# --- who is left out -------------------------------------------------------------------------------------------------


def test_a_contained_device_is_not_enrolled_and_people_are_told_why() -> None:
    world = a_world(plan=RENEW)
    world.report(a_finding())

    world.report(it_expires())

    (case,) = [case for case in world.cases if case.source is Source.AUDIT]
    assert case.outcomes[RENEW_CERTIFICATE].progress is Progress.FAILED
    assert case.outcomes[RENEW_CERTIFICATE].detail == "contained; releasing it renews the certificate"
    assert "renew-certificate: FAILED, contained; releasing it renews the certificate" in world.notices.sent[-1].body
    assert open_campaign(world.ledger) is None


def test_one_that_is_contained_before_its_turn_is_left_out_and_its_case_says_so() -> None:
    world = a_world(plan=RENEW)
    world.report(it_expires())
    world.report(a_finding())
    world.notices.sent.clear()

    run(world)

    (case,) = [case for case in world.cases if case.source is Source.AUDIT]
    assert (case.state, case.outcomes[RENEW_CERTIFICATE].detail) == (
        CaseState.OPEN,
        "contained; releasing it renews the certificate",
    )
    assert world.steps(case)[-2:] == ["renew-certificate-failed", "notified"]
    assert [notice.subject for notice in world.notices.sent] == [
        "Fleet Warden: recorded: pump-3 (high)",
        "Fleet Warden: certificate campaign finished: 0 of 1 renewed",
    ]
    assert campaign(world).in_all.skipped == 1


def about_to_be_left_out(wire: Wire) -> World:
    world = wired(a_world(plan=RENEW, receives=2), wire)
    world.report(it_expires())
    world.report(a_finding())
    wire.commits = 0
    return world


def test_one_that_is_left_out_is_left_out_once_whatever_commit_has_its_answer_lost() -> None:
    clean = Wire()
    run(about_to_be_left_out(clean))

    for nth in range(1, clean.commits + 1):
        wire = Wire()
        world = about_to_be_left_out(wire)
        wire.arm(nth, Fate.ANSWER_LOST)
        run(world)
        (case,) = [case for case in world.cases if case.source is Source.AUDIT]

        assert wire.struck
        assert world.steps(case).count("renew-certificate-failed") == 1
        assert (campaign(world).state, campaign(world).in_all.skipped) == (CampaignState.FINISHED, 1)


@pytest.mark.parametrize("how", ["dismissed", "over", "expired"])
def test_one_whose_case_is_closed_is_left_as_it_is(how: str) -> None:
    world = a_world(plan=RENEW)
    world.report(it_expires())
    case, old = of(world), world.device.certificate
    if how == "dismissed":
        world.order("dismiss", case.id, why="to be scrapped")
    elif how == "over":
        world.report(replace(it_expires(), is_open=False, ending=Ending.NOT_FOUND_BY_AUDIT))
    else:
        del world.ledger.records[Key(f"CASE#{case.id}", "CASE")]

    run(world)

    assert asked(world) == []
    assert active(world, THING) == [old]
    assert (state_of(world, THING), campaign(world).state) == (MemberState.SKIPPED, CampaignState.FINISHED)
    (member,) = world.ledger.of_type("member")
    assert member["note"] == f"case {case.id}, which asked for it, is closed"


# --- and again -------------------------------------------------------------------------------------------------------


def unreachable(world: World) -> None:
    """Enrol the device and let its campaign end without it."""
    world.report(it_expires())
    world.sweep(after=TURN)
    world.sweep(after=timedelta(hours=25))
    for _ in range(4):
        world.sweep(after=TURN)
    assert (state_of(world, THING), campaign(world).state) == (MemberState.UNREACHABLE, CampaignState.FINISHED)


def test_a_device_that_was_never_there_is_enrolled_again_when_the_next_audit_finds_it() -> None:
    world = a_world(plan=RENEW)
    unreachable(world)
    first = campaign(world).id

    world.report(it_expires(audit=2))
    run(world)

    assert campaign(world).id != first
    assert (of(world).state, of(world).resolution) == (CaseState.CLOSED, "rotated")
    assert active(world, THING) == [world.device.certificate]


def test_what_the_same_audit_said_does_not_enrol_it_again() -> None:
    world = a_world(plan=RENEW)
    unreachable(world)
    before = world.steps()

    world.report(it_expires())

    assert world.steps() == before
    assert open_campaign(world.ledger) is None


def test_it_has_one_turn_in_a_campaign() -> None:
    world = a_world("pump-1", "pump-2", plan=RENEW)
    world.report(it_expires("pump-1"))
    world.report(it_expires("pump-2"))
    world.sweep(after=TURN)
    fail(world, "pump-1")
    world.sweep(after=TURN)
    world.order("dismiss", of(world, "pump-1").id)
    world.clock.advance(timedelta(hours=2))

    again = it_expires("pump-1", audit=2, observed_at=world.clock())
    world.report(again)

    case = world.cases[-1]
    assert case.outcomes[RENEW_CERTIFICATE].progress is Progress.FAILED
    assert case.outcomes[RENEW_CERTIFICATE].detail.startswith(
        f"had its turn in campaign {campaign(world).id} already: "
    )


def test_one_that_is_at_it_is_enrolled_already() -> None:
    world = a_world(plan=RENEW)
    world.report(it_expires())
    world.sweep(after=TURN)
    assert state_of(world, THING) is MemberState.SENT

    world.report(it_expires(kind="DEVICE_CERTIFICATE_KEY_QUALITY_CHECK"))

    assert campaign(world).size == 1
    assert world.cases[-1].outcomes[RENEW_CERTIFICATE].progress is Progress.DONE


def test_a_case_with_other_answers_is_not_decided_again() -> None:
    world = a_world()
    world.report(it_expires())
    world.report(it_expires(audit=2))

    assert world.steps().count("decided") == 1


def test_in_observe_nobody_is_enrolled() -> None:
    world = a_world(plan=RENEW, mode=Mode.OBSERVE)

    case = respond(it_expires(), world.context)

    assert case is not None
    assert outcome(world) == (Progress.PLANNED, "")
    assert open_campaign(world.ledger) is None
