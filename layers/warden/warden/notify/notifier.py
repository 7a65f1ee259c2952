"""Telling: people by notices, programs by events. What was done stays done, whether or not anybody could be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from warden.cases.model import WARDEN, Case, CaseState, Progress, Step
from warden.cases.views import summary
from warden.context import Context
from warden.core.errors import NotSent
from warden.core.findings import Source
from warden.core.ledger import Key, Record, retry_on_conflict
from warden.notify.asff import finding_of
from warden.notify.case_notices import body_of, subject_of
from warden.notify.digests import admits
from warden.plan.actions import NOTIFY, RENEW_CERTIFICATE, ROTATE_CERTIFICATE

_AGAIN_AFTER = timedelta(minutes=5)
EVENT_SCHEMA = 1


def notify(case: Case, context: Context, reason: str = "") -> Case:
    """Tell where a case stands, once for each state: programs first, then people.

    Each is marked as told after it was: a crash in between tells again rather than never (decision 6). Whoever
    cannot be told now is told by the sweep.
    """
    told, owed = case, False
    for channel in (_announce, _tell_security_hub, partial(_notify, reason=reason)):
        try:
            told = channel(told, context)
        except NotSent:
            owed = True
    if owed == (told.renotify_at is not None):
        return told
    return retry_on_conflict(lambda: _owe(told.id, owed, context))


def retry_notifications(_key: Key, record: Record, context: Context) -> None:
    """Make up for what could not be told."""
    case = notify(context.cases.read(record["case_id"]), context)
    if case.renotify_at is not None:
        retry_on_conflict(lambda: _owe(case.id, True, context))


def _owe(case_id: str, owed: bool, context: Context) -> Case:
    case = context.cases.read(case_id)
    return context.cases.save(replace(case, renotify_at=context.now() + _AGAIN_AFTER if owed else None), context.now())


def _announce(case: Case, context: Context) -> Case:
    mark = _mark(case)
    if case.announced == mark:
        return case
    # The id is the same however often this is sent: whoever counts can tell a repetition.
    event = {"schema": EVENT_SCHEMA, "id": f"{case.id}:{case.version}", "case": summary(case)}
    context.ports.announcements.publish(event)
    return _note(case.id, context, announced=mark)


def _tell_security_hub(case: Case, context: Context) -> Case:
    mark = _mark(case)
    if case.in_security_hub == mark or not context.settings.security_hub:
        return case
    context.ports.security_hub.put(finding_of(case, context.settings, context.now()))
    return _note(case.id, context, in_security_hub=mark)


def _note(case_id: str, context: Context, **marks: str) -> Case:
    def write() -> Case:
        return context.cases.save(replace(context.cases.read(case_id), **marks), context.now())  # type: ignore[arg-type]

    return retry_on_conflict(write)


def _mark(case: Case) -> str:
    return f"{case.state}:{_failures(case)}"


def _notify(case: Case, context: Context, reason: str) -> Case:
    mark = _mark(case)
    if mark in case.announced_states or not _is_news(case, context):
        return case
    if admits(case, context):
        context.ports.notices.send(subject_of(case), body_of(case, context.settings, reason))
        step = Step("notified", WARDEN, case.state)
    else:
        step = Step("left for a digest", WARDEN, "there were many notices within the hour")

    def write() -> Case:
        current = context.cases.read(case.id)
        if mark in current.announced_states:
            return current
        return context.cases.save(
            replace(current, announced_states=(*current.announced_states, mark)), context.now(), step
        )

    return retry_on_conflict(write)


def _failures(case: Case) -> str:
    return ",".join(sorted(action for action, outcome in case.outcomes.items() if outcome.progress is Progress.FAILED))


def _is_news(case: Case, context: Context) -> bool:
    if _is_told_of_by_the_campaign(case):
        return False
    if case.state in (CaseState.HELD, CaseState.AWAITING_APPROVAL) or _failures(case):
        return True
    if case.state in (CaseState.RESPONDING, CaseState.RECOVERING):
        return False
    return NOTIFY in context.plan.rule_named(case.rule).actions


def _is_told_of_by_the_campaign(case: Case) -> bool:
    """Tell whether a case is a campaign's and nothing besides: people hear of all its devices at once."""
    enrolled = case.progress(RENEW_CERTIFICATE) is Progress.DONE
    return case.source is Source.SCHEDULE or (enrolled and {*case.outcomes} <= {RENEW_CERTIFICATE, ROTATE_CERTIFICATE})
