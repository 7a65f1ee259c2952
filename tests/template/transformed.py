"""template.yaml as tests read it: as written, as SAM makes it, and with every name filled in."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from samtranslator.translator.transform import transform  # type: ignore[import-untyped]  # it ships no types

from tests.baseline.evaluation import Evaluation, Place
from tests.conftest import ROOT

ACCOUNT = "123456789012"
REGION = "eu-central-1"
STACK = "fleet-warden"
TEMPLATE = ROOT / "template.yaml"

PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::StackName": STACK}


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short forms: `!Ref x` as {"Ref": x}."""


def _intrinsic(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True)  # type: ignore[arg-type]  # the only kind that is left
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _intrinsic)


@cache
def _written() -> str:
    return json.dumps(read_template(TEMPLATE))


def read_template(path: Path) -> dict[str, Any]:
    """Read a template with the long form of every function."""
    template = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader with CloudFormation's tags
    return dict(json.loads(json.dumps(template, default=str)))


def written() -> dict[str, Any]:
    """Read the template as it is written."""
    return dict(json.loads(_written()))


@cache
def _deployed() -> str:
    template = written()
    for name, resource in template["Resources"].items():
        properties = resource.get("Properties", {})
        for key in ("CodeUri", "ContentUri"):
            if key in properties:
                properties[key] = f"s3://artifacts/{name}"
    before = os.environ.get("AWS_DEFAULT_REGION")
    try:
        os.environ["AWS_DEFAULT_REGION"] = REGION
        return json.dumps(transform(copy.deepcopy(template), {}, _NoManagedPolicies()))
    finally:
        if before is not None:
            os.environ["AWS_DEFAULT_REGION"] = before


class _NoManagedPolicies:
    def load(self) -> dict[str, str]:
        return {}


def deployed() -> dict[str, Any]:
    """Return the template as SAM passes it to CloudFormation."""
    return dict(json.loads(_deployed()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Return the deployed resources of a type: logical name to properties."""
    return {
        name: dict(resource.get("Properties", {}))
        for name, resource in deployed()["Resources"].items()
        if resource["Type"] == kind
    }


def reference(value: Any) -> str:
    """Return the logical name that a Ref or GetAtt refers to, by default that of an If; empty when it is neither."""
    if isinstance(value, Mapping):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            attribute = value["Fn::GetAtt"]
            return str(attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0])
        if "Fn::If" in value:
            return reference(_branch(value["Fn::If"]))
    return ""


@cache
def _defaults() -> Evaluation:
    """Evaluate the template's conditions with every parameter as it is by default."""
    known = {name: each["Default"] for name, each in written()["Parameters"].items()}
    return Evaluation(written(), known, Place(stack=STACK, region=REGION, account=ACCOUNT))


def _branch(branches: list[Any]) -> Any:
    """Return what an If gives by default."""
    return branches[1] if _defaults().holds(branches[0]) else branches[2]


def filled(value: Any) -> Any:
    """Fill in every reference: pseudo parameters, defaults of parameters, and `<Name>` or `<Name.Attribute>`."""
    if isinstance(value, list):
        return [each for each in map(filled, value) if each != "<AWS::NoValue>"]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        [(function, argument)] = value.items()
        if function in _FILLED:
            return _FILLED[function](argument)
    return {key: filled(each) for key, each in value.items()}


def _name(logical: str) -> str:
    parameter = written()["Parameters"].get(logical)
    return PSEUDO.get(logical) or (str(parameter.get("Default", logical)) if parameter else f"<{logical}>")


def _substituted(text: str) -> str:
    return re.sub(r"\$\{(!?)([^}]+)\}", lambda found: f"${{{found[2]}}}" if found[1] else _name(found[2]), text)


_FILLED: dict[str, Callable[[Any], Any]] = {
    "Ref": _name,
    "Fn::GetAtt": lambda attribute: _name(attribute if isinstance(attribute, str) else ".".join(attribute)),
    "Fn::Sub": _substituted,
    "Fn::If": lambda branches: filled(_branch(branches)),
}


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List a policy's statements."""
    found = document["Statement"]
    return list(found) if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    """Return one value or several as a list."""
    return list(value) if isinstance(value, list) else [value]


def role_statements(role: str) -> Iterator[dict[str, Any]]:
    """List what a role allows, over all its policies, names filled in."""
    for policy in resources("AWS::IAM::Role")[role].get("Policies", []):
        yield from filled(statements(policy["PolicyDocument"]))


def logical_functions() -> dict[str, dict[str, Any]]:
    """Return the functions as they are written: logical name to properties."""
    return {
        name: resource["Properties"]
        for name, resource in written()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
