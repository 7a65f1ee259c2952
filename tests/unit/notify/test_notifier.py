"""Notices: one for each state, repeated after a failure, and a digest in a storm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from tests.fakes import NOON, PLAN, World, a_finding, a_world
from warden.cases.model import CaseState, Resolution
from warden.core.findings import Subject, SubjectType
from warden.core.mode import Mode
from warden.notify.digests import admits
from warden.notify.notifier import notify


def test_every_change_of_state_is_announced_once() -> None:
    world = a_world()

    world.report(a_finding())
    world.report(a_finding())
    world.order("release-keeping-certificate", world.case.id)

    states = [event["case"]["state"] for event in world.announcements.published]
    assert states == ["contained", "closed"]
    assert len({event["id"] for event in world.announcements.published}) == 2


def test_a_notice_that_cannot_be_sent_stops_nothing_and_is_made_up_for() -> None:
    world = a_world()
    world.notices.down = True
    world.report(a_finding())
    assert (world.case.state, world.is_restricted(), world.notices.sent) == (CaseState.CONTAINED, True, [])

    world.notices.down = False
    world.sweep(after=timedelta(minutes=6))
    world.sweep(after=timedelta(minutes=6))

    assert len(world.notices.sent) == 1
    assert world.outbox.renotify_at is None


def test_an_event_that_cannot_be_published_keeps_no_notice_back() -> None:
    world = a_world()
    world.announcements.down = True

    world.report(a_finding())
    assert len(world.notices.sent) == 1

    world.announcements.down = False
    world.sweep(after=timedelta(minutes=6))
    assert [event["case"]["state"] for event in world.announcements.published] == ["contained"]


def test_a_long_name_leaves_the_severity_in_the_subject() -> None:
    world = a_world()
    name = f"pump-3 (low){' ' * 90}"

    world.report(a_finding(subject=Subject(SubjectType.CLIENT_ID, name)))

    [subject] = world.notices.subjects
    assert subject.startswith("Fleet Warden: recorded: pump-3 (low)   ")
    assert subject.endswith("... (high)")
    assert len(subject) == 99


def test_ten_findings_past_the_limit_are_one_notice_and_one_digest() -> None:
    things = [f"pump-{number:02d}" for number in range(12)]
    world = a_world(*things, plan=PLAN.replace("devices_per_hour = 20", "devices_per_hour = 2"))
    for thing in things:
        world.report(a_finding(thing))
    held = [subject for subject in world.notices.subjects if "NOT TOUCHED" in subject]
    assert len(held) == 1

    world.sweep(after=timedelta(minutes=61))
    world.sweep(after=timedelta(minutes=61))

    digests = [notice for notice in world.notices.sent if "digest" in notice.subject]
    assert [notice.subject for notice in digests] == ["Fleet Warden: digest: 10 cases held"]
    assert "pump-11" in digests[0].body


def test_many_cases_that_wait_for_approval_are_twenty_notices_and_one_digest() -> None:
    things = [f"pump-{number:02d}" for number in range(25)]
    world = a_world(*things, mode=Mode.APPROVE)
    for thing in things:
        world.report(a_finding(thing))
    assert len(world.notices.sent) == 20

    world.sweep(after=timedelta(minutes=61))

    assert world.notices.subjects[20:] == ["Fleet Warden: digest: 25 cases awaiting-approval"]


def test_a_case_is_one_finding_in_security_hub_and_archived_when_it_closes() -> None:
    world = a_world(security_hub=True)

    world.report(a_finding())
    [finding] = world.security_hub.findings.values()
    assert (finding["RecordState"], finding["ProductFields"]["fleet-warden/state"]) == ("ACTIVE", "contained")
    assert finding["Severity"] == {"Label": "HIGH"}
    assert finding["Resources"][0]["Id"].endswith(":thing/pump-3")

    world.order("release-keeping-certificate", world.case.id)
    [finding] = world.security_hub.findings.values()
    assert (finding["RecordState"], finding["ProductFields"]["fleet-warden/state"]) == ("ARCHIVED", "closed")


def test_security_hub_is_left_alone_unless_it_is_asked_for() -> None:
    world = a_world()

    world.report(a_finding())

    assert not world.security_hub.findings


def test_people_and_programs_hear_of_a_case_that_its_detector_closes() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())

    world.report(a_finding(is_open=False, ending="alarm-cleared"))

    assert [event["case"]["state"] for event in world.announcements.published] == ["awaiting-approval", "closed"]
    assert world.notices.subjects[-1] == "Fleet Warden: closed: pump-3 (high)"


def test_a_recovery_that_waits_for_its_device_is_announced_and_mailed_to_nobody() -> None:
    world = a_world()
    world.report(a_finding())

    world.order("release", world.case.id)

    assert [event["case"]["state"] for event in world.announcements.published] == ["contained", "recovering"]
    assert len(world.notices.sent) == 1


def test_a_case_whose_note_was_lost_keeps_its_place_among_the_notices() -> None:
    world = a_world("pump-1", "pump-2")
    world.order("stop", why="drill")
    for number in (1, 2):
        world.report(a_finding(f"pump-{number}", id=f"violation-{number}"))
    first, second = world.cases

    assert admits(first, world.context.cases.outbox(first), world.context)
    assert not admits(second, world.context.cases.outbox(second), world.context)


def while_an_event_is_sent(world: World, happens: Callable[[], object]) -> None:
    """Let something else happen once, after the first event went out and before it is marked as sent."""
    publish, waiting = world.announcements.publish, [happens]

    def published(detail: Mapping[str, Any]) -> None:
        publish(detail)
        if waiting:
            waiting.pop()()

    world.announcements.publish = published  # type: ignore[method-assign]


def test_a_notice_that_becomes_due_while_another_is_sent_stays_due() -> None:
    world = a_world()
    due = NOON + timedelta(minutes=3)

    def owe() -> None:
        world.context.cases.save_outbox(world.case, replace(world.outbox, renotify_at=due), NOON)

    while_an_event_is_sent(world, owe)
    world.report(a_finding())

    assert world.outbox.renotify_at == due


def test_a_state_that_is_over_while_it_is_announced_does_not_reach_security_hub() -> None:
    world = a_world(security_hub=True)

    def close() -> None:
        notify(world.context.cases.close(world.case, Resolution.DISMISSED, NOON), world.context)

    while_an_event_is_sent(world, close)
    world.report(a_finding())

    [found] = world.security_hub.findings.values()
    assert found["RecordState"] == "ARCHIVED"
