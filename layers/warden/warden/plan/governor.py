"""The governor: nothing beyond its limits is touched, whatever arrives. When it cannot decide, it refuses.

Limits apply to rolling windows: an hour counted by minutes, a day by hours. The oldest slot counts in full, so a
window is never too short and no burst at its edge gets through.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from warden.core.clock import from_text, to_text
from warden.core.ledger import Key, Ledger, Put, Record, version_of
from warden.core.ports import Thing
from warden.plan.model import Limits, NeverTouch, Plan, Rule

STOP_KEY = Key("SWITCH", "STOP")
"""The kill switch: while this record has `stopped`, no finding touches a device. Read on every run."""


def stop_of(ledger: Ledger) -> Record | None:
    """Read who has thrown the kill switch, when and why; None while it is not thrown."""
    record = ledger.read(STOP_KEY)
    return record if record is not None and record["stopped"] else None


class Grounds(StrEnum):
    """Why something is admitted or held."""

    STOPPED = "stopped"
    NEVER_TOUCH = "never-touch"
    LIMIT_REACHED = "limit-reached"
    COOLING_DOWN = "cooling-down"
    APPROVED = "approved"
    WITHIN_LIMITS = "within-limits"
    CAMPAIGN_LIMITS = "campaign-limits"


@dataclass(frozen=True)
class Admission:
    """What the governor decides: `grounds` for programs, `reason` in words.

    `for_all` marks a refusal that would apply to any other device as well. `writes` count the devices and belong in
    the commit that begins the work.
    """

    allowed: bool
    grounds: Grounds
    reason: str
    for_all: bool = False
    writes: Sequence[Put] = ()


@dataclass(frozen=True)
class _Window:
    """One limit: at most `limit` devices within any `slots` slots of `slot` length."""

    name: str
    limit: int
    slot: timedelta
    slots: int
    words: str


class Governor:
    """Weighs what is about to be touched against the plan's limits. Its counters are in the ledger."""

    def __init__(self, plan: Plan, ledger: Ledger) -> None:
        self._plan = plan
        self._ledger = ledger

    def weigh(
        self, rule: Rule, things: Sequence[Thing], now: datetime, *, approved: bool = False, counted: bool = True
    ) -> Admission:
        """Decide whether all of these things may be touched now.

        An operator's approval overrides the limits on numbers, but not the kill switch or the never-touch list. The
        campaign counts the devices that it touches itself.
        """
        if stopped := self._stopped():
            why = f"stopped by {stopped['who']} at {stopped['at']}: {stopped['why']}"
            return Admission(False, Grounds.STOPPED, why, for_all=True)
        for thing in things:
            if why := _protected(thing, self._plan.never_touch):
                return Admission(False, Grounds.NEVER_TOUCH, why)
        if not counted:
            return Admission(True, Grounds.CAMPAIGN_LIMITS, "the limits of campaigns hold")
        count = max(1, len(things))  # a certificate on no thing counts as one device
        writes = []
        for window in (*_windows("all", self._plan.limits), *_windows(f"rule {rule.name}", rule.limits)):
            record = self._ledger.read(_counter(window))
            counts = _live(record["counts"] if record else {}, window, now)
            if sum(counts.values()) + count > window.limit and not approved:
                why = f"{sum(counts.values())} of {window.limit} {window.words} are used"
                return Admission(False, Grounds.LIMIT_REACHED, why, for_all=True)
            slot = to_text(_slot_of(now, window))
            counts[slot] = counts.get(slot, 0) + count
            counter = {"type": "counter", "window": window.name, "counts": counts}
            writes.append(Put(_counter(window), counter, version_of(record)))
        if approved:
            return Admission(True, Grounds.APPROVED, "approved", writes=writes)
        return Admission(True, Grounds.WITHIN_LIMITS, "within the limits", writes=writes)

    def room_for_campaign(self, now: datetime) -> int:
        """Return how many more devices a campaign may send jobs to in these 24 hours; 0 while stopped."""
        if self.is_stopped:
            return 0
        window = self._campaign_window
        record = self._ledger.read(_counter(window))
        return max(0, window.limit - sum(_live(record["counts"] if record else {}, window, now).values()))

    def count_for_campaign(self, devices: int, now: datetime) -> Put:
        """Return the write that counts the devices that a campaign sends jobs to."""
        window = self._campaign_window
        record = self._ledger.read(_counter(window))
        counts = _live(record["counts"] if record else {}, window, now)
        slot = to_text(_slot_of(now, window))
        counts[slot] = counts.get(slot, 0) + devices
        return Put(_counter(window), {"type": "counter", "window": window.name, "counts": counts}, version_of(record))

    @property
    def is_stopped(self) -> bool:
        """Whether an operator has thrown the kill switch."""
        return self._stopped() is not None

    def _stopped(self) -> Record | None:
        return stop_of(self._ledger)

    @property
    def _campaign_window(self) -> _Window:
        limit = self._plan.rotation.devices_per_day
        return _Window("campaign#day", limit, timedelta(hours=1), 24, "devices of campaigns a day")

    def protects(self, thing: Thing) -> str:
        """Return why a thing must never be touched; empty when it may be."""
        return _protected(thing, self._plan.never_touch)


def _windows(scope: str, limits: Limits) -> list[_Window]:
    who = "devices" if scope == "all" else f"devices of {scope}"
    windows = []
    if limits.devices_per_hour is not None:
        windows.append(_Window(f"{scope}#hour", limits.devices_per_hour, timedelta(minutes=1), 60, f"{who} an hour"))
    if limits.devices_per_day is not None:
        windows.append(_Window(f"{scope}#day", limits.devices_per_day, timedelta(hours=1), 24, f"{who} a day"))
    return windows


def _counter(window: _Window) -> Key:
    return Key(f"LIMIT#{window.name}", "COUNTER")


def _slot_of(now: datetime, window: _Window) -> datetime:
    return datetime.fromtimestamp(
        now.timestamp() // window.slot.total_seconds() * window.slot.total_seconds(), now.tzinfo
    )


def _live(counts: Mapping[str, Any], window: _Window, now: datetime) -> dict[str, int]:
    oldest = _slot_of(now, window) - window.slots * window.slot
    return {slot: int(count) for slot, count in counts.items() if from_text(slot) >= oldest}


def _protected(thing: Thing, never: NeverTouch) -> str:
    if any(fnmatchcase(thing.name, glob) for glob in never.things):
        return f"{thing.name} is on the never-touch list"
    if any(fnmatchcase(thing.thing_type, glob) for glob in never.thing_types):
        return f"{thing.name} is of type {thing.thing_type}, which is on the never-touch list"
    for group in thing.groups:
        if any(fnmatchcase(group, glob) for glob in never.thing_groups):
            return f"{thing.name} is in group {group}, which is on the never-touch list"
    return ""
