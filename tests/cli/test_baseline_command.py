"""`warden baseline`, read as its user and a pipeline read it."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.answering import Answer, Operate
from tests.cli.conftest import Shell
from tests.pages import hostile
from tests.pages.samples import SURVEY, with_every_string
from warden.ingest.detectors.audit import CHECKS
from warden_pages.survey import survey_page

SHORT = ("logging", "daily-audit", "cloudtrail", "audit-target", "subscriptions", "drift")
"""What falls short in the sample."""


def accepting(*keys: str) -> list[str]:
    return [word for key in keys for word in ("--accept", key)]


def test_it_says_what_falls_short_and_what_closes_it(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": SURVEY})

    said = shell.warden("baseline")

    assert said.code == 5
    for line in (
        "Security baseline of account 123456789012, eu-central-1",
        "surveyed 2026-11-25 04:10:00 UTC",
        "1 on Every device has an identity of its own unique-identity report: warden baseline identities",
        "3 partly AWS IoT logs what it refuses logging The default level is ERROR.",
        "close it: LoggingMode=create",
        "not available here Devices that behave unlike themselves are noticed",
        "wrong The audit reports to our topic audit-target It reports to another topic.",
        "drifted The baseline's stack, compared 2026-11-25 04:25:00 UTC drift A sentence about the whole.",
        "Logging/DefaultLogLevel: expected ERROR, found DISABLED. It was changed back, and drifted again.",
        "Differences beside these: 3.",
        "not compared: AlertSubscription: CloudFormation does not compare resources of this type.",
        "close it: docs/operations.md, Drift of the baseline",
        "2026-11-25 04:40:00 UTC Detector/Enable from false to true: not changed back: AWS says AccessDenied: the",
        '"DEVICE_CERTIFICATE_SHARED_CHECK", "LOGGING_DISABLED_CHECK"]: changed back',
        "cloudtrail:DescribeTrails",
    ):
        assert line in said.text


def test_a_command_that_closes_a_control_is_not_cut(shell: Shell, operate: Operate) -> None:
    long: dict[str, Any] = copy.deepcopy(SURVEY)
    checks = ",".join(f"{each}={{enabled=true}}" for each in sorted(CHECKS))
    command = f"aws iot update-account-audit-configuration --audit-check-configurations '{checks}'"
    for each in long["controls"]:
        each["closes"] = [command]
    operate.answering("survey", {"survey": long})

    said = shell.warden("baseline")

    assert "".join(command.split()) in "".join(said.out.split())
    assert max(map(len, said.out.splitlines())) <= 80


def test_for_programs_it_is_the_answer_itself(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": SURVEY})

    assert shell.warden("baseline", "--json").json == {"survey": SURVEY}


def test_what_is_accepted_passes(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": SURVEY})

    assert shell.warden("baseline", *accepting(*SHORT)).code == 0


@pytest.mark.parametrize("missing", SHORT)
def test_what_is_not_accepted_does_not(missing: str, shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": SURVEY})

    assert shell.warden("baseline", *accepting(*set(SHORT) - {missing})).code == 5


def test_an_account_with_everything_passes(shell: Shell, operate: Operate) -> None:
    whole: dict[str, Any] = copy.deepcopy(SURVEY)
    for each in whole["controls"]:
        each["state"] = "on"
    for each in whole["liveness"]:
        each["pulse"] = "ok"
    whole["drift"] = {**whole["drift"], "state": "in-sync", "differences": [], "left_out": 0}
    operate.answering("survey", {"survey": whole})

    said = shell.warden("baseline")

    assert said.code == 0
    assert "not compared: AlertSubscription" in said.text


@pytest.mark.parametrize("pulse", ["not-yet", "not-available-here"])
def test_what_is_too_soon_to_judge_or_not_offered_passes(pulse: str, shell: Shell, operate: Operate) -> None:
    drift = SURVEY["drift"] | {"state": "not-yet", "at": "", "differences": []}
    survey = SURVEY | {"controls": [], "liveness": [SURVEY["liveness"][1] | {"pulse": pulse}], "drift": drift}
    operate.answering("survey", {"survey": survey})

    assert shell.warden("baseline").code == 0


def test_a_service_that_reads_no_drift_yet_is_understood(shell: Shell, operate: Operate) -> None:
    operate.answering(
        "survey", {"survey": {name: value for name, value in SURVEY.items() if name not in ("drift", "mends")}}
    )

    said = shell.warden("baseline", *accepting(*set(SHORT) - {"drift"}))

    assert said.code == 0
    assert "as it was deployed" not in said.text


def test_a_key_that_is_none_cannot_be_accepted(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": SURVEY})

    said = shell.warden("baseline", "--accept", "loging")

    assert said.code == 2
    assert "it is one of unique-identity, logging" in said.err


def test_the_page_is_the_one_of_the_bucket(shell: Shell, operate: Operate, tmp_path: Path) -> None:
    operate.answering("survey", {"survey": SURVEY})
    file = tmp_path / "survey.html"

    shell.warden("baseline", "--html", str(file))

    assert file.read_text() == survey_page(SURVEY)


def test_a_page_that_cannot_be_written_is_said(shell: Shell, operate: Operate, tmp_path: Path) -> None:
    operate.answering("survey", {"survey": SURVEY})

    said = shell.warden("baseline", "--html", str(tmp_path / "none" / "survey.html"))

    assert said.code == 2
    assert "cannot write" in said.err


def test_before_the_first_survey_it_says_so(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": None})

    said = shell.warden("baseline")

    assert said.code == 5
    assert said.out.startswith("No survey yet")


def test_no_survey_yet_is_json_for_a_pipeline(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", {"survey": None})

    said = shell.warden("baseline", "--json")

    assert (said.code, json.loads(said.out)) == (5, {"survey": None})


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"survey": {"schema_version": 2}},
        {"survey": {name: each for name, each in SURVEY.items() if name != "controls"}},
        {"survey": SURVEY | {"controls": [{"key": "a", "state": "on"}]}},
        {"survey": SURVEY | {"controls": [{**SURVEY["controls"][1], "says": 7}]}},
        {"survey": {name: each for name, each in SURVEY.items() if name != "account"}},
    ],
)
@pytest.mark.parametrize("html", [False, True])
def test_an_answer_of_another_version_is_no_stack_trace(
    answer: dict[str, Any], html: bool, shell: Shell, operate: Operate, tmp_path: Path
) -> None:
    operate.answering("survey", answer)

    said = shell.warden("baseline", *(("--json", "--html", str(tmp_path / "p.html")) if html else ()))

    assert said.code == 3
    assert "does not know" in said.err


def test_an_older_service_says_that_it_knows_no_survey(shell: Shell, operate: Operate) -> None:
    operate.answering("survey", Answer({"error": "unknown-command", "message": "`command` is one of cases"}, 400))

    assert shell.warden("baseline").code == 1


@pytest.mark.parametrize("text", hostile.ALL)
def test_nothing_in_a_survey_moves_the_cursor(text: str, shell: Shell, operate: Operate) -> None:
    survey = with_every_string(SURVEY, text) | {"at": SURVEY["at"], "schema_version": 1}
    operate.answering("survey", {"survey": survey})

    assert all(each.isprintable() or each == "\n" for each in shell.warden("baseline").out)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_it_fits_the_terminal(width: int, shell: Shell, operate: Operate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    operate.answering("survey", {"survey": SURVEY})

    assert max(len(line) for line in shell.warden("baseline").out.splitlines()) <= width
