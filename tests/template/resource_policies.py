"""Every door of the deployment: whom a resource's own policy lets in or keeps out, in the words of docs/security.md."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.conftest import ROOT
from tests.template.authorisation import with_options
from tests.template.transformed import (
    ACCOUNT,
    REGION,
    STACK,
    filled,
    listed,
    reference,
    resources,
    statements,
    written,
)

type Door = tuple[str, str, str, str, str]
"""The resource, Allow or Deny, who, what, and under which condition."""

_PROTECTED = {"AWS::SNS::TopicPolicy": "Topics", "AWS::SQS::QueuePolicy": "Queues", "AWS::S3::BucketPolicy": "Bucket"}
_WORDS = {
    "ArnEquals": "is",
    "ArnLike": "is like",
    "ArnNotEquals": "is not",
    "Bool": "is",
    "StringEquals": "is",
}


def doors_of_template() -> list[Door]:
    """List every statement of every trust, topic, queue, bucket and key policy, and every permission of a function."""
    return sorted([*_policies(), *_permissions()])


def doors_of_document() -> list[Door]:
    """Read the table of docs/security.md."""
    section = (ROOT / "docs" / "security.md").read_text().partition("## Every door\n")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return sorted(_door(*(cell.strip() for cell in row)) for row in rows[2:])


def as_row(door: Door) -> str:
    """Write a door as a row of the table."""
    return f"| {' | '.join(door)} |"


def _door(at: str, effect: str, who: str, what: str, condition: str) -> Door:
    return (at, effect, who, what, condition)


def _policies() -> Iterator[Door]:
    for role, properties in resources("AWS::IAM::Role").items():
        yield from _statements(role, properties["AssumeRolePolicyDocument"])
    for key, properties in resources("AWS::KMS::Key").items():
        yield from _statements(key, properties["KeyPolicy"])
    for kind, protected in _PROTECTED.items():
        for properties in resources(kind).values():
            for resource in listed(properties[protected]):
                yield from _statements(reference(resource), properties["PolicyDocument"])


def _statements(at: str, document: Mapping[str, Any]) -> Iterator[Door]:
    for each in filled(_with_parameters(with_options(statements(document)))):
        assert set(each) <= {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
        yield _door(
            _code(at), each["Effect"], _who(each["Principal"]), _list(each["Action"]), _when(each.get("Condition", {}))
        )


def _permissions() -> Iterator[Door]:
    """Read who may invoke a function. A function's URL has no policy: it admits everybody whom IAM admits."""
    for properties in resources("AWS::Lambda::Permission").values():
        function, source = reference(properties["FunctionName"]), reference(properties["SourceArn"])
        # SAM names the rule of a schedule after its function and the event: Function.Event reads better.
        source = f"{function}.{source.removeprefix(function)}" if source.startswith(function) else source
        condition = {"ArnEquals": {"aws:SourceArn": source}}
        who = {"Service": filled(properties["Principal"])}
        yield _door(_code(function), "Allow", _who(who), _list(properties["Action"]), _when(condition))


def _with_parameters(value: Any) -> Any:
    """Replace an optional parameter, empty by default, with its name."""
    if isinstance(value, list):
        return [_with_parameters(each) for each in value]
    if not isinstance(value, Mapping):
        return value
    name = value.get("Ref", "")
    if written()["Parameters"].get(name, {}).get("Default") == "":
        return f"<{name}>"
    return {key: _with_parameters(each) for key, each in value.items()}


def _who(principal: Any) -> str:
    if principal == "*":
        return "everybody"
    [(kind, named)] = principal.items()
    assert kind in ("AWS", "Service")
    return _list(named)


def _when(conditions: Mapping[str, Any]) -> str:
    said = [
        f"{_code(key)} {_WORDS[operator]} {_list(wanted)}"
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    ]
    return "; ".join(sorted(said))


def _list(value: Any) -> str:
    return ", ".join(_code(_short(str(each))) for each in listed(value))


def _short(text: str) -> str:
    """Leave out of an ARN what is the same in all of them."""
    text = re.sub(r"<(\w+)(?:\.Arn)?>", r"\1", text)
    text = text.replace(f":{REGION}:{ACCOUNT}:", ":").replace(f"::{ACCOUNT}:", ":").removeprefix("arn:aws:")
    return text.replace(ACCOUNT, "this account").replace(REGION, "<region>").replace(STACK, "<stack>")


def _code(text: str) -> str:
    return f"`{text}`"
