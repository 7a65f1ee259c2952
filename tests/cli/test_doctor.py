"""`warden doctor`: each check finds what is wrong and says how to mend it, and a denied call is not known."""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.cli.answering import Operate
from tests.cli.conftest import Looking, Shell
from tests.conftest import ROOT
from tests.pages.samples import SURVEY
from warden_cli import doctor_devices, doctor_service
from warden_cli.iot_policy import Session, admits

ACTIONS = set(json.loads((ROOT / "docs" / "doctor-policy.json").read_text())["Statement"][0]["Action"])
DEVICE_POLICY = json.loads(
    (ROOT / "device" / "device-policy.json").read_text().replace("${AWS::Region}:${AWS::AccountId}", "eu-central-1:1")
)
ANYTHING = {"Statement": {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}}
TELEMETRY = {"Statement": [{"Effect": "Allow", "Action": ["iot:Publish"], "Resource": ["arn:aws:iot:r:1:topic/t"]}]}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def healthy(looking: Looking, operate: Operate) -> ReadableAccount:
    survey = copy.deepcopy(SURVEY)
    for each in survey["liveness"]:
        each["pulse"] = "ok"
    operate.answering("survey", {"survey": survey})
    return looking(
        Account(),
        things={"pump-1": [[DEVICE_POLICY]], "pump-2": [[DEVICE_POLICY], [DEVICE_POLICY]]},
        groups={"all": {"thingGroupName": "all"}},
        parked={"Parked": 0, "ParkedCases": 0},
        quotas={"ListPrincipalThings API TPS": 10.0, "Another": 1.0},
    )


def examined(shell: Shell, *options: str) -> dict[str, dict[str, Any]]:
    """Return each check's worst finding."""
    said = shell.warden("doctor", "--region", "eu-central-1", "--json", *options)
    rows: dict[str, dict[str, Any]] = {}
    for each in said.json["findings"]:
        if rows.get(each["check"], {}).get("health", "ok") == "ok":
            rows[each["check"]] = each
    assert said.code == (0 if all(each["health"] == "ok" for each in rows.values()) else 5)
    return rows


def test_a_healthy_fleet_has_no_finding(shell: Shell, healthy: ReadableAccount) -> None:
    rows = examined(shell)

    assert healthy.called
    assert {each["health"] for each in rows.values()} == {"ok"}
    assert {"client-ids", "device-policies", "certificates", "dynamic-groups", "nested-groups"} <= set(rows)
    assert {"clock", "parked", "quotas", "audit-target"} <= set(rows)


def test_the_survey_s_lines_are_its_own(shell: Shell, healthy: ReadableAccount, operate: Operate) -> None:
    assert healthy.parked
    operate.answering("survey", {"survey": SURVEY})

    rows = examined(shell)

    assert rows["audit-target"]["health"] == "wrong"
    assert rows["audit-target"]["fix"] == SURVEY["liveness"][1]["fix"]
    assert rows["subscriptions"]["health"] == "not-known"


def test_without_a_service_the_rest_is_looked_at(shell: Shell, healthy: ReadableAccount) -> None:
    assert healthy.parked
    said = shell.warden("doctor", "--region", "eu-central-1", url="")

    assert said.code == 5
    assert "Set WARDEN_URL" in said.text
    assert "client-ids ok" in said.text


def test_no_survey_yet_is_wrong(shell: Shell, healthy: ReadableAccount, operate: Operate) -> None:
    assert healthy.parked
    operate.answering("survey", {"survey": None})

    assert examined(shell)["survey"]["says"] == "there is no survey yet"


def test_a_policy_for_any_client_id_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.things["pump-3"] = [[ANYTHING]]

    rows = examined(shell)

    assert rows["client-ids"]["health"] == "wrong"
    assert "pump-3" in rows["client-ids"]["says"]
    assert "device/device-policy.json" in rows["client-ids"]["fix"]
    assert rows["device-policies"]["health"] == "ok"


def test_a_policy_without_our_topics_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.things["pump-3"] = [[TELEMETRY]]

    found = examined(shell)["device-policies"]

    assert found["health"] == "wrong"
    assert "pump-3 (no iot:Publish on topic/warden/pump-3/certificate/create and 5 more)" in found["says"]


def test_a_thing_without_certificate_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.things["pump-3"] = []

    assert "pump-3" in examined(shell)["certificates"]["says"]


def test_a_sample_is_looked_at_and_all_on_request(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.things = {f"pump-{number}": [[DEVICE_POLICY]] for number in range(40)}

    assert "of 25 things looked at" in examined(shell)["client-ids"]["says"]
    assert "of all 40 things" in examined(shell, "--all")["client-ids"]["says"]


def test_parked_messages_are_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.parked["ParkedCases"] = 3

    found = examined(shell)["parked"]

    assert found["says"] == "ParkedCases holds 3 messages that could not be processed"
    assert "Parked messages" in found["fix"]


@pytest.mark.parametrize(("minutes", "side"), [(4, "ahead of"), (-4, "behind")])
def test_a_clock_that_is_wrong_is_found(minutes: int, side: str, shell: Shell, healthy: ReadableAccount) -> None:
    healthy.slow = timedelta(minutes=minutes)

    assert side in examined(shell)["clock"]["says"]


def test_a_smaller_quota_than_assumed_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.quotas["ListPrincipalThings API TPS"] = 5.0

    assert examined(shell)["quotas"]["health"] == "wrong"


def test_a_quota_that_is_not_listed_is_not_known(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.quotas = {}

    assert examined(shell)["quotas"]["health"] == "not-known"


def test_a_dynamic_group_with_policies_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.groups |= {
        "hot": {"thingGroupName": "hot", "queryString": "attributes.hot:true", "policies": ["p"]},
        "cold": {"thingGroupName": "cold", "queryString": "attributes.hot:false"},
    }

    found = examined(shell)["dynamic-groups"]

    assert found["says"].endswith(": hot")


def test_a_group_below_one_with_policies_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    root = {"rootToParentThingGroups": [{"groupName": "all", "groupArn": "arn"}]}
    healthy.groups |= {"some": {"thingGroupName": "some", "thingGroupMetadata": root}}
    assert examined(shell)["nested-groups"]["health"] == "ok"

    healthy.groups["all"]["policies"] = ["p"]

    assert examined(shell)["nested-groups"]["says"].endswith(": some")


@pytest.mark.parametrize("action", sorted(ACTIONS - {"sts:GetCallerIdentity"}))
def test_a_denied_call_is_not_known(action: str, shell: Shell, healthy: ReadableAccount) -> None:
    healthy.denied = {action}

    said = shell.warden("doctor", "--region", "eu-central-1")

    assert said.code == 5
    assert said.err == ""
    assert f"the role lacks {action}" in said.text
    assert "docs/doctor-policy.json" in said.text


def test_the_policy_allows_what_the_command_calls_and_nothing_more(shell: Shell, healthy: ReadableAccount) -> None:
    assert shell.warden("doctor", "--region", "eu-central-1").code == 0

    assert set(healthy.called) == ACTIONS


def test_the_device_policy_has_what_the_doctor_asks_for() -> None:
    session = Session("pump-1", "pump-1")
    statements = [{**each, "Resource": [*map(_name, _listed(each["Resource"]))]} for each in DEVICE_POLICY["Statement"]]

    for action, resource in doctor_devices.NEEDS:
        assert admits([{"Statement": statements}], action, resource.format(thing="pump-1"), session)


def test_a_deny_wins() -> None:
    deny = {"Statement": {"Effect": "Deny", "Action": "iot:Publish", "Resource": "topic/a"}}

    assert not admits([ANYTHING, deny], "iot:Publish", "topic/a", Session("x", "x"))
    assert admits([ANYTHING, deny], "iot:publish", "topic/b", Session("x", "x"))


def test_every_pulse_of_the_survey_has_a_health() -> None:
    assert {"ok", "wrong", "not-known"} == set(doctor_service._PULSES)


def _listed(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]


def _name(arn: str) -> str:
    return arn.split(":", 5)[5]
