"""Who may do what, as the template alone can say it; tests/functions/test_every_call.py holds roles to calls."""

from __future__ import annotations

import re

import pytest

from tests.template.authorisation import OPERATIONS, Call, Place, fits, granted, needs_of, resource_forms
from tests.template.resource_policies import as_row, doors_of_document, doors_of_template
from tests.template.transformed import (
    ACCOUNT,
    REGION,
    STACK,
    TEMPLATE,
    listed,
    reference,
    resources,
    role_statements,
)
from warden.devices.router import PERMISSIONS, PRIVATE_CA_PERMISSIONS
from warden.plan.actions import TOUCHING
from warden.plan.governor import STOP_KEY
from warden.respond.actions import action_named

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"

DECLARED: dict[str, set[str]] = {
    "RespondRole": {permission for name in TOUCHING for permission in action_named(name).permissions},
    "ServeDeviceRole": {*PERMISSIONS, *PRIVATE_CA_PERMISSIONS},
}

WITHOUT_A_SOURCE = {
    "lambda.amazonaws.com": "AWS documents no source for roles that Lambda takes: iam:PassRole is what guards those",
    "logs.<region>.amazonaws.com": "says for which log group it asks, by the encryption context",
    "sns.amazonaws.com, events.amazonaws.com, cloudwatch.amazonaws.com": "the key alone leads nowhere",
}
"""Services let in without the source being named, as docs/security.md tells, each with the reason."""

A_CALL = {
    "thingName": "pump-3",
    "thingGroupName": "site-4",
    "thingGroupsToAdd": ["site-4"],
    "certificateId": "a" * 64,
    "jobId": "warden-1",
    "targets": [f"{IOT}thing/pump-3"],
    "target": f"{IOT}cert/{'a' * 64}",
    "principal": f"{IOT}cert/{'a' * 64}",
    "policyName": "fleet-device",
    "clientId": "pump-3",
    "topic": "warden/pump-3/logs/create/accepted",
    "CertificateAuthorityArn": f"arn:aws:acm-pca:{REGION}:{ACCOUNT}:certificate-authority/a",
    "TemplateArn": "arn:aws:acm-pca:::template/BlankEndEntityCertificate_APIPassthrough/V1",
    "TableName": "ledger",
    "Key": {"pk": {"S": "SWITCH"}},
    "KeyConditionExpression": "#pk = :pk",
    "ExpressionAttributeValues": {":pk": {"S": "SWITCH"}},
    "TransactItems": [{"Put": {"TableName": "ledger", "Item": {"pk": {"S": "SWITCH"}}}}],
    "QueueUrl": "queue",
    "TopicArn": "topic",
    "Bucket": "bucket",
    "DetectorId": "d" * 32,
    "Name": "SweepCasesFunctionEveryFiveMinutes",
    "StackName": "iot-baseline",
    "TrailName": f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/a",
    "scheduledAuditName": "daily",
    "securityProfileName": "rules",
    "Entries": [{"Source": "fleet-warden", "DetailType": "Fleet Warden Case"}],
    "Findings": [{"ProductArn": f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"}],
}
"""Parameters enough for every operation of the table; no two operations mean different things by one of them."""
NAMES = {"ledger": "Ledger", "queue": "CaseQueue", "topic": "NoticesTopic", "bucket": "EvidenceBucket"}

ROLES = resources("AWS::IAM::Role")


@pytest.mark.parametrize(("service", "operation"), OPERATIONS)
def test_what_we_say_an_operation_needs_is_known_to_the_reference(service: str, operation: str) -> None:
    parameters = A_CALL | ({"Key": "cases/1/log"} if service == "s3" else {})
    if service == "cloudtrail":
        parameters |= {"Name": A_CALL["TrailName"]}

    needs = needs_of(Call(service, operation, parameters, error="NoSuchKey"), Place(REGION, ACCOUNT, NAMES))

    assert needs
    assert [need for need in needs if not fits(need.action, need.resource)] == []


def test_the_reference_tells_resources_apart() -> None:
    assert fits("iot:CancelJob", f"{IOT}job/warden-*")
    assert not fits("iot:CancelJob", f"{IOT}thing/*")
    assert not fits("iot:CancelJob", "*")
    assert fits("iot:ListCertificates", "*")
    assert not fits("dynamodb:GetItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/Ledger/index/due")
    with pytest.raises(LookupError, match="iot:NoSuchAction"):
        resource_forms("iot:NoSuchAction")


@pytest.mark.parametrize("role", DECLARED)
def test_what_actions_and_answers_declare_is_granted(role: str) -> None:
    actions = {action for statement in granted(role) for action in listed(statement["Action"])}

    assert DECLARED[role] - actions == set()


@pytest.mark.parametrize("role", ROLES)
def test_all_that_a_role_may_do_is_written_in_it(role: str) -> None:
    """The tests of a role read its own policies, and would miss what is attached to it from elsewhere."""
    attached = [
        name
        for kind in ("AWS::IAM::Policy", "AWS::IAM::RolePolicy", "AWS::IAM::ManagedPolicy")
        for name, policy in resources(kind).items()
        if role in map(reference, [*policy.get("Roles", []), policy.get("RoleName")])
    ]

    assert attached == [], f"move what these allow into {role} in template.yaml"
    assert "ManagedPolicyArns" not in ROLES[role], f"write in {role} itself what its managed policies allow"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_only_allows_and_never_by_exception_or_pattern(role: str) -> None:
    for statement in granted(role):
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


def test_the_doors_are_those_that_the_security_page_lists() -> None:
    template, document = doors_of_template(), doors_of_document()

    assert document
    assert "\n".join(as_row(door) for door in template if door not in document) == "", "not in docs/security.md"
    assert "\n".join(as_row(door) for door in document if door not in template) == "", "not in the template"
    assert len(document) == len(template)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_trusted_to_one_service(role: str) -> None:
    [(_, effect, who, what, _)] = [door for door in doors_of_template() if door[0] == f"`{role}`"]

    assert (effect, what) == ("Allow", "`sts:AssumeRole`")
    assert re.fullmatch(r"`[a-z]+\.amazonaws\.com`", who)


def test_no_service_is_let_in_without_its_account_and_its_source() -> None:
    unnamed = {
        who.replace("`", "")
        for at, effect, who, _, when in doors_of_template()
        if effect == "Allow" and ".amazonaws.com" in who and not at.endswith("Function`")
        if not ("`aws:SourceAccount` is `this account`" in when and "`aws:SourceArn` is" in when)
    }

    assert unnamed == set(WITHOUT_A_SOURCE)


def test_nobody_is_let_in_by_a_star() -> None:
    everybody = [(at, effect) for at, effect, who, _, _ in doors_of_template() if who == "everybody"]

    assert everybody == [("`AlertTopic`", "Deny"), ("`EvidenceBucket`", "Deny")]


def test_queues_that_have_no_door_are_reached_by_our_roles_alone() -> None:
    queues = set(resources("AWS::SQS::Queue"))
    opened = {door[0].strip("`") for door in doors_of_template()}

    assert {"CaseQueue", "DeviceRequestQueue", "JobEventQueue", "ParkedCases"} <= queues - opened
    assert {"InboxQueue", "Parked"} == queues & opened


def test_a_function_is_invoked_by_its_schedule_and_its_schedule_alone() -> None:
    for permission in resources("AWS::Lambda::Permission").values():
        assert permission["Principal"] == "events.amazonaws.com"
        assert reference(permission["SourceArn"]) in resources("AWS::Events::Rule")


def test_the_operators_url_wants_a_signature() -> None:
    [url] = resources("AWS::Lambda::Url").values()

    assert url["AuthType"] == "AWS_IAM"
    assert "Cors" not in url


def test_every_star_says_on_its_line_why_there_is_no_other_resource() -> None:
    stars = [line for line in TEMPLATE.read_text().splitlines() if re.search(r"Resource:.*\"\*\"", line)]

    assert len(stars) > 5
    assert [line for line in stars if not re.search(r"\"\*\" # \w.{10,}", line)] == []
