"""An account as a survey finds it: one model behind the fake of the port and behind the stand-in for AWS's APIs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.stack_model import Deployed, StackRefusal, Stacks
from warden.core.account_facts import (
    NO_ANSWER,
    Analyzer,
    AuditConfiguration,
    AuditTask,
    Bucket,
    Denied,
    Detector,
    IotLogging,
    LearningModel,
    LogGroup,
    Read,
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
from warden.core.drift import Detection, ResourceDrift, ResourceStatus, Update, UpdateState
from warden.core.ports import LevelRefused


@dataclass(kw_only=True)
class AccountModel:
    """What the account has; a new one is empty, as AWS hands it out. `denied` are the actions that the role lacks."""

    region: str = "us-east-1"
    has_device_defender: bool = True
    denied: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    """The actions that AWS does not answer."""
    audit: AuditConfiguration = field(default_factory=AuditConfiguration)
    scheduled_audits: list[ScheduledAudit] = field(default_factory=list)
    audits: list[AuditTask] = field(default_factory=list)
    suppressions: list[Suppression] = field(default_factory=list)
    logging: IotLogging | None = None
    group_levels: dict[str, str] = field(default_factory=dict)
    """At what level AWS IoT logs each thing group that has one of its own."""
    refused: dict[str, str] = field(default_factory=dict)
    """The code with which AWS refuses an action that the role may use."""
    log_groups: list[LogGroup] = field(default_factory=list)
    event_types: dict[str, bool] = field(default_factory=dict)
    profiles: list[SecurityProfile] = field(default_factory=list)
    models: list[LearningModel] = field(default_factory=list)
    custom_metrics: list[str] = field(default_factory=list)
    undelivered: list[tuple[datetime, int]] = field(default_factory=list)
    """Hours in which Device Defender could not deliver alerts, and how many; the metric is there if any hour is."""
    detector: Detector | None = None
    guardduty_administrator: str = ""
    management_account: str = ""
    trails: list[Trail] = field(default_factory=list)
    trail_statuses: dict[str, TrailStatus] = field(default_factory=dict)
    """A trail that has none here is one that cannot be looked at from this account."""
    trails_without_management: set[str] = field(default_factory=set)
    selectors: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What AWS answers about a trail's events, where it is more than the baseline sets."""
    buckets: dict[str, Bucket | None] = field(default_factory=dict)
    """A bucket that is not here is another account's; None is one that was deleted."""
    analyzers: list[Analyzer] = field(default_factory=list)
    topics: dict[str, Topic] = field(default_factory=dict)
    subscriptions: dict[tuple[str, str], Subscription] = field(default_factory=dict)
    """By topic and queue."""
    schedules: dict[str, bool] = field(default_factory=dict)
    stacks: dict[str, set[StackResource]] = field(default_factory=dict)
    deployed: Stacks = field(default_factory=Stacks)
    """The same stacks as CloudFormation compares them; what only `stacks` has is as it was deployed."""

    def in_stacks(self) -> Stacks:
        """Return what is deployed, with what only `stacks` names."""
        for stack, made in self.stacks.items():
            there = self.deployed.resources.setdefault(stack, [])
            known = {(each.type, each.id) for each in there}
            for each in sorted(made, key=lambda one: (one.type, one.id)):
                if (each.type, each.id) not in known:
                    name = f"{each.type.rpartition('::')[2]}{len(there)}"
                    there.append(Deployed(name=name, type=each.type, id=each.id))
        for stack in {*self.deployed.resources} - {*self.stacks}:
            del self.deployed.resources[stack]
        return self.deployed


class FakeLogLevels:
    """Reads and writes the levels in the model, as the adapter does: where logging was never set there are none."""

    def __init__(self, model: AccountModel) -> None:
        self.model = model

    def _refused(self, action: str) -> LevelRefused | None:
        if action in self.model.denied:
            return LevelRefused(action, "AccessDeniedException", is_denial=True)
        if action in self.model.refused:
            return LevelRefused(action, self.model.refused[action], is_denial=False)
        return None

    def logging_is_on(self) -> bool | LevelRefused:
        logging = self.model.logging
        return self._refused("iot:GetV2LoggingOptions") or (logging is not None and not logging.disabled)

    def level_of(self, group: str) -> str | LevelRefused:
        return self._refused("iot:ListV2LoggingLevels") or self.model.group_levels.get(group, "")

    def set_level(self, group: str, level: str) -> LevelRefused | None:
        if refused := self._refused("iot:SetV2LoggingLevel"):
            return refused
        if self.model.logging is None:
            return LevelRefused("iot:SetV2LoggingLevel", "NotConfiguredException", is_denial=False)
        self.model.group_levels[group] = level
        return None

    def remove_level(self, group: str) -> LevelRefused | None:
        refused = self._refused("iot:DeleteV2LoggingLevel")
        if refused is None:
            self.model.group_levels.pop(group, None)
        return refused


class FakeAccountReader:
    """Reads the model: denied for each action that the role lacks, in the order in which the adapter would meet it."""

    def __init__(self, model: AccountModel) -> None:
        self.model = model

    def _unread(self, *actions: str, device_defender: bool = False) -> Unread | None:
        if device_defender and not self.model.has_device_defender:
            return Unavailable(self.model.region)
        if silent := self.model.silent & {*actions}:
            return Unanswered(min(silent), NO_ANSWER, may_pass=True)
        return next((Denied(action) for action in actions if action in self.model.denied), None)

    def audit_configuration(self) -> Read[AuditConfiguration]:
        return self._unread("iot:DescribeAccountAuditConfiguration", device_defender=True) or self.model.audit

    def scheduled_audits(self) -> Read[Sequence[ScheduledAudit]]:
        described = ("iot:DescribeScheduledAudit",) if self.model.scheduled_audits else ()
        unread = self._unread("iot:ListScheduledAudits", *described, device_defender=True)
        return unread or tuple(self.model.scheduled_audits)

    def audits(self, since: datetime, until: datetime) -> Read[Sequence[AuditTask]]:
        found = tuple(task for task in self.model.audits if since <= task.started_at <= until)
        described = ("iot:DescribeAuditTask",) if found else ()
        return self._unread("iot:ListAuditTasks", *described, device_defender=True) or found

    def suppressions(self) -> Read[Sequence[Suppression]]:
        return self._unread("iot:ListAuditSuppressions", device_defender=True) or tuple(self.model.suppressions)

    def iot_logging(self) -> Read[IotLogging | None]:
        return self._unread("iot:GetV2LoggingOptions") or self.model.logging

    def log_group(self, name: str) -> Read[LogGroup | None]:
        found = {each.name: each for each in self.model.log_groups}
        return self._unread("logs:DescribeLogGroups") or found.get(name)

    def event_types(self) -> Read[Mapping[str, bool]]:
        return self._unread("iot:DescribeEventConfigurations") or dict(self.model.event_types)

    def security_profiles(self) -> Read[Sequence[SecurityProfile]]:
        each = ("iot:DescribeSecurityProfile", "iot:ListTargetsForSecurityProfile") if self.model.profiles else ()
        return self._unread("iot:ListSecurityProfiles", *each, device_defender=True) or tuple(self.model.profiles)

    def learning_models(self, profile: str) -> Read[Sequence[LearningModel]]:
        unread = self._unread("iot:GetBehaviorModelTrainingSummaries", device_defender=True)
        return unread or tuple(each for each in self.model.models if each.profile == profile)

    def custom_metrics(self) -> Read[Sequence[str]]:
        return self._unread("iot:ListCustomMetrics", device_defender=True) or tuple(self.model.custom_metrics)

    def undelivered_alerts(self, since: datetime, until: datetime) -> Read[int]:
        counted = ("cloudwatch:GetMetricStatistics",) if self.model.undelivered else ()
        unread = self._unread("cloudwatch:ListMetrics", *counted, device_defender=True)
        return sum(count for at, count in self.model.undelivered if since <= at <= until) if unread is None else unread

    def detector(self) -> Read[Detector | None]:
        described = ("guardduty:GetDetector",) if self.model.detector else ()
        return self._unread("guardduty:ListDetectors", *described) or self.model.detector

    def guardduty_administrator(self, detector: str) -> Read[str]:
        if self.model.detector is None or self.model.detector.id != detector:
            return Unanswered("guardduty:GetAdministratorAccount", "BadRequestException")
        return self._unread("guardduty:GetAdministratorAccount") or self.model.guardduty_administrator

    def organization(self) -> Read[str]:
        return self._unread("organizations:DescribeOrganization") or self.model.management_account

    def trails(self) -> Read[Sequence[Trail]]:
        return self._unread("cloudtrail:DescribeTrails") or tuple(self.model.trails)

    def trail_status(self, arn: str) -> Read[TrailStatus]:
        if arn not in self.model.trail_statuses:
            return Unanswered("cloudtrail:GetTrailStatus", "TrailNotFoundException")
        return self._unread("cloudtrail:GetTrailStatus") or self.model.trail_statuses[arn]

    def trail_records_management(self, arn: str) -> Read[bool]:
        if arn not in self.model.trail_statuses:
            return Unanswered("cloudtrail:GetEventSelectors", "TrailNotFoundException")
        return self._unread("cloudtrail:GetEventSelectors") or arn not in self.model.trails_without_management

    def bucket(self, name: str) -> Read[Bucket | None]:
        if name not in self.model.buckets:
            return Denied("s3:GetBucketPublicAccessBlock")
        return self._unread("s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning") or self.model.buckets[name]

    def analyzers(self) -> Read[Sequence[Analyzer]]:
        return self._unread("access-analyzer:ListAnalyzers") or tuple(self.model.analyzers)

    def topic(self, arn: str) -> Read[Topic | None]:
        return self._unread("sns:GetTopicAttributes") or self.model.topics.get(arn)

    def subscription(self, topic: str, queue: str) -> Read[Subscription | None]:
        found = self.model.subscriptions.get((topic, queue))
        described = ("sns:GetSubscriptionAttributes",) if found and found.arn else ()
        return self._unread("sns:ListSubscriptionsByTopic", *described) or found

    def schedule_is_on(self, rule: str) -> Read[bool]:
        return self._unread("events:DescribeRule") or self.model.schedules.get(rule, False)

    def stack_resources(self, stack: str) -> Read[frozenset[StackResource]]:
        return self._unread("cloudformation:ListStackResources") or frozenset(self.model.stacks.get(stack, set()))


def _asked[T](model: AccountModel, actions: Sequence[str], ask: Callable[[], T]) -> T | Unread:
    """Answer, unless the role lacks one of the actions; the error names the first that it lacks."""
    if lacking := next((action for action in actions if action in model.denied), ""):
        return Denied(lacking)
    try:
        return ask()
    except StackRefusal as refusal:
        return Unanswered(actions[0], refusal.code)


class FakeStackDrift:
    """Compares the model's stacks."""

    def __init__(self, model: AccountModel, clock: Callable[[], datetime]) -> None:
        self.model, self._clock = model, clock

    def begin(self, stack: str) -> Read[str]:
        actions = ("cloudformation:DetectStackDrift",)
        return _asked(self.model, actions, lambda: self.model.in_stacks().begin(stack, self._clock()))

    def detection(self, detection: str) -> Read[Detection]:
        actions, stacks = ("cloudformation:DescribeStackDriftDetectionStatus",), self.model.in_stacks()
        return _asked(self.model, actions, lambda: Detection(stacks.began(detection), is_over=not stacks.comparing))

    def resources(self, stack: str, since: datetime) -> Read[Sequence[ResourceDrift]]:  # noqa: ARG002 - stale ones say so
        actions = ("cloudformation:DescribeStackResourceDrifts", "cloudformation:ListStackResources")
        listed = _asked(self.model, actions, lambda: self.model.in_stacks().listed(stack))
        if isinstance(listed, Denied | Unavailable | Unanswered):
            return listed
        return tuple(_as_listed(each) for each in listed)

    def resource(self, stack: str, name: str) -> Read[ResourceDrift]:
        actions = ("cloudformation:DetectStackResourceDrift",)
        return _asked(self.model, actions, lambda: self.model.in_stacks().compared(stack, name).drift())


def _as_listed(each: Deployed) -> ResourceDrift:
    if not each.unsupported and not each.stale:
        return each.drift()
    why = "CloudFormation does not compare resources of this type."
    if each.stale:
        why = "CloudFormation did not compare it this time."
    return ResourceDrift(name=each.name, type=each.type, id=each.id, status=ResourceStatus.NOT_CHECKED, reason=why)


class FakeResourceUpdates:
    """Changes the model's resources."""

    def __init__(self, model: AccountModel) -> None:
        self.model = model

    def begin(self, kind: str, name: str, patch: Sequence[Mapping[str, Any]], once: str) -> Read[Update]:
        def ask() -> Update:
            request = self.model.in_stacks().update(kind, name, json.dumps(patch), once)["request"]
            return Update(request, UpdateState.RUNNING)

        return _asked(self.model, ("cloudformation:UpdateResource",), ask)

    def progress(self, request: str) -> Read[Update]:
        def ask() -> Update:
            stacks = self.model.in_stacks()
            words = {"SUCCESS": UpdateState.DONE, "FAILED": UpdateState.FAILED}
            state = words.get(stacks.progress(request), UpdateState.RUNNING)
            why = f"AccessDenied: {stacks.refuses}" if state is UpdateState.FAILED else ""
            return Update(request, state, why)

        return _asked(self.model, ("cloudformation:GetResourceRequestStatus",), ask)
