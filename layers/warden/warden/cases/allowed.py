"""What a case's state allows. The service asks before it decides; `show` and notices list the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from warden.cases.model import Case, CaseState, Progress
from warden.core.errors import Refused
from warden.core.mode import Mode


class Decision(StrEnum):
    """The decisions that an operator may make about a case."""

    APPROVE = "approve"
    DISMISS = "dismiss"
    RELEASE = "release"
    RELEASE_KEEPING_CERTIFICATE = "release-keeping-certificate"
    COLLECT_LOGS = "collect-logs"
    CANCEL = "cancel"


ALLOWED: Mapping[CaseState, Sequence[Decision]] = {
    CaseState.OPEN: (Decision.APPROVE, Decision.DISMISS, Decision.COLLECT_LOGS),
    CaseState.AWAITING_APPROVAL: (Decision.APPROVE, Decision.DISMISS),
    CaseState.HELD: (Decision.APPROVE, Decision.DISMISS),
    CaseState.RESPONDING: (),
    CaseState.CONTAINED: (Decision.RELEASE, Decision.RELEASE_KEEPING_CERTIFICATE, Decision.COLLECT_LOGS),
    CaseState.RECOVERING: (Decision.CANCEL,),
    CaseState.CLOSED: (),
}

ALLOWED_HALF_WAY: Mapping[CaseState, Sequence[Decision]] = {
    CaseState.OPEN: (Decision.RELEASE, Decision.RELEASE_KEEPING_CERTIFICATE, Decision.COLLECT_LOGS),
    CaseState.RESPONDING: (Decision.RELEASE, Decision.RELEASE_KEEPING_CERTIFICATE),
}
"""What these states allow while a quarantine is half way: the device has to be released before anything else."""


def allowed(case: Case, mode: Mode) -> list[Decision]:
    """List the decisions that can be made about a case on a stack of this mode."""
    return [decision for decision in _by_state(case) if refusal_of(decision, case, mode) is None]


def _by_state(case: Case) -> Sequence[Decision]:
    return ALLOWED_HALF_WAY.get(case.state, ALLOWED[case.state]) if case.is_half_way else ALLOWED[case.state]


def refusal_of(decision: Decision, case: Case, mode: Mode) -> Refused | None:
    """Return why a decision cannot be made about a case; None when it can, judging by the case alone."""
    if case.is_half_way and decision in ALLOWED[case.state] and decision not in _by_state(case):
        return Refused("half-way", f"the device of case {case.id} may be restricted in part; `release` gives it back")
    if decision not in _by_state(case):
        states = " or ".join(state for state, decisions in ALLOWED.items() if decision in decisions)
        return Refused("wrong-state", f"case {case.id} is {case.state}; `{decision}` is for cases that are {states}")
    if decision is Decision.APPROVE:
        return _why_not_approved(case, mode)
    if decision is Decision.COLLECT_LOGS and not case.thing:
        return Refused("no-device", f"case {case.id} is about {case.subject}, which is not a registered thing")
    return None


def _why_not_approved(case: Case, mode: Mode) -> Refused | None:
    if mode is Mode.OBSERVE:
        return Refused(
            "observe-only", "the stack runs with Mode=observe, which touches nothing; deploy it with Mode=approve first"
        )
    if not any(each.progress is Progress.PLANNED for each in case.outcomes.values()):
        return Refused("nothing-planned", f"case {case.id} has no action that waits for approval")
    return None
