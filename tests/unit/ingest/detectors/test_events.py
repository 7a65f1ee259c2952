"""Every file in `events/` is what it says: complete, readable, and read here."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509

from tests.unit.ingest.detectors.samples import EVENTS, assert_is_safe, event, findings_of, the_finding_of
from warden.core.findings import Finding

PROBLEM = the_finding_of("detect-violation-in-alarm").problem

DETECTORS_SEND = {
    "detect-violation-in-alarm": 1,
    "detect-violation-in-alarm-sqs": 1,
    "detect-violation-alarm-cleared": 1,
    "detect-violation-alarm-invalidated": 1,
    "detect-violation-machine-learning": 1,
    "detect-violation-statistical": 1,
    "detect-violation-custom-metric": 1,
    "detect-violation-unregistered-client": 1,
    "detect-violation-long-thing-name": 1,
    "detect-metrics-report": 0,
    "audit-report": 0,
    "audit-report-compliant": 0,
    "audit-finding": 1,
    "audit-finding-certificate": 1,
    "guardduty-device-credentials": 1,
    "guardduty-user": 1,
    "guardduty-sample": 0,
    "guardduty-archived": 0,
    "security-hub-detect": 1,
    "security-hub-detect-archived": 1,
    "security-hub-audit": 2,
    "security-hub-check-summary": 0,
    "generic-finding": 1,
    "generic-finding-closed": 1,
}


def test_every_sample_is_read_by_a_test() -> None:
    assert {path.stem for path in EVENTS.glob("*.json")} == DETECTORS_SEND.keys() | OUR_FUNCTIONS_GET.keys()


def test_the_readme_lists_every_sample_once() -> None:
    listed = [line.split("`")[1] for line in (EVENTS / "README.md").read_text().splitlines() if line.startswith("| `")]

    assert sorted(listed) == sorted(path.name for path in EVENTS.glob("*.json"))


@pytest.mark.parametrize(("name", "count"), DETECTORS_SEND.items())
def test_a_detectors_sample_holds_so_many_findings(name: str, count: int) -> None:
    found = findings_of(name)

    assert len(found) == count
    for finding in found:
        assert_is_safe(finding)


def test_the_queue_changes_nothing_about_a_finding() -> None:
    assert the_finding_of("detect-violation-in-alarm-sqs") == the_finding_of("detect-violation-in-alarm")


@pytest.mark.parametrize("path", sorted(EVENTS.glob("*.json")), ids=lambda path: path.stem)
def test_a_record_of_a_queue_has_the_digest_of_its_body(path: Any) -> None:
    for record in json.loads(path.read_text()).get("Records", []):
        if record.get("eventSource") == "aws:sqs":
            assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()


def the_body_of(sample: dict[str, Any]) -> dict[str, Any]:
    (record,) = sample["Records"]
    body: dict[str, Any] = json.loads(record["body"])
    return body


def the_case_queues_message(sample: dict[str, Any]) -> None:
    body = the_body_of(sample)

    assert (body["schema"], body["type"]) == (1, "finding")
    assert Finding.from_message(body["finding"]) == the_finding_of("detect-violation-in-alarm")


def a_certificate_request(sample: dict[str, Any]) -> None:
    body = the_body_of(sample)
    payload = json.loads(base64.b64decode(body["payload"]))

    assert (body["thing"], body["resource"], body["verb"]) == ("pump-3", "certificate", "create")
    assert x509.load_pem_x509_csr(payload["csr"].encode()).is_signature_valid
    assert payload["clientToken"]


def a_confirmation(sample: dict[str, Any]) -> None:
    body = the_body_of(sample)

    assert (body["thing"], body["resource"], body["verb"]) == ("pump-3", "certificate", "confirm")
    assert body["principal"] != the_body_of(event("serve-device-certificate-create"))["principal"]


def an_upload_request(sample: dict[str, Any]) -> None:
    body = the_body_of(sample)
    payload = json.loads(base64.b64decode(body["payload"]))

    assert (body["thing"], body["resource"], body["verb"]) == ("pump-3", "logs", "create")
    assert [file.keys() for file in payload["files"]] == [{"name", "bytes", "sha256"}]


def a_job_that(status: str) -> Callable[[dict[str, Any]], None]:
    def check(sample: dict[str, Any]) -> None:
        body = the_body_of(sample)

        assert (body["eventType"], body["status"]) == ("JOB_EXECUTION", status)
        assert body["operation"] == status.lower()
        assert body["thingArn"].endswith(":thing/pump-3")

    return check


def a_schedule(sample: dict[str, Any]) -> None:
    assert (sample["source"], sample["detail-type"], sample["detail"]) == ("aws.events", "Scheduled Event", {})


def an_operators_call(body: dict[str, str]) -> Callable[[dict[str, Any]], None]:
    def check(sample: dict[str, Any]) -> None:
        assert sample["version"] == "2.0"
        assert sample["requestContext"]["authorizer"]["iam"]["userArn"]
        assert json.loads(sample["body"]) == body

    return check


def a_custom_resource(kind: str) -> Callable[[dict[str, Any]], None]:
    def check(sample: dict[str, Any]) -> None:
        assert sample["RequestType"] == kind
        assert ("PhysicalResourceId" in sample) == (kind != "Create")

    return check


OUR_FUNCTIONS_GET: dict[str, Callable[[dict[str, Any]], None]] = {
    "respond-finding": the_case_queues_message,
    "serve-device-certificate-create": a_certificate_request,
    "serve-device-certificate-confirm": a_confirmation,
    "serve-device-logs-create": an_upload_request,
    "track-device-job-succeeded": a_job_that("SUCCEEDED"),
    "track-device-job-timed-out": a_job_that("TIMED_OUT"),
    "sweep-cases": a_schedule,
    "sweep-certificates": a_schedule,
    "operate-list-cases": an_operators_call({"command": "cases"}),
    "operate-release": an_operators_call({"command": "release", "case": f"{PROBLEM[:12]}-1"}),
    "set-up-account-create": a_custom_resource("Create"),
    "set-up-account-delete": a_custom_resource("Delete"),
}


@pytest.mark.parametrize("name", OUR_FUNCTIONS_GET)
def test_a_functions_sample_is_what_its_name_says(name: str) -> None:
    OUR_FUNCTIONS_GET[name](event(name))
