"""What detectors send, from the inbox to the notice: each hostile message ends as its file says, and alone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from functions.ingest import app as ingest_app
from functions.respond import app as respond_app
from tests.functions.conftest import batch, sample
from tests.hostile.allowed_values import THING
from tests.hostile.corpus import CORPUS, Case, cases, moved, name_of
from tests.hostile.harness import Run, Stage

CALLS = {"finding": ["SendMessageBatch"], "ignored": [], "refused": ["PutItem"], "unrecognised": ["PutItem"]}
"""What `ingest` asks of AWS for a message, by its verdict."""

CONTAINING = {
    "AddThingToThingGroup",
    "AttachPolicy",
    "BatchImportFindings",
    "CreateJob",
    "DeleteConnection",
    "DetachPolicy",
    "GetEffectivePolicies",
    "GetItem",
    "ListAttachedPolicies",
    "ListPrincipalThings",
    "ListThingGroupsForThing",
    "ListThingPrincipals",
    "Publish",
    "PutEvents",
    "PutItem",
    "TransactWriteItems",
}
WITHOUT_A_DEVICE = {
    "BatchImportFindings",
    "GetItem",
    "ListPrincipalThings",
    "Publish",
    "PutEvents",
    "PutItem",
    "TransactWriteItems",
}
AN_ENDING = {"GetItem", "PutItem"}
"""What `respond` may ask of AWS: for a registered device, anything else, and an end without a finding.

Such an end is kept, so that a later alarm opens no case.
"""


def a_good_violation(thing: str) -> str:
    [record] = sample("detect-violation-in-alarm-sqs")["Records"]
    return str(record["body"]).replace("pump-3", thing).replace("37e18651", "99999999")


def the_message(case: Case) -> str:
    if "message" in case.said:
        return moved(json.dumps(case.said["message"]))
    return case.text()


def as_carried(case: Case) -> str:
    if case.said["from"] == "event-bridge":
        return the_message(case)
    topic = "arn:aws:sns:us-east-1:123456789012:alerts"
    return json.dumps({"Type": "Notification", "TopicArn": topic, "Message": the_message(case)})


def taken_in(case: Case, stage: Stage) -> tuple[Run, list[dict[str, Any]]]:
    """Send the message through `ingest` between two valid ones; return the run, and what it queued for the message."""
    run = stage.run(
        ingest_app.lambda_handler, batch(a_good_violation("good-1"), as_carried(case), a_good_violation("good-2"))
    )
    queued = stage.deployment.queued()
    good = [message for message in queued if message["finding"]["subject"]["name"] in ("good-1", "good-2")]
    assert len(good) == 2
    return run, [message for message in queued if message not in good]


@pytest.mark.parametrize("case", cases(), ids=name_of)
def test_a_hostile_message_between_two_good_ones_ends_as_expected_and_alone(stage: Stage, case: Case) -> None:
    verdict = case.expect["verdict"]

    run, queued = taken_in(case, stage)

    assert run.answer == {"batchItemFailures": []}
    assert run.told == ["message-0", "message-1", "message-2"]
    assert run.operations == ["SendMessageBatch", *CALLS[verdict], "SendMessageBatch"]
    assert bool(queued) == (verdict == "finding")
    codes = {"refused": [case.expect.get("code")], "unrecognised": ["unknown-message"]}
    assert stage.refusals() == codes.get(verdict, [])
    assert run.lines[1]["message"] == ("message refused" if verdict in codes else "message taken in")


@pytest.mark.parametrize("case", [case for case in cases() if case.expect["verdict"] == "finding"], ids=name_of)
def test_a_finding_of_a_hostile_message_is_answered_and_told_of_in_our_own_words(stage: Stage, case: Case) -> None:
    _, queued = taken_in(case, stage)
    for number, message in enumerate(queued):
        about = message["finding"]["subject"]
        is_open, is_thing = message["finding"]["open"], about["type"] == "thing"
        if is_thing:
            assert re.fullmatch(THING, about["name"])
            stage.deployment.enrol(about["name"], number + 1)

        run = stage.run(respond_app.lambda_handler, batch(message))

        assert run.answer == {"batchItemFailures": []}
        assert run.told == ["message-0"]
        known = CONTAINING if is_thing else WITHOUT_A_DEVICE
        assert set(run.operations) <= (known if is_open else AN_ENDING)
        assert stage.refusals() == []
        if is_open:
            state = "contained" if is_thing else "open"
            assert [record["case_state"] for record in stage.deployment.records("case")][number:] == [state]
            [notice] = run.made("Publish")
            assert notice["Message"].split("\n")[0] == message["finding"]["title"]
            assert len(notice["Subject"]) < 100
            assert notice["Subject"] == case.expect.get("notice", notice["Subject"])


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(cases()) >= 185
    assert len(list(CORPUS.glob("**/*.json"))) >= 590
