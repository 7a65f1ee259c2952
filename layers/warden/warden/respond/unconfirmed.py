"""Findings that their detector does not list yet: the detector is asked again while its list may lag behind the alarm.

ListActiveViolations may not show a violation whose alarm has arrived. This is unverified: AWS does not say how soon it
does. A finding that is older than any list lags is refused at once.
"""

from __future__ import annotations

from datetime import timedelta
from hashlib import sha256
from typing import Any

from warden.context import Context
from warden.core.clock import to_text
from warden.core.findings import Finding
from warden.core.ledger import EXPIRY, Key, Put, Record, retry_on_conflict, version_of
from warden.core.ports import HasLedger
from warden.queues.messages import group_of

_ASKED_AGAIN = 4
_AGAIN_AFTER = timedelta(minutes=2)
_KEPT_FOR = timedelta(days=1)


def ask_again_later(finding: Finding, context: Context[HasLedger]) -> bool:
    """Schedule a finding that its detector does not list; return whether to ask the detector again."""
    if context.now() - finding.observed_at >= context.settings.second_disconnect_after:
        return False
    return retry_on_conflict(lambda: _ask_again_later(finding, context))


def _ask_again_later(finding: Finding, context: Context[HasLedger]) -> bool:
    key = _key(finding)
    known, due_at = context.ports.ledger.read(key), context.now() + _AGAIN_AFTER
    asked = known["asked"] + 1 if known else 1
    if asked > _ASKED_AGAIN:
        return False
    record: dict[str, Any] = {
        "type": "unconfirmed",
        "thing": group_of(finding),
        "finding": finding.to_message(),
        "asked": asked,
        "due": "due",
        "due_at": to_text(due_at),
        EXPIRY: int((due_at + _KEPT_FOR).timestamp()),
    }
    context.ports.ledger.commit(Put(key, record, version_of(known)))
    return True


def settle(record: Record, context: Context[HasLedger]) -> None:
    """Note that a finding was brought again, unless another retry is due."""
    key = _key(Finding.from_message(record["finding"]))

    def write() -> None:
        current = context.ports.ledger.read(key)
        if current is not None and current["asked"] == record["asked"]:
            settled = {name: value for name, value in current.items() if name not in ("due", "due_at")}
            context.ports.ledger.commit(Put(key, settled, version_of(current)))

    retry_on_conflict(write)


def _key(finding: Finding) -> Key:
    name = f"{finding.problem} {finding.id} {to_text(finding.observed_at)}"
    return Key(f"UNCONFIRMED#{sha256(name.encode()).hexdigest()}", "FINDING")
