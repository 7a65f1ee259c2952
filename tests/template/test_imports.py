"""Functions import the package; inside it only `aws` and the composition root know AWS; one module reads the
environment; the rooms import one way."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import ROOT

WARDEN = ROOT / "layers" / "warden" / "warden"
MODULES = sorted(WARDEN.rglob("*.py"))
FUNCTIONS = sorted((ROOT / "functions").glob("*/*.py"))
AWS = ("boto3", "botocore")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}

LOOSE = {"account", "bootstrap", "context", "refusals", "settings"}
"""The only modules outside a folder."""
MOST_ROOMS = 25
LONGEST_CHAIN = 9
"""Rooms that import each other in a row, from the one that only functions import down to `core`; they are the tenth."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imported(path: Path) -> Iterator[str]:
    """List what a module imports when it runs; what only a type checker sees does not count."""
    tree = ast.parse(path.read_text())
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may_know_aws(path: Path) -> bool:
    return path.parent == WARDEN / "aws" or path == WARDEN / "bootstrap.py"


@pytest.mark.parametrize("path", [path for path in MODULES if not may_know_aws(path)], ids=name_of)
def test_a_module_of_the_domain_knows_no_aws(path: Path) -> None:
    known = [name for name in imported(path) if name.split(".")[0] in AWS or name.startswith("warden.aws")]

    assert known == []


@pytest.mark.parametrize("path", [path for path in MODULES if path.parent == WARDEN / "aws"], ids=name_of)
def test_an_adapter_does_not_reach_back_to_what_uses_it(path: Path) -> None:
    allowed = (
        "warden.core.account_facts",
        "warden.core.drift",
        "warden.core.errors",
        "warden.core.findings",
        "warden.core.ledger",
        "warden.core.ports",
        "warden.core.quotas",
        "warden.account",
        "warden.aws",
    )

    assert [
        name
        for name in imported(path)
        if name.startswith("warden.") and name != "warden.core" and not name.startswith(allowed)
    ] == []


@pytest.mark.parametrize("path", [*MODULES, *FUNCTIONS], ids=name_of)
def test_one_module_reads_the_environment(path: Path) -> None:
    read = [
        node.attr
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ENVIRONMENT and ast.unparse(node.value) == "os"
    ]
    by_name = [name for name in imported(path) if name.startswith("os.") and name.removeprefix("os.") in ENVIRONMENT]

    assert (read + by_name == []) == (path != WARDEN / "settings.py")


@pytest.mark.parametrize("path", FUNCTIONS, ids=name_of)
def test_a_function_is_a_door_and_imports_no_other(path: Path) -> None:
    names = list(imported(path))

    assert [name for name in names if name.split(".")[0] in ("functions", "app", "tests", *AWS)] == []
    assert [name for name in names if name.startswith("warden.aws")] == []
    assert [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef)] == []


def test_the_composition_root_types_every_port() -> None:
    """With an `Any` here the type checker would compare no adapter with its port."""
    names = {
        node.id for node in ast.walk(ast.parse((WARDEN / "bootstrap.py").read_text())) if isinstance(node, ast.Name)
    }

    assert "Any" not in names


Rooms = dict[str, dict[str, str]]
"""For each room the rooms that it imports, each with one import that does so."""


def rooms() -> Rooms:
    """Read every import inside the package, also those that only a type checker sees."""
    modules = {".".join(path.relative_to(WARDEN.parent).with_suffix("").parts): path for path in MODULES}
    modules = {name.removesuffix(".__init__"): path for name, path in modules.items()}
    found: Rooms = {room_of(path): {} for path in MODULES if path != WARDEN / "__init__.py"}
    for path in MODULES:
        for line, name in imports_of_the_package(path):
            target = modules.get(name) or modules[name.rpartition(".")[0]]
            if room_of(target) != room_of(path):
                found[room_of(path)].setdefault(room_of(target), f"{name_of(path)}:{line} imports {name}")
    return found


def imports_of_the_package(path: Path) -> Iterator[tuple[int, str]]:
    """List the line and the full name of each."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith("warden."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "warden":
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def room_of(path: Path) -> str:
    """Return the folder of a module, or the module's own name if it lies loose at the top."""
    inside = path.relative_to(WARDEN)
    return inside.stem if len(inside.parts) == 1 else str(inside.parent)


def longest_chain(graph: Rooms, room: str, above: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return the longest way down from a room; fail at a circle."""
    assert room not in above, "a circle:\n" + ways(graph, (*above[above.index(room) :], room))

    below = (longest_chain(graph, other, (*above, room)) for other in graph[room])
    return (room, *max(below, key=len, default=()))


def ways(graph: Rooms, chain: tuple[str, ...]) -> str:
    return "\n".join(f"  {graph[a][b]}" for a, b in pairwise(chain))


def test_the_rooms_import_one_way_in_a_short_chain() -> None:
    graph = rooms()

    longest = max((longest_chain(graph, room) for room in graph), key=len)

    assert len(longest) <= LONGEST_CHAIN, (
        f"a chain of {len(longest)} rooms, at most {LONGEST_CHAIN}: {' > '.join(longest)}\n{ways(graph, longest)}"
    )


def test_no_other_function_pays_for_the_survey() -> None:
    """Modules that only `survey_account` uses are imported on demand, so that other functions do not start later."""
    script = (
        "import sys; from warden import bootstrap; print(*sorted(each for each in sys.modules if 'warden' in each))"
    )
    paths = {"PYTHONPATH": f"{ROOT / 'layers/warden'}:{ROOT / 'layers/plan/python'}"}
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", script], env={**os.environ, **paths}, capture_output=True, text=True, check=True
    )

    loaded = done.stdout.split()
    assert "warden.aws.ledger" in loaded
    assert [each for each in loaded if "survey" in each or "account_reader" in each or "account_facts" in each] == []


def test_there_are_few_rooms() -> None:
    found = sorted(rooms())

    assert len(found) <= MOST_ROOMS, f"{len(found)} rooms, at most {MOST_ROOMS}: {', '.join(found)}"


def test_the_modules_that_lie_loose_are_the_ones_that_every_room_may_need() -> None:
    loose = {path.stem for path in WARDEN.glob("*.py")} - {"__init__"}

    assert loose == LOOSE, f"put {sorted(loose - LOOSE)} into the folder of its capability"
