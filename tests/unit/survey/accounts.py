"""Accounts to survey: empty, complete, a member of an organization; and the surveys of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from tests.account_model import AccountModel
from tests.aws_stand_in.account import trail_of
from tests.fakes import NOON, SETTINGS, World, a_world
from warden.core.account_facts import (
    Analyzer,
    AuditConfiguration,
    AuditTask,
    Bucket,
    CheckRun,
    Detector,
    IotLogging,
    LearningModel,
    LogGroup,
    ScheduledAudit,
    SecurityProfile,
    StackResource,
    Subscription,
    Topic,
    TrailStatus,
)
from warden.core.ledger import Key, Put, version_of
from warden.survey.controls import baseline
from warden.survey.facts import Facts, read_facts
from warden.survey.model import Control, Drift, Liveness, Survey
from warden.survey.surveys import Surveying, survey_when_due
from warden_pages.survey import survey_page

ALERTS = "arn:aws:sns:us-east-1:123456789012:alerts"
RULES = ("sweep-cases", "sweep-certificates")
SURVEYED = replace(SETTINGS, account="123456789012", alert_topic=ALERTS, schedules=RULES)
ALERT_ROLE = "arn:aws:iam::123456789012:role/baseline-AlertRole"
INBOX = Subscription(arn=f"{ALERTS}:1")
POLICY = json.dumps(
    {
        "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ALERT_ROLE}, "Action": "sns:Publish", "Resource": ALERTS},
            {
                "Effect": "Deny",
                "Principal": "*",
                "Action": "sns:Publish",
                "Resource": ALERTS,
                "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ALERT_ROLE}},
            },
        ]
    }
)
"""The policy of the topic that the baseline makes."""
CHECKS = baseline().checks
ALL_THINGS = frozenset({"arn:aws:iot:us-east-1:123456789012:all/things"})
TASK = "task-1"


def fill(account: AccountModel) -> AccountModel:
    """Set everything up as the baseline's stack does."""
    trail = trail_of("iot-baseline")
    account.audit = AuditConfiguration(
        role="arn:audit", checks=CHECKS, target=ALERTS, target_role=ALERT_ROLE, target_enabled=True
    )
    account.scheduled_audits = [ScheduledAudit(name="daily", frequency="DAILY", checks=CHECKS)]
    account.audits = [
        AuditTask(
            id=TASK,
            status="COMPLETED",
            started_at=NOON - timedelta(hours=5),
            checks=dict.fromkeys(sorted(CHECKS), CheckRun("COMPLETED_COMPLIANT")),
        )
    ]
    group = LogGroup(name="iot-baseline-IotLogs", retention_days=365, key="arn:key")
    events = {"Connect": "ERROR"}
    account.logging = IotLogging(level="ERROR", disabled=False, events=events, groups=frozenset({group.name}))
    account.log_groups = [group]
    account.event_types = {"JOB_EXECUTION": True}
    account.profiles = [
        SecurityProfile(
            name="rules",
            metrics=frozenset({"aws:num-disconnects", "load"}),
            alerts={ALERTS: ALERT_ROLE},
            targets=ALL_THINGS,
        ),
        SecurityProfile(
            name="learns",
            metrics=frozenset({"aws:num-disconnects"}),
            learns=True,
            alerts={ALERTS: ALERT_ROLE},
            targets=ALL_THINGS,
        ),
    ]
    account.models = [LearningModel("learns", "num-disconnects", "ACTIVE")]
    account.custom_metrics = ["load"]
    account.undelivered = [(NOON - timedelta(hours=30), 2)]
    account.detector = Detector(id="d-1", enabled=True)
    account.trails, account.trail_statuses = [trail], {trail.arn: TrailStatus(logging=True)}
    account.buckets = {trail.bucket: Bucket(public_access_blocked=True, versioned=True)}
    account.analyzers = [Analyzer(name="a", arn="arn:a", type="ACCOUNT", status="ACTIVE")]
    account.topics = {
        ALERTS: Topic(confirmed=1, pending=0, policy=POLICY),
        SETTINGS.notices_topic: Topic(confirmed=1, pending=0),
    }
    account.subscriptions = {(ALERTS, SURVEYED.inbox_arn): INBOX}
    account.schedules = dict.fromkeys(RULES, True)
    account.stacks = {
        "iot-baseline": {
            StackResource("AWS::IoT::AccountAuditConfiguration", SURVEYED.account),
            StackResource("AWS::IoT::ScheduledAudit", "daily"),
            StackResource("AWS::IoT::Logging", SURVEYED.account),
            StackResource("AWS::IoT::SecurityProfile", "rules"),
            StackResource("AWS::IoT::SecurityProfile", "learns"),
            StackResource("AWS::IoT::CustomMetric", "load"),
            StackResource("AWS::GuardDuty::Detector", "d-1"),
            StackResource("AWS::CloudTrail::Trail", "iot-baseline"),
            StackResource("AWS::AccessAnalyzer::Analyzer", "arn:a"),
        }
    }
    return account


def newly_deployed(account: AccountModel) -> AccountModel:
    """Return an account with the resources of the service's own stack and nothing of the baseline."""
    account.topics = {ALERTS: Topic(confirmed=1, pending=0), SETTINGS.notices_topic: Topic(confirmed=0, pending=0)}
    account.subscriptions = {(ALERTS, SURVEYED.inbox_arn): INBOX}
    account.schedules = dict.fromkeys(RULES, True)
    account.event_types = {"JOB_EXECUTION": True}
    return account


def facts_of(account: AccountModel) -> Facts:
    """Read an account at noon."""
    world = a_world()
    world.account.__dict__.update(account.__dict__)
    return read_facts(world.context.ports.account_reader, SURVEYED, NOON)


class Surveyor:
    """Surveys a world's account."""

    def __init__(self, world: World, plan_fault: Callable[[], str] = str) -> None:
        self.world = world
        self.counted: list[Survey] = []
        self.drifts_counted: list[Drift] = []
        self.surveying = Surveying(
            ports=world.context.ports,
            settings=SURVEYED,
            baseline=baseline(),
            clock=world.clock,
            plan_fault=plan_fault,
            page=survey_page,
            count=self.counted.append,
            count_drift=self.drifts_counted.append,
        )

    @property
    def account(self) -> AccountModel:
        """What is surveyed."""
        return self.world.account

    def survey(self) -> Survey:
        """Survey now."""
        survey = survey_when_due(self.surveying, now=True).survey
        assert survey is not None
        return survey

    def pass_day(self) -> None:
        """Let a day pass on which the account was audited, if it has audits."""
        self.world.clock.advance(timedelta(days=1))
        self.account.audits = [
            replace(task, started_at=task.started_at + timedelta(days=1)) for task in self.account.audits
        ]

    def hear(self, task: str = TASK) -> None:
        """Deliver the report of an audit."""
        ledger = self.world.ledger
        key = Key("AUDIT#LOGGING_DISABLED_CHECK", "SETTLE")
        record = {"type": "audit-check", "task": task, "check": "LOGGING_DISABLED_CHECK"}
        ledger.commit(Put(key, record, version_of(ledger.read(key))))


def control(survey: Survey, key: str) -> Control:
    """Return a control of a survey."""
    [found] = [each for each in survey.controls if each.key == key]
    return found


def line(survey: Survey, key: str) -> Liveness:
    """Return a line of liveness of a survey."""
    [found] = [each for each in survey.liveness if each.key == key]
    return found
