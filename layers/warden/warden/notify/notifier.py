"""Notify people by notices and programs by events. A failure to notify undoes nothing that was done."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from warden.cases.model import WARDEN, Case, CaseState, Progress, Step, StepKind
from warden.cases.outbox import Outbox
from warden.cases.views import summary
from warden.context import Context
from warden.core.errors import NotSent
from warden.core.findings import Source
from warden.core.ledger import Key, Record
from warden.notify.asff import finding_of
from warden.notify.case_notices import body_of, subject_of
from warden.notify.digests import admits
from warden.plan.actions import NOTIFY, RENEW_CERTIFICATE, ROTATE_CERTIFICATE

_AGAIN_AFTER = timedelta(minutes=5)
EVENT_SCHEMA = 1


def notify(case: Case, context: Context, reason: str = "") -> Case:
    """Send a case's state, once for each state: programs first, then people.

    Each is marked as sent after it was sent: after a crash in between it is sent twice, never not at all
    (decision 6). The sweep sends what cannot be sent now.
    """
    _notify(case, context, reason)
    return case


def retry_notifications(_key: Key, record: Record, context: Context) -> None:
    """Send what could not be sent before."""
    _notify(context.cases.read(record["case_id"]), context, "")


def _notify(case: Case, context: Context, reason: str) -> None:
    outbox, now, is_pending = context.cases.outbox(case), context.now(), False
    due_before = outbox.renotify_at
    for channel in (_announce, _send_to_security_hub, partial(_send_to_people, reason=reason)):
        if case.version < outbox.told_version:
            return  # another delivery has changed the case and sent that
        try:
            outbox = channel(case, outbox, context)
        except NotSent:
            is_pending = True

    def settled(last: Outbox) -> Outbox:
        if is_pending:
            return replace(last, renotify_at=now + _AGAIN_AFTER)
        # What became due in the meantime is news that was not sent here.
        return replace(last, renotify_at=None) if last.renotify_at == due_before else last

    context.cases.update_outbox(case, outbox, now, settled)


def _announce(case: Case, outbox: Outbox, context: Context) -> Outbox:
    mark = _mark(case)
    if outbox.announced == mark:
        return outbox
    # The id is the same however often this is sent, so that a consumer can recognise a repetition.
    event = {"schema": EVENT_SCHEMA, "id": f"{case.id}:{case.version}", "case": summary(case)}
    context.ports.announcements.publish(event)
    return context.cases.update_outbox(case, outbox, context.now(), lambda last: _sent(last, case, announced=mark))


def _sent(outbox: Outbox, case: Case, **marks: str) -> Outbox:
    if case.version < outbox.told_version:
        return outbox  # another delivery sent a later state while this one was sent
    return replace(outbox, told_version=max(case.version, outbox.told_version), **marks)  # type: ignore[arg-type]


def _send_to_security_hub(case: Case, outbox: Outbox, context: Context) -> Outbox:
    mark = _mark(case)
    if outbox.in_security_hub == mark or not context.settings.security_hub:
        return outbox
    context.ports.security_hub.put(finding_of(case, context.settings, context.now()))
    return context.cases.update_outbox(
        case, outbox, context.now(), lambda last: _sent(last, case, in_security_hub=mark)
    )


def _send_to_people(case: Case, outbox: Outbox, context: Context, reason: str) -> Outbox:
    mark = _mark(case)
    if mark in outbox.announced_states or not _is_news(case, context):
        return outbox
    if admits(case, outbox, context):
        context.ports.notices.send(subject_of(case), body_of(case, context.settings, reason))
        step = Step(StepKind.NOTIFIED, WARDEN, case.state)
    else:
        step = Step(StepKind.LEFT_FOR_A_DIGEST, WARDEN, "there were many notices within the hour")

    def marked(current: Outbox) -> Outbox:
        announced = current.announced_states
        return current if mark in announced else replace(current, announced_states=(*announced, mark))

    return context.cases.update_outbox(case, outbox, context.now(), marked, step)


def _mark(case: Case) -> str:
    return f"{case.state}:{_failures(case)}"


def _failures(case: Case) -> str:
    return ",".join(sorted(action for action, outcome in case.outcomes.items() if outcome.progress is Progress.FAILED))


def _is_news(case: Case, context: Context) -> bool:
    if _is_only_a_campaigns(case):
        return False
    if case.state in (CaseState.HELD, CaseState.AWAITING_APPROVAL) or _failures(case):
        return True
    if case.state in (CaseState.RESPONDING, CaseState.RECOVERING):
        return False
    return NOTIFY in context.plan.rule_named(case.rule).actions


def _is_only_a_campaigns(case: Case) -> bool:
    """Check whether a case is only a campaign's: people get one notice about all devices of a campaign."""
    enrolled = case.progress(RENEW_CERTIFICATE) is Progress.DONE
    return case.source is Source.SCHEDULE or (enrolled and {*case.outcomes} <= {RENEW_CERTIFICATE, ROTATE_CERTIFICATE})
