"""The outbox of a case: the notices and events sent about it, the requests it has answered, and what is still to send.

It is a record of its own. Sending a notice does not change the case, so a decision about the case never conflicts
with a notice. Where both must agree, both are written in one commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from warden.core.ledger import EXPIRY, Key, Put
from warden.core.records import RecordType


@dataclass(frozen=True, kw_only=True)
class Outbox:
    """The sent and unsent notices of one case. `queue_name` is the group of its messages in the queue.

    `announced_states` are the notices sent; `announced` and `in_security_hub` are the last states that programs and
    Security Hub got. `refusals_seen` are the kinds of refused device requests on the timeline, `handled_request_ids`
    the operators' calls handled, each once. `held_for_all` is true when the governor would hold any other device too.
    `told_version` is the case's version in the last notice: an older version is not news. `renotify_at` is when to
    send again what could not be sent. `expires_at` is set when the case is closed.
    """

    case_id: str
    queue_name: str
    told_version: int = 0
    announced_states: Sequence[str] = ()
    announced: str = ""
    in_security_hub: str = ""
    refusals_seen: Sequence[str] = ()
    handled_request_ids: Sequence[str] = ()
    held_for_all: bool = False
    renotify_at: datetime | None = None
    expires_at: int | None = None
    version: int = 0

    def with_request(self, request: str) -> Outbox:
        """Note that an operator's call was handled; a call without an id cannot be recognised."""
        return replace(self, handled_request_ids=(*self.handled_request_ids, request)) if request else self


def outbox_key(case_id: str) -> Key:
    """Return where the outbox of a case is stored."""
    return Key(f"CASE#{case_id}", "OUTBOX")


def outbox_put(outbox: Outbox) -> Put:
    """Return the write of an outbox, for a commit."""
    return Put(outbox_key(outbox.case_id), outbox_record(outbox), outbox.version)


def outbox_record(outbox: Outbox) -> dict[str, Any]:
    """Return an outbox as a ledger record; while a notice is unsent, the sweep finds the record and its queue group."""
    if outbox.renotify_at is None:
        return OUTBOX.record(replace(outbox, queue_name=""))
    return OUTBOX.record(outbox) | {"due": "due"}


OUTBOX = RecordType(
    name="outbox",
    of=Outbox,
    attributes={"queue_name": "thing", "renotify_at": "due_at", "expires_at": EXPIRY},
    sparse=("queue_name", "renotify_at", "expires_at"),
)
