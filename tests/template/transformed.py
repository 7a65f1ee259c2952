"""template.yaml as tests read it: as written, as SAM makes it, and with every name filled in."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import yaml
from samtranslator.translator.transform import transform

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
    template = yaml.load(TEMPLATE.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader with CloudFormation's tags
    return json.dumps(template, default=str)


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
    """Give the template as SAM hands it to CloudFormation."""
    return dict(json.loads(_deployed()))


def resources(kind: str) -> dict[str, dict[str, Any]]:
    """Give the deployed resources of a type: logical name to properties."""
    return {
        name: dict(resource.get("Properties", {}))
        for name, resource in deployed()["Resources"].items()
        if resource["Type"] == kind
    }


def reference(value: Any) -> str:
    """Give the logical name that a Ref or GetAtt refers to; nothing when it is neither."""
    if isinstance(value, Mapping):
        if "Ref" in value:
            return str(value["Ref"])
        if "Fn::GetAtt" in value:
            attribute = value["Fn::GetAtt"]
            return str(attribute[0] if isinstance(attribute, list) else attribute.partition(".")[0])
    return ""


def filled(value: Any, names: Mapping[str, str] | None = None) -> Any:
    """Fill in every reference: pseudo parameters, defaults of parameters, and `<Name>` or `<Name.Attribute>`."""
    known = PSEUDO | dict(names or {})
    parameters = written()["Parameters"]

    def name(logical: str) -> str:
        if logical in known:
            return known[logical]
        if logical in parameters:
            return str(parameters[logical].get("Default", logical))
        return f"<{logical}>"

    def fill(part: Any) -> Any:
        if isinstance(part, list):
            return [each for each in map(fill, part) if each != "<AWS::NoValue>"]
        if not isinstance(part, Mapping):
            return part
        if set(part) == {"Ref"}:
            return name(part["Ref"])
        if set(part) == {"Fn::GetAtt"}:
            attribute = part["Fn::GetAtt"]
            return name(attribute if isinstance(attribute, str) else ".".join(attribute))
        if set(part) == {"Fn::Sub"}:
            return _substituted(str(part["Fn::Sub"]), name)
        if set(part) == {"Fn::If"}:
            return fill(part["Fn::If"][2])  # every condition is about an optional parameter, empty by default
        return {key: fill(each) for key, each in part.items()}

    return fill(value)


def _substituted(text: str, name: Any) -> str:
    return re.sub(r"\$\{(!?)([^}]+)\}", lambda found: f"${{{found[2]}}}" if found[1] else name(found[2]), text)


def statements(document: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List a policy's statements."""
    found = document["Statement"]
    return list(found) if isinstance(found, list) else [found]


def listed(value: Any) -> list[Any]:
    """Give one or several as several."""
    return list(value) if isinstance(value, list) else [value]


def role_statements(role: str) -> Iterator[dict[str, Any]]:
    """List what a role allows, over all its policies, names filled in."""
    for policy in resources("AWS::IAM::Role")[role].get("Policies", []):
        yield from filled(statements(policy["PolicyDocument"]))


def logical_functions() -> dict[str, dict[str, Any]]:
    """Give the functions as they are written: logical name to properties."""
    return {
        name: resource["Properties"]
        for name, resource in written()["Resources"].items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
