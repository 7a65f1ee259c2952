"""Digests: in a storm people get a few notices and then one summary, not ten thousand notices."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Protocol

from warden.cases.model import Case, CaseState, case_from
from warden.cases.outbox import Outbox
from warden.context import Context
from warden.core.clock import from_text, to_text
from warden.core.ledger import Index, Key, Put, Record, retry_on_conflict, version_of
from warden.core.ports import HasLedger, HasNotices
from warden.notify.case_notices import plain

_WINDOW = timedelta(hours=1)
_NOTICES_A_WINDOW = 20
"""About as many as a person can read and act on in an hour."""

_NAMED = 20


class _Ports(HasLedger, HasNotices, Protocol):
    """The ports of a digest."""


def topic_of(case: Case, outbox: Outbox) -> str:
    """Return the topic for counting a case's notices; all cases held by an overall limit share one topic."""
    return f"{case.state}-for-all" if outbox.held_for_all and case.state is CaseState.HELD else case.state


def admits(case: Case, outbox: Outbox, context: Context[_Ports]) -> bool:
    """Check whether a case still gets its own notice; if not, a digest will include it.

    Raises:
        Conflict: after `ATTEMPTS` tries; the message is then delivered again.
    """
    return retry_on_conflict(lambda: _admits(topic_of(case, outbox), case, context))


def _admits(topic: str, case: Case, context: Context[_Ports]) -> bool:
    """Reserve one of the window's notices for the case; a second call for the same case counts once."""
    key, now = Key(f"DIGEST#{topic}", "DIGEST"), context.now()
    record = context.ports.ledger.read(key)
    if record is None or ("due_at" not in record and from_text(record["since"]) + _WINDOW <= now):
        begun = {"type": "digest", "thing": f"digest:{topic}", "state": case.state, "since": to_text(now)}
        context.ports.ledger.commit(Put(key, {**begun, "told": [case.id]}, version_of(record)))
        return True
    if case.id in record["told"]:
        return True
    if len(record["told"]) < (1 if topic != case.state else _NOTICES_A_WINDOW):
        context.ports.ledger.commit(Put(key, {**record, "told": [*record["told"], case.id]}, version_of(record)))
        return True
    if "due_at" not in record:
        due = {"due": "due", "due_at": to_text(from_text(record["since"]) + _WINDOW)}
        context.ports.ledger.commit(Put(key, {**record, **due}, version_of(record)))
    return False


def send_digest(key: Key, record: Record, context: Context[_Ports]) -> None:
    """Send a summary of the cases that entered a state since the window began.

    Raises:
        NotSent: when it could not be sent; the digest stays due.
    """
    state, since = record["state"], from_text(record["since"])
    found = list(_since(state, since, context))
    if found:
        context.ports.notices.send(f"Fleet Warden: digest: {len(found)} cases {state}", _body(found, state, since))
    settled = {name: value for name, value in record.items() if name not in ("due", "due_at")}
    context.ports.ledger.commit(Put(key, settled, version_of(record)))


def _since(state: str, since: datetime, context: Context[_Ports]) -> Iterator[Case]:
    for _, record in context.ports.ledger.find(Index.STATE, state, newest_first=True):
        case = case_from(record)
        if case.opened_at < since:
            return
        yield case


def _body(cases: list[Case], state: str, since: datetime) -> str:
    lines = [f"{len(cases)} cases opened since {since:%Y-%m-%d %H:%M} UTC are {state}.", ""]
    lines += [
        f"  {case.id}  {plain(case.thing or case.subject.name, 60)}  {plain(case.kind, 50)}  {case.severity}"
        for case in islice(cases, _NAMED)
    ]
    if len(cases) > _NAMED:
        lines.append(f"  and {len(cases) - _NAMED} more")
    return "\n".join([*lines, "", "What to do next", f"  Read them all: warden cases --state {state}"]) + "\n"
