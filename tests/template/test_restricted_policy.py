"""Quarantine: restricted, not blind. What the restricted policy leaves to a device, and what it takes, whatever else
the device was given."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.template.iot_policy import admits
from tests.template.transformed import ACCOUNT, PSEUDO, REGION, filled, resources, written

PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
THING = "plant1:pump-3"
OTHER = "plant1:pump-4"
RESTRICTED: dict[str, Any] = filled(resources("AWS::IoT::Policy")["RestrictedPolicy"]["PolicyDocument"])
LARGEST = 2048
"""Characters that AWS IoT takes for a policy, white space not counted."""

PUBLISH, RECEIVE, SUBSCRIBE, CONNECT = "iot:Publish", "iot:Receive", "iot:Subscribe", "iot:Connect"

JOBS = f"$aws/things/{THING}/jobs"
WARDEN = f"warden/{THING}"
OWN_TOPICS = [
    f"{JOBS}/get",
    f"{JOBS}/start-next",
    f"{JOBS}/notify",
    f"{JOBS}/notify-next",
    f"{JOBS}/warden-1/get",
    f"{JOBS}/warden-1/update",
    f"{JOBS}/warden-1/update/accepted",
    f"{JOBS}/$next/get",
    f"{WARDEN}/certificate/create",
    f"{WARDEN}/certificate/create/accepted",
    f"{WARDEN}/certificate/confirm",
    f"{WARDEN}/logs/create",
    f"{WARDEN}/logs/create/rejected",
]
OWN_FILTERS = [f"{JOBS}/#", f"{JOBS}/+/update/accepted", f"{JOBS}/notify", f"{WARDEN}/#", f"{WARDEN}/+/+/accepted"]

ADMITTED = [
    (CONNECT, f"client/{THING}"),
    *((action, f"topic/{topic}") for action, topic in product((PUBLISH, RECEIVE), OWN_TOPICS)),
    *((SUBSCRIBE, f"topicfilter/{topic}") for topic in OWN_FILTERS),
]

STEERING = [f"telemetry/{THING}", f"telemetry/{OTHER}", "telemetry/a/b/c", f"commands/{THING}", "commands/all"]
"""The topics that read and control a device: denied outright, whatever allows them."""

ELSEWHERE = [
    f"$aws/things/{OTHER}/jobs/get",
    f"$aws/things/{OTHER}/jobs/warden-1/update",
    f"warden/{OTHER}/certificate/create",
    f"warden/{OTHER}/logs/create",
    f"$aws/things/{THING}/shadow/update",
    f"$aws/things/{THING}/shadow/name/config/get",
    f"$aws/things/{THING}/defender/metrics/json",
    f"$aws/things/{THING}x/jobs/get",
    f"warden/{THING}x/logs/create",
    f"warden/{THING}",
    "warden",
    "#",
    "site-4/pump-3/state",
    "$aws/certificates/create/json",
    "$aws/provisioning-templates/fleet/provision/json",
    "$aws/events/presence/connected/x",
    "$aws/events/jobExecution/warden-1/succeeded",
    "$aws/events/thing/plant1:pump-3/updated",
    f"$aws/things/{THING}/shadow/get",
    f"$aws/things/{THING}/shadow/delete",
    f"$aws/things/{THING}/shadow/update/delta",
    f"$aws/things/{THING}/shadow/update/documents",
    f"$aws/things/{THING}/shadow/name/config/update",
    f"$aws/things/{THING}/shadow/name/config/update/accepted",
    f"$aws/things/{THING}/defender/metrics/json/accepted",
    f"$aws/things/{THING}/streams/firmware/get/json",
    f"$aws/things/{THING}/tunnels/notify",
    f"$aws/things/{THING}/jobs",
    f"$aws/things/{THING}",
    f"$aws/things/{OTHER}/shadow/update",
    f"$aws/things/{OTHER}/jobs/notify-next",
    f"$aws/things/{OTHER}/defender/metrics/json",
    "$aws/things/+/jobs/notify",
    "$aws/things/#",
    f"$aws/device_location/{THING}/get_position_estimate",
    f"$aws/commands/things/{THING}/executions/e-1/request/json",
    "$aws/sitewise/gateways/g-1/diagnostics",
    f"warden/{OTHER}/certificate/confirm",
    f"warden/{OTHER}/certificate/create/accepted",
    f"Warden/{THING}/logs/create",
    f"/warden/{THING}/logs/create",
    "warden/+/logs/create",
    "warden/#",
    f"telemetrics/{THING}",
    "telemetry",
    "commands",
    "fleet/broadcast",
    f"$aws/things/{THING}/shadow/update/rejected",
    f"devices/{THING}/telemetry",
    f"x/warden/{THING}/logs/create",
    f"jobs/{THING}",
]
BASIC_INGEST = [f"$aws/rules/anything/telemetry/{THING}", f"$aws/rules/anything/commands/{THING}"]
"""The way round a topic: AWS IoT hands these to a rule without the broker, and checks this very name."""

WILD = ["telemetry/#", "commands/+", "+/+", "$aws/#"]

REFUSED = [
    (CONNECT, f"client/{OTHER}"),
    (CONNECT, f"client/{THING}-2"),
    (CONNECT, "client/*"),
    ("iot:RetainPublish", f"topic/telemetry/{THING}"),
    ("iot:GetThingShadow", f"thing/{THING}"),
    ("iot:UpdateThingShadow", f"thing/{THING}"),
    ("iot:DeleteThingShadow", f"thing/{THING}"),
    ("iot:AssumeRoleWithCertificate", "rolealias/fleet"),
    ("iot:UpdateCertificate", "cert/x"),
    ("iot:GetRetainedMessage", f"topic/telemetry/{THING}"),
    ("iot:ListRetainedMessages", "*"),
    ("iot:ListNamedShadowsForThing", f"thing/{THING}"),
    ("iot:UpdateThing", f"thing/{THING}"),
    ("iot:DescribeEndpoint", "*"),
    ("iot:CreateCertificateFromCsr", "*"),
    ("iot:AttachPolicy", "cert/x"),
    *((action, f"topic/{topic}") for action, topic in product((PUBLISH, RECEIVE), STEERING + ELSEWHERE + BASIC_INGEST)),
    *(
        (SUBSCRIBE, f"topicfilter/{topic}")
        for topic in (*STEERING, *ELSEWHERE, *WILD, *(f"$share/all/{topic}" for topic in (*STEERING, *WILD)))
    ),
]

BROAD = {
    "everything": {"Effect": "Allow", "Action": "*", "Resource": "*"},
    "all of iot": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"},
    "every topic": {
        "Effect": "Allow",
        "Action": [CONNECT, PUBLISH, RECEIVE, SUBSCRIBE],
        "Resource": [f"{PREFIX}client/*", f"{PREFIX}topic/*", f"{PREFIX}topicfilter/*"],
    },
    "telemetry itself": {
        "Effect": "Allow",
        "Action": [PUBLISH, RECEIVE, SUBSCRIBE],
        "Resource": [
            f"{PREFIX}{kind}/{topic}" for kind in ("topic", "topicfilter") for topic in [*STEERING, *BASIC_INGEST]
        ],
    },
}


@pytest.mark.parametrize("pairs", [len({*ADMITTED, *REFUSED})], ids="{}-pairs".format)
def test_the_corpus_is_of_some_size(pairs: int) -> None:
    """Each pair of action and resource is asked below and, after the calls of a real quarantine, by
    tests/functions/test_what_a_containment_leaves.py."""
    assert pairs == len(ADMITTED) + len(REFUSED)
    assert len(ADMITTED) >= 30
    assert len(REFUSED) >= 200


@pytest.mark.parametrize(("action", "resource"), ADMITTED)
def test_under_it_alone_a_device_keeps_its_connection_its_jobs_and_its_way_to_us(action: str, resource: str) -> None:
    assert admits([RESTRICTED], action, PREFIX + resource, THING)


@pytest.mark.parametrize(("action", "resource"), REFUSED)
def test_under_it_alone_a_device_has_nothing_else(action: str, resource: str) -> None:
    assert not admits([RESTRICTED], action, PREFIX + resource, THING)


@pytest.mark.parametrize("broad", BROAD)
@pytest.mark.parametrize("topic", [*STEERING, *BASIC_INGEST])
def test_beside_any_broad_allow_telemetry_and_commands_stay_denied(broad: str, topic: str) -> None:
    documents = [RESTRICTED, {"Statement": [BROAD[broad]]}]

    assert not admits(documents, PUBLISH, f"{PREFIX}topic/{topic}", THING)
    assert not admits(documents, RECEIVE, f"{PREFIX}topic/{topic}", THING)


@pytest.mark.parametrize("broad", BROAD)
@pytest.mark.parametrize("filter_", ["telemetry/#", "telemetry/+", "commands/#", f"commands/{THING}"])
def test_beside_any_broad_allow_they_cannot_be_subscribed_to(broad: str, filter_: str) -> None:
    assert not admits([RESTRICTED, {"Statement": [BROAD[broad]]}], SUBSCRIBE, f"{PREFIX}topicfilter/{filter_}", THING)


@pytest.mark.parametrize(("action", "resource"), ADMITTED)
def test_its_deny_takes_nothing_of_what_is_left(action: str, resource: str) -> None:
    documents = [RESTRICTED, {"Statement": BROAD["everything"]}]

    assert admits(documents, action, PREFIX + resource, THING)


def test_it_leaves_no_less_than_the_devices_own_policy_gives_for_the_same() -> None:
    text = (ROOT / "device" / "device-policy.json").read_text()
    device = json.loads(text.replace("${AWS::Region}", REGION).replace("${AWS::AccountId}", ACCOUNT))

    given = [pair for pair in ADMITTED if admits([device], pair[0], PREFIX + pair[1], THING)]
    assert given == [pair for pair in given if admits([RESTRICTED], pair[0], PREFIX + pair[1], THING)]
    assert len(given) > 20


def test_it_fits_into_a_policy_with_the_longest_names(monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = written()["Parameters"]
    for name in ("TelemetryTopicPrefix", "CommandTopicPrefix"):
        longest = int(parameters[name]["AllowedPattern"].rpartition(",")[2].rstrip("}"))
        monkeypatch.setitem(PSEUDO, name, "t" * longest)
    monkeypatch.setitem(PSEUDO, "AWS::Partition", "aws-us-gov")
    monkeypatch.setitem(PSEUDO, "AWS::Region", "ap-northeast-1")

    document = filled(resources("AWS::IoT::Policy")["RestrictedPolicy"]["PolicyDocument"])

    assert len("".join(json.dumps(document).split())) < LARGEST
