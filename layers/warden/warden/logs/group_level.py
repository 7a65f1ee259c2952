"""Log contained devices at DEBUG by a level on the restricted group: set while it has members, then removed.

A level on a group overrides those of the account and of event types (AWS IoT Core developer guide, "Configure AWS IoT
logging"). It counts for a device that connects under its thing's name, and only while AWS IoT logs at all.

The level of a group is one value for everybody in the account. So the level is read before it is written, the intent is
recorded before the effect, and only a level that the record says is ours is ever removed. Somebody else's level stays.
One case cannot be distinguished: somebody sets DEBUG while ours is set.

AWS is asked when the group gets its first member and when it loses its last, and once an hour in between, as others may
change the level. A refusal by AWS is recorded with its reason, and the call is tried again an hour later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from warden.cases.model import CaseState
from warden.core.clock import Clock
from warden.core.ledger import Index, Key, Ledger, Put, retry_on_conflict, version_of
from warden.core.ports import LevelRefused, LogLevels
from warden.core.records import RecordType

LEVEL = "DEBUG"
"""The level that is set: everything that AWS IoT logs about a device."""

_AGAIN_AFTER = timedelta(hours=1)
_IN_FLIGHT = timedelta(minutes=2)
"""Twice the time that a sweep may take: a sweep that was about to set the level that long ago is no longer running."""

_KEY = Key("LOGGING", "RESTRICTED-GROUP")
_CONTAINED = (CaseState.CONTAINED, CaseState.RECOVERING)
"""The states of a case whose device is in the group."""


class LevelState(StrEnum):
    """The level in force, or why ours is not set."""

    IDLE = "idle"
    """Nobody is contained, and nothing of ours is set."""
    SETTING = "setting"
    """About to be set."""
    SET = "set"
    THEIRS = "theirs"
    """The group has a level of somebody else, which is left alone."""
    LOGGING_OFF = "logging-off"
    """AWS IoT logs nothing, so a level would do nothing."""
    DENIED = "denied"
    """The service's role lacks the right."""
    REFUSED = "refused"
    """AWS refused for another reason, which asking again at once would not change."""


@dataclass(frozen=True, kw_only=True)
class GroupLevel:
    """The last change to the level.

    `action` was denied, or refused with `code`; `found` is the level of somebody else.
    """

    state: LevelState
    wanted: bool
    """Whether a device was contained, and the deployment wants the level."""
    ours: bool = False
    """Whether a level that we set may be there."""
    action: str = ""
    code: str = ""
    found: str = ""
    since: datetime
    checked_at: datetime
    version: int = 0

    @property
    def facts(self) -> Mapping[str, str]:
        """Return the fields for a log line."""
        return {"state": self.state, "action": self.action, "code": self.code, "found": self.found}


_LEVELS = RecordType(name="group-level", of=GroupLevel)


@dataclass(frozen=True, kw_only=True)
class LevelKeeper:
    """What is needed to keep the level; `is_asked_for` is the deployment's parameter."""

    ledger: Ledger
    levels: LogLevels
    group: str
    is_asked_for: bool
    clock: Clock


def read_group_level(ledger: Ledger) -> GroupLevel | None:
    """Read what was done last; None if nobody was ever contained."""
    record = ledger.read(_KEY)
    return None if record is None else replace(_LEVELS.value(record), version=version_of(record))


def keep_level(keeper: LevelKeeper) -> GroupLevel | None:
    """Set the level while a device is contained, remove it when none is, and return the record."""
    return retry_on_conflict(lambda: _keep(keeper, wanted=keeper.is_asked_for and _is_any_contained(keeper.ledger)))


def take_level_back(keeper: LevelKeeper) -> GroupLevel | None:
    """Remove the level that was set, even while devices are contained: nobody could do it later."""
    return retry_on_conflict(lambda: _keep(keeper, wanted=False))


def _is_any_contained(ledger: Ledger) -> bool:
    return any(ledger.has_any(Index.STATE, state) for state in _CONTAINED)


def _keep(keeper: LevelKeeper, *, wanted: bool) -> GroupLevel | None:
    level, now = read_group_level(keeper.ledger), keeper.clock()
    if level is None:
        if not wanted:
            return None
        level = GroupLevel(state=LevelState.IDLE, wanted=False, since=now, checked_at=now)
    if not _is_due(level, now, wanted=wanted):
        return level
    decide = _set if wanted else _take_back
    return decide(replace(level, wanted=wanted), keeper)


def _is_due(level: GroupLevel, now: datetime, *, wanted: bool) -> bool:
    age = now - level.checked_at
    if level.state is LevelState.SETTING:
        return age >= _IN_FLIGHT
    if level.wanted != wanted:
        return True
    return (wanted or level.ours) and age >= _AGAIN_AFTER


def _set(level: GroupLevel, keeper: LevelKeeper) -> GroupLevel:
    is_on = keeper.levels.logging_is_on()
    if is_on is False:
        return _note(level, LevelState.LOGGING_OFF, keeper)
    if is_on is not True:
        return _note_refusal(level, is_on, keeper)
    found = keeper.levels.level_of(keeper.group)
    if not isinstance(found, str):
        return _note_refusal(level, found, keeper)
    if found and not (found == LEVEL and level.ours):
        return _note(replace(level, ours=False), LevelState.THEIRS, keeper, found=found)
    if not found:
        level = _note(replace(level, ours=True), LevelState.SETTING, keeper)
        refused = keeper.levels.set_level(keeper.group, LEVEL)
        if refused is not None:
            return _note_refusal(replace(level, ours=False), refused, keeper)
    return _note(level, LevelState.SET, keeper)


def _take_back(level: GroupLevel, keeper: LevelKeeper) -> GroupLevel:
    if level.ours:
        found = keeper.levels.level_of(keeper.group)
        if not isinstance(found, str):
            return _note_refusal(level, found, keeper)
        refused = keeper.levels.remove_level(keeper.group) if found == LEVEL else None
        if refused is not None:
            return _note_refusal(level, refused, keeper)
    return _note(replace(level, ours=False), LevelState.IDLE, keeper)


def _note_refusal(level: GroupLevel, refused: LevelRefused, keeper: LevelKeeper) -> GroupLevel:
    state = LevelState.DENIED if refused.is_denial else LevelState.REFUSED
    return _note(level, state, keeper, action=refused.action, code=refused.code)


def _note(
    level: GroupLevel, state: LevelState, keeper: LevelKeeper, *, action: str = "", code: str = "", found: str = ""
) -> GroupLevel:
    now = keeper.clock()
    since = level.since if level.state is state else now
    noted = replace(level, state=state, action=action, code=code, found=found, since=since, checked_at=now)
    keeper.ledger.commit(Put(_KEY, _LEVELS.record(noted), level.version))
    return replace(noted, version=level.version + 1)
