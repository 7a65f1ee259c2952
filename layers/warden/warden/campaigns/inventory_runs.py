"""Runs of the sweep of certificates: the position of a run, and its result for each certificate."""

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
"""Stands for a missing thing's name, which cannot have this character: DynamoDB allows no empty key in a map."""

_KEPT = timedelta(days=100)

AT_WORK_FOR = timedelta(minutes=20)
"""A run that wrote nothing for longer than a function can run has died."""

RUN_KEY = Key("SWEEP#certificates", "RUN")


class InventoryResult(StrEnum):
    """The result of the sweep for a certificate and its thing, if any. The report's CSV has these values."""

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
    """The result of one turn of the sweep."""

    REPORTED = "reported"
    CONTINUES = "continues"
    LEFT_ALONE = "left-alone"
    TAKEN_OVER = "taken-over"
    OVER = "over"
    NO_CAMPAIGN = "no-campaign"
    NOT_THE_FIRST = "not-the-first"


@dataclass(frozen=True, kw_only=True)
class Run:
    """One sweep, from the first page to the report. It enrols devices in `campaign`.

    `trigger` is the id of the event that began it: the same event, delivered again, begins no second run.
    `page` is the next page of the list, `inactive` how many INACTIVE certificates were passed over, `recorded` how many
    certificates have a result: as many as the index of results will show, which lags behind what is written.
    `enlarged` means that the campaign has counted the devices, `reported` that the owner has the report: the end.
    """

    id: str
    campaign: str
    began_at: datetime
    touched_at: datetime
    trigger: str = ""
    page: str = ""
    inactive: int = 0
    recorded: int = 0
    ended_at: datetime | None = None
    enlarged: bool = False
    reported: bool = False
    version: int = 0

    @property
    def findings(self) -> str:
        """The name of the run's results in the ledger's index of due records."""
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
    """Return where the latest result for a certificate is stored."""
    return Key(f"CERTIFICATE#{certificate}", "RENEWAL")


def verdict_put(
    certificate: Certificate, run: Run, verdicts: Mapping[str, InventoryResult], known: Record | None
) -> Put:
    """Return the write of a certificate's result for each of its things; without things, under an empty name."""
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
    """Write a run.

    Raises:
        Conflict: when another turn has advanced it since it was read.
    """
    context.ports.ledger.commit(run_put(run))
    return replace(run, version=run.version + 1)


def requeue_stalled_run(_key: Key, _record: Record, context: Context) -> None:
    """Queue a run to be resumed if it wrote nothing for longer than a function can run, and so has died."""
    run = read_run(context.ports.ledger)
    if run is not None and not run.reported:
        context.ports.renewal_queue.send_run(run.id)
        save_run(replace(run, touched_at=context.now()), context)
