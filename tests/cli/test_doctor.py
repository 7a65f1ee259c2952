"""`warden doctor`: each check finds what is wrong and says how to mend it, and a denied call is not known."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any, cast

import boto3
import pytest
from botocore.client import BaseClient

from tests.baseline.access import RefusedError
from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.bench.fleet import QUOTAS as FLEET_QUOTAS
from tests.cli.answering import Operate
from tests.cli.conftest import Looking, Shell
from tests.conftest import ROOT
from tests.pages.samples import SURVEY
from warden_cli import doctor_devices, doctor_service, reading
from warden_cli.doctor_quotas import ASSUMED
from warden_cli.iot_policy import Session, admits

_REALLY: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way to the wire
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
        groups={"all": {"thingGroupName": "all"}, "line": {"thingGroupName": "line"}},
        parked={"Parked": 0, "ParkedCases": 0},
        quotas={**QUOTAS, "L-00000000": 1.0},
        sessions={"pump-1": "pump-1", "pump-2": "pump-2", "pump-3": ""},
        undelivered=[0.0],
        log_lines=["MisconfiguredSomething"],
    )


QUOTAS = {each.code: each.value for each in ASSUMED if each.code}


class _HangsUp(BaseRequestHandler):
    """Takes a connection and says nothing."""

    def handle(self) -> None:
        cast("_Silent", self.server).taken += 1


class _Silent(ThreadingTCPServer):
    """A service that never answers, and how often it was called."""

    taken = 0


@contextmanager
def silent_service() -> Iterator[_Silent]:
    with _Silent(("127.0.0.1", 0), _HangsUp) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield server
        finally:
            server.shutdown()


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
    assert {"client-ids", "device-policies", "certificates", "dynamic-groups"} <= set(rows)
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


def test_a_policy_for_the_things_of_its_certificate_alone_is_not(shell: Shell, healthy: ReadableAccount) -> None:
    attached = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
    healthy.things["pump-3"] = [[{"Statement": {**ANYTHING["Statement"], "Condition": attached}}]]

    rows = examined(shell)

    assert rows["client-ids"]["health"] == rows["device-policies"]["health"] == "ok"


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


@pytest.mark.parametrize("code", QUOTAS)
def test_a_smaller_quota_than_assumed_is_found(code: str, shell: Shell, healthy: ReadableAccount) -> None:
    [assumed] = [each for each in ASSUMED if each.code == code]
    healthy.quotas[code] = 2.0

    found = examined(shell)["quotas"]

    assert found["health"] == "wrong"
    assert found["says"].endswith(f": {assumed.name} 2 of {assumed.value:g}")


def test_a_quota_that_service_quotas_has_dropped_is_not_known(shell: Shell, healthy: ReadableAccount) -> None:
    del healthy.quotas["L-C481616A"]

    found = examined(shell)["quotas"]

    assert found["health"] == "not-known"
    assert found["says"].endswith(": ListPrincipalThings 10")


def test_what_service_quotas_never_lists_is_named(shell: Shell, healthy: ReadableAccount) -> None:
    assert healthy.quotas

    assert "CreateJob 10, DescribeJobExecution 10" in examined(shell)["quotas"]["says"]


def test_every_call_that_a_fleet_is_measured_with_is_compared() -> None:
    assert set(FLEET_QUOTAS) <= {each.name for each in ASSUMED}


def test_a_session_under_another_client_id_is_found_on_any_page(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.sessions = {"pump-1": "pump-1", "pump-2": "pump-2", "pump-3": "shared\x1b[2J"}

    found = examined(shell)["sessions"]

    assert found["health"] == "wrong"
    assert found["says"].startswith("1 of 3 sessions in the index")
    assert "pump-3 as shared" in found["says"]
    assert "\x1b" not in found["says"]


def test_sessions_that_cannot_be_seen_are_said_to_be(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.sessions = None

    assert examined(shell)["sessions"]["says"].startswith("not seen: fleet indexing has no connectivity")
    assert "iot:SearchIndex" not in healthy.called


@pytest.mark.parametrize(
    ("undelivered", "lines", "words"),
    [
        ([2.0, 1.0], None, "3 counted, 0 log lines"),
        ([], ['{"eventType": "MisconfiguredDeviceDefenderNotification"}'], "0 counted, 1 log lines"),
    ],
)
def test_alerts_that_device_defender_could_not_deliver_are_found(
    undelivered: list[float], lines: list[str] | None, words: str, shell: Shell, healthy: ReadableAccount
) -> None:
    healthy.undelivered, healthy.log_lines = undelivered, lines

    found = examined(shell)["notifications"]

    assert found["health"] == "wrong"
    assert found["says"].endswith(words)
    assert "alert-delivery" in found["fix"]


def test_no_metric_and_no_log_is_nothing_undelivered(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.undelivered, healthy.log_lines = [], None

    assert examined(shell)["notifications"]["health"] == "ok"


def test_a_dynamic_group_with_policies_is_found(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.groups |= {
        "hot": {"thingGroupName": "hot", "queryString": "attributes.hot:true", "policies": ["p"]},
        "cold": {"thingGroupName": "cold", "queryString": "attributes.hot:false"},
    }

    found = examined(shell)["dynamic-groups"]

    assert found["says"].endswith(": hot")


def test_groups_beyond_the_sample_are_not_said_to_be_well(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.groups |= {f"a{number:02}": {"thingGroupName": f"a{number:02}"} for number in range(30)}

    found = examined(shell)

    assert found["dynamic-groups"]["says"] == "of 25 groups looked at no dynamic group carries a policy"
    assert examined(shell, "--all")["dynamic-groups"]["says"].startswith("of all 32 groups ")


def gone(*names: str) -> Callable[[str, Mapping[str, Any]], None]:
    """Delete what was listed before it is read."""

    def deleted(action: str, asked: Mapping[str, Any]) -> None:
        if "ListThings" not in action and any(name in str(each) for name in names for each in asked.values()):
            raise RefusedError("ResourceNotFoundException", 404)

    return deleted


def test_a_thing_that_was_deleted_meanwhile_is_left_out(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.before = gone("pump-2")

    rows = examined(shell)

    assert rows["client-ids"]["says"].startswith("of 1 things looked at (1 deleted meanwhile) none ")
    assert rows["certificates"]["health"] == "ok"


def test_a_certificate_that_was_deleted_meanwhile_is_not_listed_again(shell: Shell, healthy: ReadableAccount) -> None:
    def deleted(action: str, asked: Mapping[str, Any]) -> None:
        if action == "iot:GetEffectivePolicies" and asked["principal"].endswith("1"):
            healthy.things["pump-2"] = healthy.things["pump-2"][:1]
            raise RefusedError("ResourceNotFoundException", 404)

    healthy.before = deleted

    assert examined(shell)["device-policies"]["says"].startswith("of 2 things looked at all")


def test_a_group_that_was_deleted_meanwhile_is_left_out(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.before = gone("line")

    assert "of 1 groups looked at (1 deleted meanwhile)" in examined(shell)["dynamic-groups"]["says"]


def test_certificates_beyond_the_first_page_are_looked_at(shell: Shell, healthy: ReadableAccount) -> None:
    healthy.page = 1
    healthy.things["pump-2"] = [[DEVICE_POLICY], [ANYTHING]]

    assert "pump-2" in examined(shell)["client-ids"]["says"]


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


@pytest.mark.usefixtures("healthy")
def test_a_service_that_is_silent_twice_is_not_asked_again(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    answered: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # as the account is read

    def call(client: Any, operation: str, asked: dict[str, Any]) -> Any:
        is_silent = client.meta.service_model.service_name == "iot"
        return (_REALLY if is_silent else answered)(client, operation, asked)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    monkeypatch.setattr(reading, "Session", boto3.Session)
    with silent_service() as service:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        monkeypatch.setenv("AWS_ENDPOINT_URL_IOT", f"http://127.0.0.1:{service.server_address[1]}")
        rows = examined(shell)

    assert service.taken == 2
    for check, action in (("devices", "iot:ListThings"), ("groups", "iot:ListThingGroups")):
        assert rows[check]["says"] == f"not known: {action} did not answer in time"
    assert rows["quotas"]["health"] == "ok"
