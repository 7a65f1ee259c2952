"""The ledger: the only place where state is kept. Only the service writes it.

Every record has a version. A commit is all or nothing and fails with `Conflict` when a record is no longer
the version that was read; the caller then reads and decides again. There is no other locking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from warden.core.errors import Conflict

type Record = Mapping[str, Any]
"""JSON values under snake_case names. Every record read has a `version`, which the ledger writes."""

NEW = 0
"""The version of a record that does not exist yet."""

ATTEMPTS = 12
"""How often a decision is retried before the conflict is raised and the message delivered again."""


class Key(NamedTuple):
    """Where a record is stored."""

    partition: str
    sort: str


class Index(StrEnum):
    """The lists that the ledger has without a scan: records of one value, by time.

    A record is in an index when it has both of the index's attributes (see `INDEX_ATTRIBUTES`).
    """

    STATE = "state"
    THING = "thing"
    DUE = "due"


INDEX_ATTRIBUTES = {
    Index.STATE: ("case_state", "opened_at"),
    Index.THING: ("case_thing", "opened_at"),
    Index.DUE: ("due", "due_at"),
}

EXPIRY = "expires_at"
"""Epoch seconds after which DynamoDB may delete the record (its TTL attribute)."""


@dataclass(frozen=True)
class Put:
    """Write a whole record, provided that it still has the version `seen`."""

    key: Key
    record: Record
    seen: int


class Found(NamedTuple):
    """A record and where it is stored."""

    key: Key
    record: Record


class Ledger(Protocol):
    """What the service needs from its store."""

    def read(self, key: Key) -> Record | None:
        """Read one record, strongly consistent."""
        ...

    def commit(self, *puts: Put) -> None:
        """Write all of these or none.

        Raises:
            Conflict: when one of them no longer has the version `seen`.
        """
        ...

    def partition(self, partition: str, *, prefix: str = "") -> Iterator[Found]:
        """List a partition in the order of its sort keys, to the last page."""
        ...

    def find(
        self, index: Index, value: str, *, until: str | None = None, newest_first: bool = False
    ) -> Iterator[Found]:
        """List an index's records by time, to the last page; `until` is inclusive."""
        ...

    def has_any(self, index: Index, value: str) -> bool:
        """Check whether an index lists any record of a value; at most one record is read."""
        ...


def version_of(record: Record | None) -> int:
    """Return the version to pass on as `seen`."""
    return NEW if record is None else int(record["version"])


def retry_on_conflict[T](decide: Callable[[], T]) -> T:
    """Run a read, decision and commit again until no conflict occurs.

    Raises:
        Conflict: after `ATTEMPTS` tries; the caller's message is then delivered again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return decide()
        except Conflict:
            continue
    return decide()
