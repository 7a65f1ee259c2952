"""What becomes of a finding: cases, modes, duplicates, ends, and what is refused."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes import (
    NOON,
    THING,
    World,
    a_finding,
    a_world,
    an_old_certificate,
    contained,
    its_end,
)
from warden.cases.model import CaseState, Progress
from warden.core.actions import QUARANTINE
from warden.core.errors import Refused
from warden.core.findings import Ending, Finding, Severity, Source, Subject, SubjectType
from warden.core.mode import Mode
from warden.ingest.envelopes import bare_records, unwrap
from warden.ingest.intake import ingest
from warden.plan.actions import COLLECT_LOGS, DEACTIVATE_CERTIFICATE
from warden.queues.messages import SCHEMA, send_finding
from warden.respond.dispatch import dispatch


@pytest.fixture(name="world")
def _world() -> World:
    return a_world()


def everything(world: World) -> tuple[object, ...]:
    """What a duplicate must leave as it is."""
    return (
        dict(world.ledger.records),
        {each: (stored.status, list(stored.policies)) for each, stored in world.certificates.stored.items()},
        {thing: list(groups) for thing, groups in world.registry.groups.items()},
        sorted(world.jobs.started),
        list(world.notices.sent),
        list(world.connections.asked),
    )


def delivered_again(world: World, message: dict[str, Any]) -> None:
    dispatch({"schema": SCHEMA, **message}, world.context)


# --- once is enough ------------------------------------------------------------------------------------------------


def test_a_finding_that_comes_again_changes_nothing(world: World) -> None:
    contained(world)
    before = everything(world)

    delivered_again(world, {"type": "finding", "finding": a_finding().to_message()})

    assert everything(world) == before


def test_the_end_of_a_job_that_comes_again_changes_nothing(world: World) -> None:
    contained(world)
    (job,) = world.jobs.started
    before = everything(world)

    delivered_again(world, {"type": "job-ended", "job": job, "thing": THING})

    assert everything(world) == before


def test_an_order_that_comes_again_changes_nothing(world: World) -> None:
    contained(world)
    world.order("release-keeping-certificate", world.case.id, request="request-1")
    before = everything(world)

    delivered_again(
        world,
        {
            "type": "decision",
            "decision": "release-keeping-certificate",
            "case": world.case.id,
            "who": "dana",
            "why": "",
            "request": "request-1",
        },
    )

    assert everything(world) == before


def test_the_end_of_a_finding_that_comes_again_changes_nothing(world: World) -> None:
    contained(world)
    world.report(its_end(a_finding()))
    before = everything(world)

    delivered_again(world, {"type": "finding", "finding": its_end(a_finding()).to_message()})

    assert everything(world) == before


def test_what_was_due_and_comes_again_changes_nothing(world: World) -> None:
    contained(world)
    world.sweep(after=timedelta(minutes=9))
    before = everything(world)

    delivered_again(world, {"type": "due", "partition": f"THING#{THING}", "sort": "CONTAINMENT"})
    delivered_again(world, {"type": "due", "partition": "THING#nobody", "sort": "CONTAINMENT"})

    assert everything(world) == before


def test_another_finding_of_the_same_problem_joins_its_case(world: World) -> None:
    contained(world)

    world.report(a_finding(id="violation-2"))

    assert world.case.findings == {"violation-1": True, "violation-2": True}
    assert len(world.jobs.started) == 1


def test_a_case_stays_open_until_its_last_finding_is_over() -> None:
    world = a_world(mode=Mode.OBSERVE)
    world.report(a_finding())
    world.report(a_finding(id="violation-2"))

    world.report(its_end(a_finding()))
    assert world.case.is_open

    world.report(its_end(a_finding(id="violation-2")))
    assert world.case.resolution == "alarm-cleared"


# --- out of order --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [Ending.ALARM_CLEARED, Ending.ALARM_INVALIDATED])
def test_an_end_without_an_alarm_opens_nothing(world: World, ending: Ending) -> None:
    world.report(its_end(a_finding(), ending=ending))

    assert world.cases == []
    assert world.connections.asked == []


def test_an_alarm_that_comes_after_its_end_opens_nothing(world: World) -> None:
    world.report(its_end(a_finding()))

    world.report(a_finding())

    assert world.cases == []
    assert world.refusals == ["already-over"]


def test_an_end_before_the_response_closes_the_case() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())

    world.report(its_end(a_finding(), ending=Ending.ALARM_INVALIDATED))

    assert world.case.state is CaseState.CLOSED
    assert world.case.resolution == "alarm-invalidated"


def test_the_end_of_another_finding_closes_nothing() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())

    world.report(its_end(a_finding(id="violation-7")))

    assert world.case.state is CaseState.AWAITING_APPROVAL


def test_a_new_alarm_after_the_end_is_a_new_case() -> None:
    world = a_world(mode=Mode.OBSERVE)
    world.report(a_finding())
    world.report(its_end(a_finding()))

    world.report(a_finding(id="violation-2", observed_at=NOON + timedelta(minutes=5)))

    assert [case.state for case in world.cases] == [CaseState.CLOSED, CaseState.OPEN]
    assert world.cases[0].id != world.cases[1].id


def test_an_event_older_than_the_release_contains_nothing_again(world: World) -> None:
    contained(world)
    world.clock.advance(timedelta(hours=1))
    world.order("release-keeping-certificate", world.case.id)

    world.report(a_finding())
    world.report(a_finding(id="violation-2", kind="aws:num-messages-sent", observed_at=NOON + timedelta(minutes=59)))

    assert not world.is_restricted()
    assert world.refusals == ["before-release", "before-release"]
    assert len(world.cases) == 1


def test_an_event_of_the_very_moment_of_the_release_is_not_newer(world: World) -> None:
    contained(world)
    world.order("release-keeping-certificate", world.case.id)

    world.report(a_finding(id="violation-2", kind="aws:num-messages-sent", observed_at=world.clock()))

    assert world.refusals == ["before-release"]


def test_an_alarm_of_the_very_moment_of_its_end_opens_nothing(world: World) -> None:
    world.report(its_end(a_finding(), after=timedelta()))

    world.report(a_finding())

    assert world.refusals == ["already-over"]


def test_a_finding_older_than_the_closing_of_its_problem_opens_nothing() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())
    world.order("dismiss", world.case.id)
    closed_at = world.clock()
    world.clock.advance(timedelta(minutes=6))

    world.report(a_finding())
    world.report(a_finding(id="violation-2", observed_at=closed_at))

    assert len(world.cases) == 1
    assert world.refusals == ["already-closed", "already-closed"]


# --- what is not acted on ------------------------------------------------------------------------------------------


def test_a_thing_that_is_not_registered_is_recorded_and_nothing_is_touched(world: World) -> None:
    world.report(a_finding("ghost-1"))

    assert world.case.thing == ""
    assert world.case.outcomes == {}
    assert world.connections.asked == []
    assert world.context.cases.timeline(world.case.id)[1].step.why.endswith(
        "; thing ghost-1 is not a registered thing: there is no device to act on"
    )
    assert len(world.notices.sent) == 1


def test_a_finding_that_its_detector_does_not_know_is_refused(world: World) -> None:
    world.detectors.unknown.add("violation-1")

    world.report(a_finding(observed_at=NOON - timedelta(minutes=8)))

    assert world.refusals == ["not-confirmed"]
    assert world.cases == []


@pytest.mark.parametrize("asked", [1, 2])
def test_a_finding_that_its_detector_does_not_list_yet_is_brought_again(world: World, asked: int) -> None:
    world.detectors.unknown.add("violation-1")
    world.report(a_finding())
    for _ in range(asked - 1):
        world.sweep(after=timedelta(minutes=3))
    assert (world.refusals, world.cases) == ([], [])

    world.detectors.unknown.clear()
    world.sweep(after=timedelta(minutes=3))

    assert world.is_restricted()
    assert [record for record in world.ledger.of_type("unconfirmed") if "due" in record] == []
    steps = world.steps()
    world.sweep(after=timedelta(minutes=3))
    assert world.steps() == steps


def test_a_finding_that_its_detector_never_lists_is_refused_within_minutes(world: World) -> None:
    world.detectors.unknown.add("violation-1")
    world.report(a_finding())

    for _ in range(3):
        world.sweep(after=timedelta(minutes=3))

    assert world.refusals == ["not-confirmed"]
    assert world.cases == []
    assert [record for record in world.ledger.of_type("unconfirmed") if "due" in record] == []


def test_a_finding_is_brought_again_a_few_times_whatever_its_clock_says(world: World) -> None:
    world.detectors.unknown.add("violation-1")
    world.report(a_finding(observed_at=NOON + timedelta(days=1)))

    for _ in range(6):
        world.sweep(after=timedelta(minutes=3))

    assert world.refusals == ["not-confirmed"]


def test_a_finding_that_is_over_before_its_detector_listed_it_opens_no_case(world: World) -> None:
    world.detectors.unknown.add("violation-1")
    world.report(a_finding())
    world.report(its_end(a_finding()))

    world.detectors.unknown.clear()  # its list is behind
    world.sweep(after=timedelta(minutes=3))

    assert world.cases == []
    assert world.refusals == ["already-over"]
    assert [record for record in world.ledger.of_type("unconfirmed") if "due" in record] == []


def test_a_finding_that_is_brought_again_and_fails_is_brought_once_more(world: World) -> None:
    world.detectors.unknown.add("violation-1")
    world.report(a_finding())
    world.detectors.unknown.clear()
    real, world.certificates.attach_policy = world.certificates.attach_policy, None  # type: ignore[method-assign,assignment]  # AWS IoT is down

    with pytest.raises(TypeError):
        world.sweep(after=timedelta(minutes=3))
    world.certificates.attach_policy = real  # type: ignore[method-assign]
    world.sweep(after=timedelta(minutes=5))

    assert world.is_restricted()


def test_a_detector_that_cannot_be_asked_is_believed_where_that_is_the_setting() -> None:
    world = a_world(verify_findings=False)
    world.detectors.unknown.add("violation-1")

    world.report(a_finding())

    assert world.is_restricted()


def test_a_subject_that_is_no_device_is_recorded(world: World) -> None:
    world.report(a_finding(subject=Subject(SubjectType.ACCOUNT, "000000000000")))

    assert world.case.state is CaseState.OPEN
    assert world.case.outcomes == {}


def test_what_no_rule_is_for_is_noticed_by_the_last_one(world: World) -> None:
    world.report(a_finding(kind="something-new"))

    assert world.case.rule == "everything-else"
    assert world.notices.subjects == ["Fleet Warden: recorded: pump-3 (high)"]


# --- modes ---------------------------------------------------------------------------------------------------------


def test_observing_touches_nothing_and_says_what_would_be_done() -> None:
    world = a_world(mode=Mode.OBSERVE)

    world.report(a_finding())

    assert not world.is_restricted()
    assert (world.jobs.started, world.connections.asked) == ({}, [])
    assert world.case.state is CaseState.OPEN
    assert "quarantine: would be done" in world.notices.sent[0].body


def test_a_plan_that_enforces_waits_where_the_stack_only_approves() -> None:
    world = a_world(mode=Mode.APPROVE)

    world.report(a_finding())
    assert world.case.state is CaseState.AWAITING_APPROVAL
    assert not world.is_restricted()

    world.order("approve", world.case.id, why="seen on site")
    assert world.is_restricted()
    assert world.cases[0].state is CaseState.CONTAINED


@pytest.mark.parametrize("ceiling", Mode)
@pytest.mark.parametrize("asked", Mode)
def test_the_more_careful_of_plan_and_stack_counts(asked: Mode, ceiling: Mode) -> None:
    careful = list(Mode)

    assert asked.within(ceiling) is careful[min(careful.index(asked), careful.index(ceiling))]


def test_a_dismissed_case_touches_nothing() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())

    world.order("dismiss", world.case.id, why="a test of ours")

    assert world.case.resolution == "dismissed"
    assert not world.is_restricted()


def test_a_device_gone_from_the_registry_is_not_approved() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())
    world.registry.delete_thing(THING)

    world.order("approve", world.case.id)

    assert world.refusals == ["no-device"]
    assert world.case.state is CaseState.AWAITING_APPROVAL


# --- the other actions ---------------------------------------------------------------------------------------------


def test_a_device_can_be_disconnected_without_a_quarantine(world: World) -> None:
    world.report(a_finding(kind="aws:message-byte-size"))
    assert world.connections.asked == [THING]
    assert world.case.state is CaseState.RESPONDING

    world.device.work()
    world.drain()
    assert world.cases[0].state is CaseState.OPEN
    assert world.case.outcomes[COLLECT_LOGS].progress is Progress.DONE


def test_a_problem_over_while_its_logs_are_fetched_closes_with_them(world: World) -> None:
    finding = a_finding(kind="aws:message-byte-size")
    world.report(finding)
    world.report(its_end(finding))
    assert world.case.is_open

    world.device.work()
    world.drain()
    assert world.case.resolution == "over"


def test_the_last_resort_sets_every_certificate_of_the_thing_inactive(world: World) -> None:
    world.report(a_finding(source=Source.GENERIC, kind="stolen"))

    assert world.active_certificates() == []
    assert world.case.outcomes[DEACTIVATE_CERTIFICATE].progress is Progress.DONE


def test_a_finding_about_a_device_reaches_no_certificate_of_another() -> None:
    world = a_world(THING, "pump-9")
    other = world.devices["pump-9"].certificate

    world.report(a_finding(source=Source.GENERIC, kind="stolen", attributes={"certificate": other}))

    assert world.active_certificates("pump-9") == [other]
    outcome = world.case.outcomes[DEACTIVATE_CERTIFICATE]
    assert (outcome.progress, outcome.detail) == (
        Progress.FAILED,
        f"certificate {other[:12]} is not attached to {THING}",
    )


def test_a_thing_without_certificates_has_none_to_deactivate_or_rotate(world: World) -> None:
    world.registry.attached.clear()

    world.report(a_finding(source=Source.GENERIC, kind="stolen"))
    world.report(an_old_certificate())

    assert [outcome.progress for case in world.cases for outcome in case.outcomes.values()] == [Progress.FAILED] * 2


def test_a_failed_action_does_not_stop_the_next(world: World) -> None:
    world.registry.attached.clear()
    world.registry.group_policies.pop("warden-restricted")

    world.report(a_finding())

    assert world.case.outcomes[QUARANTINE].progress is Progress.FAILED
    assert world.case.outcomes[COLLECT_LOGS].progress is Progress.STARTED


# --- messages ------------------------------------------------------------------------------------------------------


def test_a_finding_survives_the_queue_whole() -> None:
    finding = a_finding(
        severity=Severity.CRITICAL, attributes={"metric": "aws:all-bytes-out"}, evidence={"value": {"count": 1.5}}
    )

    assert Finding.from_message(json.loads(json.dumps(finding.to_message()))) == finding


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"schema": SCHEMA, "type": "surprise"},
        {"schema": 99, "type": "finding"},
        {"schema": SCHEMA, "type": ["finding"]},
        {"schema": SCHEMA, "type": "\ud800\u202e" * 100},
        {"type": "finding", "finding": {}},
    ],
)
def test_a_message_nobody_knows_is_refused_on_record(world: World, message: dict[str, Any]) -> None:
    said = dispatch(message, world.context)

    assert said
    assert said.code == "unknown-message"
    assert said.reason.isascii()
    assert world.refusals == ["unknown-message"]


def test_the_same_finding_within_five_minutes_is_queued_once(world: World) -> None:
    send_finding(world.queue, a_finding())
    send_finding(world.queue, a_finding())
    send_finding(world.queue, replace(a_finding(), id="violation-2"))

    assert len(world.queue) == 2


def test_things_whose_names_differ_little_do_not_wait_for_each_other(world: World) -> None:
    for name in ("a:b", "a_b", "A:b", "a" * 127, "a" * 128):
        send_finding(world.queue, a_finding(name))

    assert len(world.queue.groups) == 5


def a_record(body: str) -> dict[str, Any]:
    return {"messageId": "m-1", "body": body, "attributes": {"SentTimestamp": str(int(NOON.timestamp() * 1000))}}


def taken_in(world: World, record: dict[str, Any]) -> Refused | None:
    body, envelope = unwrap(record, world.context.settings, world.clock())
    return ingest(body, envelope, world.context, lambda: timedelta(minutes=1)).refused


def test_a_violation_from_the_topic_contains_the_device(world: World) -> None:
    world.clock.advance(timedelta(days=2))
    event = json.loads((ROOT / "events" / "detect-violation-in-alarm.json").read_text())
    (record,) = bare_records(event) or []

    assert taken_in(world, record) is None
    world.drain()

    assert world.is_restricted()
    assert world.case.rule == "data-leaves-the-device"


@pytest.mark.parametrize("body", ["", "null", "[]", "{", "{}", '{"Type": "Notification"}', "\ud800", "[" * 100_000])
def test_what_cannot_be_read_is_refused_on_record(world: World, body: str) -> None:
    assert taken_in(world, a_record(body)) is not None

    assert len(world.refusals) == 1
    assert len(world.queue) == 0


def test_the_same_refusal_of_one_day_is_one_record(world: World) -> None:
    taken_in(world, a_record("{}"))
    taken_in(world, a_record("{}"))
    assert len(world.refusals) == 1

    world.clock.advance(timedelta(days=1))
    taken_in(world, a_record("{}"))
    assert len(world.refusals) == 2


def test_a_batch_from_the_queue_is_no_bare_event() -> None:
    assert bare_records({"Records": [{"body": "{}"}]}) is None
    assert bare_records({"Records": []}) is not None


def test_an_event_bus_event_is_seen_as_one_record() -> None:
    (record,) = bare_records({"id": "event-1", "detail": {}}) or []

    assert record["messageId"] == "event-1"
    assert json.loads(record["body"]) == {"id": "event-1", "detail": {}}


def test_a_message_inside_a_notification_is_taken_out_with_its_topic(world: World) -> None:
    body, envelope = unwrap(
        a_record(json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:::alerts", "Message": "{}"})),
        world.context.settings,
        world.clock(),
    )

    assert body == "{}"
    assert envelope.topic == "arn:aws:sns:::alerts"
    assert envelope.received_at == NOON


# --- as it travels -------------------------------------------------------------------------------------------------


def test_a_finding_travels_whole() -> None:
    found = an_old_certificate(supersedes=True, attributes={"check": "AGE"}, evidence={"days": 400})

    message = found.to_message()

    assert message == {
        "id": "audit-1",
        "source": "device-defender-audit",
        "kind": "certificate-age",
        "subject": {"type": "thing", "name": "pump-3"},
        "severity": "high",
        "observedAt": "2026-11-22T11:59:00.000000Z",
        "title": "pump-3 sent 7340032 bytes; at most 100000 are normal",
        "open": True,
        "ending": "",
        "supersedes": True,
        "attributes": {"check": "AGE"},
        "evidence": {"days": 400},
    }
    assert Finding.from_message(json.loads(json.dumps(message))) == found


def test_a_finding_of_an_earlier_version_supersedes_nothing() -> None:
    message = an_old_certificate().to_message()
    del message["supersedes"]

    assert Finding.from_message(message).supersedes is False
