"""docs/operations.md shows what the commands really print, and leaves out none of them."""

import inspect
import re
from argparse import ArgumentParser, _SubParsersAction
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import warden_cli
from tests.cli.answering import Operate
from tests.cli.conftest import Shell
from tests.cli.samples import CASE, CONTAINMENT, STORY, a_contained_case, a_file
from warden.campaigns.allowed import CampaignDecision
from warden.cases.allowed import ALLOWED, ALLOWED_HALF_WAY, Decision
from warden.cases.model import CaseState
from warden.cases.wording import COMMANDS
from warden.operate import commands as operate_commands
from warden_cli.__main__ import _parser

HANDBOOK = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
COMMAND_MODULES = [
    import_module(f"warden_cli.{path.stem}") for path in sorted(Path(warden_cli.__file__).parent.glob("*_commands.py"))
]


def test_the_example_of_show_is_what_it_prints(shell: Shell, operate: Operate) -> None:
    operate.answering("show", a_file(a_contained_case(), *STORY, contained=CONTAINMENT))

    printed = [line.rstrip() for line in shell.warden("show", CASE).out.splitlines()]

    shown = HANDBOOK.partition(f"$ warden show {CASE}\n")[2].partition("\n```")[0].splitlines()
    assert [line for line in printed if " ago" not in line] == [line for line in shown if " ago" not in line]


def commands() -> list[str]:
    """Name every command that there is, those below another with both words."""
    return [name for name, parser in _every_parser() if parser.get_default("run")]


def _every_parser() -> Iterator[tuple[str, ArgumentParser]]:
    for name, parser in _choices(_parser({})).items():
        yield name, parser
        yield from ((f"{name} {below}", each) for below, each in _choices(parser).items())


def _choices(parser: ArgumentParser) -> dict[str, ArgumentParser]:
    below = [each.choices for each in parser._actions if isinstance(each, _SubParsersAction)]
    return {name: each for choices in below for name, each in choices.items()}


def test_what_the_command_asks_is_what_the_service_answers() -> None:
    sources = [path.read_text() for path in Path(warden_cli.__file__).parent.glob("*.py")]
    asked = {name for source in sources for name in re.findall(r'\.ask\(\s*"([a-z-]+)"', source)}
    answered = {*operate_commands._COMMANDS} - {*Decision} - {f"campaign-{each}" for each in CampaignDecision}

    assert asked - answered == set(), "operate/commands.py does not answer these"
    assert answered - asked == set(), "cli/warden_cli asks for none of these"


def test_every_command_that_is_written_can_be_given() -> None:
    written = {
        function
        for module in COMMAND_MODULES
        for name, function in vars(module).items()
        if inspect.isfunction(function) and function.__module__ == module.__name__ and not name.startswith("_")
        if [*inspect.signature(function).parameters] == ["arguments", "console"]
    }
    led_to = {parser.get_default("run") for _, parser in _every_parser()}

    assert {each.__name__ for each in written - led_to} == set(), "cli/warden_cli/__main__.py leads to none of these"


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_heading_in_the_handbook(command: str, shell: Shell) -> None:
    """A command that is only mentioned under another's heading is not explained."""
    assert shell.warden(*command.split(), "--help").code == 0
    assert command in explained(), f"docs/operations.md does not say what `warden {command}` is for: no heading has it"


def explained() -> set[str]:
    """List the commands that headings name, without what follows them: `warden approve`, `cancel CASE`."""
    headings = re.findall(r"^### (`warden .*?): ", HANDBOOK, re.MULTILINE)
    return {name for heading in headings for name in re.findall(r"`(?:warden )?([a-z -]*[a-z])[^`]*`", heading)}


@pytest.mark.parametrize("state", CaseState)
def test_every_state_is_explained(state: CaseState) -> None:
    assert f"`{state}`" in HANDBOOK


@pytest.mark.parametrize("decision", Decision)
def test_the_command_that_a_case_proposes_for_a_decision_is_that_decision(
    decision: Decision, shell: Shell, operate: Operate
) -> None:
    operate.answering(decision, {"case": CASE, "queued": decision, "who": "x"})

    assert shell.warden(*COMMANDS[decision].format(case=CASE).split()).code == 0
    assert operate.asked[-1]["command"] == decision


@pytest.mark.parametrize("decision", Decision)
def test_the_handbook_says_for_which_cases_a_decision_is(decision: Decision) -> None:
    name = COMMANDS[decision].replace(" {case}", "")
    section = HANDBOOK.partition("### `warden approve`")[2].partition("\n### ")[0]
    [row] = [line for line in section.splitlines() if line.startswith(f"| `{name}` |")]

    states = {state for state in CaseState if f"`{state}`" in row.split("|")[2]}
    tables = (*ALLOWED.items(), *ALLOWED_HALF_WAY.items())
    assert states == {state for state, decisions in tables if decision in decisions}
