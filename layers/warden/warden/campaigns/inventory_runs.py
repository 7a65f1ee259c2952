"""Runs of the sweep of certificates: where one stands, and what it says of each certificate it met."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from warden.context import Context
from warden.core.clock import to_text
from warden.core.ledger import EXPIRY, Key, Ledger, Put, Record, version_of
from warden.core.ports import Certificate
from warden.core.records import RecordType

ON_NOTHING = "*"
"""In the place of a thing's name, which has no such sign: DynamoDB takes no empty name in a map."""

_KEPT = timedelta(days=100)

AT_WORK_FOR = timedelta(minutes=20)
"""A run that wrote nothing for longer than a function lives was left by whoever ran it."""

RUN_KEY = Key("SWEEP#certificates", "RUN")


class InventoryResult(StrEnum):
    """What the sweep says of a certificate on a thing, or of one on none. The report's CSV has these values."""

    ENROLLED = "enrolled"
    WAITING = "waiting"
    ANOTHER = "another-of-its-thing"
    IN_HAND = "in-hand"
    TOO_OLD = "only-reported"
    PROTECTED = "never-touched"
    CONTAINED = "contained"
    GIVEN_UP = "given-up"
    GONE = "thing-gone"
    ON_NO_THING = "on-no-thing"
    ORPHAN = "on-no-thing-without-policy"
    DEACTIVATED = "made-inactive"
    LONG_INACTIVE = "long-inactive"
    DELETED = "deleted"


class SweepResult(StrEnum):
    """What became of one turn of the sweep."""

    REPORTED = "reported"
    CONTINUES = "continues"
    LEFT_ALONE = "left-alone"
    TAKEN_OVER = "taken-over"
    OVER = "over"
    NO_CAMPAIGN = "no-campaign"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One sweep, from the first page to the report. `campaign` is the one that it enrols devices in.

    `trigger` is the id of the event that began it: the same event, delivered again, begins no other.
    `page` is where the listing stands, `inactive` how many INACTIVE ones were passed.
    `enlarged` says that the campaign has counted the devices, `reported` that the owner was told, which ends it.
    """

    id: str
    campaign: str
    began_at: datetime
    touched_at: datetime
    trigger: str = ""
    page: str = ""
    inactive: int = 0
    ended_at: datetime | None = None
    enlarged: bool = False
    reported: bool = False
    version: int = 0

    @property
    def findings(self) -> str:
        """Name the list of what it found, in the ledger's index of what is due."""
        return f"renewals:{self.id}"


_RUN = RecordType(name="sweep", of=Run, attributes={"id": "run"})


def run_put(run: Run) -> Put:
    """Return the write of a run, for a commit; it is due until its report is out."""
    record = _RUN.record(run) | {"thing": "sweep:certificates"}
    if not run.reported:
        record |= {"due": "due", "due_at": to_text(run.touched_at + AT_WORK_FOR)}
    return Put(RUN_KEY, record, run.version)


def read_run(ledger: Ledger) -> Run | None:
    """Read the last sweep; None when there was none yet."""
    record = ledger.read(RUN_KEY)
    return _RUN.value(record) if record else None


def verdict_key(certificate: str) -> Key:
    """Tell where it is kept what the last run that met a certificate said of it."""
    return Key(f"CERTIFICATE#{certificate}", "RENEWAL")


def verdict_put(
    certificate: Certificate, run: Run, verdicts: Mapping[str, InventoryResult], known: Record | None
) -> Put:
    """Give the write that says of a certificate what holds on each of its things; on none, under an empty name."""
    created_at = to_text(certificate.created_at or run.began_at)
    record: dict[str, Any] = {
        "type": "renewal",
        "certificate": certificate.id,
        "created_at": created_at,
        "run": run.id,
        "campaign": run.campaign,
        "things": {thing or ON_NOTHING: verdict for thing, verdict in verdicts.items()},
        "due": run.findings,
        "due_at": created_at,
        EXPIRY: int((run.began_at + _KEPT).timestamp()),
    }
    return Put(verdict_key(certificate.id), record, version_of(known))


def save_run(run: Run, context: Context) -> Run:
    """Write where a run stands.

    Raises:
        Conflict: when somebody else has taken it on since it was read.
    """
    context.ports.ledger.commit(run_put(run))
    return replace(run, version=run.version + 1)


def requeue_stalled_run(_key: Key, _record: Record, context: Context) -> None:
    """Have a run gone on with that wrote nothing for longer than a function lives: whoever ran it died."""
    run = read_run(context.ports.ledger)
    if run is not None and not run.reported:
        context.ports.renewal_queue.send_run(run.id)
        save_run(replace(run, touched_at=context.now()), context)
