"""AWS's quotas stand in one module, each with its source, and say what AWS's own service models say."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.loaders import Loader

from tests.conftest import ROOT
from warden.core import quotas

PACKAGE = ROOT / "layers" / "warden" / "warden"
QUOTAS = PACKAGE / "core" / "quotas.py"
MODULES = [
    path
    for folder in (PACKAGE, ROOT / "functions", ROOT / "cli")
    for path in sorted(folder.rglob("*.py"))
    if path != QUOTAS
]
SOURCE = re.compile(r"(API [Rr]eference, \w+)|(General Reference, AWS [\w ]+, [\w ]+, )|((User|Developer) Guide, )")
NAMED = sorted(name for name in vars(quotas) if name.isupper())

MODELLED = (
    ("iot", "ThingName", "THING_NAME"),
    ("iot", "PolicyName", "POLICY_NAME"),
    ("iot", "RoleAlias", "ROLE_ALIAS_NAME"),
    ("iam", "roleNameType", "ROLE_NAME"),
    ("iot", "JobId", "JOB_ID"),
    ("iot-data", "ClientId", "CLIENT_ID_BYTES"),
    ("iot", "CertificateSigningRequest", "CSR_CHARACTERS"),
    ("iot", "PageSize", "LIST_PAGE"),
    ("iot", "MaxResults", "LIST_PAGE"),
    ("iot", "RegistryMaxResults", "LIST_PAGE"),
    ("iot", "MaximumPerMinute", "NOTIFIED_PER_MINUTE"),
    ("acm-pca", "String64", "COMMON_NAME_CHARACTERS"),
    ("acm-pca", "IdempotencyToken", "IDEMPOTENCY_TOKEN_CHARACTERS"),
)
DISTINCTIVE = {quotas.LIST_PAGE, quotas.CSR_CHARACTERS, quotas.FINDING_FIELD_CHARACTERS}
"""Values that occur nowhere else here by chance."""


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def constants(path: Path) -> Iterator[tuple[str, ast.expr, str]]:
    """List what a module assigns at its top: the name, the value, the docstring below."""
    body = ast.parse(path.read_text()).body
    for node, after in zip(body, [*body[1:], None], strict=True):
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Name) and value is not None:
            told = after.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else None
            yield target.id, value, str(told.value) if told else ""


def _lists_words(value: ast.expr) -> bool:
    """Check whether a constant lists words and holds no number: a fact of AWS's with its source, and no quota."""
    kinds = {type(node.value) for node in ast.walk(value) if isinstance(node, ast.Constant)}
    return kinds == {str} and not isinstance(value, ast.Constant)


def sentences(path: Path) -> Iterator[str]:
    """List the sentences of a module's comments and strings that speak of quotas."""
    for token in tokenize.generate_tokens(io.StringIO(path.read_text()).readline):
        if token.type in (tokenize.COMMENT, tokenize.STRING):
            yield from (each for each in re.split(r"\.\s|\n\n", token.string) if "quota" in each.lower())


def test_every_quota_names_its_source() -> None:
    told = {name: docstring for name, _, docstring in constants(QUOTAS)}

    assert sorted(told) == NAMED
    assert [name for name, docstring in told.items() if not SOURCE.search(docstring)] == []


@pytest.mark.parametrize("name", NAMED)
def test_every_quota_is_used(name: str) -> None:
    assert any(re.search(rf"\bquotas\.{name}\b", path.read_text()) for path in MODULES)


@pytest.mark.parametrize(("service", "shape", "name"), MODELLED)
def test_a_quota_that_a_service_model_states_is_what_it_states(service: str, shape: str, name: str) -> None:
    stated: dict[str, Any] = Loader().load_service_model(service, "service-2")["shapes"][shape]
    ours = getattr(quotas, name)

    if isinstance(ours, int):
        assert stated["max"] == ours
        return
    allowed = re.compile(stated["pattern"], re.ASCII)
    for character in map(chr, range(256)):
        assert bool(re.fullmatch(ours, character)) == bool(allowed.fullmatch(character)), repr(character)
    assert re.fullmatch(ours, "a" * stated["max"])
    assert not re.fullmatch(ours, "a" * (stated["max"] + 1))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_other_module_keeps_a_quota_of_aws(path: Path) -> None:
    by_name = [name for name, _, _ in constants(path) if name.lstrip("_") in NAMED]
    by_source = [
        name
        for name, value, told in constants(path)
        if re.search("quota", told, re.I) or (SOURCE.search(told) and not _lists_words(value))
    ]
    by_value = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and type(node.value) is int and node.value in DISTINCTIVE
    ]
    in_words = [sentence for sentence in sentences(path) if re.search(r"(?<!decision )\b\d", sentence)]

    assert (by_name, by_source, by_value, in_words) == ([], [], [], [])
