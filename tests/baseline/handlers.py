"""What CloudFormation's resource handlers do to an account.

No local AWS knows these types. Each rule names where it is from: [RP] the repository
aws-cloudformation/aws-cloudformation-resource-providers-iot at f32fb1b, [CFN] the resource schemas, [API] botocore's
model, [DOC] AWS's pages, [SEEN] what users report. A rule marked unverified was read nowhere. The public handlers may
be older than those that AWS runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Protocol

from tests.baseline.account import Account, Audit, HandlerError, LoggingOptions
from tests.baseline.evaluation import Made
from warden.ingest.detectors.audit import CHECKS

type Properties = Mapping[str, Any]

CHECK_OF_PROPERTY = {
    "".join(word.capitalize() for word in check.removesuffix("_CHECK").lower().split("_")) + "Check": check
    for check in CHECKS
} | {"IoTPolicyPotentialMisConfigurationCheck": "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK"}
"""[CFN] One property is not written like the others."""
del CHECK_OF_PROPERTY["IotPolicyPotentialMisconfigurationCheck"]

MOST_PROFILES, MOST_AUDITS, MOST_TRAILS = 5, 5, 5
"""[API] AttachSecurityProfile; [DOC] quotas of Device Defender and CloudTrail."""

PLANS = (
    "S3_DATA_EVENTS",
    "EKS_AUDIT_LOGS",
    "EBS_MALWARE_PROTECTION",
    "RDS_LOGIN_EVENTS",
    "LAMBDA_NETWORK_LOGS",
    "RUNTIME_MONITORING",
    "AI_PROTECTION",
    "AI_ANALYST",
)


class Handler(Protocol):
    """What CloudFormation calls for one type of resource."""

    @property
    def create_only(self) -> tuple[str, ...]:
        """Name the properties whose change is a replacement."""

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Make it."""

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Change it."""

    def delete(self, account: Account, ref: str) -> None:
        """Take it away."""


class AuditHandler:
    """AWS::IoT::AccountAuditConfiguration [RP]."""

    create_only = ("AccountId",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:  # noqa: ARG002
        """Refuse a foreign account id, and an account that has a role: it never adopts."""
        mine = account.place.account
        if properties["AccountId"] != mine:
            given = properties["AccountId"]
            raise HandlerError(f"InvalidRequest: AccountId in the template ({given}) doesn't match actual: {mine}.")
        if account.audit.role:
            raise HandlerError("AlreadyExists: The AccountAuditConfiguration already exists.")
        self._set(account, properties, {})
        return Made(mine, {})

    def update(self, account: Account, ref: str, properties: Properties) -> None:  # noqa: ARG002
        """Disable every check there is, then lay the template's over; a target that it does not name goes off."""
        if not account.audit.role:
            raise HandlerError("NotFound")
        self._set(account, properties, dict.fromkeys(CHECKS, False))

    def delete(self, account: Account, ref: str) -> None:  # noqa: ARG002
        """Clear everything. What it does while audits are scheduled is unverified."""
        if not account.audit.role:
            raise HandlerError("NotFound")
        account.audit = Audit()

    def _set(self, account: Account, properties: Properties, base: Mapping[str, bool]) -> None:
        checks = dict(base)
        thresholds: dict[str, Any] = {}
        for name, check in properties["AuditCheckConfigurations"].items():
            checks[CHECK_OF_PROPERTY[name]] = check["Enabled"]
            thresholds |= check.get("Configuration", {})
        if wrong := {name for name, days in thresholds.items() if not isinstance(days, str)}:
            raise HandlerError(f"InvalidRequest: {wrong} must be strings")  # [CFN]
        told = properties.get("AuditNotificationTargetConfigurations", {}).get("Sns")
        target = told or ({**account.audit.target, "Enabled": False} if account.audit.target else None)
        account.update_audit(properties["RoleArn"], checks, target)
        account.audit.thresholds = thresholds


class ScheduledAuditHandler:
    """AWS::IoT::ScheduledAudit [RP][API]."""

    create_only = ("ScheduledAuditName",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Refuse a check that is not enabled, and a sixth audit."""
        checks = properties["TargetCheckNames"]
        if missing := set(checks) - account.audit.enabled:
            raise HandlerError(f"InvalidRequest: not enabled or unknown: {sorted(missing)}")
        if len(account.scheduled) >= MOST_AUDITS:
            raise HandlerError("LimitExceeded")
        account.scheduled[name] = list(checks)
        return Made(name, {"ScheduledAuditArn": _arn(account, "iot", f"scheduledaudit/{name}")})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Replace its checks."""
        account.scheduled[ref] = list(properties["TargetCheckNames"])

    def delete(self, account: Account, ref: str) -> None:
        """End the schedule."""
        account.scheduled.pop(ref)


class LoggingHandler:
    """AWS::IoT::Logging [RP]."""

    create_only = ("AccountId",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:  # noqa: ARG002
        """Refuse what is configured; overwrite what is disabled."""
        if account.logging and not account.logging.disabled:
            raise HandlerError("AlreadyExists: The V2LoggingOptions already exists.")
        account.logging = _logging(properties)
        return Made(account.place.account, {})

    def update(self, account: Account, ref: str, properties: Properties) -> None:  # noqa: ARG002
        """Refuse what is disabled. Whether event types that are not named go is unverified: here they do."""
        if not account.logging or account.logging.disabled:
            raise HandlerError("NotFound")
        account.logging = _logging(properties)

    def delete(self, account: Account, ref: str) -> None:  # noqa: ARG002
        """Disable all logs of the account: the API has nothing else."""
        if account.logging:
            account.logging.disabled = True


def _logging(properties: Properties) -> LoggingOptions:
    events = {
        each["EventType"]: (each["LogLevel"], each["LogDestination"]) for each in properties["EventConfigurations"]
    }
    return LoggingOptions(properties["RoleArn"], properties["DefaultLogLevel"], events)


class SecurityProfileHandler:
    """AWS::IoT::SecurityProfile [RP][API]."""

    create_only = ("SecurityProfileName",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Refuse where Detect is closed (text unverified), a metric that is not there, and a sixth of a target."""
        if not account.detect_is_open:
            raise HandlerError("UnauthorizedException: This feature is no longer available to new customers")
        metrics = {behavior["Metric"] for behavior in properties["Behaviors"]}
        if missing := {metric for metric in metrics if not metric.startswith("aws:")} - account.metrics:
            raise HandlerError(f"NotFound: {missing}")
        for target in properties["TargetArns"]:
            if sum(target in each["TargetArns"] for each in account.profiles.values()) >= MOST_PROFILES:
                raise HandlerError(f"LimitExceeded: {target} has {MOST_PROFILES} security profiles")
        account.profiles[name] = dict(properties)
        return Made(name, {"SecurityProfileArn": _arn(account, "iot", f"securityprofile/{name}")})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Replace it."""
        account.profiles[ref] = dict(properties)

    def delete(self, account: Account, ref: str) -> None:
        """Detach and delete it."""
        account.profiles.pop(ref, None)


class CustomMetricHandler:
    """AWS::IoT::CustomMetric [RP]."""

    create_only = ("MetricName", "MetricType")

    def create(self, account: Account, name: str, properties: Properties) -> Made:  # noqa: ARG002
        """Make it where Detect is open."""
        if not account.detect_is_open:
            raise HandlerError("UnauthorizedException: This feature is no longer available to new customers")
        account.metrics.add(name)
        return Made(name, {"MetricArn": _arn(account, "iot", f"custommetric/{name}")})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Change its display name alone."""

    def delete(self, account: Account, ref: str) -> None:
        """Refuse while a profile uses it."""
        if any(behavior["Metric"] == ref for each in account.profiles.values() for behavior in each["Behaviors"]):
            raise HandlerError("InvalidRequest: a security profile uses the metric")
        account.metrics.discard(ref)


class DetectorHandler:
    """AWS::GuardDuty::Detector."""

    create_only: tuple[str, ...] = ()

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Refuse a second [SEEN aws-cdk #30476]; enable every plan that is not named, but runtime monitoring [API]."""
        if account.detectors:
            raise HandlerError("Invalid request provided: AWS::GuardDuty::Detector")
        account.detectors[name] = dict.fromkeys(PLANS, "ENABLED") | {"RUNTIME_MONITORING": "DISABLED"}
        try:
            self.update(account, name, properties)
        except HandlerError:
            account.detectors.pop(name)
            raise
        return Made(name, {"Id": name})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Refuse data sources beside features [CFN], and both forms of runtime monitoring [API]."""
        named = {each["Name"]: each["Status"] for each in properties.get("Features", [])}
        if named and "DataSources" in properties:
            raise HandlerError("The request failed because both data sources and features were provided")
        if {"EKS_RUNTIME_MONITORING", "RUNTIME_MONITORING"} <= set(named):
            raise HandlerError("InvalidRequest: two forms of runtime monitoring")
        account.detectors[ref] |= named

    def delete(self, account: Account, ref: str) -> None:
        """Delete it with its findings."""
        account.detectors.pop(ref)


class AnalyzerHandler:
    """AWS::AccessAnalyzer::Analyzer: one of a type [DOC]; the text of the refusal is unverified."""

    create_only = ("AnalyzerName", "Type")

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Refuse a second of the type."""
        if properties["Type"] in account.analyzers.values():
            raise HandlerError(f"ServiceQuotaExceeded: an analyzer of type {properties['Type']}")
        account.analyzers[name] = properties["Type"]
        arn = _arn(account, "access-analyzer", f"analyzer/{name}")
        return Made(arn, {"Arn": arn})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Change how long unused access is left alone."""

    def delete(self, account: Account, ref: str) -> None:
        """Delete it with its findings."""
        account.analyzers.pop(ref.rpartition("/")[2])


class TrailHandler:
    """AWS::CloudTrail::Trail."""

    create_only = ("TrailName",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Refuse a name that exists, a sixth trail [DOC], and a bucket whose policy does not let it write [SEEN]."""
        name = properties.get("TrailName", name)
        if name in account.trails:
            raise HandlerError(f"AlreadyExists: {name}")
        if len(account.trails) >= MOST_TRAILS:
            raise HandlerError("MaximumNumberOfTrailsExceeded")
        arn = _arn(account, "cloudtrail", f"trail/{name}")
        bucket = properties["S3BucketName"]
        if not can_deliver(account, arn, bucket):
            raise HandlerError(f"Incorrect S3 bucket policy is detected for bucket: {bucket}")
        account.trails[name] = dict(properties)
        account.files[bucket] = account.files.get(bucket, 0) + 1  # unverified: that it writes at once
        return Made(name, {"Arn": arn})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Replace its settings."""
        account.trails[ref] = dict(properties)

    def delete(self, account: Account, ref: str) -> None:
        """End the trail; its files stay."""
        account.trails.pop(ref)


def can_deliver(account: Account, trail: str, bucket: str) -> bool:
    """Check that the bucket's policy lets this trail, in this account's folder, and no other [DOC]."""
    wanted = {
        "s3:GetBucketAcl": f"arn:{account.place.partition}:s3:::{bucket}",
        "s3:PutObject": f"arn:{account.place.partition}:s3:::{bucket}/AWSLogs/{account.place.account}/CloudTrail/x",
    }
    policies = [each for each in account.things_made.values() if each.get("Bucket") == bucket]
    allowed = {
        action
        for policy in policies
        for statement in policy["PolicyDocument"]["Statement"]
        for action, resource in wanted.items()
        if statement["Effect"] == "Allow"
        and statement["Principal"] == {"Service": "cloudtrail.amazonaws.com"}
        and statement["Action"] == action
        and fnmatchcase(resource, statement["Resource"])
        and statement["Condition"]["StringEquals"]["aws:SourceArn"] == trail
    }
    return allowed == set(wanted)


class BucketHandler:
    """AWS::S3::Bucket: one that holds something cannot be deleted [DOC]."""

    create_only = ("BucketName",)

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Make it."""
        account.things_made[name] = dict(properties)
        return Made(name, {"Arn": f"arn:{account.place.partition}:s3:::{name}"})

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Change it."""
        account.things_made[ref] = dict(properties)

    def delete(self, account: Account, ref: str) -> None:
        """Refuse what holds something."""
        if account.files.get(ref):
            raise HandlerError("The bucket you tried to delete is not empty")
        account.things_made.pop(ref)


class OrdinaryHandler:
    """Everything that there can be several of."""

    create_only: tuple[str, ...] = ()

    def __init__(self, ref: str, attributes: Mapping[str, str]) -> None:
        """Take the forms of what Ref and Fn::GetAtt return."""
        self._ref = ref
        self._attributes = attributes

    def create(self, account: Account, name: str, properties: Properties) -> Made:
        """Make it under a generated name."""
        place = account.place
        words = {"P": place.partition, "R": place.region, "A": place.account, "name": name}
        made = Made(self._ref.format(**words), {key: form.format(**words) for key, form in self._attributes.items()})
        for identifier in {made.ref, *made.attributes.values()}:
            account.things_made[identifier] = dict(properties)
        return made

    def update(self, account: Account, ref: str, properties: Properties) -> None:
        """Change it, whatever it goes by."""
        for identifier in self._identifiers(account, ref):
            account.things_made[identifier] = dict(properties)

    def delete(self, account: Account, ref: str) -> None:
        """Take it away."""
        for identifier in self._identifiers(account, ref):
            account.things_made.pop(identifier)

    def _identifiers(self, account: Account, ref: str) -> list[str]:
        name = ref.rpartition("/")[2].rpartition(":")[2]
        return [each for each in account.things_made if name in each.replace("/", ":").split(":")]


HANDLERS: dict[str, Handler] = {
    "AWS::AccessAnalyzer::Analyzer": AnalyzerHandler(),
    "AWS::CloudTrail::Trail": TrailHandler(),
    "AWS::GuardDuty::Detector": DetectorHandler(),
    "AWS::IAM::Role": OrdinaryHandler("{name}", {"Arn": "arn:{P}:iam::{A}:role/{name}"}),
    "AWS::IoT::AccountAuditConfiguration": AuditHandler(),
    "AWS::IoT::CustomMetric": CustomMetricHandler(),
    "AWS::IoT::Logging": LoggingHandler(),
    "AWS::IoT::ScheduledAudit": ScheduledAuditHandler(),
    "AWS::IoT::SecurityProfile": SecurityProfileHandler(),
    "AWS::KMS::Key": OrdinaryHandler("{name}", {"Arn": "arn:{P}:kms:{R}:{A}:key/{name}"}),
    "AWS::Logs::LogGroup": OrdinaryHandler("{name}", {"Arn": "arn:{P}:logs:{R}:{A}:log-group:{name}:*"}),
    "AWS::S3::Bucket": BucketHandler(),
    "AWS::S3::BucketPolicy": OrdinaryHandler("{name}", {}),
    "AWS::SNS::Subscription": OrdinaryHandler("arn:{P}:sns:{R}:{A}:topic:{name}", {}),
    "AWS::SNS::Topic": OrdinaryHandler("arn:{P}:sns:{R}:{A}:{name}", {}),
    "AWS::SNS::TopicPolicy": OrdinaryHandler("{name}", {}),
}


def _arn(account: Account, service: str, resource: str) -> str:
    place = account.place
    return f"arn:{place.partition}:{service}:{place.region}:{place.account}:{resource}"
