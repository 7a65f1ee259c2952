"""The turns of phrase that are not English stay out of pages, docstrings, comments and messages."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PHRASES = {
    r"\bbelongs? into\b": "belongs in",
    r"\banew\b": "again",
    r"\ba text\b": "a string",
    r"\bthe empty text\b": "the empty string",
    r"\bg(?:oes|o|one|oing) on with\b": "continue, resume",
    r"\bwhoever\b": "the caller, the operator, the device",
    r"\bnot to be (?:seen|found|had)\b": "not visible, not found",
    r"\b(?:is|are|was) no (?:thing|[a-z]+ of)\b": "is not a ...",
    r"\bsaid of\b": "said about",
    r"\b(?:is|are|was|were) told of\b": "is notified of, reads about",
    r"\beach of them once\b": "each once",
    r"\bnobody (?:has )?thought of\b": "unforeseen",
    r"\b(?:\d+|control|one|each|few|many) signs?\b": "characters",
    r"\bc(?:omes?|ame) of age\b": "fall due",
    r"\bleft be\b": "left alone",
}
"""Each phrase, in any case, and what to write instead."""

OPENINGS = {
    r"Gives?\b": "Return",
    r"Tells?\b": "Return, Report",
    r"Says?\b": "Return, Report, Check",
    r"See that\b": "Check that",
}
"""How no docstring begins, and how it does."""

CODE = sorted(
    path
    for part in ("bin", "cli", "device", "functions", "layers", "tests", "tools")
    for path in (ROOT / part).rglob("*.py")
)
TEXTS = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *(ROOT / name for name in ("device/README.md", "events/README.md", "tests/corpus/README.md")),
    *(ROOT / name for name in ("template.yaml", "layers/plan/python/warden_plan/response-plan.toml", "Makefile")),
]


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def faults_of(line: int, words: str, phrases: dict[str, str]) -> Iterator[str]:
    """Name the line and the better wording of each phrase; a phrase may run over the end of a line."""
    words = re.sub(r"\n[ \t]*#[ \t]*", "\n", words)
    for phrase, better in phrases.items():
        for found in re.finditer(phrase.replace(" ", r"\s+"), words, re.IGNORECASE):
            at = line + words.count("\n", 0, found.start())
            yield f":{at}: {' '.join(found[0].split())!r}: write {better!r}"


def words_of(path: Path) -> Iterator[tuple[int, str]]:
    """List the comments and strings of a module, each with its line; comments in a row are one."""
    comments: list[tuple[int, str]] = []
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.STRING, tokenize.FSTRING_MIDDLE):
            yield token.start[0], token.string
        elif token.type == tokenize.COMMENT:
            comments.append((token.start[0], token.string))
    while comments:
        first, words = comments.pop(0)
        lines = [words]
        while comments and comments[0][0] == first + len(lines):
            lines.append(comments.pop(0)[1])
        yield first, "\n".join(lines)


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, kinds) and (text := ast.get_docstring(node)):
            yield node.body[0].lineno, text


def faults_in_code(path: Path) -> list[str]:
    found = [fault for line, words in words_of(path) for fault in faults_of(line, words, PHRASES)]
    starts = {rf"\A{opening}": better for opening, better in OPENINGS.items()}
    found += [fault for line, words in docstrings(path) for fault in faults_of(line, words, starts)]
    return [name_of(path) + fault for fault in found]


@pytest.mark.parametrize("path", [path for path in CODE if path != Path(__file__)], ids=name_of)
def test_the_words_of_a_module_are_english(path: Path) -> None:
    faults = faults_in_code(path)

    assert faults == [], "\n" + "\n".join(faults)


@pytest.mark.parametrize("path", TEXTS, ids=name_of)
def test_the_words_of_a_page_are_english(path: Path) -> None:
    faults = [name_of(path) + fault for fault in faults_of(1, path.read_text(), PHRASES)]

    assert faults == [], "\n" + "\n".join(faults)


def test_a_phrase_is_found_across_lines_in_comments_and_in_strings(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Give it."""\n\n# It belongs\n# into the\nNAME = f"begin {1} anew"\n')

    faults = [
        *(fault for line, words in words_of(module) for fault in faults_of(line, words, PHRASES)),
        *(fault for line, words in docstrings(module) for fault in faults_of(line, words, {r"\AGive\b": "Return"})),
    ]

    assert sorted(faults) == [
        ":1: 'Give': write 'Return'",
        ":3: 'belongs into': write 'belongs in'",
        ":5: 'anew': write 'again'",
    ]
