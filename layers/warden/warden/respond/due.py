"""The sweep: queue every record that is due. It also finds what was lost elsewhere."""

from __future__ import annotations

from typing import Protocol

from warden.context import Context
from warden.core.clock import to_text
from warden.core.ledger import Index
from warden.core.ports import HasLedger, HasQueue
from warden.queues.messages import send_due


class _Ports(HasLedger, HasQueue, Protocol):
    """The ports of the sweep."""


def sweep(context: Context[_Ports]) -> int:
    """Queue every record that is due; return how many. Records that stay due are queued again by the next sweep."""
    now = context.now()
    # Five minutes, like the schedule and like SQS FIFO's deduplication: a sweep that runs twice queues once.
    round_ = str(int(now.timestamp()) // 300)
    queued = 0
    for key, record in context.ports.ledger.find(Index.DUE, "due", until=to_text(now)):
        send_due(context.ports.queue, thing=record["thing"], key=key, due_at=record["due_at"], round_=round_)
        queued += 1
    return queued
