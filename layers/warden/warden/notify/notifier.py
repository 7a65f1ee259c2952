"""Telling: people by notices, programs by events. What was done stays done, whether or not anybody could be told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import partial

from warden.cases.model import WARDEN, Case, CaseState, Progress, Step
from warden.cases.views import summary
from warden.context import Service
from warden.core.errors import NotSent
from warden.core.findings import Source
from warden.core.ledger import Key, Record, decide_anew
from warden.notify.asff import finding_of
from warden.notify.case_notices import body_of, subject_of
from warden.notify.digests import admits
from warden.plan.model import NOTIFY, RENEW_CERTIFICATE, ROTATE_CERTIFICATE

_AGAIN_AFTER = timedelta(minutes=5)
EVENT_SCHEMA = 1


def tell(case: Case, service: Service, reason: str = "") -> Case:
    """Tell where a case stands, once for each state: programs first, then people.

    Each is marked as told after it was: a crash in between tells again rather than never (decision 6). Whoever
    cannot be told now is told by the sweep.
    """
    told, owed = case, False
    for telling in (_announce, _tell_security_hub, partial(_notify, reason=reason)):
        try:
            told = telling(told, service)
        except NotSent:
            owed = True
    if owed == (told.owed_at is not None):
        return told
    return decide_anew(lambda: _owe(told.id, owed, service))


def tell_again(_key: Key, record: Record, service: Service) -> None:
    """Make up for what could not be told."""
    case = tell(service.cases.read(record["case_id"]), service)
    if case.owed_at is not None:
        decide_anew(lambda: _owe(case.id, True, service))


def _owe(case_id: str, owed: bool, service: Service) -> Case:
    case = service.cases.read(case_id)
    return service.cases.save(replace(case, owed_at=service.now() + _AGAIN_AFTER if owed else None), service.now())


def _announce(case: Case, service: Service) -> Case:
    mark = _mark(case)
    if case.announced == mark:
        return case
    # The id is the same however often this is sent: whoever counts can tell a repetition.
    event = {"schema": EVENT_SCHEMA, "id": f"{case.id}:{case.version}", "case": summary(case)}
    service.ports.announcements.publish(event)
    return _note(case.id, service, announced=mark)


def _tell_security_hub(case: Case, service: Service) -> Case:
    mark = _mark(case)
    if case.in_security_hub == mark or not service.settings.security_hub:
        return case
    service.ports.security_hub.put(finding_of(case, service.settings, service.now()))
    return _note(case.id, service, in_security_hub=mark)


def _note(case_id: str, service: Service, **marks: str) -> Case:
    def write() -> Case:
        return service.cases.save(replace(service.cases.read(case_id), **marks), service.now())  # type: ignore[arg-type]

    return decide_anew(write)


def _mark(case: Case) -> str:
    return f"{case.state}:{_failures(case)}"


def _notify(case: Case, service: Service, reason: str) -> Case:
    mark = _mark(case)
    if mark in case.noticed or not _is_news(case, service):
        return case
    if admits(case, service):
        service.ports.notices.send(subject_of(case), body_of(case, service.settings, reason))
        step = Step("notified", WARDEN, case.state)
    else:
        step = Step("left for a digest", WARDEN, "there were many notices within the hour")

    def write() -> Case:
        current = service.cases.read(case.id)
        if mark in current.noticed:
            return current
        return service.cases.save(replace(current, noticed=(*current.noticed, mark)), service.now(), step)

    return decide_anew(write)


def _failures(case: Case) -> str:
    return ",".join(sorted(action for action, outcome in case.outcomes.items() if outcome.progress is Progress.FAILED))


def _is_news(case: Case, service: Service) -> bool:
    if _is_told_of_by_the_campaign(case):
        return False
    if case.state in (CaseState.HELD, CaseState.AWAITING_APPROVAL) or _failures(case):
        return True
    if case.state in (CaseState.RESPONDING, CaseState.RECOVERING):
        return False
    return NOTIFY in service.plan.rule_named(case.rule).actions


def _is_told_of_by_the_campaign(case: Case) -> bool:
    """Tell whether a case is a campaign's and nothing besides: people hear of all its devices at once."""
    enrolled = case.progress(RENEW_CERTIFICATE) is Progress.DONE
    return case.source is Source.SCHEDULE or (enrolled and {*case.outcomes} <= {RENEW_CERTIFICATE, ROTATE_CERTIFICATE})
