"""Ingest: whatever detectors send becomes findings on the case queue, or is refused with a reason on record."""

from typing import Any

import pytest

from functions.ingest import app
from tests.functions.conftest import Context, Deployment, Throttle, batch, sample
from tests.sample_events import SampleEvent, of_function


def ingest(event: dict[str, Any]) -> Any:
    return app.lambda_handler(event, Context())


@pytest.mark.parametrize("event", [pytest.param(each, id=each.name) for each in of_function("ingest")])
def test_a_sample_becomes_its_findings_bare_or_queued(deployment: Deployment, event: SampleEvent) -> None:
    assert ingest(sample(event.name)) == {"batchItemFailures": []}

    queued = deployment.queued()
    assert [message["type"] for message in queued] == ["finding"] * len(event.kinds)
    assert deployment.records("refusal") == []


def test_the_same_sample_by_both_ways_is_one_message(deployment: Deployment) -> None:
    for name in ("detect-violation-in-alarm-sqs", "detect-violation-in-alarm-sqs"):
        ingest(sample(name))

    assert len(deployment.queued()) == 1


@pytest.mark.parametrize("body", ["not JSON", "[1]", "{}", '{"thingName": 1}', "\ufeff{}", "null", "[" * 100_000])
def test_what_cannot_be_read_is_refused_on_record_and_done(deployment: Deployment, body: str) -> None:
    assert ingest(batch(body)) == {"batchItemFailures": []}

    assert deployment.queued() == []
    [refusal] = deployment.records("refusal")
    assert refusal["code"]
    assert refusal["reason"]


def test_one_that_cannot_be_queued_costs_only_itself(deployment: Deployment, throttled: Throttle) -> None:
    event = sample("detect-violation-in-alarm-sqs")
    [record] = event["Records"]
    others = [
        {**record, "messageId": f"message-{thing}", "body": record["body"].replace("pump-3", thing)}
        for thing in ("pump-1", "pump-9", "pump-2")
    ]
    throttled("SendMessageBatch", "pump-9")

    answer = ingest({"Records": others})

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-pump-9"}]}
    assert sorted(message["finding"]["subject"]["name"] for message in deployment.queued()) == ["pump-1", "pump-2"]


@pytest.mark.filterwarnings("ignore:No application metrics")
def test_a_refusal_that_cannot_be_recorded_is_delivered_again(deployment: Deployment, throttled: Throttle) -> None:
    throttled("PutItem", "refusal")

    assert ingest(batch("not JSON", "neither")) == {
        "batchItemFailures": [{"itemIdentifier": "message-0"}, {"itemIdentifier": "message-1"}]
    }
    assert deployment.records("refusal") == []
