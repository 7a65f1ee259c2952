"""Messages whose sender AWS authenticates: operators' commands, and CloudFormation's custom resource."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.operate import app as operate_app
from functions.set_up_account import app as set_up_app
from tests.functions.conftest import sample
from tests.functions.paths import _cloudformation, a_finding
from tests.hostile.corpus import Case, cases, count, name_of
from tests.hostile.harness import Stage

LOOKING_AT_A_THING = {"DescribeThing", "ListThingGroupsForThing"}
ANSWERING = {"GetItem", "Query", "TransactWriteItems", "SendMessageBatch"} | LOOKING_AT_A_THING
REFUSING = {"GetItem"} | LOOKING_AT_A_THING
SETTING_UP = {"AttachPolicy", "DescribeEventConfigurations", "UpdateEventConfigurations"}
"""What the two functions may ask of AWS."""

SWITCHED = ("stop", "resume")


def a_contained_device(stage: Stage) -> str:
    stage.deployment.enrol("pump-3")
    stage.respond(a_finding("pump-3"))
    return stage.case("pump-3")


@pytest.mark.parametrize("case", cases("operators"), ids=name_of)
def test_a_command_is_answered_as_expected(stage: Stage, case: Case) -> None:
    contained = stage.once(a_contained_device)
    body = case.text() if "body" in case.said else json.dumps(case.said["command"]).replace("CASE", contained)
    event = sample("operate-list-cases") | {"body": body, "isBase64Encoded": case.said.get("base64", False)}
    if "authorizer" in case.said:
        event["requestContext"]["authorizer"] = case.said["authorizer"]

    run = stage.run(operate_app.lambda_handler, event)

    answer = json.loads(run.answer["body"])
    assert run.answer["body"].isprintable()
    assert run.answer["body"].isascii()
    status = case.expect["status"]
    assert (run.answer["statusCode"], answer.get("error")) == (status, case.expect.get("code"))
    [line] = run.lines
    assert line["message"] == ("operator answered" if status == 200 else "operator refused")
    assert len(json.dumps(line)) < 1_000
    assert set(run.operations) <= (ANSWERING if status == 200 else REFUSING)
    signed = "arn:aws:sts::123456789012:assumed-role/fleet-operator/alice"
    assert {entry["who"] for entry in stage.deployment.records("switch")} <= {signed}


@pytest.mark.parametrize("case", cases("custom-resources"), ids=name_of)
def test_cloudformation_is_always_answered(stage: Stage, case: Case) -> None:
    changes: dict[str, Any] = case.said["event"]
    with _cloudformation() as (url, answers):
        event = sample("set-up-account-create") | changes | {"ResponseURL": url}
        run = stage.run(set_up_app.lambda_handler, event)

    assert answers == [case.expect["status"]]
    [line] = run.lines
    assert line["message"] == ("account set up" if answers == ["SUCCESS"] else "account not set up")
    assert set(run.operations) <= SETTING_UP


def test_the_families_are_as_large_as_promised() -> None:
    assert count("operators") >= 72
    assert count("custom-resources") >= 8
