"""Messages that only we should write, from somebody else: each fails or is refused alone, with its line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.respond import app as respond_app
from functions.sweep_certificates import app as sweep_app
from tests.conftest import ROOT
from tests.functions.conftest import batch
from tests.hostile.corpus import Case, cases, count, name_of
from tests.hostile.harness import Stage, log_lines

GOOD = {"schema": 1, "type": "job-ended", "job": "warden-none", "thing": "pump-3", "event": "e-1"}
LOOKING = {"GetItem", "Query"}
"""What `respond` may ask of AWS for a message without effect, before it refuses it."""


def the_body(case: Case) -> str:
    return case.text() if "body" in case.said else json.dumps(case.said["message"])


def in_three_groups(hostile: str) -> dict[str, Any]:
    event = batch(GOOD, hostile, GOOD)
    for number, record in enumerate(event["Records"]):
        record["attributes"]["MessageGroupId"] = f"group-{number}"
    return event


@pytest.mark.parametrize("case", cases("case-queue"), ids=name_of)
def test_a_message_on_the_case_queue_ends_as_expected_and_alone(stage: Stage, case: Case) -> None:
    verdict = case.expect["verdict"]

    run = stage.run(respond_app.lambda_handler, in_three_groups(the_body(case)))

    failed = [{"itemIdentifier": "message-1"}] if verdict == "failed" else []
    assert run.answer == {"batchItemFailures": failed}
    assert run.told == ["message-0", "message-1", "message-2"]
    assert [line.get("result") for line in (run.lines[0], run.lines[2])] == ["done", "done"]
    assert run.lines[1]["message"] == ("message failed" if failed else "message handled")
    assert set(run.operations) <= (LOOKING | {"PutItem"} if verdict == "refused" else LOOKING)
    assert stage.refusals() == ([case.expect["code"]] if verdict == "refused" else [])


@pytest.mark.parametrize("case", cases("renewals"), ids=name_of)
def test_a_message_on_the_sweeps_queue_ends_as_expected_and_alone(stage: Stage, case: Case) -> None:
    good = json.dumps({"run": "none"})

    run = stage.run(sweep_app.lambda_handler, batch(good, the_body(case), good))

    assert run.answer == {"batchItemFailures": []}
    assert run.told == ["message-0", "message-1", "message-2"]
    assert [line["result"] for line in run.lines] == ["over", case.expect["result"], "over"]
    assert run.operations == ["GetItem", "GetItem" if case.expect["result"] == "over" else "PutItem", "GetItem"]


def test_a_process_of_its_own_writes_one_line_for_each_failure_and_nothing_else(tmp_path: Path) -> None:
    """As Lambda has it: Python's own streams, warnings and encodings, and a run in which nothing succeeds."""
    bodies = [
        the_body(case) for case in cases("case-queue") if case.expect["verdict"] == "failed" and "body" in case.said
    ]
    script = tmp_path / "run.py"
    script.write_text(
        "import json, sys\nfrom functions.respond.app import lambda_handler\n"
        "from tests.functions.conftest import Context\nlambda_handler(json.load(sys.stdin), Context())\n"
    )
    path = os.pathsep.join(str(ROOT / part) for part in (".", "layers/warden", "layers/plan/python", "device", "cli"))

    ran = subprocess.run(  # noqa: S603 - our own interpreter on our own file
        [sys.executable, str(script)],
        input=json.dumps(batch(*bodies)).encode(),
        capture_output=True,
        check=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": path, "AWS_REGION": "us-east-1", "LC_ALL": "C.UTF-8"},
    )

    assert ran.stderr == b""
    lines = log_lines(ran.stdout)
    assert [line["message_id"] for line in lines] == [f"message-{number}" for number in range(len(bodies))]


def test_the_families_are_as_large_as_promised() -> None:
    assert count("case-queue") >= 30
    assert count("renewals") >= 14
