"""A problem across its cases: which one is open or was the last, and which findings are over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from warden.core.ledger import EXPIRY, Key, Ledger, Put
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
    return Key(f"PROBLEM#{problem_id}", "PROBLEM")


def read_problem(ledger: Ledger, problem_id: str) -> Problem:
    """Read a problem; an empty one without a case if there is no record."""
    record = ledger.read(_key(problem_id))
    return _PROBLEM.value(record) if record else Problem()


def problem_put(problem_id: str, problem: Problem) -> Put:
    """Return the write of a problem, for a commit."""
    return Put(_key(problem_id), _PROBLEM.record(problem), problem.version)
