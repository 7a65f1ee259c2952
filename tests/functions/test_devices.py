"""Serve device and track device: what devices ask for and how their jobs end, from the queue to the answer."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest

from functions.respond import app as respond_app
from functions.serve_device import app as serve_app
from functions.track_device import app as track_app
from tests.fakes import LOG, a_key, forwarded
from tests.functions.conftest import Context, Deployment, Throttle, batch, sample


def serve(event: dict[str, Any]) -> Any:
    return serve_app.lambda_handler(event, Context())


def track(event: dict[str, Any]) -> Any:
    return track_app.lambda_handler(event, Context())


def respond(event: dict[str, Any]) -> Any:
    return respond_app.lambda_handler(event, Context())


def a_request(what: str, principal: str, payload: object, thing: str = "pump-3") -> dict[str, Any]:
    """Build what the IoT rule writes for a device's message, with its time."""
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return {**forwarded(thing, what, principal, body), "at": 1795341720000}


@pytest.mark.parametrize("name", ["certificate-create", "certificate-confirm", "logs-create"])
def test_a_sample_of_a_device_that_is_not_ours_is_rejected_on_its_topic(deployment: Deployment, name: str) -> None:
    assert serve(sample(f"serve-device-{name}")) == {"batchItemFailures": []}

    [(topic, answer)] = deployment.answers()
    assert topic == f"warden/pump-3/{name.replace('-', '/')}/rejected"
    assert answer["code"] == "not-yours"
    assert [refusal["about"] for refusal in deployment.records("refusal")] == ["pump-3"]


@pytest.mark.parametrize("body", ["not JSON", "{}", '{"thing": "pump-3"}', "[]"])
def test_what_the_rule_never_wrote_is_refused_on_record_and_done(deployment: Deployment, body: str) -> None:
    assert serve(batch(body)) == {"batchItemFailures": []}

    assert deployment.answers() == []
    assert len(deployment.records("refusal")) == 1


@pytest.mark.parametrize("payload", [b"\xff\xfe", b"not JSON", b"[]", b"{}", b'{"clientToken": ""}', b"[" * 60_000])
def test_what_a_device_should_not_send_is_rejected_with_a_code(deployment: Deployment, payload: bytes) -> None:
    certificate = deployment.enrol("pump-3")

    assert serve(batch(a_request("logs/create", certificate, payload))) == {"batchItemFailures": []}

    [(topic, answer)] = deployment.answers()
    assert topic.endswith("/rejected")
    assert answer["code"] in ("payload-not-json", "client-token")


def test_one_request_that_fails_costs_only_itself(deployment: Deployment, throttled: Throttle) -> None:
    one, two = deployment.enrol("pump-1", 1), deployment.enrol("pump-2", 2)
    throttled("ListThingPrincipals", "pump-1")
    ask = {"clientToken": "t", "jobId": "warden-none", "files": []}

    answer = serve(batch(a_request("logs/create", one, ask, "pump-1"), a_request("logs/create", two, ask, "pump-2")))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-0"}]}
    assert [topic for topic, _ in deployment.answers()] == ["warden/pump-2/logs/create/rejected"]


def test_logs_from_the_job_to_the_judgement(deployment: Deployment) -> None:
    certificate = deployment.enrol("pump-3")
    respond(sample("respond-finding"))
    [job] = deployment.records("job")
    deployment.execution(job["job_id"], "pump-3", "IN_PROGRESS")
    announced = [{"name": "syslog", "bytes": len(LOG), "sha256": sha256(LOG).hexdigest()}]

    serve(
        batch(a_request("logs/create", certificate, {"clientToken": "t", "jobId": job["job_id"], "files": announced}))
    )
    [(topic, answer)] = deployment.answers()
    assert topic == "warden/pump-3/logs/create/accepted"
    [upload] = answer["uploads"]
    deployment.client("s3").put_object(Bucket="evidence", Key=upload["fields"]["key"], Body=LOG)
    deployment.execution(job["job_id"], "pump-3", "SUCCEEDED")
    event = json.loads(sample("track-device-job-succeeded")["Records"][0]["body"]) | {"jobId": job["job_id"]}
    assert track(batch(event)) == {"batchItemFailures": []}
    [ended] = deployment.queued()
    assert respond(batch(ended)) == {"batchItemFailures": []}

    [case] = deployment.records("case")
    assert case["outcomes"]["collect-logs"]["progress"] == "done", case["outcomes"]


def test_a_certificate_from_the_release_to_the_answer(deployment: Deployment) -> None:
    certificate = deployment.enrol("pump-3")
    respond(sample("respond-finding"))
    [case] = deployment.records("case")
    release = {"decision": "release", "case": case["pk"].removeprefix("CASE#"), "who": "ann", "why": "", "request": "r"}
    respond(batch({"schema": 1, "type": "decision", **release}))
    [job] = [job for job in deployment.records("job") if job["action"] == "rotate-certificate"]
    ask = a_request("certificate/create", certificate, {"clientToken": "t", "csr": a_key(5).csr})

    serve(batch(ask))  # the job is still QUEUED: the device has not begun it
    deployment.execution(job["job_id"], "pump-3", "IN_PROGRESS")
    serve(batch(ask))

    (_, refused), (topic, answer) = deployment.answers()
    assert refused["code"] == "no-job"
    assert topic == "warden/pump-3/certificate/create/accepted"
    made = deployment.client("iot").describe_certificate(certificateId=answer["certificateId"])
    assert made["certificateDescription"]["status"] == "ACTIVE"
    assert deployment.policies_of(answer["certificateId"]) == ["fleet-warden-restricted"]


@pytest.mark.parametrize("name", ["job-succeeded", "job-timed-out"])
def test_a_job_that_is_not_on_record_is_left_alone(deployment: Deployment, name: str) -> None:
    assert track(sample(f"track-device-{name}")) == {"batchItemFailures": []}

    assert deployment.queued() == []


@pytest.mark.parametrize("body", ["not JSON", "{}", '{"jobId": "../x"}', '{"jobId": 7}'])
def test_what_is_no_job_event_is_refused_on_record_and_done(deployment: Deployment, body: str) -> None:
    assert track(batch(body)) == {"batchItemFailures": []}

    assert len(deployment.records("refusal")) == 1


def test_one_event_that_fails_costs_only_itself(throttled: Throttle) -> None:
    throttled("GetItem", "warden-poison")
    event = json.loads(sample("track-device-job-succeeded")["Records"][0]["body"])

    answer = track(batch(event, event | {"jobId": "warden-poison"}, event | {"jobId": "warden-other"}))

    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
