"""The responder: finding, case, plan, governor, actions. Every step compares the actual with the intended state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from warden.campaigns.enrolment import is_enrolled
from warden.cases.model import WARDEN, Case, CaseState, Outcome, Progress, Resolution, Step, StepKind, action_step
from warden.cases.outbox import Outbox, outbox_put
from warden.cases.problems import note_passed, passed_to
from warden.containment.snapshot import Containment, read_containment
from warden.context import Context
from warden.core.actions import QUARANTINE
from warden.core.errors import ActionFailed, Refused
from warden.core.findings import Finding, SubjectType
from warden.core.ledger import retry_on_conflict
from warden.core.mode import Mode
from warden.core.ports import Thing
from warden.devices.device_view import DeviceView, affected_by, read_device
from warden.devices.jobs import job_id
from warden.notify.notifier import notify
from warden.plan.actions import (
    COLLECT_LOGS,
    DEACTIVATE_CERTIFICATE,
    RENEW_CERTIFICATE,
    ROTATE_CERTIFICATE,
    TOUCHING,
    are_counted,
)
from warden.plan.governor import Admission, Grounds
from warden.plan.model import Device, Rule
from warden.queues.messages import send_finding
from warden.respond.actions import action_named
from warden.respond.looks import look_sooner
from warden.respond.unconfirmed import ask_again_later


def respond(finding: Finding, context: Context, *, verified: bool = False) -> Case | None:
    """Do what the plan says about a finding. A repetition changes nothing.

    `verified` means that it was just read from its detector's own API and need not be verified again.

    Raises:
        Refused: when the finding is out of date, or its detector does not know it, and would by now.
    """
    is_passed = finding.subject.type is SubjectType.CERTIFICATE and _pass_to_things(finding, context, verified=verified)
    if is_passed and finding.is_open:
        return None
    if not finding.is_open:
        return _close_finding(finding, context)
    if context.settings.verify_findings and not verified and not context.ports.detectors.confirms(finding):
        if ask_again_later(finding, context):
            return None
        raise Refused("not-confirmed", f"{finding.source} does not know finding {finding.id} as open")
    view = read_device(finding.subject.name, context) if finding.subject.type is SubjectType.THING else None
    thing = view.thing if view else None
    containment = read_containment(context.ports.ledger, thing.name) if thing else None
    if containment is not None:
        _refuse_if_before_release(finding, containment)
    said = Step(StepKind.FINDING, finding.source, finding.title, {"finding": finding.id, **finding.attributes})
    case = context.cases.begin(finding, thing.name if thing else "", context.now(), said)
    if containment is not None:
        look_sooner(containment, context)
    if _is_undecided(case, finding, context):
        case = retry_on_conflict(lambda: _decide(case.id, finding, view, context))
    return run_actions(case, context, view)


def _pass_to_things(finding: Finding, context: Context, *, verified: bool) -> bool:
    """Turn a finding about a certificate into one about each thing that uses it; return whether any does.

    Devices are contained, re-keyed and released one at a time, each in its own queue group. The end goes to every thing
    that the finding was passed to: a thing with another certificate by then still has its case.
    """
    ledger, things = context.ports.ledger, context.ports.registry.things_of(finding.subject.name)
    if finding.is_open and things:
        expires_at = context.now() + context.settings.case_retention
        retry_on_conflict(lambda: note_passed(finding.problem, things, expires_at, ledger))
    elif not finding.is_open:
        things = sorted({*things, *passed_to(finding.problem, ledger)})
    for thing in things:
        send_finding(context.ports.queue, finding.about_thing(thing), verified=verified)
    return bool(things)


def run_actions(case: Case, context: Context, view: DeviceView | None = None) -> Case:
    """Run the planned actions of a case that are not done yet, then notify people of its state."""
    if case.state is CaseState.RESPONDING:
        case = _act(case, context, view)
    return notify(case, context)


def _refuse_if_before_release(finding: Finding, containment: Containment) -> None:
    if containment.released_at and finding.observed_at <= containment.released_at:
        released = f"{containment.thing} was released at {containment.released_at:%FT%TZ}, after this finding"
        raise Refused("before-release", released)


def _close_finding(finding: Finding, context: Context) -> Case | None:
    said = Step(StepKind.FINDING_OVER, finding.source, Resolution(finding.ending or ""), {"finding": finding.id})
    case = context.cases.end_finding(finding, context.now(), said)
    if case is None or case.finding_is_open:
        return case
    return notify(retry_on_conflict(lambda: _close_if_untouched(case.id, finding, context)), context)


def _close_if_untouched(case_id: str, finding: Finding, context: Context) -> Case:
    """Close the case, unless the device is contained: only a release by an operator ends that (decision 5)."""
    case = context.cases.read(case_id)
    if not case.is_open or case.finding_is_open:
        return case
    if case.is_half_way or case.state in (CaseState.CONTAINED, CaseState.RECOVERING, CaseState.RESPONDING):
        return case
    resolution = Resolution(finding.ending or "")
    return context.cases.close(case, resolution, context.now(), Step(StepKind.CLOSED, WARDEN, resolution))


def _is_undecided(case: Case, finding: Finding, context: Context) -> bool:
    """Check whether to ask the plan: for a new case, or when a device is found again after its campaign.

    Otherwise the certificate of a device that was offline during the campaign would expire.
    """
    if case.state is not CaseState.OPEN:
        return False
    if not case.rule:
        return True
    is_found_again = RENEW_CERTIFICATE in case.outcomes and case.decided_on != finding.id
    return is_found_again and not is_enrolled(case.thing, context)


def _decide(case_id: str, finding: Finding, view: DeviceView | None, context: Context) -> Case:
    """Choose the rule and begin, within its mode and the governor's limits."""
    case, thing = context.cases.read(case_id), view.thing if view else None
    if not _is_undecided(case, finding, context):
        return case
    device = Device(thing_type=thing.thing_type, groups=thing.groups) if thing else Device()
    rule = context.plan.rule_for(finding, device)
    mode = rule.mode.within(context.settings.mode)
    outcomes = _planned(case, _feasible(rule.actions, case, thing))
    affected = reached_by(outcomes, view, context) if view else []
    chosen = replace(
        case,
        rule=rule.name,
        mode=mode,
        outcomes=outcomes,
        affected=tuple(each.name for each in affected),
        decided_on=finding.id,
    )
    why = f"rule {rule.name}: {', '.join(rule.actions)}; mode {mode}"
    if not outcomes:
        nobody = f"; {case.subject} is not a registered thing: there is no device to act on" if thing is None else ""
        return context.cases.save(chosen, context.now(), Step(StepKind.DECIDED, WARDEN, f"{why}{nobody}"))
    if mode is Mode.OBSERVE:
        return context.cases.save(chosen, context.now(), Step(StepKind.DECIDED, WARDEN, f"{why}; nothing is touched"))
    if mode is Mode.APPROVE:
        waiting = replace(chosen, state=CaseState.AWAITING_APPROVAL)
        return context.cases.save(
            waiting, context.now(), Step(StepKind.DECIDED, WARDEN, f"{why}; waits for an operator")
        )
    if (again := _too_soon(case, rule, context)) != "":
        held = replace(chosen, state=CaseState.HELD)
        steps = (
            Step(StepKind.DECIDED, WARDEN, why),
            _governor_step(StepKind.HELD, Admission(False, Grounds.COOLING_DOWN, again)),
        )
        return context.cases.save(held, context.now(), *steps)
    return admit(chosen, rule, affected, context, Step(StepKind.DECIDED, WARDEN, why))


def _too_soon(case: Case, rule: Rule, context: Context) -> str:
    """Return why a problem that was just closed is not acted on again: an alarm that comes and goes needs a person."""
    if case.acted_before is None:
        return ""
    cool_down = context.plan.cool_down_of(rule)
    if context.now() - case.acted_before >= cool_down:
        return ""
    return f"acted on before, closed at {case.acted_before:%FT%TZ}; within {cool_down} it is a person's decision"


def _feasible(actions: Sequence[str], case: Case, thing: Thing | None) -> Sequence[str]:
    """Drop actions that cannot be done: without a thing, only the certificate of the case can be acted on."""
    if thing is not None:
        return actions
    on_certificate = case.subject.type is SubjectType.CERTIFICATE and DEACTIVATE_CERTIFICATE in actions
    return (DEACTIVATE_CERTIFICATE,) if on_certificate else ()


def admit(
    case: Case,
    rule: Rule,
    affected: Sequence[Thing],
    context: Context,
    *steps: Step,
    outbox: Outbox | None = None,
) -> Case:
    """Ask the governor, then begin or hold. Its counters and a changed outbox are written in the same commit.

    Raises:
        Conflict: when the case or a counter was changed meanwhile; decide again.
    """
    counted = are_counted(case.outcomes)
    admission = context.governor.weigh(rule, affected, context.now(), approved=bool(case.approved_by), counted=counted)
    if not admission.allowed:
        held = replace(case, state=CaseState.HELD)
        changed = replace(outbox or context.cases.outbox(case), held_for_all=admission.for_all)
        step = _governor_step(StepKind.HELD, admission)
        return context.cases.save(held, context.now(), *steps, step, also=(outbox_put(changed),))
    begun = replace(case, state=CaseState.RESPONDING, admitted=True)
    writes = (*admission.writes, *([outbox_put(outbox)] if outbox else []))
    step = _governor_step(StepKind.ADMITTED, admission)
    return context.cases.save(begun, context.now(), *steps, step, also=writes)


def _governor_step(kind: StepKind, admission: Admission) -> Step:
    return Step(kind, "governor", admission.reason, {"grounds": admission.grounds})


def reached_by(outcomes: Mapping[str, Outcome], view: DeviceView, context: Context) -> Sequence[Thing]:
    """List the things that planned actions reach: if certificates are touched, also those that share them."""
    if not outcomes:
        return []
    return affected_by(view, context) if are_counted(outcomes) else [view.thing]


def _planned(case: Case, actions: Sequence[str]) -> dict[str, Outcome]:
    return {action: planned(case, action) for action in actions if action in TOUCHING}


def planned(case: Case, action: str) -> Outcome:
    """Plan an action. A job's id is chosen now, so that a repeated start is the same job."""
    return Outcome(
        Progress.PLANNED, job_id=job_id(case.id, action, case.version) if action_named(action).is_job else ""
    )


def _act(case: Case, context: Context, view: DeviceView | None) -> Case:
    """Run what is planned. For a case that was only observed, that is the logs that an operator asked for."""
    for action in [each for each in case.outcomes if case.admitted or each == COLLECT_LOGS]:
        if case.outcomes[action].progress is Progress.PLANNED:
            outcome = perform(action, case, context, view)
            case = record_outcome(case.id, action, outcome, context)
    return retry_on_conflict(lambda: _settle(case.id, context))


def contain_again(case_id: str, context: Context) -> Case:
    """Retry a quarantine that failed half way, unless an operator has decided about it. Report only what is new."""
    case = context.cases.read(case_id)
    if case.state not in (CaseState.OPEN, CaseState.RESPONDING) or case.progress(QUARANTINE) is not Progress.FAILED:
        return case
    record_outcome(case_id, QUARANTINE, perform(QUARANTINE, case, context), context)
    return notify(retry_on_conflict(lambda: _settle(case_id, context)), context)


def perform(action: str, case: Case, context: Context, view: DeviceView | None = None) -> Outcome:
    """Run one action. If it cannot be done on this device, that is its outcome and the next action runs."""
    try:
        return action_named(action).run(case, context, view)
    except ActionFailed as error:
        return Outcome(Progress.FAILED, str(error), case.outcomes[action].job_id)


def record_outcome(case_id: str, action: str, outcome: Outcome, context: Context) -> Case:
    """Write the outcome of an action with its step, once."""

    def write() -> Case:
        case = context.cases.read(case_id)
        if case.outcomes.get(action) == outcome:
            return case
        return context.cases.save(case.with_outcome(action, outcome), context.now(), action_step(action, outcome))

    return retry_on_conflict(write)


def _settle(case_id: str, context: Context) -> Case:
    """Set a case's state once everything planned has at least begun."""
    case = context.cases.read(case_id)
    if case.state not in (CaseState.RESPONDING, CaseState.OPEN):
        return case
    if case.progress(QUARANTINE) is Progress.DONE:
        step = Step(StepKind.CONTAINED, WARDEN, "stays restricted until an operator releases it")
        return context.cases.save(replace(case, state=CaseState.CONTAINED), context.now(), step)
    is_under_way = any(outcome.progress is Progress.STARTED for outcome in case.outcomes.values())
    return case if is_under_way or case.state is CaseState.OPEN else _conclude(case, context)


def _conclude(case: Case, context: Context) -> Case:
    """Close a case whose actions have all ended if its problem is solved; otherwise leave it open for people.

    One whose quarantine failed half way may hold its device: only a release closes it.
    """
    if case.is_half_way:
        return context.cases.save(replace(case, state=CaseState.OPEN), context.now(), Step(StepKind.RESPONDED, WARDEN))
    if case.progress(ROTATE_CERTIFICATE) is Progress.DONE:
        return context.cases.close(
            case, Resolution.ROTATED, context.now(), Step(StepKind.CLOSED, WARDEN, "the certificate is a new one")
        )
    if case.only_wants_logs and case.progress(COLLECT_LOGS) is Progress.DONE:
        return context.cases.close(
            case, Resolution.COLLECTED, context.now(), Step(StepKind.CLOSED, WARDEN, "the logs have arrived")
        )
    if not case.finding_is_open:
        return context.cases.close(
            case, Resolution.OVER, context.now(), Step(StepKind.CLOSED, WARDEN, "the detector says it is over")
        )
    return context.cases.save(replace(case, state=CaseState.OPEN), context.now(), Step(StepKind.RESPONDED, WARDEN))


def settle_after_job(case_id: str, context: Context) -> Case:
    """Set a case's state after one of its jobs has ended."""
    return retry_on_conflict(lambda: _settle(case_id, context))
