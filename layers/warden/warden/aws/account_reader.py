"""The account as AWS's own APIs describe it. Nothing here changes anything.

A denial, an error or an answer that is not available here is a value, so that it costs one line of the survey and not
the whole survey. By then, botocore has already tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Concatenate

from botocore.exceptions import BotoCoreError, ClientError

from warden.aws.denials import DENIALS
from warden.aws.patience import NoAnswerInTimeError
from warden.aws.undelivered import undelivered_alerts
from warden.core.account_facts import (
    NO_ANSWER,
    Analyzer,
    AuditConfiguration,
    AuditTask,
    Bucket,
    CheckRun,
    Denied,
    Detector,
    IotLogging,
    LearningModel,
    LogGroup,
    ScheduledAudit,
    SecurityProfile,
    StackResource,
    Subscription,
    Suppression,
    Topic,
    Trail,
    TrailStatus,
    Unanswered,
    Unavailable,
    Unread,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_guardduty import GuardDutyClient
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_sns import SNSClient

ACTIONS = {
    "DescribeAccountAuditConfiguration": "iot:DescribeAccountAuditConfiguration",
    "ListScheduledAudits": "iot:ListScheduledAudits",
    "DescribeScheduledAudit": "iot:DescribeScheduledAudit",
    "ListAuditTasks": "iot:ListAuditTasks",
    "DescribeAuditTask": "iot:DescribeAuditTask",
    "ListAuditSuppressions": "iot:ListAuditSuppressions",
    "GetV2LoggingOptions": "iot:GetV2LoggingOptions",
    "DescribeLogGroups": "logs:DescribeLogGroups",
    "DescribeEventConfigurations": "iot:DescribeEventConfigurations",
    "ListSecurityProfiles": "iot:ListSecurityProfiles",
    "DescribeSecurityProfile": "iot:DescribeSecurityProfile",
    "ListTargetsForSecurityProfile": "iot:ListTargetsForSecurityProfile",
    "GetBehaviorModelTrainingSummaries": "iot:GetBehaviorModelTrainingSummaries",
    "ListCustomMetrics": "iot:ListCustomMetrics",
    "ListMetrics": "cloudwatch:ListMetrics",
    "GetMetricStatistics": "cloudwatch:GetMetricStatistics",
    "ListDetectors": "guardduty:ListDetectors",
    "GetDetector": "guardduty:GetDetector",
    "GetAdministratorAccount": "guardduty:GetAdministratorAccount",
    "DescribeOrganization": "organizations:DescribeOrganization",
    "DescribeTrails": "cloudtrail:DescribeTrails",
    "GetTrailStatus": "cloudtrail:GetTrailStatus",
    "GetEventSelectors": "cloudtrail:GetEventSelectors",
    "GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "GetBucketVersioning": "s3:GetBucketVersioning",
    "ListAnalyzers": "access-analyzer:ListAnalyzers",
    "GetTopicAttributes": "sns:GetTopicAttributes",
    "ListSubscriptionsByTopic": "sns:ListSubscriptionsByTopic",
    "GetSubscriptionAttributes": "sns:GetSubscriptionAttributes",
    "DescribeRule": "events:DescribeRule",
    "ListStackResources": "cloudformation:ListStackResources",
}
"""The action that each operation needs; S3's actions have other names than its operations."""


@dataclass(frozen=True, kw_only=True)
class Clients:
    """A client for each service that is read; there are no stubs for those that are `Any`."""

    iot: IoTClient
    guardduty: GuardDutyClient
    organizations: Any
    cloudtrail: Any
    s3: S3Client
    accessanalyzer: Any
    sns: SNSClient
    events: EventBridgeClient
    cloudformation: CloudFormationClient
    logs: Any
    cloudwatch: Any


def _action_of(operation: str) -> str:
    return ACTIONS.get(operation, f"cloudformation:{operation}")  # Cloud Control API's are CloudFormation's


def _may_pass(error: ClientError) -> bool:
    """Check whether AWS could not answer, or was asked too often; botocore has tried again by then."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return status >= HTTPStatus.INTERNAL_SERVER_ERROR or "Throttl" in error.response["Error"]["Code"]


def answered[**P, T](read: Callable[P, T]) -> Callable[P, T | Unread]:
    """Make a method return why AWS did not answer instead of raising it."""

    @wraps(read)
    def asked(*args: P.args, **kwargs: P.kwargs) -> T | Unread:
        try:
            return read(*args, **kwargs)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            action = _action_of(error.operation_name)
            return Denied(action) if code in DENIALS else Unanswered(action, code, may_pass=_may_pass(error))
        except NoAnswerInTimeError as error:
            return Unanswered(_action_of(error.kwargs["operation"]), NO_ANSWER, may_pass=True)
        except BotoCoreError as error:
            return Unanswered(read.__name__, type(error).__name__, may_pass=True)
        except KeyError as error:  # AWS's models call next to nothing of an answer required
            return Unanswered(read.__name__, f"no {error.args[0]}")

    return asked


def _of_device_defender[**P, T](
    read: Callable[Concatenate[AwsAccountReader, P], T],
) -> Callable[Concatenate[AwsAccountReader, P], T | Unread]:
    """Make a method return that Device Defender is not in this region, where it is not."""
    asked = answered(read)

    @wraps(read)
    def available(reader: AwsAccountReader, /, *args: P.args, **kwargs: P.kwargs) -> T | Unread:
        return asked(reader, *args, **kwargs) if reader.has_device_defender else Unavailable(reader.region)

    return available


class AwsAccountReader:
    """Reads the account. `has_device_defender` says whether the region has it: that is known, not asked."""

    def __init__(self, clients: Clients, region: str, *, has_device_defender: bool) -> None:
        self._of = clients
        self.region = region
        self.has_device_defender = has_device_defender

    # --- Device Defender's audit ---------------------------------------------------------------------------------

    @_of_device_defender
    def audit_configuration(self) -> AuditConfiguration:
        """Read the configuration; AWS IoT answers also where nothing was ever set up."""
        answer = self._of.iot.describe_account_audit_configuration()
        checks = answer.get("auditCheckConfigurations", {})
        targets: Mapping[Any, Any] = answer.get("auditNotificationTargetConfigurations", {})
        target = targets.get("SNS", {})
        return AuditConfiguration(
            role=answer.get("roleArn", ""),
            checks=frozenset(str(name) for name, check in checks.items() if check.get("enabled")),
            target=target.get("targetArn", ""),
            target_role=target.get("roleArn", ""),
            target_enabled=bool(target.get("enabled")),
        )

    @_of_device_defender
    def scheduled_audits(self) -> Sequence[ScheduledAudit]:
        """List the scheduled audits; the list has no checks, so each is described."""
        pages = self._of.iot.get_paginator("list_scheduled_audits").paginate()
        names = [each["scheduledAuditName"] for page in pages for each in page["scheduledAudits"]]
        return tuple(self._each(self._scheduled_audit, names))

    def _scheduled_audit(self, name: str) -> ScheduledAudit:
        answer = self._of.iot.describe_scheduled_audit(scheduledAuditName=name)
        checks = frozenset(answer["targetCheckNames"])
        return ScheduledAudit(name=name, frequency=answer["frequency"], checks=checks)

    @_of_device_defender
    def audits(self, since: datetime, until: datetime) -> Sequence[AuditTask]:
        """List the tasks of a period; the list has neither times nor checks, so each is described."""
        pages = self._of.iot.get_paginator("list_audit_tasks").paginate(startTime=since, endTime=until)
        ids = [each["taskId"] for page in pages for each in page["tasks"]]
        return tuple(self._each(self._audit_task, ids))

    def _audit_task(self, task: str) -> AuditTask:
        answer = self._of.iot.describe_audit_task(taskId=task)
        details = answer.get("auditDetails", {})
        return AuditTask(
            id=task,
            status=answer["taskStatus"],
            started_at=answer["taskStartTime"],
            checks={name: CheckRun(run["checkRunStatus"], run.get("errorCode", "")) for name, run in details.items()},
        )

    @_of_device_defender
    def suppressions(self) -> Sequence[Suppression]:
        """List the suppressions."""
        pages = self._of.iot.get_paginator("list_audit_suppressions").paginate()
        return tuple(
            Suppression(check=each["checkName"], until=each.get("expirationDate"))
            for page in pages
            for each in page["suppressions"]
        )

    # --- Device Defender's Detect --------------------------------------------------------------------------------

    @_of_device_defender
    def security_profiles(self) -> Sequence[SecurityProfile]:
        """List the profiles, each with its behaviors and with what it is attached to."""
        pages = self._of.iot.get_paginator("list_security_profiles").paginate()
        names = [each["name"] for page in pages for each in page["securityProfileIdentifiers"]]
        return tuple(self._each(self._security_profile, names))

    def _security_profile(self, name: str) -> SecurityProfile:
        answer = self._of.iot.describe_security_profile(securityProfileName=name)
        behaviors = answer.get("behaviors", [])
        pages = self._of.iot.get_paginator("list_targets_for_security_profile").paginate(securityProfileName=name)
        return SecurityProfile(
            name=name,
            metrics=frozenset(each["metric"] for each in behaviors if "metric" in each),
            learns=any("mlDetectionConfig" in each.get("criteria", {}) for each in behaviors),
            alerts={each["alertTargetArn"]: each["roleArn"] for each in answer.get("alertTargets", {}).values()},
            targets=frozenset(each["arn"] for page in pages for each in page["securityProfileTargets"]),
        )

    @_of_device_defender
    def learning_models(self, profile: str) -> Sequence[LearningModel]:
        """List the summaries of the training."""
        pages = self._of.iot.get_paginator("get_behavior_model_training_summaries").paginate(
            securityProfileName=profile
        )
        try:
            rows = [each for page in pages for each in page["summaries"]]
        except self._of.iot.exceptions.ResourceNotFoundException:  # the profile was deleted since it was listed
            return ()
        return tuple(
            LearningModel(each["securityProfileName"], each["behaviorName"], each["modelStatus"]) for each in rows
        )

    @_of_device_defender
    def custom_metrics(self) -> Sequence[str]:
        """List the custom metrics."""
        pages = self._of.iot.get_paginator("list_custom_metrics").paginate()
        return tuple(name for page in pages for name in page["metricNames"])

    @_of_device_defender
    def undelivered_alerts(self, since: datetime, until: datetime) -> int:
        """Add up AWS IoT's count."""
        return undelivered_alerts(self._of.cloudwatch, since, until)

    # --- AWS IoT -------------------------------------------------------------------------------------------------

    @answered
    def iot_logging(self) -> IotLogging | None:
        """Read the options, with every event type that has a level of its own."""
        try:
            answer = self._of.iot.get_v2_logging_options(verbose=True)
        except self._of.iot.exceptions.NotConfiguredException:
            return None
        events = answer.get("eventConfigurations", [])
        return IotLogging(
            level=answer.get("defaultLogLevel", "DISABLED"),
            disabled=answer.get("disableAllLogs", False),
            events={each["eventType"]: each.get("logLevel", "") for each in events},
            groups=frozenset(each["logDestination"] for each in events if each.get("logDestination")),
        )

    @answered
    def log_group(self, name: str) -> LogGroup | None:
        """Read the first group of those that begin with the name: they are in order, so it is the group itself."""
        for each in self._of.logs.describe_log_groups(logGroupNamePrefix=name, limit=1)["logGroups"]:
            if each["logGroupName"] == name:
                return LogGroup(name=name, retention_days=each.get("retentionInDays", 0), key=each.get("kmsKeyId", ""))
        return None

    @answered
    def event_types(self) -> Mapping[str, bool]:
        """Read the event types."""
        configurations: Mapping[Any, Any] = self._of.iot.describe_event_configurations()["eventConfigurations"]
        return {str(event): bool(each.get("Enabled")) for event, each in configurations.items()}

    # --- GuardDuty, Access Analyzer, the organization ------------------------------------------------------------

    @answered
    def detector(self) -> Detector | None:
        """Read the detector: there is at most one in a region."""
        ids = self._of.guardduty.list_detectors()["DetectorIds"]
        if not ids:
            return None
        try:
            answer = self._of.guardduty.get_detector(DetectorId=ids[0])
        except self._of.guardduty.exceptions.BadRequestException:
            if self._of.guardduty.list_detectors()["DetectorIds"]:
                raise
            return None  # it was deleted since it was listed
        plans = frozenset(str(each["Name"]) for each in answer.get("Features", []) if each["Status"] == "ENABLED")
        return Detector(id=ids[0], enabled=answer["Status"] == "ENABLED", plans=plans)

    @answered
    def guardduty_administrator(self, detector: str) -> str:
        """Read the administrator: only a member account is shown one."""
        answer = self._of.guardduty.get_administrator_account(DetectorId=detector)
        return str(answer.get("Administrator", {}).get("AccountId", ""))

    @answered
    def organization(self) -> str:
        """Read the organization's management account."""
        try:
            return str(self._of.organizations.describe_organization()["Organization"]["MasterAccountId"])
        except self._of.organizations.exceptions.AWSOrganizationsNotInUseException:
            return ""

    @answered
    def analyzers(self) -> Sequence[Analyzer]:
        """List the analyzers."""
        pages = self._of.accessanalyzer.get_paginator("list_analyzers").paginate()
        return tuple(
            Analyzer(name=each["name"], arn=each["arn"], type=each["type"], status=each["status"])
            for page in pages
            for each in page["analyzers"]
        )

    # --- CloudTrail ----------------------------------------------------------------------------------------------

    @answered
    def trails(self) -> Sequence[Trail]:
        """List the trails; without a filter AWS adds those of other regions and of the organization."""
        return tuple(
            Trail(
                name=each["Name"],
                arn=each["TrailARN"],
                bucket=each.get("S3BucketName", ""),
                multi_region=each.get("IsMultiRegionTrail", False),
                organization=each.get("IsOrganizationTrail", False),
                validated=each.get("LogFileValidationEnabled", False),
                key=each.get("KmsKeyId", ""),
            )
            for each in self._of.cloudtrail.describe_trails()["trailList"]
        )

    @answered
    def trail_status(self, arn: str) -> TrailStatus:
        """Read the status by the full ARN: a member finds a trail of its organization only by that."""
        answer = self._of.cloudtrail.get_trail_status(Name=arn)
        error = answer.get("LatestDeliveryError", "") or answer.get("LatestDigestDeliveryError", "")
        return TrailStatus(logging=answer["IsLogging"], error=error)

    @answered
    def trail_records_management(self, arn: str) -> bool:
        """Read the selectors, of the older and of the newer form."""
        answer = self._of.cloudtrail.get_event_selectors(TrailName=arn)
        simple = answer.get("EventSelectors", [])
        advanced = answer.get("AdvancedEventSelectors", [])
        return any(_is_all_management(each) for each in simple) or any(_selects_management(each) for each in advanced)

    @answered
    def bucket(self, name: str) -> Bucket | None:
        """Read the block of public access, and whether versions are kept."""
        try:
            blocks = self._public_access_blocks(name)
            versioning = self._of.s3.get_bucket_versioning(Bucket=name)
        except self._of.s3.exceptions.NoSuchBucket:
            return None
        return Bucket(
            public_access_blocked=len(blocks) == 4 and all(blocks.values()),
            versioned=versioning.get("Status") == "Enabled",
        )

    def _public_access_blocks(self, bucket: str) -> Mapping[str, Any]:
        try:
            answer = self._of.s3.get_public_access_block(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchPublicAccessBlockConfiguration":
                raise
            return {}
        blocks: Mapping[str, Any] = answer["PublicAccessBlockConfiguration"]
        return blocks

    # --- What is ours --------------------------------------------------------------------------------------------

    @answered
    def topic(self, arn: str) -> Topic | None:
        """Read the counts among the topic's attributes."""
        try:
            attributes = self._of.sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        except self._of.sns.exceptions.NotFoundException:
            return None
        return Topic(
            confirmed=int(attributes["SubscriptionsConfirmed"]),
            pending=int(attributes["SubscriptionsPending"]),
            policy=attributes.get("Policy", ""),
        )

    @answered
    def subscription(self, topic: str, queue: str) -> Subscription | None:
        """Look for the queue among the subscriptions; an unconfirmed or deleted one has no ARN."""
        pages = self._of.sns.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=topic)
        try:
            listed = [each for page in pages for each in page["Subscriptions"]]
        except self._of.sns.exceptions.NotFoundException:
            return None
        arns = [each["SubscriptionArn"] for each in listed if each["Endpoint"] == queue]
        arn = next((each for each in arns if each.startswith("arn:")), "")
        if not arn:
            return Subscription(arn="") if "PendingConfirmation" in arns else None
        try:
            attributes = self._of.sns.get_subscription_attributes(SubscriptionArn=arn)["Attributes"]
        except self._of.sns.exceptions.NotFoundException:
            return None
        return Subscription(
            arn=arn,
            raw=attributes.get("RawMessageDelivery") == "true",
            filtered=attributes.get("FilterPolicy", "{}") not in ("", "{}"),
        )

    @answered
    def schedule_is_on(self, rule: str) -> bool:
        """Read the state of a rule."""
        try:
            return self._of.events.describe_rule(Name=rule)["State"] != "DISABLED"
        except self._of.events.exceptions.ResourceNotFoundException:
            return False

    @answered
    def stack_resources(self, stack: str) -> frozenset[StackResource]:
        """List the existing resources of a stack; CloudFormation calls a missing stack invalid."""
        found = set[StackResource]()
        try:
            for page in self._of.cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack):
                found |= {
                    StackResource(each["ResourceType"], each["PhysicalResourceId"])
                    for each in page["StackResourceSummaries"]
                    if each.get("PhysicalResourceId") and each["ResourceStatus"] != "DELETE_COMPLETE"
                }
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
        return frozenset(found)

    def _each[T](self, describe: Callable[[str], T], names: Sequence[str]) -> Iterator[T]:
        """Describe each of a list, except those that were deleted since it was listed."""
        for name in names:
            with suppress(self._of.iot.exceptions.ResourceNotFoundException):
                yield describe(name)


def _is_all_management(selector: Any) -> bool:
    return bool(selector.get("IncludeManagementEvents", True)) and selector.get("ReadWriteType", "All") == "All"


def _selects_management(selector: Any) -> bool:
    fields = {each["Field"]: each for each in selector["FieldSelectors"]}
    return "Management" in fields["eventCategory"].get("Equals", []) and "readOnly" not in fields
