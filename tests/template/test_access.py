"""Who may do what: each role grants what its code calls and no more, each door admits who is written down here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.template.transformed import (
    ACCOUNT,
    REGION,
    STACK,
    TEMPLATE,
    filled,
    listed,
    logical_functions,
    reference,
    resources,
    role_statements,
    statements,
)
from warden.actions import TOUCHING
from warden.device_requests import PERMISSIONS
from warden.governor import STOP_KEY

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
HERE = {"StringEquals": {"aws:SourceAccount": ACCOUNT}}

NO_RESOURCE = {
    "iot:DescribeAuditFinding",
    "iot:ListAuditFindings",
    "iot:CreateCertificateFromCsr",
    "iot:DescribeEventConfigurations",
    "iot:ListAttachedPolicies",
    "iot:ListCertificates",
    "iot:UpdateEventConfigurations",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}
"""Actions that the Service Authorization Reference knows no resource type for: `*` is the only one they take."""

RUNS = {"logs:CreateLogStream", "logs:PutLogEvents", "xray:PutTraceSegments", "xray:PutTelemetryRecords"}
KEY = {"kms:Decrypt", "kms:GenerateDataKey"}
TAKES = {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}

OWN_WORK = {
    "IngestRole": TAKES
    | RUNS
    | KEY
    | {"sqs:SendMessage", "dynamodb:GetItem", "dynamodb:PutItem", "iot:ListAuditFindings"},
    "RespondRole": TAKES
    | RUNS
    | KEY
    | {"dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "sns:Publish", "events:PutEvents"}
    # Before any action: is it a thing, who shares its certificates, does the detector stand by its word?
    | {"iot:DescribeThing", "iot:ListThingGroupsForThing", "iot:ListThingPrincipals", "iot:ListPrincipalThings"}
    | {"iot:ListActiveViolations", "iot:DescribeAuditFinding", "iot:ListAuditFindings", "sqs:SendMessage"},
    "ServeDeviceRole": TAKES | RUNS | KEY | {"dynamodb:GetItem", "dynamodb:PutItem"},
    "TrackDeviceRole": TAKES | RUNS | KEY | {"sqs:SendMessage", "dynamodb:GetItem", "dynamodb:PutItem"},
    "SweepCasesRole": RUNS | KEY | {"sqs:SendMessage", "dynamodb:Query"},
    "OperateRole": RUNS | KEY | {"sqs:SendMessage", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query"},
    "SetUpAccountRole": RUNS
    | KEY
    | {"sqs:SendMessage"}
    | {"iot:AttachPolicy", "iot:DetachPolicy", "iot:ListTargetsForPolicy"}
    | {"iot:DescribeEventConfigurations", "iot:UpdateEventConfigurations"},
    "AlertRole": KEY | {"sns:Publish"},
    "RuleRole": KEY | {"sqs:SendMessage"},
}
"""What each role needs for its own work, apart from what the actions and the answers to devices declare."""

DECLARED: dict[str, set[str]] = {
    "RespondRole": {permission for action in TOUCHING.values() for permission in action.permissions},
    "ServeDeviceRole": set(PERMISSIONS),
}

TRUSTS = {
    "AlertRole": ("iot.amazonaws.com", {**HERE, "ArnLike": {"aws:SourceArn": f"{IOT}*"}}),
    "RuleRole": ("iot.amazonaws.com", {**HERE, "ArnLike": {"aws:SourceArn": f"{IOT}rule/*"}}),
    # Lambda documents no source for its execution roles: iam:PassRole is what guards those.
    **dict.fromkeys(
        [reference(properties["Role"]) for properties in logical_functions().values()], ("lambda.amazonaws.com", {})
    ),
}

DOORS: dict[str, list[tuple[str, Any, str, Any]]] = {
    "AlertTopicPolicy": [
        ("Allow", {"AWS": ["<AlertRole.Arn>"]}, "sns:Publish", {}),
        ("Deny", "*", "sns:Publish", {"ArnNotEquals": {"aws:PrincipalArn": ["<AlertRole.Arn>"]}}),
    ],
    "NoticesTopicPolicy": [
        (
            "Allow",
            {"Service": "cloudwatch.amazonaws.com"},
            "sns:Publish",
            {**HERE, "ArnLike": {"aws:SourceArn": f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:*"}},
        ),
        ("Allow", {"AWS": "<RespondRole.Arn>"}, "sns:Publish", {}),
    ],
    "InboxQueuePolicy": [
        (
            "Allow",
            {"Service": "sns.amazonaws.com"},
            "sqs:SendMessage",
            {**HERE, "ArnEquals": {"aws:SourceArn": "<AlertTopic>"}},
        ),
        (
            "Allow",
            {"Service": "events.amazonaws.com"},
            "sqs:SendMessage",
            {
                **HERE,
                "ArnEquals": {
                    "aws:SourceArn": ["<GuardDutyRule.Arn>", "<SecurityHubRule.Arn>", "<GenericFindingRule.Arn>"]
                },
            },
        ),
    ],
    "ParkedPolicy": [
        (
            "Allow",
            {"Service": "sns.amazonaws.com"},
            "sqs:SendMessage",
            {**HERE, "ArnEquals": {"aws:SourceArn": "<AlertTopic>"}},
        ),
        (
            "Allow",
            {"Service": "events.amazonaws.com"},
            "sqs:SendMessage",
            {**HERE, "ArnLike": {"aws:SourceArn": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{STACK}-*"}},
        ),
    ],
    "EvidenceBucketPolicy": [("Deny", "*", "s3:*", {"Bool": {"aws:SecureTransport": "false"}})],
}

ROLES = resources("AWS::IAM::Role")
POLICIES = {
    name: properties["PolicyDocument"]
    for kind in ("AWS::SNS::TopicPolicy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy")
    for name, properties in resources(kind).items()
}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_grants_what_its_code_calls_and_nothing_else(role: str) -> None:
    granted = {action for statement in role_statements(role) for action in listed(statement["Action"])}

    assert granted == OWN_WORK[role] | DECLARED.get(role, set())


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_its_resources_wherever_there_are_any(role: str) -> None:
    for statement in role_statements(role):
        everywhere = "*" in listed(statement["Resource"])
        assert everywhere == (set(listed(statement["Action"])) <= NO_RESOURCE), statement


@pytest.mark.parametrize("role", ROLES)
def test_a_role_only_allows_and_never_by_exception_or_pattern(role: str) -> None:
    for statement in role_statements(role):
        assert statement["Effect"] == "Allow"
        assert set(statement) <= {"Effect", "Action", "Resource", "Condition"}
        assert not [action for action in listed(statement["Action"]) if "*" in action]


def test_jobs_that_are_not_ours_are_out_of_reach() -> None:
    for role in ("RespondRole", "ServeDeviceRole"):
        jobs = [
            resource
            for statement in role_statements(role)
            for resource in listed(statement["Resource"])
            if ":job/" in resource
        ]
        assert jobs
        assert set(jobs) == {f"{IOT}job/warden-*"}


def test_an_answer_is_all_that_can_be_published() -> None:
    topics = {
        resource
        for statement in role_statements("ServeDeviceRole")
        if "iot:Publish" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }

    assert topics == {f"{IOT}topic/warden/*/accepted", f"{IOT}topic/warden/*/rejected"}


def test_operators_write_nothing_but_the_switch() -> None:
    [statement] = [each for each in role_statements("OperateRole") if "dynamodb:PutItem" in listed(each["Action"])]

    assert statement["Condition"] == {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": [STOP_KEY.partition]}}


def test_the_role_that_sets_up_the_account_reaches_our_group_and_policy_only() -> None:
    named = {
        resource
        for statement in role_statements("SetUpAccountRole")
        for resource in listed(statement["Resource"])
        if resource.startswith(IOT)
    }

    assert named == {f"{IOT}thinggroup/{STACK}-restricted", f"{IOT}policy/{STACK}-restricted"}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_trusted_to_one_service_for_this_account(role: str) -> None:
    [statement] = filled(statements(ROLES[role]["AssumeRolePolicyDocument"]))

    service, condition = TRUSTS[role]
    assert statement["Principal"] == {"Service": service}
    assert statement.get("Condition", {}) == condition


def test_every_door_is_written_down() -> None:
    assert set(POLICIES) == set(DOORS)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_door_admits_who_is_written_down(policy: str) -> None:
    admitted = [
        (each["Effect"], each["Principal"], each["Action"], each.get("Condition", {}))
        for each in filled(statements(POLICIES[policy]))
    ]

    assert admitted == DOORS[policy]


@pytest.mark.parametrize("policy", POLICIES)
def test_no_service_is_admitted_without_its_account_and_its_source(policy: str) -> None:
    for statement in filled(statements(POLICIES[policy])):
        if statement["Effect"] == "Allow" and "Service" in statement["Principal"]:
            keys = {key for condition in statement["Condition"].values() for key in condition}
            assert keys == {"aws:SourceAccount", "aws:SourceArn"}


def test_queues_that_have_no_door_are_reached_by_our_roles_alone() -> None:
    queues = set(resources("AWS::SQS::Queue"))
    opened = {reference(queue) for policy in resources("AWS::SQS::QueuePolicy").values() for queue in policy["Queues"]}

    assert queues - opened == {"CaseQueue", "DeviceRequestQueue", "JobEventQueue", "ParkedCases"}


def test_a_function_is_invoked_by_its_schedule_and_its_schedule_alone() -> None:
    [permission] = resources("AWS::Lambda::Permission").values()

    assert permission["Principal"] == "events.amazonaws.com"
    assert reference(permission["FunctionName"]) == "SweepCasesFunction"
    assert reference(permission["SourceArn"]) == "SweepCasesFunctionEveryFiveMinutes"


def test_the_operators_url_wants_a_signature() -> None:
    [url] = resources("AWS::Lambda::Url").values()

    assert url["AuthType"] == "AWS_IAM"
    assert "Cors" not in url


def test_the_key_serves_services_of_this_account_only() -> None:
    policy = filled(resources("AWS::KMS::Key")["Key"]["KeyPolicy"])

    by_service = [each for each in statements(policy) if "Service" in each["Principal"]]
    assert [sorted(listed(each["Principal"]["Service"])) for each in by_service] == [
        ["cloudwatch.amazonaws.com", "events.amazonaws.com", "sns.amazonaws.com"],
        [f"logs.{REGION}.amazonaws.com"],
    ]
    assert by_service[0]["Condition"] == HERE
    assert ACCOUNT in str(by_service[1]["Condition"])
    [root] = [each for each in statements(policy) if "AWS" in each["Principal"]]
    assert root["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}


def test_every_star_says_on_its_line_why_there_is_no_other_resource() -> None:
    stars = [line for line in TEMPLATE.read_text().splitlines() if re.search(r"Resource:.*\"\*\"", line)]

    assert len(stars) > 5
    assert [line for line in stars if not re.search(r"\"\*\" # \w.{10,}", line)] == []


def test_roles_are_only_those_written_down() -> None:
    assert set(ROLES) == set(OWN_WORK) == set(TRUSTS)
