"""Refusals: messages that were not acted on, kept with its reason.

Every queue has the same policy: a refused message is recorded and logged, and never delivered again. Devices and
operators also get the refusal as their answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256

from warden.context import Context
from warden.core.clock import to_text
from warden.core.errors import Conflict, Refused
from warden.core.ledger import EXPIRY, Key, Put
from warden.core.ports import HasLedger

_KEPT = timedelta(days=90)


def record_if_refused[T](
    work: Callable[[], T], context: Context[HasLedger], *, what: str, about: str = ""
) -> T | Refused:
    """Do some work and return its result; if it is refused, record and return the refusal."""
    try:
        return work()
    except Refused as refusal:
        record_refusal(context, refusal, what=what, about=about)
        return refusal


def record_refusal(context: Context[HasLedger], refusal: Refused, *, what: str, about: str = "") -> None:
    """Record a refusal. The same `what` refused for the same reason on one day makes one record."""
    now = context.now()
    digest = sha256(f"{refusal.code} {what}".encode(errors="backslashreplace")).hexdigest()[:32]
    record = {
        "type": "refusal",
        "code": refusal.code,
        "reason": refusal.reason,
        "about": about,
        "at": to_text(now),
        EXPIRY: int((now + _KEPT).timestamp()),
    }
    try:
        context.ports.ledger.commit(Put(Key(f"REFUSAL#{now:%Y-%m-%d}", digest), record, 0))
    except Conflict:
        return  # on record already
