"""What a survey looks like as JSON: pages, pipelines and the `warden` command are made of it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

from tests.unit.survey.drifts import NO_SUCH_TYPE, a_difference, a_failed_mend
from warden.survey.model import (
    Control,
    Drift,
    DriftState,
    Liveness,
    Owner,
    Pulse,
    State,
    Survey,
)
from warden.survey.views import survey_json

AT = datetime(2026, 11, 26, 4, tzinfo=UTC)
SURVEY = Survey(
    at=AT,
    account="123456789012",
    region="eu-central-1",
    stack="fleet-warden",
    baseline_stack="iot-baseline",
    controls=(
        Control(
            number=3,
            key="logging",
            title="AWS IoT logs what it refuses",
            state=State.OFF,
            owner=Owner.NOBODY,
            since=AT,
            says=("AWS IoT does not log.",),
            closes=("LoggingMode=create",),
        ),
        Control(
            number=9,
            key="guardduty",
            title="GuardDuty watches the account",
            state=State.ON,
            owner=Owner.OURS,
            since=AT,
            evidence={"detector": "d-1"},
        ),
    ),
    liveness=(
        Liveness(key="job-events", title="AWS IoT says how jobs end", pulse=Pulse.WRONG, since=AT, fix="Deploy again."),
        Liveness(key="audit-report", title="An audit reports every day", pulse=Pulse.NOT_YET, since=AT),
    ),
    lacking=("iot:GetV2LoggingOptions",),
    drift=Drift(
        state=DriftState.DRIFTED,
        at=AT,
        differences=(a_difference(AT, controls=(3,)),),
        left_out=2,
        not_checked=(NO_SUCH_TYPE,),
    ),
    mends=(a_failed_mend(AT, "no right"),),
)


def test_it_is_json_of_plain_words() -> None:
    assert json.loads(json.dumps(survey_json(SURVEY))) == {
        "schema_version": 1,
        "at": "2026-11-26T04:00:00.000000Z",
        "account": "123456789012",
        "region": "eu-central-1",
        "stack": "fleet-warden",
        "baseline_stack": "iot-baseline",
        "states": {"on": 1, "partly": 0, "off": 1, "not-available-here": 0, "not-known": 0},
        "wrong": 1,
        "controls": [
            {
                "number": 3,
                "key": "logging",
                "title": "AWS IoT logs what it refuses",
                "state": "off",
                "owner": "nobody",
                "since": "2026-11-26T04:00:00.000000Z",
                "says": ["AWS IoT does not log."],
                "evidence": {},
                "closes": ["LoggingMode=create"],
            },
            {
                "number": 9,
                "key": "guardduty",
                "title": "GuardDuty watches the account",
                "state": "on",
                "owner": "ours",
                "since": "2026-11-26T04:00:00.000000Z",
                "says": [],
                "evidence": {"detector": "d-1"},
                "closes": [],
            },
        ],
        "liveness": [
            {
                "key": "job-events",
                "title": "AWS IoT says how jobs end",
                "pulse": "wrong",
                "since": "2026-11-26T04:00:00.000000Z",
                "says": [],
                "evidence": {},
                "fix": "Deploy again.",
            },
            {
                "key": "audit-report",
                "title": "An audit reports every day",
                "pulse": "not-yet",
                "since": "2026-11-26T04:00:00.000000Z",
                "says": [],
                "evidence": {},
                "fix": "",
            },
        ],
        "lacking": ["iot:GetV2LoggingOptions"],
        "drift": {
            "state": "drifted",
            "at": "2026-11-26T04:00:00.000000Z",
            "says": [],
            "differences": [
                {
                    "resource": "Logging",
                    "type": "AWS::IoT::Logging",
                    "property": "/DefaultLogLevel",
                    "expected": "ERROR",
                    "found": "DISABLED",
                    "since": "2026-11-26T04:00:00.000000Z",
                    "controls": [3],
                    "says": [],
                    "closes": ["undo it"],
                }
            ],
            "left_out": 2,
            "not_checked": [{"resource": "Mail", "type": "AWS::SNS::Subscription", "why": "no such type"}],
        },
        "mends": [
            {
                "resource": "DailyAudit",
                "type": "AWS::IoT::ScheduledAudit",
                "property": "/Frequency",
                "found": "MONTHLY",
                "back_to": "DAILY",
                "at": "2026-11-26T04:00:00.000000Z",
                "state": "not-changed-back",
                "why": "no right",
            }
        ],
    }


def test_before_cloudformation_has_answered_there_is_no_time() -> None:
    assert survey_json(replace(SURVEY, drift=Drift()))["drift"] == {
        "state": "not-yet",
        "at": "",
        "says": [],
        "differences": [],
        "left_out": 0,
        "not_checked": [],
    }
