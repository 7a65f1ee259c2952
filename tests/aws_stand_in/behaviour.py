"""How AWS behaves where moto does not: one table by service and operation, with the source of each row.

moto has the state. A row says what AWS refuses in that state (rules.py), what it answers where moto has no such
operation or answers otherwise (answers.py), and how its list comes in pages (paging.py). An operation without a row is
answered by moto. Two ways lead here: a client in this process (strict.py) and the wire (tests/faults/cloud.py); both
ask `check` before, `answer` in the place of moto where there is one, and `corrected` after.

This is the place for everything else that AWS does and moto or the local AWS does not. Each is a row or a part of one,
with its source, and a scenario in tests/aws/test_contracts.py, so that the fakes of the ports keep up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.iot.models import iot_backends

from tests.aws_stand_in import account, answers, groups, rules
from tests.aws_stand_in.answers import AwsState
from tests.aws_stand_in.paging import Pages, by_marker, by_token, page_of, place
from tests.aws_stand_in.rules import ACCOUNT, Rule
from warden.core.quotas import LIST_PAGE

type Answer = Callable[[AwsState, Mapping[str, Any]], dict[str, Any] | None]
"""Gives what AWS answers; None leaves it to moto."""


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What AWS does with an operation beside what moto does."""

    source: str
    refuses: tuple[Rule, ...] = ()
    answers: Answer | None = None
    pages: Pages | None = None
    newest_first: bool = False
    """Whether the list, which moto gives in the order in which it was made, is the other way round unless asked for."""


_IOT = "API reference of AWS IoT: "
_GUIDE = "Developer guide of AWS IoT: "
_QUOTAS = "AWS General Reference, quotas of AWS IoT Core: "

BEHAVIOUR: dict[tuple[str, str], Behaviour] = {
    ("iot", "CreateJob"): Behaviour(
        source=_IOT + "CreateJob (a job id is used once; timeout of 1 to 10080 minutes; 100 targets, which exist)",
        refuses=(rules.new_job,),
    ),
    ("iot", "CancelJob"): Behaviour(
        source=_IOT + "CancelJob, ResourceNotFoundException; force: without it only QUEUED executions are canceled",
        refuses=(rules.known_job,),
        answers=answers.cancel_job,
    ),
    ("iot", "CancelJobExecution"): Behaviour(
        source=_IOT + "CancelJobExecution, InvalidStateTransitionException", refuses=(rules.open_execution,)
    ),
    ("iot", "AddThingToThingGroup"): Behaviour(
        source=_QUOTAS + "ten groups for a thing; developer guide, thing-groups: one group of a hierarchy; "
        "dynamic-thing-groups: membership is not explicitly defined",
        refuses=(rules.room_in_groups,),
    ),
    ("iot", "RemoveThingFromThingGroup"): Behaviour(
        source=_GUIDE + "dynamic-thing-groups: membership is not explicitly defined. Unverified: which error. A thing "
        "that is in a group only through another is not taken out, and that is no error (unverified, moto's too)",
        refuses=(rules.joinable,),
    ),
    ("iot", "CreateDynamicThingGroup"): Behaviour(
        source=_GUIDE + "dynamic-thing-groups: queries on connectivity and on violations of Device Defender",
        answers=groups.create_dynamic,
    ),
    ("iot", "DescribeThingGroup"): Behaviour(
        source=_IOT + "DescribeThingGroup, rootToParentThingGroups; queryString of a dynamic group alone",
        answers=groups.describe,
    ),
    ("iot", "UpdateThingGroupsForThing"): Behaviour(
        source=_QUOTAS + "as AddThingToThingGroup", refuses=(rules.room_in_groups,)
    ),
    ("iot", "AttachPolicy"): Behaviour(
        source=_QUOTAS + "ten policies on a certificate, two on a group; developer guide, dynamic-thing-groups: a "
        "dynamic group has none; TransferCertificate: nor has a certificate under transfer (unverified: which error)",
        refuses=(rules.room_for_policy,),
    ),
    ("iot", "AttachThingPrincipal"): Behaviour(
        source=_IOT + "AttachThingPrincipal, thingPrincipalType", refuses=(rules.for_this_thing_alone,)
    ),
    ("iot", "DetachThingPrincipal"): Behaviour(
        source=_IOT + "DetachThingPrincipal: asynchronous, it might take several seconds to propagate",
        answers=answers.detach_thing,
    ),
    ("iot", "UpdateCertificate"): Behaviour(
        source=_IOT + "UpdateCertificate, newStatus; nothing is said against REVOKED becoming INACTIVE again. "
        "Unverified: that one under transfer is refused (CertificateStateException, the operation is not allowed)",
        refuses=(rules.settable_status,),
    ),
    ("iot", "TransferCertificate"): Behaviour(
        source=_IOT + "TransferCertificate: not ACTIVE, no policies (TransferConflictException)",
        refuses=(rules.transferable,),
        answers=answers.transfer_certificate,
    ),
    ("iot", "CancelCertificateTransfer"): Behaviour(
        source=_IOT + "CancelCertificateTransfer: INACTIVE after it", answers=answers.cancel_transfer
    ),
    ("iot", "DescribeCertificate"): Behaviour(
        source=_IOT + "CertificateDescription, caCertificateId. Unverified: that a certificate of AWS IoT's own "
        "authority has none",
        answers=answers.describe_certificate,
    ),
    ("iot", "DeleteCertificate"): Behaviour(
        source=_IOT + "DeleteCertificate, CertificateStateException and DeleteConflictException; moto stumbles over "
        "groups that have policies. Unverified: that one under transfer is not deleted, which is the harder case",
        refuses=(rules.deletable,),
        answers=answers.delete_certificate,
    ),
    ("iot", "CreateCertificateFromCsr"): Behaviour(
        source=_IOT
        + "CreateCertificateFromCsr, setAsActive; each call makes another certificate. moto certifies a key "
        "of its own, ACTIVE whatever is asked for",
        answers=answers.certificate_from_csr,
    ),
    ("iot", "GetEffectivePolicies"): Behaviour(
        source=_IOT + "GetEffectivePolicies", answers=answers.effective_policies
    ),
    ("iot", "ListActiveViolations"): Behaviour(
        source=_IOT + "ListActiveViolations", answers=answers.active_violations, pages=by_token("activeViolations")
    ),
    ("iot", "DescribeAuditFinding"): Behaviour(
        source=_IOT + "DescribeAuditFinding, ResourceNotFoundException", answers=answers.audit_finding
    ),
    ("iot", "ListAuditFindings"): Behaviour(
        source=_IOT + "ListAuditFindings, listSuppressedFindings is false by default",
        answers=answers.audit_findings,
        pages=by_token("findings"),
    ),
    ("iot", "DescribeEventConfigurations"): Behaviour(
        source=_IOT + "DescribeEventConfigurations", answers=answers.event_configurations
    ),
    ("iot", "UpdateEventConfigurations"): Behaviour(
        source=_IOT + "UpdateEventConfigurations", answers=answers.enable_events
    ),
    ("iot", "ListCertificates"): Behaviour(
        source=_IOT + "ListCertificates, ascendingOrder", pages=by_marker("certificates"), newest_first=True
    ),
    ("iot", "ListAttachedPolicies"): Behaviour(
        source=_IOT + "ListAttachedPolicies; recursive: those of the groups above too",
        answers=groups.policies,
        pages=by_marker("policies"),
    ),
    ("iot", "ListTargetsForPolicy"): Behaviour(source=_IOT + "ListTargetsForPolicy", pages=by_marker("targets")),
    ("iot", "ListThingPrincipals"): Behaviour(source=_IOT + "ListThingPrincipals", pages=by_token("principals")),
    ("iot", "ListPrincipalThings"): Behaviour(source=_IOT + "ListPrincipalThings", pages=by_token("things")),
    ("iot", "ListThingGroupsForThing"): Behaviour(
        source=_IOT + "ListThingGroupsForThing; developer guide, thing-groups: a thing of a child group is among the "
        "things of the groups above; unverified: that this list has them as well, which is the harder case",
        answers=groups.of_thing,
        pages=by_token("thingGroups"),
    ),
    ("iot-data", "DeleteConnection"): Behaviour(
        source="API reference of AWS IoT data: DeleteConnection, ResourceNotFoundException",
        answers=answers.close_session,
    ),
    ("iot-data", "Publish"): Behaviour(source="API reference of AWS IoT data: Publish", answers=answers.publish),
    ("acm-pca", "DescribeCertificateAuthority"): Behaviour(
        source="API reference of AWS Private CA: DescribeCertificateAuthority", answers=answers.describe_authority
    ),
    ("acm-pca", "IssueCertificate"): Behaviour(
        source="API reference of AWS Private CA: IssueCertificate, IdempotencyToken and ApiPassthrough, which moto "
        "leaves out",
        answers=answers.sign,
    ),
    ("acm-pca", "GetCertificate"): Behaviour(
        source="API reference of AWS Private CA: GetCertificate", answers=answers.signed
    ),
    ("events", "PutEvents"): Behaviour(
        source="API reference of EventBridge: PutEvents; moto's default bus shows nobody what was put",
        answers=answers.put_events,
    ),
    ("securityhub", "BatchImportFindings"): Behaviour(
        source="API reference of Security Hub: BatchImportFindings", answers=answers.import_findings
    ),
    ("sns", "Publish"): Behaviour(
        source="API reference of SNS: Publish, Subject is a line of ASCII under 100 characters",
        refuses=(rules.sendable_subject,),
    ),
}

_READ = "API reference of "


def _read(
    source: str, answered: Callable[..., dict[str, Any] | None], action: str, pages: Pages | None = None
) -> Behaviour:
    """Make the row of an operation that reads the account's settings out of the model."""
    return Behaviour(source=_READ + source, answers=account.of_model(action, answered), pages=pages)


BEHAVIOUR |= {
    ("iot", "DescribeAccountAuditConfiguration"): _read(
        "AWS IoT: DescribeAccountAuditConfiguration; CloudFormation's public handler: an account that was never set up "
        "answers all checks off, role and targets null",
        account.audit_configuration,
        "iot:DescribeAccountAuditConfiguration",
    ),
    ("iot", "ListScheduledAudits"): _read(
        "AWS IoT: ListScheduledAudits gives no check names",
        account.scheduled_audits,
        "iot:ListScheduledAudits",
        by_token("scheduledAudits"),
    ),
    ("iot", "DescribeScheduledAudit"): _read(
        "AWS IoT: DescribeScheduledAudit", account.scheduled_audit, "iot:DescribeScheduledAudit"
    ),
    ("iot", "ListAuditTasks"): _read(
        "AWS IoT: ListAuditTasks, startTime and endTime are required; no times in the list",
        account.audit_tasks,
        "iot:ListAuditTasks",
        by_token("tasks"),
    ),
    ("iot", "DescribeAuditTask"): _read(
        "AWS IoT: DescribeAuditTask, auditDetails with checkRunStatus and errorCode",
        account.audit_task,
        "iot:DescribeAuditTask",
    ),
    ("iot", "ListAuditSuppressions"): _read(
        "AWS IoT: ListAuditSuppressions",
        account.suppressions,
        "iot:ListAuditSuppressions",
        by_token("suppressions"),
    ),
    ("iot", "GetV2LoggingOptions"): _read(
        "AWS IoT: GetV2LoggingOptions, NotConfiguredException", account.logging_options, "iot:GetV2LoggingOptions"
    ),
    ("iot", "ListV2LoggingLevels"): _read(
        "AWS IoT: ListV2LoggingLevels, NotConfiguredException; targetType filters",
        account.log_levels,
        "iot:ListV2LoggingLevels",
        by_token("logTargetConfigurations"),
    ),
    ("iot", "SetV2LoggingLevel"): _read(
        "AWS IoT: SetV2LoggingLevel, NotConfiguredException; a level that is there is replaced (CloudFormation's "
        "public handler of ResourceSpecificLogging looks for one first, because the call would not)",
        account.set_log_level,
        "iot:SetV2LoggingLevel",
    ),
    ("iot", "DeleteV2LoggingLevel"): _read(
        "AWS IoT: DeleteV2LoggingLevel, which has no error for a level that is not there",
        account.remove_log_level,
        "iot:DeleteV2LoggingLevel",
    ),
    ("logs", "DescribeLogGroups"): _read(
        "CloudWatch Logs: DescribeLogGroups, sorted by name, retentionInDays left out for groups that never expire",
        account.log_groups,
        "logs:DescribeLogGroups",
    ),
    ("iot", "ListSecurityProfiles"): _read(
        "AWS IoT: ListSecurityProfiles",
        account.security_profiles,
        "iot:ListSecurityProfiles",
        by_token("securityProfileIdentifiers"),
    ),
    ("iot", "DescribeSecurityProfile"): _read(
        "AWS IoT: DescribeSecurityProfile", account.security_profile, "iot:DescribeSecurityProfile"
    ),
    ("iot", "ListTargetsForSecurityProfile"): _read(
        "AWS IoT: ListTargetsForSecurityProfile",
        account.targets_of_profile,
        "iot:ListTargetsForSecurityProfile",
        by_token("securityProfileTargets"),
    ),
    ("iot", "GetBehaviorModelTrainingSummaries"): _read(
        "AWS IoT: GetBehaviorModelTrainingSummaries",
        account.training,
        "iot:GetBehaviorModelTrainingSummaries",
        by_token("summaries"),
    ),
    ("iot", "ListCustomMetrics"): _read(
        "AWS IoT: ListCustomMetrics", account.custom_metrics, "iot:ListCustomMetrics", by_token("metricNames")
    ),
    ("cloudwatch", "ListMetrics"): _read(
        "CloudWatch: ListMetrics, which has no metric without a value",
        account.metrics,
        "cloudwatch:ListMetrics",
        Pages("Metrics", "", "NextToken", "NextToken"),
    ),
    ("cloudwatch", "GetMetricStatistics"): _read(
        "CloudWatch: GetMetricStatistics, StartTime is within and EndTime is not",
        account.statistics,
        "cloudwatch:GetMetricStatistics",
    ),
    ("guardduty", "ListDetectors"): _read("GuardDuty: ListDetectors", account.detectors, "guardduty:ListDetectors"),
    ("guardduty", "GetDetector"): _read("GuardDuty: GetDetector", account.detector, "guardduty:GetDetector"),
    ("guardduty", "GetAdministratorAccount"): _read(
        "GuardDuty: GetAdministratorAccount, empty for a standalone account and for the administrator",
        account.administrator,
        "guardduty:GetAdministratorAccount",
    ),
    ("organizations", "DescribeOrganization"): _read(
        "Organizations: DescribeOrganization, AWSOrganizationsNotInUseException",
        account.organization,
        "organizations:DescribeOrganization",
    ),
    ("cloudtrail", "DescribeTrails"): _read(
        "CloudTrail: DescribeTrails, includeShadowTrails is true by default",
        account.trails,
        "cloudtrail:DescribeTrails",
    ),
    ("cloudtrail", "GetTrailStatus"): _read(
        "CloudTrail: GetTrailStatus, TrailNotFoundException to a member of the organization (steampipe issue 577)",
        account.trail_status,
        "cloudtrail:GetTrailStatus",
    ),
    ("cloudtrail", "GetEventSelectors"): _read(
        "CloudTrail: GetEventSelectors", account.event_selectors, "cloudtrail:GetEventSelectors"
    ),
    ("s3", "GetPublicAccessBlock"): _read(
        "S3: GetPublicAccessBlock, NoSuchPublicAccessBlockConfiguration",
        account.public_access,
        "s3:GetBucketPublicAccessBlock",
    ),
    ("s3", "GetBucketVersioning"): _read(
        "S3: GetBucketVersioning, no Status where there never was any", account.versioning, "s3:GetBucketVersioning"
    ),
    ("accessanalyzer", "ListAnalyzers"): _read(
        "Access Analyzer: ListAnalyzers",
        account.analyzers,
        "access-analyzer:ListAnalyzers",
        by_token("analyzers"),
    ),
    ("sns", "GetTopicAttributes"): _read(
        "SNS: GetTopicAttributes, SubscriptionsConfirmed and -Pending",
        account.topic_attributes,
        "sns:GetTopicAttributes",
    ),
    ("sns", "ListSubscriptionsByTopic"): _read(
        "SNS: ListSubscriptionsByTopic, SubscriptionArn: PendingConfirmation until it is confirmed, Deleted at the end",
        account.subscriptions,
        "sns:ListSubscriptionsByTopic",
        Pages("Subscriptions", "", "NextToken", "NextToken"),
    ),
    ("sns", "GetSubscriptionAttributes"): _read(
        "SNS: GetSubscriptionAttributes, RawMessageDelivery and FilterPolicy",
        account.subscription_attributes,
        "sns:GetSubscriptionAttributes",
    ),
    ("events", "DescribeRule"): _read(
        "EventBridge: DescribeRule, ResourceNotFoundException", account.rule, "events:DescribeRule"
    ),
    ("cloudformation", "DetectStackDrift"): _read(
        "CloudFormation: DetectStackDrift; user guide, using-cfn-stack-drift: the statuses of a stack",
        account.detect_drift,
        "cloudformation:DetectStackDrift",
    ),
    ("cloudformation", "DescribeStackDriftDetectionStatus"): _read(
        "CloudFormation: DescribeStackDriftDetectionStatus",
        account.drift_status,
        "cloudformation:DescribeStackDriftDetectionStatus",
    ),
    ("cloudformation", "DescribeStackResourceDrifts"): _read(
        "CloudFormation: DescribeStackResourceDrifts: unsupported types are left out, each with the time of its check",
        account.resource_drifts,
        "cloudformation:DescribeStackResourceDrifts",
        Pages("StackResourceDrifts", "MaxResults", "NextToken", "NextToken"),
    ),
    ("cloudformation", "DetectStackResourceDrift"): _read(
        "CloudFormation: DetectStackResourceDrift",
        account.resource_drift,
        "cloudformation:DetectStackResourceDrift",
    ),
    ("cloudcontrol", "UpdateResource"): _read(
        "Cloud Control API: UpdateResource, ClientToken, PatchDocument (RFC 6902, all of it or nothing)",
        account.update_resource,
        "cloudformation:UpdateResource",
    ),
    ("cloudcontrol", "GetResourceRequestStatus"): _read(
        "Cloud Control API: GetResourceRequestStatus",
        account.update_status,
        "cloudformation:GetResourceRequestStatus",
    ),
    ("cloudformation", "ListStackResources"): _read(
        "CloudFormation: ListStackResources, ValidationError for a stack that does not exist",
        account.stack_resources,
        "cloudformation:ListStackResources",
    ),
}

AS_MOTO = Behaviour(source="moto")


def check(service: str, operation: str, parameters: Mapping[str, Any], region: str = "us-east-1") -> None:
    """Refuse what AWS would refuse in the state that moto is in.

    Raises:
        Refusal: with AWS's own code.
    """
    row = BEHAVIOUR.get((service, operation), AS_MOTO)
    if row.pages:
        place(row.pages, parameters)
    for rule in row.refuses:
        rule(iot_backends[ACCOUNT][region], parameters)


def answer(state: AwsState, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any] | None:
    """Answer in the place of moto, a list as a whole; None where moto answers.

    Raises:
        Refusal: with AWS's own code.
    """
    row = BEHAVIOUR.get((service, operation), AS_MOTO)
    return row.answers(state, parameters) if row.answers else None


def corrected(
    service: str, operation: str, parameters: Mapping[str, Any], answer: dict[str, Any], *, page: int = LIST_PAGE
) -> dict[str, Any]:
    """Return an answer as AWS would: in pages of the requested size, at most `page`, with certificates in order."""
    row = BEHAVIOUR.get((service, operation), AS_MOTO)
    if not row.pages:
        return answer
    if row.newest_first and not parameters.get("ascendingOrder"):
        answer = {**answer, row.pages.entries: list(reversed(answer[row.pages.entries]))}
    return page_of(row.pages, parameters, answer, page)
