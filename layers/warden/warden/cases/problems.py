"""A problem across its cases: which one is open or was the last, and which findings are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import batched

from warden.core.ledger import EXPIRY, Key, Ledger, Put, version_of
from warden.core.records import RecordType


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The head of a problem's cases; `case_id` is empty if no finding of it ever opened one.

    `ended` maps the ids of findings to when they ended. `acted_at` is when the last case was closed, if it was acted
    on.
    """

    case_id: str = ""
    is_open: bool = False
    generation: int = 0
    closed_at: datetime | None = None
    acted_at: datetime | None = None
    ended: Mapping[str, datetime] = field(default_factory=dict)
    expires_at: int | None = None
    version: int = 0


_PROBLEM = RecordType(name="problem", of=Problem, attributes={"expires_at": EXPIRY}, sparse=("expires_at",))


def _key(problem_id: str) -> Key:
    return Key(_partition(problem_id), "PROBLEM")


def _partition(problem_id: str) -> str:
    return f"PROBLEM#{problem_id}"


def read_problem(ledger: Ledger, problem_id: str) -> Problem:
    """Read a problem; an empty one without a case if there is no record."""
    record = ledger.read(_key(problem_id))
    return _PROBLEM.value(record) if record else Problem()


def problem_put(problem_id: str, problem: Problem) -> Put:
    """Return the write of a problem, for a commit."""
    return Put(_key(problem_id), _PROBLEM.record(problem), problem.version)


_PASSED = "PASSED#"
_PUTS_PER_COMMIT = 100
_FRESH_FOR = timedelta(days=30)


def note_passed(problem_id: str, things: Sequence[str], expires_at: datetime, ledger: Ledger) -> None:
    """Record the things that a finding about a certificate is passed to: its end goes to them, even if others have it
    then.

    An entry recorded within the last month stays as it is: audits find the same every day.
    """
    known = {record["thing"]: record for _, record in ledger.partition(_partition(problem_id), prefix=_PASSED)}
    stale = int((expires_at - _FRESH_FOR).timestamp())
    puts = [
        Put(
            Key(_partition(problem_id), f"{_PASSED}{thing}"),
            {"type": "passed", "thing": thing, EXPIRY: int(expires_at.timestamp())},
            version_of(known.get(thing)),
        )
        for thing in things
        if thing not in known or known[thing][EXPIRY] < stale
    ]
    for some in batched(puts, _PUTS_PER_COMMIT, strict=False):
        ledger.commit(*some)


def passed_to(problem_id: str, ledger: Ledger) -> list[str]:
    """List the things to which findings of a certificate's problem were passed."""
    return [record["thing"] for _, record in ledger.partition(_partition(problem_id), prefix=_PASSED)]
