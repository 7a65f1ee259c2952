"""The proof that a proposal allows nothing that was not allowed: by its statements, not by examples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from warden_cli.iot_policy import covers, listed


def unproven(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """List what cannot be shown to be within the policy: each right that no statement covers, each denial that is gone.

    A right is covered by one statement that allows it: its action and resource lie within the statement's, under at
    least the statement's conditions.
    """
    return [*_uncovered(before, after), *_without_denial(before, after)]


def _uncovered(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    allows = [each for each in listed(before["Statement"]) if each["Effect"] == "Allow"]
    for statement in listed(after["Statement"]):
        for action in listed(statement["Action"]) if statement["Effect"] == "Allow" else []:
            for resource in listed(statement["Resource"]):
                if not any(_covered(each, action, resource, statement) for each in allows):
                    yield f"{action} on {resource}"


def _covered(allow: Mapping[str, Any], action: str, resource: str, statement: Mapping[str, Any]) -> bool:
    return (
        any(covers(each.lower(), action.lower()) for each in listed(allow["Action"]))
        and any(covers(each, resource) for each in listed(allow["Resource"]))
        and _is_no_weaker(statement.get("Condition") or {}, allow.get("Condition") or {})
    )


def _is_no_weaker(condition: Mapping[str, Any], than: Mapping[str, Any]) -> bool:
    return all(
        condition.get(operator, {}).get(key) == value for operator, keys in than.items() for key, value in keys.items()
    )


def _without_denial(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    there = listed(after["Statement"])
    for statement in listed(before["Statement"]):
        if statement["Effect"] != "Allow" and statement not in there:
            yield f"the denial of {', '.join(listed(statement['Action']))}"
