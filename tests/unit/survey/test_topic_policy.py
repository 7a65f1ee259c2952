"""What a topic's policy says about a role: sure only where every part of a statement is understood."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.survey.accounts import ALERT_ROLE, ALERTS, POLICY
from warden.survey.topic_policy import Publishing, may_publish

P = Publishing
OTHER = "arn:aws:iam::123456789012:role/other"
ALLOW = {"Effect": "Allow", "Principal": {"AWS": ALERT_ROLE}, "Action": "sns:Publish", "Resource": ALERTS}
DENY = {"Effect": "Deny", "Principal": "*", "Action": "sns:*", "Resource": "*"}
DEFAULT = {
    "Effect": "Allow",
    "Principal": {"AWS": "*"},
    "Action": ["SNS:GetTopicAttributes", "SNS:Publish"],
    "Resource": ALERTS,
    "Condition": {"StringEquals": {"AWS:SourceOwner": "123456789012"}},
}
"""What SNS gives a new topic."""


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Statement": [*statements]})


def when(operator: str, key: str, *wanted: str) -> dict[str, Any]:
    return {"Condition": {operator: {key: [*wanted]}}}


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ([ALLOW], P.ALLOWED),
        ([DEFAULT], P.ALLOWED),
        ([{**ALLOW, "Principal": "*"}], P.ALLOWED),
        ([{**ALLOW, "Principal": {"AWS": [OTHER, ALERT_ROLE]}}], P.ALLOWED),
        ([{**ALLOW, "Action": "*"}], P.ALLOWED),
        ([{**ALLOW, "Action": "sns:Pub*"}], P.ALLOWED),
        ([{key: value for key, value in ALLOW.items() if key != "Resource"}], P.ALLOWED),
        ([], P.NOT_NAMED),
        ([{**ALLOW, "Principal": {"AWS": OTHER}}], P.NOT_NAMED),
        ([{**ALLOW, "Principal": {"Service": "iot.amazonaws.com"}}], P.NOT_NAMED),
        ([{**ALLOW, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}], P.NOT_NAMED),
        ([{**ALLOW, "Action": "sns:Subscribe"}], P.NOT_NAMED),
        ([{**ALLOW, "Resource": f"{ALERTS}-2"}], P.NOT_NAMED),
        ([{**DEFAULT, **when("StringEquals", "AWS:SourceOwner", "210987654321")}], P.NOT_NAMED),
        ([ALLOW, DENY], P.DENIED),
        ([ALLOW, {**DENY, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}}], P.DENIED),
        ([ALLOW, {**DENY, "Principal": {"AWS": "123456789012"}}], P.DENIED),
        ([ALLOW, {**DENY, "Principal": {"AWS": "arn:aws:iam::210987654321:root"}}], P.ALLOWED),
        ([ALLOW, {**DENY, **when("ArnNotEquals", "aws:PrincipalArn", OTHER)}], P.DENIED),
        ([ALLOW, {**DENY, **when("ArnNotLike", "aws:PrincipalArn", OTHER, ALERT_ROLE)}], P.ALLOWED),
        ([ALLOW, {**DENY, **when("StringNotEquals", "aws:PrincipalAccount", "210987654321")}], P.DENIED),
        ([ALLOW, {**DENY, **when("Bool", "aws:SecureTransport", "false")}], P.ALLOWED),
        ([ALLOW, {**DENY, **when("StringNotEquals", "aws:PrincipalOrgID", "o-1")}], P.UNCERTAIN),
        ([ALLOW, {**DENY, **when("ForAllValues:StringEquals", "aws:PrincipalArn", OTHER)}], P.UNCERTAIN),
        ([ALLOW, {"Effect": "Deny", "NotPrincipal": {"AWS": OTHER}, "Action": "sns:Publish"}], P.UNCERTAIN),
        ([{**ALLOW, **when("StringEquals", "aws:PrincipalOrgID", "o-1")}], P.UNCERTAIN),
        ([ALLOW, {**ALLOW, **when("StringEquals", "aws:PrincipalOrgID", "o-1")}], P.ALLOWED),
        ([{**ALLOW, "Condition": {"Bool": {"aws:SecureTransport": "false"}, "X": {"y": "z"}}}], P.NOT_NAMED),
    ],
)
def test_what_a_policy_says(statements: list[dict[str, Any]], said: Publishing) -> None:
    assert may_publish(policy(*statements), ALERT_ROLE, ALERTS) is said


def test_one_statement_need_not_be_in_a_list() -> None:
    assert may_publish(json.dumps({"Statement": ALLOW}), ALERT_ROLE, ALERTS) is P.ALLOWED


def test_the_policy_of_the_baselines_topic() -> None:
    assert may_publish(POLICY, ALERT_ROLE, ALERTS) is P.ALLOWED
    assert may_publish(POLICY, OTHER, ALERTS) is P.DENIED


@pytest.mark.parametrize("broken", ["", "no JSON", "[]", "{}", "null"])
def test_a_policy_that_cannot_be_read_is_uncertain(broken: str) -> None:
    assert may_publish(broken, ALERT_ROLE, ALERTS) is P.UNCERTAIN


@pytest.mark.parametrize(
    "statement",
    ["text", None, {**DENY, "Principal": "text"}, {**DENY, "Principal": None}, {**DENY, "Condition": ["text"]}],
)
def test_a_statement_of_another_form_is_uncertain(statement: Any) -> None:
    assert may_publish(policy(ALLOW, statement), ALERT_ROLE, ALERTS) is P.UNCERTAIN
