"""The look: contained things are compared with AWS IoT again, and what they were given meanwhile is restricted again.

The first comes when every list shows what this service wrote and sessions that were opened under cached policies can
be closed; then one follows at each interval while the thing is contained, and one after its release.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial

from warden.cases.model import WARDEN, Outcome, Progress, Step, StepKind, action_step
from warden.cases.outbox import outbox_put
from warden.containment.desired import reconcile
from warden.containment.snapshot import Containment, ContainmentState, read_containment, save_containment
from warden.containment.wording import WORDS
from warden.context import Context
from warden.core.actions import QUARANTINE
from warden.core.errors import ActionFailed, Conflict
from warden.core.ledger import retry_on_conflict
from warden.notify.notifier import notify
from warden.respond.actions.quarantine import Change, restrict_again


def look_at_contained(containment: Containment, context: Context) -> None:
    """Compare a contained thing with AWS IoT; the first time, disconnect it a second time."""
    step = _restrict_again(containment, context)
    if step is not None:
        for case_id in containment.cases:
            _tell(case_id, step, context)
    elif containment.looked_at is None:
        _disconnect_again(containment, context)
    retry_on_conflict(partial(put_off, containment.thing, context))


def _restrict_again(containment: Containment, context: Context) -> Step | None:
    """Restrict what a contained thing was given; return the step about that, or about the failure."""
    try:
        change = restrict_again(containment, context)
    except ActionFailed as error:
        return action_step(QUARANTINE, Outcome(Progress.FAILED, str(error)))
    return None if change is None else Step(StepKind.RESTRICTED_AGAIN, WARDEN, _words(change), change._asdict())


def look_at_released(containment: Containment, context: Context) -> None:
    """Take a released thing out of our group again, and reconcile each of its certificates again.

    A call of ours may have come late.
    """
    context.ports.registry.leave_group(containment.thing, context.settings.restricted_group)
    for certificate in containment.policies:
        reconcile(certificate, context)
    retry_on_conflict(partial(put_off, containment.thing, context))


def put_off(thing: str, context: Context, *, only_in: ContainmentState | None = None) -> None:
    """Set when a containment is looked at again: at an interval while it is active, and not again after its release.

    With `only_in`, a containment in any other state stays as it is.
    """
    containment = read_containment(context.ports.ledger, thing)
    if containment is None or (only_in is not None and containment.state is not only_in):
        return
    every, now = context.settings.look_every, context.now()
    next_at = now + every if containment.is_active and every else None
    save_containment(context.ports.ledger, replace(containment, look_at=next_at, looked_at=now))


def look_sooner(containment: Containment, context: Context) -> None:
    """Make the next sweep look at a contained thing that has another finding: it still does something.

    The first look keeps its time, when lists show what was written. So there is at most one look in each run of the
    sweep, however many findings arrive, even if the interval is 0.
    """
    is_held = containment.state in (ContainmentState.CONTAINED, ContainmentState.CONTAINING)
    is_due = containment.look_at is not None and containment.look_at <= context.now()
    if is_held and containment.looked_at is not None and not is_due:
        with suppress(Conflict):  # it is being changed or looked at just now
            save_containment(context.ports.ledger, replace(containment, look_at=context.now()))


def _disconnect_again(containment: Containment, context: Context) -> None:
    """End a session that was opened under cached policies."""
    if not context.settings.disconnect:
        return
    result = WORDS[context.ports.connections.disconnect(containment.thing, forget=True)]
    step = Step(StepKind.SECOND_DISCONNECT, WARDEN, result)
    for case_id in containment.cases:
        retry_on_conflict(partial(_append_once, case_id, step, context))


def _append_once(case_id: str, step: Step, context: Context) -> None:
    """Add a step unless the timeline has one like it: the sweep may queue the same record twice."""
    if not any(entry.step.kind is step.kind for entry in context.cases.timeline(case_id)):
        case = context.cases.read(case_id)
        context.cases.save(case, context.now(), step)


def _tell(case_id: str, step: Step, context: Context) -> None:
    def write() -> None:
        case = context.cases.read(case_id)
        unannounced = replace(context.cases.outbox(case), announced_states=())
        context.cases.save(case, context.now(), step, also=(outbox_put(unannounced),))

    retry_on_conflict(write)
    notify(context.cases.read(case_id), context, f"It was changed while it was contained: {step.why}.")


def _words(change: Change) -> str:
    parts = [f"certificate {each[:12]} was attached to it" for each in change.certificates]
    parts += [f"policy {each} was attached" for each in change.policies]
    parts += [f"it was put into {each}, which has policies" for each in change.groups]
    return ", ".join(parts) or "it was taken out of what holds it"
