"""What a state allows: the service's refusal, `show` and the notice say the same of every case."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from tests.fakes import THING, World, a_finding, a_world
from warden.cases.allowed import ALLOWED, Decision, allowed, refusal_of
from warden.cases.model import Case, CaseState, Outcome, Progress
from warden.core.actions import QUARANTINE
from warden.core.errors import Refused
from warden.core.mode import Mode
from warden.notify.case_notices import body_of
from warden.plan.actions import COLLECT_LOGS
from warden.respond.decisions import check_decision

_GIVEN = {Decision.RELEASE_KEEPING_CERTIFICATE: "release {case} --keep-certificate"}
_PLANNED = {QUARANTINE: Outcome(Progress.PLANNED)}
_FAILED = {QUARANTINE: Outcome(Progress.FAILED)}
_CASES = [*product(CaseState, (THING, ""), ({}, _PLANNED, _FAILED), (Mode.OBSERVE, Mode.ENFORCE))]


def a_case(world: World, state: CaseState, thing: str, outcomes: dict[str, Outcome], mode: Mode) -> Case:
    """Force a case into a state, on a stack with a mode."""
    world.report(a_finding())
    world.context = replace(world.context, settings=replace(world.context.settings, mode=mode))
    changed = replace(world.case, state=state, thing=thing, outcomes=outcomes)
    return world.context.cases.save(changed, world.clock())


def test_every_state_has_a_row_and_every_decision_is_allowed_somewhere() -> None:
    assert set(ALLOWED) == set(CaseState)
    assert {decision for decisions in ALLOWED.values() for decision in decisions} == set(Decision)


def test_what_is_under_way_or_over_waits_for_nobody() -> None:
    assert {state for state, decisions in ALLOWED.items() if not decisions} == {
        CaseState.RESPONDING,
        CaseState.CLOSED,
    }


@pytest.mark.parametrize(("state", "thing", "outcomes", "mode"), _CASES)
def test_the_refusal_show_and_the_notice_agree(
    state: CaseState, thing: str, outcomes: dict[str, Outcome], mode: Mode
) -> None:
    world = a_world()
    case = a_case(world, state, thing, outcomes, mode)

    said = body_of(case, world.context.settings, "").partition("What to do next\n")[2].split("\n\n")[0]
    shown = world.order("show", case.id)["allowed"]

    assert shown == allowed(case, mode)
    for decision in Decision:
        command = "warden " + _GIVEN.get(decision, f"{decision} {{case}}").format(case=case.id)
        assert (decision in shown) == _is_accepted(decision, case, world)
        assert (decision in shown) == any(line.endswith(command) for line in said.splitlines())
    assert f"warden show {case.id}" in said


def _is_accepted(decision: Decision, case: Case, world: World) -> bool:
    try:
        check_decision(decision, case, world.context)
    except Refused:
        return False
    return True


@pytest.mark.parametrize(
    ("decision", "changes", "mode", "code"),
    [
        (Decision.RELEASE, {"state": CaseState.OPEN}, Mode.ENFORCE, "wrong-state"),
        (Decision.APPROVE, {"state": CaseState.HELD, "outcomes": _PLANNED}, Mode.OBSERVE, "observe-only"),
        (Decision.DISMISS, {"state": CaseState.OPEN, "outcomes": _FAILED}, Mode.ENFORCE, "half-way"),
        (Decision.APPROVE, {"state": CaseState.OPEN, "outcomes": _FAILED}, Mode.ENFORCE, "half-way"),
        (Decision.APPROVE, {"state": CaseState.HELD, "outcomes": {}}, Mode.ENFORCE, "nothing-planned"),
        (Decision.COLLECT_LOGS, {"state": CaseState.OPEN, "thing": ""}, Mode.ENFORCE, "no-device"),
    ],
)
def test_a_refusal_says_why(decision: Decision, changes: dict[str, object], mode: Mode, code: str) -> None:
    world = a_world()
    world.report(a_finding())

    refusal = refusal_of(decision, replace(world.case, **changes), mode)  # type: ignore[arg-type]

    assert refusal is not None
    assert refusal.code == code


def test_a_notice_of_a_contained_case_lists_each_release_and_the_logs() -> None:
    world = a_world()
    world.report(a_finding())
    case = world.case

    assert f"""What to do next
  The device can still run jobs; its telemetry and commands are blocked.
  Read it:                        warden show {case.id}
  Release with a new certificate: warden release {case.id}
  Release on the old one:         warden release {case.id} --keep-certificate
  Collect its logs:               warden collect-logs {case.id}
""" in body_of(case, world.context.settings, "")
    assert COLLECT_LOGS in allowed(case, Mode.OBSERVE), "what an operator asks for is done in every mode"
