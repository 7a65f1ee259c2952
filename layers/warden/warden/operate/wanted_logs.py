"""An operator wants a device's logs and there is no case: a finding of the operator's own, which the plan answers."""

from __future__ import annotations

from typing import Any

from warden.cases.model import Case, Resolution
from warden.cases.problems import read_problem
from warden.context import Context
from warden.core.errors import Refused
from warden.core.findings import LOGS_WANTED, Finding, Severity, Source, Subject, SubjectType
from warden.core.ports import Thing
from warden.plan.actions import COLLECT_LOGS, NOTIFY
from warden.plan.model import Device, Rule
from warden.queues.messages import send_finding


def want_logs(name: str, *, who: str, why: str, request: str, context: Context) -> dict[str, Any]:
    """Queue the finding, unless the last one of its kind has a case that is open, or has just brought the logs.

    Raises:
        Refused: when the logs of the thing cannot be collected, or the plan has no answer that collects them.
    """
    thing = _thing_that_may_be_asked(name, context)
    finding = Finding(
        id=request,
        source=Source.OPERATOR,
        kind=LOGS_WANTED,
        subject=Subject(SubjectType.THING, name),
        severity=Severity.LOW,
        observed_at=context.now(),
        title=f"An operator wants the logs of thing {name}",
        evidence={"who": who, "why": why},
    )
    rule = context.plan.rule_for(finding, Device(thing_type=thing.thing_type, groups=thing.groups))
    _require_that_it_only_collects(rule)
    answer = {"thing": name, "who": who, "rule": rule.name, "mode": rule.mode.within(context.settings.mode)}
    if case := _case_in_hand(finding, rule, context):
        return {**answer, "case": case.id, "state": case.state, "queued": "", "finding": ""}
    # AWS authenticated the operator, and there is no detector that could verify the finding.
    send_finding(context.ports.queue, finding, verified=True)
    return {**answer, "case": "", "state": "", "queued": "finding", "finding": finding.id}


def _thing_that_may_be_asked(name: str, context: Context) -> Thing:
    thing = context.ports.registry.thing(name)
    if thing is None:
        raise Refused(
            "no-device",
            f"the registry has no thing {name}; capitals count, and a case's id looks like b579a3f0e1d4-1",
        )
    if why := context.governor.protects(thing):
        raise Refused("never-touch", f"{why}: it is only reported")
    return thing


def _require_that_it_only_collects(rule: Rule) -> None:
    """Refuse a request whose case would collect nothing, or do more to the device than was asked."""
    if {*rule.actions} - {NOTIFY} != {COLLECT_LOGS}:
        raise Refused(
            "not-in-the-plan",
            f"the plan's rule {rule.name} answers this with {', '.join(rule.actions)}; put a rule above it with "
            f'source = "{Source.OPERATOR}", kind = "{LOGS_WANTED}" and actions = ["{COLLECT_LOGS}", "{NOTIFY}"]',
        )


def _case_in_hand(finding: Finding, rule: Rule, context: Context) -> Case | None:
    """Return the open or just closed case of the same request: a repeated command is not a second request."""
    problem = read_problem(context.ports.ledger, finding.problem)
    if problem.is_open:
        return context.cases.read(problem.case_id)
    if problem.closed_at is None or context.now() - problem.closed_at >= context.plan.cool_down_of(rule):
        return None
    case = context.cases.read(problem.case_id)
    return case if case.resolution is Resolution.COLLECTED else None
