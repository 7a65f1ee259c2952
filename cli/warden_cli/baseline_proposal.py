"""The parameters of `baseline/template.yaml` that fit an account: create, adopt or off for each mode, and why.

Nothing that exists is replaced. A setting that could not be read is never taken for absent: its mode is off until it is
known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeIs

from warden.core import quotas
from warden.core.account_facts import (
    NO_ANSWER,
    Analyzer,
    AuditConfiguration,
    Denied,
    Detector,
    IotLogging,
    Read,
    ScheduledAudit,
    SecurityProfile,
    StackResource,
    Trail,
    TrailStatus,
    Unanswered,
    Unavailable,
    Unread,
)
from warden.survey.controls import baseline
from warden_cli.baseline_rules import Choice, contradictions

_ONLY_ONE = ("AuditMode", "LoggingMode", "ExternalAnalyzerMode", "UnusedAccessAnalyzerMode", "DetectorMode")
"""Modes of what an account has at most one of: `create` is refused where there is one."""

_ANALYZERS_MADE = 2
"""How many analyzers the stack makes if both modes are create. An id does not say of which type one is."""

_PROFILES_MADE = {"DetectMode": 2, "CustomMetricsMode": 1}
"""How many profiles on all things each mode of the template makes."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What was read of the account."""

    account: str
    region: str
    has_iot: bool
    has_device_defender: bool
    stack: Read[frozenset[StackResource]]
    audit: Read[AuditConfiguration]
    schedules: Read[Sequence[ScheduledAudit]]
    logging: Read[IotLogging | None]
    detector: Read[Detector | None]
    administrator: Read[str]
    analyzers: Read[Sequence[Analyzer]]
    trails: Read[Sequence[Trail]]
    trail_status: Mapping[str, Read[TrailStatus]] = field(default_factory=dict)
    trail_records_management: Mapping[str, Read[bool]] = field(default_factory=dict)
    profiles: Read[Sequence[SecurityProfile]]
    topic_key: Read[str] = ""
    """The customer key of the topic that the audit reports to; empty if there is none."""

    @property
    def all_things(self) -> str:
        """The end of the ARN that a profile on all things is attached to."""
        return f":{self.region}:{self.account}:all/things"

    def made(self, kind: str) -> frozenset[str]:
        """Return the ids of the resources of a type that the baseline's stack made."""
        return frozenset() if is_unread(self.stack) else frozenset(each.id for each in self.stack if each.type == kind)


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One parameter with its value, why, and what is left to do beside the deployment."""

    parameter: str
    value: str
    why: str
    then: str = ""
    is_known: bool = True
    is_offered: bool = True
    """Whether AWS offers it in this region."""
    there: bool = False
    """Whether the account has one that the stack did not make, so that `create` is refused or makes a second one."""


@dataclass(frozen=True, kw_only=True)
class Proposals:
    """The proposal: modes in the template's order, other parameters, and wishes that cannot be met."""

    modes: Sequence[Proposal]
    others: Mapping[str, str]
    conflicts: Sequence[str]

    @property
    def parameters(self) -> dict[str, str]:
        """Return every parameter to deploy with."""
        return {each.parameter: each.value for each in self.modes} | dict(self.others)


def propose(facts: Facts, wishes: Mapping[str, str]) -> Proposals:
    """Propose each mode; a wish replaces the proposal, and is checked."""
    proposed = {name: _with_doubt(choose(facts), facts.stack) for name, choose in _CHOICES.items()}
    wishes, proposed["AlertsMode"] = _mail_apart(wishes, proposed["AlertsMode"])
    modes = [_as_wished(each, wishes) for each in proposed.values()]
    chosen = {each.parameter: each.value for each in modes}
    others = {name: value for name, value in wishes.items() if name not in _CHOICES}
    if chosen["AlertsMode"] == Choice.ADOPT and "ExistingAlertTopicArn" not in others:
        others |= _topic_of(facts)
    if chosen["PolicyGenerationMode"] == Choice.CREATE and chosen["TrailMode"] != Choice.CREATE:
        others = _trail_to_read(facts) | others
    conflicts = [*_conflicts(proposed, wishes, facts, chosen), *contradictions(chosen | dict(others))]
    return Proposals(modes=modes, others=others, conflicts=conflicts)


def _mail_apart(wishes: Mapping[str, str], alerts: Proposal) -> tuple[Mapping[str, str], Proposal]:
    """Leave out the address if the topic is adopted: the stack subscribes nobody to somebody else's topic."""
    if alerts.value != Choice.ADOPT or "AlertsMode" in wishes or "AlertEmail" not in wishes:
        return wishes, alerts
    left = {name: value for name, value in wishes.items() if name != "AlertEmail"}
    words = "AlertEmail is left out: subscribe the address to the topic (aws sns subscribe --protocol email)."
    return left, replace(alerts, then=f"{alerts.then} {words}")


def is_unread(value: object) -> TypeIs[Unread]:
    """Whether a value is the reason why nothing was read."""
    return isinstance(value, Denied | Unanswered | Unavailable)


def why_unread(unread: Unread) -> str:
    """Write why something is not known."""
    if isinstance(unread, Denied):
        return f"not known: the role lacks {unread.action}"
    if isinstance(unread, Unavailable):
        return f"AWS does not offer it in {unread.region}"
    if unread.code == NO_ANSWER:
        return f"not known: {unread.action} did not answer in time"
    return f"not known: AWS answered {unread.action} with {unread.code}"


def _with_doubt(proposal: Proposal, stack: Read[frozenset[StackResource]]) -> Proposal:
    """Warn if the stack may have made it: any mode except create would take it out of the stack."""
    if proposal.value == Choice.CREATE or not proposal.is_offered or not is_unread(stack):
        return proposal
    doubt = f"Whether the baseline's stack made it is {why_unread(stack)}. If it did, set {proposal.parameter}=create."
    return replace(proposal, then=f"{proposal.then} {doubt}".strip(), is_known=False)


def _as_wished(proposal: Proposal, wishes: Mapping[str, str]) -> Proposal:
    wish = wishes.get(proposal.parameter, proposal.value)
    if wish == proposal.value:
        return proposal
    why = f"as you wish; proposed is {proposal.value}, because {proposal.why}"
    return Proposal(parameter=proposal.parameter, value=wish, why=why, there=proposal.there)


def _conflicts(
    proposed: Mapping[str, Proposal], wishes: Mapping[str, str], facts: Facts, chosen: Mapping[str, str]
) -> list[str]:
    wished = [name for name, value in wishes.items() if value == Choice.CREATE]
    found = [
        f"{name}=create: {proposed[name].why}. CloudFormation would refuse it and change nothing"
        for name in wished
        if name in _ONLY_ONE and proposed[name].there
    ]
    missing = {"AuditMode", "DetectMode", "CustomMetricsMode"} if not facts.has_device_defender else set()
    missing |= set() if facts.has_iot else {"LoggingMode"}
    found += [f"{name}=create: AWS does not offer it in {facts.region}" for name in wished if name in missing]
    return found + _too_many_profiles(facts, chosen)


def _too_many_profiles(facts: Facts, chosen: Mapping[str, str]) -> list[str]:
    there = on_all_things(facts)
    making = sum(number for name, number in _PROFILES_MADE.items() if chosen[name] == Choice.CREATE)
    if not making or len(there) + making <= quotas.PROFILES_PER_TARGET:
        return []
    return [
        f"{len(there)} security profiles are on all things ({', '.join(there)}) and the stack would add {making}: "
        f"AWS IoT allows {quotas.PROFILES_PER_TARGET}. Detach some, or leave DetectMode or CustomMetricsMode off"
    ]


def on_all_things(facts: Facts) -> Sequence[str]:
    """Name the profiles on all things that the stack did not make."""
    if is_unread(facts.profiles):
        return ()
    ours = facts.made("AWS::IoT::SecurityProfile")
    return [
        each.name
        for each in facts.profiles
        if each.name not in ours and any(target.endswith(facts.all_things) for target in each.targets)
    ]


def _unknown(parameter: str, unread: Unread, made: frozenset[str] = frozenset()) -> Proposal:
    """Switch off what was not read. `made` is what the stack made of its type: this one or another."""
    if isinstance(unread, Unavailable):
        return Proposal(parameter=parameter, value=Choice.OFF, why=why_unread(unread), is_offered=False)
    then = "It is off until it is known, so that what may be there is not replaced."
    if made:
        then += f" The baseline's stack made {', '.join(sorted(made))}: if it is that, set {parameter}=create."
    return Proposal(parameter=parameter, value=Choice.OFF, why=why_unread(unread), then=then, is_known=False)


def _ours(parameter: str) -> Proposal:
    return Proposal(parameter=parameter, value=Choice.CREATE, why="the baseline's stack made it and keeps it")


def _audit(facts: Facts) -> Proposal:
    name, audit = "AuditMode", facts.audit
    if facts.made("AWS::IoT::AccountAuditConfiguration"):
        return _ours(name)
    if is_unread(audit):
        return _unknown(name, audit)
    if not audit.role:
        return Proposal(parameter=name, value=Choice.CREATE, why="no audit is configured")
    why = f"an audit is configured, with {len(audit.checks)} of {len(baseline().checks)} checks on"
    then = " ".join(_audit_lacks(audit, facts.schedules))
    return Proposal(parameter=name, value=Choice.ADOPT, why=why, then=then, there=True)


def _audit_lacks(audit: AuditConfiguration, schedules: Read[Sequence[ScheduledAudit]]) -> Iterator[str]:
    if not (audit.target and audit.target_enabled):
        yield (
            "It reports to no topic: after the deployment, give it the outputs AlertTopicArn and AlertRoleArn "
            "(aws iot update-account-audit-configuration --audit-notification-target-configurations)."
        )
    if baseline().checks - audit.checks:
        yield (
            "Enable the checks that are off (aws iot update-account-audit-configuration --audit-check-configurations); "
            "the daily survey names them."
        )
    if is_unread(schedules):
        yield f"Whether it runs daily is {why_unread(schedules)}."
    elif not any(each.frequency == "DAILY" for each in schedules):
        yield "Nothing runs it daily (aws iot create-scheduled-audit --frequency DAILY)."


def _external_analyzer(facts: Facts) -> Proposal:
    none = Proposal(
        parameter="ExternalAnalyzerMode",
        value=Choice.CREATE,
        why="no analyzer of external access is here, and it is free",
    )
    return _analyzer(facts, none, "ACCOUNT")


def _unused_access_analyzer(facts: Facts) -> Proposal:
    none = Proposal(
        parameter="UnusedAccessAnalyzerMode",
        value=Choice.OFF,
        why="no analyzer of unused access is here, and AWS bills it by role and user",
        then="If you want it, in one region of the account: --set UnusedAccessAnalyzerMode=create.",
    )
    return _analyzer(facts, none, "ACCOUNT_UNUSED_ACCESS")


def _analyzer(facts: Facts, none: Proposal, kind: str) -> Proposal:
    made = facts.made("AWS::AccessAnalyzer::Analyzer")
    if is_unread(facts.analyzers):
        is_ours = len(made) == _ANALYZERS_MADE
        return _ours(none.parameter) if is_ours else _unknown(none.parameter, facts.analyzers, made)
    found = {each.arn: each.name for each in facts.analyzers if each.type == kind}
    if not found:
        return none
    if set(found) & made:
        return _ours(none.parameter)
    why = f"the account has the analyzer {', '.join(found.values())}"
    return Proposal(parameter=none.parameter, value=Choice.ADOPT, why=why, there=True)


def _policy_generation(facts: Facts) -> Proposal:
    name = "PolicyGenerationMode"
    if any("-PolicyGenerationRole-" in each for each in facts.made("AWS::IAM::Role")):
        return _ours(name)
    why = "its role is for `warden baseline roles`, which you run when you look into the rights of role aliases"
    then = "If you want it, once in the account: --set PolicyGenerationMode=create."
    return Proposal(parameter=name, value=Choice.OFF, why=why, then=then)


def _trail_to_read(facts: Facts) -> dict[str, str]:
    """Name the trail that the account has, for the role that policies are generated with."""
    if is_unread(facts.trails) or not facts.trails:
        return {}
    trail = _best_trail(_fit_trails(facts, facts.trails) or facts.trails)
    named = {
        "ExistingTrailArn": trail.arn,
        "ExistingTrailBucket": trail.bucket,
        "ExistingTrailKeyArn": trail.key if trail.key.startswith("arn:") else "",
    }
    return {name: value for name, value in named.items() if value}


def _fit_trails(facts: Facts, trails: Sequence[Trail]) -> Sequence[Trail]:
    """List the trails that may be adopted.

    False is an answer: a trail of data events alone. The owner looks at what could not be read.
    """
    records = facts.trail_records_management
    return [each for each in trails if each.multi_region and records.get(each.arn, True) is not False]


def _best_trail(trails: Sequence[Trail]) -> Trail:
    return next((each for each in trails if each.organization), trails[0])


def _logging(facts: Facts) -> Proposal:
    name, logging = "LoggingMode", facts.logging
    if facts.made("AWS::IoT::Logging"):
        return _ours(name)
    if is_unread(logging):
        return _unknown(name, logging)
    if logging is None:
        return Proposal(parameter=name, value=Choice.CREATE, why="AWS IoT logs nothing")
    if logging.disabled:
        why = "logging was set up once and all logs are disabled; the stack sets it up again"
        return Proposal(parameter=name, value=Choice.CREATE, why=why)
    missing = ", ".join(each for each in ("Connect", "Publish-In", "Subscribe") if each not in logging.events)
    then = f"Events without a level of their own: {missing} (aws iot set-v2-logging-options)." if missing else ""
    why = f"AWS IoT logs already, by default at level {logging.level}"
    return Proposal(parameter=name, value=Choice.ADOPT, why=why, then=then, there=True)


def _alerts(facts: Facts) -> Proposal:
    name, audit = "AlertsMode", facts.audit
    if facts.made("AWS::SNS::Topic"):
        return _ours(name)
    if is_unread(audit) or not (audit.target and audit.target_enabled):
        why = "the audit reports to no topic that is known"
        return Proposal(parameter=name, value=Choice.CREATE, why=why)
    then = "The topic's policy must allow the stack's output AlertRoleArn to publish."
    if is_unread(facts.topic_key):
        then += f" Whether it has a customer key is {why_unread(facts.topic_key)}."
    return Proposal(
        parameter=name,
        value=Choice.ADOPT,
        why=f"the audit reports to {audit.target}",
        then=then,
        is_known=not is_unread(facts.topic_key),
        there=True,
    )


def _topic_of(facts: Facts) -> dict[str, str]:
    if is_unread(facts.audit) or not facts.audit.target:
        return {}
    key = {} if is_unread(facts.topic_key) or not facts.topic_key else {"ExistingAlertTopicKeyArn": facts.topic_key}
    return {"ExistingAlertTopicArn": facts.audit.target} | key


def _trail(facts: Facts) -> Proposal:
    name = "TrailMode"
    made = facts.made("AWS::CloudTrail::Trail")
    if made and (is_unread(facts.trails) or {each.name for each in facts.trails} & made):
        return _ours(name)
    if is_unread(facts.trails):
        return _unknown(name, facts.trails)
    if fit := _fit_trails(facts, facts.trails):
        trail = _best_trail(fit)
        whose = "of the organization" if trail.organization else "of this account"
        why = f"the trail {trail.name} {whose} records every region"
        then = " ".join(_trail_lacks(trail, facts))
        return Proposal(parameter=name, value=Choice.ADOPT, why=why, then=then, there=True)
    why = "no trail records every region"
    if facts.trails:
        why += (
            f"; {len(facts.trails)} of one region or of data events alone stay, so that events are billed twice there"
        )
    then = "It is needed once in an account: set TrailMode=off in the other regions."
    return Proposal(parameter=name, value=Choice.CREATE, why=why, then=then)


def _trail_lacks(trail: Trail, facts: Facts) -> Iterator[str]:
    status = facts.trail_status.get(trail.arn, Unanswered("cloudtrail:GetTrailStatus", "nothing"))
    if is_unread(status):
        yield f"Whether it is logging is {why_unread(status)}."
    elif not status.logging:
        yield f"It is not logging (aws cloudtrail start-logging --name {trail.arn})."
    if not trail.validated:
        yield "Its files are not validated (aws cloudtrail update-trail --enable-log-file-validation)."


def _detector(facts: Facts) -> Proposal:
    name, detector = "DetectorMode", facts.detector
    made = facts.made("AWS::GuardDuty::Detector")
    if made and (is_unread(detector) or (detector is not None and detector.id in made)):
        return _ours(name)
    if is_unread(detector):
        return _unknown(name, detector)
    if detector is None:
        why = "GuardDuty is off here; it has a trial of 30 days"
        return Proposal(parameter=name, value=Choice.CREATE, why=why)
    why = f"GuardDuty has the detector {detector.id}"
    if isinstance(facts.administrator, str) and facts.administrator:
        why += f", administered by account {facts.administrator}"
    enable = f"It is disabled (aws guardduty update-detector --detector-id {detector.id} --enable)."
    then = "" if detector.enabled else enable
    return Proposal(parameter=name, value=Choice.ADOPT, why=why, then=then, there=True)


def _detect(facts: Facts) -> Proposal:
    name, profiles = "DetectMode", facts.profiles
    if len(facts.made("AWS::IoT::SecurityProfile")) >= _PROFILES_MADE[name]:
        return _ours(name)
    if is_unread(profiles):
        return _unknown(name, profiles)
    if there := on_all_things(facts):
        why = f"all things are watched by {', '.join(there)}"
        return Proposal(parameter=name, value=Choice.ADOPT, why=why, there=True)
    if profiles:
        why = f"Detect is open to this account ({profiles[0].name}), but no profile is on all things"
        return Proposal(parameter=name, value=Choice.CREATE, why=why)
    why = "there is no security profile, and AWS closed Detect to accounts that did not use it by 31 August 2026"
    then = "If this account has Detect: --set DetectMode=create."
    return Proposal(parameter=name, value=Choice.OFF, why=why, then=then)


def _custom_metrics(facts: Facts) -> Proposal:
    name = "CustomMetricsMode"
    if facts.made("AWS::IoT::CustomMetric"):
        return _ours(name)
    if is_unread(facts.profiles):
        return _unknown(name, facts.profiles)
    why = "it is an example for devices that report a number of their own, and needs Detect"
    return Proposal(parameter=name, value=Choice.OFF, why=why)


_CHOICES: Mapping[str, Callable[[Facts], Proposal]] = {
    "AuditMode": _audit,
    "ExternalAnalyzerMode": _external_analyzer,
    "UnusedAccessAnalyzerMode": _unused_access_analyzer,
    "PolicyGenerationMode": _policy_generation,
    "LoggingMode": _logging,
    "AlertsMode": _alerts,
    "TrailMode": _trail,
    "DetectorMode": _detector,
    "DetectMode": _detect,
    "CustomMetricsMode": _custom_metrics,
}
"""Every mode of the template, in its order."""
