"""Suspicion rules renewal: a device that an open case may contain gets no new certificate without an operator."""

from __future__ import annotations

from warden.cases.model import CaseState, case_from, case_key
from warden.context import Context
from warden.core.actions import QUARANTINE
from warden.core.ledger import Index
from warden.core.ports import HasLedger


def why_suspected(thing: str, context: Context[HasLedger], *, but: str = "") -> str:
    """Return why a thing is suspected: an open case, other than `but`, plans a quarantine of it or has made one.

    Empty when there is none. The index may lag by a moment: a renewal asks when it is prepared, when the device asks
    for its certificate, and when it confirms.
    """
    ledger = context.ports.ledger
    for _, listed in ledger.find(Index.THING, thing, newest_first=True):
        if listed["case_state"] == CaseState.CLOSED or listed["case_id"] == but:
            continue
        record = ledger.read(case_key(listed["case_id"]))
        case = case_from(record) if record else None
        if case is not None and case.is_open and QUARANTINE in case.outcomes:
            return f"case {case.id} is open and may contain it"
    return ""
