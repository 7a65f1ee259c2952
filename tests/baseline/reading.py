"""AWS's answers about an account of the model, for clients of this process: what is read when a baseline is planned.

The SDK is real up to the wire: it validates the request, pages through lists and parses errors. Each answer is from the
API reference of its operation, and is cut to the shapes of botocore's model.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError

from tests.aws_stand_in.shapes import malformed, shaped
from tests.baseline.access import ANSWERS as ACCESS_ANSWERS
from tests.baseline.access import AccessModel, RefusedError
from tests.baseline.account import Account
from tests.baseline.stack import Stack
from warden.ingest.detectors.audit import CHECKS

_CALL: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way to the wire

type _Answer = Callable[["ReadableAccount", Mapping[str, Any]], dict[str, Any]]

PREFIXES = {"accessanalyzer": "access-analyzer", "service-quotas": "servicequotas"}
"""Services whose actions in IAM begin otherwise."""


@dataclass
class ReadableAccount:
    """An account of the model with what else is read of it. `denied` are the actions that the caller lacks."""

    account: Account
    stacks: dict[str, Stack] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    certificates: int = 0
    roles: int = 0
    administrator: str = ""
    topic_keys: dict[str, str] = field(default_factory=dict)
    log_bytes: float = 0
    not_logging: set[str] = field(default_factory=set)
    things: dict[str, list[list[dict[str, Any]]]] = field(default_factory=dict)
    """By thing: for each of its certificates the policies' documents."""
    principals: dict[str, list[str]] = field(default_factory=dict)
    """For each thing, in tests of certificates: the ids of its certificates, and of its other principals."""
    exclusive: set[str] = field(default_factory=set)
    """The certificates that are attached as EXCLUSIVE_THING."""
    statuses: dict[str, str] = field(default_factory=dict)
    """By certificate. The list does not show yet a certificate that is on a thing and not here."""
    page: int = 250
    """The longest page that a list of things or certificates has."""
    before: Callable[[str, Mapping[str, Any]], None] = field(default=lambda _action, _asked: None)
    """Called before each answer, which it may prevent."""
    groups: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By group: what DescribeThingGroup answers, with `policies` beside it."""
    parked: dict[str, int] = field(default_factory=dict)
    quotas: dict[str, float] = field(default_factory=dict)
    """By code."""
    sessions: dict[str, str] | None = None
    """By thing: the client id it is connected under, which may be missing; None if connectivity is not indexed."""
    undelivered: list[float] = field(default_factory=list)
    """What Device Defender could not deliver, hour by hour; the metric is there if any hour is."""
    log_lines: list[str] | None = None
    """The log of AWS IoT; None if there is none."""
    slow: timedelta = timedelta()
    """How far AWS's clock is behind this machine's."""
    access: AccessModel = field(default_factory=AccessModel)
    called: list[str] = field(default_factory=list)
    """The actions that were asked for, in order."""

    def listen(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Answer every client of this process from now on."""

        def answered(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
            service = client.meta.service_model.service_name
            action = f"{PREFIXES.get(service, service)}:{operation}"
            self.called.append(action)
            if wrong := malformed(client.meta.service_model, operation, parameters):
                raise AssertionError(f"{action}: {wrong}")
            status, body = self._answer(action, parameters)
            if status != 200:
                raise _error(client, operation, status, body)
            shape = client.meta.service_model.operation_model(operation).output_shape
            given = shaped(shape, body) if shape else {}
            given["ResponseMetadata"] = {"HTTPHeaders": {"date": format_datetime(datetime.now(UTC) - self.slow)}}
            event = f"before-call.{client.meta.service_model.service_id.hyphenize()}.{operation}"
            events: Any = client.meta.events

            def give(**_: object) -> Any:
                return AWSResponse("https://stand-in", 200, HTTPHeaders(), None), given

            events.register(event, give, unique_id="account")
            try:
                return _CALL(client, operation, parameters)
            finally:
                events.unregister(event, give, unique_id="account")

        monkeypatch.setattr(BaseClient, "_make_api_call", answered)

    def _answer(self, action: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        if action in self.denied:
            return 403, {"Code": "AccessDeniedException"}
        try:
            self.before(action, asked)
            if action in ACCESS_ANSWERS and (action not in _ANSWERS or self.access.certificates):
                return 200, ACCESS_ANSWERS[action](self.access, asked)
            return 200, _ANSWERS[action](self, asked)
        except RefusedError as refused:
            return refused.status, {"Code": refused.code}


def _error(client: BaseClient, operation: str, status: int, body: Mapping[str, Any]) -> ClientError:
    code = body["Code"]
    kind: type[ClientError] = client.exceptions.from_code(code)  # type: ignore[assignment]
    told = {"Error": {"Code": code, "Message": "as AWS says it"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return kind(told, operation)  # type: ignore[arg-type]


def _audit(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    audit = here.account.audit
    checks = {check: {"enabled": check in audit.enabled} for check in CHECKS}
    told = {"auditCheckConfigurations": checks}
    if not audit.role:
        return told
    target = {"targetArn": audit.target["TargetArn"], "enabled": audit.target["Enabled"]} if audit.target else {}
    return told | {"roleArn": audit.role, "auditNotificationTargetConfigurations": {"SNS": target} if target else {}}


def _scheduled(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"scheduledAudits": [{"scheduledAuditName": name, "frequency": "DAILY"} for name in here.account.scheduled]}


def _schedule(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    name = asked["scheduledAuditName"]
    return {"scheduledAuditName": name, "frequency": "DAILY", "targetCheckNames": here.account.scheduled[name]}


def _logging(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    logging = here.account.logging
    if logging is None:
        raise RefusedError("NotConfiguredException")
    events = [{"eventType": name, "logLevel": level} for name, (level, _) in logging.events.items()]
    return {
        "roleArn": logging.role,
        "defaultLogLevel": logging.level,
        "disableAllLogs": logging.disabled,
        "eventConfigurations": events,
    }


def _profiles(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{"name": name, "arn": f"arn:aws:iot:::securityprofile/{name}"} for name in here.account.profiles]
    return {"securityProfileIdentifiers": rows}


def _profile(_here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"securityProfileName": asked["securityProfileName"], "behaviors": []}


def _targets(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    arns = here.account.profiles[asked["securityProfileName"]].get("TargetArns", [])
    return {"securityProfileTargets": [{"arn": each} for each in arns]}


def _certificates(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    listed = here.statuses or {f"{number:064x}": "ACTIVE" for number in range(here.certificates)}
    rows, rest = _page(here, sorted(listed.items()), asked.get("marker", ""), asked.get("pageSize", 25))
    found = [{"certificateId": each, "status": status} for each, status in rows]
    return {"certificates": found} | ({"nextMarker": rest} if rest else {})


def _page[T](here: ReadableAccount, listed: list[T], token: str, size: int) -> tuple[list[T], str]:
    begin = int(token or 0)
    end = begin + min(size, here.page)
    return listed[begin:end], str(end) if end < len(listed) else ""


def _detector(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    plans = here.account.detectors[asked["DetectorId"]]
    features = [{"Name": name, "Status": status} for name, status in plans.items()]
    return {"Status": "ENABLED", "ServiceRole": "role", "Features": features}


def _administrator(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"Administrator": {"AccountId": here.administrator} if here.administrator else {}}


def _analyzers(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "analyzers": [
            {
                "arn": _arn(here, "access-analyzer", f"analyzer/{name}"),
                "name": name,
                "type": kind,
                "status": "ACTIVE",
                "createdAt": 0,
            }
            for name, kind in here.account.analyzers.items()
        ]
    }


def _arn(here: ReadableAccount, service: str, name: str) -> str:
    place = here.account.place
    return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{name}"


def _trails(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "trailList": [
            {
                "Name": name,
                "TrailARN": _arn(here, "cloudtrail", f"trail/{name}"),
                "S3BucketName": properties.get("S3BucketName", ""),
                "IsMultiRegionTrail": properties.get("IsMultiRegionTrail", False),
                "IsOrganizationTrail": properties.get("IsOrganizationTrail", False),
                "LogFileValidationEnabled": properties.get("EnableLogFileValidation", False),
                **({"KmsKeyId": properties["KMSKeyId"]} if "KMSKeyId" in properties else {}),
            }
            for name, properties in here.account.trails.items()
        ]
    }


def _trail_status(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"IsLogging": asked["Name"] not in here.not_logging}


def _selectors(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    name = asked["TrailName"].rpartition("/")[2]
    management = here.account.trails[name].get("IncludeManagementEvents", True)
    return {"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": management}]}


def _resources(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["StackName"] == "fleet-warden" and here.parked:
        return {"StackResourceSummaries": _queues(here)}
    stack = here.stacks.get(asked["StackName"])
    if stack is None:
        raise RefusedError("ValidationError")
    return {
        "StackResourceSummaries": [
            {
                "LogicalResourceId": logical,
                "PhysicalResourceId": each.made.ref,
                "ResourceType": each.kind,
                "ResourceStatus": "CREATE_COMPLETE",
                "LastUpdatedTimestamp": 0,
            }
            for logical, each in stack.resources.items()
        ]
    }


def _things(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    rows, rest = _page(here, [*here.things, *here.principals], asked.get("nextToken", ""), asked.get("maxResults", 25))
    return {"things": [{"thingName": name} for name in rows]} | ({"nextToken": rest} if rest else {})


def _principals_v2(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["thingName"] not in here.principals:
        raise RefusedError("ResourceNotFoundException", 404)
    held = here.principals[asked["thingName"]]
    rows, rest = _page(here, held, asked.get("nextToken", ""), asked.get("maxResults", 25))
    found = [{"principal": _principal(here, each), "thingPrincipalType": _how(here, each)} for each in rows]
    return {"thingPrincipalObjects": found} | ({"nextToken": rest} if rest else {})


def _things_of(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    held = [name for name, of in here.principals.items() if asked["principal"] in [_principal(here, x) for x in of]]
    if not held:
        raise RefusedError("ResourceNotFoundException", 404)
    rows, rest = _page(here, held, asked.get("nextToken", ""), asked.get("maxResults", 25))
    how = _how(here, asked["principal"].rpartition("/")[2])
    found = [{"thingName": name, "thingPrincipalType": how} for name in rows]
    return {"principalThingObjects": found} | ({"nextToken": rest} if rest else {})


def _principal(here: ReadableAccount, held: str) -> str:
    """Name a certificate by its ARN, and an identity of Cognito as it is."""
    return held if ":" in held else _arn(here, "iot", f"cert/{held}")


def _how(here: ReadableAccount, certificate: str) -> str:
    return "EXCLUSIVE_THING" if certificate in here.exclusive else "NON_EXCLUSIVE_THING"


def _principals(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    numbers = [*range(len(here.things[asked["thingName"]]))]
    rows, rest = _page(here, numbers, asked.get("nextToken", ""), asked.get("maxResults", 25))
    found = [_arn(here, "iot", f"cert/{number:064x}") for number in rows]
    return {"principals": found} | ({"nextToken": rest} if rest else {})


def _effective(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    documents = here.things[asked["thingName"]][int(asked["principal"].rpartition("/")[2], 16)]
    rows = [{"policyName": f"p{number}", "policyDocument": json.dumps(each)} for number, each in enumerate(documents)]
    return {"effectivePolicies": rows}


def _thing_groups(here: ReadableAccount, _asked: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{"groupName": name, "groupArn": _arn(here, "iot", f"thinggroup/{name}")} for name in here.groups]
    return {"thingGroups": rows}


def _attached(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    names = here.groups[asked["target"].rpartition("/")[2]].get("policies", [])
    return {"policies": [{"policyName": name} for name in names]}


def _parked(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"Attributes": {"ApproximateNumberOfMessages": str(here.parked[asked["QueueUrl"].rpartition("/")[2]])}}


def _queues(here: ReadableAccount) -> list[dict[str, Any]]:
    return [
        {
            "LogicalResourceId": name,
            "PhysicalResourceId": f"https://sqs.{here.account.place.region}.amazonaws.com/123456789012/{name}",
            "ResourceType": "AWS::SQS::Queue",
            "ResourceStatus": "CREATE_COMPLETE",
            "LastUpdatedTimestamp": 0,
        }
        for name in here.parked
    ]


def _datapoints(here: ReadableAccount, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    bytes_in = [here.log_bytes] if here.log_bytes else []
    sums = bytes_in if asked["MetricName"] == "IncomingBytes" else here.undelivered
    return [{"Sum": each, "Timestamp": 0} for each in sums]


def _log_lines(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    if here.log_lines is None:
        raise RefusedError("ResourceNotFoundException")
    word = asked["filterPattern"].strip('"')
    return {"events": [{"message": each, "timestamp": 0} for each in here.log_lines if word in each]}


def _searched(here: ReadableAccount, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Search in pages of two: connected things, with the client id where AWS IoT has it."""
    assert asked["queryString"] == "connectivity.connected:true"
    begin = int(asked.get("nextToken", 0))
    found = [*(here.sessions or {}).items()]
    rows = [
        {"thingName": thing, "connectivity": {"connected": True, **({"clientId": client} if client else {})}}
        for thing, client in found[begin : begin + 2]
    ]
    return {"things": rows} | ({"nextToken": str(begin + 2)} if begin + 2 < len(found) else {})


_ANSWERS: Mapping[str, _Answer] = {
    "iot:DescribeAccountAuditConfiguration": _audit,
    "iot:ListScheduledAudits": _scheduled,
    "iot:DescribeScheduledAudit": _schedule,
    "iot:GetV2LoggingOptions": _logging,
    "iot:ListSecurityProfiles": _profiles,
    "iot:DescribeSecurityProfile": _profile,
    "iot:ListTargetsForSecurityProfile": _targets,
    "iot:ListCertificates": _certificates,
    "guardduty:ListDetectors": lambda here, _: {"DetectorIds": [*here.account.detectors]},
    "guardduty:GetDetector": _detector,
    "guardduty:GetAdministratorAccount": _administrator,
    "access-analyzer:ListAnalyzers": _analyzers,
    "cloudtrail:DescribeTrails": _trails,
    "cloudtrail:GetTrailStatus": _trail_status,
    "cloudtrail:GetEventSelectors": _selectors,
    "cloudformation:ListStackResources": _resources,
    "iot:ListThings": _things,
    "iot:ListThingPrincipals": _principals,
    "iot:ListThingPrincipalsV2": _principals_v2,
    "iot:ListPrincipalThingsV2": _things_of,
    "iot:GetEffectivePolicies": _effective,
    "iot:ListThingGroups": _thing_groups,
    "iot:DescribeThingGroup": lambda here, asked: here.groups[asked["thingGroupName"]],
    "iot:ListAttachedPolicies": _attached,
    "sqs:GetQueueAttributes": _parked,
    "servicequotas:ListServiceQuotas": lambda here, _asked: {
        "Quotas": [{"QuotaCode": code, "Value": value} for code, value in here.quotas.items()]
    },
    "sns:GetTopicAttributes": lambda here, asked: {"Attributes": _topic(here, asked["TopicArn"])},
    "kms:DescribeKey": lambda _here, _asked: {"KeyMetadata": {"KeyId": "key", "Arn": _KEY}},
    "iam:GetAccountSummary": lambda here, _asked: {"SummaryMap": {"Roles": here.roles, "Users": 0}},
    "cloudwatch:GetMetricStatistics": lambda here, asked: {"Label": "a", "Datapoints": _datapoints(here, asked)},
    "cloudwatch:ListMetrics": lambda here, asked: {
        "Metrics": [{**asked, "Dimensions": [{"Name": "d", "Value": "v"}]}] if here.undelivered else []
    },
    "logs:FilterLogEvents": _log_lines,
    "iot:GetIndexingConfiguration": lambda here, _: {
        "thingIndexingConfiguration": {
            "thingIndexingMode": "REGISTRY",
            "thingConnectivityIndexingMode": "OFF" if here.sessions is None else "STATUS",
        }
    },
    "iot:SearchIndex": _searched,
    "sts:GetCallerIdentity": lambda here, _: {"Account": here.account.place.account, "Arn": "arn", "UserId": "u"},
}

_KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"


def _topic(here: ReadableAccount, arn: str) -> dict[str, str]:
    key = here.topic_keys.get(arn)
    return {"TopicArn": arn} | ({"KmsMasterKeyId": key} if key else {})
