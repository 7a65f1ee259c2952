"""The proposed fix of a gap is nothing that CloudFormation refuses or a deployment would not change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.account_model import AccountModel
from tests.aws_stand_in.account import trail_of
from tests.unit.survey.accounts import ALERT_ROLE, ALERTS, CHECKS, SURVEYED, facts_of, fill, newly_deployed
from warden.core.account_facts import (
    Analyzer,
    AuditConfiguration,
    Bucket,
    CheckRun,
    Detector,
    IotLogging,
    ScheduledAudit,
    StackResource,
    TrailStatus,
)
from warden.survey.controls import baseline
from warden.survey.drift import UNDO
from warden.survey.judge import JUDGES

type Change = Callable[[AccountModel], None]
SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
AUDIT_ROLE = "arn:aws-us-gov:iam::123456789012:role/service-role/their-audit"
UPDATE_AUDIT = "aws iot update-account-audit-configuration"


def closes(key: str, account: AccountModel) -> tuple[str, ...]:
    return tuple(JUDGES[key](facts_of(account), SURVEYED, baseline()).closes)


def theirs(change: Change) -> AccountModel:
    """Set everything up as somebody else, with some properties changed."""
    account = fill(AccountModel())
    account.stacks = {}
    change(account)
    return account


def no_check(account: AccountModel) -> None:
    account.audit = AuditConfiguration(role=AUDIT_ROLE)


def one_check_less(account: AccountModel) -> None:
    account.audit = replace(account.audit, checks=CHECKS - {SHARED})


def weekly(account: AccountModel) -> None:
    account.scheduled_audits = [ScheduledAudit(name="daily-audit-1", frequency="WEEKLY", checks=CHECKS)]


def too_few_rights(account: AccountModel) -> None:
    account.audit = replace(account.audit, role=AUDIT_ROLE)
    [task] = account.audits
    account.audits = [replace(task, checks={SHARED: CheckRun("FAILED", "INSUFFICIENT_PERMISSIONS")})]


def a_failed_check(account: AccountModel) -> None:
    [task] = account.audits
    account.audits = [replace(task, checks={SHARED: CheckRun("FAILED")})]


def a_broken_analyzer(account: AccountModel) -> None:
    account.analyzers = [
        Analyzer(name="ours", arn="arn:a", type="ACCOUNT", status="FAILED"),
        Analyzer(name="organization's", arn="arn:b", type="ORGANIZATION", status="FAILED"),
    ]


def level_disabled(account: AccountModel) -> None:
    account.logging = IotLogging(level="DISABLED", disabled=False)


def some_events(account: AccountModel) -> None:
    account.logging = IotLogging(level="DISABLED", disabled=False, events={"Connect": "ERROR"})


def no_target(account: AccountModel) -> None:
    account.audit = replace(account.audit, target="")


def target_off(account: AccountModel) -> None:
    account.audit = replace(account.audit, target_enabled=False)


def suspended(account: AccountModel) -> None:
    account.detector = Detector(id="d-1", enabled=False)


def suspended_by_administrator(account: AccountModel) -> None:
    suspended(account)
    account.guardduty_administrator = "111122223333"


def trail_off(account: AccountModel) -> None:
    trail = trail_of("theirs", multi_region=False, validated=False)
    account.trails, account.trail_statuses = [trail], {trail.arn: TrailStatus(logging=False)}
    account.buckets = {trail.bucket: Bucket(public_access_blocked=False, versioned=False)}


def bucket_gone(account: AccountModel) -> None:
    account.trails, account.buckets = [TRAIL], {TRAIL.bucket: None}
    account.trail_statuses = {TRAIL.arn: TrailStatus(logging=True)}


def bucket_of_stack_gone(account: AccountModel) -> None:
    [trail] = account.trails
    account.buckets = {trail.bucket: None}
    account.stacks["iot-baseline"] |= {StackResource("AWS::S3::Bucket", trail.bucket)}


TRAIL = trail_of("theirs")

THEIRS: list[tuple[str, Change, tuple[str, ...]]] = [
    ("daily-audit", one_check_less, (f"{UPDATE_AUDIT} --audit-check-configurations '{SHARED}={{enabled=true}}'",)),
    (
        "unique-identity",
        no_check,
        (
            f"{UPDATE_AUDIT} --audit-check-configurations "
            f"'CONFLICTING_CLIENT_IDS_CHECK={{enabled=true}},{SHARED}={{enabled=true}}'",
        ),
    ),
    (
        "unique-identity",
        weekly,
        (
            "aws iot create-scheduled-audit --scheduled-audit-name daily-audit-2 --frequency DAILY "
            f"--target-check-names CONFLICTING_CLIENT_IDS_CHECK {SHARED}",
        ),
    ),
    (
        "unique-identity",
        too_few_rights,
        (
            "aws iam attach-role-policy --role-name their-audit "
            "--policy-arn arn:aws-us-gov:iam::aws:policy/service-role/AWSIoTDeviceDefenderAudit",
        ),
    ),
    ("unique-identity", a_failed_check, (f"aws iot start-on-demand-audit-task --target-check-names {SHARED}",)),
    (
        "least-privilege",
        a_broken_analyzer,
        ("aws accessanalyzer delete-analyzer --analyzer-name ours", "ExternalAnalyzerMode=create"),
    ),
    ("logging", level_disabled, ("aws iot set-v2-logging-options --default-log-level ERROR",)),
    ("logging", some_events, ("aws iot set-v2-logging-options --default-log-level ERROR",)),
    (
        "alerts",
        no_target,
        (
            f"{UPDATE_AUDIT} --audit-notification-target-configurations "
            f"'SNS={{targetArn={ALERTS},roleArn=<the output AlertRoleArn>,enabled=true}}'",
        ),
    ),
    (
        "alerts",
        target_off,
        (
            f"{UPDATE_AUDIT} --audit-notification-target-configurations "
            f"'SNS={{targetArn={ALERTS},roleArn={ALERT_ROLE},enabled=true}}'",
        ),
    ),
    ("guardduty", suspended, ("aws guardduty update-detector --detector-id d-1 --enable",)),
    (
        "guardduty",
        suspended_by_administrator,
        ("account 111122223333 administers it: aws guardduty update-detector --detector-id d-1 --enable there",),
    ),
    (
        "cloudtrail",
        trail_off,
        (
            f"aws cloudtrail start-logging --name {TRAIL.arn} --region us-east-1",
            f"aws cloudtrail update-trail --name {TRAIL.arn} --is-multi-region-trail --enable-log-file-validation "
            "--region us-east-1",
            f"aws s3api put-public-access-block --bucket {TRAIL.bucket} --public-access-block-configuration "
            "BlockPublicAcls=true,IgnorePublicAcls=true,BlockPublicPolicy=true,RestrictPublicBuckets=true",
            f"aws s3api put-bucket-versioning --bucket {TRAIL.bucket} --versioning-configuration Status=Enabled",
            "TrailMode=create",
        ),
    ),
    (
        "cloudtrail",
        bucket_gone,
        (
            f"aws cloudtrail update-trail --name {TRAIL.arn} --s3-bucket-name <a bucket that lets it write> "
            f"--region {TRAIL.arn.split(':')[3]}",
            "TrailMode=create",
        ),
    ),
]


@pytest.mark.parametrize(("key", "change", "expected"), THEIRS)
def test_what_somebody_else_set_up_is_closed_by_a_command(key: str, change: Change, expected: tuple[str, ...]) -> None:
    assert closes(key, theirs(change)) == expected


def gone(name: str, value: object) -> Change:
    def change(account: AccountModel) -> None:
        setattr(account, name, value)

    return change


GONE: list[tuple[str, Change]] = [
    ("daily-audit", gone("audit", AuditConfiguration())),
    ("logging", gone("logging", None)),
    ("logging", gone("logging", IotLogging(level="ERROR", disabled=True))),
    ("detect", gone("profiles", [])),
    ("custom-metrics", gone("custom_metrics", [])),
    ("cloudtrail", gone("trails", [])),
    ("cloudtrail", bucket_of_stack_gone),
    ("guardduty", gone("detector", None)),
    ("least-privilege", gone("analyzers", [])),
]


@pytest.mark.parametrize(("key", "change"), GONE)
def test_what_was_deleted_beside_the_stack_is_not_closed_by_the_parameter_that_it_has(key: str, change: Change) -> None:
    account = fill(AccountModel())
    change(account)

    assert closes(key, account) == (UNDO,)


def test_checks_that_are_on_without_a_role_are_no_audit() -> None:
    account = newly_deployed(AccountModel())
    account.audit = AuditConfiguration(checks=CHECKS)

    assert closes("daily-audit", account) == ("AuditMode=create",)


def test_where_the_stack_is_not_known_a_parameter_is_proposed() -> None:
    account = newly_deployed(AccountModel())
    account.denied = {"cloudformation:ListStackResources"}

    assert closes("guardduty", account) == ("DetectorMode=create",)


def test_the_stack_s_analyzer_of_unused_access_is_no_analyzer_that_is_gone() -> None:
    account = fill(AccountModel())
    account.analyzers = [Analyzer(name="a", arn="arn:a", type="ACCOUNT_UNUSED_ACCESS", status="ACTIVE")]

    assert closes("least-privilege", account) == ("ExternalAnalyzerMode=create",)
