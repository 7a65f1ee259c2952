"""The drift of the baseline's stack: compared by CloudFormation over some runs, in the survey, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import NOON, a_world
from tests.stack_model import Deployed
from tests.unit.survey.accounts import Surveyor, fill
from warden.core.drift import PropertyDrift, ResourceDrift, ResourceStatus
from warden.core.ledger import Key
from warden.survey.controls import baseline
from warden.survey.drift import DIFFERENCES, UNDO, drift_of
from warden.survey.model import Drift, DriftState, NotChecked, Survey
from warden.survey.records import SURVEYS, Owed, WatchState, read_latest
from warden.survey.surveys import Run, survey_when_due
from warden.survey.views import survey_json

QUARTER = timedelta(minutes=15)
STACK = "iot-baseline"
S = ResourceStatus


def logging(level: str = "ERROR") -> Deployed:
    return Deployed(
        name="Logging",
        type="AWS::IoT::Logging",
        id="000000000000",
        expected={"DefaultLogLevel": "ERROR"},
        actual={"DefaultLogLevel": level},
    )


def surveyor(*resources: Deployed) -> Surveyor:
    ours = Surveyor(a_world())
    fill(ours.account)
    ours.hear()
    ours.account.deployed.resources[STACK] = [*resources]
    return ours


def pass_quarter(ours: Surveyor) -> Run:
    ours.world.clock.advance(QUARTER)
    return survey_when_due(ours.surveying)


def latest(ours: Surveyor) -> Survey:
    record = read_latest(ours.surveying.ports)
    assert record is not None
    return record.survey


def watch(ours: Surveyor) -> WatchState:
    record = read_latest(ours.surveying.ports)
    assert record is not None
    return record.watch.state


def kept(ours: Surveyor) -> str:
    return "\n".join(ours.world.reports.kept["reports/baseline/latest.json"])


class TestDetection:
    def test_it_is_begun_by_one_run_and_read_by_a_later_one(self) -> None:
        ours = surveyor(logging("DISABLED"))
        ours.account.deployed.comparing = False

        assert ours.survey().drift == Drift()
        assert watch(ours) is WatchState.RUNNING
        ours.account.deployed.comparing = True
        assert pass_quarter(ours).drift is None
        ours.account.deployed.comparing = False
        run = pass_quarter(ours)

        assert run.survey is None
        assert run.drift == latest(ours).drift
        assert latest(ours).at == NOON
        [difference] = latest(ours).drift.differences
        assert (difference.resource, difference.path) == ("Logging", "/DefaultLogLevel")
        assert (difference.expected, difference.found) == ("ERROR", "DISABLED")
        assert (difference.since, difference.controls) == (NOON + 2 * QUARTER, (3,))
        assert difference.closes == ("BaselineDrift=mend", UNDO)
        assert '"found": "DISABLED"' in kept(ours)
        day = ours.world.ledger.read(Key("SURVEY", f"{NOON:%Y-%m-%d}"))
        assert day is not None
        assert SURVEYS.value(day).survey == latest(ours)
        assert watch(ours) is WatchState.IDLE

    def test_a_survey_begins_one_a_day(self) -> None:
        ours = surveyor(logging())

        for _ in range(4 * 24 * 2):
            pass_quarter(ours)

        assert len(ours.account.deployed.detections) == 2
        assert latest(ours).drift.state is DriftState.IN_SYNC

    def test_two_surveys_in_a_quarter_of_an_hour_share_one(self) -> None:
        ours = surveyor(logging())
        ours.survey()
        ours.account.deployed.comparing = True
        ours.survey()
        ours.account.deployed.comparing = False

        pass_quarter(ours)

        assert len(ours.account.deployed.detections) == 1
        assert latest(ours).drift.state is DriftState.IN_SYNC

    def test_without_a_stack_there_is_nothing_to_compare(self) -> None:
        ours = surveyor()
        ours.account.stacks.clear()

        survey = ours.survey()
        pass_quarter(ours)

        assert (survey.drift.state, survey.drift.at) == (DriftState.NO_STACK, NOON)
        assert ours.account.deployed.detections == {}

    def test_a_stack_that_comes_is_compared_from_then_on(self) -> None:
        ours = surveyor()
        stacks = {**ours.account.stacks}
        ours.account.stacks.clear()
        ours.survey()
        ours.account.stacks.update(stacks)

        assert ours.survey().drift.state is DriftState.NOT_YET
        pass_quarter(ours)
        assert latest(ours).drift.state is DriftState.IN_SYNC

    def test_a_stack_that_is_being_deployed_is_compared_afterwards(self) -> None:
        ours = surveyor(logging())
        ours.account.deployed.busy = True
        ours.survey()
        pass_quarter(ours)
        assert latest(ours).drift.state is DriftState.NOT_YET
        ours.account.deployed.busy = False

        pass_quarter(ours)
        pass_quarter(ours)

        assert latest(ours).drift.state is DriftState.IN_SYNC

    @pytest.mark.parametrize(
        ("why", "says"),
        [("busy", "DetectStackDrift with ValidationError"), ("comparing", "DETECTION_IN_PROGRESS")],
    )
    def test_what_does_not_end_within_an_hour_is_not_known(self, why: str, says: str) -> None:
        ours = surveyor(logging())
        ours.account.deployed.busy = why == "busy"
        ours.survey()
        ours.account.deployed.comparing = True
        for _ in range(5):
            pass_quarter(ours)

        drift = latest(ours).drift

        assert drift.state is DriftState.NOT_KNOWN
        assert says in drift.says[0]
        assert watch(ours) is WatchState.IDLE

    def test_a_clock_that_was_set_back_does_not_make_it_wait_for_days(self) -> None:
        ours = surveyor(logging())
        ours.survey()
        ours.account.deployed.comparing = True
        ours.world.clock.advance(-timedelta(days=2))

        ours.survey()
        pass_quarter(ours)

        assert watch(ours) is WatchState.IDLE

    @pytest.mark.parametrize(
        "action",
        [
            "cloudformation:DetectStackDrift",
            "cloudformation:DescribeStackDriftDetectionStatus",
            "cloudformation:DescribeStackResourceDrifts",
        ],
    )
    def test_a_denial_is_named_and_never_in_sync(self, action: str) -> None:
        ours = surveyor(logging())
        ours.account.denied = {action}
        ours.survey()

        pass_quarter(ours)

        survey = latest(ours)
        assert survey.drift.state is DriftState.NOT_KNOWN
        assert survey.drift.says == (f"Not known: the role of survey_account lacks {action}.",)
        assert survey.lacking == (action,)
        assert f'"{action}"' in kept(ours)

    def test_stacks_that_cannot_be_listed_are_compared_all_the_same(self) -> None:
        ours = surveyor(logging())
        ours.account.denied = {"cloudformation:ListStackResources"}
        ours.survey()

        pass_quarter(ours)

        assert latest(ours).drift.says == (
            "Not known: the role of survey_account lacks cloudformation:ListStackResources.",
        )


class TestFound:
    def found(self, *resources: ResourceDrift, before: Drift | None = None) -> Drift:
        return drift_of(resources, baseline(), before or Drift(), NOON)

    def modified(self, *differences: PropertyDrift, name: str = "Logging") -> ResourceDrift:
        return ResourceDrift(name=name, type="T", status=S.MODIFIED, differences=differences)

    def test_a_resource_that_is_gone_is_a_difference(self) -> None:
        drift = self.found(ResourceDrift(name="DailyAudit", type="T", status=S.DELETED))

        [difference] = drift.differences
        assert drift.state is DriftState.DRIFTED
        assert (difference.key, difference.expected, difference.found) == ("DailyAudit", "there", "deleted")
        assert difference.controls == (1, 2, 4, 6)

    def test_a_suspended_detector_has_its_command(self) -> None:
        differences = tuple(PropertyDrift(path=path, expected="true", found="false") for path in ("/Enable", "/Other"))
        detector = ResourceDrift(
            name="Detector", type="AWS::GuardDuty::Detector", id="1a2b", status=S.MODIFIED, differences=differences
        )

        enable, other = self.found(detector).differences

        assert enable.closes == ("aws guardduty update-detector --detector-id 1a2b --enable", UNDO)
        assert other.closes == (UNDO,)

    def test_a_resource_that_drifted_in_nothing_that_is_named_is_one_too(self) -> None:
        [difference] = self.found(self.modified()).differences

        assert (difference.key, difference.found) == ("Logging", "modified")

    def test_what_was_not_checked_is_listed_with_its_reason(self) -> None:
        drift = self.found(
            ResourceDrift(name="A", type="T", status=S.IN_SYNC),
            ResourceDrift(name="B", type="T", status=S.NOT_CHECKED, reason="no right"),
        )

        assert (drift.state, drift.says) == (DriftState.IN_SYNC, ())
        assert drift.not_checked == (NotChecked(resource="B", type="T", why="no right"),)

    def test_where_nothing_was_checked_nothing_is_known(self) -> None:
        drift = self.found(ResourceDrift(name="B", type="T", status=S.NOT_CHECKED))

        assert drift.state is DriftState.NOT_KNOWN
        assert drift.says == ("CloudFormation compared no resource of the stack.",)

    def test_since_is_when_it_was_found_first(self) -> None:
        before = self.found(self.modified(PropertyDrift(path="/A", expected="1", found="2")))
        again = self.modified(
            PropertyDrift(path="/A", expected="1", found="3"), PropertyDrift(path="/B", expected="1", found="2")
        )

        drift = drift_of([again], baseline(), before, NOON + QUARTER)

        assert [each.since for each in drift.differences] == [NOON, NOON + QUARTER]

    def test_what_aws_wrote_is_escaped_cut_and_counted(self) -> None:
        hostile = PropertyDrift(path="/a b\n" + "x" * 500, expected="<script>\x1b[2J" + "y" * 900, found="\u202e")
        many = [PropertyDrift(path=f"/{number}", expected="1", found="2") for number in range(DIFFERENCES + 7)]
        unchecked = [ResourceDrift(name=f"R{n}", type="T", status=S.NOT_CHECKED, reason="z" * 900) for n in range(60)]

        drift = self.found(self.modified(hostile, *many, name="N" * 400), *unchecked)

        assert (len(drift.differences), drift.left_out) == (DIFFERENCES, 8)
        assert len(drift.not_checked) == 50
        first = drift.differences[0]
        assert first.path.startswith("/a b\\u000a")
        assert first.expected.startswith("<script>\\u001b[2J")
        assert first.found == "\\u202e"
        assert " " not in first.key
        assert len(first.key) <= 400
        assert max(map(len, (first.expected, drift.not_checked[0].why))) == 300
        assert len(str(survey_json(replace(latest(surveyed()), drift=drift)))) < 60_000


def surveyed() -> Surveyor:
    ours = surveyor()
    ours.survey()
    return ours


class TestTold:
    def drifted(self, *resources: Deployed) -> Surveyor:
        ours = surveyor(*(resources or (logging("DISABLED"),)))
        ours.survey()
        pass_quarter(ours)
        return ours

    def test_each_resource_is_named_with_its_properties(self) -> None:
        ours = self.drifted()

        [notice] = ours.world.notices.sent
        assert notice.subject == "Fleet Warden: security baseline: Logging (AWS::IoT::Logging): drifted"
        assert [
            "Logging (AWS::IoT::Logging): in-sync -> drifted",
            "  /DefaultLogLevel: expected ERROR, found DISABLED.",
            "  To close it: BaselineDrift=mend",
            f"  To close it: {UNDO}",
        ] == notice.body.splitlines()[2:6]
        [event] = ours.world.announcements.published
        assert (event["id"], event["at"]) == (f"survey:{event['at']}", "2026-11-22T12:15:00.000000Z")
        assert [change["key"] for change in event["changes"]] == ["drift:Logging"]

    def test_the_same_drift_is_told_once_and_another_property_again(self) -> None:
        ours = self.drifted()
        ours.pass_day()
        survey_when_due(ours.surveying)
        pass_quarter(ours)
        assert len(ours.world.notices.sent) == 1

        [found] = [each for each in ours.account.deployed.resources[STACK] if each.name == "Logging"]
        found.expected["RoleArn"], found.actual = "arn:ours", {"DefaultLogLevel": "DISABLED", "RoleArn": "arn:theirs"}
        ours.survey()
        pass_quarter(ours)

        assert len(ours.world.notices.sent) == 2
        assert "/RoleArn: expected arn:ours, found arn:theirs." in ours.world.notices.sent[1].body
        assert "/DefaultLogLevel" not in ours.world.notices.sent[1].body

    def test_what_was_undone_and_drifts_again_is_told_again(self) -> None:
        ours = self.drifted()
        [found] = [each for each in ours.account.deployed.resources[STACK] if each.name == "Logging"]
        for level in ("ERROR", "DISABLED"):
            found.actual = {"DefaultLogLevel": level}
            ours.survey()
            pass_quarter(ours)

        assert len(ours.world.notices.sent) == 2

    def test_many_properties_of_a_resource_are_counted(self) -> None:
        values = {f"P{number}": "1" for number in range(12)}
        ours = self.drifted(replace(logging(), expected=values, actual=dict.fromkeys(values, "2")))

        assert "  Properties beside these: 2." in ours.world.notices.sent[0].body

    def test_that_nothing_is_known_any_more_is_told_once(self) -> None:
        ours = surveyor(logging())
        for _ in range(3):
            ours.survey()
            pass_quarter(ours)
            ours.account.denied = {"cloudformation:DetectStackDrift"}

        [notice] = ours.world.notices.sent
        assert "What the baseline made is as it was deployed: in-sync -> not-known" in notice.body

    def test_what_was_drifted_before_it_was_not_known_is_no_news(self) -> None:
        ours = self.drifted()
        for denied in ({"cloudformation:DetectStackDrift"}, set[str]()):
            ours.account.denied = denied
            ours.survey()
            pass_quarter(ours)

        assert len(ours.world.notices.sent) == 2  # the drift, and that it was not known

    @pytest.mark.parametrize(("level", "told"), [("DISABLED", True), ("ERROR", False)])
    def test_what_nobody_heard_is_told_if_it_is_still_so(self, level: str, told: bool) -> None:
        ours = surveyor(logging("DISABLED"))
        ours.survey()
        ours.world.notices.down = True
        pass_quarter(ours)
        assert survey_when_due(ours.surveying).owed == (Owed.NOTICE,)
        ours.account.deployed.resources[STACK][0].actual = {"DefaultLogLevel": level}
        ours.survey()
        pass_quarter(ours)
        ours.survey()
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        assert any("DefaultLogLevel" in notice.body for notice in ours.world.notices.sent) is told

    def test_a_survey_that_is_worse_and_the_drift_are_told_together(self) -> None:
        ours = surveyor(logging("DISABLED"))
        ours.survey()
        ours.account.detector = None
        ours.world.notices.down = True
        ours.survey()
        pass_quarter(ours)
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        [notice] = ours.world.notices.sent
        assert "GuardDuty watches the account: on -> off" in notice.body
        assert "/DefaultLogLevel: expected ERROR, found DISABLED." in notice.body
        assert notice.subject == "Fleet Warden: security baseline: 3 things are worse"

    def test_not_known_is_untold_until_it_is_known(self) -> None:
        ours = surveyor(logging())
        ours.survey()
        pass_quarter(ours)
        ours.account.denied = {"cloudformation:DetectStackDrift"}
        ours.world.notices.down = True
        ours.survey()
        ours.survey()
        ours.world.notices.down = False
        survey_when_due(ours.surveying)

        assert ["not-known" in notice.body for notice in ours.world.notices.sent] == [True]
