"""The survey's handler: what it counts, what it keeps, and that it does without what it cannot read."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.endpoint import Endpoint
from botocore.exceptions import ClientError, ReadTimeoutError

from functions.survey_account import app
from tests.aws_stand_in.refusal import Refusal
from tests.conftest import ROOT
from tests.functions.conftest import REGION, Context, Deployment, sample
from tests.template.transformed import read_template
from tests.unit.survey.accounts import fill
from warden import bootstrap
from warden.aws.account_reader import ACTIONS
from warden.aws.patience import NoAnswerInTimeError, Patience
from warden.core.errors import NotSent, PlanError, PlanFault
from warden.survey.liveness import LINES
from warden.survey.records import Owed
from warden_pages.survey import survey_page

pytestmark = pytest.mark.filterwarnings("ignore:No application metrics")  # of a run that was not due


def printed_metrics(printed: str) -> list[dict[str, Any]]:
    return [json.loads(each) for each in printed.splitlines() if "CloudWatchMetrics" in each]


def lines_counted(printed: str) -> dict[str, float]:
    """Return the metric of each line of liveness that has one, with the dimensions by which its alarm finds it."""
    counted = [each for each in printed_metrics(printed) if "LineWrong" in each]
    for each in counted:
        [directive] = each["_aws"]["CloudWatchMetrics"]
        assert [sorted(names) for names in directive["Dimensions"]] == [["line", "service", "stack"]]
        assert (each["service"], each["stack"]) == ("fleet-warden", "fleet-warden")
    assert len({each["line"] for each in counted}) == len(counted)
    return {each["line"]: each["LineWrong"][0] for each in counted}


def gauges(printed: str) -> dict[str, Any]:
    """Return the metrics of the one run that was printed, except those of single lines, with their dimensions."""
    [line] = [each for each in printed_metrics(printed) if "ControlsOff" in each]
    names = ("ControlsOff", "ControlsPartly", "ControlsNotKnown", "LivenessWrong", "LivenessNotKnown")
    [directive] = line["_aws"]["CloudWatchMetrics"]
    assert sorted(metric["Name"] for metric in directive["Metrics"]) == sorted(names)
    assert [sorted(each) for each in directive["Dimensions"]] == [["service", "stack"]]
    assert (line["service"], line["stack"]) == ("fleet-warden", "fleet-warden")
    return {name: line[name][0] for name in names}


@pytest.mark.usefixtures("deployment")
def test_an_empty_account_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    answer = app.lambda_handler(sample("survey-account"), Context())

    assert answer["surveyed"]
    printed = capsys.readouterr().out
    counted = gauges(printed)
    assert counted["ControlsOff"] > 5
    assert counted["ControlsNotKnown"] == 0
    assert counted["LivenessWrong"] == len(answer["wrong"]) > 0
    assert counted["LivenessNotKnown"] == 0
    lines = lines_counted(printed)
    assert [key for key, wrong in lines.items() if wrong] == answer["wrong"]
    assert lines["plan"] == 0
    assert {*lines} == {each.key for each in LINES} - {"audit-report", "checks-ran"}  # no audit had the time to run


def test_a_line_that_can_no_longer_be_read_does_not_end_its_alarm(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    account = fill(deployment.strict.state.account)
    account.detector = None
    app.lambda_handler({"now": True}, Context())
    assert lines_counted(capsys.readouterr().out)["guardduty"] == 1
    account.denied = {"guardduty:ListDetectors"}

    app.lambda_handler({"now": True}, Context())

    lines = lines_counted(capsys.readouterr().out)
    assert "guardduty" not in lines
    assert lines["detectors"] == 0


def test_it_is_kept_in_the_bucket_and_on_record(deployment: Deployment) -> None:
    fill(deployment.strict.state.account)

    app.lambda_handler(sample("survey-account"), Context())

    body = deployment.client("s3").get_object(Bucket="evidence", Key="reports/baseline/latest.json")
    survey = json.loads(body["Body"].read())
    assert (survey["schema_version"], survey["region"], len(survey["controls"])) == (1, REGION, 11)
    assert body["ContentType"] == "application/json"
    page = deployment.client("s3").get_object(Bucket="evidence", Key="reports/baseline/latest.html")
    assert page["Body"].read().decode() == survey_page(survey)
    assert page["ContentType"] == "text/html; charset=utf-8"
    assert {record["sk"] for record in deployment.records("survey")} == {"LATEST", survey["at"][:10]}


def test_what_the_baselines_stack_lost_is_counted_by_a_later_run(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    account = fill(deployment.strict.state.account)
    app.lambda_handler(sample("survey-account"), Context())
    account.in_stacks().resources["iot-baseline"][0].actual = None
    capsys.readouterr()

    assert app.lambda_handler(sample("survey-account"), Context()) == {"surveyed": False}

    [line] = printed_metrics(capsys.readouterr().out)
    assert (line["PropertiesDrifted"], line["stack"]) == ([1.0], "fleet-warden")
    body = deployment.client("s3").get_object(Bucket="evidence", Key="reports/baseline/latest.json")
    assert json.loads(body["Body"].read())["drift"]["state"] == "drifted"


@pytest.mark.usefixtures("deployment")
def test_a_second_run_on_the_same_day_is_not_due(capsys: pytest.CaptureFixture[str]) -> None:
    app.lambda_handler(sample("survey-account"), Context())
    capsys.readouterr()

    assert app.lambda_handler(sample("survey-account"), Context()) == {"surveyed": False}
    assert "CloudWatchMetrics" not in capsys.readouterr().out


def test_a_role_that_may_read_nothing_makes_a_survey_and_no_traceback(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    deployment.strict.state.account.denied = {*ACTIONS.values()}

    assert app.lambda_handler(sample("survey-account"), Context()) == {"surveyed": True, "wrong": []}
    printed = capsys.readouterr().out
    assert gauges(printed) == {
        "ControlsOff": 0,
        "ControlsPartly": 0,
        "ControlsNotKnown": 11,
        "LivenessWrong": 0,
        "LivenessNotKnown": 10,  # all but the plan, which is not a setting of the account
    }
    assert "Traceback" not in printed


def test_what_could_not_be_sent_is_sent_by_the_next_run(deployment: Deployment) -> None:
    account = fill(deployment.strict.state.account)
    app.lambda_handler({"now": True}, Context())
    account.logging = None
    for _ in range(2):  # after the survey, and after the drift of the one before is read
        deployment.strict.refuse("Publish", "InternalError")

    with pytest.raises(ExceptionGroup):
        app.lambda_handler({"now": True}, Context())
    assert [record["owed"] for record in deployment.records("survey") if record["sk"] == "LATEST"] == [["notice"]]
    app.lambda_handler(sample("survey-account"), Context())

    assert [call["Subject"] for call in deployment.strict.made("Publish")][-1].endswith("logs what it refuses: off")


def denied(_: object) -> None:
    raise Refusal("AccessDenied", "as AWS would put it")


def test_a_bucket_that_takes_nothing_fails_the_run_after_people_were_told_and_the_rest_counted(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    account = fill(deployment.strict.state.account)
    for now in (True, False):  # and the comparison of the stack
        app.lambda_handler({"now": now}, Context())
    account.logging = None
    deployment.strict.faults["PutObject"] = denied
    capsys.readouterr()

    with pytest.raises(ExceptionGroup, match="not everything") as failed:
        app.lambda_handler({"now": True}, Context())

    assert failed.group_contains(NotSent, match=r"S3 did not take reports/baseline/.*AccessDenied")
    assert gauges(capsys.readouterr().out)["ControlsOff"] == 1
    assert vars(caplog.records[-1])["owed"] == (Owed.REPORTS,)
    assert "S3 did not take" in caplog.text
    assert deployment.strict.made("Publish")[-1]["Subject"].endswith("logs what it refuses: off")
    with pytest.raises(ExceptionGroup):
        app.lambda_handler(sample("survey-account"), Context())
    del deployment.strict.faults["PutObject"]
    assert app.lambda_handler(sample("survey-account"), Context()) == {"surveyed": False}


@pytest.mark.parametrize("operation", ["PutItem", "TransactWriteItems"])
def test_a_ledger_that_takes_nothing_leaves_reports_and_metrics(
    deployment: Deployment, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    fill(deployment.strict.state.account)
    deployment.strict.faults[operation] = denied

    with pytest.raises(ExceptionGroup):
        app.lambda_handler(sample("survey-account"), Context())

    assert gauges(capsys.readouterr().out)["ControlsOff"] == 0
    kept = deployment.client("s3").list_objects_v2(Bucket="evidence", Prefix="reports/baseline/latest")
    assert [each["Key"][-5:] for each in kept["Contents"]] == [".html", ".json"]


def test_a_ledger_that_answers_nothing_leaves_a_survey_in_the_bucket_and_metrics(
    deployment: Deployment, capsys: pytest.CaptureFixture[str]
) -> None:
    fill(deployment.strict.state.account)
    for operation in ("GetItem", "PutItem", "TransactWriteItems", "Query"):
        deployment.strict.faults[operation] = denied

    with pytest.raises(ExceptionGroup):
        app.lambda_handler(sample("survey-account"), Context())

    printed = capsys.readouterr().out
    assert [each["SurveyFailures"] for each in printed_metrics(printed) if "SurveyFailures" in each] == [[1.0]]
    assert lines_counted(printed)["guardduty"] == 0
    body = deployment.client("s3").get_object(Bucket="evidence", Key="reports/baseline/off-record.json")
    survey = json.loads(body["Body"].read())
    assert [each["key"] for each in survey["liveness"] if each["pulse"] == "not-known"] == ["audit-report"]


@pytest.mark.parametrize("operation", ["GetItem", "PutItem", "TransactWriteItems"])
def test_an_outage_of_a_day_parks_four_messages_and_every_failure_is_logged(
    deployment: Deployment, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], operation: str
) -> None:
    fill(deployment.strict.state.account)
    deployment.strict.faults[operation] = denied
    began, parked = datetime(2026, 11, 22, 0, 7, tzinfo=UTC), 0

    for number in range(4 * 24):
        time = f"{began + number * timedelta(minutes=15):%Y-%m-%dT%H:%M:%SZ}"
        try:
            app.lambda_handler({**sample("survey-account"), "time": time}, Context())
        except ExceptionGroup:
            parked += 1

    assert parked == 4
    assert sum(record.levelname == "ERROR" for record in caplog.records) == 4 * 24
    failures = [each for each in printed_metrics(capsys.readouterr().out) if "SurveyFailures" in each]
    assert len(failures) == 4 * 24  # which an alarm watches
    [dimensions] = {tuple(sorted(*each["_aws"]["CloudWatchMetrics"][0]["Dimensions"])) for each in failures}
    assert dimensions == ("service", "stack")


@pytest.mark.parametrize("event", [{}, {"time": "noon"}, {"time": "2026-11-22T18:14:59Z"}])
def test_what_is_no_schedules_or_has_its_turn_fails(deployment: Deployment, event: dict[str, Any]) -> None:
    deployment.strict.faults["GetItem"] = denied

    with pytest.raises(ExceptionGroup):
        app.lambda_handler(event, Context())


@pytest.mark.usefixtures("deployment")
def test_a_plan_that_cannot_be_read_is_a_line_of_the_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise PlanError([PlanFault(3, "no such mode")])

    monkeypatch.setattr(bootstrap, "deployed_plan", broken)

    assert "plan" in app.lambda_handler(sample("survey-account"), Context())["wrong"]


_OVER_THE_WIRE = BaseClient._make_api_call  # type: ignore[attr-defined]  # before a stand-in answers instead


class Silence:
    """Services that never answer, and a clock that runs only while they are waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *services: str) -> None:
        self.seconds = 0.0
        self._services = services
        self._sent = Endpoint._do_get_response  # type: ignore[attr-defined]
        monkeypatch.setattr(Endpoint, "_do_get_response", lambda *asked: self._send(*asked))
        answered = BaseClient._make_api_call  # type: ignore[attr-defined]
        monkeypatch.setattr(
            BaseClient,
            "_make_api_call",
            lambda client, *asked: (_OVER_THE_WIRE if self._is_silent(client) else answered)(client, *asked),
        )
        time = SimpleNamespace(monotonic=lambda: self.seconds, sleep=self.wait)
        monkeypatch.setattr("botocore.endpoint.time", time)
        monkeypatch.setattr(bootstrap, "time", time)
        bootstrap.patience.cache_clear()
        bootstrap.surveying.cache_clear()

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def _is_silent(self, client: Any) -> bool:
        return not self._services or client.meta.service_model.service_name in self._services

    def _send(self, endpoint: Any, request: Any, operation: Any, context: Any) -> Any:
        if self._services and operation.service_model.service_name not in self._services:
            return self._sent(endpoint, request, operation, context)
        timeout = endpoint.http_session._timeout
        self.seconds += timeout.connect_timeout + timeout.read_timeout
        return None, ReadTimeoutError(endpoint_url=request.url)


def limit_of_function() -> int:
    return int(read_template(ROOT / "template.yaml")["Resources"]["SurveyAccountFunction"]["Properties"]["Timeout"])


READ = ("iot", "guardduty", "organizations", "cloudtrail", "accessanalyzer", "logs", "cloudwatch")
WRITTEN = ("s3", "sns", "events", "cloudformation", "cloudcontrol")


@pytest.mark.parametrize("services", [READ, WRITTEN, (*READ, *WRITTEN), *((each,) for each in (*READ, *WRITTEN))])
def test_services_that_never_answer_leave_time_for_a_survey_that_says_so(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], services: tuple[str]
) -> None:
    fill(deployment.strict.state.account)
    with suppress(ExceptionGroup):
        app.lambda_handler({"now": True}, Context())
    app.lambda_handler(sample("survey-account"), Context())
    told = len(deployment.strict.made("Publish"))
    capsys.readouterr()
    silence = Silence(monkeypatch, *services)

    with suppress(ExceptionGroup):
        app.lambda_handler({"now": True}, Context())

    assert silence.seconds < limit_of_function() - 10
    assert silence.seconds < 45 * len(services)  # one call of each
    assert gauges(capsys.readouterr().out)["ControlsOff"] == 0
    [survey] = [each["survey"] for each in deployment.records("survey") if each["sk"] == "LATEST"]
    sentences = [one for each in (*survey["controls"], *survey["liveness"]) for one in each["says"]]
    told_by_a_line = {*READ, *WRITTEN} - {"organizations", "cloudformation", "cloudcontrol"}
    assert any("did not answer in time" in each for each in sentences) is bool(told_by_a_line & {*services})
    assert not any("lacks" in each for each in sentences)
    monkeypatch.undo()
    assert [each["Message"] for each in deployment.strict.made("Publish")[told:]] == []


@pytest.mark.parametrize("is_written", [False, True])
@pytest.mark.usefixtures("deployment")
def test_the_last_call_ends_before_lambda_ends_the_function(monkeypatch: pytest.MonkeyPatch, is_written: bool) -> None:
    silence = Silence(monkeypatch)
    watch, config, limit = (
        (bootstrap._to_write, bootstrap._CONFIG, bootstrap._TIME_TO_WRITE.total_seconds())
        if is_written
        else (bootstrap._to_read, bootstrap._CONFIG_TO_READ, bootstrap._TIME_TO_READ.total_seconds())
    )
    iot = watch(boto3.client("iot", config=config, region_name=REGION))
    tries = config.retries["total_max_attempts"]  # type: ignore[attr-defined]
    throttled = sum(2.0**number for number in range(tries - 2))  # botocore waits at most so long before the last two

    bootstrap.patience().begin()
    silence.wait(limit)
    with pytest.raises(NoAnswerInTimeError):
        iot.list_things()

    assert limit < silence.seconds < limit_of_function() - throttled
    bootstrap.patience().begin()
    silence.wait(limit + 1)
    waited = silence.seconds
    with pytest.raises(NoAnswerInTimeError):
        next(iter(iot.get_paginator("list_things").paginate()))
    assert silence.seconds == waited


def test_every_client_of_the_survey_is_watched(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every service that it asks: none has a waiting time of its own."""
    fill(deployment.strict.state.account)
    made, watched = list[Any](), list[Any]()
    client_of, watch = boto3.client, Patience.watch

    def make(*of: Any, **config: Any) -> Any:
        made.append(client_of(*of, **config))
        return made[-1]

    def note(self: Patience, client: Any, limit: timedelta) -> Any:
        watched.append(client)
        return watch(self, client, limit)

    monkeypatch.setattr(boto3, "client", make)
    monkeypatch.setattr(Patience, "watch", note)
    bootstrap.surveying.cache_clear()
    bootstrap.patience.cache_clear()

    app.lambda_handler({"now": True}, Context())
    deployment.strict.state.account.logging = None  # so that an event and a notice are sent
    app.lambda_handler({"now": True}, Context())
    with suppress(ClientError):
        bootstrap.surveying(app._page, app._count_survey, app._count_drift).ports.resource_updates.progress("any")

    assert {"dynamodb", "s3", "sns", "events", "cloudformation", "cloudcontrol", "iot"} <= {
        each.meta.service_model.service_name for each in made
    }
    assert [each for each in made if not any(each is one for one in watched)] == []


@pytest.mark.parametrize(("region", "has"), [("us-east-1", True), ("sa-east-1", False)])
@pytest.mark.usefixtures("deployment")
def test_the_region_decides_whether_there_is_device_defender(
    monkeypatch: pytest.MonkeyPatch, region: str, has: bool
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    bootstrap.surveying.cache_clear()

    reader: Any = bootstrap.surveying(survey_page, lambda _: None, lambda _: None).ports.account_reader
    assert reader.has_device_defender is has
