"""The decisions of operators. The CLI calls `operate`, which queues a decision; the responder carries it out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from warden.cases.allowed import Decision, refusal_of
from warden.cases.model import WARDEN, Case, CaseState, Progress, Resolution, Step, StepKind
from warden.cases.outbox import Outbox, outbox_put
from warden.containment.release import release, require_unchanged
from warden.context import Context
from warden.core.actions import QUARANTINE
from warden.core.errors import ActionFailed, Refused
from warden.core.ledger import retry_on_conflict
from warden.devices.device_view import read_device
from warden.devices.rotation import end_rotation, taking_back
from warden.devices.rotation_records import RotationState, read_rotation
from warden.notify.notifier import notify
from warden.plan.actions import COLLECT_LOGS, ROTATE_CERTIFICATE
from warden.respond.responder import admit, perform, planned, reached_by, record_outcome, run_actions


@dataclass(frozen=True, kw_only=True)
class Order:
    """A decision and who made it. `who` is the ARN that AWS authenticated, never a name from a payload.

    `accept_changes` is for a release: it accepts the changes that people made to the device.
    """

    decision: Decision
    case_id: str
    who: str
    why: str = ""
    request: str = ""
    accept_changes: bool = False


def check_decision(decision: Decision, case: Case, context: Context) -> None:
    """Check whether a decision can be carried out now.

    Raises:
        Refused: with the reason, and what can be done instead.
    """
    if refusal := refusal_of(decision, case, context.settings.mode):
        raise refusal
    thing = context.ports.registry.thing(case.thing) if decision is Decision.COLLECT_LOGS else None
    if thing is not None and (why := context.governor.protects(thing)):
        raise Refused("never-touch", f"{why}: it is only reported")


def carry_out(order: Order, context: Context) -> Case:
    """Carry out an operator's decision. Doing it again changes nothing."""
    case = retry_on_conflict(lambda: _carry_out_once(order, context))
    if order.decision is Decision.CANCEL:
        _end_taken_back(case.thing, context)
    return resume(case, context)


def _carry_out_once(order: Order, context: Context) -> Case:
    case = context.cases.read(order.case_id)
    outbox = context.cases.outbox(case)
    if order.request in outbox.handled_request_ids:
        # Handled by another delivery, or by a write whose answer was lost: only the rest of the work remains.
        return context.cases.read(order.case_id)
    check_decision(order.decision, case, context)
    return _BY_DECISION[order.decision](case, outbox.with_request(order.request), order, context)


def resume(case: Case, context: Context) -> Case:
    """Continue a case from its current state."""
    if case.state is CaseState.RECOVERING:
        return recover(case, context)
    if case.state is CaseState.CONTAINED and case.progress(COLLECT_LOGS) is Progress.PLANNED:
        case = record_outcome(case.id, COLLECT_LOGS, perform(COLLECT_LOGS, case, context), context)
    return run_actions(case, context)


def _step_of(order: Order) -> Step:
    facts: dict[str, Any] = {"decision": order.decision}
    facts |= {"request": order.request} if order.request else {}
    facts |= {"acceptChanges": True} if order.accept_changes else {}
    return Step(StepKind.DECISION_TAKEN, order.who, order.why, facts)


def _approve(case: Case, outbox: Outbox, order: Order, context: Context) -> Case:
    view = read_device(case.thing, context) if case.thing else None
    if view is None and case.thing:
        raise Refused("no-device", f"{case.thing} is no longer in the registry")
    affected = reached_by(case.outcomes, view, context) if view else []
    approved = replace(
        case,
        approved_by=order.who,
        approved_at=context.now(),
        affected=tuple(each.name for each in affected),
    )
    return admit(approved, context.plan.rule_named(case.rule), affected, context, _step_of(order), outbox=outbox)


def _dismiss(case: Case, outbox: Outbox, order: Order, context: Context) -> Case:
    return context.cases.close(case, Resolution.DISMISSED, context.now(), _step_of(order), outbox=outbox)


def _collect(case: Case, outbox: Outbox, order: Order, context: Context) -> Case:
    is_coming = case.progress(COLLECT_LOGS) is Progress.PLANNED and case.state is not CaseState.OPEN
    if is_coming or case.progress(COLLECT_LOGS) is Progress.STARTED:
        # Already so: an operator who lost the answer and repeated the command does not want a second job.
        return context.cases.save(case, context.now(), _step_of(order), also=(outbox_put(outbox),))
    again = case.with_outcome(COLLECT_LOGS, planned(case, COLLECT_LOGS))
    state = CaseState.RESPONDING if case.state is CaseState.OPEN else case.state
    return context.cases.save(replace(again, state=state), context.now(), _step_of(order), also=(outbox_put(outbox),))


def _release(case: Case, outbox: Outbox, order: Order, context: Context) -> Case:
    if not order.accept_changes and not case.is_half_way:
        require_unchanged(case.thing, context)
    recovering = replace(
        case,
        state=CaseState.RECOVERING,
        released_by=order.who,
        released_at=context.now(),
        accepts_changes=order.accept_changes,
    )
    if order.decision is Decision.RELEASE:
        recovering = recovering.with_outcome(ROTATE_CERTIFICATE, planned(case, ROTATE_CERTIFICATE))
    else:
        recovering = recovering.without_outcome(ROTATE_CERTIFICATE)
    return context.cases.save(recovering, context.now(), _step_of(order), also=(outbox_put(outbox),))


def _cancel(case: Case, outbox: Outbox, order: Order, context: Context) -> Case:
    """Take back a release that waits for its device, in one commit with its rotation, which the device may confirm.

    Raises:
        Refused: too-late, when the device has confirmed, or the release no longer waits for a device.
    """
    rotation = read_rotation(context.ports.ledger, case.thing)
    is_its_own = rotation is not None and rotation.case_id == case.id
    writes = taking_back(rotation, ()) if is_its_own else ()
    if not writes:
        raise Refused("too-late", f"the release of {case.thing} no longer waits for a device; it continues")
    stays = _not_released(case).without_outcome(ROTATE_CERTIFICATE)
    told = replace(outbox, announced_states=())
    return context.cases.save(stays, context.now(), _step_of(order), also=(outbox_put(told), *writes))


def _not_released(case: Case) -> Case:
    """Return a case whose release is not made; the timeline has who ordered it."""
    return replace(case, state=_unreleased(case), released_by="", released_at=None)


def _unreleased(case: Case) -> CaseState:
    """Return the state of a case that is not released: its quarantine is done, failed half way, or not begun."""
    if case.progress(QUARANTINE) is Progress.DONE:
        return CaseState.CONTAINED
    return CaseState.OPEN if case.progress(QUARANTINE) is Progress.FAILED else CaseState.RESPONDING


def _end_taken_back(thing: str, context: Context) -> None:
    """Cancel the job of a rotation that was taken back, and roll it back at once, so that a release may follow."""
    rotation = read_rotation(context.ports.ledger, thing)
    if rotation is not None and rotation.state is RotationState.ROLLING_BACK:
        context.ports.jobs.cancel(rotation.job_id, thing)
        end_rotation(rotation, context)


_BY_DECISION: dict[Decision, Callable[[Case, Outbox, Order, Context], Case]] = {
    Decision.APPROVE: _approve,
    Decision.DISMISS: _dismiss,
    Decision.RELEASE: _release,
    Decision.RELEASE_KEEPING_CERTIFICATE: _release,
    Decision.COLLECT_LOGS: _collect,
    Decision.CANCEL: _cancel,
}


def recover(case: Case, context: Context) -> Case:
    """Advance a release: begin the rotation, wait for it, then restore; if it fails, the device stays contained."""
    rotation = case.outcomes.get(ROTATE_CERTIFICATE)
    if rotation is not None and rotation.progress is Progress.PLANNED:
        outcome = perform(ROTATE_CERTIFICATE, case, context)
        case = record_outcome(case.id, ROTATE_CERTIFICATE, outcome, context)
        rotation = outcome
    if rotation is not None and rotation.progress is Progress.STARTED:
        return notify(case, context)
    if rotation is not None and rotation.progress is Progress.FAILED:
        return _stay_contained(case.id, f"the rotation failed: {rotation.detail}", context)
    try:
        done = release(case.thing, case.id, context, accept_changes=case.accepts_changes)
    except (Refused, ActionFailed) as error:
        return _stay_contained(case.id, str(error), context)
    released = retry_on_conflict(lambda: _close_released(case.id, done.words, context))
    return notify(
        released, context, f"Not everything could be given back: {'; '.join(done.lost)}." if done.lost else ""
    )


def _stay_contained(case_id: str, why: str, context: Context) -> Case:
    def write() -> Case:
        case = context.cases.read(case_id)
        if case.state is not CaseState.RECOVERING:
            return case
        stays, step = _not_released(case), Step(StepKind.RELEASE_NOT_MADE, WARDEN, why)
        unannounced = replace(context.cases.outbox(case), announced_states=())
        return context.cases.save(stays, context.now(), step, also=(outbox_put(unannounced),))

    return notify(retry_on_conflict(write), context, f"The release was not made: {why}")


def _close_released(case_id: str, what_was_done: str, context: Context) -> Case:
    case = context.cases.read(case_id)
    if case.state is not CaseState.RECOVERING:
        return case
    return context.cases.close(case, Resolution.RELEASED, context.now(), Step(StepKind.RELEASED, WARDEN, what_was_done))
