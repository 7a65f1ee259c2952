"""Where bytes of a message may be in a call of AWS, and in which form: promise 8, value by value.

Every value of every call stands at a path such as `sns.Publish.Subject`. The first row whose path fits says what
may be there; a value at a path that no row knows fails the tests, so that a new call is thought about here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import IOBase
from typing import Any

from tests.template.authorisation import Call

THING = r"[a-zA-Z0-9:_-]{1,128}"
CERTIFICATE = r"[0-9a-f]{64}"
CASE = r"[0-9a-f]{12}-[0-9]+"
JOB = r"warden-(?:collect-logs|rotate-certificate)-[0-9a-f]{24}"
TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z"
STATE = r"open|awaiting-approval|held|responding|contained|recovering|closed"
ARN = r"arn:aws:iot:us-east-1:123456789012:"
LINE = r"[ -~]*"
"""Printable ASCII, and so one line: what people read."""

_KEY = (
    rf"CASE#{CASE}|PROBLEM#[0-9a-f]{{20}}|THING#{THING}|JOB#[A-Za-z0-9_-]{{1,64}}|CERTIFICATE#{CERTIFICATE}"
    rf"|REFUSAL#[0-9-]{{10}}|DIGEST#(?:{STATE})(?:-for-all)?|LIMIT#[a-z-]+#(?:hour|day)|AUDIT#[A-Z_]+"
    r"|UNCONFIRMED#[0-9a-f]{64}|SWITCH|SWEEP#certificates|CAMPAIGN(?:#[a-z0-9-]+)?"
)
_SORT = (
    rf"CASE|OUTBOX|PROBLEM|CONTAINMENT|ROTATION|RENEWAL|RETIREMENT|DESIRED|FINDING|DIGEST|COUNTER|STOP|RUN|CURRENT|SETTLE|[0-9a-f]{{32}}"
    rf"|THING#{THING}|KEY#[0-9a-f]{{64}}|STEP#[0-9]{{6}}#(?:n[0-9]{{6}}#)?[0-9]{{2}}|STEP#|PASSED#{THING}|BATCH#[0-9]{{6}}"
    r"|ORDER#[0-9T:.-]{26}Z [0-9a-f-]{36}"
)
_PREFIX = r"STEP#|PASSED#"
_DUE = r"due|(?:waiting|batches|renewals):[a-zA-Z0-9-]+"
_WRITE = r"dynamodb\.(?:PutItem|TransactWriteItems\.TransactItems\.Put)"

NOTICE = re.compile(
    rf"""(?P<title>[ -~]{{1,300}})\n
(?:[ -~]{{1,500}}\n)?
\n
Case\ \ \ \ \ \ {CASE}\n
State\ \ \ \ \ (?:{STATE})(?:\ \([a-z ]+\))?\n
Device\ \ \ \ (?:{THING}(?:\.\.\.)?|\(none\ in\ the\ registry\))\n
(?:Also\ hit\ \ [ -~]{{1,400}}\n)?
Finding\ \ \ [a-z-]+:\ [ -~]{{1,200}},\ severity\ (?:low|medium|high|critical)\n
Rule\ \ \ \ \ \ (?:renew|contain|the-rest)?,\ mode\ (?:enforce)?\n
\n
What\ was\ done\n
(?:\ \ (?:quarantine|collect-logs|rotate-certificate):\ (?:waiting|under\ way|done|FAILED)(?:,\ [ -~]{{1,300}})?\n)*
(?:\ \ nothing\ but\ this\ notice\n)?
\n
What\ to\ do\ next\n
(?:\ \ [A-Z][a-z\ ]+:\ +warden\ (?:show|approve|dismiss|release|collect-logs)\ {CASE}(?:\ --keep-certificate)?\n
  |\ \ The\ device\ can\ still\ run\ jobs;\ its\ telemetry\ and\ commands\ are\ blocked\.\n
  |\ \ Nothing\.\ Read\ it:\ warden\ show\ {CASE}\n)+
(?:\n
Device\ in\ the\ console:\ https://us-east-1\.console\.aws\.amazon\.com/iot/home\?region=us-east-1\#/thing/[%\w.~-]+\n)?
""",
    re.VERBOSE | re.ASCII,
)
"""The whole of a notice: nothing stands at the beginning of a line but our own words."""

REPORT = re.compile(
    rf"""[0-9,]+\ certificates?\ in\ use\ past\ the\ rotation\ age[ ]
\([0-9]+\ days,\ where\ the\ plan\ says\ no\ other\)\.\n
Swept\ \ \ \ \ [0-9-]+\ [0-9:]+\ UTC,\ [0-9,]+\ certificates?\ passed\ over:\ INACTIVE\n
(?:Oldest\ \ \ \ [0-9,]+\ days:\ [0-9a-f]{{12}}\ on\ (?:{THING}|no\ thing)\n)?
(?:\n(?:To\ be\ renewed|Not\ to\ be\ renewed\ now)\n(?:\ \ \ *[0-9,]+\ \ ?[a-z][ -~]*\n)+)*
\n
Every\ one\ of\ them:\ s3://evidence/reports/certificates/[a-zA-Z0-9-]+\.csv\n
\n
What\ to\ do\ next\n
(?:\ \ (?:[A-Z][a-z\ ]+:\ +warden\ campaign(?:\ start)?|Nothing\.)\n)+
""",
    re.VERBOSE | re.ASCII,
)
"""The whole of a notice about a sweep of certificates."""

_DOCUMENT = re.compile(
    r'\{"version": "1\.0", "steps": \[\{"action": \{"name": "(?P<action>[a-z-]+)", "type": "runHandler", "input": '
    rf'\{{"handler": "warden-(?P=action)", "args": \["{JOB}"\], "path": "default"\}}\}}\}}\], "warden": '
    rf'\{{"operation": "(?P=action)", "jobId": "{JOB}"(?:, "keyAlgorithm": "EC_P256")?\}}\}}'
)

_PLACES: tuple[tuple[str, str | re.Pattern[str]], ...] = (
    # --- queues: bodies are JSON in ASCII, everything else is made here
    (r"sqs\.\w+\.QueueUrl", r"https://[a-z0-9.-]+/123456789012/(?:cases\.fifo|inbox|renewals)"),
    (r"sqs\.SendMessageBatch\.Entries\.Id", r"[0-9]"),
    (r"sqs\.SendMessageBatch\.Entries\.Message(?:GroupId|DeduplicationId)", r"[0-9a-f]{64}"),
    (r"sqs\.SendMessage(?:Batch\.Entries)?\.MessageBody", LINE),
    # --- the ledger: keys, names and expressions are ours; the attributes of a record hold data
    (r"dynamodb\.\w+\.(?:TransactItems\.Put\.)?TableName", r"ledger"),
    (rf"(?:dynamodb\.GetItem\.Key|{_WRITE}\.Item)\.pk\.S", _KEY),
    (rf"(?:dynamodb\.GetItem\.Key|{_WRITE}\.Item)\.sk\.S", _SORT),
    (
        rf"{_WRITE}\.Item\.(?:type|code|case_state|case_id|problem|rule|mode|source|severity|action)\.S",
        r"[a-zA-Z0-9_.-]*",
    ),
    (rf"{_WRITE}\.Item\.due\.S", _DUE),
    (rf"{_WRITE}\.Item\.(?:at|\w+_at|since)\.S", rf"(?:{TIME})?"),
    (rf"{_WRITE}\.Item\.(?:reason|about|title|resolution|what)\.S", LINE),
    (rf"{_WRITE}\.Item\.(?:thing|case_thing)\.S", LINE),
    (rf"{_WRITE}\.Item\.[a-z_]+\.N", r"[0-9]+"),
    (rf"{_WRITE}\.Item\.[a-z_]+\.(?:S|L|M|BOOL|NULL)(?:\..*)?", r"(?s:.*)"),
    (r"dynamodb\.TransactWriteItems\.ClientRequestToken", r"[0-9a-f-]{36}"),
    (rf"{_WRITE}\.ConditionExpression", r"attribute_not_exists\(#pk\)|#version = :seen"),
    (
        r"dynamodb\.Query\.KeyConditionExpression",
        r"#pk = :pk(?: AND begins_with\(#sk, :prefix\))?|#hash = :hash(?: AND #range <= :until)?",
    ),
    (
        r"dynamodb\.\w+\.(?:TransactItems\.Put\.)?ExpressionAttributeNames\.#(?:pk|sk|version|hash|range)",
        r"pk|sk|version|case_state|case_thing|due|opened_at|due_at",
    ),
    (rf"{_WRITE}\.ExpressionAttributeValues\.:seen\.N", r"[0-9]+"),
    (r"dynamodb\.Query\.ExpressionAttributeValues\.:pk\.S", _KEY),
    (r"dynamodb\.Query\.ExpressionAttributeValues\.:prefix\.S", _PREFIX),
    (r"dynamodb\.Query\.ExpressionAttributeValues\.:until\.S", TIME),
    (r"dynamodb\.Query\.ExpressionAttributeValues\.:hash\.S", rf"{STATE}|{THING}|{_DUE}"),
    (r"dynamodb\.Query\.IndexName", r"state|thing|due"),
    # --- AWS IoT: names of what is there
    (r"iot\.\w+\.thingName", THING),
    (r"iot\.\w+\.(?:certificateId)", CERTIFICATE),
    (r"iot\.\w+\.policyName", r"fleet-device|fleet-warden-restricted"),
    (r"iot\.\w+\.(?:target|principal)", rf"{ARN}(?:cert/{CERTIFICATE}|thinggroup/[a-zA-Z0-9_:-]+)"),
    (r"iot\.CreateJob\.targets", rf"{ARN}thing/{THING}"),
    (r"iot\.\w+\.jobId", JOB),
    (r"iot\.CreateJob\.document", _DOCUMENT),
    (r"iot\.CreateJob\.(?:description|targetSelection)", r"[a-zA-Z0-9_ ,.:-]*"),
    (r"iot\.CreateJob\.schedulingConfig\.\w+", r"[A-Z_]+|[0-9-]{10}T[0-9:]{5}"),
    (r"iot\.\w+\.(?:thingGroupsTo(?:Add|Remove)|thingGroupName|thingGroupArn)", r"[a-zA-Z0-9_:-]+"),
    (r"iot\.UpdateCertificate\.newStatus", r"ACTIVE|INACTIVE"),
    (r"iot\.AttachThingPrincipal\.thingPrincipalType", r"EXCLUSIVE_THING"),
    (
        r"iot\.CreateCertificateFromCsr\.certificateSigningRequest",
        r"-----BEGIN CERTIFICATE REQUEST-----\n[A-Za-z0-9+/=\n]+"
        r"-----END CERTIFICATE REQUEST-----\n",
    ),
    (
        r"iot-data\.Publish\.topic",
        rf"warden/{THING}/(?:certificate/(?:create|confirm)|logs/create)/(?:accepted|rejected)",
    ),
    (r"iot-data\.Publish\.payload", LINE),
    (r"iot-data\.DeleteConnection\.clientId", THING),
    # --- people and programs
    (r"sns\.Publish\.TopicArn", r"arn:aws:sns:us-east-1:123456789012:notices"),
    (r"sns\.Publish\.Subject", r"Fleet Warden: [ -~]{1,86}"),
    (r"sns\.Publish\.Message", re.compile(f"(?:{NOTICE.pattern})|(?:{REPORT.pattern})", re.VERBOSE | re.ASCII)),
    (r"events\.PutEvents\.Entries\.(?:Source|DetailType)", r"fleet-warden|Fleet Warden Case"),
    (r"events\.PutEvents\.Entries\.Detail", LINE),
    (r"securityhub\.BatchImportFindings\.Findings\.(?:Title|Description)", r"[ -~]{1,1024}"),
    (r"securityhub\.BatchImportFindings\.Findings\.Resources\.Id", r"[ -~]{1,512}"),
    (r"securityhub\.BatchImportFindings\.Findings\.ProductFields\.fleet-warden/\w+", r"[ -~]{1,2048}"),
    (r"securityhub\.BatchImportFindings\.Findings\.[A-Za-z.]+", r"[a-zA-Z0-9_ :./-]+"),
    # --- the bucket
    (r"s3\.PutObject\.Key", r"reports/certificates/[a-zA-Z0-9-]+\.csv"),
    (r"s3\.PutObject\.Content(?:Type|Disposition)", r"text/csv; charset=utf-8|attachment"),
    (r"s3\.GetObject\.ChecksumMode", r"ENABLED"),
    (r"s3\.(?:Post|Get|Put)Object\.Bucket", r"evidence"),
    (r"s3\.(?:Post|Get)Object\.Key", rf"cases/{CASE}/{JOB}/[0-9]{{2}}-[0-9a-f]{{16}}"),
)


def assert_is_in_its_place(call: Call) -> None:
    """Check that every value of a call is allowed in its place."""
    for path, value in _values(call.parameters, f"{call.service}.{call.operation}"):
        pattern = next((pattern for place, pattern in _PLACES if re.fullmatch(place, path)), None)
        assert pattern is not None, f"nobody has said what may be at {path}: {value[:200]!r}"
        assert re.fullmatch(pattern, value), f"{path}: {value[:2000]!r}"
    _assert_is_json(call)


def _values(part: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(part, dict):
        for name, value in part.items():
            yield from _values(value, f"{path}.{name}")
    elif isinstance(part, list | tuple):
        for value in part:
            yield from _values(value, path)
    elif isinstance(part, str):
        yield path, part
    elif isinstance(part, bytes):
        yield path, part.decode()
    elif not isinstance(part, IOBase):  # a report, which is read back by its own test
        assert part is None or isinstance(part, bool | int), f"{path}: {part!r}"


def _assert_is_json(call: Call) -> None:
    """Check that what programs read is still JSON, whatever it contains."""
    asked: Any = call.parameters
    match call.operation:
        case "SendMessageBatch":
            texts = [entry["MessageBody"] for entry in asked["Entries"]]
        case "PutEvents":
            texts = [entry["Detail"] for entry in asked["Entries"]]
        case "Publish" if call.service == "iot-data":
            texts = [asked["payload"]]
        case _:
            return
    for text in texts:
        assert isinstance(json.loads(text), dict)
