"""When all that follows is the same: the world written down as far as anything that comes can depend on it.

Two runs of a flow that stand at the same place, before the same invocation in the same world, end alike. The place is
the world's trail (world.py): which step, what the script was asked to do and is in the middle of, and what each part of
that was answered so far. What is left out of the comparison is left out because nothing reads it, and the reason stands
here; whatever else differs, if only in its order, makes two worlds of one, which costs time and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any
from zlib import crc32

from moto.backends import get_backend

from tests.aws_stand_in.rules import ACCOUNT
from tests.faults import invariants
from tests.faults.fault_transport import written
from tests.faults.queues import DEDUPLICATION, Queue
from tests.faults.world import World

_COMPARED = 4
"""One place in so many."""


def is_compared(world: World, asked: object) -> bool:
    """Choose the places at which worlds are compared, by the place alone: to write a world down takes half the time.

    Two runs that stand in the same world at a place left out do so at the next one chosen, too.
    """
    return crc32(written((asked, world.place()))) % _COMPARED == 0


def digest_of(world: World, asked: object, denied: frozenset[str]) -> bytes:
    """Sum up what a function is asked, the place in the script at which it is, and the world that it finds."""
    found = asked, world.place(), sorted(denied), world.cloud.iot.__dict__, *_of_cloud(world), *_of_world(world)
    return sha256(written(found)).digest()


_ITEMS_KEPT = 10_000
_items: dict[int, tuple[object, bytes]] = {}


def _item(item: object) -> bytes:
    """Write down an item of the table, once: nothing changes an item, another comes in its place."""
    known = _items.get(id(item))
    if known is None or known[0] is not item:
        if len(_items) > _ITEMS_KEPT:
            _items.clear()
        known = _items[id(item)] = item, sha256(written(item)).digest()
    return known[1]


def _of_cloud(world: World) -> Iterator[object]:
    """Leave out what was announced, which nobody reads, and what is in a file: its key has the digest of it."""
    state = world.cloud.state
    now = state.clock()
    yield now
    yield [_of_queue(queue, now) for queue in state.queues.values()]
    yield [(key, _item(state.ledger[key])) for key in sorted(state.ledger)]
    yield [state.violations, state.audit_findings, state.event_configurations, state.stack_answers]
    yield state.account.group_levels
    yield invariants.hub_of(world)
    yield [sorted(state.sessions), state.certificates_made, state.authority, state.job_events]
    yield list(dict.fromkeys((topic, repr(answer)) for topic, answer in state.replies))
    yield sorted(map(str, get_backend("s3")[ACCOUNT]["aws"].buckets["evidence"].keys))
    yield invariants.history_of(world)


def _of_queue(queue: Queue, now: datetime) -> object:
    """Leave out how a message failed and its id, which are only told, and what SQS has forgotten."""
    waiting = [(each.body, each.group, each.visible_at, each.receives) for each in queue.waiting]
    seen = {once: at for once, at in queue.seen.items() if now - at < DEDUPLICATION}
    return queue.name, waiting, [each.body for each in queue.parked], seen


def _of_world(world: World) -> Iterator[object]:
    """Leave out the number of functions that ran: it is used only in their names."""
    state = world.state
    yield list(state.devices.values())
    yield [state.sources, state.calls, state.answers, state.broken, state.given_up, state.strays]


def asked_of(function: str, event: Mapping[str, Any]) -> object:
    """Return what a function is asked, without the message's id."""
    records = event.get("Records")
    return function, [(each["body"], each["attributes"]) for each in records] if records else event
