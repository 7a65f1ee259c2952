"""What closes a gap: the baseline's parameter if nothing exists yet, else the command that changes what exists.

If an account can have only one of something and has it, CloudFormation refuses `create`. If the stack made it, `create`
changes nothing, because CloudFormation compares templates.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import count

from warden.core.account_facts import Analyzer, AuditConfiguration, Detector, Trail
from warden.settings import Settings
from warden.survey.drift import UNDO
from warden.survey.facts import Facts, TrailFacts, is_unread
from warden.survey.model import Owner
from warden.survey.verdicts import owner_of

_AUDIT = "AWS::IoT::AccountAuditConfiguration"
# What it is not told stays as it is (AWS IoT API reference, UpdateAccountAuditConfiguration).
_UPDATE_AUDIT = "aws iot update-account-audit-configuration"


def making(facts: Facts, kind: str, mode: str, there: Collection[str] = ()) -> tuple[str, ...]:
    """Return what makes a resource; if the stack made it and it is not `there`, somebody deleted it."""
    made = () if is_unread(facts.stack) else (each.id for each in facts.stack if each.type == kind)
    return (UNDO,) if {*made} - {*there} else (mode,)


def enabling_checks(facts: Facts, audit: AuditConfiguration, checks: Collection[str]) -> tuple[str, ...]:
    """Enable some checks of an audit; the others stay as they are."""
    if not audit.role:
        return making(facts, _AUDIT, "AuditMode=create")
    written = ",".join(f"{check}={{enabled=true}}" for check in sorted(checks))
    return (f"{_UPDATE_AUDIT} --audit-check-configurations '{written}'",)


def scheduling(
    facts: Facts, audit: AuditConfiguration, checks: Collection[str], names: Collection[str]
) -> tuple[str, ...]:
    """Audit some checks every day, by an audit beside the existing ones."""
    if not audit.role:
        return making(facts, _AUDIT, "AuditMode=create")
    name = next(each for number in count(1) if (each := f"daily-audit-{number}") not in names)
    called = " ".join(sorted(checks))
    return (
        f"aws iot create-scheduled-audit --scheduled-audit-name {name} --frequency DAILY --target-check-names {called}",
    )


def letting_run(audit: AuditConfiguration, failing: Mapping[str, str]) -> str:
    """Let enabled checks run: attach AWS's own policy to the audit's role, or run the audit again."""
    if audit.role and "INSUFFICIENT_PERMISSIONS" in failing.values():
        partition, role = audit.role.split(":")[1], audit.role.rpartition("/")[2]
        policy = f"arn:{partition}:iam::aws:policy/service-role/AWSIoTDeviceDefenderAudit"
        return f"aws iam attach-role-policy --role-name {role} --policy-arn {policy}"
    return f"aws iot start-on-demand-audit-task --target-check-names {' '.join(sorted(failing))}"


def targeting(facts: Facts, audit: AuditConfiguration, settings: Settings) -> tuple[str, ...]:
    """Make an audit report to this service's topic: by the stack's parameters where the stack made the audit."""
    if audit.role and owner_of(facts, _AUDIT, [settings.account]) is Owner.THEIRS:
        return (_target(settings.alert_topic, "<the output AlertRoleArn>"),)
    return ("AlertsMode=adopt", f"ExistingAlertTopicArn={settings.alert_topic}")


def switching_target_on(audit: AuditConfiguration) -> str:
    """Switch on the target of an audit."""
    return _target(audit.target, audit.target_role)


def _target(topic: str, role: str) -> str:
    return (
        f"{_UPDATE_AUDIT} --audit-notification-target-configurations "
        f"'SNS={{targetArn={topic},roleArn={role},enabled=true}}'"
    )


def replacing_analyzers(analyzers: Collection[Analyzer]) -> Iterator[str]:
    """Make room for another: an account may have one of its own type in a region, whatever its state."""
    for each in analyzers:
        if each.type == "ACCOUNT":
            yield f"aws accessanalyzer delete-analyzer --analyzer-name {each.name}"


def resuming(detector: Detector, administrator: str) -> str:
    """Resume a detector; a member of an organization cannot (terraform-provider-aws #26168)."""
    enabled = f"aws guardduty update-detector --detector-id {detector.id} --enable"
    return f"account {administrator} administers it: {enabled} there" if administrator else enabled


def mending_trail(each: TrailFacts) -> Iterator[str]:
    """Change a trail in its home region, and its bucket; a trail of another account is for its owner to change."""
    trail = each.trail
    home = f"--region {trail.arn.split(':')[3]}"
    if not is_unread(each.status) and not each.status.logging:
        yield f"aws cloudtrail start-logging --name {trail.arn} {home}"
    flags = [
        *([] if trail.multi_region else ["--is-multi-region-trail"]),
        *([] if trail.validated else ["--enable-log-file-validation"]),
    ]
    if flags:
        yield f"aws cloudtrail update-trail --name {trail.arn} {' '.join(flags)} {home}"
    if is_unread(each.bucket) or each.bucket is None:
        return
    if not each.bucket.public_access_blocked:
        block = ",".join(f"{name}=true" for name in _PUBLIC_ACCESS)
        yield (f"aws s3api put-public-access-block --bucket {trail.bucket} --public-access-block-configuration {block}")
    if not each.bucket.versioned:
        yield f"aws s3api put-bucket-versioning --bucket {trail.bucket} --versioning-configuration Status=Enabled"


def replacing_bucket(facts: Facts, trail: Trail) -> tuple[str, ...]:
    """Return the command that gives a trail a new bucket. Anybody may have taken the old name since."""
    if owner_of(facts, "AWS::S3::Bucket", [trail.bucket]) is Owner.OURS:
        return (UNDO,)
    home = f"--region {trail.arn.split(':')[3]}"
    return (f"aws cloudtrail update-trail --name {trail.arn} --s3-bucket-name <a bucket that lets it write> {home}",)


_PUBLIC_ACCESS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

RAISING_LEVEL = "aws iot set-v2-logging-options --default-log-level ERROR"
"""Where logging was set up, CloudFormation refuses LoggingMode=create. Other settings stay as they are."""
