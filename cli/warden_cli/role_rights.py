"""What a role may do by its policies, and what of it CloudTrail saw it use."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

BLIND = (
    "iam:PassRole",
    "cloudwatch:PutMetricData",
    "cognito-identity:Get*",
    "cognito-sync:*",
    "dynamodb:Batch*",
    "dynamodb:DeleteItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:Query",
    "dynamodb:Scan",
    "dynamodb:UpdateItem",
    "execute-api:*",
    "firehose:PutRecord*",
    "iot:Connect",
    "iot:DeleteThingShadow",
    "iot:GetRetainedMessage",
    "iot:GetThingShadow",
    "iot:ListRetainedMessages",
    "iot:Publish",
    "iot:Receive",
    "iot:RetainPublish",
    "iot:Subscribe",
    "iot:UpdateThingShadow",
    "kinesis:GetRecords",
    "kinesis:PutRecord*",
    "kinesisvideo:*",
    "lambda:InvokeFunction",
    "logs:PutLogEvents",
    "s3:AbortMultipartUpload",
    "s3:DeleteObject*",
    "s3:GetObject*",
    "s3:ListMultipartUploadParts",
    "s3:PutObject*",
    "sns:Publish*",
    "sqs:DeleteMessage*",
    "sqs:ReceiveMessage",
    "sqs:SendMessage*",
    "timestream:WriteRecords",
)
"""Actions that no generated policy holds, whether they are used or not: data events and iam:PassRole.

IAM User Guide, "IAM Access Analyzer policy generation", things to know; CloudTrail User Guide, "Logging data events".
The lists of the services other than S3, DynamoDB, Lambda and SNS are from memory, and unverified; the list is not
complete.
"""


class Verdict(StrEnum):
    """What is known about the use of a right."""

    SEEN = "seen"
    NOT_SEEN = "not-seen"
    CANNOT_TELL = "cannot-tell"
    DENIED = "denied"


@dataclass(frozen=True, kw_only=True)
class RolePolicy:
    """A policy of a role."""

    name: str
    attached: bool
    """Whether it is a managed policy, which other roles may have as well."""
    document: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Right:
    """One action, or pattern of actions, that a policy allows or denies. `excluded`: every action except this."""

    policy: str
    action: str
    resources: Sequence[str]
    denies: bool = False
    conditional: bool = False
    excluded: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What a generated policy says: actions that CloudTrail saw, and services whose actions it does not know."""

    actions: frozenset[str]
    services: frozenset[str]


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A right and what is known about its use."""

    right: Right
    verdict: Verdict
    seen: Sequence[str] = ()


def rights_of(policies: Sequence[RolePolicy]) -> list[Right]:
    """List every right of a role, in the order of its policies."""
    return [
        right
        for policy in policies
        for statement in listed(policy.document.get("Statement", []))
        for right in _rights(policy.name, statement)
    ]


def _rights(policy: str, statement: Mapping[str, Any]) -> Iterator[Right]:
    excluded = [str(each) for each in listed(statement.get("NotAction", []))]
    elsewhere = [f"not {each}" for each in listed(statement.get("NotResource", []))]
    for action in listed(statement.get("Action", [])) or ["*"]:
        yield Right(
            policy=policy,
            action=str(action),
            resources=[str(each) for each in listed(statement.get("Resource", []))] or elsewhere,
            denies=statement.get("Effect") == "Deny",
            conditional=bool(statement.get("Condition")),
            excluded=excluded,
        )


def usage_of(documents: Sequence[Mapping[str, Any]]) -> Usage:
    """Read the actions of generated policies. An entry that is not a plain action name stands for its service alone."""
    named = [
        str(action)
        for document in documents
        for statement in listed(document.get("Statement", []))
        for action in listed(statement.get("Action", []))
    ]
    plain = {each for each in named if re.fullmatch(r"[a-z0-9-]+:[A-Za-z0-9]+", each)}
    return Usage(
        actions=frozenset(plain),
        services=frozenset(each.partition(":")[0] for each in named if each not in plain),
    )


def judge(rights: Sequence[Right], usage: Usage) -> list[Judged]:
    """Judge each right by what was seen."""
    return [_judged(each, usage) for each in rights]


def _judged(right: Right, usage: Usage) -> Judged:
    if right.denies:
        return Judged(right=right, verdict=Verdict.DENIED)
    seen = sorted(
        action
        for action in usage.actions
        if matches(right.action, action) and not any(matches(each, action) for each in right.excluded)
    )
    if seen:
        return Judged(right=right, verdict=Verdict.SEEN, seen=seen)
    return Judged(right=right, verdict=Verdict.CANNOT_TELL if _is_blind(right, usage) else Verdict.NOT_SEEN)


def _is_blind(right: Right, usage: Usage) -> bool:
    """Whether it may be used without having been seen."""
    service, _, name = right.action.lower().partition(":")
    if not name or set(service) & {"*", "?"} or service in usage.services:
        return True
    return any(_may_share(right.action, each) for each in BLIND)


def _may_share(one: str, other: str) -> bool:
    """Whether an action may match both patterns; two wildcards match if their beginnings agree."""
    if matches(one, other) or matches(other, one):
        return True
    begins = [re.split(r"[*?]", each.lower(), maxsplit=1) for each in (one, other)]
    if any(len(each) == 1 for each in begins):
        return False
    first, second = begins[0][0], begins[1][0]
    return first.startswith(second) or second.startswith(first)


def matches(pattern: str, action: str) -> bool:
    """Whether an action is one of a pattern's; actions have no case."""
    return _compiled(pattern.lower()).fullmatch(action.lower()) is not None


@lru_cache(maxsize=4_000)
def _compiled(pattern: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)


def listed(value: Any) -> list[Any]:
    """Return a list: in a policy, a single item may stand alone."""
    return list(value) if isinstance(value, list) else [value]
