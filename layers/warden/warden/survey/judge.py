"""The state of each control, judged by what was read of the account: one function for each control."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from warden.core.account_facts import AuditConfiguration, CheckRun, LogGroup, Read
from warden.logs.group_level import LevelState
from warden.settings import Settings
from warden.survey.closing import (
    RAISING_LEVEL,
    enabling_checks,
    letting_run,
    making,
    mending_trail,
    replacing_analyzers,
    replacing_bucket,
    resuming,
    scheduling,
    switching_target_on,
    targeting,
)
from warden.survey.controls import Baseline
from warden.survey.facts import DEFAULT_LOG_GROUP, NO_LEDGER, Facts, TrailFacts, is_unread, may_pass, why
from warden.survey.model import Owner, State
from warden.survey.verdicts import Verdict, not_read, owner_of, together

_NAMED = 5
"""How many names a sentence holds."""

type Judge = Callable[[Facts, Settings, Baseline], Verdict]


def named(names: frozenset[str] | set[str] | list[str]) -> str:
    """Write some names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - _NAMED} more" if len(ordered) > _NAMED else ""
    return ", ".join(ordered[:_NAMED]) + more


# --- The audit: controls 1, 2, 4 and 6 -----------------------------------------------------------------------------


def _audited(key: str, facts: Facts, settings: Settings, baseline: Baseline) -> Verdict:
    """Judge a control's checks: enabled, scheduled every day, and able to run."""
    if is_unread(facts.audit):
        return not_read(facts.audit)
    checks = baseline.checks if key == "daily-audit" else frozenset(baseline.controls[key].checks)
    enabled = facts.audit.checks & checks
    evidence = {"checks-enabled": f"{len(enabled)} of {len(checks)}"}
    if not enabled:
        says = ("None of its audit checks is enabled.",)
        closes = enabling_checks(facts, facts.audit, checks)
        return Verdict(state=State.OFF, says=says, evidence=evidence, closes=closes)
    faults = [f"Not enabled: {named(checks - enabled)}."] if checks - enabled else []
    parts = [_scheduled(enabled, facts, facts.audit), _able_to_run(enabled, facts, facts.audit)]
    owner = owner_of(facts, "AWS::IoT::AccountAuditConfiguration", [settings.account])
    whole = Verdict(
        state=State.PARTLY if faults else State.ON,
        owner=owner,
        says=tuple(faults),
        evidence=evidence,
        closes=enabling_checks(facts, facts.audit, checks - enabled) if faults else (),
    )
    return together(whole, *parts)


def _scheduled(enabled: frozenset[str], facts: Facts, audit: AuditConfiguration) -> Verdict:
    if is_unread(facts.scheduled_audits):
        return not_read(facts.scheduled_audits)
    daily = [each for each in facts.scheduled_audits if each.frequency == "DAILY"]
    owner = owner_of(facts, "AWS::IoT::ScheduledAudit", [each.name for each in facts.scheduled_audits])
    evidence = {"scheduled-audits": named([f"{each.name} ({each.frequency})" for each in facts.scheduled_audits])}
    left_out = enabled - {check for each in daily for check in each.checks}
    if not left_out:
        return Verdict(state=State.ON, owner=owner, evidence=evidence)
    says = (f"Not in a daily audit: {named(left_out)}.",)
    closes = scheduling(facts, audit, left_out, {each.name for each in facts.scheduled_audits})
    return Verdict(state=State.PARTLY, owner=owner, says=says, evidence=evidence, closes=closes)


def failing_checks(facts: Facts) -> Mapping[str, str] | None:
    """Return what kept each check from running in its newest audit of the last 26 hours; None if that was not read."""
    if is_unread(facts.audits):
        return None
    newest: dict[str, CheckRun] = {}
    for task in sorted(facts.audits, key=lambda each: each.started_at):
        newest.update(task.checks)
    # A check that is canceled did not run either, but by somebody's word: the next audit runs it.
    return {name: run.error or run.status for name, run in newest.items() if run.error or run.status == "FAILED"}


def _able_to_run(enabled: frozenset[str], facts: Facts, audit: AuditConfiguration) -> Verdict:
    if is_unread(facts.audits):
        return not_read(facts.audits)
    failing = {name: error for name, error in (failing_checks(facts) or {}).items() if name in enabled}
    if not failing:
        return Verdict(state=State.ON)
    faults = [f"{name} ({error})" for name, error in failing.items()]
    return Verdict(
        state=State.PARTLY,
        says=(f"Enabled, but did not run: {named(faults)}. The audit's role is {audit.role or 'not set'}.",),
        closes=(letting_run(audit, failing),),
    )


def _daily_audit(facts: Facts, settings: Settings, baseline: Baseline) -> Verdict:
    whole = _audited("daily-audit", facts, settings, baseline)
    return together(whole, Verdict(state=whole.state, may_pass=whole.may_pass, says=_suppressed(facts)))


def _suppressed(facts: Facts) -> tuple[str, ...]:
    """Return what the audit was told to leave out for good; it is somebody's decision, and changes no state."""
    if is_unread(facts.suppressions):
        return (why(facts.suppressions),) if isinstance(facts.audit, AuditConfiguration) else ()
    endless = [each.check for each in facts.suppressions if each.until is None]
    return (f"Suppressed without an end: {len(endless)}, for {named({*endless})}.",) if endless else ()


_OF_THINGS = {"report": "warden baseline identities"}
"""An audit looks at certificates. A report of things takes a call for each, too many for every day."""


def _unique_identity(facts: Facts, settings: Settings, baseline: Baseline) -> Verdict:
    whole = _audited("unique-identity", facts, settings, baseline)
    return together(whole, Verdict(state=whole.state, may_pass=whole.may_pass, evidence=_OF_THINGS))


# --- Control 2 -----------------------------------------------------------------------------------------------------


def _least_privilege(facts: Facts, settings: Settings, baseline: Baseline) -> Verdict:
    return together(_audited("least-privilege", facts, settings, baseline), _analyzed(facts))


def _analyzed(facts: Facts) -> Verdict:
    if is_unread(facts.analyzers):
        return not_read(facts.analyzers)
    external = [each for each in facts.analyzers if each.type in ("ACCOUNT", "ORGANIZATION")]
    evidence = {"analyzers": named([f"{each.name} ({each.type}, {each.status})" for each in facts.analyzers])}
    closes = making(
        facts, "AWS::AccessAnalyzer::Analyzer", "ExternalAnalyzerMode=create", [each.arn for each in facts.analyzers]
    )
    if any(each.status == "ACTIVE" for each in external):
        owner = owner_of(facts, "AWS::AccessAnalyzer::Analyzer", [each.arn for each in external])
        return Verdict(state=State.ON, owner=owner, evidence=evidence)
    if external:
        says = ("The analyzer of access from outside is not active.",)
        closes = (*replacing_analyzers(external), *closes)
        return Verdict(state=State.OFF, says=says, evidence=evidence, closes=closes)
    if is_unread(facts.organization):
        return not_read(facts.organization, **evidence)
    if facts.organization:
        says = (
            "Not known from here: no analyzer of this account looks at access from outside; the organization "
            f"(management account {facts.organization}) may have one. One of your own is free.",
        )
        return Verdict(state=State.NOT_KNOWN, owner=Owner.NOT_KNOWN, says=says, evidence=evidence, closes=closes)
    says = ("No analyzer looks at access from outside.",)
    return Verdict(state=State.OFF, says=says, evidence=evidence, closes=closes)


# --- Control 3 -----------------------------------------------------------------------------------------------------


def _logging(facts: Facts, settings: Settings, _baseline: Baseline) -> Verdict:
    account = _account_logs(facts, settings)
    if account.state in (State.OFF, State.NOT_KNOWN):
        return account  # a level on a group does nothing while AWS IoT logs nothing
    contained = _contained_logs(facts, settings, account.state)
    return together(account, contained, _kept_logs(facts, account.state))


def _contained_logs(facts: Facts, settings: Settings, otherwise: State) -> Verdict:
    """Judge what the sweep recorded; the state stays as it is if no device is contained, or no level is wanted."""
    level = facts.group_level
    if not facts.has_ledger:
        evidence = {"restricted-group": "not known"}
        return Verdict(state=State.NOT_KNOWN, says=(NO_LEDGER,), evidence=evidence, may_pass=True)
    if level is None or level.state is LevelState.IDLE:
        said = "DEBUG once a device is contained" if settings.log_contained else "LogContainedDevices is false"
        return Verdict(state=otherwise, evidence={"restricted-group": said})
    evidence = {"restricted-group": f"{_LEVEL_WORDS[level.state]}, since {level.since:%Y-%m-%d %H:%M} UTC"}
    match level.state:
        case LevelState.DENIED | LevelState.REFUSED:
            what = "is still logged at DEBUG" if level.ours else "is not logged at DEBUG"
            lacks = f"the role of sweep_cases lacks {level.action}"
            why = lacks if level.state is LevelState.DENIED else f"{level.action} ends with {level.code}"
            says = (f"The restricted group {what}: {why}. It is tried again every hour.",)
            return Verdict(state=State.PARTLY, says=says, evidence=evidence, closes=("sam deploy",))
        case LevelState.THEIRS:
            says = (f"The restricted group has the level {level.found} of somebody else, which is left alone.",)
            return Verdict(state=otherwise, says=says, evidence=evidence)
    return Verdict(state=otherwise, evidence=evidence)


_LEVEL_WORDS = {
    LevelState.SETTING: "DEBUG is being set",
    LevelState.SET: "DEBUG while devices are contained",
    LevelState.THEIRS: "a level of somebody else",
    LevelState.LOGGING_OFF: "not set, as AWS IoT logged nothing",
    LevelState.DENIED: "denied",
    LevelState.REFUSED: "refused",
}


def _kept_logs(facts: Facts, otherwise: State) -> Verdict:
    """Judge the log groups that AWS IoT logs to."""
    kept = [_kept(name, group) for name, group in facts.log_groups.items()]
    return Verdict(
        state=State.PARTLY if any(each.closes for each in kept) else otherwise,
        says=tuple(sentence for each in kept for sentence in each.says),
        evidence={"log-groups": named([each.evidence for each in kept if each.evidence])},
        closes=tuple(dict.fromkeys(close for each in kept for close in each.closes)),
    )


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What is concluded about a log group."""

    evidence: str = ""
    says: Sequence[str] = ()
    closes: Sequence[str] = ()


def _kept(name: str, group: Read[LogGroup | None]) -> _Kept:
    """Judge a log group: it must exist; its retention and its key are reported, and its owner decides about them."""
    if is_unread(group):
        return _Kept(says=(f"Of the log group {name}: {why(group)}",))
    if group is None and name == DEFAULT_LOG_GROUP:
        return _Kept(evidence=f"{name} (not there before the first event)")
    if group is None:
        says = (f"The log group {name} is gone: the events of its types are lost.",)
        return _Kept(
            evidence=f"{name} (gone)", says=says, closes=(f"aws logs create-log-group --log-group-name {name}",)
        )
    kept = f"kept {group.retention_days} days" if group.retention_days else "kept for ever"
    endless = [] if group.retention_days else [f"The log group {name} keeps its events for ever."]
    open_ = [] if group.key else [f"The log group {name} has no key of KMS."]
    return _Kept(evidence=f"{name} ({kept}, {group.key or 'no key of KMS'})", says=(*endless, *open_))


def _account_logs(facts: Facts, settings: Settings) -> Verdict:
    closes = making(facts, "AWS::IoT::Logging", "LoggingMode=create")
    if is_unread(facts.logging):
        return not_read(facts.logging)
    if facts.logging is None:
        return Verdict(state=State.OFF, says=("AWS IoT does not log: that was never set up.",), closes=closes)
    on = {event: level for event, level in facts.logging.events.items() if level != "DISABLED"}
    evidence = {"level": facts.logging.level, "events": named([f"{event} {level}" for event, level in on.items()])}
    if facts.logging.disabled:
        says = ("All logs of AWS IoT are switched off.",)
        return Verdict(state=State.OFF, says=says, evidence=evidence, closes=closes)
    owner = owner_of(facts, "AWS::IoT::Logging", [settings.account])
    if facts.logging.level != "DISABLED":
        return Verdict(state=State.ON, owner=owner, evidence=evidence)
    if not on:
        says = ("The level is DISABLED for every event.",)
        return Verdict(state=State.OFF, owner=owner, says=says, evidence=evidence, closes=(RAISING_LEVEL,))
    says = (f"Only some events are logged: {named({*on})}.",)
    return Verdict(state=State.PARTLY, owner=owner, says=says, evidence=evidence, closes=(RAISING_LEVEL,))


# --- Controls 5 and 11: Detect -------------------------------------------------------------------------------------

_CLOSED = (
    "AWS closed Detect to accounts that did not use it by 31 August 2026. It cannot be read whether this one "
    "may use it: CloudFormation says so when it creates a profile."
)


def _detect(facts: Facts, _settings: Settings, _baseline: Baseline) -> Verdict:
    if is_unread(facts.profiles):
        return not_read(facts.profiles)
    attached = [each for each in facts.profiles if each.targets]
    closes = making(facts, "AWS::IoT::SecurityProfile", "DetectMode=create")
    evidence = {"profiles": named([each.name for each in attached])}
    if not attached:
        says = ("No security profile is attached to anything.", _CLOSED)
        return Verdict(state=State.OFF, says=says, evidence=evidence, closes=closes)
    owner = owner_of(facts, "AWS::IoT::SecurityProfile", [each.name for each in attached])
    missing = [
        sentence
        for sentence, there in (
            ("No profile of rules is attached.", any(not each.learns for each in attached)),
            ("No profile of machine learning is attached.", any(each.learns for each in attached)),
        )
        if not there
    ]
    whole = Verdict(
        state=State.PARTLY if missing else State.ON,
        owner=owner,
        says=tuple(missing),
        evidence=evidence,
        closes=closes if missing else (),
    )
    return together(whole, _learned(facts))


def _learned(facts: Facts) -> Verdict:
    waiting = list[str]()
    for models in facts.models.values():
        if is_unread(models):
            return not_read(models)
        waiting += [f"{each.behavior} ({each.status})" for each in models if each.status != "ACTIVE"]
    if not waiting:
        return Verdict(state=State.ON)
    says = (
        f"Machine learning does not watch yet: {named(waiting)}. "
        "A model needs 14 days and 25,000 datapoints of each metric.",
    )
    return Verdict(state=State.PARTLY, says=says)


def _custom_metrics(facts: Facts, _settings: Settings, _baseline: Baseline) -> Verdict:
    closes = making(facts, "AWS::IoT::CustomMetric", "CustomMetricsMode=create")
    if is_unread(facts.custom_metrics):
        return not_read(facts.custom_metrics)
    if not facts.custom_metrics:
        return Verdict(state=State.OFF, says=("There is no custom metric.", _CLOSED), closes=closes)
    owner = owner_of(facts, "AWS::IoT::CustomMetric", facts.custom_metrics)
    evidence = {"custom-metrics": named([*facts.custom_metrics])}
    if is_unread(facts.profiles):
        return together(Verdict(state=State.ON, owner=owner, evidence=evidence), not_read(facts.profiles))
    watched = {metric for each in facts.profiles if each.targets for metric in each.metrics}
    idle = {*facts.custom_metrics} - watched
    if not idle:
        return Verdict(state=State.ON, owner=owner, evidence=evidence)
    says = (f"No attached profile watches {named(idle)}.",)
    return Verdict(state=State.PARTLY, owner=owner, says=says, evidence=evidence, closes=closes)


# --- Control 6 -----------------------------------------------------------------------------------------------------


def _rotation(facts: Facts, settings: Settings, baseline: Baseline) -> Verdict:
    return together(_audited("rotation", facts, settings, baseline), _swept(facts))


def _swept(facts: Facts) -> Verdict:
    """Judge the service's schedules: the sweep of certificates is among them."""
    unread = [each for each in facts.schedules.values() if is_unread(each)]
    if unread:
        return not_read(unread[0])
    stopped = {rule for rule, is_on in facts.schedules.items() if not is_on}
    evidence = {"schedules": f"{len(facts.schedules) - len(stopped)} of {len(facts.schedules)} enabled"}
    if not stopped:
        return Verdict(state=State.ON, owner=Owner.OURS, evidence=evidence)
    says = (f"Schedules of the service are disabled: {named(stopped)}.",)
    closes = tuple(f"aws events enable-rule --name {rule}" for rule in sorted(stopped))
    return Verdict(state=State.PARTLY, owner=Owner.OURS, says=says, evidence=evidence, closes=closes)


# --- Control 7 -----------------------------------------------------------------------------------------------------


def _alerts(facts: Facts, settings: Settings, _baseline: Baseline) -> Verdict:
    return together(_reported(facts, settings), _profiles_report(facts, settings), _read_by_people(facts))


def _reported(facts: Facts, settings: Settings) -> Verdict:
    if is_unread(facts.audit):
        return not_read(facts.audit)
    closes = targeting(facts, facts.audit, settings)
    evidence = {"audit-target": facts.audit.target or "nobody"}
    if not facts.audit.target:
        return Verdict(state=State.OFF, says=("The audit has no target.",), evidence=evidence, closes=closes)
    owner = Owner.OURS if facts.audit.target == settings.alert_topic else Owner.THEIRS
    faults = []
    if not facts.audit.target_enabled:
        faults.append("The audit's target is switched off.")
        closes = (switching_target_on(facts.audit),)
    if owner is Owner.THEIRS:
        faults.append(f"The audit reports to {facts.audit.target}, not to this service's topic.")
        closes = (f"ExistingAlertTopicArn={facts.audit.target} of the service",)
    state = State.PARTLY if faults else State.ON
    return Verdict(state=state, owner=owner, says=tuple(faults), evidence=evidence, closes=closes if faults else ())


def _profiles_report(facts: Facts, settings: Settings) -> Verdict:
    if is_unread(facts.profiles):
        return not_read(facts.profiles)
    silent = {each.name for each in facts.profiles if each.targets and settings.alert_topic not in each.alerts}
    if not silent:
        return Verdict(state=State.ON)
    says = (f"Profiles that do not report to this service's topic: {named(silent)}.",)
    return Verdict(state=State.PARTLY, says=says, closes=("AlertsMode=adopt",))


def _read_by_people(facts: Facts) -> Verdict:
    if is_unread(facts.notices):
        return not_read(facts.notices)
    confirmed = 0 if facts.notices is None else facts.notices.confirmed
    evidence = {"notices-subscribed": str(confirmed)}
    if confirmed:
        return Verdict(state=State.ON, owner=Owner.OURS, evidence=evidence)
    says = ("Nobody has a confirmed subscription to the notices topic.",)
    return Verdict(state=State.OFF, owner=Owner.OURS, says=says, evidence=evidence, closes=("NoticesEmail",))


# --- Control 8 -----------------------------------------------------------------------------------------------------


def _cloudtrail(facts: Facts, _settings: Settings, _baseline: Baseline) -> Verdict:
    closes = making(facts, "AWS::CloudTrail::Trail", "TrailMode=create")
    if is_unread(facts.trails):
        return not_read(facts.trails)
    if not facts.trails:
        return Verdict(state=State.OFF, says=("No trail records in this region.",), closes=closes)
    order = list(State)
    best = min((_trail(each, facts) for each in facts.trails), key=lambda each: order.index(each.state))
    return (
        best
        if best.state is State.ON
        else together(best, Verdict(state=best.state, may_pass=best.may_pass, closes=closes))
    )


def _trail(each: TrailFacts, facts: Facts) -> Verdict:
    trail = each.trail
    faults = [
        sentence
        for sentence, is_fault in (
            (f"The trail {trail.name} records one region only.", not trail.multi_region),
            (f"The trail {trail.name} does not validate its log files.", not trail.validated),
        )
        if is_fault
    ]
    organization = "yes" if trail.organization else "no"
    evidence = {"trail": trail.arn, "organization-trail": organization, "bucket": trail.bucket}
    owner = owner_of(facts, "AWS::CloudTrail::Trail", [trail.name])
    whole = Verdict(
        state=State.PARTLY if faults else State.ON,
        owner=owner,
        says=tuple(faults),
        evidence=evidence,
        closes=tuple(mending_trail(each)),
    )
    return together(whole, _recording(each), _management(each), _protected(each, facts))


def _recording(each: TrailFacts) -> Verdict:
    if is_unread(each.status):
        return not_read(each.status)
    if not each.status.logging:
        return Verdict(state=State.OFF, says=(f"The trail {each.trail.name} is switched off.",))
    if each.status.error:
        says = (f"The trail {each.trail.name} cannot deliver: {each.status.error}.",)
        return Verdict(state=State.PARTLY, says=says)
    return Verdict(state=State.ON)


def _management(each: TrailFacts) -> Verdict:
    if is_unread(each.records_management):
        return not_read(each.records_management)
    if each.records_management:
        return Verdict(state=State.ON)
    return Verdict(state=State.PARTLY, says=(f"The trail {each.trail.name} does not record all management events.",))


def _protected(each: TrailFacts, facts: Facts) -> Verdict:
    if is_unread(each.bucket):
        says = (f"{why(each.bucket)} The bucket {each.trail.bucket} may be another account's.",)
        return Verdict(state=State.NOT_KNOWN, owner=Owner.NOBODY, says=says, may_pass=may_pass(each.bucket))
    if each.bucket is None:
        return Verdict(
            state=State.OFF,
            says=(f"The trail {each.trail.name} records into a bucket that does not exist: {each.trail.bucket}.",),
            evidence={"bucket": f"{each.trail.bucket}: NoSuchBucket"},
            closes=replacing_bucket(facts, each.trail),
        )
    faults = [
        sentence
        for sentence, is_fault in (
            (f"The bucket {each.trail.bucket} does not block public access.", not each.bucket.public_access_blocked),
            (f"The bucket {each.trail.bucket} keeps no versions.", not each.bucket.versioned),
        )
        if is_fault
    ]
    return Verdict(state=State.PARTLY if faults else State.ON, says=tuple(faults))


# --- Controls 9 and 10 ---------------------------------------------------------------------------------------------


def _guardduty(facts: Facts, _settings: Settings, _baseline: Baseline) -> Verdict:
    if is_unread(facts.detector):
        return not_read(facts.detector)
    if facts.detector is None:
        closes = making(facts, "AWS::GuardDuty::Detector", "DetectorMode=create")
        return Verdict(state=State.OFF, says=("GuardDuty has no detector here.",), closes=closes)
    owner = owner_of(facts, "AWS::GuardDuty::Detector", [facts.detector.id])
    evidence = {"detector": facts.detector.id, "plans": named(facts.detector.plans)}
    if not is_unread(facts.guardduty_administrator) and facts.guardduty_administrator:
        owner = Owner.THEIRS
        evidence["administrator"] = facts.guardduty_administrator
    if not facts.detector.enabled:
        says = ("GuardDuty's detector is suspended.",)
        closes = (resuming(facts.detector, evidence.get("administrator", "")),)
        return Verdict(state=State.OFF, owner=owner, says=says, evidence=evidence, closes=closes)
    return Verdict(state=State.ON, owner=owner, evidence=evidence)


def _device_logs(facts: Facts, settings: Settings, _baseline: Baseline) -> Verdict:
    evidence = {"bucket": settings.evidence_bucket}
    if is_unread(facts.event_types):
        return together(Verdict(state=State.ON, owner=Owner.OURS, evidence=evidence), not_read(facts.event_types))
    if facts.event_types.get("JOB_EXECUTION"):
        return Verdict(state=State.ON, owner=Owner.OURS, evidence=evidence)
    says = ("AWS IoT does not publish how jobs end, so a collection is noticed only at its deadline.",)
    return Verdict(state=State.PARTLY, owner=Owner.OURS, says=says, evidence=evidence, closes=(TURN_EVENTS_ON,))


TURN_EVENTS_ON = "AWS IoT console: Settings, Event-based messages, Job execution"
"""There is no safe command: it would have to write every other event type as it is, too."""

JUDGES: Mapping[str, Judge] = {
    "unique-identity": _unique_identity,
    "least-privilege": _least_privilege,
    "logging": _logging,
    "daily-audit": _daily_audit,
    "detect": _detect,
    "rotation": _rotation,
    "alerts": _alerts,
    "cloudtrail": _cloudtrail,
    "guardduty": _guardduty,
    "device-logs": _device_logs,
    "custom-metrics": _custom_metrics,
}
"""By the control's key in `controls.toml`."""
