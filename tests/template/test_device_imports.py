"""A rotation's transitions are in one module, and what takes long to import is imported when a device asks."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.template.test_imports import FUNCTIONS, MODULES, WARDEN, imported, name_of

STATE_MACHINE = WARDEN / "devices" / "rotation.py"
ROTATION_RECORDS = "warden.devices.rotation_records"


def names(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [alias.name for alias in node.names]


def modules_of(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return names(node)
    return [node.module or "", *(f"{node.module}.{name}" for name in names(node))]


@pytest.mark.parametrize("path", [each for each in (*MODULES, *FUNCTIONS) if each != STATE_MACHINE], ids=name_of)
def test_only_its_state_machine_writes_a_rotation(path: Path) -> None:
    """Other modules read: without these three names none of them can make a rotation, or put one into a commit."""
    wholesale = [
        node
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and ROTATION_RECORDS in [alias.name for alias in node.names])
        or (isinstance(node, ast.ImportFrom) and node.module == "warden.devices" and "rotation_records" in names(node))
    ]
    writing = {f"{ROTATION_RECORDS}.{name}" for name in ("Rotation", "rotation_put", "save_rotation")}

    assert writing & set(imported(path)) == set()
    assert wholesale == []
    if re.search(r"""["']type["']: (["']rotation["']|RecordType\.ROTATION\b)""", path.read_text()):
        assert path.stem == "rotation_records"


@pytest.mark.parametrize("path", [*MODULES, *FUNCTIONS], ids=name_of)
def test_no_other_module_gives_a_rotation_a_state(path: Path) -> None:
    """They cannot even use `replace` on a rotation that they have read."""
    states = [
        ast.unparse(node)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.keyword) and node.arg == "state" and "RotationState" in ast.unparse(node.value)
    ]

    assert states == [] or path in (STATE_MACHINE, STATE_MACHINE.with_name("rotation_records.py"))


def test_cryptography_is_imported_when_a_device_asks_and_not_before() -> None:
    """It takes 40 ms of a cold start: `devices/csr.py` and the adapter of Private CA import it when they need it."""
    at_once = {
        (name_of(path), name)
        for path in (*MODULES, *FUNCTIONS)
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in modules_of(node)
        if name.split(".")[0] == "cryptography" or name == "warden.devices.keys"
    }
    late = {
        name_of(path)
        for path in MODULES
        for name in imported(path)
        if name.split(".")[0] == "cryptography" or name == "warden.devices.keys"
    }

    assert {path for path, _ in at_once} == {"layers/warden/warden/devices/keys.py"}
    assert late - {path for path, _ in at_once} == {
        "layers/warden/warden/devices/csr.py",
        "layers/warden/warden/aws/private_ca.py",
    }
