"""Each line of liveness: alive, broken in each way, too soon to judge, and not readable."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.account_model import AccountModel
from tests.fakes import NOON, a_world
from tests.unit.survey.accounts import (
    ALERT_ROLE,
    ALERTS,
    ALL_THINGS,
    INBOX,
    POLICY,
    RULES,
    SURVEYED,
    TASK,
    facts_of,
    fill,
    newly_deployed,
)
from warden.aws.account_reader import ACTIONS
from warden.core.account_facts import (
    AuditConfiguration,
    CheckRun,
    Detector,
    SecurityProfile,
    Subscription,
    Topic,
)
from warden.survey.facts import read_facts
from warden.survey.liveness import LINES, Heard, Sign
from warden.survey.model import Pulse

LONG_AGO = NOON - timedelta(days=30)
SUBSCRIBE = f"aws sns subscribe --topic-arn {ALERTS} --protocol sqs --notification-endpoint {SURVEYED.inbox_arn}"
HEARD = Heard(plan_fault="", began=LONG_AGO, audits=frozenset({TASK}))


def sign(key: str, account: AccountModel, heard: Heard = HEARD) -> Sign:
    [line] = [each for each in LINES if each.key == key]
    return line.judge(facts_of(account), SURVEYED, heard)


def full(**changes: object) -> AccountModel:
    account = fill(AccountModel())
    account.__dict__.update(changes)
    return account


@pytest.mark.parametrize("key", [line.key for line in LINES])
def test_a_full_account_is_alive(key: str) -> None:
    found = sign(key, full())

    assert (found.pulse, found.says) == (Pulse.OK, ())


EMPTY = {
    "audit-report": Pulse.WRONG,
    "checks-ran": Pulse.NOT_YET,
    "detectors": Pulse.WRONG,
    "alert-target": Pulse.WRONG,
    "alert-delivery": Pulse.OK,  # nobody reports yet, but the inbox would hear it
    "notifications": Pulse.OK,
    "guardduty": Pulse.WRONG,
    "job-events": Pulse.OK,
    "schedules": Pulse.OK,
    "subscriptions": Pulse.WRONG,
    "plan": Pulse.OK,
}


@pytest.mark.parametrize(("key", "pulse"), EMPTY.items())
def test_a_fresh_account_hears_nothing_and_it_is_said(key: str, pulse: Pulse) -> None:
    found = sign(key, newly_deployed(AccountModel()))

    assert found.pulse is pulse
    assert bool(found.says) is (pulse is not Pulse.OK)


def test_every_line_has_words_and_a_fix() -> None:
    assert {line.key for line in LINES} == {*EMPTY}
    assert all(line.title and line.fix for line in LINES)


class TestNotifications:
    @pytest.mark.parametrize(
        ("hours", "pulse", "says"),
        [
            (25, Pulse.WRONG, ("Alerts of the last 26 hours that Device Defender could not deliver: 3.",)),
            (27, Pulse.OK, ()),
        ],
    )
    def test_what_was_not_delivered_of_late_is_wrong(self, hours: int, pulse: Pulse, says: tuple[str, ...]) -> None:
        found = sign("notifications", full(undelivered=[(NOON - timedelta(hours=hours), 3)]))

        assert (found.pulse, found.says) == (pulse, says)
        assert found.evidence == {"undelivered": "3" if says else "0"}

    @pytest.mark.parametrize("action", ["cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics"])
    def test_who_may_not_count_does_not_know(self, action: str) -> None:
        found = sign("notifications", full(denied={action}))

        assert found.pulse is Pulse.NOT_KNOWN
        assert found.says == (f"Not known: the role of survey_account lacks {action}.",)

    def test_where_device_defender_is_not_there_is_nothing_to_deliver(self) -> None:
        assert sign("notifications", full(has_device_defender=False)).pulse is Pulse.NOT_AVAILABLE_HERE


class TestAuditReport:
    @pytest.mark.parametrize(
        ("deployed", "pulse"), [(timedelta(hours=25), Pulse.NOT_YET), (timedelta(hours=26), Pulse.WRONG)]
    )
    def test_none_is_wrong_only_from_the_second_day(self, deployed: timedelta, pulse: Pulse) -> None:
        assert sign("audit-report", full(audits=[]), replace(HEARD, began=NOON - deployed)).pulse is pulse

    def test_one_that_has_not_ended_reports_nothing(self) -> None:
        [task] = full().audits

        assert sign("audit-report", full(audits=[replace(task, status="IN_PROGRESS")])).pulse is Pulse.WRONG

    def test_one_that_ended_more_than_26_hours_ago_is_too_old(self) -> None:
        [task] = full().audits

        old = replace(task, started_at=NOON - timedelta(hours=26, minutes=1))
        assert sign("audit-report", full(audits=[old])).pulse is Pulse.WRONG

    def test_a_report_that_did_not_arrive_is_wrong(self) -> None:
        found = sign("audit-report", full(), replace(HEARD, audits=frozenset({"task-0"})))

        assert found.pulse is Pulse.WRONG
        assert found.says == ("An audit has ended, but its report did not arrive.",)
        assert found.evidence == {"audit": TASK, "began": "2026-11-22 07:00 UTC"}

    def test_a_report_may_still_be_on_its_way(self) -> None:
        [task] = full().audits
        young = replace(task, id="task-2", started_at=NOON - timedelta(minutes=119))

        assert sign("audit-report", full(audits=[task, young])).pulse is Pulse.OK

    def test_an_audit_before_the_service_was_there_reported_to_nobody(self) -> None:
        heard = Heard(plan_fault="", began=NOON, audits=frozenset())

        assert sign("audit-report", full(), heard).pulse is Pulse.NOT_YET


@pytest.mark.parametrize(
    ("run", "error"),
    [
        (CheckRun("FAILED", "INSUFFICIENT_PERMISSIONS"), "INSUFFICIENT_PERMISSIONS"),
        (CheckRun("CANCELED", "AUDIT_CHECK_DISABLED"), "AUDIT_CHECK_DISABLED"),
        (CheckRun("FAILED"), "FAILED"),
    ],
)
def test_a_check_that_did_not_run_is_named_though_an_audit_ran(run: CheckRun, error: str) -> None:
    [task] = full().audits
    audits = [replace(task, checks={**task.checks, "LOGGING_DISABLED_CHECK": run})]

    found = sign("checks-ran", full(audits=audits))

    assert found.pulse is Pulse.WRONG
    assert found.says == (f"The check LOGGING_DISABLED_CHECK did not run: {error}.",)
    assert sign("audit-report", full(audits=audits)).pulse is Pulse.OK


class TestDetectors:
    @pytest.mark.parametrize(
        "kept",
        [
            {"audit": full().audit},
            {"profiles": [SecurityProfile(name="rules", targets=ALL_THINGS)]},
            {"detector": Detector(id="d-1", enabled=True)},
        ],
        ids=["audit", "Detect", "GuardDuty"],
    )
    def test_one_is_enough(self, kept: dict[str, object]) -> None:
        account = AccountModel()
        account.__dict__.update(kept)

        assert sign("detectors", account).pulse is Pulse.OK

    @pytest.mark.parametrize(
        "idle",
        [
            {"audit": AuditConfiguration(role="arn:audit")},
            {"profiles": [SecurityProfile(name="rules")]},
            {"detector": Detector(id="d-1", enabled=False)},
        ],
        ids=["audit", "Detect", "GuardDuty"],
    )
    def test_what_is_there_and_looks_at_nothing_is_none(self, idle: dict[str, object]) -> None:
        account = AccountModel()
        account.__dict__.update(idle)

        assert sign("detectors", account).pulse is Pulse.WRONG

    def test_one_that_cannot_be_read_may_be_on(self) -> None:
        found = sign("detectors", AccountModel(denied={"guardduty:ListDetectors"}))

        assert found.pulse is Pulse.NOT_KNOWN
        assert found.evidence == {"audit": "off", "detect": "off", "guardduty": "not read"}

    def test_where_there_is_no_device_defender_guardduty_alone_counts(self) -> None:
        assert sign("detectors", AccountModel(has_device_defender=False)).pulse is Pulse.WRONG


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"target": ""}, "The audit has no target: its reports reach nobody."),
        ({"target": "arn:theirs"}, f"The audit reports to arn:theirs, not to {ALERTS}."),
        ({"target_enabled": False}, "The audit's target is switched off."),
    ],
)
def test_a_target_that_does_not_reach_us(changes: dict[str, object], says: str) -> None:
    found = sign("alert-target", full(audit=replace(full().audit, **changes)))  # type: ignore[arg-type]

    assert (found.pulse, found.says) == (Pulse.WRONG, (says,))


def test_guardduty_may_be_suspended() -> None:
    assert sign("guardduty", full(detector=Detector(id="d-1", enabled=False))).pulse is Pulse.WRONG


@pytest.mark.parametrize("events", [{}, {"JOB_EXECUTION": False, "JOB": True}])
def test_job_events_that_are_off(events: dict[str, bool]) -> None:
    assert sign("job-events", full(event_types=events)).pulse is Pulse.WRONG


@pytest.mark.parametrize("schedules", [{RULES[0]: True}, {RULES[0]: True, RULES[1]: False}])
def test_a_schedule_that_is_disabled_or_gone(schedules: dict[str, bool]) -> None:
    found = sign("schedules", full(schedules=schedules))

    assert (found.pulse, found.says) == (Pulse.WRONG, (f"The schedule {RULES[1]} is disabled or gone.",))


@pytest.mark.parametrize("topic", [ALERTS, SURVEYED.notices_topic])
@pytest.mark.parametrize(
    "count", [None, Topic(confirmed=0, pending=0), Topic(confirmed=1, pending=2)], ids=["gone", "none", "unconfirmed"]
)
def test_a_topic_that_nobody_hears(topic: str, count: Topic | None) -> None:
    account = full()
    del account.topics[topic]
    if count:
        account.topics[topic] = count

    found = sign("subscriptions", account)

    assert found.pulse is Pulse.WRONG
    assert len(found.says) == 1


class TestAlertDelivery:
    def faults(self, **changes: object) -> list[str]:
        found = sign("alert-delivery", full(**changes))
        assert found.pulse is Pulse.WRONG
        return list(found.says)

    def subscribed(self, subscription: Subscription | None) -> dict[tuple[str, str], Subscription]:
        return {} if subscription is None else {(ALERTS, SURVEYED.inbox_arn): subscription}

    @pytest.mark.parametrize(
        ("subscription", "words"),
        [
            (None, f"The inbox is not subscribed to {ALERTS}: {SUBSCRIBE}."),
            (Subscription(arn=""), f"is not confirmed: {SUBSCRIBE}."),
            (replace(INBOX, raw=True), f"--subscription-arn {INBOX.arn} --attribute-name RawMessageDelivery"),
            (replace(INBOX, filtered=True), f"--subscription-arn {INBOX.arn} --attribute-name FilterPolicy"),
        ],
    )
    def test_a_subscription_that_loses_alerts_says_how_to_mend_it(
        self, subscription: Subscription | None, words: str
    ) -> None:
        [fault] = self.faults(subscriptions=self.subscribed(subscription))

        assert words in fault

    def test_two_faults_are_two_sentences(self) -> None:
        assert len(self.faults(subscriptions=self.subscribed(replace(INBOX, raw=True, filtered=True)))) == 2

    def test_a_policy_that_keeps_device_defender_out_names_its_role(self) -> None:
        other = "arn:aws:iam::123456789012:role/other"
        topics = {**full().topics, ALERTS: Topic(confirmed=1, pending=0, policy=POLICY.replace(ALERT_ROLE, other))}

        [fault] = self.faults(topics=topics)

        assert f"denies sns:Publish to {ALERT_ROLE}" in fault

    @pytest.mark.parametrize("policy", ["", '{"Statement": []}'])
    def test_what_the_policy_leaves_to_the_role_is_not_known(self, policy: str) -> None:
        found = sign("alert-delivery", full(topics={ALERTS: Topic(confirmed=1, pending=0, policy=policy)}))

        assert found.pulse is Pulse.NOT_KNOWN
        [sentence] = found.says
        assert ALERT_ROLE in sentence

    def test_what_is_wrong_counts_more_than_what_is_not_known(self) -> None:
        topics = {ALERTS: Topic(confirmed=1, pending=0)}
        assert len(self.faults(topics=topics, subscriptions=self.subscribed(None))) == 1

    def test_a_topic_of_another_account_or_region_is_wrong(self) -> None:
        for elsewhere in (ALERTS.replace("123456789012", "210987654321"), ALERTS.replace("us-east-1", "eu-west-1")):
            [line] = [each for each in LINES if each.key == "alert-delivery"]
            account = full()
            account.topics = {elsewhere: account.topics[ALERTS]}
            account.subscriptions = {(elsewhere, SURVEYED.inbox_arn): INBOX}
            settings = replace(SURVEYED, alert_topic=elsewhere)
            world = a_world()
            world.account.__dict__.update(account.__dict__)

            found = line.judge(read_facts(world.context.ports.account_reader, settings, NOON), settings, HEARD)

            assert found.pulse is Pulse.WRONG
            assert found.says[0].startswith(
                f"The alert topic is in {elsewhere.split(':')[4]}, {elsewhere.split(':')[3]};"
            )

    def test_a_topic_that_is_gone(self) -> None:
        assert self.faults(topics={}) == [
            f"There is no topic {ALERTS}: deploy the service with ExistingAlertTopicArn of one, or with none."
        ]

    def test_only_roles_that_report_here_are_looked_at(self) -> None:
        audit = replace(full().audit, target="arn:theirs", target_role="arn:aws:iam::1:role/theirs")
        profiles = [SecurityProfile(name="elsewhere", alerts={"arn:theirs": "arn:aws:iam::1:role/theirs"})]

        found = sign("alert-delivery", full(audit=audit, profiles=profiles))

        assert found.pulse is Pulse.OK
        assert set(found.evidence) == {"inbox"}


def test_a_plan_that_cannot_be_read_says_where() -> None:
    found = sign("plan", full(), replace(HEARD, plan_fault="line 3: no"))

    assert (found.pulse, found.says) == (Pulse.WRONG, ("The response plan cannot be read: line 3: no",))


@pytest.mark.parametrize("action", sorted({*ACTIONS.values()}))
def test_a_denied_call_is_never_wrong(action: str) -> None:
    for line in LINES:
        found = sign(line.key, full(denied={action}))

        assert found.pulse in (Pulse.OK, Pulse.NOT_KNOWN)
        if found.pulse is Pulse.NOT_KNOWN:
            assert found.says == (f"Not known: the role of survey_account lacks {action}.",)


def test_everything_denied_is_not_known() -> None:
    account = full(denied={*ACTIONS.values()})

    assert {sign(line.key, account).pulse for line in LINES} == {Pulse.NOT_KNOWN, Pulse.OK}
    assert sign("plan", account).pulse is Pulse.OK


@pytest.mark.parametrize("key", ["audit-report", "checks-ran", "alert-target"])
def test_where_there_is_no_device_defender(key: str) -> None:
    assert sign(key, full(has_device_defender=False)).pulse is Pulse.NOT_AVAILABLE_HERE


def test_a_fault_that_was_read_is_wrong_whatever_else_was_not() -> None:
    account = full(schedules={RULES[0]: False, RULES[1]: True})

    assert sign("schedules", account).pulse is Pulse.WRONG
