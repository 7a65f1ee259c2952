"""No sentence is stored, logged or compared: programs read values, people read words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.record_forms import FORMS, LINES, faults_in, faults_in_line

CODE = [*(ROOT / "layers/warden/warden").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
CLI = sorted((ROOT / "cli/warden_cli").glob("*.py"))
FOR_PEOPLE = {"what", "why", "detail", "title", "reason", "message"}
A_STEP = {
    "type": "step",
    "at": "2026-11-22T12:00:00.000000Z",
    "kind": "action-done",
    "who": "fleet-warden",
    "why": "1 certificate restricted",
    "facts": {"action": "quarantine"},
}


def tree_of(path: Path) -> ast.AST:
    return ast.parse(path.read_text())


def logged() -> Iterator[ast.expr]:
    for path in CODE:
        for node in ast.walk(tree_of(path)):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name("logger"), attr="info" | "warning" | "error" | "exception")
                ):
                    yield node.args[0]


def written() -> Iterator[str]:
    """Find the types of the records that the service writes."""
    for path in CODE:
        for node in ast.walk(tree_of(path)):
            match node:
                case ast.Call(func=ast.Name("RecordType"), keywords=keywords):
                    yield from (ast.literal_eval(each.value) for each in keywords if each.arg == "name")
                case ast.Dict(keys=[ast.Constant("type"), *_], values=[ast.Constant(str(name)), *_]):
                    yield name


def test_every_type_of_record_has_its_forms_and_no_other() -> None:
    assert set(written()) == set(FORMS)


def test_every_log_line_has_its_form_and_no_other() -> None:
    said = {ast.literal_eval(message) for message in logged()}

    assert said == set(LINES)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({}, []),
        ({"kind": "quarantine done"}, ["step.kind: 'quarantine done'"]),
        ({"facts": {"action": "quarantined it"}}, ["step.facts: {'action': 'quarantined it'}"]),
        ({"at": "noon"}, ["step.at: 'noon'"]),
        ({"note": "x"}, ["step.note: no form is known"]),
        ({"type": "story"}, ["a record of no known type: 'story'"]),
    ],
)
def test_words_where_a_value_belongs_are_found(changes: dict[str, object], fault: list[str]) -> None:
    assert list(faults_in({**A_STEP, **changes})) == fault


def test_words_for_a_result_are_found() -> None:
    assert list(faults_in_line("job event", {"message_id": "m", "result": "handed-on"})) == []
    assert list(faults_in_line("job event", {"message_id": "m", "result": "not an end"})) == [
        "job event: result: 'not an end'"
    ]
    assert list(faults_in_line("job event", {"note": "m"})) == ["job event: note: no form is known"]
    assert list(faults_in_line("a story", {})) == ["a line that is not known: 'a story'"]


def compared(tree: ast.AST) -> Iterator[str]:
    """Find words for people that are compared, or whose beginning or end is looked at."""
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            operands = [node.func.value] if node.func.attr in ("startswith", "endswith", "partition", "split") else []
        for each in operands:
            if isinstance(each, ast.Attribute) and each.attr in FOR_PEOPLE:
                yield f"line {node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]  # both have one


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.stem)
def test_the_command_reads_kinds_and_not_words(path: Path) -> None:
    assert list(compared(tree_of(path))) == []


@pytest.mark.parametrize("line", ["entry.what == 'held'", "entry.what.endswith(' failed')", "'x' in action.detail"])
def test_a_comparison_of_words_is_found(line: str) -> None:
    assert list(compared(ast.parse(line))) == [f"line 1: {line}"]
