"""No sentence is stored, logged or compared: programs read values, people read words."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Set
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.record_forms import FORMS, LINES, faults_in, faults_in_line

DETECTORS = ROOT / "layers/warden/warden/ingest/detectors"
"""They read events from outside, in which EventBridge calls `detail` what is not words."""
CODE = [*(ROOT / "layers/warden/warden").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]
CLI = sorted((ROOT / "cli/warden_cli").glob("*.py"))
FOR_PEOPLE = {"what", "why", "detail", "title", "reason", "message", "note"}
"""Attributes and keys that hold words for people."""

LOCAL_WORDS = FOR_PEOPLE - {"message"}
"""Variables of these names do too; `message` is what a detector sent, as often as not."""

READS = {"startswith", "endswith", "partition", "rpartition", "split", "removeprefix", "removesuffix"}
A_STEP = {
    "type": "step",
    "at": "2026-11-22T12:00:00.000000Z",
    "kind": "action-done",
    "who": "fleet-warden",
    "why": "1 certificate restricted",
    "facts": {"action": "quarantine"},
}


def tree_of(path: Path) -> ast.Module:
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


def bound(scope: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Find the variables of a function with what each is taken from."""
    for node in ast.walk(scope):
        match node:
            case (
                ast.comprehension(target=ast.Name(name), iter=value)
                | ast.For(target=ast.Name(name), iter=value)
                | ast.Assign(targets=[ast.Name(name)], value=value)
                | ast.NamedExpr(target=ast.Name(name), value=value)
            ):
                yield name, value


def are_words(node: ast.expr, names: Set[str]) -> bool:
    """Check whether an expression is words for people, or several of them."""
    match node:
        case ast.Attribute(attr=name) | ast.Subscript(slice=ast.Constant(str(name))):
            return name in FOR_PEOPLE
        case ast.Subscript(value=value):
            return are_words(value, names)
        case ast.Name(name):
            return name in names
    return False


def names_of_words(scope: ast.AST) -> Set[str]:
    """List the variables that hold words for people, by their name or by what they are taken from."""
    names: Set[str] = LOCAL_WORDS
    while (found := names | {name for name, value in bound(scope) if are_words(value, names)}) != names:
        names = found
    return names


def compared(tree: ast.Module) -> Iterator[str]:
    """Find words for people that are compared, or whose beginning or end is looked at."""
    for scope in tree.body:
        names = names_of_words(scope)
        for node in ast.walk(scope):
            operands: list[ast.expr] = []
            if isinstance(node, ast.Compare):
                operands = [node.left, *node.comparators]
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READS:
                operands = [node.func.value]
            if any(are_words(each, names) for each in operands):
                yield f"line {node.lineno}: {ast.unparse(node)}"  # type: ignore[attr-defined]  # both have one


@pytest.mark.parametrize("path", CLI, ids=lambda path: path.stem)
def test_the_command_reads_kinds_and_not_words(path: Path) -> None:
    assert list(compared(tree_of(path))) == []


@pytest.mark.parametrize(
    "path", [path.relative_to(ROOT) for path in sorted(CODE) if DETECTORS not in path.parents], ids=str
)
def test_the_functions_read_kinds_and_not_words(path: Path) -> None:
    assert list(compared(tree_of(ROOT / path))) == []


@pytest.mark.parametrize(
    "line",
    [
        "entry.what == 'held'",
        "entry.what.endswith(' failed')",
        "'x' in action.detail",
        "line['why'] == 'held'",
        "why[0].startswith('source ')",
        "reason.partition(': ')",
    ],
)
def test_a_comparison_of_words_is_found(line: str) -> None:
    assert list(compared(ast.parse(line))) == [f"line 1: {line}"]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("all(each.startswith(names) for each in why)", "each.startswith(names)"),
        ("for each in rule.why: each.startswith('kind is ')", "each.startswith('kind is ')"),
        ("def f(entry):\n said = entry.what\n first = said\n return first == 'held'", "first == 'held'"),
        ("if (said := told['why']) and said != 'x': pass", "said != 'x'"),
    ],
)
def test_words_under_another_name_are_found(code: str, found: str) -> None:
    [fault] = compared(ast.parse(code))

    assert fault.endswith(f": {found}")


@pytest.mark.parametrize("code", ["entry.kind == 'held'", "for each in kinds: each == 'held'", "print(entry.what)"])
def test_values_may_be_compared_and_words_printed(code: str) -> None:
    assert list(compared(ast.parse(code))) == []
