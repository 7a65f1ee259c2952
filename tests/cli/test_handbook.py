"""docs/operations.md shows what the commands really print, and leaves out none of them."""

from pathlib import Path

import pytest

from tests.cli.answering import Operate
from tests.cli.conftest import Shell
from tests.cli.samples import CASE, CONTAINMENT, STORY, a_contained_case, a_file
from warden.cases.allowed import ALLOWED, Decision
from warden.cases.model import CaseState
from warden_cli.case_pages import COMMANDS

HANDBOOK = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()


def test_the_example_of_show_is_what_it_prints(shell: Shell, operate: Operate) -> None:
    operate.answering("show", a_file(a_contained_case(), *STORY, contained=CONTAINMENT))

    printed = [line.rstrip() for line in shell.warden("show", CASE).out.splitlines()]

    shown = HANDBOOK.partition(f"$ warden show {CASE}\n")[2].partition("\n```")[0].splitlines()
    assert [line for line in printed if " ago" not in line] == [line for line in shown if " ago" not in line]


@pytest.mark.parametrize(
    "command",
    [
        "cases",
        "show",
        "approve",
        "release",
        "dismiss",
        "collect-logs",
        "campaign",
        "stop",
        "resume",
        "plan check",
        "plan explain",
    ],
)
def test_every_command_is_in_the_handbook(command: str, shell: Shell) -> None:
    assert shell.warden(*command.split(), "--help").code == 0
    assert f"warden {command}" in HANDBOOK or f"`{command}`" in HANDBOOK


@pytest.mark.parametrize("state", CaseState)
def test_every_state_is_explained(state: CaseState) -> None:
    assert f"`{state}`" in HANDBOOK


@pytest.mark.parametrize("decision", Decision)
def test_the_command_that_a_case_proposes_for_a_decision_is_that_decision(
    decision: Decision, shell: Shell, operate: Operate
) -> None:
    operate.answering(decision, {"case": CASE, "queued": decision, "who": "x"})

    assert shell.warden(*COMMANDS[decision][1].format(case=CASE).split()).code == 0
    assert operate.asked[-1]["command"] == decision


@pytest.mark.parametrize("decision", Decision)
def test_the_handbook_says_for_which_cases_a_decision_is(decision: Decision) -> None:
    name = COMMANDS[decision][1].replace(" {case}", "")
    [row] = [line for line in HANDBOOK.splitlines() if line.startswith(f"| `{name}` |")]

    states = {state for state in CaseState if f"`{state}`" in row.split("|")[2]}
    assert states == {state for state, decisions in ALLOWED.items() if decision in decisions}
