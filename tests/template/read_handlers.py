"""What CloudFormation reads with our rights when it compares the baseline's stack with its template.

It calls the read handler of each resource's type; a schema of a type names the permissions of its handlers
(docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html, `handlers`). These are those of the
schemas under aws-cloudformation-schema/ of pulumi/pulumi-aws-native, which copies AWS's registry; AWS may run newer
ones. What a handler reads beyond them is denied, and the resource is then not compared: never in sync.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tests.template.authorisation import Need
from tests.template.transformed import ACCOUNT, REGION

STACK = "iot-baseline"

_IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
_ANY = "*"

NOT_COMPARED = {
    "AWS::SNS::Subscription": "its schema has no handlers",
    "AWS::SNS::TopicPolicy": "its read handler reads nothing",
}
"""Types that CloudFormation cannot compare, each with the reason."""

_PASSED = (("iam:PassedToService", "iot.amazonaws.com"),)

_Reads = Mapping[str, Sequence[str]]
"""The actions of a handler, by the resource that they are on."""

HANDLERS: Mapping[str, _Reads] = {
    "AWS::AccessAnalyzer::Analyzer": {
        _ANY: ["access-analyzer:ListAnalyzers"],
        f"arn:aws:access-analyzer:{REGION}:{ACCOUNT}:analyzer/ExternalAnalyzer-1A2B": [
            "access-analyzer:GetAnalyzer",
            "access-analyzer:ListArchiveRules",
        ],
    },
    "AWS::CloudTrail::Trail": {
        _ANY: ["cloudtrail:DescribeTrails"],
        f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/{STACK}": [
            "cloudtrail:GetTrail",
            "cloudtrail:GetTrailStatus",
            "cloudtrail:ListTags",
            "cloudtrail:GetEventSelectors",
            "cloudtrail:GetInsightSelectors",
        ],
    },
    "AWS::GuardDuty::Detector": {
        f"arn:aws:guardduty:{REGION}:{ACCOUNT}:detector/1a2b": ["guardduty:GetDetector"],
    },
    "AWS::IAM::Role": {
        f"arn:aws:iam::{ACCOUNT}:role/{STACK}-AuditRole-1A2B": [
            "iam:GetRole",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:GetRolePolicy",
        ],
    },
    "AWS::IoT::AccountAuditConfiguration": {_ANY: ["iot:DescribeAccountAuditConfiguration"]},
    "AWS::IoT::CustomMetric": {
        f"{_IOT}custommetric/CustomMetric-1A2B": ["iot:DescribeCustomMetric", "iot:ListTagsForResource"],
    },
    "AWS::IoT::Logging": {_ANY: ["iot:GetV2LoggingOptions"]},
    "AWS::IoT::ScheduledAudit": {
        f"{_IOT}scheduledaudit/DailyAudit-1A2B": ["iot:DescribeScheduledAudit", "iot:ListTagsForResource"],
    },
    "AWS::IoT::SecurityProfile": {
        f"{_IOT}securityprofile/RulesProfile-1A2B": [
            "iot:DescribeSecurityProfile",
            "iot:ListTagsForResource",
            "iot:ListTargetsForSecurityProfile",
        ],
    },
    "AWS::KMS::Key": {
        f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1a2b": [
            "kms:DescribeKey",
            "kms:GetKeyPolicy",
            "kms:GetKeyRotationStatus",
            "kms:ListResourceTags",
        ],
    },
    "AWS::Logs::LogGroup": {
        _ANY: ["logs:DescribeLogGroups"],
        f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{STACK}-IotLogs-1A2B": [
            "logs:ListTagsForResource",
            "logs:GetDataProtectionPolicy",
        ],
    },
    "AWS::S3::Bucket": {
        f"arn:aws:s3:::{STACK}-trailbucket-1a2b": [
            "s3:GetAccelerateConfiguration",
            "s3:GetLifecycleConfiguration",
            "s3:GetBucketPublicAccessBlock",
            "s3:GetAnalyticsConfiguration",
            "s3:GetBucketCORS",
            "s3:GetEncryptionConfiguration",
            "s3:GetInventoryConfiguration",
            "s3:GetBucketLogging",
            "s3:GetMetricsConfiguration",
            "s3:GetBucketNotification",
            "s3:GetBucketVersioning",
            "s3:GetReplicationConfiguration",
            "s3:GetBucketWebsite",
            "s3:GetBucketObjectLockConfiguration",
            "s3:GetBucketTagging",
            "s3:GetBucketOwnershipControls",
            "s3:GetIntelligentTieringConfiguration",
            "s3:GetBucketMetadataTableConfiguration",
            "s3:ListBucket",
        ],
    },
    "AWS::S3::BucketPolicy": {f"arn:aws:s3:::{STACK}-trailbucket-1a2b": ["s3:GetBucketPolicy"]},
    "AWS::SNS::Topic": {
        f"arn:aws:sns:{REGION}:{ACCOUNT}:{STACK}-AlertTopic-1A2B": [
            "sns:GetTopicAttributes",
            "sns:ListTagsForResource",
            "sns:ListSubscriptionsByTopic",
            "sns:GetDataProtectionPolicy",
        ],
    },
}


UPDATES: Mapping[str, Sequence[Need]] = {
    "AWS::IoT::AccountAuditConfiguration": [
        Need("iot:UpdateAccountAuditConfiguration", _ANY),
        *(
            Need("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}-{role}-1A2B", _PASSED)
            for role in ("AuditRole", "AlertRole")
        ),
    ],
    "AWS::IoT::ScheduledAudit": [Need("iot:UpdateScheduledAudit", f"{_IOT}scheduledaudit/DailyAudit-1A2B")],
    "AWS::IoT::Logging": [
        Need("iot:SetV2LoggingOptions", _ANY),
        Need("iam:PassRole", f"arn:aws:iam::{ACCOUNT}:role/{STACK}-LoggingRole-1A2B", _PASSED),
    ],
}
"""What the update handlers of the types that may be changed back call beside what they read.

The schema of the schedule also names iot:TagResource and iot:UntagResource: tags do not change. If the handler calls
them all the same, the change fails and is told.
"""


def needs_of_updates() -> Iterator[Need]:
    """List what the role that asks Cloud Control API for a change needs."""
    for needs in UPDATES.values():
        yield from needs


def needs_of_comparison() -> Iterator[Need]:
    """List what the role that begins a detection needs, so that every resource is compared."""
    for reads in HANDLERS.values():
        for resource, actions in reads.items():
            yield from (Need(action, resource) for action in actions)
