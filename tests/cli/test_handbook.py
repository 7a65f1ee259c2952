"""docs/operations.md shows what the commands really print, and leaves out none of them."""

from pathlib import Path

import pytest

from tests.cli.answering import Operate
from tests.cli.conftest import Shell
from tests.cli.samples import CASE, CONTAINMENT, STORY, a_contained_case, a_file
from warden.cases.model import CaseState
from warden_cli.case_pages import NEXT

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


@pytest.mark.parametrize(
    ("state", "command"), [(state, command) for state, rows in NEXT.items() for _, command in rows]
)
def test_every_command_that_a_case_proposes_exists_and_is_for_its_state(
    state: str, command: str, shell: Shell, operate: Operate
) -> None:
    verb, *flags = command.split()
    decision = "release-keeping-certificate" if flags else verb
    operate.answering(decision, {"case": CASE, "queued": decision, "who": "x"})

    assert state in CaseState
    assert shell.warden(verb, CASE, *flags).code == 0
