"""Cases in the ledger: what is written, which findings join a case, and when it expires."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.fakes import NOON, FakeLedger, a_finding, an_old_certificate, its_end
from warden.cases.model import (
    Case,
    Cases,
    CaseState,
    Outcome,
    Progress,
    Resolution,
    Step,
    StepKind,
    TimelineEntry,
    case_from,
    case_record,
)
from warden.core.errors import Refused
from warden.core.findings import Severity, Source, Subject, SubjectType
from warden.core.ledger import Key

KEPT = timedelta(days=400)
AN_HOUR = timedelta(hours=1)
OPENED = Step(StepKind.FINDING, "device-defender-detect", "too much", {"finding": "violation-1"})
OVER = Step(StepKind.FINDING_OVER, "device-defender-detect", "alarm-cleared", {})

EVERYTHING = Case(
    id="case-1",
    problem="problem-1",
    source=Source.GUARDDUTY,
    kind="stolen",
    subject=Subject(SubjectType.CERTIFICATE, "a" * 64),
    thing="pump-3",
    severity=Severity.LOW,
    title="title",
    state=CaseState.CONTAINED,
    opened_at=NOON,
    findings={"f-1": True, "f-2": False},
    attributes={"certificate": "a" * 64},
    evidence={"bytes": 7},
    rule="rule-1",
    mode="enforce",
    outcomes={"quarantine": Outcome(Progress.STARTED, "on its way", "warden-1")},
    admitted=True,
    affected=("pump-3", "pump-4"),
    approved_by="dana",
    approved_at=NOON + AN_HOUR,
    released_by="erin",
    released_at=NOON + AN_HOUR,
    resolution=Resolution.RELEASED,
    closed_at=NOON + 2 * AN_HOUR,
    acted_before=NOON - AN_HOUR,
    decided_on="violation-1",
    version=7,
)


class Book:
    """The cases over a ledger."""

    def __init__(self) -> None:
        self.ledger = FakeLedger()
        self.cases = Cases(self.ledger, KEPT)

    def open(self, **changes: Any) -> Case:
        return self.cases.begin(a_finding(**changes), "pump-3", NOON, OPENED)

    def problem(self) -> dict[str, Any]:
        [record] = self.ledger.of_type("problem")
        return dict(record)

    def steps(self, case: Case) -> dict[str, dict[str, Any]]:
        return {found.key.sort: dict(found.record) for found in self.ledger.partition(case.key.partition, prefix="ST")}


def expiry(since: datetime) -> int:
    return int((since + KEPT).timestamp())


# --- what is written -----------------------------------------------------------------------------------------------


def test_a_case_is_written_whole_and_read_as_it_was_written() -> None:
    record = case_record(EVERYTHING)

    assert record == {
        "type": "case",
        "v": 1,
        "case_id": "case-1",
        "problem": "problem-1",
        "source": "guardduty",
        "kind": "stolen",
        "subject": {"type": "certificate", "name": "a" * 64},
        "severity": "low",
        "title": "title",
        "case_state": "contained",
        "opened_at": "2026-11-22T12:00:00.000000Z",
        "findings": {"f-1": True, "f-2": False},
        "attributes": {"certificate": "a" * 64},
        "evidence": {"bytes": 7},
        "rule": "rule-1",
        "mode": "enforce",
        "outcomes": {"quarantine": {"progress": "started", "detail": "on its way", "job_id": "warden-1"}},
        "admitted": True,
        "affected": ["pump-3", "pump-4"],
        "approved_by": "dana",
        "approved_at": "2026-11-22T13:00:00.000000Z",
        "released_by": "erin",
        "released_at": "2026-11-22T13:00:00.000000Z",
        "accepts_changes": False,
        "resolution": "released",
        "closed_at": "2026-11-22T14:00:00.000000Z",
        "acted_before": "2026-11-22T11:00:00.000000Z",
        "decided_on": "violation-1",
        "case_thing": "pump-3",
    }
    assert case_from({**record, "version": 7}) == EVERYTHING


def test_a_case_that_nothing_has_happened_to_is_read_as_it_was_written() -> None:
    book = Book()
    case = book.open()

    record = case_record(case)
    assert {name: record[name] for name in ("approved_at", "closed_at", "acted_before")} == {
        "approved_at": "",
        "closed_at": "",
        "acted_before": "",
    }
    assert book.cases.read(case.id) == case


def test_a_case_without_a_device_is_in_no_list_of_a_device() -> None:
    record = case_record(replace(EVERYTHING, thing=""))

    assert "case_thing" not in record
    assert case_from({**record, "version": 7}).thing == ""


def test_a_record_of_an_earlier_version_is_read() -> None:
    record = {**case_record(EVERYTHING), "version": 7}
    for name in ("acted_before", "decided_on", "case_thing"):
        del record[name]

    assert case_from(record) == replace(EVERYTHING, thing="", acted_before=None, decided_on="")


def test_a_new_case_is_its_record_its_problem_and_its_first_step() -> None:
    book = Book()

    case = book.open(evidence={"bytes": 7}, attributes={"behavior": "burst"})

    assert case.id == f"{case.problem[:12]}-1"
    assert case.version == 1
    assert case.key == Key(f"CASE#{case.id}", "CASE")
    assert (case.evidence, case.attributes) == ({"bytes": 7}, {"behavior": "burst"})
    assert book.problem() == {
        "type": "problem",
        "v": 1,
        "case_id": case.id,
        "is_open": True,
        "generation": 1,
        "closed_at": "",
        "acted_at": "",
        "ended": {},
        "version": 1,
    }
    assert book.steps(case) == {
        "STEP#000001#00": {
            "type": "step",
            "v": 1,
            "at": "2026-11-22T12:00:00.000000Z",
            "kind": "finding",
            "who": "device-defender-detect",
            "why": "too much",
            "facts": {"finding": "violation-1"},
            "version": 1,
        }
    }
    assert Key(f"PROBLEM#{case.problem}", "PROBLEM") in book.ledger.records
    assert book.cases.timeline(case.id) == [TimelineEntry(NOON, OPENED)]


def test_every_change_has_its_place_in_the_timeline_and_a_version() -> None:
    book = Book()
    case = book.open()

    first = book.cases.save(case, NOON + AN_HOUR, Step(StepKind.DECIDED, "who"), Step(StepKind.HELD, "who"))
    second = book.cases.save(first, NOON + AN_HOUR, Step(StepKind.CLOSED, "who"))

    assert [first.version, second.version] == [2, 3]
    assert list(book.steps(case)) == ["STEP#000001#00", "STEP#000002#00", "STEP#000002#01", "STEP#000003#00"]
    assert [entry.step.kind for entry in book.cases.timeline(case.id)] == ["finding", "decided", "held", "closed"]
    assert book.cases.read(case.id) == second


def test_a_certificates_finding_said_of_a_thing_names_the_certificate() -> None:
    finding = an_old_certificate(subject=Subject(SubjectType.CERTIFICATE, "a" * 64), attributes={"task": "t-1"})

    assert finding.about_thing("pump-3") == replace(
        finding,
        subject=Subject(SubjectType.THING, "pump-3"),
        attributes={"task": "t-1", "certificate": "a" * 64},
    )


# --- what joins what -----------------------------------------------------------------------------------------------


def test_another_finding_of_an_open_problem_joins_its_case() -> None:
    book = Book()
    case = book.open()

    again = book.open()
    joined = book.open(id="violation-2")

    assert again == case
    assert joined.findings == {"violation-1": True, "violation-2": True}
    assert [entry.step.kind for entry in book.cases.timeline(case.id)] == ["finding", "finding"]


def test_what_an_audit_says_every_day_takes_the_place_of_what_it_said_before() -> None:
    book = Book()
    old = an_old_certificate(supersedes=True, attributes={"task": "t-1"}, evidence={"days": 400})
    case = book.cases.begin(old, "pump-3", NOON, OPENED)

    same = book.cases.begin(old, "pump-3", NOON + AN_HOUR, OPENED)
    new = replace(old, id="audit-2", attributes={"task": "t-2"}, evidence={"days": 401})
    restated = book.cases.begin(new, "pump-3", NOON + AN_HOUR, OPENED)

    assert same == case
    assert restated == replace(
        case, findings={"audit-2": True}, attributes={"task": "t-2"}, evidence={"days": 401}, version=2
    )
    assert len(book.steps(case)) == 1


def test_a_finding_that_ends_is_over_and_its_step_says_so() -> None:
    book = Book()
    case = book.open()
    book.open(id="violation-2")
    end = its_end(a_finding())

    ended = book.cases.end_finding(end, NOON + AN_HOUR, OVER)

    assert ended is not None
    assert ended.findings == {"violation-1": False, "violation-2": True}
    assert book.cases.timeline(case.id)[-1] == TimelineEntry(NOON + AN_HOUR, OVER)
    assert book.problem()["ended"] == {"violation-1": "2026-11-22T12:00:00.000000Z"}
    assert book.problem()["case_id"] == case.id


def test_an_end_told_twice_is_noted_once_and_an_older_one_changes_nothing() -> None:
    book = Book()
    book.open()
    late, early = its_end(a_finding()), its_end(a_finding(), after=timedelta(seconds=1))
    once = book.cases.end_finding(late, NOON + AN_HOUR, OVER)
    before = dict(book.ledger.records)

    assert book.cases.end_finding(late, NOON + 2 * AN_HOUR, OVER) == once
    assert book.cases.end_finding(early, NOON + 2 * AN_HOUR, OVER) == once
    assert book.ledger.records == before


def test_the_end_of_a_finding_that_never_came_is_remembered_for_as_long_as_a_case() -> None:
    book = Book()

    assert book.cases.end_finding(its_end(a_finding()), NOON, OVER) is None

    assert book.problem() == {
        "type": "problem",
        "v": 1,
        "case_id": "",
        "is_open": False,
        "generation": 0,
        "closed_at": "",
        "acted_at": "",
        "expires_at": expiry(NOON),
        "ended": {"violation-1": "2026-11-22T12:00:00.000000Z"},
        "version": 1,
    }
    with pytest.raises(Refused, match=r"^already-over: finding violation-1 ended at 2026-11-22T12:00:00\.000000Z;"):
        book.open()
    assert book.open(id="violation-2").id.endswith("-1")


def test_the_latest_ends_are_remembered_and_the_oldest_forgotten() -> None:
    book = Book()
    for number in range(60):
        end = its_end(a_finding(id=f"violation-{number:02d}"), after=timedelta(minutes=(number * 7) % 60))
        book.cases.end_finding(end, NOON, OVER)

    kept = book.problem()["ended"]
    earliest_kept = min(kept.values())
    assert len(kept) < 60
    assert len({*kept.values()}) == len(kept)
    assert max(kept.values()) == "2026-11-22T12:58:00.000000Z"
    assert earliest_kept == f"2026-11-22T12:{59 - len(kept):02d}:00.000000Z"


# --- when it is closed ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("admitted", "acted_at"), [(True, "2026-11-22T13:00:00.000000Z"), (False, "")])
def test_a_closed_case_everything_of_it_expires_together(admitted: bool, acted_at: str) -> None:
    book = Book()
    case = book.cases.save(replace(book.open(), admitted=admitted), NOON, Step(StepKind.DECIDED, "who"))

    closed = book.cases.close(case, Resolution.RELEASED, NOON + AN_HOUR, Step(StepKind.CLOSED, "warden"))

    assert (closed.state, closed.resolution, closed.closed_at) == (CaseState.CLOSED, "released", NOON + AN_HOUR)
    assert book.cases.read(case.id) == closed
    record = book.ledger.read(case.key)
    assert record is not None
    assert record["expires_at"] == expiry(NOON + AN_HOUR)
    assert [step["expires_at"] for step in book.steps(case).values()] == [expiry(NOON + AN_HOUR)] * 3
    assert book.problem() | {"version": 0} == {
        "type": "problem",
        "v": 1,
        "case_id": case.id,
        "is_open": False,
        "generation": 1,
        "closed_at": "2026-11-22T13:00:00.000000Z",
        "acted_at": acted_at,
        "expires_at": expiry(NOON + AN_HOUR),
        "ended": {},
        "version": 0,
    }


def test_an_open_case_never_expires() -> None:
    book = Book()
    case = book.open()

    assert all('"expires_at"' not in text for text in book.ledger.records.values())
    assert book.cases.read(case.id).closed_at is None


def test_what_happens_to_a_closed_case_does_not_lengthen_its_time() -> None:
    book = Book()
    closed = book.cases.close(book.open(), Resolution.DISMISSED, NOON + AN_HOUR)
    before = {sort: step["version"] for sort, step in book.steps(closed).items()}

    book.cases.save(closed, NOON + 2 * AN_HOUR, Step(StepKind.NOTIFIED, "warden"))
    book.cases.close(book.cases.read(closed.id), Resolution.DISMISSED, NOON + 3 * AN_HOUR)

    steps = book.steps(closed)
    assert {sort: steps[sort]["version"] for sort in before} == before, "their clock runs already"
    assert {step["expires_at"] for step in steps.values()} == {expiry(NOON + AN_HOUR)}


def test_what_is_older_than_the_closing_opens_nothing_and_what_is_newer_opens_the_next_case() -> None:
    book = Book()
    first = book.cases.save(replace(book.open(), admitted=True), NOON)
    book.cases.end_finding(its_end(a_finding()), NOON, OVER)
    book.cases.close(book.cases.read(first.id), Resolution.RELEASED, NOON + AN_HOUR)

    with pytest.raises(Refused) as caught:
        book.open(id="violation-2", observed_at=NOON + AN_HOUR)
    assert caught.value.code == "already-closed"
    assert caught.value.reason == (f"case {first.id} was closed at 2026-11-22T13:00:00.000000Z, after this finding")

    second = book.open(id="violation-2", observed_at=NOON + AN_HOUR + timedelta(microseconds=1))
    assert second.id == f"{second.problem[:12]}-2"
    assert second.acted_before == datetime(2026, 11, 22, 13, tzinfo=UTC)
    assert book.problem()["ended"] == {"violation-1": "2026-11-22T12:00:00.000000Z"}
    assert "expires_at" not in book.problem()


def test_a_case_that_there_is_not_is_refused() -> None:
    with pytest.raises(Refused) as caught:
        Book().cases.read("none")

    assert caught.value.code == "no-such-case"
    assert caught.value.reason == "there is no case 'none'; `warden cases` lists the open ones"


def test_a_case_tells_how_far_it_is() -> None:
    done = EVERYTHING.with_outcome("notify", Outcome(Progress.DONE, "told"))

    assert done.outcomes == {**EVERYTHING.outcomes, "notify": Outcome(Progress.DONE, "told", "")}
    assert (done.progress("notify"), done.progress("quarantine"), done.progress("disconnect")) == (
        Progress.DONE,
        Progress.STARTED,
        None,
    )
    assert (done.is_open, replace(done, state=CaseState.CLOSED).is_open) == (True, False)
    assert (done.finding_is_open, replace(done, findings={"f-2": False}).finding_is_open) == (True, False)


def test_what_cannot_be_a_cases_id_is_never_looked_up() -> None:
    book = Book()

    with pytest.raises(Refused) as caught:
        book.cases.read("x" * 2000)  # DynamoDB would refuse the key

    assert caught.value.code == "no-such-case"


def test_a_note_about_an_older_version_stands_where_it_was_written() -> None:
    book = Book()
    case = book.open()
    book.cases.save(case, NOON + AN_HOUR, Step(StepKind.DECIDED, "fleet-warden"))

    outbox = book.cases.outbox(case)
    book.cases.save_outbox(
        case, outbox.with_request("r-1"), NOON + 2 * AN_HOUR, Step(StepKind.NOTIFIED, "fleet-warden")
    )

    kinds = [entry.step.kind for entry in book.cases.timeline(case.id)]
    assert kinds == [StepKind.FINDING, StepKind.DECIDED, StepKind.NOTIFIED]
