"""The records of a rotation, of the keys that a thing has had, and of retired certificates.

Only `devices/rotation.py` writes a rotation; other modules read it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from warden.core.clock import to_text
from warden.core.ledger import Key, Ledger, Put
from warden.core.records import RecordType


class RotationState(StrEnum):
    """The state of a rotation."""

    REQUESTED = "requested"
    ISSUING = "issuing"
    ISSUED = "issued"
    CONFIRMED = "confirmed"
    FINISHED = "finished"
    ROLLING_BACK = "rolling-back"
    ROLLED_BACK = "rolled-back"
    STRANDED = "stranded"


ENDED = (RotationState.FINISHED, RotationState.ROLLED_BACK, RotationState.STRANDED)


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """The one rotation of a thing: the last one, whether over or not.

    `old` are the certificates it is to replace; `new` is empty until one has been issued. `request` is the
    digest of the signing request for `new`, `key` the fingerprint of its key. `spent` are earlier certificates that
    are given up: the device lost their keys.
    """

    thing: str
    job_id: str
    case_id: str
    state: RotationState
    old: Sequence[str]
    new: str = ""
    request: str = ""
    key: str = ""
    issuing_since: datetime | None = None
    issued: int = 0
    spent: Sequence[str] = ()
    confirmed_at: datetime | None = None
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do."""
        return self.state in ENDED

    def may_be_missing_from(self, certificates: Sequence[str]) -> bool:
        """Whether it may have attached a certificate that a list of its thing's certificates does not show."""
        return not self.is_over or self.new not in ("", *certificates)

    def is_confirmed_over(self, certificate: str) -> bool:
        """Whether the device has confirmed over this certificate."""
        return certificate == self.new and self.state in (RotationState.CONFIRMED, RotationState.FINISHED)


def rotation_key(thing: str) -> Key:
    """Return where a thing's rotation is stored."""
    return Key(f"THING#{thing}", "ROTATION")


def key_record(thing: str, fingerprint: str, certificate: str) -> Put:
    """Return the write that records a key that this thing has had, so that it is never certified again."""
    record = {"type": "key", "thing": thing, "certificate": certificate}
    return Put(Key(f"THING#{thing}", f"KEY#{fingerprint}"), record, 0)


def retirement_put(certificate: str, thing: str, delete_at: datetime, seen: int, *, unused: bool = False) -> Put:
    """Return the write that schedules the deletion of a retired certificate after its grace period.

    One that is `unused` was never proved in use, and is deleted in any case.
    """
    record = {
        "type": "retirement",
        "certificate": certificate,
        "thing": thing,
        "due": "due",
        "due_at": to_text(delete_at),
        **({"unused": True} if unused else {}),
    }
    return Put(retirement_key(certificate), record, seen)


def retirement_key(certificate: str) -> Key:
    """Return where a certificate's retirement is stored."""
    return Key(f"CERTIFICATE#{certificate}", "RETIREMENT")


def read_rotation(ledger: Ledger, thing: str) -> Rotation | None:
    """Read a thing's last rotation; None when it never had one."""
    record = ledger.read(rotation_key(thing))
    return _ROTATION.value(record) if record else None


def save_rotation(ledger: Ledger, rotation: Rotation, *also: Put) -> Rotation:
    """Write a rotation, with other writes of the same commit.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(rotation_put(rotation), *also)
    return replace(rotation, version=rotation.version + 1)


_ROTATION = RecordType(name="rotation", of=Rotation)


def rotation_put(rotation: Rotation) -> Put:
    """Return the write of a rotation, for a commit together with others."""
    return Put(rotation_key(rotation.thing), _ROTATION.record(rotation), rotation.version)
