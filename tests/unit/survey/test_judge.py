"""Each control in accounts that have it, do not, have a part of it, or do not let us look."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.account_model import AccountModel, FakeAccountReader
from tests.aws_stand_in.account import trail_of
from tests.fakes import NOON
from tests.unit.survey.accounts import (
    ALERT_ROLE,
    ALERTS,
    ALL_THINGS,
    CHECKS,
    RULES,
    SURVEYED,
    facts_of,
    fill,
    newly_deployed,
)
from warden.aws.account_reader import ACTIONS
from warden.core.account_facts import (
    Analyzer,
    AuditConfiguration,
    Bucket,
    CheckRun,
    Denied,
    Detector,
    IotLogging,
    LearningModel,
    LogGroup,
    Read,
    ScheduledAudit,
    SecurityProfile,
    Suppression,
    Topic,
    Trail,
    TrailStatus,
)
from warden.logs.group_level import GroupLevel, LevelState
from warden.survey.controls import baseline
from warden.survey.facts import lacking, read_facts
from warden.survey.judge import JUDGES
from warden.survey.model import Owner, State
from warden.survey.verdicts import Verdict

S, O = State, Owner  # noqa: E741 - so that a row of the tables below is a line
SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"


def verdict(key: str, account: AccountModel) -> Verdict:
    return JUDGES[key](facts_of(account), SURVEYED, baseline())


def full(**changes: object) -> AccountModel:
    account = fill(AccountModel())
    account.__dict__.update(changes)
    return account


def test_every_control_has_its_judge() -> None:
    assert {*JUDGES} == {*baseline().controls}


@pytest.mark.parametrize("key", JUDGES)
def test_what_the_baselines_stack_set_up_is_on_and_ours(key: str) -> None:
    found = verdict(key, full())

    assert (found.state, found.owner, found.says, found.closes) == (S.ON, O.OURS, (), ())


@pytest.mark.parametrize("key", JUDGES)
def test_what_somebody_else_set_up_is_on_and_theirs(key: str) -> None:
    found = verdict(key, full(stacks={}))

    ours = {"device-logs": O.OURS, "rotation": O.BOTH, "alerts": O.OURS}
    assert (found.state, found.owner) == (S.ON, ours.get(key, O.THEIRS))


EMPTY = {
    "unique-identity": S.OFF,
    "least-privilege": S.OFF,
    "logging": S.OFF,
    "daily-audit": S.OFF,
    "detect": S.OFF,
    "rotation": S.PARTLY,  # the service's own sweep is there
    "alerts": S.PARTLY,  # nothing to report from, and no profile that reports elsewhere
    "cloudtrail": S.OFF,
    "guardduty": S.OFF,
    "device-logs": S.ON,
    "custom-metrics": S.OFF,
}


@pytest.mark.parametrize(("key", "state"), EMPTY.items())
def test_a_fresh_account_with_nothing_but_the_service(key: str, state: State) -> None:
    found = verdict(key, newly_deployed(AccountModel()))

    assert found.state is state
    if state is not S.ON:
        assert found.says
        assert found.closes


ON_REQUEST = {"UnusedAccessAnalyzerMode=create", "PolicyGenerationMode=create"}
"""What a control is complete without."""


def test_a_fresh_account_says_the_very_parameter() -> None:
    account = newly_deployed(AccountModel())

    for key, terms in baseline().controls.items():
        parameters = {each for each in terms.closes if each.endswith("=create")} - ON_REQUEST
        if EMPTY[key] is S.OFF:
            assert set(verdict(key, account).closes) == parameters


@pytest.mark.parametrize("account", [full(), newly_deployed(AccountModel())], ids=["full", "empty"])
def test_the_first_control_names_the_report_of_things_which_no_survey_can_make(account: AccountModel) -> None:
    assert verdict("unique-identity", account).evidence["report"] == "warden baseline identities"


AUDITED = ("unique-identity", "least-privilege", "daily-audit", "rotation")


@pytest.mark.parametrize("key", AUDITED)
class TestAudit:
    def test_a_check_that_is_not_enabled_is_named(self, key: str) -> None:
        [left_out, *_] = sorted(CHECKS if key == "daily-audit" else baseline().controls[key].checks)
        found = verdict(key, full(audit=replace(full().audit, checks=CHECKS - {left_out})))

        assert found.state is S.PARTLY
        assert f"Not enabled: {left_out}." in found.says
        assert found.closes == (
            f"aws iot update-account-audit-configuration --audit-check-configurations '{left_out}={{enabled=true}}'",
        )

    def test_no_check_enabled_is_off(self, key: str) -> None:
        found = verdict(key, full(audit=AuditConfiguration(role="arn:audit")))

        assert found.state in (S.OFF, S.PARTLY)
        assert "None of its audit checks is enabled." in found.says

    @pytest.mark.parametrize("frequency", ["", "WEEKLY"])
    def test_what_runs_less_than_daily_is_partly(self, key: str, frequency: str) -> None:
        schedules = [ScheduledAudit(name="weekly", frequency=frequency, checks=CHECKS)] if frequency else []
        found = verdict(key, full(scheduled_audits=schedules))

        assert found.state is S.PARTLY
        assert any(each.startswith("Not in a daily audit: ") for each in found.says)

    def test_a_check_without_enough_rights_did_not_run(self, key: str) -> None:
        [check, *_] = sorted(CHECKS if key == "daily-audit" else baseline().controls[key].checks)
        [task] = full().audits
        task = replace(task, checks={**task.checks, check: CheckRun("FAILED", "INSUFFICIENT_PERMISSIONS")})
        found = verdict(key, full(audits=[task]))

        assert found.state is S.PARTLY
        assert f"Enabled, but did not run: {check} (INSUFFICIENT_PERMISSIONS). The audit's role is arn:audit." in (
            found.says
        )

    def test_the_newest_run_of_a_check_counts(self, key: str) -> None:
        [task] = full().audits
        failed = {check: CheckRun("FAILED") for check in CHECKS}
        older = replace(task, id="older", started_at=task.started_at - timedelta(hours=12), checks=failed)

        assert verdict(key, full(audits=[task, older])).state is S.ON
        assert verdict(key, full(audits=[replace(older, started_at=NOON), task])).state is S.PARTLY

    def test_before_its_first_run_it_is_on(self, key: str) -> None:
        assert verdict(key, full(audits=[])).state is S.ON


def test_an_audit_without_a_role_says_so() -> None:
    account = full()
    account.audit = replace(account.audit, role="")
    [task] = account.audits
    account.audits = [replace(task, checks={SHARED: CheckRun("FAILED")})]

    says = verdict("unique-identity", account).says

    assert says == (f"Enabled, but did not run: {SHARED} (FAILED). The audit's role is not set.",)


def test_suppressions_without_an_end_are_named_and_cost_nothing() -> None:
    suppressions = [
        Suppression(check="LOGGING_DISABLED_CHECK", until=None),
        Suppression(check=SHARED, until=NOON),
    ]
    found = verdict("daily-audit", full(suppressions=suppressions))

    assert found.state is S.ON
    assert found.says == ("Suppressed without an end: 1, for LOGGING_DISABLED_CHECK.",)


class TestAnalyzer:
    def test_one_that_is_not_active_does_not_count(self) -> None:
        analyzers = [Analyzer(name="a", arn="arn:a", type="ACCOUNT", status="DISABLED")]
        found = verdict("least-privilege", full(analyzers=analyzers))

        assert found.state is S.PARTLY
        assert found.says == ("The analyzer of access from outside is not active.",)
        assert found.evidence["analyzers"] == "a (ACCOUNT, DISABLED)"

    def test_one_of_unused_access_looks_at_something_else(self) -> None:
        analyzers = [Analyzer(name="a", arn="arn:a", type="ACCOUNT_UNUSED_ACCESS", status="ACTIVE")]

        assert verdict("least-privilege", full(analyzers=analyzers)).state is S.PARTLY

    def test_a_members_organization_may_have_one(self) -> None:
        found = verdict("least-privilege", full(analyzers=[], stacks={}, management_account="111122223333"))

        assert (found.state, found.owner) == (S.NOT_KNOWN, O.NOT_KNOWN)
        assert "111122223333" in found.says[0]
        assert found.closes == ("ExternalAnalyzerMode=create",)

    def test_whether_it_is_a_member_may_not_be_known(self) -> None:
        found = verdict("least-privilege", full(analyzers=[], denied={"organizations:DescribeOrganization"}))

        assert found.state is S.NOT_KNOWN


@pytest.mark.parametrize(
    ("logging", "state"),
    [
        (None, S.OFF),
        (IotLogging(level="ERROR", disabled=True), S.OFF),
        (IotLogging(level="DISABLED", disabled=False), S.OFF),
        (IotLogging(level="DISABLED", disabled=False, events={"Ping": "DISABLED"}), S.OFF),
        (IotLogging(level="DISABLED", disabled=False, events={"Connect": "ERROR"}), S.PARTLY),
        (IotLogging(level="WARN", disabled=False), S.ON),
    ],
)
def test_logging(logging: IotLogging | None, state: State) -> None:
    found = verdict("logging", full(logging=logging))

    assert found.state is state
    assert bool(found.closes) is (state is not S.ON)


def level(state: LevelState, **changes: Any) -> GroupLevel:
    return replace(GroupLevel(state=state, wanted=True, since=NOON, checked_at=NOON), **changes)


class TestTheLevelOfContainedDevices:
    def verdict(self, level: GroupLevel | None, account: AccountModel | None = None, **settings: Any) -> Verdict:
        facts = replace(facts_of(account or full()), group_level=level)
        return JUDGES["logging"](facts, replace(SURVEYED, **settings), baseline())

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            (LevelState.SET, "DEBUG while devices are contained, since 2026-11-22 12:00 UTC"),
            (LevelState.SETTING, "DEBUG is being set, since 2026-11-22 12:00 UTC"),
            (LevelState.LOGGING_OFF, "not set, as AWS IoT logged nothing, since 2026-11-22 12:00 UTC"),
            (LevelState.IDLE, "DEBUG once a device is contained"),
        ],
    )
    def test_what_was_done_is_evidence_and_changes_no_state(self, state: LevelState, words: str) -> None:
        found = self.verdict(level(state))

        assert (found.state, found.owner, found.says, found.closes) == (S.ON, O.OURS, (), ())
        assert found.evidence["restricted-group"] == words

    def test_before_anybody_is_contained(self) -> None:
        assert self.verdict(None).evidence["restricted-group"] == "DEBUG once a device is contained"
        off = self.verdict(None, log_contained=False)
        assert (off.state, off.evidence["restricted-group"]) == (S.ON, "LogContainedDevices is false")

    def test_somebody_elses_level_is_said(self) -> None:
        found = self.verdict(level(LevelState.THEIRS, found="INFO"))

        assert (found.state, found.closes) == (S.ON, ())
        assert found.says == ("The restricted group has the level INFO of somebody else, which is left alone.",)

    @pytest.mark.parametrize(
        ("refused", "sentence"),
        [
            (
                level(LevelState.DENIED, action="iot:SetV2LoggingLevel"),
                "The restricted group is not logged at DEBUG: the role of sweep_cases lacks iot:SetV2LoggingLevel. "
                "It is tried again every hour.",
            ),
            (
                level(LevelState.REFUSED, ours=True, action="iot:DeleteV2LoggingLevel", code="InvalidRequestException"),
                "The restricted group is still logged at DEBUG: iot:DeleteV2LoggingLevel ends with "
                "InvalidRequestException. "
                "It is tried again every hour.",
            ),
        ],
    )
    def test_what_was_refused_is_partly(self, refused: GroupLevel, sentence: str) -> None:
        found = self.verdict(refused)

        assert (found.state, found.says, found.closes) == (S.PARTLY, (sentence,), ("sam deploy",))

    @pytest.mark.parametrize("changes", [{"logging": None}, {"denied": {"iot:GetV2LoggingOptions"}}])
    def test_where_nothing_is_logged_the_level_does_not_count(self, changes: dict[str, Any]) -> None:
        found = self.verdict(level(LevelState.DENIED, action="iot:SetV2LoggingLevel"), full(**changes))

        assert found.state in (S.OFF, S.NOT_KNOWN)
        assert "restricted-group" not in found.evidence


class TestLogGroups:
    GROUP = "iot-baseline-IotLogs"

    def test_retention_and_key_are_evidence(self) -> None:
        found = verdict("logging", full())

        kept = f"AWSIotLogsV2 (not there before the first event), {self.GROUP} (kept 365 days, arn:key)"
        assert found.evidence["log-groups"] == kept

    def test_what_is_kept_for_ever_and_without_a_key_is_said_and_costs_nothing(self) -> None:
        found = verdict("logging", full(log_groups=[LogGroup(name=self.GROUP), LogGroup(name="AWSIotLogsV2", key="k")]))

        assert (found.state, found.closes) == (S.ON, ())
        assert found.says == (
            "The log group AWSIotLogsV2 keeps its events for ever.",
            f"The log group {self.GROUP} keeps its events for ever.",
            f"The log group {self.GROUP} has no key of KMS.",
        )
        assert found.evidence["log-groups"].endswith(f"{self.GROUP} (kept for ever, no key of KMS)")

    def test_a_group_that_is_gone_loses_events(self) -> None:
        found = verdict("logging", full(log_groups=[]))

        assert (found.state, found.closes) == (S.PARTLY, (f"aws logs create-log-group --log-group-name {self.GROUP}",))
        assert found.says == (f"The log group {self.GROUP} is gone: the events of its types are lost.",)

    def test_a_group_that_cannot_be_read_is_not_known(self) -> None:
        account = full(denied={"logs:DescribeLogGroups"})
        found = verdict("logging", account)

        assert found.state is S.ON
        assert found.says == tuple(
            f"Of the log group {each}: Not known: the role of survey_account lacks logs:DescribeLogGroups."
            for each in ("AWSIotLogsV2", self.GROUP)
        )
        assert lacking(facts_of(account)) == ["logs:DescribeLogGroups"]


class TestDetect:
    def test_a_profile_that_is_attached_to_nothing_is_none(self) -> None:
        found = verdict("detect", full(profiles=[SecurityProfile(name="idle")]))

        assert found.state is S.OFF
        assert "31 August 2026" in found.says[1]

    @pytest.mark.parametrize(("learns", "missing"), [(True, "rules"), (False, "machine learning")])
    def test_one_kind_of_profile_is_partly(self, learns: bool, missing: str) -> None:
        profiles = [SecurityProfile(name="learns", learns=learns, targets=ALL_THINGS, alerts={ALERTS: ALERT_ROLE})]
        found = verdict("detect", full(profiles=profiles))

        assert found.state is S.PARTLY
        assert found.says == (f"No profile of {missing} is attached.",)

    @pytest.mark.parametrize("status", ["PENDING_BUILD", "EXPIRED"])
    def test_a_model_that_is_not_built_watches_nothing(self, status: str) -> None:
        found = verdict("detect", full(models=[LearningModel("learns", "bytes", status)]))

        assert found.state is S.PARTLY
        assert f"bytes ({status})" in found.says[0]

    def test_a_model_of_another_profile_does_not_count(self) -> None:
        assert verdict("detect", full(models=[LearningModel("idle", "bytes", "EXPIRED")])).state is S.ON


def test_a_custom_metric_that_no_profile_watches_is_partly() -> None:
    found = verdict("custom-metrics", full(custom_metrics=["load", "heat"]))

    assert (found.state, found.owner) == (S.PARTLY, O.BOTH)
    assert found.says == ("No attached profile watches heat.",)


def test_a_custom_metric_of_an_idle_profile_is_not_watched() -> None:
    profiles = [SecurityProfile(name="rules", metrics=frozenset({"load"}))]

    assert verdict("custom-metrics", full(profiles=profiles)).state is S.PARTLY


class TestRotation:
    def test_a_schedule_that_is_disabled_is_named(self) -> None:
        found = verdict("rotation", full(schedules={RULES[0]: True, RULES[1]: False}))

        assert found.state is S.PARTLY
        assert found.says == (f"Schedules of the service are disabled: {RULES[1]}.",)
        assert found.closes == (f"aws events enable-rule --name {RULES[1]}",)


class TestAlerts:
    def test_no_target_reaches_nobody(self) -> None:
        found = verdict("alerts", full(audit=replace(full().audit, target="")))

        assert found.state is S.PARTLY
        assert found.says == ("The audit has no target.",)
        assert found.closes == ("AlertsMode=adopt", f"ExistingAlertTopicArn={ALERTS}")

    def test_a_target_elsewhere_is_named(self) -> None:
        found = verdict("alerts", full(audit=replace(full().audit, target="arn:theirs")))

        assert (found.state, found.owner) == (S.PARTLY, O.BOTH)
        assert found.says == ("The audit reports to arn:theirs, not to this service's topic.",)

    def test_a_target_that_is_switched_off_reports_nothing(self) -> None:
        found = verdict("alerts", full(audit=replace(full().audit, target_enabled=False)))

        assert found.state is S.PARTLY
        assert found.says == ("The audit's target is switched off.",)

    def test_a_profile_that_reports_elsewhere_is_named(self) -> None:
        profiles = [SecurityProfile(name="rules", targets=ALL_THINGS, alerts={"arn:theirs": ALERT_ROLE})]

        assert verdict("alerts", full(profiles=profiles)).says == (
            "Profiles that do not report to this service's topic: rules.",
        )

    @pytest.mark.parametrize("topics", [{}, {SURVEYED.notices_topic: Topic(confirmed=0, pending=1)}])
    def test_notices_that_nobody_reads(self, topics: dict[str, Topic]) -> None:
        found = verdict("alerts", full(topics=topics))

        assert found.state is S.PARTLY
        assert found.says == ("Nobody has a confirmed subscription to the notices topic.",)
        assert found.closes == ("NoticesEmail",)


class TestTrail:
    @pytest.mark.parametrize(
        ("trail", "word"),
        [
            ({"multi_region": False}, "one region only"),
            ({"validated": False}, "does not validate"),
        ],
    )
    def test_a_trail_with_a_fault_is_partly(self, trail: dict[str, Any], word: str) -> None:
        found = verdict("cloudtrail", full(trails=[trail_of("iot-baseline", **trail)]))

        assert found.state is S.PARTLY
        assert word in found.says[0]
        assert found.closes[0].startswith("aws cloudtrail update-trail --name arn:")

    def test_one_that_is_switched_off_records_nothing(self) -> None:
        account = full()
        account.trail_statuses = {account.trails[0].arn: TrailStatus(logging=False)}

        assert verdict("cloudtrail", account).says == ("The trail iot-baseline is switched off.",)

    def test_one_that_cannot_deliver_says_why(self) -> None:
        account = full()
        account.trail_statuses = {account.trails[0].arn: TrailStatus(logging=True, error="AccessDenied")}

        assert verdict("cloudtrail", account).says == ("The trail iot-baseline cannot deliver: AccessDenied.",)

    def test_one_without_management_events_is_partly(self) -> None:
        account = full()
        account.trails_without_management = {account.trails[0].arn}

        assert verdict("cloudtrail", account).says == ("The trail iot-baseline does not record all management events.",)

    @pytest.mark.parametrize(("blocked", "versioned"), [(False, True), (True, False)])
    def test_a_bucket_without_protection_is_partly(self, blocked: bool, versioned: bool) -> None:
        account = full()
        account.buckets = {account.trails[0].bucket: Bucket(public_access_blocked=blocked, versioned=versioned)}

        assert verdict("cloudtrail", account).state is S.PARTLY

    def test_a_bucket_that_was_deleted_is_named_as_that(self) -> None:
        account = full()
        [trail] = account.trails
        account.buckets = {trail.bucket: None}

        found = verdict("cloudtrail", account)

        assert (found.state, found.owner) == (S.PARTLY, O.OURS)
        assert found.says == (f"The trail iot-baseline records into a bucket that does not exist: {trail.bucket}.",)
        assert found.evidence["bucket"] == f"{trail.bucket}: NoSuchBucket"

    def test_the_best_trail_counts(self) -> None:
        account = full()
        account.trails = [trail_of("small", multi_region=False), *account.trails]

        assert verdict("cloudtrail", account).state is S.ON

    def test_a_trail_of_the_organization_may_not_be_readable_here(self) -> None:
        trail = trail_of("organizations", account="111122223333", organization=True)
        found = verdict("cloudtrail", full(trails=[trail], trail_statuses={}, buckets={}))

        assert (found.state, found.owner) == (S.NOT_KNOWN, O.NOT_KNOWN)
        assert found.evidence["organization-trail"] == "yes"
        assert any("may be another account's" in each for each in found.says)


class TestGuardDuty:
    def test_a_detector_that_is_suspended_is_off(self) -> None:
        assert verdict("guardduty", full(detector=Detector(id="d-1", enabled=False))).state is S.OFF

    def test_a_members_detector_is_its_administrators(self) -> None:
        found = verdict("guardduty", full(guardduty_administrator="111122223333"))

        assert (found.state, found.owner) == (S.ON, O.THEIRS)
        assert found.evidence["administrator"] == "111122223333"


def test_logs_of_devices_without_events_of_jobs_are_partly() -> None:
    found = verdict("device-logs", full(event_types={}))

    assert found.state is S.PARTLY
    assert found.closes


@pytest.mark.parametrize("key", JUDGES)
def test_a_region_without_device_defender(key: str) -> None:
    found = verdict(key, full(has_device_defender=False, region="sa-east-1"))

    without = ("unique-identity", "daily-audit", "detect", "custom-metrics")
    assert found.state is (S.NOT_AVAILABLE_HERE if key in without else S.ON)
    if key in without:
        assert found.says == ("AWS does not offer it in sa-east-1.",)
        assert found.owner is O.NOBODY


@pytest.mark.parametrize("make", [full, lambda: newly_deployed(AccountModel())], ids=["full", "empty"])
@pytest.mark.parametrize("action", sorted({*ACTIONS.values()}))
def test_a_denied_call_is_named_and_never_off(make: Callable[[], AccountModel], action: str) -> None:
    """A control that is off although a call was denied is off by what could still be read."""
    before = {key: verdict(key, make()).state for key in JUDGES}
    account = make()
    account.denied = {action}

    facts = facts_of(account)
    after = {key: JUDGES[key](facts, SURVEYED, baseline()) for key in JUDGES}

    changed = {key for key in JUDGES if after[key].state is not before[key]}
    assert all(after[key].state in (S.NOT_KNOWN, S.PARTLY) for key in changed)
    asked = action in lacking(facts)
    assert asked or make is not full
    for key in changed:
        assert f"Not known: the role of survey_account lacks {action}." in " ".join(after[key].says)


def test_what_is_off_as_far_as_it_can_be_read_may_be_on_in_part() -> None:
    account = newly_deployed(AccountModel())
    account.denied = {"access-analyzer:ListAnalyzers"}

    assert verdict("least-privilege", account).state is S.NOT_KNOWN


def test_everything_denied_is_not_known_or_what_the_service_itself_is() -> None:
    account = full(denied={*ACTIONS.values()})

    states = {key: verdict(key, account).state for key in JUDGES}

    assert set(states.values()) == {S.NOT_KNOWN}


class TestATrailThatIsNotFound:
    """It was deleted after it was listed, unless the list still has it: then it is the organization's."""

    def read(self, listed_again: Read[Sequence[Trail]] | None) -> Verdict:
        account = full(trail_statuses={})
        reader, lists = FakeAccountReader(account), [tuple(account.trails)]

        def trails() -> Read[Sequence[Trail]]:
            return lists.pop() if lists else tuple(account.trails) if listed_again is None else listed_again

        reader.trails = trails  # type: ignore[method-assign]
        facts = read_facts(reader, SURVEYED, NOON)
        return JUDGES["cloudtrail"](facts, SURVEYED, baseline())

    def test_it_is_off_if_the_list_has_it_no_more(self) -> None:
        assert self.read(()).state is State.OFF

    @pytest.mark.parametrize("again", [None, Denied("cloudtrail:DescribeTrails")])
    def test_it_is_not_known_if_it_may_be_there(self, again: Read[Sequence[Trail]] | None) -> None:
        assert self.read(again).state is State.NOT_KNOWN


def test_a_denied_list_of_the_stack_leaves_the_owner_not_known() -> None:
    found = verdict("logging", full(denied={"cloudformation:ListStackResources"}))

    assert (found.state, found.owner) == (S.ON, O.NOT_KNOWN)


def test_many_names_are_counted() -> None:
    found = verdict("custom-metrics", full(custom_metrics=[f"m-{each}" for each in range(9)]))

    assert found.says == ("No attached profile watches m-0, m-1, m-2, m-3, m-4 and 4 more.",)
