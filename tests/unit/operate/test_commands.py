"""What operators may ask, what they are refused, and what people read in a notice."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import (
    NOON,
    OPERATOR,
    THING,
    World,
    a_finding,
    a_job_event,
    a_world,
    an_old_certificate,
    contained,
    its_end,
)
from warden.cases.allowed import Decision
from warden.cases.model import CaseState, Progress, StepKind
from warden.cases.wording import words_of
from warden.core.clock import to_text
from warden.core.errors import Refused
from warden.core.findings import Severity, Subject, SubjectType
from warden.core.ledger import Put
from warden.core.mode import Mode
from warden.core.ports import Disconnection
from warden.notify.case_notices import plain
from warden.operate.commands import operate
from warden.respond.dispatch import dispatch

ESCAPES = ["\x1b[31m", "\r\nBcc: eve@example.org", "\u202egnp.exe", "\u200b", "<!channel>\x00", "ü" * 50]


ERIN = "arn:aws:sts::000000000000:assumed-role/operators/erin"


@pytest.fixture(name="world")
def _world() -> World:
    return a_world()


def asked(world: World, **command: Any) -> dict[str, Any]:
    return operate(command, OPERATOR, "request-1", world.context)


def refused(world: World, **command: Any) -> str:
    with pytest.raises(Refused) as caught:
        asked(world, **command)
    assert caught.value.reason
    return caught.value.code


# --- reading -------------------------------------------------------------------------------------------------------


def test_open_cases_are_listed_newest_first() -> None:
    world = a_world("pump-1", "pump-2", "pump-3")
    for thing in ("pump-1", "pump-2", "pump-3"):
        world.report(a_finding(thing))
        world.clock.advance(timedelta(minutes=1))
    world.order("release-keeping-certificate", world.cases[0].id)

    listed = asked(world, command="cases")

    assert [case["thing"] for case in listed["cases"]] == ["pump-3", "pump-2"]
    assert not listed["more"]


def test_the_cases_of_a_thing_are_listed_closed_ones_too(world: World) -> None:
    contained(world)
    world.order("release-keeping-certificate", world.case.id)

    assert [case["state"] for case in asked(world, command="cases", thing=THING)["cases"]] == ["closed"]
    assert asked(world, command="cases", thing=THING, state="contained")["cases"] == []
    assert len(asked(world, command="cases", state="closed")["cases"]) == 1
    assert asked(world, command="cases", thing="pump-9")["cases"] == []


def test_two_hundred_cases_are_listed_and_that_there_are_more() -> None:
    world = a_world()
    world.report(a_finding())
    case = world.case
    for number in range(200):
        older = replace(case, id=f"case-{number}", opened_at=case.opened_at - timedelta(minutes=number + 1), version=0)
        world.context.cases.save(older, world.clock())

    answer = asked(world, command="cases")

    assert (len(answer["cases"]), answer["more"]) == (200, True)
    assert answer["cases"][0]["id"] == case.id
    assert "case-199" not in [each["id"] for each in answer["cases"]]


def test_a_case_is_shown_with_its_timeline_and_what_is_held(world: World) -> None:
    contained(world)

    shown = asked(world, command="show", case=world.case.id)

    assert shown["case"]["state"] == "contained"
    entries = [entry.step for entry in world.context.cases.timeline(world.case.id)]
    assert [(line["kind"], line["what"]) for line in shown["timeline"]] == [(x.kind, words_of(x)) for x in entries]
    assert {"kind": "action-done", "what": "quarantine done"}.items() <= shown["timeline"][3].items()
    assert shown["containment"]["policies"] == {world.device.certificate: ["pump-policy"]}


def test_nothing_is_held_any_more_after_the_release(world: World) -> None:
    contained(world)
    world.order("release-keeping-certificate", world.case.id)

    assert asked(world, command="show", case=world.case.id)["containment"] is None


# --- deciding ------------------------------------------------------------------------------------------------------


def awaiting(world: World) -> None:
    world.report(a_finding())


def closed(world: World) -> None:
    world.report(a_finding())
    world.order("dismiss", world.case.id)


def opened(world: World) -> None:
    world.report(a_finding(kind="something-new"))


def is_contained(world: World) -> None:
    world.report(a_finding())
    world.order("approve", world.case.id)


def recovering(world: World) -> None:
    is_contained(world)
    world.order("release", world.case.id)


@pytest.mark.parametrize(
    ("state", "allowed"),
    [
        (awaiting, {"approve", "dismiss"}),
        (closed, set()),
        (opened, {"dismiss", "collect-logs"}),
        (is_contained, {"release", "release-keeping-certificate", "collect-logs"}),
        (recovering, {"cancel"}),
    ],
)
@pytest.mark.parametrize("decision", Decision)
def test_a_decision_is_for_cases_in_its_states(
    state: Callable[[World], None], allowed: set[str], decision: Decision
) -> None:
    world = a_world(mode=Mode.APPROVE)
    state(world)

    if decision in allowed:
        assert asked(world, command=decision, case=world.case.id)["queued"] == decision
    else:
        assert refused(world, command=decision, case=world.case.id) in ("wrong-state", "nothing-planned")


def test_who_decided_stands_in_the_timeline_by_the_name_aws_gave() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())

    world.order("approve", world.case.id, why="seen on site")

    steps = [entry.step for entry in world.context.cases.timeline(world.case.id)]
    [step] = [step for step in steps if step.kind is StepKind.DECISION_TAKEN]
    assert step.facts["decision"] == "approve"
    assert (step.who, step.why) == (OPERATOR, "seen on site")
    assert world.case.approved_by == OPERATOR


def test_nothing_is_approved_where_the_stack_only_observes() -> None:
    world = a_world(mode=Mode.OBSERVE)
    world.report(a_finding())

    assert refused(world, command="approve", case=world.case.id) == "observe-only"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ({}, "unknown-command"),
        ({"command": "explode"}, "unknown-command"),
        ({"command": ["cases"]}, "unknown-command"),
        ({"command": "show"}, "bad-argument"),
        ({"command": "show", "case": 7}, "bad-argument"),
        ({"command": "show", "case": "no-such"}, "no-such-case"),
        ({"command": "release", "case": "no-such"}, "no-such-case"),
        ({"command": "cases", "state": "sleeping"}, "bad-argument"),
        ({"command": "cases", "thing": "a" * 501}, "bad-argument"),
        ({"command": "stop"}, "bad-argument"),
    ],
)
def test_a_call_that_cannot_be_answered_says_why(world: World, command: dict[str, Any], code: str) -> None:
    assert refused(world, **command) == code


def test_an_order_refused_when_its_turn_comes_is_told_in_the_timeline(world: World) -> None:
    contained(world)
    world.certificates.attach_policy(world.device.certificate, "admin")

    world.order("release", world.case.id)

    said = [entry.step.why for entry in world.context.cases.timeline(world.case.id)]
    assert any("was given admin meanwhile" in why for why in said)


def test_an_order_that_two_refuse_at_once_is_told_once(world: World) -> None:
    case = contained(world)
    order = {"type": "decision", "schema": 1, "decision": "approve", "case": case.id, "who": OPERATOR, "why": ""}
    order |= {"request": "request-1"}
    real = world.ledger.commit
    said: list[Refused | None] = []

    def overtaken(*puts: Put) -> None:
        world.ledger.commit = real  # type: ignore[method-assign]  # once
        said.append(dispatch(order, world.context))
        real(*puts)

    world.ledger.commit = overtaken  # type: ignore[method-assign]  # the other copy of the message
    said.append(dispatch(order, world.context))

    assert [each.code for each in said if each] == ["wrong-state", "wrong-state"]
    assert world.steps().count("decision-refused") == 1


def test_an_order_about_a_case_that_there_is_not_is_refused_on_record(world: World) -> None:
    order = {"type": "decision", "schema": 1, "decision": "approve", "case": "none", "who": OPERATOR, "why": ""}

    dispatch({**order, "request": "request-1"}, world.context)

    assert world.refusals == ["no-such-case"]
    assert world.cases == []


def test_the_same_order_from_two_operators_is_carried_out_once(world: World) -> None:
    contained(world)
    for request in ("request-1", "request-2"):
        operate({"command": "release", "case": world.case.id}, OPERATOR, request, world.context)

    world.drain()

    assert len(world.jobs.of("rotate-certificate")) == 1
    assert world.refusals == ["wrong-state"]


def test_who_stopped_the_service_first_stands_and_every_order_stays_on_record(world: World) -> None:
    first = {"type": "switch", "stopped": True, "who": OPERATOR, "why": "storm", "at": to_text(NOON)}
    assert asked(world, command="stop", why="storm") == first
    world.clock.advance(timedelta(minutes=1))

    assert operate({"command": "stop", "why": "me too"}, ERIN, "request-2", world.context) == first
    assert operate({"command": "resume"}, ERIN, "request-3", world.context)["stopped"] is False
    assert operate({"command": "stop", "why": "again"}, ERIN, "request-4", world.context)["who"] == ERIN

    orders = [(each["stopped"], each["who"], each["why"]) for each in world.ledger.of_type("switch-order")]
    assert orders == [(True, OPERATOR, "storm"), (True, ERIN, "me too"), (False, ERIN, ""), (True, ERIN, "again")]


def test_who_approved_and_who_released_are_two_facts() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())
    world.order("approve", world.case.id)

    operate({"command": "release-keeping-certificate", "case": world.case.id}, ERIN, "request-2", world.context)
    world.drain()

    assert world.case.state is CaseState.CLOSED
    assert (world.case.approved_by, world.case.released_by) == (OPERATOR, ERIN)


def test_a_release_that_is_taken_back_was_made_by_nobody(world: World) -> None:
    contained(world)
    operate({"command": "release", "case": world.case.id}, ERIN, "request-2", world.context)
    world.drain()
    assert world.case.released_by == ERIN

    world.order("cancel", world.case.id)

    assert (world.case.state, world.case.released_by) == (CaseState.CONTAINED, "")
    assert ERIN in [entry.step.who for entry in world.context.cases.timeline(world.case.id)]


# --- the sweep -----------------------------------------------------------------------------------------------------


def test_a_sweep_finds_nothing_where_nothing_is_due(world: World) -> None:
    world.sweep()

    assert world.ledger.records == {}


def test_what_a_sweep_could_not_finish_the_next_one_finds(world: World) -> None:
    contained(world)
    real = world.connections.disconnect
    failing = [True]

    def disconnect(client_id: str, *, forget: bool = False) -> Disconnection:
        if failing.pop() if failing else False:
            raise ConnectionError("throttled")
        return real(client_id, forget=forget)

    world.connections.disconnect = disconnect  # type: ignore[method-assign]  # once

    with pytest.raises(ConnectionError):
        world.sweep(after=timedelta(minutes=9))
    world.sweep(after=timedelta(minutes=5))

    assert world.connections.asked == [THING, THING]


def test_a_job_whose_case_moved_on_is_ended_quietly(world: World) -> None:
    contained(world)
    first = world.jobs.of("collect-logs")[-1]
    world.order("collect-logs", world.case.id)
    before = world.steps()

    world.jobs.events.append(a_job_event(first, THING, "FAILED", number=666))
    world.drain()

    assert world.steps() == before


def test_logs_that_are_being_collected_are_not_asked_for_twice(world: World) -> None:
    """An operator who did not hear the answer to a command gives it again, which is another call."""
    contained(world)
    world.order("collect-logs", world.case.id)
    under_way = world.jobs.of("collect-logs")

    world.order("collect-logs", world.case.id)

    assert world.jobs.of("collect-logs") == under_way
    assert world.refusals == []
    assert world.steps().count("collect-logs") == 2


@pytest.mark.parametrize("kind", ["aws:all-bytes-out", "aws:num-messages-sent"])
def test_logs_of_a_case_that_is_only_observed_are_collected_and_nothing_else_is_done(kind: str) -> None:
    """The plan may have wanted them as well; it would have quarantined the device in both."""
    world = a_world(mode=Mode.OBSERVE)
    world.report(a_finding(kind=kind))
    assert world.case.outcomes["quarantine"].progress is Progress.PLANNED

    world.order("collect-logs", world.case.id)
    assert len(world.jobs.of("collect-logs")) == 1
    world.device.work()
    world.drain()

    assert world.case.state is CaseState.OPEN
    assert world.case.outcomes["collect-logs"].progress is Progress.DONE
    assert world.case.outcomes["quarantine"].progress is Progress.PLANNED
    assert not world.is_restricted()


# --- notices -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ESCAPES)
def test_no_byte_of_a_finding_reaches_a_notice_unescaped(world: World, text: str) -> None:
    ghost = Subject(SubjectType.CLIENT_ID, f"ghost{text}")

    world.report(a_finding(subject=ghost, title=text, kind=f"kind{text}", severity=Severity.CRITICAL))

    (notice,) = world.notices.sent
    assert len(notice.subject) < 100
    assert notice.subject.isascii()
    assert notice.subject.isprintable()
    assert notice.body.isascii()
    assert all(sign == "\n" or sign.isprintable() for sign in notice.body)
    assert "\nBcc" not in notice.body


def test_the_longest_name_leaves_the_subject_under_a_hundred(world: World) -> None:
    world.enrol("p" * 128)

    world.report(a_finding("p" * 128))

    assert world.notices.subjects[0].startswith("Fleet Warden: contained: ppp")
    assert world.notices.subjects[0].endswith("... (high)")


@pytest.mark.parametrize(("text", "shown"), [("a\tb", "a\\tb"), ("ü", "\\xfc"), ("x" * 9, "xxxxx...")])
def test_what_is_not_plain_is_written_out(text: str, shown: str) -> None:
    assert plain(text, 8) == shown


def test_a_notice_says_what_was_done_and_what_to_do_next(world: World) -> None:
    world.report(a_finding())

    body = world.notices.sent[0].body
    assert "quarantine: done" in body
    assert f"warden release {world.case.id}" in body
    assert "https://us-east-1.console.aws.amazon.com/iot/home?region=us-east-1#/thing/pump-3" in body


def test_a_name_in_a_link_is_quoted() -> None:
    world = a_world("plant1:pump-9")

    world.report(a_finding("plant1:pump-9"))

    assert "#/thing/plant1%3Apump-9" in world.notices.sent[0].body


def test_a_notice_about_a_held_case_tells_how_to_decide() -> None:
    world = a_world(mode=Mode.APPROVE)

    world.report(a_finding())

    assert "APPROVAL NEEDED" in world.notices.subjects[0]
    assert f"warden approve {world.case.id}" in world.notices.sent[0].body


def test_people_hear_once_of_each_state(world: World) -> None:
    contained(world)
    world.report(a_finding(id="violation-2"))
    world.report(its_end(a_finding()))
    world.sweep(after=timedelta(minutes=9))

    assert len(world.notices.sent) == 1


def test_people_hear_of_a_rotation_that_failed(world: World) -> None:
    world.report(an_old_certificate())

    world.sweep(after=timedelta(hours=25))

    assert world.case.state is CaseState.OPEN
    assert "rotate-certificate: FAILED" in world.notices.sent[-1].body


def test_an_operator_can_report_a_device_and_it_goes_the_way_of_every_finding() -> None:
    world = a_world()

    answer = operate({"command": "find", "thing": "pump-3", "severity": "high"}, OPERATOR, "r-1", world.context)
    world.drain()

    assert answer["queued"] == "finding"
    assert (world.case.source, world.case.kind, world.case.thing) == ("operator", "suspicion", "pump-3")
    assert world.case.evidence["who"] == OPERATOR


@pytest.mark.parametrize(
    "command",
    [
        {"thing": "pump 3"},
        {"thing": ""},
        {"thing": "pump-3", "kind": "a b"},
        {"thing": "pump-3", "severity": "awful"},
        {"thing": "pump-3", "why": "\ud800"},
    ],
)
def test_a_report_that_cannot_be_read_is_refused(command: dict[str, str]) -> None:
    world = a_world()

    with pytest.raises(Refused, match="bad-argument"):
        operate({"command": "find", **command}, OPERATOR, "r-1", world.context)
    assert len(world.queue) == 0


@pytest.mark.parametrize(
    ("command", "value", "said"),
    [
        ("release", "yes", "`acceptChanges` is true or false"),
        ("dismiss", True, "`acceptChanges` is for a release, not for `dismiss`"),
    ],
)
def test_changes_are_accepted_by_a_release_alone(world: World, command: str, value: object, said: str) -> None:
    if command == "release":
        contained(world)
    else:
        world.order("stop", why="look first")
        world.report(a_finding())

    with pytest.raises(Refused, match="bad-argument") as refused:
        world.order(command, world.case.id, acceptChanges=value)
    assert said in str(refused.value)
