"""Every page there is, filled as it can be, and once with all that is hostile."""

from __future__ import annotations

from typing import Any

from tests.pages import hostile
from warden_pages import kit
from warden_pages.survey import survey_page

_EVERY_PART = """
{% import "components.html" as parts %}
{% extends "layout.html" %}
{% block title %}{{ text }}{% endblock %}
{% block header %}{{ parts.header(text, [[text, text]]) }}{% endblock %}
{% block main %}
{% for tone in ["good", "warn", "bad", "open", "calm"] %}{{ parts.badge(text, tone) }}{% endfor %}
{{ parts.key_values([[text, text]]) }}
{% call parts.table(text, [text, text]) %}
<tr><th scope="row">{{ text }}</th>{{ parts.cell(text, text) }}
{{ parts.cell(text, parts.lines([text, text]), wide=true) }}</tr>
{% endcall %}
{{ parts.timeline([[text, text]]) }}
<p class="faint">{{ text }} <code>{{ text }}</code></p>
{% endblock %}
"""


def every_part(text: str) -> str:
    """Return a page that prints a string in every place of every component."""
    return kit.environment().from_string(_EVERY_PART).render(text=text)


SURVEY: dict[str, Any] = {
    "schema_version": 1,
    "at": "2026-11-25T04:10:00Z",
    "account": "123456789012",
    "region": "eu-central-1",
    "stack": "fleet-warden",
    "baseline_stack": "iot-baseline",
    "states": {"on": 1, "partly": 1, "off": 1, "not-available-here": 1, "not-known": 1},
    "wrong": 1,
    "lacking": ["cloudtrail:DescribeTrails", "guardduty:GetDetector"],
    "controls": [
        {
            "number": 1,
            "key": "unique-identity",
            "title": "Every device has an identity of its own",
            "state": "on",
            "owner": "ours",
            "since": "2026-11-02T04:10:00Z",
            "says": ["Both checks ran and found nothing."],
            "evidence": {
                "DEVICE_CERTIFICATE_SHARED_CHECK": "COMPLETED_COMPLIANT",
                "report": "warden baseline identities",
            },
            "closes": [],
        },
        {
            "number": 3,
            "key": "logging",
            "title": "AWS IoT logs what it refuses",
            "state": "partly",
            "owner": "theirs",
            "since": "2026-11-20T04:10:00Z",
            "says": ["The default level is ERROR.", "No event type has a log group of its own."],
            "evidence": {
                "defaultLogLevel": "ERROR",
                "roleArn": "arn:aws:iam::123456789012:role/service-role/iot-logging",
            },
            "closes": ["LoggingMode=create"],
        },
        {
            "number": 4,
            "key": "daily-audit",
            "title": "The account is audited every day",
            "state": "off",
            "owner": "nobody",
            "since": "2026-11-25T04:10:00Z",
            "says": ["No check is enabled."],
            "evidence": {},
            "closes": ["AuditMode=create"],
        },
        {
            "number": 5,
            "key": "detect",
            "title": "Devices that behave unlike themselves are noticed",
            "state": "not-available-here",
            "owner": "nobody",
            "since": "2026-11-02T04:10:00Z",
            "says": ["AWS closed Detect to accounts that did not use it by 31 August 2026."],
            "evidence": {},
            "closes": [],
        },
        {
            "number": 8,
            "key": "cloudtrail",
            "title": "Every call is on record, where nobody deletes it",
            "state": "not-known",
            "owner": "not-known",
            "since": "2026-11-25T04:10:00Z",
            "says": ["The role lacks cloudtrail:DescribeTrails."],
            "evidence": {},
            "closes": ["TrailMode=create", "TrailMode=adopt"],
        },
    ],
    "liveness": [
        {
            "key": "audit-reports",
            "title": "An audit's report arrived within 26 hours",
            "pulse": "ok",
            "since": "2026-11-03T04:10:00Z",
            "says": ["The last one came at 02:11."],
            "evidence": {"last": "2026-11-25T02:11:00Z"},
            "fix": "",
        },
        {
            "key": "audit-target",
            "title": "The audit reports to our topic",
            "pulse": "wrong",
            "since": "2026-11-24T04:10:00Z",
            "says": ["It reports to another topic."],
            "evidence": {"targetArn": "arn:aws:sns:eu-central-1:123456789012:somebody-elses-topic-with-a-long-name"},
            "fix": "Deploy the baseline with AlertsMode=adopt and ExistingAlertTopicArn, or subscribe to that topic.",
        },
        {
            "key": "subscriptions",
            "title": "Somebody has confirmed a subscription",
            "pulse": "not-known",
            "since": "2026-11-24T04:10:00Z",
            "says": ["The role lacks sns:ListSubscriptionsByTopic."],
            "evidence": {},
            "fix": "Attach the policy of the survey again.",
        },
    ],
    "drift": {
        "state": "drifted",
        "at": "2026-11-25T04:25:00Z",
        "says": ["A sentence about the whole."],
        "differences": [
            {
                "resource": "Logging",
                "type": "AWS::IoT::Logging",
                "property": "/DefaultLogLevel",
                "expected": "ERROR",
                "found": "DISABLED",
                "since": "2026-11-24T04:25:00Z",
                "controls": [3],
                "says": ["It was changed back, and drifted again."],
                "closes": ["docs/operations.md, Drift of the baseline"],
            },
            {
                "resource": "TrailBucketPolicy",
                "type": "AWS::S3::BucketPolicy",
                "property": "/PolicyDocument/Statement/3/Principal",
                "expected": "null",
                "found": '{"AWS":"arn:aws:iam::111122223333:role/a-role-with-a-name-that-is-rather-long-for-a-cell"}',
                "since": "2026-11-25T04:25:00Z",
                "controls": [8],
                "says": [],
                "closes": ["docs/operations.md, Drift of the baseline"],
            },
        ],
        "left_out": 3,
        "not_checked": [
            {
                "resource": "AlertSubscription",
                "type": "AWS::SNS::Subscription",
                "why": "CloudFormation does not compare resources of this type.",
            }
        ],
    },
    "mends": [
        {
            "resource": "DailyAudit",
            "type": "AWS::IoT::ScheduledAudit",
            "property": "/TargetCheckNames",
            "found": '["CA_CERTIFICATE_EXPIRING_CHECK", "LOGGING_DISABLED_CHECK"]',
            "back_to": '["CA_CERTIFICATE_EXPIRING_CHECK", "DEVICE_CERTIFICATE_SHARED_CHECK", "LOGGING_DISABLED_CHECK"]',
            "at": "2026-11-24T04:40:00Z",
            "state": "changed-back",
            "why": "",
        },
        {
            "resource": "Detector",
            "type": "AWS::GuardDuty::Detector",
            "property": "/Enable",
            "found": "false",
            "back_to": "true",
            "at": "2026-11-25T04:40:00Z",
            "state": "not-changed-back",
            "why": "AWS says AccessDenied: the detector is the organization's.",
        },
    ],
}


def with_every_string(value: Any, text: str) -> Any:
    """Put a string into the place of each string of a value, keys of evidence included; keys of the form stay."""
    if isinstance(value, dict):
        return {
            name: {text: text} if name == "evidence" else with_every_string(each, text) for name, each in value.items()
        }
    if isinstance(value, list):
        return [with_every_string(each, text) for each in value]
    return text if isinstance(value, str) else value


_HOSTILE = {"hostile": " ".join(hostile.ALL), "long": hostile.LONG}
_NO_DRIFT = {"state": "not-yet", "at": "", "says": [], "differences": [], "left_out": 0, "not_checked": []}
EMPTY = SURVEY | {
    "baseline_stack": "",
    "lacking": [],
    "controls": [],
    "liveness": [],
    "states": {},
    "drift": _NO_DRIFT,
    "mends": [],
}

PAGES = {
    "survey": survey_page(SURVEY),
    "survey, empty": survey_page(EMPTY),
    **{f"survey, {name}": survey_page(with_every_string(SURVEY, text)) for name, text in _HOSTILE.items()},
    "parts": every_part("Ordinary words"),
    **{f"parts, {name}": every_part(text) for name, text in _HOSTILE.items()},
}
