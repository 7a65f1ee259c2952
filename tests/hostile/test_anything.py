"""For any JSON, with any strings in it, a handler returns an answer and logs one line for each record."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from functions.ingest import app as ingest_app
from functions.operate import app as operate_app
from functions.serve_device import app as serve_app
from functions.track_device import app as track_app
from tests.functions.conftest import batch, sample
from tests.functions.test_devices import a_request
from tests.hostile.corpus import moved
from tests.hostile.harness import Run, Stage, staged
from tests.unit.ingest.detectors.test_any_message import damaged_messages

STEADY = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=200)

ENDS_AND_ESCAPES = "\n\r\x00\x1b\x7f\x85\x9b\u2028\u2029\u202e\ud800\ufeff"
HOSTILE = st.text(st.sampled_from(ENDS_AND_ESCAPES + "\"\\{}<>=#$*+/:-_.'0a\xdf\U0001f525"), max_size=12)
WORDS = st.sampled_from(
    [
        "pump-3",
        "certificate",
        "logs",
        "create",
        "confirm",
        "warden-1",
        "SUCCEEDED",
        "cases",
        "show",
        "find",
        "stop",
        "r",
    ]
) | st.sampled_from(["{}", "e30=", "arn:aws:iot:us-east-1:123456789012:thing/pump-3", "-----BEGIN"])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | HOSTILE | WORDS | st.text(max_size=150)
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(HOSTILE, inner, max_size=4), max_leaves=10
)


def of(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    """Make objects of the keys that somebody looks at, and of others, with anything in each."""
    return st.dictionaries(st.sampled_from(names) | HOSTILE, ANYTHING | WORDS, max_size=len(names) + 2)


@pytest.fixture(scope="module")
def world() -> Iterator[Stage]:
    """Register one device; what one example leaves does not matter to the next."""
    with staged() as stage:
        stage.deployment.enrol("pump-3")
        yield stage


def done(run: Run) -> bool:
    return run.answer == {"batchItemFailures": []} and run.told == ["message-0"]


@STEADY
@given(damaged_messages().map(json.dumps) | ANYTHING.map(json.dumps) | HOSTILE)
def test_any_message_is_taken_in_or_refused(world: Stage, body: str) -> None:
    assert done(world.run(ingest_app.lambda_handler, batch(moved(body))))


@STEADY
@given(of("thing", "resource", "verb", "principal", "client", "payload").map(json.dumps) | HOSTILE)
def test_anything_on_the_queue_of_device_requests_is_answered_or_refused(world: Stage, body: str) -> None:
    assert done(world.run(serve_app.lambda_handler, batch(body)))


@STEADY
@given(
    st.sampled_from(["certificate/create", "certificate/confirm", "logs/create"]),
    of("clientToken", "csr", "jobId", "files", "name", "bytes", "sha256").map(json.dumps) | HOSTILE,
)
def test_any_payload_of_a_device_is_answered(world: Stage, what: str, payload: str) -> None:
    [principal] = world.deployment.client("iot").list_thing_principals(thingName="pump-3")["principals"]
    world.deployment.strict.forget()
    request = a_request(what, principal.rpartition("/")[2], b"")
    encoded = b64encode(payload.encode(errors="surrogatepass")).decode()

    assert done(world.run(serve_app.lambda_handler, batch(request | {"payload": encoded})))

    [(topic, answer)] = world.deployment.answers()
    assert topic == f"warden/pump-3/{what}/rejected"
    assert answer["code"] in ("payload-not-json", "client-token", "no-job")


@STEADY
@given(of("jobId", "thingArn", "status", "operation", "eventId").map(json.dumps) | HOSTILE)
def test_any_job_event_is_handed_on_or_refused(world: Stage, body: str) -> None:
    assert done(world.run(track_app.lambda_handler, batch(body)))


@STEADY
@given(of("command", "case", "thing", "state", "why", "kind", "severity").map(json.dumps) | HOSTILE, st.booleans())
def test_any_command_is_answered(world: Stage, body: str, encoded: bool) -> None:
    text = b64encode(body.encode(errors="surrogatepass")).decode() if encoded else body

    run = world.run(
        operate_app.lambda_handler, sample("operate-list-cases") | {"body": text, "isBase64Encoded": encoded}
    )

    assert run.answer["statusCode"] in (200, 400, 403, 404, 409)
    assert isinstance(json.loads(run.answer["body"]), dict)
    assert len(run.lines) == 1
