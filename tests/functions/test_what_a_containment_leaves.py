"""What a device may still do while a quarantine runs and once it is done, whatever its certificate had before.

The real handler contains the device on moto. After each of its calls, what is attached to the device's certificates
and groups is read out of moto, and every pair of the restricted policy's corpus is asked of these policies together.
Two claims, for two times:

- **From the attachment of the restricted policy on**, telemetry, commands and Basic Ingest are denied, while every
  other policy is still there: an explicit Deny beats what allows. Nothing else is claimed yet, for policies add up.
- **Once the quarantine is done**, every pair that the restricted policy does not allow is refused.

At no time does the device lose its connection, its jobs or its way to us.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from moto.iot.models import iot_backends

from tests.aws_stand_in.calls import listen
from tests.conftest import ROOT
from tests.functions.conftest import ACCOUNT, REGION, RESTRICTED, Deployment
from tests.functions.paths import PREFIX, Fleet, a_finding
from tests.template import transformed
from tests.template.iot_policy import admits
from tests.template.test_restricted_policy import (
    ADMITTED,
    BASIC_INGEST,
    BROAD,
    PUBLISH,
    RECEIVE,
    REFUSED,
    STEERING,
    THING,
)
from tests.template.test_restricted_policy import PREFIX as HERE
from tests.template.test_restricted_policy import RESTRICTED as RESTRICTED_DOCUMENT

type Pair = tuple[str, str]

STEERED = [(action, f"topic/{topic}") for action in (PUBLISH, RECEIVE) for topic in (*STEERING, *BASIC_INGEST)]
"""What is denied outright, from the attachment on."""

DEVICE_POLICY = json.loads(
    (ROOT / "device" / "device-policy.json")
    .read_text()
    .replace("${AWS::Region}", transformed.REGION)
    .replace("${AWS::AccountId}", transformed.ACCOUNT)
)
DOCUMENTS: dict[str, Mapping[str, Any]] = {
    RESTRICTED: RESTRICTED_DOCUMENT,
    "fleet-device": DEVICE_POLICY,
    **{name.replace(" ", "-"): {"Statement": [statement]} for name, statement in BROAD.items()},
    **{f"more-{number}": {"Statement": [BROAD["all of iot"]]} for number in range(9)},
}

BEFORE: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "the fleet's own policy": (["fleet-device"], []),
    "everything": (["fleet-device", "everything"], []),
    "all of iot": (["fleet-device", "all-of-iot"], []),
    "every topic": (["fleet-device", "every-topic"], []),
    "telemetry itself": (["fleet-device", "telemetry-itself"], []),
    "everything, by its group": (["fleet-device"], ["everything"]),
    "all of it, certificate and group": (["fleet-device", "everything", "all-of-iot"], ["every-topic", "all-of-iot"]),
    "ten policies": (["fleet-device", *(f"more-{number}" for number in range(9))], ["telemetry-itself"]),
}
"""What the device had: policies of its certificates, policies of its group."""


def rights(certificate: str) -> list[Mapping[str, Any]]:
    """Read the policies that decide over the device with a certificate: its own, and those of the thing's groups."""
    iot = iot_backends[ACCOUNT][REGION]
    thing = f"{PREFIX}thing/{THING}"
    groups = [arn for arn, group in iot.thing_groups.items() if thing in group.things]
    targets = [f"{PREFIX}cert/{certificate}", *groups]
    return [DOCUMENTS[name] for target, name in iot.principal_policies if target in targets]


def allowed(certificate: str, pairs: Sequence[Pair]) -> list[Pair]:
    """List the pairs that the device may do with a certificate as things are now."""
    policies = rights(certificate)
    return [pair for pair in pairs if admits(policies, pair[0], HERE + pair[1], THING)]


def enrol(deployment: Deployment, policies: Sequence[str], group_policies: Sequence[str]) -> list[str]:
    """Register the device with two certificates of the same rights, in a group; return the certificates' ids."""
    iot = deployment.client("iot")
    first = deployment.enrol(THING, 1)
    second = deployment.enrol("spare", 2)
    iot.attach_thing_principal(thingName=THING, principal=f"{PREFIX}cert/{second}")
    iot.detach_thing_principal(thingName="spare", principal=f"{PREFIX}cert/{second}")
    for name in {*policies, *group_policies} - {"fleet-device"}:
        iot.create_policy(policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", **DOCUMENTS[name]}))
    iot.create_thing_group(thingGroupName="site-4")
    iot.add_thing_to_thing_group(thingName=THING, thingGroupName="site-4")
    for name in policies:
        for certificate in (first, second):
            iot.attach_policy(policyName=name, target=f"{PREFIX}cert/{certificate}")
    for name in group_policies:
        iot.attach_policy(policyName=name, target=f"{PREFIX}thinggroup/site-4")
    return [first, second]


@pytest.mark.parametrize("before", BEFORE)
def test_what_is_left_while_it_runs_and_once_it_is_done(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    certificates = enrol(deployment, *BEFORE[before])
    fleet = Fleet(deployment, listen(monkeypatch))
    kept = {each: allowed(each, ADMITTED) for each in certificates}
    had = {each: allowed(each, REFUSED) for each in certificates}
    restricted: set[str] = set()
    moments: list[tuple[str, str]] = []

    def look(call: Any) -> None:
        if call.operation == "AttachPolicy":
            restricted.add(call.parameters["target"].removeprefix(f"{PREFIX}cert/"))
        state = str(sorted(iot_backends[ACCOUNT][REGION].principal_policies))
        if moments and moments[-1][1] == state and call.operation != "UpdateThingGroupsForThing":
            return
        moments.append((call.operation, state))
        for each in certificates:
            assert [pair for pair in kept[each] if pair not in allowed(each, ADMITTED)] == [], call.operation
            assert each not in restricted or allowed(each, STEERED) == [], call.operation

    failures: list[AssertionError] = []

    def look_and_keep(call: Any) -> None:
        try:
            look(call)
        except AssertionError as failure:  # the handler would take it for an error of its own
            failures.append(failure)

    fleet.calls.then = look_and_keep
    fleet.respond(a_finding(THING))

    assert failures == []
    assert all(had.values())
    assert restricted == set(certificates)
    assert len(moments) > 2 * len(BEFORE[before][0])
    for each in certificates:
        assert allowed(each, [*ADMITTED, *REFUSED]) == ADMITTED
