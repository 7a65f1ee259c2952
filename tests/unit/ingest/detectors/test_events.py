"""Every file in `events/` has its row in the manifest, and is what the row says."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any, get_type_hints

import pytest
from cryptography import x509

from tests.conftest import ROOT
from tests.sample_events import EVENTS, PAGE, SAMPLE_EVENTS, Outcome, SampleEvent, of_function, page_of
from tests.unit.ingest.detectors.samples import (
    DETECTORS,
    assert_is_safe,
    detector_of,
    event,
    findings_of,
    message_of,
    the_finding_of,
)
from warden.core.findings import Finding
from warden.ingest.detectors import Detector, Envelope

CASE = f"{the_finding_of('detect-violation-in-alarm').problem[:12]}-1"

FROM_DETECTORS = [pytest.param(each, id=each.name) for each in of_function("ingest")]
TO_OUR_FUNCTIONS = [pytest.param(each, id=each.name) for each in SAMPLE_EVENTS.values() if each.function != "ingest"]


def test_every_sample_has_its_row_and_every_row_its_sample() -> None:
    files = {path.stem for path in EVENTS.glob("*.json")}

    assert files - SAMPLE_EVENTS.keys() == set(), "events/manifest.toml has no row for these files of events/"
    assert SAMPLE_EVENTS.keys() - files == set(), "events/ has no file for these rows of events/manifest.toml"


def test_every_row_is_of_a_function_that_there_is() -> None:
    functions = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}

    assert {each.function for each in SAMPLE_EVENTS.values()} == functions


def test_the_readme_has_the_tables_of_the_manifest() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page == page_of(page), "run `.venv/bin/python -m tests.sample_events`"


@pytest.mark.parametrize("sample", SAMPLE_EVENTS.values(), ids=SAMPLE_EVENTS)
def test_a_row_says_where_the_shape_is_from(sample: SampleEvent) -> None:
    assert {"captured", "documented", "unverified", "ours"} & set(re.findall(r"\w+", sample.shape))


@pytest.mark.parametrize("sample", SAMPLE_EVENTS.values(), ids=SAMPLE_EVENTS)
def test_a_row_has_the_keys_of_what_it_is(sample: SampleEvent) -> None:
    is_from_detector = sample.function == "ingest"

    assert bool(sample.rules) == (is_from_detector and sample.outcome is Outcome.FINDING)
    assert bool(sample.faults or sample.reason) == is_from_detector


def test_every_detector_has_a_sample() -> None:
    samples, detectors = {each.source for each in of_function("ingest")}, {_name_of(each) for each in DETECTORS}

    assert detectors - samples == set(), (
        "events/manifest.toml has no sample that these modules of ingest/detectors read"
    )
    assert samples - detectors == set(), "core/findings.Source names no such module of ingest/detectors"


def test_every_module_is_one_that_a_source_names() -> None:
    modules = {path.stem for path in (ROOT / "layers/warden/warden/ingest/detectors").glob("[a-z]*.py")}

    assert modules - {"event_bridge"} == {_name_of(each) for each in DETECTORS}, "core/findings.Source is their table"


@pytest.mark.parametrize("detector", DETECTORS, ids=lambda each: each.__name__)
def test_a_module_offers_what_the_intake_asks_it_for(detector: Detector) -> None:
    """The modules are found by name, so the type checker cannot see it."""
    assert isinstance(detector.TITLE, str)
    for name in ("recognises", "findings"):
        assert get_type_hints(getattr(detector, name), {**vars(detector), "Envelope": Envelope}) == {
            hint: type_ for hint, type_ in get_type_hints(getattr(Detector, name)).items() if hint != "self"
        }


def _name_of(detector: Detector | None) -> str:
    return getattr(detector, "__name__", "").rpartition(".")[2]


@pytest.mark.parametrize("sample", FROM_DETECTORS)
def test_a_detectors_sample_holds_what_its_row_says(sample: SampleEvent) -> None:
    message, _ = message_of(sample.name)

    found = findings_of(sample.name)

    assert _name_of(detector_of(message)) == sample.source
    assert tuple(finding.kind for finding in found) == sample.kinds
    assert {Outcome.FINDING if finding.is_open else Outcome.OVER for finding in found} == (
        {sample.outcome} - {Outcome.IGNORED}
    )
    for finding in found:
        assert_is_safe(finding)


def test_the_queue_changes_nothing_about_a_finding() -> None:
    assert the_finding_of("detect-violation-in-alarm-sqs") == the_finding_of("detect-violation-in-alarm")


@pytest.mark.parametrize("name", SAMPLE_EVENTS)
def test_a_record_of_a_queue_has_the_digest_of_its_body(name: str) -> None:
    for record in event(name).get("Records", []):
        if record.get("eventSource") == "aws:sqs":
            assert record["md5OfBody"] == hashlib.md5(record["body"].encode(), usedforsecurity=False).hexdigest()


def the_body_of(sample: dict[str, Any]) -> dict[str, Any]:
    (record,) = sample["Records"]
    body: dict[str, Any] = json.loads(record["body"])
    return body


def a_finding_for_the_responder(event: dict[str, Any]) -> tuple[str, str]:
    body = the_body_of(event)
    finding = Finding.from_message(body["finding"])

    assert (body["schema"], body["type"]) == (1, "finding")
    assert finding == the_finding_of("detect-violation-in-alarm")
    return "case-queue", finding.kind


def a_devices_request(event: dict[str, Any]) -> tuple[str, str]:
    body = the_body_of(event)
    payload = json.loads(base64.b64decode(body["payload"]))
    kind = f"{body['resource']}/{body['verb']}"

    assert body["thing"] == "pump-3"
    assert payload["clientToken"]
    _REQUESTS[kind](body, payload)
    return "device", kind


def _asks_for_a_certificate(_: dict[str, Any], payload: dict[str, Any]) -> None:
    assert x509.load_pem_x509_csr(payload["csr"].encode()).is_signature_valid


def _confirms(body: dict[str, Any], _: dict[str, Any]) -> None:
    assert body["principal"] != the_body_of(event("serve-device-certificate-create"))["principal"]


def _asks_where_to_upload(_: dict[str, Any], payload: dict[str, Any]) -> None:
    assert [file.keys() for file in payload["files"]] == [{"name", "bytes", "sha256"}]


_REQUESTS: dict[str, Callable[[dict[str, Any], dict[str, Any]], None]] = {
    "certificate/create": _asks_for_a_certificate,
    "certificate/confirm": _confirms,
    "logs/create": _asks_where_to_upload,
}


def a_job_event(event: dict[str, Any]) -> tuple[str, str]:
    body = the_body_of(event)

    assert body["eventType"] == "JOB_EXECUTION"
    assert body["operation"] == body["status"].lower()
    assert body["thingArn"].endswith(":thing/pump-3")
    return "iot-jobs", body["status"]


def a_schedule(event: dict[str, Any]) -> tuple[str, str]:
    assert (event["source"], event["detail"]) == ("aws.events", {})
    return "schedule", event["detail-type"]


def an_operators_call(event: dict[str, Any]) -> tuple[str, str]:
    body = json.loads(event["body"])

    assert event["version"] == "2.0"
    assert event["requestContext"]["authorizer"]["iam"]["userArn"]
    assert body.keys() <= {"command", "case"}
    assert body.get("case", CASE) == CASE
    assert ("case" in body) == (body["command"] != "cases")
    return "operator", body["command"]


def a_custom_resource(event: dict[str, Any]) -> tuple[str, str]:
    assert ("PhysicalResourceId" in event) == (event["RequestType"] != "Create")
    return "cloudformation", event["RequestType"]


READERS: dict[str, Callable[[dict[str, Any]], tuple[str, str]]] = {
    "respond": a_finding_for_the_responder,
    "serve_device": a_devices_request,
    "track_device": a_job_event,
    "sweep_cases": a_schedule,
    "survey_account": a_schedule,
    "sweep_certificates": a_schedule,
    "operate": an_operators_call,
    "set_up_account": a_custom_resource,
}
"""What each function gets, checked, to its source and its kind."""


@pytest.mark.parametrize("sample", TO_OUR_FUNCTIONS)
def test_a_functions_sample_is_what_its_row_says(sample: SampleEvent) -> None:
    assert READERS[sample.function](event(sample.name)) == (sample.source, *sample.kinds)
