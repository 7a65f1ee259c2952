"""The outbox of a case: what people and programs have been told of it, which requests it has answered, what is owed.

It is a record of its own beside the case. A notice that goes out changes no case, and whoever decides about a case
meets no conflict with a notice. Where both must be true together, both are written in one commit.
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
    """What is sent and owed about one case; `queue_name` is what its messages are put in order by.

    `announced_states` are the notices sent, `announced` and `in_security_hub` the marks that programs and Security Hub
    got last. `refusals_seen` are the kinds of refused device requests noted, `handled_request_ids` the operators' calls
    handled: each of them once. `held_for_all` says that the governor would hold any other device as well;
    `told_version` is the version of the case that was told of last: an older one is no news. `renotify_at` is when to
    send again what could not be sent; `expires_at` is set when the case is closed.
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
        """Note that an operator's call was handled; one without an id cannot be told from the next."""
        return replace(self, handled_request_ids=(*self.handled_request_ids, request)) if request else self


def outbox_key(case_id: str) -> Key:
    """Return where the outbox of a case is kept."""
    return Key(f"CASE#{case_id}", "OUTBOX")


def outbox_put(outbox: Outbox) -> Put:
    """Return the write of an outbox, for a commit."""
    return Put(outbox_key(outbox.case_id), outbox_record(outbox), outbox.version)


def outbox_record(outbox: Outbox) -> dict[str, Any]:
    """Return an outbox as a ledger record; the sweep finds it, and who to queue it for, while something is owed."""
    if outbox.renotify_at is None:
        return OUTBOX.record(replace(outbox, queue_name=""))
    return OUTBOX.record(outbox) | {"due": "due"}


OUTBOX = RecordType(
    name="outbox",
    of=Outbox,
    attributes={"queue_name": "thing", "renotify_at": "due_at", "expires_at": EXPIRY},
    sparse=("queue_name", "renotify_at", "expires_at"),
)
