"""The ledger: the one place where state lives, and only the service writes it.

Every record has a version. A commit is all or nothing and fails with `Conflict` when a record is no longer
at the version it was read at; whoever meets one reads again and decides anew. That is all the locking there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from warden.core.errors import Conflict

type Record = Mapping[str, Any]
"""JSON values under snake_case names. `version` is there in everything read, and is written by the ledger."""

NEW = 0
"""The version of a record that does not exist yet."""

ATTEMPTS = 12
"""How often a decision is made anew before a conflict is let rise: then the message is delivered again."""


class Key(NamedTuple):
    """Where a record is."""

    partition: str
    sort: str


class Index(StrEnum):
    """The questions the ledger answers without a scan: records are listed by time within a value.

    A record stands in an index when it has both of the index's attributes (see `INDEX_ATTRIBUTES`).
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
    """Write a whole record, provided it is still at the version that was seen."""

    key: Key
    record: Record
    seen: int


class Found(NamedTuple):
    """A record and where it is."""

    key: Key
    record: Record


class Ledger(Protocol):
    """What the service needs of its store."""

    def read(self, key: Key) -> Record | None:
        """Read one record as it is now (never a stale copy)."""
        ...

    def commit(self, *puts: Put) -> None:
        """Write all of these or none.

        Raises:
            Conflict: when one of them is no longer at the version seen.
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


def version_of(record: Record | None) -> int:
    """Tell the version to pass on as `seen`."""
    return NEW if record is None else int(record["version"])


def retry_on_conflict[T](decide: Callable[[], T]) -> T:
    """Run a read-decide-commit until nobody else wrote in between.

    Raises:
        Conflict: after `ATTEMPTS` tries; the caller's message is then delivered again.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return decide()
        except Conflict:
            continue
    return decide()
