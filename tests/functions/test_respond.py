"""Respond: one device at a time; a device whose message fails waits, the others go on."""

from __future__ import annotations

import copy
import json
from typing import Any

from functions.respond import app
from tests.functions.conftest import RESTRICTED, Context, Deployment, Throttle, batch, sample


def respond(event: dict[str, Any]) -> Any:
    return app.lambda_handler(event, Context())


def a_message(thing: str, finding: str = "v-1") -> dict[str, Any]:
    message: dict[str, Any] = copy.deepcopy(json.loads(sample("respond-finding")["Records"][0]["body"]))
    message["finding"] |= {"id": finding, "subject": {"type": "thing", "name": thing}}
    return message


def test_the_sample_contains_its_device_and_sends_it_a_job(deployment: Deployment) -> None:
    certificate = deployment.enrol("pump-3")

    assert respond(sample("respond-finding")) == {"batchItemFailures": []}

    assert deployment.policies_of(certificate) == [RESTRICTED]
    [case] = deployment.records("case")
    assert case["case_state"] == "contained"
    [job] = deployment.records("job")
    assert deployment.client("iot").describe_job_execution(jobId=job["job_id"], thingName="pump-3")


def test_the_same_message_twice_does_it_once(deployment: Deployment) -> None:
    deployment.enrol("pump-3")

    for _ in range(2):
        respond(sample("respond-finding"))

    assert len(deployment.records("case")) == len(deployment.records("job")) == 1
    assert len(deployment.strict.made("CreateJob")) == 1
    assert len([call for call in deployment.strict.made("Publish") if "Subject" in call]) == 1


def test_a_device_whose_message_fails_waits_and_the_others_go_on(deployment: Deployment, throttled: Throttle) -> None:
    one, two = deployment.enrol("pump-1", 1), deployment.enrol("pump-2", 2)
    throttled("ListThingGroupsForThing", "pump-1")

    answer = respond(batch(a_message("pump-1"), a_message("pump-2"), a_message("pump-1", "v-2")))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-2"}]}
    assert deployment.policies_of(one) == ["fleet-device"]
    assert deployment.policies_of(two) == [RESTRICTED]


def test_a_message_that_is_none_is_delivered_again_until_it_is_parked(deployment: Deployment) -> None:
    deployment.enrol("pump-2")

    answer = respond(batch("not JSON", a_message("pump-2")))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert [case["case_thing"] for case in deployment.records("case")] == ["pump-2"]


def test_a_message_of_another_schema_is_refused_on_record(deployment: Deployment) -> None:
    assert respond(batch({"schema": 2, "type": "finding"})) == {"batchItemFailures": []}

    assert [refusal["code"] for refusal in deployment.records("refusal")] == ["unknown-message"]


def test_a_thing_that_is_none_is_a_case_without_a_device(deployment: Deployment) -> None:
    for thing in ("nobody", "a/../b"):
        assert respond(batch(a_message(thing))) == {"batchItemFailures": []}

    assert {case["case_state"] for case in deployment.records("case")} == {"open"}
    assert deployment.strict.made("AttachPolicy") == []
