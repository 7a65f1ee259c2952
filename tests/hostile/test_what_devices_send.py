"""What devices send, through the real handlers: signing requests, uploads, everything else on their topics, job events.

Each such device is between two that behave: those are answered, and it gets its code.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest

from functions.respond import app as respond_app
from functions.serve_device import app as serve_app
from functions.track_device import app as track_app
from tests.functions.conftest import batch
from tests.functions.paths import a_finding, an_audit_finding
from tests.functions.test_devices import a_request
from tests.hostile.corpus import Case, cases, count, moved, name_of, written_out
from tests.hostile.harness import Run, Stage

EVERY_ANSWER = {"GetItem", "ListThingPrincipals", "DescribeCertificate", "DescribeJobExecution", "Publish"}
REJECTING = EVERY_ANSWER | {"PutItem", "TransactWriteItems", "Query"}
CERTIFYING = REJECTING | {
    "AttachPolicy",
    "AttachThingPrincipal",
    "CreateCertificateFromCsr",
    "ListAttachedPolicies",
    "ListCertificates",
    "UpdateCertificate",
}
TAKING_LOGS = REJECTING | {"PostObject"}
"""What `serve_device` may ask of AWS: to say no (the query is for cases that suspect the thing), to give a certificate,
to give forms for uploads.
"""

THING = "pump-3"


class Scene(NamedTuple):
    """What a case begins with: the device's certificate, the job it is at, and the certificates of two others."""

    certificate: str
    job: str
    others: list[str]


def idle(stage: Stage) -> Scene:
    others = [stage.deployment.enrol(f"good-{number}", 20 + number) for number in (1, 2)]
    return Scene(stage.deployment.enrol(THING), "", others)


def sending_logs(stage: Stage) -> Scene:
    """Contain the device and ask it for its logs."""
    scene = idle(stage)
    stage.respond(a_finding(THING))
    return scene._replace(job=stage.job(THING, "collect-logs"))


def rotating(stage: Stage) -> Scene:
    return _told_to_rotate(idle(stage), stage)


def rotating_from(pem: str, stage: Stage) -> Scene:
    """Put the device into its rotation with the certificate of a case instead of one made for this run."""
    scene, iot = idle(stage), stage.deployment.client("iot")
    made = iot.register_certificate_without_ca(certificatePem=pem, status="ACTIVE")
    iot.attach_thing_principal(thingName=THING, principal=made["certificateArn"])
    [own] = [name for name in iot.list_thing_principals(thingName=THING)["principals"] if scene.certificate in name]
    iot.detach_thing_principal(thingName=THING, principal=own)
    return _told_to_rotate(scene._replace(certificate=made["certificateId"]), stage)


def _told_to_rotate(scene: Scene, stage: Stage) -> Scene:
    stage.respond(an_audit_finding("certificate", scene.certificate, "DEVICE_CERTIFICATE_EXPIRING_CHECK"))
    return scene._replace(job=stage.job(THING, "rotate-certificate"))


def served(stage: Stage, scene: Scene, record: object) -> Run:
    """Hand a record to the function, between the harmless requests of two other devices."""
    ask = {"clientToken": "t", "jobId": "warden-none", "files": []}
    one, two = (
        a_request("logs/create", certificate, ask, f"good-{number}")
        for number, certificate in enumerate(scene.others, 1)
    )
    run = stage.run(serve_app.lambda_handler, batch(one, record, two))
    assert run.answer == {"batchItemFailures": []}
    assert run.told == ["message-0", "message-1", "message-2"]
    assert [run.lines[place]["result"] for place in (0, 2)] == ["no-job", "no-job"]
    return run


def answer_of(stage: Stage, topic: str) -> dict[str, Any]:
    """Return the only answer on a device's topic."""
    [(verdict, answer)] = [
        (name.removeprefix(f"{topic}/"), answer)
        for name, answer in stage.deployment.answers()
        if name.startswith(f"{topic}/")
    ]
    return {"answer": verdict, **({"code": answer["code"]} if "code" in answer else {})}


@pytest.mark.parametrize("case", cases("certificate-requests"), ids=name_of)
def test_a_signing_request_is_answered_as_expected(stage: Stage, case: Case) -> None:
    scene = rotating_from(case.said["enrolled"], stage) if "enrolled" in case.said else stage.once(rotating)
    csr = case.text("csr_text") if "csr_text" in case.said else case.said["csr"]

    run = served(stage, scene, a_request("certificate/create", scene.certificate, {"clientToken": "t", "csr": csr}))

    assert answer_of(stage, f"warden/{THING}/certificate/create") == case.expect
    is_certified = case.expect["answer"] == "accepted"
    assert set(run.operations) <= (CERTIFYING if is_certified else REJECTING)
    assert len(run.made("CreateCertificateFromCsr")) == is_certified
    assert len(stage.deployment.client("iot").list_thing_principals(thingName=THING)["principals"]) == 1 + is_certified
    assert run.lines[1]["result"] == case.expect.get("code", "accepted")


@pytest.mark.parametrize("case", cases("uploads"), ids=name_of)
def test_an_announcement_of_files_is_answered_as_expected(stage: Stage, case: Case) -> None:
    scene = stage.once(sending_logs)
    asked = {"clientToken": "t", "jobId": scene.job, "files": case.said.get("files")}
    if "job" in case.said:
        asked["jobId"] = with_job(case.said["job"], scene.job)
    payload = case.text("payload").replace("JOB", scene.job).encode() if "payload" in case.said else asked

    run = served(stage, scene, a_request("logs/create", scene.certificate, payload))

    assert answer_of(stage, f"warden/{THING}/logs/create") == case.expect
    is_taken = case.expect["answer"] == "accepted"
    assert set(run.operations) <= (TAKING_LOGS if is_taken else REJECTING)
    assert len(run.made("PostObject")) == (len(case.said["files"]) if is_taken else 0)


@pytest.mark.parametrize(
    "case", [case for case in cases("uploads") if case.expect["answer"] == "accepted"], ids=name_of
)
def test_the_names_of_files_reach_people_as_one_line_of_ours(stage: Stage, case: Case) -> None:
    """The files never arrive, so that the notice names every one of them."""
    scene = stage.once(sending_logs)
    asked = {"clientToken": "t", "jobId": scene.job, "files": case.said["files"]}
    served(stage, scene, a_request("logs/create", scene.certificate, asked))
    stage.deployment.execution(scene.job, THING, "SUCCEEDED")
    ended = {"schema": 1, "type": "job-ended", "job": scene.job, "thing": THING, "event": "e-1"}

    run = stage.run(respond_app.lambda_handler, batch(ended))

    [notice] = run.made("Publish")
    assert "\n  collect-logs: FAILED, not in the bucket as announced: " in notice["Message"]


@pytest.mark.parametrize("case", cases("device-messages"), ids=name_of)
def test_whatever_is_on_a_devices_topic_ends_as_expected(stage: Stage, case: Case) -> None:
    scene = stage.once(idle)
    record = case.text() if "body" in case.said else the_request(case, scene.certificate)
    expected = case.expect["answer"]

    run = served(stage, scene, record)

    if expected == "rejected":
        asked = json.loads(record) if isinstance(record, str) else record
        topic = f"warden/{asked['thing']}/{asked['resource']}/{asked['verb']}"
        assert case.expect["code"] in [
            answer["code"] for name, answer in stage.deployment.answers() if name.startswith(f"{topic}/rejected")
        ]
        assert len(stage.deployment.answers()) == 3
        assert set(run.operations) <= REJECTING
    else:
        assert len(stage.deployment.answers()) == 2
        assert case.expect["code"] in stage.refusals()
        refused = {"refused": "message refused", "unanswered": "device answered"}
        assert run.lines[1]["message"] == refused[expected]


@pytest.mark.parametrize("case", cases("job-events"), ids=name_of)
def test_a_job_event_ends_as_expected(stage: Stage, case: Case) -> None:
    job = stage.once(sending_logs).job
    ended = {"jobId": job, "thingArn": f"arn:aws:iot:us-east-1:123456789012:thing/{THING}", "status": "SUCCEEDED"}
    said = case.text() if "body" in case.said else moved(json.dumps(with_job(case.said["message"], job)))

    run = stage.run(track_app.lambda_handler, batch(ended | {"eventId": "1"}, said, ended | {"eventId": "2"}))

    assert run.answer == {"batchItemFailures": []}
    assert run.told == ["message-0", "message-1", "message-2"]
    result = case.expect["result"]
    assert [line["result"] for line in run.lines] == ["handed-on", result, "handed-on"]
    of_this = {"handed-on": ["GetItem", "SendMessageBatch"], "not-on-record": ["GetItem"]}
    quiet = ("not-ours", "not-an-end")
    assert run.operations[2:-2] == of_this.get(result, [] if result in quiet else ["PutItem"])
    assert stage.refusals() == ([] if result in of_this or result in quiet else [result])


def the_request(case: Case, certificate: str) -> dict[str, Any]:
    """Build what the rule writes for a request for logs, and change it as the case says; null removes a key."""
    payload = written_out(case.said.get("payload", '{"clientToken":"t"}'))
    request = a_request("logs/create", certificate, b"") | {"payload": b64encode(payload.encode()).decode()}
    changed = request | case.said.get("message", {})
    if changed["principal"] == "OWN-IN-CAPITALS":
        changed["principal"] = certificate.upper()
    return {name: value for name, value in changed.items() if value is not None}


def with_job(said: Any, job: str) -> Any:
    """Put the job's id, which differs in each run, where the file has JOB; null removes a key."""
    if isinstance(said, str):
        return said.replace("JOB", job)
    if isinstance(said, Mapping):
        return {
            name: with_job(value, job) if name == "jobId" else value
            for name, value in said.items()
            if value is not None
        }
    return said


@pytest.mark.parametrize(
    ("family", "least"), [("certificate-requests", 60), ("uploads", 75), ("device-messages", 80), ("job-events", 40)]
)
def test_the_families_are_as_large_as_promised(family: str, least: int) -> None:
    assert count(family) >= least
