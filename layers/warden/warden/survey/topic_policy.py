"""Whether a topic's own policy lets a role publish, as far as the policy alone can say.

In one account the policy of the topic or that of the role is enough, and a denial in either is final (IAM user guide,
"Policy evaluation logic"). The role's is not read here. Anything that this evaluation does not understand makes the
verdict uncertain, never sure.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

_ACTION = "sns:publish"


class Publishing(StrEnum):
    """What a topic's policy says about a role."""

    ALLOWED = "allowed"
    DENIED = "denied"
    NOT_NAMED = "not-named"
    """It says nothing; the role's own policy decides."""
    UNCERTAIN = "uncertain"


def may_publish(policy: str, role: str, topic: str) -> Publishing:
    """Evaluate the policy for a role of the topic's own account that publishes over TLS."""
    verdicts = {effect: set(_matches(policy, effect, role, topic)) for effect in ("Deny", "Allow")}
    if True in verdicts["Deny"]:
        return Publishing.DENIED
    if None in verdicts["Deny"]:
        return Publishing.UNCERTAIN
    if True in verdicts["Allow"]:
        return Publishing.ALLOWED
    return Publishing.UNCERTAIN if None in verdicts["Allow"] else Publishing.NOT_NAMED


def _matches(policy: str, effect: str, role: str, topic: str) -> Iterator[bool | None]:
    """Compare the statements of an effect; None is one that is not understood."""
    try:
        statements = _listed(json.loads(policy)["Statement"])
    except (ValueError, KeyError, TypeError):
        yield None
        return
    for statement in statements:
        try:
            if statement.get("Effect") == effect:
                yield _is_about(statement, role, topic)
        except (AttributeError, TypeError):  # a statement of a form that is not known may be about anything
            yield None


def _is_about(statement: Mapping[str, Any], role: str, topic: str) -> bool | None:
    if {"NotPrincipal", "NotAction", "NotResource"} & statement.keys():
        return None
    actions = [str(each).lower() for each in _listed(statement.get("Action", []))]
    resources = [str(each) for each in _listed(statement.get("Resource", topic))]
    if not any(fnmatchcase(_ACTION, each) for each in actions):
        return False
    if not any(fnmatchcase(topic, each) for each in resources):
        return False
    principals = statement.get("Principal", {})
    named = {"*"} if principals == "*" else {str(each) for each in _listed(principals.get("AWS", []))}
    if not named & _names_of(role, statement["Effect"]):
        return False
    return _all_hold(statement.get("Condition", {}), role)


def _names_of(role: str, effect: str) -> set[str]:
    """List the principals by which a statement is about a role. A denial to its account is one to its roles.

    If only the account is allowed, the role's own policy decides.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    partition, account = role.split(":")[1], role.split(":")[4]
    whole = {account, f"arn:{partition}:iam::{account}:root"} if effect == "Deny" else set()
    return {"*", role, *whole}


def _all_hold(conditions: Mapping[str, Mapping[str, Any]], role: str) -> bool | None:
    held = {
        _holds(operator, key.lower(), [str(each) for each in _listed(wanted)], role)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    }
    return False if False in held else None if None in held else True


def _holds(operator: str, key: str, wanted: Sequence[str], role: str) -> bool | None:
    account = role.split(":")[4]
    known = {
        "aws:principalarn": role,
        "aws:principalaccount": account,
        "aws:sourceowner": account,  # of the topic's default policy, which means the account's own principals by it
        "aws:securetransport": "true",
    }
    if key not in known or operator not in _OPERATORS:
        return None
    is_among = any(fnmatchcase(known[key], each) for each in wanted)
    return is_among is not operator.removeprefix("String").removeprefix("Arn").startswith("Not")


_OPERATORS = frozenset(
    each
    for kind in ("String", "Arn")
    for each in (f"{kind}Equals", f"{kind}Like", f"{kind}NotEquals", f"{kind}NotLike", "Bool")
)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
