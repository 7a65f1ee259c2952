"""The daily survey: what is on record, who is notified of what, and how a run that dies is continued."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.account_model import AccountModel
from tests.fakes import NOON, SETTINGS, AwsError, Crash, FakeLedger, World, a_world
from tests.port_wire import Fate, Wire, wired
from tests.unit.survey.accounts import Surveyor, control, fill, line, newly_deployed
from warden.core.account_facts import Detector
from warden.core.errors import Conflict
from warden.core.ledger import EXPIRY, Key, Put
from warden.survey.drift import UNDO
from warden.survey.model import Drift, Mend, Pulse, State, Survey
from warden.survey.records import LATEST, SURVEYS, Owed, read_latest
from warden.survey.surveys import Run, survey_when_due
from warden.survey.views import survey_json
from warden_pages.survey import survey_page

QUARTER = timedelta(minutes=15)


def surveyor(plan_fault: Callable[[], str] = str) -> Surveyor:
    world = a_world()
    fill(world.account)
    found = Surveyor(world, plan_fault)
    found.hear()
    return found


def worse() -> Surveyor:
    """Survey an account, and make it worse by the next day."""
    ours = surveyor()
    ours.survey()
    ours.pass_day()
    ours.account.detector = None
    return ours


def _told_of_logging(states: str) -> int:
    """Survey an account once a day while its logging is in these states; return how many notices were sent."""
    ours = surveyor()
    for state in states.split():
        ours.account.denied = {"iot:GetV2LoggingOptions"} if state == "not-known" else set()
        ours.account.silent = {"iot:GetV2LoggingOptions"} if state == "silent" else set()
        ours.account.logging = fill(AccountModel()).logging if state != "off" else None
        assert control(ours.survey(), "logging").state == ("not-known" if state == "silent" else state)
        ours.pass_day()
    return len(ours.world.notices.sent)


class RefusingLedger:
    """A ledger that takes a number of commits and no more."""

    def __init__(self, ledger: FakeLedger, takes: int, refusal: Exception | None = None) -> None:
        self._ledger = ledger
        self._takes = takes
        self._refusal = refusal or AwsError("the ledger takes nothing")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def commit(self, *puts: Put) -> None:
        if not self._takes:
            raise self._refusal
        self._takes -= 1
        self._ledger.commit(*puts)


class UnreadLedger(RefusingLedger):
    """A ledger that answers nothing, from the first read on."""

    def __init__(self, ledger: FakeLedger) -> None:
        super().__init__(ledger, takes=0)

    def read(self, _key: Key) -> None:
        raise self._refusal


class NoMarkOfNotice(RefusingLedger):
    """A ledger that takes everything except the record that the notice was sent."""

    def __init__(self, ledger: FakeLedger) -> None:
        super().__init__(ledger, takes=0)

    def commit(self, *puts: Put) -> None:
        before = self._ledger.read(LATEST)
        if before and "notice" in before["owed"] and "notice" not in puts[0].record["owed"]:
            raise self._refusal
        self._ledger.commit(*puts)


def run_with(ours: Surveyor, **ports: Any) -> Run:
    """Run once with other ports."""
    changed = replace(ours.world.context.ports, **ports)
    return survey_when_due(replace(ours.surveying, ports=changed))


class TestWhenDue:
    def test_the_first_run_surveys_and_then_one_a_day(self) -> None:
        ours = surveyor()

        made = []
        for _ in range(4 * 24 * 3):
            if survey_when_due(ours.surveying).survey:
                made.append(ours.world.clock())
            ours.world.clock.advance(QUARTER)

        assert made == [NOON, NOON + timedelta(days=1), NOON + timedelta(days=2)]

    def test_now_does_not_wait(self) -> None:
        ours = surveyor()
        ours.survey()

        assert survey_when_due(ours.surveying).survey is None
        assert ours.survey().at == NOON

    def test_two_runs_at_once_leave_one_survey_of_the_later(self) -> None:
        ours, asked = surveyor(), list[int]()

        class Overtaken(RefusingLedger):
            """Another run has its survey on record first."""

            def commit(self, *puts: Put) -> None:
                asked.append(len(puts))
                if len(asked) == 1:
                    ours.survey()
                self._ledger.commit(*puts)

        run = run_with(ours, ledger=Overtaken(ours.world.ledger, takes=0))

        assert not run.failures
        assert len(asked) > 1
        assert run.survey is not None


class TestOnRecord:
    def test_the_last_survey_and_one_of_each_day_which_expires(self) -> None:
        ours = surveyor()

        survey = ours.survey()

        day = ours.world.ledger.read(Key("SURVEY", f"{NOON:%Y-%m-%d}"))
        assert day is not None
        assert day["type"] == "survey"
        assert day[EXPIRY] == int((NOON + SETTINGS.case_retention).timestamp())
        latest = ours.world.ledger.read(LATEST)
        assert latest is not None
        assert EXPIRY not in latest
        assert SURVEYS.value(day).survey == SURVEYS.value(latest).survey == survey

    def test_the_reports_of_the_day_and_of_the_last_are_the_same(self) -> None:
        ours = surveyor()

        survey = ours.survey()

        kept = ours.world.reports
        for name in ("2026-11-22", "latest"):
            assert json.loads("".join(kept.kept.pop(f"reports/baseline/{name}.json"))) == survey_json(survey)
            assert kept.types.pop(f"reports/baseline/{name}.json") == "application/json"
            assert kept.kept.pop(f"reports/baseline/{name}.html") == survey_page(survey_json(survey)).splitlines()
            assert kept.types.pop(f"reports/baseline/{name}.html") == "text/html; charset=utf-8"
        assert not kept.kept
        assert not kept.types

    def test_a_second_survey_on_one_day_converges(self) -> None:
        ours = surveyor()
        first = ours.survey()
        ours.world.clock.advance(timedelta(hours=1))

        second = ours.survey()

        assert replace(second, at=first.at, drift=first.drift) == first
        assert ours.world.notices.sent == []
        assert len([key for key in ours.world.ledger.records if key.partition == "SURVEY"]) == 2

    def test_a_state_keeps_its_since_until_it_changes(self) -> None:
        ours = surveyor()
        ours.survey()
        ours.pass_day()
        ours.account.detector = None

        survey = ours.survey()

        assert control(survey, "logging").since == NOON
        assert control(survey, "guardduty").since == NOON + timedelta(days=1)
        assert line(survey, "plan").since == NOON
        assert line(survey, "guardduty").since == NOON + timedelta(days=1)

    def test_the_day_of_deployment_is_that_of_the_first_survey(self) -> None:
        ours = Surveyor(a_world())
        newly_deployed(ours.account)

        assert line(ours.survey(), "audit-report").pulse is Pulse.NOT_YET
        ours.world.clock.advance(timedelta(hours=25))
        assert line(ours.survey(), "audit-report").pulse is Pulse.NOT_YET
        ours.world.clock.advance(timedelta(hours=1))
        assert line(ours.survey(), "audit-report").pulse is Pulse.WRONG

    def test_a_report_that_was_read_is_heard(self) -> None:
        ours = surveyor()
        ours.survey()
        ours.pass_day()
        assert line(ours.survey(), "audit-report").pulse is Pulse.OK

        ours.account.audits = [replace(task, id="task-2") for task in ours.account.audits]
        assert line(ours.survey(), "audit-report").pulse is Pulse.WRONG

        ours.hear("task-2")
        assert line(ours.survey(), "audit-report").pulse is Pulse.OK

    def test_what_the_role_lacks_is_listed(self) -> None:
        ours = surveyor()
        ours.account.denied = {"iot:GetV2LoggingOptions", "s3:GetBucketVersioning"}

        assert ours.survey().lacking == ("iot:GetV2LoggingOptions", "s3:GetBucketVersioning")

    def test_a_plan_that_cannot_be_read_does_not_stop_it(self) -> None:
        ours = surveyor(lambda: "line 3: no such mode")

        assert [each.key for each in ours.survey().wrong] == ["plan"]


class TestTold:
    def test_a_first_survey_tells_nobody(self) -> None:
        ours = Surveyor(a_world())
        newly_deployed(ours.account)

        ours.survey()

        assert ours.world.notices.sent == []
        assert ours.world.announcements.published == []

    def test_what_became_worse_is_told_once_to_people_and_programs(self) -> None:
        ours = surveyor()
        ours.survey()
        ours.pass_day()
        ours.account.detector = None

        for _ in range(3):
            ours.survey()
            ours.pass_day()

        [notice] = ours.world.notices.sent
        assert notice.subject == "Fleet Warden: security baseline: 2 things are worse"
        assert notice.body.splitlines() == [
            "Account 123456789012, us-east-1, as of 2026-11-23 12:00 UTC. Worse than before:",
            "",
            "GuardDuty watches the account: on -> off",
            "  GuardDuty has no detector here.",
            f"  To close it: {UNDO}",
            "",
            "GuardDuty is on: ok -> wrong",
            "  GuardDuty has no detector in this region.",
            "  To close it: Deploy the baseline with DetectorMode=create; if there is a detector: "
            "aws guardduty update-detector --enable.",
            "",
            "What to do next",
            "  Read the whole survey: aws s3 cp s3://evidence/reports/baseline/latest.json -",
        ]
        [event] = ours.world.announcements.published
        assert event == {
            "schema": 1,
            "id": "survey:2026-11-23T12:00:00.000000Z",
            "account": "123456789012",
            "region": "us-east-1",
            "at": "2026-11-23T12:00:00.000000Z",
            "changes": [
                {
                    "key": "control:guardduty",
                    "before": "on",
                    "after": "off",
                    "says": ["GuardDuty has no detector here."],
                },
                {
                    "key": "liveness:guardduty",
                    "before": "ok",
                    "after": "wrong",
                    "says": ["GuardDuty has no detector in this region."],
                },
            ],
        }

    def test_one_thing_is_named_in_the_subject(self) -> None:
        ours = surveyor()
        ours.survey()
        ours.account.logging = None

        ours.survey()

        assert ours.world.notices.subjects == ["Fleet Warden: security baseline: AWS IoT logs what it refuses: off"]

    def test_what_became_better_is_no_news(self) -> None:
        ours = Surveyor(a_world())
        newly_deployed(ours.account)
        ours.survey()
        fill(ours.account)
        ours.hear()

        ours.survey()

        assert ours.world.notices.sent == []

    @pytest.mark.parametrize(
        ("states", "told"),
        [
            ("on off", 1),
            ("on off off", 1),
            ("on off on off", 2),
            ("on not-known", 1),
            ("on not-known not-known", 1),
            ("on not-known on", 1),
            ("on not-known off", 2),
            ("off not-known off", 0),
            ("off not-known", 0),
            ("not-known off", 0),
            ("not-known on off", 1),
        ],
    )
    def test_who_can_compare_is_told_and_nobody_is_told_twice(self, states: str, told: int) -> None:
        assert _told_of_logging(states) == told

    @pytest.mark.parametrize(
        ("states", "told"),
        [
            ("on silent on", 0),
            ("on silent silent", 0),
            ("on silent off", 1),
            ("on silent not-known", 1),
            ("on silent silent not-known not-known", 1),
            ("on not-known silent not-known", 1),
            ("off silent off", 0),
        ],
    )
    def test_an_outage_alone_is_no_news_and_hides_none(self, states: str, told: int) -> None:
        assert _told_of_logging(states) == told

    def test_a_region_that_loses_a_service_compares_with_nothing(self) -> None:
        ours = surveyor()
        ours.survey()
        ours.account.has_device_defender = False

        survey = ours.survey()

        assert control(survey, "daily-audit").state is State.NOT_AVAILABLE_HERE
        assert ours.world.notices.sent == []


class TestOwed:
    def test_what_cannot_be_sent_now_is_sent_by_the_next_run(self) -> None:
        ours = worse()
        ours.world.notices.down = True

        assert survey_when_due(ours.surveying).owed == (Owed.NOTICE,)
        assert len(ours.world.announcements.published) == 1
        assert survey_when_due(ours.surveying).owed == (Owed.NOTICE,)
        ours.world.notices.down = False
        assert survey_when_due(ours.surveying).owed == ()

        assert len(ours.world.notices.sent) == 1
        assert len(ours.world.announcements.published) == 1

    def test_programs_may_be_out_of_reach_while_people_are_not(self) -> None:
        ours = worse()
        ours.world.announcements.down = True

        assert survey_when_due(ours.surveying).owed == (Owed.EVENT,)
        assert len(ours.world.notices.sent) == 1

    def test_what_nobody_heard_for_a_day_is_in_the_next_survey_if_it_is_still_so(self) -> None:
        ours = worse()
        ours.world.notices.down = True
        survey_when_due(ours.surveying)
        ours.pass_day()
        survey_when_due(ours.surveying)
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        [notice] = ours.world.notices.sent
        assert "GuardDuty watches the account: on -> off" in notice.body

    def test_what_nobody_heard_and_is_mended_is_no_news(self) -> None:
        ours = worse()
        ours.world.notices.down = True
        survey_when_due(ours.surveying)
        ours.pass_day()
        ours.account.detector = Detector(id="d-1", enabled=True)
        survey_when_due(ours.surveying)
        ours.world.notices.down = False

        survey_when_due(ours.surveying)

        assert ours.world.notices.sent == []


class TestOneOutputFails:
    """What refuses stays owed and makes the run a failure; it stops neither the other outputs nor later surveys."""

    def test_the_bucket_stops_neither_notices_nor_later_surveys(self) -> None:
        ours = worse()
        ours.world.reports.down = True

        run = survey_when_due(ours.surveying)
        assert run.owed == (Owed.REPORTS,)
        assert {str(each) for each in run.failures} == {"S3 is down"}
        assert len(ours.world.notices.sent) == len(ours.world.announcements.published) == 1

        ours.pass_day()
        assert survey_when_due(ours.surveying).survey is not None

        ours.world.reports.down = False
        mended = survey_when_due(ours.surveying)
        assert (mended.owed, list(mended.failures)) == ((), [])
        assert len(ours.world.notices.sent) == 1

    def test_a_page_that_cannot_be_made_leaves_the_rest(self) -> None:
        ours = worse()
        fault = ZeroDivisionError("in a template")

        def broken(_: object) -> str:
            raise fault

        ours.surveying = replace(ours.surveying, page=broken)
        ours.world.reports.kept.clear()

        run = survey_when_due(ours.surveying)

        assert set(run.failures) == {fault}
        assert set(ours.world.reports.kept) == {"reports/baseline/2026-11-23.json", "reports/baseline/latest.json"}
        assert len(ours.world.notices.sent) == 1
        ours.pass_day()
        assert survey_when_due(ours.surveying).survey is not None

    def test_a_ledger_that_takes_no_survey_leaves_the_reports_and_tells_nobody_yet(self) -> None:
        ours = worse()
        run = run_with(ours, ledger=RefusingLedger(ours.world.ledger, takes=0))

        assert run.survey is not None
        assert {str(each) for each in run.failures} == {"the ledger takes nothing"}
        latest = json.loads("".join(ours.world.reports.kept["reports/baseline/latest.json"]))
        assert latest == survey_json(run.survey)
        assert ours.world.notices.sent == []  # every run would tell it again

        run = survey_when_due(ours.surveying)
        assert list(run.failures) == []
        assert len(ours.world.notices.sent) == len(ours.world.announcements.published) == 1

    def test_a_ledger_that_cannot_be_read_leaves_a_survey_that_takes_no_other_s_place(self) -> None:
        ours = worse()
        kept, counted = dict(ours.world.reports.kept), len(ours.counted)

        run = run_with(ours, ledger=UnreadLedger(ours.world.ledger))

        assert run.survey is not None
        assert [str(each) for each in run.failures] == ["the ledger takes nothing"]
        new = {name: "".join(text) for name, text in ours.world.reports.kept.items() if name not in kept}
        assert {*new} == {"reports/baseline/off-record.json", "reports/baseline/off-record.html"}
        assert json.loads(new["reports/baseline/off-record.json"]) == survey_json(run.survey)
        assert {name: ours.world.reports.kept[name] for name in kept} == kept
        assert ours.counted[counted:] == [run.survey]
        assert control(run.survey, "guardduty").state is State.OFF
        assert ours.world.notices.sent == []

    def test_what_only_the_ledger_has_is_not_known_without_it(self) -> None:
        ours = surveyor()

        run = run_with(ours, ledger=UnreadLedger(ours.world.ledger))

        assert run.survey is not None
        unknown = [each.key for each in run.survey.controls if each.state is State.NOT_KNOWN]
        unknown += [each.key for each in run.survey.liveness if each.pulse is Pulse.NOT_KNOWN]
        assert unknown == ["logging", "audit-report"]
        assert all(says.endswith("why.") for says in control(run.survey, "logging").says)
        assert line(run.survey, "audit-report").says == control(run.survey, "logging").says

    def test_a_survey_that_others_overtake_every_time_ends_the_run(self) -> None:
        ours = worse()
        ours.world.reports.kept.clear()

        with pytest.raises(Conflict, match="overtaken"):
            run_with(ours, ledger=RefusingLedger(ours.world.ledger, 0, Conflict("overtaken")))

        assert not ours.world.reports.kept  # another run's survey is the last one

    def test_a_mark_that_the_ledger_does_not_take_is_made_by_the_next_run(self) -> None:
        ours = worse()
        run = run_with(ours, ledger=RefusingLedger(ours.world.ledger, takes=1))

        assert run.survey is not None
        assert run.owed == (Owed.METRICS, Owed.REPORTS, Owed.EVENT, Owed.NOTICE)
        assert run.failures
        assert ours.world.notices.sent == []

        assert survey_when_due(ours.surveying).owed == ()
        assert len(ours.world.notices.sent) == 1

    def test_a_run_that_dies_before_its_metrics_are_printed_has_them_printed_by_the_next(self) -> None:
        ours, counted = surveyor(), list[Survey]()

        def dies(_: Survey) -> None:
            raise Crash("printing")

        with pytest.raises(Crash):
            survey_when_due(replace(ours.surveying, count=dies))
        assert survey_when_due(replace(ours.surveying, count=counted.append)).survey is None

        assert [each.at for each in counted] == [NOON]
        survey_when_due(replace(ours.surveying, count=counted.append))
        assert len(counted) == 1

    def test_a_drift_that_was_not_counted_is_counted_with_the_next_survey(self) -> None:
        ours, counted = surveyor(), list[Drift]()
        ours.survey()

        def fails(_: Drift) -> None:
            raise AwsError("printing")

        for _ in range(2):
            survey_when_due(replace(ours.surveying, count_drift=fails), now=True)
        survey_when_due(replace(ours.surveying, count_drift=counted.append), now=True)

        assert counted

    def test_a_notice_whose_mark_the_ledger_refuses_is_sent_ever_more_seldom(self) -> None:
        ours = worse()
        ledger = NoMarkOfNotice(ours.world.ledger)
        run_with(ours, ledger=ledger)
        began = ours.world.clock()
        times = list[timedelta]()

        for _ in range(4 * 23):
            told = len(ours.world.notices.sent)
            run_with(ours, ledger=ledger)
            if len(ours.world.notices.sent) > told:
                times.append(ours.world.clock() - began)
            ours.world.clock.advance(QUARTER)

        assert 3 <= len(times) <= 9
        assert max(times) > timedelta(hours=6)
        survey_when_due(ours.surveying)
        ours.world.clock.advance(timedelta(hours=6))
        assert survey_when_due(ours.surveying).owed == ()

    def test_a_ledger_that_does_not_take_that_a_notice_is_tried_keeps_it_unsent_and_owed(self) -> None:
        ours = worse()
        takes = 4  # the survey, its metrics, reports and event

        run = run_with(ours, ledger=RefusingLedger(ours.world.ledger, takes=takes), stack_drift=None)

        assert run.owed == (Owed.NOTICE,)
        assert ours.world.notices.sent == []
        assert survey_when_due(ours.surveying).owed == ()
        assert len(ours.world.notices.sent) == 1

    def test_a_comparison_that_fails_leaves_the_survey_and_its_notices(self) -> None:
        ours = worse()

        run = run_with(ours, stack_drift=None)

        assert run.survey is not None
        assert [type(each) for each in run.failures] == [AttributeError]
        assert run.owed == ()
        assert len(ours.world.notices.sent) == 1

    def test_a_property_that_cannot_be_changed_back_leaves_them_too(self) -> None:
        ours = worse()
        begun = Mend(
            resource="A", type="T", id="a", path="/p", found="1", back_to="2", at=NOON, patch="", once="o", request="r"
        )
        record = read_latest(ours.surveying.ports)
        assert record is not None
        under_way = replace(record, survey=replace(record.survey, mends=(begun,)))
        ours.world.ledger.commit(Put(LATEST, SURVEYS.record(under_way), record.version))

        run = run_with(ours, resource_updates=None)

        assert run.survey is not None
        assert [type(each) for each in run.failures] == [AttributeError]
        assert len(ours.world.notices.sent) == 1


class TestAClockThatWasSetBack:
    def test_a_survey_of_the_future_does_not_delay_the_next(self) -> None:
        ours = surveyor()
        ours.world.clock.advance(timedelta(days=30))
        ours.survey()
        ours.world.clock.advance(-timedelta(days=30))

        assert survey_when_due(ours.surveying).survey is not None
        assert survey_when_due(ours.surveying).survey is None


def played(strikes_at: int = 0, fate: Fate = Fate.BEFORE) -> tuple[World, Wire]:
    """Survey an account that became worse, with the run dying at one call, and run again until nothing is due."""
    wire = Wire()
    world = a_world()
    fill(world.account)
    ours = Surveyor(wired(world, wire))
    ours.hear()
    ours.survey()
    ours.pass_day()
    ours.account.detector = None
    wire.calls = wire.commits = 0
    if strikes_at:
        wire.arm(strikes_at, fate)
    for _ in range(3):
        try:
            survey_when_due(ours.surveying)
        except (Crash, Conflict):
            continue
    return world, wire


CLEAN, WIRE = played()
CALLS, COMMITS = WIRE.calls, WIRE.commits  # the outcome is read through the wire, too


def outcome(world: World) -> dict[str, Any]:
    record = read_latest(world.context.ports)
    assert record is not None
    return {
        "owed": record.owed,
        "worse": {key for change in world.announcements.published for key in [str(change["changes"])]},
        "reports": world.reports.kept,
        "survey": record.survey,
    }


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("strikes_at", range(1, CALLS + 1))
def test_a_run_that_dies_is_finished_by_the_next(strikes_at: int, fate: Fate) -> None:
    if fate is Fate.ANSWER_LOST and strikes_at > COMMITS:
        return

    world, wire = played(strikes_at, fate)

    assert wire.struck
    assert outcome(world) == outcome(CLEAN)
    assert 1 <= len(world.notices.sent) <= 2
    assert {notice.body for notice in world.notices.sent} == {notice.body for notice in CLEAN.notices.sent}
