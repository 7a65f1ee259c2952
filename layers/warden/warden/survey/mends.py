"""Changing a drifted property back: one at a time, on record before it is made, and never twice in a week.

Cloud Control API makes the change with the handlers that CloudFormation uses. The drift is read again right before, and
the change tests the value that was read. Its result is reported in any case; a property that drifts again is left to
people.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from warden.core.account_facts import Read, Unanswered
from warden.core.drift import ResourceDrift, Update, UpdateState
from warden.core.escaping import shown
from warden.core.ports import HasLedger, ResourceUpdates, StackDrift
from warden.plan.governor import stop_of
from warden.survey.drift import UNDO, VALUE_CHARACTERS
from warden.survey.facts import is_unread, why
from warden.survey.mending import Return, event_of, rank_of, returns_of
from warden.survey.model import Change, Difference, Drift, DriftState, Mend, MendState
from warden.survey.records import Owed, SurveyRecord, Watch, WatchState, owing

_ONE_IN = timedelta(days=7)
"""A property is changed back once in this time: somebody who changes it again has a reason, or must be found."""

_GIVE_UP_AFTER = timedelta(hours=1)
_KEPT = 30
"""More than there are properties to change back: a forgotten one would be changed back twice within the week."""

_PREFIX = "mend:"

_ASKED_AGAIN = frozenset({"ThrottlingException", "ServiceInternalErrorException", "NetworkFailureException"})
"""Errors of Cloud Control API that say nothing about a change. Any other error ends it."""


class Ports(HasLedger, Protocol):
    """What changing back touches. Of the ledger it reads the kill switch, which holds everything that is automatic."""

    @property
    def stack_drift(self) -> StackDrift: ...
    @property
    def resource_updates(self) -> ResourceUpdates: ...


@dataclass(frozen=True)
class Terms:
    """Whether the service may change anything back, the stack, and the present time."""

    mends: bool
    stack: str
    now: datetime


def mend(record: SurveyRecord, ports: Ports, terms: Terms) -> SurveyRecord | None:
    """Follow the change that is under way, or begin one; None if there is nothing to do."""
    under_way = next((each for each in record.survey.mends if each.state is MendState.BEGUN), None)
    if under_way is not None:
        held = "" if under_way.request else _held(ports, terms)
        return (
            _waiting(record, under_way, held, terms.now)
            if held
            else _followed(record, under_way, ports.resource_updates, terms.now)
        )
    if not terms.mends or record.watch.state is not WatchState.IDLE:
        return None
    return _begun(record, ports, terms)


def annotated(drift: Drift, mends: Sequence[Mend], *, may_mend: bool, now: datetime) -> Drift:
    """Add to each difference whether it is changed back, and what closes it."""
    differences = []
    for each in drift.differences:
        if each.mend and may_mend:
            sentence = _sentence(_last(each, mends, now), drift)
            differences.append(replace(each, says=(sentence,), closes=(UNDO,)))
        elif each.mend:
            differences.append(replace(each, closes=("BaselineDrift=mend", UNDO)))
        else:
            differences.append(each)
    return replace(drift, differences=tuple(differences))


def _sentence(last: Mend | None, drift: Drift) -> str:
    if last is None or last.state is MendState.BEGUN:
        return "One of the next runs changes it back."
    at = f"{last.at:%Y-%m-%d %H:%M} UTC"
    if last.state is MendState.FAILED:
        return f"It could not be changed back at {at}: {last.why} It is left to people."
    if drift.at is not None and drift.at > last.at:
        return f"It was changed back at {at} and has drifted again: it is left to people."
    return f"It was changed back at {at}: CloudFormation compares again."


def _last(difference: Difference, mends: Sequence[Mend], now: datetime) -> Mend | None:
    """Return the last change of a property within the time that allows only one."""
    key = f"{difference.resource}{difference.mend}"
    return next((each for each in reversed(mends) if each.key == key and now - each.at < _ONE_IN), None)


# --- One change ------------------------------------------------------------------------------------------------------


def _begun(record: SurveyRecord, ports: Ports, terms: Terms) -> SurveyRecord | None:
    """Put the next change on record, if the property is still as it was found."""
    mends, drift = record.survey.mends, record.survey.drift
    due = [each for each in drift.differences if each.mend and _last(each, mends, terms.now) is None]
    if not due or drift.state is not DriftState.DRIFTED or stop_of(ports.ledger) is not None:
        return None
    first = min(due, key=lambda each: rank_of(each.type))
    return _intended(record, first, ports.stack_drift.resource(terms.stack, first.resource), terms.now)


def _intended(
    record: SurveyRecord, difference: Difference, again: Read[ResourceDrift], now: datetime
) -> SurveyRecord | None:
    if is_unread(again):
        return None  # the stack is being deployed, or AWS is out of reach: the next run asks again
    found = next((each for each in returns_of(again) if each.path == difference.mend), None)
    if found is None:  # somebody was faster: compare the whole stack again
        return replace(record, watch=Watch(state=WatchState.DUE, since=now))
    mends = (*record.survey.mends, _mend(again, found, now))[-_KEPT:]
    return replace(record, survey=replace(record.survey, mends=mends))


def _mend(resource: ResourceDrift, found: Return, now: datetime) -> Mend:
    once = sha256(f"{now.isoformat()} {resource.name}{found.path}".encode()).hexdigest()[:32]
    return Mend(
        resource=resource.name,
        type=resource.type,
        id=resource.id,
        path=found.path,
        found=_shown(found.found),
        back_to=_shown(found.expected),
        at=now,
        patch=json.dumps(found.patch),
        once=f"warden-{once}",
    )


def _shown(value: Any) -> str:
    return shown(value if isinstance(value, str) else json.dumps(value), VALUE_CHARACTERS)


def _held(ports: HasLedger, terms: Terms) -> str:
    """Return what keeps a change from being sent that is on record already; empty if nothing does."""
    if not terms.mends:
        return "BaselineDrift is no longer mend."
    return "The kill switch holds it." if stop_of(ports.ledger) is not None else ""


def _waiting(record: SurveyRecord, under_way: Mend, held: str, now: datetime) -> SurveyRecord | None:
    """Keep a change that is held for as long as one under way may take; after that it has failed."""
    if abs(now - under_way.at) < _GIVE_UP_AFTER:
        return None
    return _ended(record, replace(under_way, state=MendState.FAILED, why=held), now)


def _followed(record: SurveyRecord, under_way: Mend, updates: ResourceUpdates, now: datetime) -> SurveyRecord | None:
    """Send a change that is on record, or ask how far it is. Sent again, it is the same change."""
    update = (
        updates.progress(under_way.request)
        if under_way.request
        else updates.begin(under_way.type, under_way.id, json.loads(under_way.patch), under_way.once)
    )
    is_late = abs(now - under_way.at) >= _GIVE_UP_AFTER
    if is_unread(update):
        if isinstance(update, Unanswered) and update.code in _ASKED_AGAIN and not is_late:
            return None
        return _ended(record, replace(under_way, state=MendState.FAILED, why=why(update)), now)
    return _moved(record, under_way, update, now, is_late=is_late)


def _moved(
    record: SurveyRecord, under_way: Mend, update: Update, now: datetime, *, is_late: bool
) -> SurveyRecord | None:
    if update.state is UpdateState.DONE:
        return _ended(record, replace(under_way, state=MendState.DONE), now)
    if update.state is UpdateState.FAILED:
        said = f"AWS says {shown(update.why, VALUE_CHARACTERS)}."
        return _ended(record, replace(under_way, state=MendState.FAILED, why=said), now)
    if is_late:
        said = "Cloud Control API had not ended it within an hour."
        return _ended(record, replace(under_way, state=MendState.FAILED, why=said), now)
    if under_way.request:
        return None
    return _kept(record, replace(under_way, request=update.request))


def _kept(record: SurveyRecord, changed: Mend) -> SurveyRecord:
    mends = tuple(changed if each.once == changed.once else each for each in record.survey.mends)
    return replace(record, survey=replace(record.survey, mends=mends))


def _ended(record: SurveyRecord, ended: Mend, now: datetime) -> SurveyRecord:
    """Put the end on record, tell it, and have the stack compared again: a change may have changed more."""
    kept = _kept(record, ended)
    drift = annotated(kept.survey.drift, kept.survey.mends, may_mend=True, now=now)
    untold = record.changes if Owed.NOTICE in record.owed else ()
    return replace(
        kept,
        survey=replace(kept.survey, drift=drift),
        changes=(*untold, _change(ended)),
        changed_at=now,
        owed=owing(record, Owed.REPORTS, Owed.EVENT, Owed.NOTICE),
        watch=Watch(state=WatchState.DUE, since=now),
    )


def is_of_mend(key: str) -> bool:
    """Check whether a line of the notice is about a change that the service made."""
    return key.startswith(_PREFIX)


def _change(ended: Mend) -> Change:
    done = ended.state is MendState.DONE
    words = f"It is {ended.back_to} again; it was {ended.found}." if done else f"It is {ended.found}. {ended.why}"
    event = f"AttributeKey=EventName,AttributeValue={event_of(ended.type)}"
    return Change(
        key=f"{_PREFIX}{ended.key}",
        title=f"{ended.resource}{ended.path}",
        before=DriftState.DRIFTED.value,
        after=ended.state.value,
        says=(words, "The function survey_account changes it back because BaselineDrift is mend."),
        todo=(f"find out who changed it: aws cloudtrail lookup-events --lookup-attributes {event}",),
    )
