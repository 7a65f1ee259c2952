"""What the service changes back by itself: only what was switched off, once, on record, and told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import NOON, Crash, World, a_world
from tests.port_wire import Fate, Wire, wired
from tests.stack_model import Deployed, StackRefusal
from tests.unit.survey.accounts import SURVEYED, Surveyor, fill
from warden.core.drift import PropertyDrift, ResourceDrift, ResourceStatus
from warden.core.errors import Conflict
from warden.core.ledger import Put, version_of
from warden.plan.governor import STOP_KEY
from warden.survey.drift import UNDO
from warden.survey.mending import event_of, returns_of
from warden.survey.model import DriftState, Mend, MendState, Survey
from warden.survey.records import LATEST, SURVEYS, Owed, SurveyRecord, read_latest
from warden.survey.surveys import survey_when_due

QUARTER = timedelta(minutes=15)
STACK = "iot-baseline"
LOGGING = "AWS::IoT::Logging"
AUDIT = "AWS::IoT::AccountAuditConfiguration"
SCHEDULE = "AWS::IoT::ScheduledAudit"
CHECKS = ["LOGGING_DISABLED_CHECK", "DEVICE_CERTIFICATE_SHARED_CHECK"]


def logging(level: str = "DISABLED") -> Deployed:
    return Deployed(
        name="Logging",
        type=LOGGING,
        id="000000000000",
        expected={"DefaultLogLevel": "ERROR", "RoleArn": "arn:role"},
        actual={"DefaultLogLevel": level, "RoleArn": "arn:role"},
    )


def audit(**enabled: bool) -> Deployed:
    return Deployed(
        name="AuditConfiguration",
        type=AUDIT,
        id="000000000000",
        expected={"AuditCheckConfigurations": {name: {"Enabled": True} for name in enabled}},
        actual={"AuditCheckConfigurations": {name: {"Enabled": on} for name, on in enabled.items()}},
    )


def record_of(ours: Surveyor) -> SurveyRecord:
    record = read_latest(ours.surveying.ports)
    assert record is not None
    return record


class Mender(Surveyor):
    """Surveys an account with drift, with the right to change it back."""

    def __init__(self, *resources: Deployed, world: World | None = None, mends: bool = True) -> None:
        super().__init__(world or a_world())
        fill(self.account)
        self.hear()
        self.account.deployed.resources[STACK] = [*resources]
        self.surveying = replace(self.surveying, settings=replace(self.surveying.settings, mends_drift=mends))

    def pass_quarters(self, number: int = 1) -> None:
        for _ in range(number):
            self.world.clock.advance(QUARTER)
            survey_when_due(self.surveying)

    @property
    def latest(self) -> Survey:
        return record_of(self).survey

    def actual(self, name: str) -> Mapping[str, Any]:
        [found] = [each for each in self.account.deployed.resources[STACK] if each.name == name]
        assert found.actual is not None
        return found.actual


class TestChangingBack:
    def test_a_level_that_was_lowered_is_raised_and_the_stack_compared_again(self) -> None:
        ours = Mender(logging())
        ours.survey()

        ours.pass_quarters(2)
        assert ours.actual("Logging")["DefaultLogLevel"] == "ERROR"
        ours.pass_quarters(2)

        [mend] = ours.latest.mends
        assert (mend.key, mend.found, mend.back_to) == ("Logging/DefaultLogLevel", "DISABLED", "ERROR")
        assert mend.state is MendState.DONE
        assert ours.latest.drift.state is DriftState.IN_SYNC
        assert len(ours.account.deployed.requests) == 1

    def test_until_it_is_compared_again_the_survey_says_what_was_done(self) -> None:
        ours = Mender(logging())
        ours.survey()
        ours.account.deployed.updating = True
        ours.pass_quarters()
        version = record_of(ours).version
        ours.pass_quarters()
        assert record_of(ours).version == version  # nothing new is nothing to write
        ours.account.deployed.updating = False
        ours.account.deployed.comparing = True

        ours.pass_quarters(2)

        [difference] = ours.latest.drift.differences
        assert difference.says == ("It was changed back at 2026-11-22 12:15 UTC: CloudFormation compares again.",)

    def test_only_where_the_parameter_says_so(self) -> None:
        ours = Mender(logging(), mends=False)
        ours.survey()
        ours.pass_quarters(8)

        [difference] = ours.latest.drift.differences
        assert difference.closes == ("BaselineDrift=mend", UNDO)
        assert ours.latest.mends == ()
        assert ours.account.deployed.requests == {}

    def test_what_people_decide_is_only_reported(self) -> None:
        policy = Deployed(
            name="TrailBucketPolicy", type="AWS::S3::BucketPolicy", id="b", expected={"PolicyDocument": "a"}
        )
        ours = Mender(replace(policy, actual={"PolicyDocument": "b"}))
        ours.survey()
        ours.pass_quarters(8)

        [difference] = ours.latest.drift.differences
        assert (difference.says, difference.closes) == ((), (UNDO,))
        assert ours.account.deployed.requests == {}

    def test_one_at_a_time_and_nothing_beside_the_property(self) -> None:
        ours = Mender(audit(A=False, B=False, C=True))
        ours.survey()
        ours.account.deployed.updating = True
        ours.pass_quarters(3)
        assert [each.path for each in ours.latest.mends] == ["/AuditCheckConfigurations/A/Enabled"]
        ours.account.deployed.updating = False
        ours.pass_quarters(8)

        assert [each.path[-9:] for each in ours.latest.mends] == ["A/Enabled", "B/Enabled"]
        patches = [each["asked"][2] for each in ours.account.deployed.requests.values()]
        assert all(patch.count('"op"') == 2 for patch in patches)
        assert ours.latest.drift.state is DriftState.IN_SYNC

    def test_checks_that_were_taken_off_the_schedule_come_back_and_others_stay(self) -> None:
        schedule = Deployed(
            name="DailyAudit",
            type=SCHEDULE,
            id="daily",
            expected={"Frequency": "DAILY", "TargetCheckNames": CHECKS},
            actual={"Frequency": "DAILY", "TargetCheckNames": ["SOMEBODYS_CHECK"]},
        )
        ours = Mender(schedule)
        ours.survey()
        ours.pass_quarters(8)

        assert ours.actual("DailyAudit")["TargetCheckNames"] == ["SOMEBODYS_CHECK", *CHECKS]
        [mend] = ours.latest.mends
        assert mend.path == "/TargetCheckNames"

    def test_a_check_is_enabled_before_it_is_scheduled(self) -> None:
        schedule = Deployed(
            name="ADailyAudit",
            type=SCHEDULE,
            id="daily",
            expected={"TargetCheckNames": CHECKS},
            actual={"TargetCheckNames": CHECKS[1:]},
        )
        ours = Mender(schedule, audit(LoggingDisabledCheck=False))
        ours.survey()
        ours.pass_quarters(8)

        assert [each.resource for each in ours.latest.mends] == ["AuditConfiguration", "ADailyAudit"]
        assert ours.actual("ADailyAudit")["TargetCheckNames"] == [CHECKS[1], CHECKS[0]]

    def test_what_has_changed_since_is_left_alone_and_compared_again(self) -> None:
        ours = Mender(logging())
        ours.survey()
        ours.world.clock.advance(QUARTER)
        compared = ours.account.deployed.compared

        def faster(stack: str, name: str) -> Deployed:
            found = compared(stack, name)
            found.actual = {"DefaultLogLevel": "WARN", "RoleArn": "arn:role"}
            return found

        ours.account.deployed.compared = faster  # type: ignore[method-assign]
        survey_when_due(ours.surveying)
        ours.pass_quarters(3)

        assert ours.latest.mends == ()
        assert ours.actual("Logging")["DefaultLogLevel"] == "WARN"
        assert ours.latest.drift.differences[0].found == "WARN"


def test_a_stack_that_is_busy_when_it_is_read_again_is_asked_again() -> None:
    ours = Mender(logging(), mends=False)
    ours.survey()
    ours.pass_quarters()
    ours.surveying = replace(ours.surveying, settings=replace(ours.surveying.settings, mends_drift=True))
    ours.account.deployed.busy = True
    ours.pass_quarters(2)
    assert ours.latest.mends == ()
    ours.account.deployed.busy = False

    ours.pass_quarters(2)

    assert ours.actual("Logging")["DefaultLogLevel"] == "ERROR"


def test_the_kill_switch_holds_it() -> None:
    ours = Mender(logging())
    for stopped in (True, False):
        switch = {"type": "switch", "stopped": stopped, "who": "arn", "why": "w", "at": "2026-11-22T12:00:00.000000Z"}
        ours.world.ledger.commit(Put(STOP_KEY, switch, version_of(ours.world.ledger.read(STOP_KEY))))
        ours.survey()
        ours.pass_quarters(4)

        assert ours.actual("Logging")["DefaultLogLevel"] == ("DISABLED" if stopped else "ERROR")


class TestHeldBeforeItIsSent:
    def begun(self) -> tuple[Mender, dict[str, Any]]:
        """Put a change on record while Cloud Control API is throttled."""
        ours = Mender(logging())
        update = ours.account.deployed.update

        def throttled(*_: str) -> dict[str, Any]:
            raise StackRefusal("ThrottlingException", "Rate exceeded")

        ours.account.deployed.update = throttled  # type: ignore[method-assign, assignment]
        ours.survey()
        ours.pass_quarters(2)
        ours.account.deployed.update = update  # type: ignore[method-assign]
        [mend] = ours.latest.mends
        assert (mend.state, mend.request) == (MendState.BEGUN, "")
        return ours, {"type": "switch", "who": "arn", "why": "w", "at": "2026-11-22T12:00:00.000000Z"}

    def press(self, ours: Mender, switch: dict[str, Any], *, stopped: bool) -> None:
        version = version_of(ours.world.ledger.read(STOP_KEY))
        ours.world.ledger.commit(Put(STOP_KEY, {**switch, "stopped": stopped}, version))

    def test_the_kill_switch_holds_what_is_on_record_and_its_release_sends_it(self) -> None:
        ours, switch = self.begun()
        self.press(ours, switch, stopped=True)
        ours.pass_quarters()
        assert ours.account.deployed.requests == {}

        self.press(ours, switch, stopped=False)
        ours.pass_quarters(2)

        assert ours.actual("Logging")["DefaultLogLevel"] == "ERROR"

    def test_what_is_held_for_an_hour_is_left_to_people(self) -> None:
        ours, switch = self.begun()
        self.press(ours, switch, stopped=True)
        ours.pass_quarters(8)

        [mend] = ours.latest.mends
        assert (mend.state, mend.why) == (MendState.FAILED, "The kill switch holds it.")
        assert ours.account.deployed.requests == {}

    def test_a_parameter_that_was_taken_back_holds_it_too(self) -> None:
        ours, _ = self.begun()
        ours.surveying = replace(ours.surveying, settings=replace(ours.surveying.settings, mends_drift=False))
        ours.pass_quarters(8)

        [mend] = ours.latest.mends
        assert (mend.state, mend.why) == (MendState.FAILED, "BaselineDrift is no longer mend.")
        assert ours.account.deployed.requests == {}


class TestLeftToPeople:
    def test_none_of_all_that_may_be_changed_back_is_forgotten_within_the_week(self) -> None:
        every = [f"Check{number}" for number in range(21)]
        ours = Mender(audit(**dict.fromkeys(every, False)))
        ours.survey()
        ours.pass_quarters(95)
        assert ours.latest.drift.state is DriftState.IN_SYNC
        checks = ours.actual("AuditConfiguration")["AuditCheckConfigurations"]
        checks[every[0]] = {"Enabled": False}

        ours.survey()
        ours.pass_quarters(8)

        assert len(ours.account.deployed.requests) == len(every)

    def again(self, after: timedelta) -> Mender:
        """Let a property be changed back, and drift again after a time."""
        ours = Mender(logging())
        ours.survey()
        ours.pass_quarters(4)
        assert ours.latest.drift.state is DriftState.IN_SYNC
        ours.world.clock.advance(after)
        ours.account.deployed.resources[STACK][0].actual = {"DefaultLogLevel": "DISABLED", "RoleArn": "arn:role"}
        ours.survey()
        ours.pass_quarters(8)
        return ours

    @pytest.mark.parametrize("after", [timedelta(hours=1), timedelta(days=1), timedelta(days=6)])
    def test_what_drifts_again_is_reported(self, after: timedelta) -> None:
        ours = self.again(after)

        [difference] = ours.latest.drift.differences
        assert difference.says == (
            "It was changed back at 2026-11-22 12:15 UTC and has drifted again: it is left to people.",
        )
        assert len(ours.account.deployed.requests) == 1
        assert ours.actual("Logging")["DefaultLogLevel"] == "DISABLED"
        assert difference.says[0] in ours.world.notices.sent[-1].body

    def test_after_a_week_it_may_be_changed_back_once_more(self) -> None:
        ours = self.again(timedelta(days=7))

        assert ours.actual("Logging")["DefaultLogLevel"] == "ERROR"
        assert len(ours.latest.mends) == 2

    def test_what_aws_refuses_is_not_tried_again(self) -> None:
        ours = Mender(logging())
        ours.account.deployed.refuses = "not authorized to perform iot:SetV2LoggingOptions"
        ours.survey()
        ours.pass_quarters(12)

        [mend] = ours.latest.mends
        why = "AWS says AccessDenied: not authorized to perform iot:SetV2LoggingOptions."
        assert (mend.state, mend.why) == (MendState.FAILED, why)
        [difference] = ours.latest.drift.differences
        assert difference.says == (
            f"It could not be changed back at 2026-11-22 12:15 UTC: {why} It is left to people.",
        )
        assert len(ours.account.deployed.requests) == 1

    def test_a_denial_is_named(self) -> None:
        ours = Mender(logging())
        ours.account.denied = {"cloudformation:UpdateResource"}
        ours.survey()
        ours.pass_quarters(8)

        [mend] = ours.latest.mends
        assert mend.why == "Not known: the role of survey_account lacks cloudformation:UpdateResource."

    def test_what_does_not_end_within_an_hour_is_left(self) -> None:
        ours = Mender(logging())
        ours.account.deployed.updating = True
        ours.survey()
        ours.pass_quarters(8)

        [mend] = ours.latest.mends
        assert mend.why == "Cloud Control API had not ended it within an hour."

    def test_nor_does_a_clock_that_was_set_back_make_it_wait_for_days(self) -> None:
        ours = Mender(logging())
        ours.account.deployed.updating = True
        ours.survey()
        ours.pass_quarters(2)
        before = ours.latest.mends[0]
        ours.world.clock.advance(-timedelta(days=2))
        ours.pass_quarters(2)

        assert (before.state, ours.latest.mends[0].state) == (MendState.BEGUN, MendState.FAILED)

    @pytest.mark.parametrize(("code", "tries"), [("ThrottlingException", 5), ("InvalidRequestException", 1)])
    def test_what_says_nothing_about_the_change_is_asked_again(self, code: str, tries: int) -> None:
        ours = Mender(logging())
        asked = []

        def refused(*args: str) -> dict[str, Any]:
            asked.append(args)
            raise StackRefusal(code, "as AWS would put it")

        ours.account.deployed.update = refused  # type: ignore[method-assign, assignment]
        ours.survey()
        ours.pass_quarters(8)

        assert len(asked) == tries
        assert len({*asked}) == 1
        assert ours.latest.mends[0].state is MendState.FAILED


class TestTold:
    def test_people_and_programs_hear_what_was_changed_from_what_and_how_to_find_who(self) -> None:
        ours = Mender(logging())
        ours.survey()
        ours.pass_quarters(4)

        drifted, mended = ours.world.notices.sent
        assert "One of the next runs changes it back." in drifted.body
        assert mended.subject == "Fleet Warden: security baseline: Logging/DefaultLogLevel: changed-back"
        assert mended.body.splitlines() == [
            f"Account {SURVEYED.account}, us-east-1, as of 2026-11-22 12:00 UTC. Worse than before, or changed back:",
            "",
            "Logging/DefaultLogLevel: drifted -> changed-back",
            "  It is ERROR again; it was DISABLED.",
            "  The function survey_account changes it back because BaselineDrift is mend.",
            "  To close it: find out who changed it: aws cloudtrail lookup-events --lookup-attributes "
            "AttributeKey=EventName,AttributeValue=SetV2LoggingOptions",
            "",
            "What to do next",
            "  Read the whole survey: aws s3 cp s3://evidence/reports/baseline/latest.json -",
        ]
        assert [change["key"] for event in ours.world.announcements.published for change in event["changes"]] == [
            "drift:Logging",
            "mend:Logging/DefaultLogLevel",
        ]

    def test_what_nobody_heard_stays_to_be_told(self) -> None:
        ours = Mender(logging())
        ours.survey()
        ours.world.notices.down = True
        ours.pass_quarters(4)
        ours.pass_day()
        ours.survey()
        assert Owed.NOTICE in record_of(ours).owed
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        [notice] = ours.world.notices.sent
        assert "Logging/DefaultLogLevel: drifted -> changed-back" in notice.body
        assert notice.subject == "Fleet Warden: security baseline: Logging/DefaultLogLevel: changed-back"

    def test_several_at_once_are_counted(self) -> None:
        ours = Mender(audit(A=False))
        ours.survey()
        ours.world.notices.down = True
        ours.pass_quarters(2)
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        [notice] = ours.world.notices.sent
        assert notice.subject == "Fleet Warden: security baseline: 2 things are worse or were changed back"


class TestRules:
    def resource(self, kind: str, path: str, expected: Any, found: Any) -> ResourceDrift:
        def of(value: Any) -> dict[str, Any]:
            inside: Any = value
            for name in reversed(path.removeprefix("/").split("/")):
                inside = {name: inside} if inside is not None else {}
            return dict(inside)

        difference = PropertyDrift(path=path, expected=str(expected), found=str(found))
        return ResourceDrift(
            name="R",
            type=kind,
            status=ResourceStatus.MODIFIED,
            differences=(difference, difference),
            expected=of(expected),
            actual=of(found),
        )

    @pytest.mark.parametrize(
        ("kind", "path", "expected", "found"),
        [
            (AUDIT, "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled", True, False),
            (AUDIT, "/AuditNotificationTargetConfigurations/Sns/Enabled", True, False),
            (SCHEDULE, "/Frequency", "DAILY", "MONTHLY"),
            (LOGGING, "/DefaultLogLevel", "ERROR", "DISABLED"),
            (LOGGING, "/DefaultLogLevel", "INFO", "WARN"),
        ],
    )
    def test_what_was_switched_off_may_be_changed_back(self, kind: str, path: str, expected: Any, found: Any) -> None:
        [back] = returns_of(self.resource(kind, path, expected, found))

        assert back.path == path
        assert back.patch == (
            {"op": "test", "path": path, "value": found},
            {"op": "replace", "path": path, "value": expected},
        )
        assert event_of(kind)

    def test_what_is_not_there_is_added(self) -> None:
        path = "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled"

        [back] = returns_of(self.resource(AUDIT, path, True, None))

        assert back.patch == ({"op": "add", "path": path, "value": True},)

    @pytest.mark.parametrize(
        ("kind", "path", "expected", "found"),
        [
            (AUDIT, "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled", False, True),
            (AUDIT, "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled", "true", "false"),
            (AUDIT, "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled", True, True),
            (AUDIT, "/RoleArn", "arn:ours", "arn:theirs"),
            (AUDIT, "/AuditNotificationTargetConfigurations/Sns/TargetArn", "arn:ours", "arn:theirs"),
            (SCHEDULE, "/Frequency", "WEEKLY", "DAILY"),
            (SCHEDULE, "/Frequency", "DAILY", None),
            (SCHEDULE, "/TargetCheckNames/0", None, "SOMEBODYS_CHECK"),
            (LOGGING, "/DefaultLogLevel", "ERROR", "DEBUG"),
            (LOGGING, "/DefaultLogLevel", "ERROR", "LOUD"),
            (LOGGING, "/DefaultLogLevel", None, "ERROR"),
            (LOGGING, "/RoleArn", "arn:ours", "arn:theirs"),
            (LOGGING, "/EventConfigurations/0/LogLevel", "ERROR", "DISABLED"),
            ("AWS::GuardDuty::Detector", "/Enable", True, False),  # Cloud Control API cannot: decision 25
            ("AWS::GuardDuty::Detector", "/Features/0/Status", "ENABLED", "DISABLED"),
            ("AWS::Logs::LogGroup", "/RetentionInDays", 365, 1),
            ("AWS::CloudTrail::Trail", "/IsLogging", True, False),
            ("AWS::S3::BucketPolicy", "/PolicyDocument", "a", "b"),
            ("AWS::KMS::Key", "/KeyPolicy", "a", "b"),
            ("AWS::IAM::Role", "/ManagedPolicyArns/0", "a", "b"),
        ],
    )
    def test_everything_else_is_left_to_people(self, kind: str, path: str, expected: Any, found: Any) -> None:
        assert [*returns_of(self.resource(kind, path, expected, found))] == []

    def test_checks_that_somebody_added_to_the_schedule_stay(self) -> None:
        drift = Deployed(
            name="R", type=SCHEDULE, id="d", expected={"TargetCheckNames": []}, actual={"TargetCheckNames": ["X"]}
        ).drift()

        assert drift.status is ResourceStatus.MODIFIED
        assert [*returns_of(drift)] == []

    def test_a_type_that_nobody_changes_back_has_no_event(self) -> None:
        assert event_of("AWS::KMS::Key") == ""


def test_no_more_than_thirty_are_kept() -> None:
    ours = Mender(logging())
    ours.survey()
    record = record_of(ours)
    old = Mend(
        resource="A",
        type="T",
        id="i",
        path="/P",
        found="1",
        back_to="2",
        at=NOON - timedelta(days=30),
        patch="[]",
        once="o",
        state=MendState.DONE,
    )
    survey = replace(record.survey, mends=tuple(replace(old, once=f"o-{number}") for number in range(30)))
    ours.world.ledger.commit(Put(LATEST, SURVEYS.record(replace(record, survey=survey)), record.version))

    ours.pass_quarters(4)

    assert len(ours.latest.mends) == 30
    assert ours.latest.mends[-1].key == "Logging/DefaultLogLevel"


def played(strikes_at: int = 0, fate: Fate = Fate.BEFORE) -> tuple[World, Wire]:
    """Change a property back, with a run dying at one call, and run again until nothing is left to do."""
    wire = Wire()
    world = a_world()
    ours = Mender(logging(), world=wired(world, wire))
    ours.survey()
    wire.calls = wire.commits = 0
    if strikes_at:
        wire.arm(strikes_at, fate)
    for _ in range(8):
        world.clock.advance(QUARTER)
        try:
            survey_when_due(ours.surveying)
        except (Crash, Conflict):
            continue
    return world, wire


CLEAN, WIRE = played()
CALLS, COMMITS = WIRE.calls, WIRE.commits


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("strikes_at", range(1, 30))
def test_a_run_that_dies_makes_one_change_all_the_same(strikes_at: int, fate: Fate) -> None:
    if strikes_at > (COMMITS if fate is Fate.ANSWER_LOST else CALLS):
        return

    world, wire = played(strikes_at, fate)

    assert wire.struck
    record = read_latest(world.context.ports)
    assert record is not None
    assert [each.state for each in record.survey.mends] == [MendState.DONE]
    assert record.survey.drift.state is DriftState.IN_SYNC
    assert len(world.account.deployed.requests) == 1
    assert any("changed-back" in notice.body for notice in world.notices.sent)
