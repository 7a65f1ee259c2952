"""Functions import the package; inside it only `aws` and the composition root know AWS; one module reads the
environment."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

WARDEN = ROOT / "layers" / "warden" / "warden"
MODULES = sorted(WARDEN.rglob("*.py"))
FUNCTIONS = sorted((ROOT / "functions").glob("*/*.py"))
AWS = ("boto3", "botocore")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}


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
        "warden.core.errors",
        "warden.core.findings",
        "warden.core.ledger",
        "warden.core.ports",
        "warden.account",
        "warden.aws",
    )

    assert [name for name in imported(path) if name.startswith("warden.") and not name.startswith(allowed)] == []


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
