"""Everything that a survey reads of the account, in one go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeIs

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
from warden.core.ports import AccountReader
from warden.logs.group_level import GroupLevel
from warden.settings import Settings

AUDIT_EVERY = timedelta(hours=26)
"""A daily audit begins at a time of day of AWS's own choice: a day and a margin."""


@dataclass(frozen=True, kw_only=True)
class TrailFacts:
    """A trail with what is asked for each."""

    trail: Trail
    status: Read[TrailStatus]
    records_management: Read[bool]
    bucket: Read[Bucket | None]
    """None if no bucket has the name."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read. A field without a value has the reason (`Unread`)."""

    now: datetime
    audit: Read[AuditConfiguration]
    scheduled_audits: Read[Sequence[ScheduledAudit]]
    audits: Read[Sequence[AuditTask]]
    suppressions: Read[Sequence[Suppression]]
    logging: Read[IotLogging | None]
    group_level: GroupLevel | None
    """What the service did last about the level at which contained devices are logged."""
    has_ledger: bool
    """Whether that was read."""
    log_groups: Mapping[str, Read[LogGroup | None]]
    """Where AWS IoT logs to, by name."""
    event_types: Read[Mapping[str, bool]]
    profiles: Read[Sequence[SecurityProfile]]
    models: Mapping[str, Read[Sequence[LearningModel]]]
    """By the name of each attached profile that learns."""
    custom_metrics: Read[Sequence[str]]
    undelivered: Read[int]
    """How many alerts Device Defender could not deliver within `AUDIT_EVERY`."""
    detector: Read[Detector | None]
    guardduty_administrator: Read[str]
    organization: Read[str]
    trails: Read[Sequence[TrailFacts]]
    analyzers: Read[Sequence[Analyzer]]
    alerts: Read[Topic | None]
    inbox: Read[Subscription | None]
    """How the inbox is subscribed to the alert topic."""
    notices: Read[Topic | None]
    schedules: Mapping[str, Read[bool]]
    stack: Read[frozenset[StackResource]]


def is_unread(value: Read[Any]) -> TypeIs[Unread]:
    """Check whether a value is the reason why there is none."""
    return isinstance(value, Denied | Unavailable | Unanswered)


def read_facts(
    reader: AccountReader,
    settings: Settings,
    now: datetime,
    group_level: GroupLevel | None = None,
    *,
    has_ledger: bool = True,
) -> Facts:
    """Read the account. `group_level` is from the ledger, if that could be read."""
    detector = reader.detector()
    trails = reader.trails()
    profiles = reader.security_profiles()
    logging = reader.iot_logging()
    return Facts(
        now=now,
        audit=reader.audit_configuration(),
        scheduled_audits=reader.scheduled_audits(),
        audits=reader.audits(now - AUDIT_EVERY, now),
        suppressions=reader.suppressions(),
        group_level=group_level,
        has_ledger=has_ledger,
        logging=logging,
        log_groups={name: reader.log_group(name) for name in _log_groups(logging)},
        event_types=reader.event_types(),
        profiles=profiles,
        models={} if is_unread(profiles) else {each: reader.learning_models(each) for each in _learning(profiles)},
        custom_metrics=reader.custom_metrics(),
        undelivered=reader.undelivered_alerts(now - AUDIT_EVERY, now),
        detector=detector,
        guardduty_administrator=reader.guardduty_administrator(detector.id) if isinstance(detector, Detector) else "",
        organization=reader.organization(),
        trails=trails if is_unread(trails) else _trails(trails, reader),
        analyzers=reader.analyzers(),
        alerts=reader.topic(settings.alert_topic),
        inbox=reader.subscription(settings.alert_topic, settings.inbox_arn),
        notices=reader.topic(settings.notices_topic),
        schedules={rule: reader.schedule_is_on(rule) for rule in settings.schedules},
        stack=reader.stack_resources(settings.baseline_stack),
    )


DEFAULT_LOG_GROUP = "AWSIotLogsV2"
"""Where AWS IoT logs to unless an event type has a group of its own; it makes the group with the first event.

https://docs.aws.amazon.com/iot/latest/developerguide/cloud-watch-logs.html
"""


def _log_groups(logging: Read[IotLogging | None]) -> list[str]:
    """List the groups that AWS IoT logs to."""
    if logging is None or is_unread(logging) or logging.disabled:
        return []
    return sorted({DEFAULT_LOG_GROUP, *logging.groups})


def _learning(profiles: Sequence[SecurityProfile]) -> list[str]:
    return [each.name for each in profiles if each.learns and each.targets]


def _trails(listed: Sequence[Trail], reader: AccountReader) -> Sequence[TrailFacts]:
    """Read each, except those that were deleted since they were listed. A member may list a trail of the organization
    and not find it: only the list shows what is gone.
    """
    found = tuple(_trail(each, reader) for each in listed)
    if not any(_is_lost(each) for each in found):
        return found
    again = reader.trails()
    there = {each.arn for each in (listed if is_unread(again) else again)}
    return tuple(each for each in found if each.trail.arn in there or not _is_lost(each))


def _is_lost(each: TrailFacts) -> bool:
    return isinstance(each.status, Unanswered) and each.status.code == "TrailNotFoundException"


def _trail(trail: Trail, reader: AccountReader) -> TrailFacts:
    return TrailFacts(
        trail=trail,
        status=reader.trail_status(trail.arn),
        records_management=reader.trail_records_management(trail.arn),
        bucket=reader.bucket(trail.bucket),
    )


NO_LEDGER = "Not known: the service could not read its own ledger; the log of survey_account says why."


def lacking(facts: Facts) -> list[str]:
    """List the actions that our role was denied, each once."""
    return sorted({each.action for each in _values(facts) if isinstance(each, Denied)})


def _values(facts: Facts) -> list[Any]:
    trails = () if is_unread(facts.trails) else facts.trails
    inside = [value for each in trails for value in (each.status, each.records_management, each.bucket)]
    return [
        *(getattr(facts, each.name) for each in fields(facts)),
        *facts.schedules.values(),
        *facts.models.values(),
        *facts.log_groups.values(),
        *inside,
    ]


def may_pass(unread: Unread) -> bool:
    """Check whether something was not read because of a disturbance at AWS."""
    return isinstance(unread, Unanswered) and unread.may_pass


def why(unread: Unread) -> str:
    """Return in a sentence why something was not read."""
    if isinstance(unread, Denied):
        return f"Not known: the role of survey_account lacks {unread.action}."
    if isinstance(unread, Unavailable):
        return f"AWS does not offer it in {unread.region}."
    if unread.code == NO_ANSWER:
        return f"Not known: {unread.action} did not answer in time."
    return f"Not known: AWS answered {unread.action} with {unread.code}."
