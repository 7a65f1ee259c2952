"""What AWS answers about an account's settings, out of a model of the account (tests/account_model.py).

The forms are those of botocore's model; the refusals are those of the API references. What the role is denied is in the
model too: each service words it in its own way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.account_model import AccountModel
from tests.aws_stand_in.refusal import Refusal
from tests.stack_model import Deployed, StackRefusal, kind_of
from warden.core.account_facts import Bucket, Detector, SecurityProfile, Trail, TrailStatus

if TYPE_CHECKING:
    from tests.aws_stand_in.answers import AwsState

type Answer = Callable[[AwsState, Mapping[str, Any]], dict[str, Any] | None]

DENIALS = {
    "s3": "AccessDenied",
    "sns": "AuthorizationError",
    "cloudformation": "AccessDenied",
    "cloudwatch": "AccessDenied",
}
"""How a service calls a denial, where it is not AccessDeniedException."""


def of_model(action: str, answered: Callable[[AccountModel, Mapping[str, Any]], dict[str, Any] | None]) -> Answer:
    """Make an answer that the model's role may be denied."""

    def answer(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
        if action in state.account.denied:
            code = DENIALS.get(action.partition(":")[0], "AccessDeniedException")
            raise Refusal(code, f"User is not authorized to perform: {action}")
        if action in state.account.refused:
            raise Refusal(state.account.refused[action], "as AWS would put it")
        return answered(state.account, asked)

    return answer


def audit_configuration(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe it: an account that was never set up answers too, with neither role nor target."""
    target = {
        "targetArn": model.audit.target,
        "roleArn": model.audit.target_role,
        "enabled": model.audit.target_enabled,
    }
    return {
        "roleArn": model.audit.role or None,
        "auditNotificationTargetConfigurations": {"SNS": target} if model.audit.target else {},
        "auditCheckConfigurations": {
            **{check: {"enabled": True} for check in sorted(model.audit.checks)},
            "A_CHECK_THAT_IS_OFF": {"enabled": False},
        },
    }


def scheduled_audits(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List them, without their checks."""
    listed = [{"scheduledAuditName": each.name, "frequency": each.frequency} for each in model.scheduled_audits]
    return {"scheduledAudits": listed}


def scheduled_audit(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one."""
    for each in model.scheduled_audits:
        if each.name == asked["scheduledAuditName"]:
            checks = sorted(each.checks)
            return {"scheduledAuditName": each.name, "frequency": each.frequency, "targetCheckNames": checks}
    raise Refusal("ResourceNotFoundException", "there is no such scheduled audit")


def audit_tasks(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the tasks that were started in a time, without their times."""
    found = [each for each in model.audits if asked["startTime"] <= each.started_at <= asked["endTime"]]
    return {"tasks": [{"taskId": each.id, "taskStatus": each.status} for each in found]}


def audit_task(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one."""
    for each in model.audits:
        if each.id == asked["taskId"]:
            details = {
                name: {"checkRunStatus": run.status, **({"errorCode": run.error} if run.error else {})}
                for name, run in each.checks.items()
            }
            return {"taskStatus": each.status, "taskStartTime": each.started_at, "auditDetails": details}
    raise Refusal("ResourceNotFoundException", "there is no such task")


def suppressions(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List them; one without an end has no date."""
    return {
        "suppressions": [
            {
                "checkName": each.check,
                "resourceIdentifier": {"account": "123456789012"},
                "suppressIndefinitely": each.until is None,
                "expirationDate": each.until,
            }
            for each in model.suppressions
        ]
    }


def logging_options(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read them; an account that never set any gets an error."""
    if model.logging is None:
        raise Refusal("NotConfiguredException", "logging is not configured")
    destinations = dict(zip(model.logging.events, sorted(model.logging.groups), strict=False))
    assert len(destinations) == len(model.logging.groups), "a group is an event type's"
    return {
        "roleArn": "arn:aws:iam::1:role/logs",
        "defaultLogLevel": model.logging.level,
        "disableAllLogs": model.logging.disabled,
        "eventConfigurations": [
            {
                "eventType": event,
                "logLevel": level,
                **({"logDestination": destinations[event]} if event in destinations else {}),
            }
            for event, level in model.logging.events.items()
        ],
    }


def log_levels(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the levels of groups; an account that never set up logging gets an error."""
    if model.logging is None:
        raise Refusal("NotConfiguredException", "logging is not configured")
    levels = model.group_levels if asked.get("targetType", "THING_GROUP") == "THING_GROUP" else {}
    listed = [
        {"logTarget": {"targetType": "THING_GROUP", "targetName": group}, "logLevel": level}
        for group, level in levels.items()
    ]
    return {"logTargetConfigurations": listed}


def set_log_level(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Set the level of a group, whatever it was before; refuse if logging was never set up."""
    target = asked["logTarget"]
    if not target.get("targetName"):
        raise Refusal("InvalidRequestException", "a target other than the default has a name")
    if model.logging is None:
        raise Refusal("NotConfiguredException", "logging is not configured")
    model.group_levels[target["targetName"]] = asked["logLevel"]
    return {}


def remove_log_level(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Remove the level of a group, if it has one."""
    model.group_levels.pop(asked["targetName"], None)
    return {}


def log_groups(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List those whose name begins so, in the order of their names (API reference of CloudWatch Logs)."""
    found = sorted(model.log_groups, key=lambda each: each.name)
    return {
        "logGroups": [
            {
                "logGroupName": each.name,
                **({"retentionInDays": each.retention_days} if each.retention_days else {}),
                **({"kmsKeyId": each.key} if each.key else {}),
            }
            for each in found
            if each.name.startswith(asked["logGroupNamePrefix"])
        ][: asked["limit"]]
    }


def security_profiles(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List their names."""
    return {"securityProfileIdentifiers": [{"name": each.name, "arn": f"a:{each.name}"} for each in model.profiles]}


def security_profile(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe one."""
    profile = _profile(model, asked)
    criteria = {"mlDetectionConfig": {"confidenceLevel": "HIGH"}} if profile.learns else {}
    behaviors = [{"name": f"b-{metric}", "metric": metric, "criteria": criteria} for metric in sorted(profile.metrics)]
    kinds = zip(["SNS"], profile.alerts.items(), strict=False)  # there is one kind of target
    targets = {kind: {"alertTargetArn": topic, "roleArn": role} for kind, (topic, role) in kinds}
    return {"securityProfileName": profile.name, "behaviors": behaviors, "alertTargets": targets}


def targets_of_profile(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List what a profile is attached to."""
    return {"securityProfileTargets": [{"arn": each} for each in sorted(_profile(model, asked).targets)]}


def _profile(model: AccountModel, asked: Mapping[str, Any]) -> SecurityProfile:
    for each in model.profiles:
        if each.name == asked["securityProfileName"]:
            return each
    raise Refusal("ResourceNotFoundException", "there is no such security profile")


def training(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the models of a profile."""
    return {
        "summaries": [
            {"securityProfileName": each.profile, "behaviorName": each.behavior, "modelStatus": each.status}
            for each in model.models
            if each.profile == asked["securityProfileName"]
        ]
    }


def custom_metrics(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List their names."""
    return {"metricNames": model.custom_metrics}


def metrics(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the metric under two sets of dimensions, once there is any value of it."""
    dimensions: list[list[dict[str, str]]] = [[], [{"Name": "Protocol", "Value": "SNS"}]]
    listed = [{"Namespace": asked["Namespace"], "MetricName": asked["MetricName"], "Dimensions": d} for d in dimensions]
    return {"Metrics": listed if model.undelivered else []}


def statistics(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add up by the hour; the half of each hour's count is under each set of dimensions."""
    share = 0 if asked["Dimensions"] else 1
    found = [
        {"Timestamp": at, "Sum": (count + share) // 2, "Unit": "None"}
        for at, count in model.undelivered
        if asked["StartTime"] <= at < asked["EndTime"]
    ]
    return {"Label": asked["MetricName"], "Datapoints": found}


def detectors(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the one detector, if there is one."""
    return {"DetectorIds": [model.detector.id] if model.detector else []}


def detector(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe it: the plans that are off are listed too."""
    found = _detector(model, asked)
    features = [{"Name": plan, "Status": "ENABLED"} for plan in sorted(found.plans)]
    return {
        "Status": "ENABLED" if found.enabled else "DISABLED",
        "ServiceRole": "arn:aws:iam::1:role/g",
        "Features": [*features, {"Name": "EBS_MALWARE_PROTECTION", "Status": "DISABLED"}],
    }


def administrator(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Name the administrator to a member; to any other account, nothing."""
    _detector(model, asked)
    named = model.guardduty_administrator
    return {"Administrator": {"AccountId": named, "RelationshipStatus": "Enabled"} if named else {}}


def _detector(model: AccountModel, asked: Mapping[str, Any]) -> Detector:
    if model.detector is None or model.detector.id != asked["DetectorId"]:
        raise Refusal("BadRequestException", "the input detectorId is not owned by the current account")
    return model.detector


def organization(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe it to any member."""
    if not model.management_account:
        raise Refusal("AWSOrganizationsNotInUseException", "the account is not a member of an organization")
    return {"Organization": {"Id": "o-exampleorgid", "MasterAccountId": model.management_account}}


def trails(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe them, shadows included."""
    return {
        "trailList": [
            {
                "Name": each.name,
                "TrailARN": each.arn,
                "S3BucketName": each.bucket,
                "IsMultiRegionTrail": each.multi_region,
                "IsOrganizationTrail": each.organization,
                "LogFileValidationEnabled": each.validated,
                **({"KmsKeyId": each.key} if each.key else {}),
            }
            for each in model.trails
        ]
    }


def trail_status(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read whether a trail records."""
    status = _status(model, asked["Name"])
    return {"IsLogging": status.logging, **({"LatestDeliveryError": status.error} if status.error else {})}


def event_selectors(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read the selectors, in the older form unless the model has others."""
    if asked["TrailName"] in model.selectors:
        return model.selectors[asked["TrailName"]]
    _status(model, asked["TrailName"])
    recorded = asked["TrailName"] not in model.trails_without_management
    return {"EventSelectors": [{"ReadWriteType": "All", "IncludeManagementEvents": recorded}]}


def _status(model: AccountModel, arn: str) -> TrailStatus:
    if arn not in model.trail_statuses:
        raise Refusal("TrailNotFoundException", f"Unknown trail: {arn}")
    return model.trail_statuses[arn]


def public_access(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the block; another account's bucket is denied, one without a block has an error of its own."""
    if not _bucket(model, asked).public_access_blocked:
        raise Refusal("NoSuchPublicAccessBlockConfiguration", "The public access block configuration was not found")
    names = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    return {"PublicAccessBlockConfiguration": dict.fromkeys(names, True)}


def versioning(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read it; a bucket that never had any answers nothing."""
    return {"Status": "Enabled"} if _bucket(model, asked).versioned else {}


def _bucket(model: AccountModel, asked: Mapping[str, Any]) -> Bucket:
    if asked["Bucket"] not in model.buckets:
        raise Refusal("AccessDenied", "Access Denied")
    bucket = model.buckets[asked["Bucket"]]
    if bucket is None:
        raise Refusal("NoSuchBucket", "The specified bucket does not exist")
    return bucket


def analyzers(model: AccountModel, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """List those of this account."""
    made = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "analyzers": [
            {"arn": each.arn, "name": each.name, "type": each.type, "status": each.status, "createdAt": made}
            for each in model.analyzers
        ]
    }


def topic_attributes(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Count the subscriptions of a topic."""
    topic = model.topics.get(asked["TopicArn"])
    if topic is None:
        raise Refusal("NotFound", "Topic does not exist")  # the code; the exception is NotFoundException
    counts = {"SubscriptionsConfirmed": str(topic.confirmed), "SubscriptionsPending": str(topic.pending)}
    return {"Attributes": {"TopicArn": asked["TopicArn"], "Policy": topic.policy, **counts}}


def subscriptions(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List a topic's subscriptions: one that is not confirmed has no ARN, a deleted one may stay for a while."""
    if asked["TopicArn"] not in model.topics:
        raise Refusal("NotFound", "Topic does not exist")
    here = {"TopicArn": asked["TopicArn"], "Owner": "123456789012"}
    mail = {**here, "SubscriptionArn": "PendingConfirmation", "Protocol": "email", "Endpoint": "a@example.com"}
    found = [
        {**here, "SubscriptionArn": each.arn or "PendingConfirmation", "Protocol": "sqs", "Endpoint": queue}
        for (topic, queue), each in model.subscriptions.items()
        if topic == asked["TopicArn"]
    ]
    gone = [{**each, "SubscriptionArn": "Deleted"} for each in found]
    return {"Subscriptions": [mail, *gone, *found]}


def subscription_attributes(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read how one is delivered to; without a filter there is no such attribute."""
    for each in model.subscriptions.values():
        if each.arn == asked["SubscriptionArn"]:
            kept = {"FilterPolicy": '{"severity": ["high"]}'} if each.filtered else {}
            return {"Attributes": {"RawMessageDelivery": str(each.raw).lower(), **kept}}
    raise Refusal("NotFound", "Subscription does not exist")


def rule(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a rule."""
    if asked["Name"] not in model.schedules:
        raise Refusal("ResourceNotFoundException", f"Rule {asked['Name']} does not exist on EventBus default.")
    return {"Name": asked["Name"], "State": "ENABLED" if model.schedules[asked["Name"]] else "DISABLED"}


def stack_resources(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List the resources of a stack; one that could not be made has no id, and deleted ones are listed too."""
    at = datetime(2026, 1, 1, tzinfo=UTC)
    there = {"LastUpdatedTimestamp": at, "ResourceStatus": "CREATE_COMPLETE"}
    topic = {**there, "ResourceType": "AWS::SNS::Topic"}
    gone = {**topic, "LogicalResourceId": "G", "PhysicalResourceId": "g", "ResourceStatus": "DELETE_COMPLETE"}
    failed = {**topic, "LogicalResourceId": "F", "ResourceStatus": "CREATE_FAILED"}
    made = _of_stacks(lambda: model.in_stacks().listed(asked["StackName"]))
    return {"StackResourceSummaries": [*({**there, **_named(each)} for each in made), gone, failed]}


def _named(each: Deployed) -> dict[str, Any]:
    return {"LogicalResourceId": each.name, "ResourceType": each.type, "PhysicalResourceId": each.id}


def _of_stacks[T](ask: Callable[[], T]) -> T:
    try:
        return ask()
    except StackRefusal as refusal:
        raise Refusal(refusal.code, str(refusal)) from refusal


def detect_drift(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a detection."""
    now = datetime.now(UTC)
    return {"StackDriftDetectionId": _of_stacks(lambda: model.in_stacks().begin(asked["StackName"], now))}


def drift_status(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read how far a detection is: it has failed if it failed for one resource."""
    stacks, detection = model.in_stacks(), asked["StackDriftDetectionId"]
    over = "DETECTION_FAILED" if stacks.failed() else "DETECTION_COMPLETE"
    return {
        "StackId": _STACK,
        "StackDriftDetectionId": detection,
        "DetectionStatus": "DETECTION_IN_PROGRESS" if stacks.comparing else over,
        "Timestamp": _of_stacks(lambda: stacks.began(detection)),
    }


def resource_drifts(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List what was compared; types that are not supported are not among them."""
    listed = _of_stacks(lambda: model.in_stacks().listed(asked["StackName"]))
    return {"StackResourceDrifts": [_drift(each) for each in listed if not each.unsupported]}


def resource_drift(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Compare one resource at once."""
    found = _of_stacks(lambda: model.in_stacks().compared(asked["StackName"], asked["LogicalResourceId"]))
    return {"StackResourceDrift": _drift(found)}


def _drift(each: Deployed) -> dict[str, Any]:
    drift = each.drift()
    there = {
        "ExpectedProperties": json.dumps(drift.expected),
        "ActualProperties": json.dumps(drift.actual),
        "PropertyDifferences": [
            {
                "PropertyPath": one.path,
                "ExpectedValue": one.expected,
                "ActualValue": one.found,
                "DifferenceType": kind_of(one),
            }
            for one in drift.differences
        ],
    }
    status = "UNKNOWN" if drift.reason else drift.status.upper().replace("-", "_")
    return {
        "StackId": _STACK,
        **_named(each),
        **(there if status in ("IN_SYNC", "MODIFIED") else {}),
        "StackResourceDriftStatus": status,
        **({"DriftStatusReason": drift.reason} if drift.reason else {}),
        "Timestamp": datetime(2026, 1, 1, tzinfo=UTC) if each.stale else datetime.now(UTC),
    }


_STACK = "arn:aws:cloudformation:us-east-1:123456789012:stack/iot-baseline/1"


def update_resource(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Begin a change."""
    kind, name, patch, once = (asked[each] for each in ("TypeName", "Identifier", "PatchDocument", "ClientToken"))
    request = _of_stacks(lambda: model.in_stacks().update(kind, name, patch, once))["request"]
    return {"ProgressEvent": {"TypeName": kind, "RequestToken": request, "OperationStatus": "PENDING"}}


def update_status(model: AccountModel, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read how far a change is."""
    stacks, request = model.in_stacks(), asked["RequestToken"]
    event = {"RequestToken": request, "OperationStatus": _of_stacks(lambda: stacks.progress(request))}
    failed = {"ErrorCode": "AccessDenied", "StatusMessage": stacks.refuses} if stacks.refuses else {}
    return {"ProgressEvent": {**event, **failed}}


def trail_of(name: str, region: str = "us-east-1", account: str = "123456789012", **changes: Any) -> Trail:
    """Build a trail as the baseline makes one."""
    arn = f"arn:aws:cloudtrail:{region}:{account}:trail/{name}"
    kept = {"bucket": f"{name}-logs", "multi_region": True, "organization": False, "validated": True}
    return Trail(name=name, arn=arn, **{**kept, **changes})
