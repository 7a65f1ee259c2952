"""The outbox of a case: a record of its own, written with the case where both must agree, and expiring with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import NOON, FakeLedger, a_finding, a_world
from warden.cases.allowed import Decision
from warden.cases.model import Cases, CaseState, Resolution, Step, StepKind
from warden.cases.outbox import OUTBOX, Outbox, outbox_key, outbox_put, outbox_record
from warden.core.errors import Conflict
from warden.core.findings import Subject, SubjectType
from warden.core.ledger import Key, Put, Record
from warden.core.mode import Mode
from warden.notify.notifier import notify
from warden.respond.decisions import Order, carry_out
from warden.respond.responder import respond

KEPT = timedelta(days=400)
AN_HOUR = timedelta(hours=1)
EXPIRES = int((NOON + AN_HOUR + KEPT).timestamp())
NOTIFIED = Step(StepKind.NOTIFIED, "fleet-warden", "open")

EVERYTHING = Outbox(
    case_id="case-1",
    queue_name="pump-3",
    told_version=5,
    announced_states=("contained:",),
    announced="contained:",
    in_security_hub="closed:",
    refusals_seen=("not-yours",),
    handled_request_ids=("request-1",),
    held_for_all=True,
    renotify_at=NOON,
    expires_at=1_900_000_000,
    version=7,
)


class Book:
    """The cases over a ledger, and one that is open."""

    def __init__(self) -> None:
        self.ledger = FakeLedger()
        self.cases = Cases(self.ledger, KEPT)
        self.case = self.cases.begin(a_finding(), "pump-3", NOON, Step(StepKind.FINDING, "detector"))

    @property
    def outbox(self) -> Outbox:
        return self.cases.outbox(self.case)

    def steps(self) -> dict[str, int | None]:
        """The key of each step, and when it expires."""
        found = self.ledger.partition(self.case.key.partition, prefix="STEP#")
        return {each.key.sort: each.record.get("expires_at") for each in found}


@pytest.fixture
def book() -> Book:
    return Book()


def told(outbox: Outbox) -> Outbox:
    return replace(outbox, announced="open:")


def test_an_outbox_is_written_whole_and_read_as_it_was_written() -> None:
    record = outbox_record(EVERYTHING)

    assert record == {
        "type": "outbox",
        "v": 1,
        "case_id": "case-1",
        "thing": "pump-3",
        "told_version": 5,
        "announced_states": ["contained:"],
        "announced": "contained:",
        "in_security_hub": "closed:",
        "refusals_seen": ["not-yours"],
        "handled_request_ids": ["request-1"],
        "held_for_all": True,
        "due": "due",
        "due_at": "2026-11-22T12:00:00.000000Z",
        "expires_at": 1_900_000_000,
    }
    assert OUTBOX.value({**record, "version": 7}) == EVERYTHING


def test_an_outbox_that_owes_nothing_is_found_by_no_sweep_and_does_not_expire() -> None:
    record = outbox_record(replace(EVERYTHING, renotify_at=None, expires_at=None))

    assert not {"thing", "due", "due_at", "expires_at"} & record.keys()
    assert OUTBOX.value({**record, "version": 7}) == replace(
        EVERYTHING, queue_name="", renotify_at=None, expires_at=None
    )


def test_the_outbox_of_a_case_that_nobody_was_told_of_is_empty_and_not_written_yet(book: Book) -> None:
    assert book.outbox == Outbox(case_id=book.case.id, queue_name="pump-3")
    assert book.ledger.read(outbox_key(book.case.id)) is None


def test_an_outbox_is_queued_by_the_subject_where_there_is_no_device(book: Book) -> None:
    case = replace(book.case, thing="", subject=Subject(SubjectType.CERTIFICATE, "a" * 64))

    assert book.cases.outbox(case).queue_name == f"certificate {'a' * 64}"


def test_an_outbox_that_is_kept_is_queued_by_the_subject_too(book: Book) -> None:
    case = replace(book.case, thing="", subject=Subject(SubjectType.CLIENT_ID, "x"))
    book.cases.save_outbox(case, told(book.cases.outbox(case)), NOON)

    assert book.cases.outbox(case).queue_name == "client-id x"


def test_what_is_sent_changes_the_outbox_and_the_timeline_and_not_the_case(book: Book) -> None:
    before = book.ledger.read(book.case.key)

    saved = book.cases.save_outbox(book.case, told(book.outbox), NOON, NOTIFIED)

    assert saved == book.outbox == replace(told(Outbox(case_id=book.case.id, queue_name="pump-3")), version=1)
    assert book.ledger.read(book.case.key) == before
    assert [entry.step for entry in book.cases.timeline(book.case.id)][1:] == [NOTIFIED]


def test_a_notice_stands_between_the_change_it_tells_of_and_the_next(book: Book) -> None:
    held = book.cases.save(replace(book.case, state=CaseState.HELD), NOON, Step(StepKind.HELD, "governor"))
    book.cases.save(held, NOON, Step(StepKind.DECISION_TAKEN, "dana"))

    book.cases.save_outbox(held, told(book.outbox), NOON, NOTIFIED)

    assert [entry.step.kind for entry in book.cases.timeline(book.case.id)] == [
        "finding",
        "held",
        "notified",
        "decision-taken",
    ]


def test_a_change_that_another_write_came_before_is_made_to_what_that_left(book: Book) -> None:
    stale = book.outbox
    book.cases.save_outbox(book.case, replace(stale, refusals_seen=("not-yours",)), NOON)

    updated = book.cases.update_outbox(book.case, stale, NOON, told, NOTIFIED)

    assert (updated.refusals_seen, updated.announced, updated.version) == (("not-yours",), "open:", 2)
    assert updated == book.outbox


def test_a_change_that_was_made_already_is_written_once(book: Book) -> None:
    stale = book.outbox
    first = book.cases.update_outbox(book.case, stale, NOON, told, NOTIFIED)  # as if the answer to this were lost
    written = dict(book.ledger.records)

    assert book.cases.update_outbox(book.case, stale, NOON, told, NOTIFIED) == first
    assert book.ledger.records == written


def test_a_case_and_its_outbox_are_written_both_or_neither(book: Book) -> None:
    stale = book.outbox
    book.cases.save_outbox(book.case, told(stale), NOON)
    before = dict(book.ledger.records)

    with pytest.raises(Conflict):
        book.cases.save(book.case, NOON, NOTIFIED, also=(outbox_put(stale.with_request("request-1")),))

    assert book.ledger.records == before


def test_an_outbox_expires_with_its_case_and_so_does_what_is_noted_later(book: Book) -> None:
    book.cases.save_outbox(book.case, told(book.outbox), NOON, NOTIFIED)

    closed = book.cases.close(book.case, Resolution.DISMISSED, NOON + AN_HOUR, Step(StepKind.DECISION_TAKEN, "dana"))
    book.cases.save_outbox(closed, replace(book.outbox, announced="closed:"), NOON + 2 * AN_HOUR, NOTIFIED)

    assert book.outbox.expires_at == EXPIRES
    assert set(book.steps().values()) == {EXPIRES}
    assert len(book.steps()) == 4


def test_the_outbox_of_a_case_that_closes_untold_expires_too(book: Book) -> None:
    book.cases.close(book.case, Resolution.OVER, NOON + AN_HOUR)

    assert book.outbox.expires_at == EXPIRES


def test_what_is_noted_while_a_case_is_being_closed_expires_too(book: Book) -> None:
    interrupt(book, lambda: book.cases.save_outbox(book.case, told(book.outbox), NOON, NOTIFIED))

    with pytest.raises(Conflict):
        book.cases.close(book.case, Resolution.DISMISSED, NOON + AN_HOUR)
    book.cases.close(book.case, Resolution.DISMISSED, NOON + AN_HOUR)

    assert set(book.steps().values()) == {EXPIRES}


def interrupt(book: Book, write: Callable[[], object]) -> None:
    """Make one write of somebody else, just after the case's steps were read."""
    commit, waiting = book.ledger.commit, [write]

    def interrupted(*puts: Put) -> None:
        if len(puts) > 1 and waiting:
            waiting.pop()()
        commit(*puts)

    book.ledger.commit = interrupted  # type: ignore[method-assign]


def test_a_call_without_an_id_is_not_remembered() -> None:
    assert EVERYTHING.with_request("request-2").handled_request_ids == ("request-1", "request-2")
    assert EVERYTHING.with_request("") is EVERYTHING


def test_a_finding_told_again_reads_the_outbox_once_and_writes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    world = a_world()
    world.report(a_finding())
    before, read, keys = dict(world.ledger.records), world.ledger.read, list[Key]()

    def counted(key: Key) -> Record | None:
        keys.append(key)
        return read(key)

    monkeypatch.setattr(world.ledger, "read", counted)

    respond(a_finding(), world.context)

    assert world.ledger.records == before
    assert keys.count(outbox_key(world.case.id)) == 1


def test_what_a_late_delivery_read_before_the_case_moved_on_is_told_to_nobody() -> None:
    world = a_world(security_hub=True, mode=Mode.APPROVE)
    world.report(a_finding())
    stale = world.case
    world.order("dismiss", stale.id)
    before, published = world.ledger.records.copy(), len(world.announcements.published)

    notify(stale, world.context)

    [finding] = world.security_hub.findings.values()
    assert finding["RecordState"] == "ARCHIVED"
    assert len(world.announcements.published) == published
    assert world.ledger.records == before


def test_a_decision_that_another_delivery_has_just_carried_out_is_gone_on_with_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())
    order = Order(decision=Decision.DISMISS, case_id=world.case.id, who="dana", request="request-7")
    read, waiting = world.ledger.read, [order]

    def interrupted(key: Key) -> Record | None:
        if key.sort == "OUTBOX" and waiting:
            carry_out(waiting.pop(), world.context)
        return read(key)

    monkeypatch.setattr(world.ledger, "read", interrupted)

    assert carry_out(order, world.context).state is CaseState.CLOSED
