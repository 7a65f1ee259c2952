"""The bench's fleet answers as the stand-in does: the same calls are made of both, and what it says is said there too.

The fleet says less (it leaves out what no adapter reads), and its ids and its account are others: each is written as
what it stands for before the answers are compared.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.aws.backends import PREFIX
from tests.aws_stand_in.strict import watch
from tests.bench import fleet
from tests.bench.fleet import NOON, QUOTAS, REGION, Fleet, FleetShape
from tests.fakes import a_key

SIZE = 3
GROUPS = {"pumps": ["pumps-policy"], "site-4": [], "warden-restricted": ["warden-restricted-policy"]}
CERTIFICATE, ABSENT = "{certificate 0}", "f" * 64
ARN = f"{{arn}}cert/{CERTIFICATE}"
JOB = {"jobId": "job-1", "targets": ["{arn}thing/thing-0"], "document": "{}"}
LIST_OLDEST = {"ascendingOrder": True, "pageSize": 2}
MOVE = {"thingName": "thing-0", "thingGroupsToAdd": ["warden-restricted"], "thingGroupsToRemove": ["pumps"]}

SCENARIO: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ListCertificates", LIST_OLDEST),
    ("ListCertificates", {**LIST_OLDEST, "marker": "{next}"}),
    ("ListCertificates", {"ascendingOrder": False}),
    ("ListCertificates", {"marker": "bm8="}),
    ("DescribeCertificate", {"certificateId": CERTIFICATE}),
    ("DescribeCertificate", {"certificateId": ABSENT}),
    ("UpdateCertificate", {"certificateId": CERTIFICATE, "newStatus": "INACTIVE"}),
    ("UpdateCertificate", {"certificateId": ABSENT, "newStatus": "INACTIVE"}),
    ("DescribeCertificate", {"certificateId": CERTIFICATE}),
    ("ListPrincipalThings", {"principal": ARN}),
    ("ListThingPrincipals", {"thingName": "thing-1"}),
    ("ListThingPrincipals", {"thingName": "nobody"}),
    ("DescribeThing", {"thingName": "thing-0"}),
    ("DescribeThing", {"thingName": "nobody"}),
    ("ListThingGroupsForThing", {"thingName": "thing-0"}),
    ("ListThingGroupsForThing", {"thingName": "nobody"}),
    ("ListAttachedPolicies", {"target": ARN}),
    ("ListAttachedPolicies", {"target": "{arn}thinggroup/pumps"}),
    ("AttachPolicy", {"target": ARN, "policyName": "warden-restricted-policy"}),
    ("AttachPolicy", {"target": ARN, "policyName": "warden-restricted-policy"}),
    ("DetachPolicy", {"target": ARN, "policyName": "fleet-device"}),
    ("ListAttachedPolicies", {"target": ARN}),
    ("UpdateThingGroupsForThing", MOVE),
    ("ListThingGroupsForThing", {"thingName": "thing-0"}),
    ("GetEffectivePolicies", {"thingName": "thing-0", "principal": ARN}),
    ("RemoveThingFromThingGroup", {"thingName": "thing-0", "thingGroupName": "warden-restricted"}),
    ("AddThingToThingGroup", {"thingName": "thing-0", "thingGroupName": "pumps"}),
    ("ListThingGroupsForThing", {"thingName": "thing-0"}),
    ("DescribeJobExecution", {"jobId": "job-1", "thingName": "thing-0"}),
    ("CancelJobExecution", {"jobId": "job-1", "thingName": "thing-0"}),
    ("CreateJob", JOB),
    ("CreateJob", JOB),
    ("CreateJob", {**JOB, "jobId": "job-2", "targets": [f"{{arn}}thing/thing-{each}" for each in range(101)]}),
    ("DescribeJobExecution", {"jobId": "job-1", "thingName": "thing-0"}),
    ("CancelJobExecution", {"jobId": "job-1", "thingName": "thing-0"}),
    ("ListActiveViolations", {"thingName": "thing-0"}),
    ("DeleteConnection", {"clientId": "thing-0"}),
)


@dataclass
class Side:
    """One of the two, and what its own ids and ARNs stand for."""

    clients: Mapping[str, Any]
    written: Mapping[str, str]
    following: str = ""

    def ask(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call; returns the answer, or the error's code."""
        client = self.clients["iot-data" if operation == "DeleteConnection" else "iot"]
        text = json.dumps(parameters).replace("{next}", self.following)
        for theirs, ours in self.written.items():
            text = text.replace(ours, theirs)
        try:
            answer = client._make_api_call(operation, json.loads(text))
        except ClientError as error:
            return {"error": error.response["Error"]["Code"]}
        answer.pop("ResponseMetadata", None)
        self.following = answer.get("nextMarker", self.following)
        text = json.dumps(answer, default=lambda _: "a moment")
        for theirs, ours in self.written.items():
            text = text.replace(theirs, ours)
        return dict(json.loads(text))


def _answers(side: Side) -> list[dict[str, Any]]:
    return [side.ask(operation, parameters) for operation, parameters in SCENARIO]


@pytest.fixture
def of_the_fleet() -> list[dict[str, Any]]:
    """Record the fleet's answers, before another stand-in answers every client."""
    bench = Fleet(FleetShape(size=SIZE, due=1, now=NOON))
    clients = {name: bench.client(name, Config(retries={"total_max_attempts": 1})) for name in ("iot", "iot-data")}
    ids = {bench.shape.certificate(index): f"{{certificate {index}}}" for index in range(SIZE)}
    return _answers(Side(clients, {fleet.PREFIX: "{arn}", **ids}))


@pytest.fixture
def of_the_stand_in(of_the_fleet: object, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Make the calls of the stand-in, with the same devices in moto."""
    assert of_the_fleet
    strict = watch(monkeypatch)
    with mock_aws():
        clients: dict[str, Any] = {name: boto3.client(name, region_name=REGION) for name in ("iot", "iot-data")}
        iot, ids = clients["iot"], dict[str, str]()
        for policy in ("fleet-device", *(each for policies in GROUPS.values() for each in policies)):
            iot.create_policy(policyName=policy, policyDocument="{}")
        for group, policies in GROUPS.items():
            iot.create_thing_group(thingGroupName=group)
            for policy in policies:
                iot.attach_policy(policyName=policy, target=f"{PREFIX}thinggroup/{group}")
        for index in range(SIZE):
            thing = f"thing-{index}"
            made = iot.register_certificate_without_ca(certificatePem=a_key(index + 1).pem, status="ACTIVE")
            ids[made["certificateId"]] = f"{{certificate {index}}}"
            iot.create_thing(thingName=thing)
            iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
            iot.attach_policy(policyName="fleet-device", target=made["certificateArn"])
            for group in ("pumps", "site-4"):
                iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
            strict.state.sessions.add(thing)
            strict.state.violations[thing] = [f"violation-of-{thing}"]
        return _answers(Side(clients, {PREFIX: "{arn}", **ids}))


def _as_far_as(told: Any, of: Any) -> Any:
    """Reduce the stand-in's answer to what the fleet says too."""
    if isinstance(told, dict) and isinstance(of, dict):
        return {key: _as_far_as(told[key], of[key]) for key in told if key in of}
    if isinstance(told, list) and isinstance(of, list) and len(told) == len(of):
        return [_as_far_as(*each) for each in zip(told, of, strict=True)]
    return of


_MADE = ("certificatePem", "nextMarker")
"""What either makes for itself."""
_ALWAYS_COMPARED = ("error", "nextMarker")
"""What the fleet may not leave out: whether a call fails, and whether a list goes on."""


def _comparable(answer: Any) -> Any:
    """Leave out what either makes for itself, and sort a thing's groups, for which AWS names no order."""
    if isinstance(answer, dict):
        return {key: "made" if key in _MADE else _comparable(each) for key, each in answer.items()}
    if isinstance(answer, list):
        return [_comparable(each) for each in sorted(answer, key=_group_name)]
    return answer


def _group_name(entry: object) -> str:
    """Return what to sort an entry of a list by; only groups are sorted, the order of the others is compared."""
    return str(entry.get("groupName", "")) if isinstance(entry, dict) else ""


def test_the_fleet_answers_as_the_stand_in_does(
    of_the_fleet: list[dict[str, Any]], of_the_stand_in: list[dict[str, Any]]
) -> None:
    for (operation, parameters), ours, there in zip(SCENARIO, of_the_fleet, of_the_stand_in, strict=True):
        said, expected = _comparable(ours), _as_far_as(_comparable(ours), _comparable(there))

        assert (operation, parameters, said) == (operation, parameters, expected)
        assert [key in ours for key in _ALWAYS_COMPARED] == [key in there for key in _ALWAYS_COMPARED], operation


def test_everything_that_the_fleet_answers_is_compared() -> None:
    assert {operation for operation, _ in SCENARIO} == QUOTAS.keys()
