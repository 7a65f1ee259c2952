"""Promise 7: each function's role grants exactly what its code calls.

Every handler is driven through all its paths on moto, every call it makes is kept, and the calls are held against the
role of the deployed template: nothing missing, nothing unused, no star where AWS knows a resource.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from moto import mock_aws

from tests.aws_stand_in.calls import listen
from tests.aws_stand_in.strict import watch
from tests.composition import forget
from tests.conftest import ROOT
from tests.functions.conftest import _deployed
from tests.functions.paths import PATHS, PLAN, Fleet
from tests.template.authorisation import (
    OPTIONS,
    Call,
    Need,
    Place,
    allows,
    arn_of,
    fits,
    granted,
    needs_of,
    needs_of_lambda,
    needs_of_rules,
    needs_to_publish,
)
from tests.template.read_handlers import needs_of_comparison, needs_of_updates
from tests.template.transformed import ACCOUNT, REGION, listed, logical_functions, reference, resources
from warden import bootstrap
from warden.plan.parser import read_plan

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")

type Recorded = Mapping[str, list[Need]]

IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
ROLES = resources("AWS::IAM::Role")

UNSEEN = {
    ("RespondRole", "iot:ListActiveViolations", f"{IOT}securityprofile/*"): (
        "asked for one thing; the reference has thing and security profile, both optional, and does not say whether "
        "the profiles of the violations are looked at too"
    ),
}
"""Grants that no call shows to be needed, each with the reason why it stays."""

OPTIONAL = {
    "AlertRole": {"kms:Decrypt", "kms:GenerateDataKey"},  # on the key of an existing topic
    "RespondRole": {"securityhub:BatchImportFindings"},
    "ServeDeviceRole": {
        "acm-pca:DescribeCertificateAuthority",
        "acm-pca:GetCertificate",
        "acm-pca:IssueCertificate",
        "iot:RegisterCertificateWithoutCA",
    },
    "SurveyAccountRole": {
        "cloudformation:GetResourceRequestStatus",
        "cloudformation:UpdateResource",
        "iam:PassRole",
        "iot:SetV2LoggingOptions",
        "iot:UpdateAccountAuditConfiguration",
        "iot:UpdateScheduledAudit",
    },
}
"""What is granted only while an option is switched on."""

OUT_OF_REACH = [
    ("RespondRole", Need("iot:CreateJob", f"{IOT}job/firmware-7")),
    ("RespondRole", Need("iot:CancelJobExecution", f"{IOT}job/firmware-7")),
    ("RespondRole", Need("s3:GetObject", f"{arn_of('EvidenceBucket')}/else")),
    (
        "RespondRole",
        Need(
            "events:PutEvents",
            f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
            (("events:source", "fleet-warden"), ("events:detail-type", "GuardDuty Finding")),
        ),
    ),
    ("ServeDeviceRole", Need("iot:DescribeJobExecution", f"{IOT}job/firmware-7")),
    ("ServeDeviceRole", Need("iot:Publish", f"{IOT}topic/warden/pump-3/certificate/create")),
    ("ServeDeviceRole", Need("iot:Publish", f"{IOT}topic/$aws/things/pump-3/shadow/update")),
    ("ServeDeviceRole", Need("iot:Publish", f"{IOT}topic/commands/pump-3")),
    (
        "ServeDeviceRole",
        Need(
            "acm-pca:IssueCertificate",
            OPTIONS["PrivateCaArn"],
            (("acm-pca:TemplateArn", "arn:aws:acm-pca:::template/SubordinateCACertificate_PathLen0/V1"),),
        ),
    ),
    ("ServeDeviceRole", Need("s3:PutObject", f"{arn_of('EvidenceBucket')}/else")),
    ("OperateRole", Need("dynamodb:PutItem", arn_of("Ledger"), (("dynamodb:LeadingKeys", "CASE#b579a3f0e1d4-1"),))),
    ("SurveyAccountRole", Need("s3:PutObject", f"{arn_of('EvidenceBucket')}/reports/renewals.csv")),
    (
        "SurveyAccountRole",
        Need("cloudformation:ListStackResources", f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/a/1"),
    ),
    (
        "SurveyAccountRole",
        Need(
            "events:PutEvents",
            f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default",
            (("events:source", "fleet-warden"), ("events:detail-type", "Fleet Warden Case")),
        ),
    ),
    (
        "SurveyAccountRole",
        Need("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/iot-baseline-AuditRole", (("iam:PassedToService", "ec2"),)),
    ),
    ("SweepCasesRole", Need("dynamodb:Query", arn_of("Ledger"))),
    *(
        (role, Need(f"dynamodb:{action}", arn_of("Ledger"), (("dynamodb:LeadingKeys", "CASE#b579a3f0e1d4-1"),)))
        for role in ("SweepCasesRole", "SetUpAccountRole")
        for action in ("GetItem", "PutItem")
    ),
    ("SweepCertificatesRole", Need("s3:PutObject", f"{arn_of('EvidenceBucket')}/cases/1/log")),
    ("SetUpAccountRole", Need("iot:AttachPolicy", f"{IOT}thinggroup/site-4")),
    ("SetUpAccountRole", Need("iot:AttachPolicy", f"{IOT}cert/{'a' * 64}")),
    ("SetUpAccountRole", Need("iot:ListTargetsForPolicy", f"{IOT}policy/fleet-device")),
    ("AlertRole", Need("sns:Publish", arn_of("NoticesTopic"))),
    ("RuleRole", Need("sqs:SendMessage", arn_of("CaseQueue"))),
]
"""The neighbours of what is granted, which a wider pattern would allow."""


ANYWHERE = {
    "cloudtrail:GetEventSelectors": "a trail of another region, or of the organization's account, records here too",
    "cloudtrail:GetTrailStatus": "the same",
    "s3:GetBucketPublicAccessBlock": "the bucket of a trail, whatever its name",
    "s3:GetBucketVersioning": "the same",
}
"""Reads of settings that are not bound to what is ours or here, each with the reason."""


@pytest.fixture(scope="module")
def calls() -> Iterator[Mapping[str, list[Call]]]:
    """Drive every path once, with every option on; return the calls by function."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        deployment = _deployed(patch, watch(patch))
        for variable in ("WARDEN_VERIFY_FINDINGS", "WARDEN_DISCONNECT", "WARDEN_SECURITY_HUB"):
            patch.setenv(variable, "true")
        patch.setenv("WARDEN_BASELINE_DRIFT", "mend")
        patch.setattr(bootstrap, "deployed_plan", lambda: read_plan(PLAN))
        fleet = Fleet(deployment, listen(patch))
        for path in PATHS:
            path(fleet)
        yield fleet.calls.made
    forget()


@pytest.fixture(scope="module")
def recorded(calls: Mapping[str, list[Call]]) -> Recorded:
    """Return by function what its calls needed."""
    place = Place.of(os.environ)
    return {
        function: sorted({need for call in made for need in needs_of(call, place)}) for function, made in calls.items()
    }


def needs_of_role(role: str, recorded: Recorded) -> list[Need]:
    """List what is done in a role's name: by our code, by Lambda, by AWS IoT."""
    if role in BY_AWS:
        return BY_AWS[role](role)
    functions = {name: each for name, each in logical_functions().items() if reference(each["Role"]) == role}
    assert functions, f"{role} is no function's: say above what AWS does with it"
    needs = [need for name in functions for need in needs_of_lambda(name)]
    if role == "SurveyAccountRole":
        needs += [*needs_of_comparison(), *needs_of_updates()]
    return needs + [need for each in functions.values() for need in recorded[_folder(each)]]


def _on_an_existing_topic() -> Iterator[Need]:
    """List what publishing on a topic of somebody else needs of its key."""
    key = OPTIONS["ExistingAlertTopicKeyArn"]
    yield from (Need(action, key) for action in ("kms:Decrypt", "kms:GenerateDataKey"))


BY_AWS: dict[str, Callable[[str], list[Need]]] = {
    "AlertRole": lambda _: [*needs_to_publish("AlertTopic"), *_on_an_existing_topic()],  # Device Defender has it
    "RuleRole": needs_of_rules,
}
"""Roles that no code of ours ever has."""


def _folder(function: Mapping[str, Any]) -> str:
    return str(function["CodeUri"]).removeprefix("functions/")


def grants_of(role: str) -> Iterator[tuple[dict[str, Any], str, str]]:
    """List each action on each resource that a role grants, as statements of just these; leave out what grants nothing.

    A statement with several actions and several resources holds pairs that never meet: `CancelJob` on a thing.
    """
    for statement in granted(role):
        for action in listed(statement["Action"]):
            for resource in listed(statement["Resource"]):
                if fits(action, resource):
                    yield {**statement, "Action": action, "Resource": resource}, action, resource


def test_every_function_was_driven(recorded: Recorded) -> None:
    assert set(recorded) == {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}


@pytest.mark.parametrize("role", ROLES)
def test_a_role_grants_every_call(role: str, recorded: Recorded) -> None:
    statements = granted(role)

    assert [need for need in needs_of_role(role, recorded) if not any(allows(each, need) for each in statements)] == []


@pytest.mark.parametrize("role", ROLES)
def test_a_role_grants_nothing_that_is_not_called(role: str, recorded: Recorded) -> None:
    needs = needs_of_role(role, recorded)
    unused = {
        (role, action, resource)
        for statement, action, resource in grants_of(role)
        if not any(allows(statement, need) for need in needs)
    }

    seen = {grant for grant in UNSEEN if grant[0] == role}
    assert unused - seen == set(), f"{role} in template.yaml grants what no call needs"
    assert seen - unused == set(), "UNSEEN lists what is no longer granted, or what a call does need"


@pytest.mark.parametrize("role", ROLES)
def test_a_role_names_its_resources_wherever_the_reference_knows_any(role: str) -> None:
    for statement in granted(role):
        actions, named = listed(statement["Action"]), listed(statement["Resource"])
        assert [action for action in actions if not any(fits(action, resource) for resource in named)] == []
        assert [resource for resource in named if not any(fits(action, resource) for action in actions)] == []
        assert "*" not in named or named == ["*"]


@pytest.mark.parametrize("role", ROLES)
def test_what_lies_beside_is_not_granted(role: str, recorded: Recorded) -> None:
    """The same call in another account or region, or on another table, queue, topic, bucket or key."""
    statements = granted(role)
    beside = [
        Need(need.action, other, need.context)
        for need in set(needs_of_role(role, recorded))
        if need.resource != "*"
        if need.action not in ANYWHERE
        for other in _neighbours(need.resource)
    ]

    assert beside
    assert [need for need in beside if any(allows(each, need) for each in statements)] == []


def _neighbours(resource: str) -> Iterator[str]:
    for here, there in ((f":{ACCOUNT}:", ":210987654321:"), (f":{REGION}:", ":ap-southeast-2:")):
        if here in resource:
            yield resource.replace(here, there, 1)
    if resource.startswith(IOT):
        return  # any thing may be contained, any certificate rotated
    *before, name = resource.removesuffix(":*").split(":")
    yield ":".join([*before, f"somebodys-{name}"])


@pytest.mark.parametrize(("role", "need"), OUT_OF_REACH, ids=lambda each: getattr(each, "action", str(each)))
def test_what_is_out_of_reach_is_not_granted(role: str, need: Need) -> None:
    statements = granted(role)

    assert any(need.action in listed(each["Action"]) for each in statements)
    assert not any(allows(each, need) for each in statements)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_grants_less_while_the_options_are_off(role: str) -> None:
    off, on = (granted(role, every_option=option) for option in (False, True))

    assert [each for each in off if each not in on] == []
    optional = {action for each in on if each not in off for action in listed(each["Action"])}
    assert optional == OPTIONAL.get(role, set())
