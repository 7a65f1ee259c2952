"""What must be alive for a finding to arrive, and whether it is: one function for each line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from warden.core.account_facts import AuditConfiguration, AuditTask, Read, Subscription, Topic, Unavailable, Unread
from warden.settings import Settings
from warden.survey.facts import AUDIT_EVERY, NO_LEDGER, Facts, is_unread, may_pass, why
from warden.survey.judge import TURN_EVENTS_ON, failing_checks
from warden.survey.model import Pulse
from warden.survey.topic_policy import Publishing, may_publish

_REPORT_WITHIN = timedelta(hours=2)
"""An audit that began longer ago than this, and is over, has had the time to report and to be read."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What the service itself knows: its plan, when it was first surveyed, and whose reports were read."""

    plan_fault: str
    began: datetime
    audits: frozenset[str]
    """The ids of the audits whose report arrived."""


@dataclass(frozen=True, kw_only=True)
class Sign:
    """What is concluded about one line."""

    pulse: Pulse
    says: Sequence[str] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    may_pass: bool = False
    """It is not known, and only because of a disturbance at AWS."""


@dataclass(frozen=True)
class Line:
    """A line of liveness: its words, and what judges it."""

    key: str
    title: str
    fix: str
    judge: Callable[[Facts, Settings, Heard], Sign]


def _not_read(unread: Unread) -> Sign:
    pulse = Pulse.NOT_AVAILABLE_HERE if isinstance(unread, Unavailable) else Pulse.NOT_KNOWN
    return Sign(pulse=pulse, says=(why(unread),), may_pass=may_pass(unread))


def _either(faults: Sequence[str], **evidence: str) -> Sign:
    return Sign(pulse=Pulse.WRONG if faults else Pulse.OK, says=tuple(faults), evidence=evidence)


def _audit_report(facts: Facts, _settings: Settings, heard: Heard) -> Sign:
    if is_unread(facts.audits):
        return _not_read(facts.audits)
    if not facts.has_ledger:
        return Sign(pulse=Pulse.NOT_KNOWN, says=(NO_LEDGER,), may_pass=True)
    done = [task for task in facts.audits if task.status == "COMPLETED"]
    if done:
        return _arrived(max(done, key=lambda task: task.started_at), facts, heard)
    if facts.now - heard.began < AUDIT_EVERY:
        return Sign(pulse=Pulse.NOT_YET, says=("No audit has ended yet. The first takes up to a day.",))
    return Sign(pulse=Pulse.WRONG, says=("No audit has ended in the last 26 hours.",))


def _arrived(newest: AuditTask, facts: Facts, heard: Heard) -> Sign:
    evidence = {"audit": newest.id, "began": f"{newest.started_at:%Y-%m-%d %H:%M} UTC"}
    if newest.id in heard.audits or facts.now - newest.started_at < _REPORT_WITHIN:
        return Sign(pulse=Pulse.OK, evidence=evidence)
    if newest.started_at < heard.began:
        says = ("The last audit ended before this service was there to hear its report.",)
        return Sign(pulse=Pulse.NOT_YET, says=says, evidence=evidence)
    says = ("An audit has ended, but its report did not arrive.",)
    return Sign(pulse=Pulse.WRONG, says=says, evidence=evidence)


def _checks_ran(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    failing = failing_checks(facts)
    if is_unread(facts.audits) or failing is None:
        return _not_read(facts.audits)  # type: ignore[arg-type]  # failing is None only where it was not read
    if not facts.audits:
        return Sign(pulse=Pulse.NOT_YET, says=("No audit was started in the last 26 hours.",))
    return _either([f"The check {name} did not run: {error}." for name, error in sorted(failing.items())])


def _detectors(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    """Judge whether anything at all looks: the audit, Detect or GuardDuty."""
    looks = {
        "audit": None if is_unread(facts.audit) else bool(facts.audit.checks),
        "detect": None if is_unread(facts.profiles) else any(each.targets for each in facts.profiles),
        "guardduty": None if is_unread(facts.detector) else facts.detector is not None and facts.detector.enabled,
    }
    words = {True: "on", False: "off", None: "not read"}
    evidence = {name: words[is_on] for name, is_on in looks.items()}
    if any(looks.values()):
        return Sign(pulse=Pulse.OK, evidence=evidence)
    unread = [each for each in (facts.audit, facts.profiles, facts.detector) if is_unread(each)]
    denied = [each for each in unread if not isinstance(each, Unavailable)]
    if denied:
        return Sign(
            pulse=Pulse.NOT_KNOWN,
            says=tuple(why(each) for each in denied),
            evidence=evidence,
            may_pass=all(map(may_pass, denied)),
        )
    return Sign(pulse=Pulse.WRONG, says=("No detector is on: nothing looks for anything.",), evidence=evidence)


def _alert_target(facts: Facts, settings: Settings, _heard: Heard) -> Sign:
    if is_unread(facts.audit):
        return _not_read(facts.audit)
    target = facts.audit.target
    faults = []
    if not target:
        faults.append("The audit has no target: its reports reach nobody.")
    elif target != settings.alert_topic:
        faults.append(f"The audit reports to {target}, not to {settings.alert_topic}.")
    elif not facts.audit.target_enabled:
        faults.append("The audit's target is switched off.")
    return _either(faults, target=target or "none")


def _guardduty(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    if is_unread(facts.detector):
        return _not_read(facts.detector)
    if facts.detector is None:
        return _either(["GuardDuty has no detector in this region."])
    return _either([] if facts.detector.enabled else ["GuardDuty's detector is suspended."], detector=facts.detector.id)


def _job_events(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    if is_unread(facts.event_types):
        return _not_read(facts.event_types)
    is_on = facts.event_types.get("JOB_EXECUTION", False)
    return _either([] if is_on else ["AWS IoT does not publish how jobs end: rotations wait for their deadline."])


def _schedules(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    stopped = [f"The schedule {rule} is disabled or gone." for rule, is_on in facts.schedules.items() if is_on is False]
    unread = [each for each in facts.schedules.values() if is_unread(each)]
    if unread and not stopped:
        return _not_read(unread[0])
    return _either(stopped)


def _subscriptions(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    topics: dict[str, Read[Topic | None]] = {"alerts": facts.alerts, "notices": facts.notices}
    faults, evidence = list[str](), dict[str, str]()
    for name, topic in topics.items():
        if is_unread(topic):
            continue
        faults += _faults_of(name, topic)
        evidence[name] = f"{topic.confirmed} confirmed, {topic.pending} not" if topic else "no such topic"
    unread = [each for each in topics.values() if is_unread(each)]
    if unread and not faults:
        return _not_read(unread[0])
    return _either(faults, **evidence)


def _faults_of(name: str, topic: Topic | None) -> list[str]:
    if topic is None:
        return [f"The topic of {name} is gone."]
    faults = []
    if not topic.confirmed:
        faults.append(f"The topic of {name} has no confirmed subscription.")
    if topic.pending:
        faults.append(f"Subscriptions of the topic of {name} that nobody confirmed: {topic.pending}.")
    return faults


def _alert_delivery(facts: Facts, settings: Settings, _heard: Heard) -> Sign:
    """Judge whether what is published on the alert topic gets to the inbox whole, and who may publish on it."""
    if is_unread(facts.alerts):
        return _not_read(facts.alerts)
    if is_unread(facts.inbox):
        return _not_read(facts.inbox)
    topic = settings.alert_topic
    if facts.alerts is None:
        return _either(
            [f"There is no topic {topic}: deploy the service with ExistingAlertTopicArn of one, or with none."]
        )
    publishing = {role: may_publish(facts.alerts.policy, role, topic) for role in _publishers(facts, topic)}
    faults = [*_faults_of_place(settings), *_faults_of_inbox(facts.inbox, settings), *_faults_of_policy(publishing)]
    evidence = {"inbox": facts.inbox.arn or "not confirmed" if facts.inbox else "not subscribed"}
    evidence |= {role.rpartition("/")[2].lower(): verdict.value for role, verdict in publishing.items()}
    unsure = [
        f"Not known: whether {role} may publish depends on its own policy or on conditions that are not evaluated "
        f"here. Read both: aws sns get-topic-attributes --topic-arn {topic}, and the policies of the role."
        for role, verdict in publishing.items()
        if verdict in (Publishing.NOT_NAMED, Publishing.UNCERTAIN)
    ]
    if unsure and not faults:
        return Sign(pulse=Pulse.NOT_KNOWN, says=tuple(unsure), evidence=evidence)
    return _either(faults, **evidence)


def _publishers(facts: Facts, topic: str) -> Sequence[str]:
    """List the roles with which Device Defender reports to a topic."""
    audits = [facts.audit] if isinstance(facts.audit, AuditConfiguration) and facts.audit.target == topic else []
    profiles = () if is_unread(facts.profiles) else facts.profiles
    roles = [*(each.target_role for each in audits), *(each.alerts.get(topic, "") for each in profiles)]
    return sorted({*filter(None, roles)})


def _faults_of_place(settings: Settings) -> Iterator[str]:
    region, account = settings.alert_topic.split(":")[3:5]
    if (region, account) != (settings.region, settings.account):
        yield (
            f"The alert topic is in {account}, {region}; it must be in this account and region. "
            "Deploy the service with another ExistingAlertTopicArn, or with none."
        )


def _faults_of_inbox(inbox: Subscription | None, settings: Settings) -> Iterator[str]:
    # A deployment would not bring it back: CloudFormation compares templates, and not what is there.
    subscribe = f"aws sns subscribe --topic-arn {settings.alert_topic} --protocol sqs --notification-endpoint"
    if inbox is None:
        yield f"The inbox is not subscribed to {settings.alert_topic}: {subscribe} {settings.inbox_arn}."
    elif not inbox.arn:
        yield f"The inbox's subscription is not confirmed: {subscribe} {settings.inbox_arn}."
    else:
        command = f"aws sns set-subscription-attributes --subscription-arn {inbox.arn} --attribute-name"
        if inbox.raw:
            yield (
                "The inbox gets raw messages, and cannot distinguish those of the topic from EventBridge's: "
                f"{command} RawMessageDelivery --attribute-value false."
            )
        if inbox.filtered:
            yield f"A filter policy keeps alerts from the inbox: {command} FilterPolicy --attribute-value '{{}}'."


def _faults_of_policy(publishing: Mapping[str, Publishing]) -> Iterator[str]:
    for role, verdict in publishing.items():
        if verdict is Publishing.DENIED:
            yield (
                f"The alert topic's policy denies sns:Publish to {role}, with which Device Defender reports. Allow it "
                "there (aws sns set-topic-attributes --attribute-name Policy); for the topic that this service made, "
                "set AlertPublisherArn."
            )


def _notifications(facts: Facts, _settings: Settings, _heard: Heard) -> Sign:
    """Judge whether Device Defender delivered its alerts: AWS IoT counts those that it could not deliver."""
    if is_unread(facts.undelivered):
        return _not_read(facts.undelivered)
    lost = facts.undelivered
    faults = [f"Alerts of the last 26 hours that Device Defender could not deliver: {lost}."] if lost else []
    return _either(faults, undelivered=f"{lost}")


def _plan(_facts: Facts, _settings: Settings, heard: Heard) -> Sign:
    return _either([f"The response plan cannot be read: {heard.plan_fault}"] if heard.plan_fault else [])


LINES = (
    Line(
        "audit-report",
        "An audit reports every day",
        "Deploy the baseline with AuditMode=create, or schedule a daily audit and point its target at the alert topic.",
        _audit_report,
    ),
    Line(
        "checks-ran",
        "Every check of the audit runs",
        "Enable the checks, and attach the policy AWSIoTDeviceDefenderAudit to the role of the audit.",
        _checks_ran,
    ),
    Line(
        "detectors",
        "At least one detector is on",
        "Deploy baseline/template.yaml with AuditMode=create or DetectorMode=create.",
        _detectors,
    ),
    Line(
        "alert-target",
        "The audit reports to this service",
        "Deploy the service with ExistingAlertTopicArn set to the topic that the audit reports to; where it has none, "
        "the baseline with AlertsMode=create first.",
        _alert_target,
    ),
    Line(
        "alert-delivery",
        "What is published on the alert topic reaches the service",
        "Run the command that the line names, or deploy the service with the parameter that it names.",
        _alert_delivery,
    ),
    Line(
        "notifications",
        "Device Defender delivers its alerts",
        "Allow its role to publish: by the role, by the policy of the topic that it reports to, and by the topic's key "
        "(kms:GenerateDataKey and kms:Decrypt). What was not delivered is lost; the next audit finds it again.",
        _notifications,
    ),
    Line(
        "guardduty",
        "GuardDuty is on",
        "Deploy the baseline with DetectorMode=create; if there is a detector: aws guardduty update-detector --enable.",
        _guardduty,
    ),
    Line("job-events", "AWS IoT publishes how jobs end", f"{TURN_EVENTS_ON}.", _job_events),
    Line(
        "schedules",
        "The service's schedules are enabled",
        "aws events enable-rule --name RULE; if it is gone, undo the drift of the service's stack "
        "(docs/operations.md).",
        _schedules,
    ),
    Line(
        "subscriptions",
        "Alerts reach the service, and notices reach people",
        "Confirm the mail from SNS, or remove the subscription; NoticesEmail subscribes an address.",
        _subscriptions,
    ),
    Line(
        "plan",
        "The response plan can be read",
        "warden plan check layers/plan/python/warden_plan/response-plan.toml",
        _plan,
    ),
)
