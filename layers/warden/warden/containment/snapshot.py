"""Containment: a device is restricted, not cut off; the snapshot is what a release restores (design section 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from warden.context import Context
from warden.core.ledger import Key, Ledger, Put
from warden.core.ports import HasLedger
from warden.core.records import RecordType


class ContainmentState(StrEnum):
    """The state of a thing's containment."""

    CONTAINING = "containing"
    CONTAINED = "contained"
    RELEASING = "releasing"
    RELEASED = "released"


@dataclass(frozen=True, kw_only=True)
class Containment:
    """What was taken from a thing, and for which cases.

    `policies` maps each certificate to the policies it had; `groups` are those it was taken out of because
    they have policies; `all_groups` are all it was in. The thing stays contained while `cases` has an entry.
    At `look_at` it is compared with AWS IoT again.
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
    look_at: datetime | None = None
    looked_at: datetime | None = None
    version: int = 0

    @property
    def is_active(self) -> bool:
        """Whether the thing is restricted, fully or partly."""
        return self.state is not ContainmentState.RELEASED

    def with_certificates_replaced(self, gone: Sequence[str], new: str) -> Containment:
        """Pass the policies of deleted certificates to the new one, for the release; without a new one, drop them."""
        kept = {certificate: names for certificate, names in self.policies.items() if certificate not in gone}
        inherited = {name for certificate in (*gone, new) for name in self.policies.get(certificate, ())}
        return replace(self, policies={**kept, new: tuple(sorted(inherited))} if new else kept)


def first_look(context: Context[HasLedger]) -> datetime:
    """Return when to look at the present change: by then lists show it, and no earlier invocation is still running."""
    return context.now() + context.settings.second_disconnect_after


def containment_key(thing: str) -> Key:
    """Return where a thing's containment is stored."""
    return Key(f"THING#{thing}", "CONTAINMENT")


def read_containment(ledger: Ledger, thing: str) -> Containment | None:
    """Read a thing's containment, past ones included; None when it was never contained."""
    record = ledger.read(containment_key(thing))
    return containment_from(record) if record else None


def active_containment(ledger: Ledger, thing: str) -> Containment | None:
    """Read the containment that restricts a thing now, fully or partly; None when nothing does."""
    containment = read_containment(ledger, thing)
    return containment if containment is not None and containment.is_active else None


def save_containment(ledger: Ledger, containment: Containment, *also: Put) -> Containment:
    """Write a containment.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(containment_put(containment), *also)
    return replace(containment, version=containment.version + 1)


def containment_put(containment: Containment) -> Put:
    """Return the write of a containment, for a commit."""
    return Put(containment_key(containment.thing), _record(containment), containment.version)


def _record(containment: Containment) -> dict[str, Any]:
    return _CONTAINMENT.record(containment) | ({"due": "due"} if containment.look_at else {})


_CONTAINMENT = RecordType(
    name="containment",
    of=Containment,
    attributes={"look_at": "due_at"},
    sparse=("look_at",),
)
containment_from = _CONTAINMENT.value
