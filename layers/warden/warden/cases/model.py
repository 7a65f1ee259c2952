"""A case: everything about one problem with one subject, from the finding to the release."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from warden.cases.outbox import OUTBOX, Outbox, outbox_key, outbox_put
from warden.cases.problems import Problem, problem_put, read_problem
from warden.core.actions import QUARANTINE
from warden.core.clock import from_text, to_text
from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import LOGS_WANTED, Ending, Finding, Severity, Source, Subject
from warden.core.ledger import EXPIRY, NEW, Key, Ledger, Put, retry_on_conflict, version_of
from warden.core.records import RecordType

_ENDED_FINDINGS_KEPT = 50
"""How many ended finding ids a problem remembers, so that an alarm that arrives after its end opens no case."""


_ID = re.compile(r"[0-9a-f]{12}-[0-9]{1,9}")

WARDEN = "fleet-warden"
"""The author of steps in a timeline that no person decided."""


class CaseState(StrEnum):
    """The state of a case. Words follow NIST SP 800-61: contained, recovering, closed."""

    OPEN = "open"
    AWAITING_APPROVAL = "awaiting-approval"
    HELD = "held"
    RESPONDING = "responding"
    CONTAINED = "contained"
    RECOVERING = "recovering"
    CLOSED = "closed"


class Resolution(StrEnum):
    """How a case was closed."""

    RELEASED = "released"
    ROTATED = "rotated"
    COLLECTED = "collected"
    DISMISSED = "dismissed"
    OVER = "over"
    ALARM_CLEARED = Ending.ALARM_CLEARED
    ALARM_INVALIDATED = Ending.ALARM_INVALIDATED
    ARCHIVED = Ending.ARCHIVED
    CLOSED_BY_DETECTOR = Ending.CLOSED_BY_DETECTOR
    NOT_FOUND_BY_AUDIT = Ending.NOT_FOUND_BY_AUDIT


class Progress(StrEnum):
    """The progress of one action of a case."""

    PLANNED = "planned"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Outcome:
    """The outcome of one action."""

    progress: Progress
    detail: str = ""
    job_id: str = ""


class StepKind(StrEnum):
    """What happened, in one line of a timeline. `cases/wording.py` has the words that people read."""

    FINDING = "finding"
    FINDING_OVER = "finding-over"
    DECIDED = "decided"
    ADMITTED = "admitted"
    HELD = "held"
    ACTION_STARTED = "action-started"
    ACTION_DONE = "action-done"
    ACTION_FAILED = "action-failed"
    CONTAINED = "contained"
    RESPONDED = "responded"
    SECOND_DISCONNECT = "second-disconnect"
    RESTRICTED_AGAIN = "restricted-again"
    DECISION_TAKEN = "decision-taken"
    DECISION_REFUSED = "decision-refused"
    RELEASE_NOT_MADE = "release-not-made"
    RELEASED = "released"
    CLOSED = "closed"
    DEVICE_REQUEST_REFUSED = "device-request-refused"
    NEW_CERTIFICATE_IN_USE = "new-certificate-in-use"
    LOGS_ANNOUNCED = "logs-announced"
    NOTIFIED = "notified"
    LEFT_FOR_A_DIGEST = "left-for-a-digest"


@dataclass(frozen=True)
class Step:
    """One line of a case's timeline. Programs read `kind` and `facts`; `why` is for people only."""

    kind: StepKind
    who: str
    why: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def action_step(action: str, outcome: Outcome, **facts: object) -> Step:
    """Return the step for an action's progress."""
    job = {"job": outcome.job_id} if outcome.job_id else {}
    return Step(_KIND_OF_PROGRESS[outcome.progress], WARDEN, outcome.detail, {"action": action, **job, **facts})


_KIND_OF_PROGRESS = {
    Progress.STARTED: StepKind.ACTION_STARTED,
    Progress.DONE: StepKind.ACTION_DONE,
    Progress.FAILED: StepKind.ACTION_FAILED,
}
"""A planned action has no step of its own: the `decided` step names it."""


@dataclass(frozen=True)
class TimelineEntry:
    """A step and its time."""

    at: datetime
    step: Step


@dataclass(frozen=True, kw_only=True)
class Case:
    """One problem with one subject.

    `thing` is the device it concerns, empty when there is none in the registry. `findings` maps each of the
    detector's ids to whether it is still open. `decided_on` is the finding that the plan was last asked about.
    `approved_by` let the plan's actions touch the device, `released_by` ordered the release that is under way or made.
    `accepts_changes` is whether its release accepts the changes that people made to the device. `acted_before` is when
    the problem's previous case was closed, if it was acted on. Notices, sent and unsent, are in the case's outbox.
    """

    id: str
    problem: str
    source: Source
    kind: str
    subject: Subject
    thing: str
    severity: Severity
    title: str
    state: CaseState
    opened_at: datetime
    findings: Mapping[str, bool]
    attributes: Mapping[str, str]
    evidence: Mapping[str, Any]
    rule: str = ""
    mode: str = ""
    outcomes: Mapping[str, Outcome] = field(default_factory=dict)
    admitted: bool = False
    affected: Sequence[str] = ()
    approved_by: str = ""
    approved_at: datetime | None = None
    released_by: str = ""
    released_at: datetime | None = None
    accepts_changes: bool = False
    resolution: Resolution | None = None
    closed_at: datetime | None = None
    acted_before: datetime | None = None
    decided_on: str = ""
    version: int = 0

    @property
    def key(self) -> Key:
        """Where the case is stored."""
        return case_key(self.id)

    @property
    def is_open(self) -> bool:
        """Whether anything may still happen to it."""
        return self.state is not CaseState.CLOSED

    @property
    def only_wants_logs(self) -> bool:
        """Whether an operator asked for the device's logs, so that the case is over when they have arrived."""
        return (self.source, self.kind) == (Source.OPERATOR, LOGS_WANTED)

    @property
    def finding_is_open(self) -> bool:
        """Whether the detector still reports the problem."""
        return any(self.findings.values())

    @property
    def is_half_way(self) -> bool:
        """Whether its quarantine may have begun and is not done: its device may be restricted in part."""
        progress = self.progress(QUARANTINE)
        return progress is Progress.FAILED or (self.admitted and progress is Progress.PLANNED)

    def without_outcome(self, action: str) -> Case:
        """Return a copy in which an action is not planned."""
        return replace(self, outcomes={name: each for name, each in self.outcomes.items() if name != action})

    def with_outcome(self, action: str, outcome: Outcome) -> Case:
        """Record the outcome of an action."""
        return replace(self, outcomes={**self.outcomes, action: outcome})

    def progress(self, action: str) -> Progress | None:
        """Return the progress of an action; None when the case does not have it."""
        outcome = self.outcomes.get(action)
        return outcome.progress if outcome else None


def is_case_id(text: str) -> bool:
    """Check whether a string has the form of a case's id. A thing may have such a name, too."""
    return _ID.fullmatch(text) is not None


def case_key(case_id: str) -> Key:
    """Return where a case is stored."""
    return Key(f"CASE#{case_id}", "CASE")


class Cases:
    """The cases in the ledger. A change of a case and its steps are one commit."""

    def __init__(self, ledger: Ledger, retention: timedelta) -> None:
        self._ledger = ledger
        self._retention = retention

    def read(self, case_id: str) -> Case:
        """Read a case.

        Raises:
            Refused: when no case has that id.
        """
        case = self.find(case_id)
        if case is None:
            raise Refused("no-such-case", f"there is no case '{shown(case_id)}'; `warden cases` lists the open ones")
        return case

    def find(self, case_id: str) -> Case | None:
        """Read a case; None when no case has that id, or it is so old that the ledger has forgotten it."""
        record = self._ledger.read(case_key(case_id)) if is_case_id(case_id) else None
        return case_from(record) if record else None

    def begin(self, finding: Finding, thing: str, now: datetime, step: Step) -> Case:
        """Open a case for a finding, or add the finding to the problem's open case.

        Raises:
            Refused: when the finding is older than its own end, or than the last closing of its problem.
        """
        return retry_on_conflict(lambda: self._begin(finding, thing, now, step))

    def _begin(self, finding: Finding, thing: str, now: datetime, step: Step) -> Case:
        head = read_problem(self._ledger, finding.problem)
        ended = head.ended.get(finding.id)
        if ended and finding.observed_at <= ended:
            raise Refused("already-over", f"finding {finding.id} ended at {to_text(ended)}; this message is older")
        if head.is_open:
            case = self.read(head.case_id)
            if finding.supersedes:
                return self._restate(case, finding, now)
            if case.findings.get(finding.id):
                return case
            joined = replace(case, findings={**case.findings, finding.id: True})
            return self.save(joined, now, step)
        if head.closed_at and finding.observed_at <= head.closed_at:
            raise Refused(
                "already-closed", f"case {head.case_id} was closed at {to_text(head.closed_at)}, after this finding"
            )
        generation = head.generation + 1
        case = Case(
            id=f"{finding.problem[:12]}-{generation}",
            problem=finding.problem,
            source=finding.source,
            kind=finding.kind,
            subject=finding.subject,
            thing=thing,
            severity=finding.severity,
            title=finding.title,
            state=CaseState.OPEN,
            opened_at=now,
            findings={finding.id: True},
            attributes=finding.attributes,
            evidence=finding.evidence,
            acted_before=head.acted_at,
        )
        problem = Problem(case_id=case.id, is_open=True, generation=generation, ended=head.ended, version=head.version)
        return self.save(case, now, step, also=(problem_put(finding.problem, problem),))

    def _restate(self, case: Case, finding: Finding, now: datetime) -> Case:
        """Note that a problem was found again, without a step: an audit finds it every day."""
        restated = replace(case, findings={finding.id: True}, attributes=finding.attributes, evidence=finding.evidence)
        return case if restated == case else self.save(restated, now)

    def end_finding(self, finding: Finding, now: datetime, step: Step) -> Case | None:
        """Note that the detector reports the end; return the problem's last case, if any.

        The end is remembered, so that its alarm opens no case when it arrives late.
        """
        return retry_on_conflict(lambda: self._end_finding(finding, now, step))

    def _end_finding(self, finding: Finding, now: datetime, step: Step) -> Case | None:
        head = read_problem(self._ledger, finding.problem)
        ended = {**head.ended, finding.id: max(finding.observed_at, head.ended.get(finding.id, finding.observed_at))}
        latest = dict(sorted(ended.items(), key=lambda item: item[1])[-_ENDED_FINDINGS_KEPT:])
        expires_at = head.expires_at if head.version else self._expiry(now)
        problem = problem_put(finding.problem, replace(head, ended=latest, expires_at=expires_at))
        record = self._ledger.read(case_key(head.case_id)) if head.case_id else None
        case = case_from(record) if record else None
        if case is None or not case.is_open or not case.findings.get(finding.id):
            if latest != head.ended:
                self._ledger.commit(problem)
            return case
        return self.save(replace(case, findings={**case.findings, finding.id: False}), now, step, also=(problem,))

    def close(
        self, case: Case, resolution: Resolution, now: datetime, *steps: Step, outbox: Outbox | None = None
    ) -> Case:
        """Close a case with its problem and outbox; findings that arrive later but are not newer change nothing."""
        head = read_problem(self._ledger, case.problem)
        # Read before the steps: a step written after this meets a conflict, and is written again with its expiry.
        last = replace(outbox or self.outbox(case), expires_at=self._expiry(now))
        self._let_steps_expire(case, now)
        closed = replace(case, state=CaseState.CLOSED, resolution=resolution, closed_at=now)
        acted_at = now if case.admitted else None
        problem = replace(head, is_open=False, closed_at=now, acted_at=acted_at, expires_at=self._expiry(now))
        return self.save(closed, now, *steps, also=(problem_put(case.problem, problem), outbox_put(last)))

    def outbox(self, case: Case) -> Outbox:
        """Read the outbox of a case; an empty one when nothing was sent yet."""
        record, queue_name = self._ledger.read(outbox_key(case.id)), case.thing or str(case.subject)
        if record is None:
            return Outbox(case_id=case.id, queue_name=queue_name)
        return replace(OUTBOX.value(record), queue_name=queue_name)

    def save_outbox(self, case: Case, outbox: Outbox, now: datetime, *steps: Step) -> Outbox:
        """Write the outbox of a case with its steps; the case itself does not change.

        Raises:
            Conflict: when the outbox was changed since it was read.
        """
        # These steps sort after those of the case's version; the outbox's version makes their key unique.
        place = f"STEP#{case.version:06d}#n{outbox.version + 1:06d}#"
        entries = _steps(case, place, now, outbox.expires_at, steps)
        self._ledger.commit(outbox_put(outbox), *entries)
        return replace(outbox, version=outbox.version + 1)

    def update_outbox(
        self, case: Case, outbox: Outbox, now: datetime, change: Callable[[Outbox], Outbox], *steps: Step
    ) -> Outbox:
        """Write a change of an outbox once; after a conflict, apply the change to the new outbox."""
        latest = [outbox]

        def write() -> Outbox:
            current = latest.pop() if latest else self.outbox(case)
            changed = change(current)
            return current if changed == current else self.save_outbox(case, changed, now, *steps)

        return retry_on_conflict(write)

    def save(self, case: Case, now: datetime, *steps: Step, also: Sequence[Put] = ()) -> Case:
        """Write a case with its new steps and with other writes that belong in the same commit.

        Raises:
            Conflict: when the case or another of the records was changed since it was read.
        """
        record = case_record(case)
        if case.closed_at is not None:
            record[EXPIRY] = self._expiry(case.closed_at)
        # The version makes a step's key unique: a step is written once, with the change it describes.
        entries = _steps(case, f"STEP#{case.version + 1:06d}#", now, record.get(EXPIRY), steps)
        self._ledger.commit(Put(case.key, record, case.version), *entries, *also)
        return replace(case, version=case.version + 1)

    def timeline(self, case_id: str) -> list[TimelineEntry]:
        """Read a case's steps, oldest first.

        A step that notes a notice is kept with the version of the case that the notice was about, which may be an
        older one: the time decides, so that a reader who follows the timeline meets every step once.
        """
        entries = (
            TimelineEntry(from_text(record["at"]), _STEP.value(record))
            for _, record in self._ledger.partition(case_key(case_id).partition, prefix="STEP#")
        )
        return sorted(entries, key=lambda entry: entry.at)

    def _let_steps_expire(self, case: Case, now: datetime) -> None:
        """Let a case's steps expire only once it is closed: an open case keeps its whole timeline."""
        for key, record in list(self._ledger.partition(case.key.partition, prefix="STEP#")):
            if EXPIRY not in record:
                self._ledger.commit(Put(key, {**record, EXPIRY: self._expiry(now)}, version_of(record)))

    def _expiry(self, since: datetime) -> int:
        return int((since + self._retention).timestamp())


def _steps(case: Case, place: str, now: datetime, expires_at: int | None, steps: Sequence[Step]) -> Iterator[Put]:
    for number, step in enumerate(steps):
        entry = _STEP.record(step) | {"at": to_text(now)}
        if expires_at is not None:
            entry[EXPIRY] = expires_at
        yield Put(Key(case.key.partition, f"{place}{number:02d}"), entry, NEW)


_STEP = RecordType(name="step", of=Step)

_CASE = RecordType(
    name="case",
    of=Case,
    attributes={"id": "case_id", "state": "case_state", "thing": "case_thing"},
    sparse=("thing",),
)
"""Indexes list cases by `case_state`, `case_thing` and `opened_at`."""

case_record, case_from = _CASE.record, _CASE.value
