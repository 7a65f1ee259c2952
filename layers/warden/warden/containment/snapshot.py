"""Containment: a device restricted, not blind, and the snapshot that a release restores (design section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from warden.core.clock import from_text, to_text
from warden.core.ledger import Key, Ledger, Put, version_of


class ContainmentState(StrEnum):
    """How far a thing is in or out of containment."""

    CONTAINING = "containing"
    CONTAINED = "contained"
    RELEASING = "releasing"
    RELEASED = "released"


@dataclass(frozen=True, kw_only=True)
class Containment:
    """What was taken from a thing, and for which cases.

    `policies` maps each certificate to the policies it had; `groups` are the groups that were left because
    they carry policies; `all_groups` is the record of where the thing was. `cases` hold the thing here.
    """

    thing: str
    state: ContainmentState
    policies: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Sequence[str] = ()
    all_groups: Sequence[str] = ()
    cases: Sequence[str] = ()
    began_at: datetime
    in_restricted_group: bool = True
    released_at: datetime | None = None
    disconnect_at: datetime | None = None
    version: int = 0

    @property
    def is_active(self) -> bool:
        """Whether the thing is restricted, wholly or in part."""
        return self.state is not ContainmentState.RELEASED

    def with_certificates_replaced(self, gone: Sequence[str], new: str) -> Containment:
        """Let the new certificate inherit, at the release, what those that are gone had; no new one: drop them."""
        kept = {certificate: names for certificate, names in self.policies.items() if certificate not in gone}
        inherited = {name for certificate in (*gone, new) for name in self.policies.get(certificate, ())}
        return replace(self, policies={**kept, new: tuple(sorted(inherited))} if new else kept)


def containment_key(thing: str) -> Key:
    """Tell where a thing's containment is kept."""
    return Key(f"THING#{thing}", "CONTAINMENT")


def read_containment(ledger: Ledger, thing: str) -> Containment | None:
    """Read a thing's containment, past ones included; None when it was never contained."""
    record = ledger.read(containment_key(thing))
    return containment_from(record) if record else None


def save_containment(ledger: Ledger, containment: Containment, *also: Put) -> Containment:
    """Write a containment.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(containment_put(containment), *also)
    return replace(containment, version=containment.version + 1)


def containment_put(containment: Containment) -> Put:
    """Give the write that belongs into somebody's commit."""
    return Put(containment_key(containment.thing), _record(containment), containment.version)


def _record(containment: Containment) -> dict[str, Any]:
    record: dict[str, Any] = {
        "type": "containment",
        "thing": containment.thing,
        "state": containment.state,
        "policies": {certificate: list(names) for certificate, names in containment.policies.items()},
        "groups": list(containment.groups),
        "all_groups": list(containment.all_groups),
        "cases": list(containment.cases),
        "began_at": to_text(containment.began_at),
        "in_restricted_group": containment.in_restricted_group,
        "released_at": to_text(containment.released_at) if containment.released_at else "",
    }
    if containment.disconnect_at is not None:
        record |= {"due": "due", "due_at": to_text(containment.disconnect_at)}
    return record


def containment_from(record: Mapping[str, Any]) -> Containment:
    """Read what was written."""
    return Containment(
        thing=record["thing"],
        state=ContainmentState(record["state"]),
        policies={certificate: tuple(names) for certificate, names in record["policies"].items()},
        groups=tuple(record["groups"]),
        all_groups=tuple(record["all_groups"]),
        cases=tuple(record["cases"]),
        began_at=from_text(record["began_at"]),
        in_restricted_group=record["in_restricted_group"],
        released_at=from_text(record["released_at"]) if record["released_at"] else None,
        disconnect_at=from_text(record["due_at"]) if "due_at" in record else None,
        version=version_of(record),
    )
