"""Operate and sweep: the work that operators and schedules ask for."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import pytest

from functions.operate import app as operate_app
from functions.respond import app as respond_app
from functions.sweep_cases import app as sweep_app
from functions.sweep_certificates import app as sweep_certificates_app
from tests.functions.conftest import RESTRICTED, Context, Deployment, Throttle, sample
from tests.functions.paths import Patient
from tests.template.transformed import resources
from warden import bootstrap
from warden.core.account_facts import IotLogging
from warden.core.ledger import Key, Put, version_of


def operate(event: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    answer = operate_app.lambda_handler(event, Context())
    assert answer["headers"] == {"Content-Type": "application/json"}
    return answer["statusCode"], json.loads(answer["body"])


def asking(body: object, **changes: Any) -> dict[str, Any]:
    event = sample("operate-list-cases")
    return event | {"body": body if isinstance(body, str) else json.dumps(body)} | changes


def a_contained_case(deployment: Deployment) -> str:
    deployment.enrol("pump-3")
    respond_app.lambda_handler(sample("respond-finding"), Context())
    return str(operate(sample("operate-list-cases"))[1]["cases"][0]["id"])


@pytest.mark.usefixtures("deployment")
def test_without_an_identity_nothing_is_told() -> None:
    event = sample("operate-list-cases")
    event["requestContext"]["authorizer"] = None

    assert operate(event)[0] == 403
    del event["requestContext"]["authorizer"]
    status, answer = operate(event)
    assert (status, answer["error"]) == (403, "not-authenticated")


@pytest.mark.usefixtures("deployment")
def test_an_identity_in_the_body_is_none() -> None:
    event = asking({"command": "cases", "requestContext": {"authorizer": {"iam": {"userArn": "root"}}}})
    del event["requestContext"]["authorizer"]

    assert operate(event)[0] == 403


def test_cases_are_listed(deployment: Deployment) -> None:
    assert operate(sample("operate-list-cases")) == (200, {"cases": [], "more": False})

    case = a_contained_case(deployment)

    status, answer = operate(asking(b64encode(b'{"command": "cases"}').decode(), isBase64Encoded=True))
    assert (status, [each["id"] for each in answer["cases"]]) == (200, [case])


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("", 400, "not-json"),
        ("not JSON", 400, "not-json"),
        ("[]", 400, "not-json"),
        ('{"command": "cases", "command": "stop"}', 400, "not-json"),
        ({"command": "cases", "thing": "thingName:* OR *"}, 400, "bad-argument"),
        ({"command": "show", "case": "x OR attribute_exists(#pk)"}, 404, "no-such-case"),
        ("[" * 100_000, 400, "not-json"),
        ({}, 400, "unknown-command"),
        ({"command": ["cases"]}, 400, "unknown-command"),
        ({"command": "show", "case": 7}, 400, "bad-argument"),
        ({"command": "cases", "state": "x" * 501}, 400, "bad-argument"),
        ({"command": "show", "case": "none-1"}, 404, "no-such-case"),
        ({"command": "release", "case": "none-1"}, 404, "no-such-case"),
    ],
)
def test_what_cannot_be_answered_says_why(body: object, status: int, code: str) -> None:
    answered, answer = operate(asking(body))

    assert (answered, answer["error"]) == (status, code)
    assert answer["message"]


def test_a_decision_is_queued_in_the_name_of_who_signed(deployment: Deployment) -> None:
    case = a_contained_case(deployment)
    deployment.queued()
    event = sample("operate-release") | {"body": json.dumps({"command": "release", "case": case, "who": "root"})}

    status, answer = operate(event)

    signed = event["requestContext"]["authorizer"]["iam"]["userArn"]
    assert (status, answer["who"]) == (200, signed)
    [message] = deployment.queued()
    assert (message["decision"], message["who"]) == ("release", signed)


def test_a_decision_that_cannot_be_made_is_refused(deployment: Deployment) -> None:
    case = a_contained_case(deployment)

    status, answer = operate(asking({"command": "approve", "case": case}))

    assert status == 409
    assert answer["error"]


@pytest.mark.usefixtures("deployment")
def test_the_switch_is_thrown_and_taken_back() -> None:
    for command, stopped in (("stop", True), ("resume", False)):
        status, answer = operate(asking({"command": command, "why": "drill"}))

        assert (status, answer["stopped"]) == (200, stopped)


def test_the_sweep_queues_what_is_due_and_nothing_else(deployment: Deployment) -> None:
    ledger = bootstrap.context().ports.ledger
    for thing, due_at in (("pump-1", "2020-01-01T00:00:00.000000Z"), ("pump-2", "2100-01-01T00:00:00.000000Z")):
        record = {"type": "job", "thing": thing, "due": "due", "due_at": due_at}
        ledger.commit(Put(Key(f"JOB#{thing}", "JOB"), record, 0))

    for _ in range(2):
        swept = sweep_app.lambda_handler(sample("sweep-cases"), Context())
        assert swept == {"queued": 1}

    [message] = deployment.queued()
    assert (message["type"], message["partition"]) == ("due", "JOB#pump-1")


class TestTheLevelOfTheGroup:
    def sweep(self, *, contained: bool) -> None:
        ledger, key = bootstrap.context().ports.ledger, Key("CASE#1", "CASE")
        state = "contained" if contained else "closed"
        record = {"type": "case", "case_state": state, "opened_at": "2026-01-01T00:00:00.000000Z"}
        ledger.commit(Put(key, record, version_of(ledger.read(key))))
        sweep_app.lambda_handler(sample("sweep-cases"), Context())

    def test_it_is_debug_while_a_device_is_contained(self, deployment: Deployment) -> None:
        account = deployment.strict.state.account
        account.logging = IotLogging(level="ERROR", disabled=False)

        self.sweep(contained=True)
        assert account.group_levels == {RESTRICTED: "DEBUG"}

        self.sweep(contained=False)
        assert account.group_levels == {}

    def test_nobody_contained_costs_no_call_of_aws_iot(self, deployment: Deployment) -> None:
        deployment.strict.forget()

        sweep_app.lambda_handler(sample("sweep-cases"), Context())

        assert {service for service, *_ in deployment.strict.calls} == {"dynamodb"}

    def test_a_denial_is_on_record_and_the_sweep_goes_on(self, deployment: Deployment) -> None:
        account = deployment.strict.state.account
        account.logging = IotLogging(level="ERROR", disabled=False)
        account.denied = {"iot:SetV2LoggingLevel"}

        self.sweep(contained=True)

        [record] = deployment.records("group-level")
        assert (record["state"], record["action"], record["ours"]) == ("denied", "iot:SetV2LoggingLevel", False)

    def test_a_throttle_is_for_lambda_to_try_again(self, deployment: Deployment, throttled: Throttle) -> None:
        deployment.strict.state.account.logging = IotLogging(level="ERROR", disabled=False)
        throttled("SetV2LoggingLevel", RESTRICTED)

        with pytest.raises(Exception, match="Throttling"):
            self.sweep(contained=True)


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_sweep_that_cannot_queue_fails_loudly(deployment: Deployment, throttled: Throttle) -> None:
    record = {"type": "job", "thing": "pump-1", "due": "due", "due_at": "2020-01-01T00:00:00.000000Z"}
    bootstrap.context().ports.ledger.commit(Put(Key("JOB#1", "JOB"), record, 0))
    throttled("SendMessageBatch", "JOB#1")

    with pytest.raises(Exception, match="Throttling"):
        sweep_app.lambda_handler(sample("sweep-cases"), Context())
    assert deployment.queued() == []


def of_schedule(rule: str) -> dict[str, Any]:
    """Return what a schedule of the template hands to its function."""
    [target] = resources("AWS::Events::Rule")[rule]["Targets"]
    return dict(json.loads(target["Input"]))


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_the_first_report_on_certificates_comes_by_itself_and_once(deployment: Deployment) -> None:
    rule = "SweepCertificatesFunctionUntilTheFirst"
    assert resources("AWS::Events::Rule")[rule]["ScheduleExpression"] == "rate(15 minutes)"

    answers = [sweep_certificates_app.lambda_handler(of_schedule(rule), Patient()) for _ in range(3)]

    assert answers == [{"sweep": "reported"}, {"sweep": "not-the-first"}, {"sweep": "not-the-first"}]
    [run] = deployment.records("sweep")
    assert run["reported"]
    assert len(deployment.strict.made("Publish")) == 1


def test_a_sweep_during_a_campaign_is_none_where_there_is_no_campaign(deployment: Deployment) -> None:
    answer = sweep_certificates_app.lambda_handler(
        of_schedule("SweepCertificatesFunctionWhileACampaignRuns"), Patient()
    )

    assert answer == {"sweep": "no-campaign"}
    assert deployment.records("sweep") == []
