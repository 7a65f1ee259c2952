"""The operator's commands: read the cases, decide about one, stop and resume the service."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from warden.campaigns.allowed import CampaignDecision
from warden.campaigns.decisions import campaign_summary, check_campaign_decision
from warden.campaigns.records import read_campaign
from warden.cases.allowed import Decision, allowed
from warden.cases.model import Case, CaseState, TimelineEntry, case_from
from warden.cases.views import summary
from warden.cases.wording import words_of
from warden.containment.snapshot import Containment, active_containment
from warden.context import Context
from warden.core import quotas
from warden.core.clock import to_text
from warden.core.errors import Refused
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.core.ledger import Index, Key, Put, retry_on_conflict, version_of
from warden.operate.wanted_logs import want_logs
from warden.plan.governor import STOP_KEY
from warden.queues.messages import send_campaign_decision, send_decision, send_finding
from warden.respond.decisions import check_decision
from warden.validation.fields import is_unicode

_WHY_CHARACTERS = 500
_PAGE = 200
_CAMPAIGN_PREFIX = "campaign-"
_KIND = re.compile(r"[a-zA-Z0-9._-]{1,64}")


@dataclass(frozen=True)
class Call:
    """What an operator asked, who AWS says it was, and the id of the call."""

    command: Mapping[str, Any]
    who: str
    request: str


def operate(command: Mapping[str, Any], who: str, request: str, context: Context) -> dict[str, Any]:
    """Answer an operator. `who` is the ARN that AWS authenticated; `request` is the id of the call.

    Raises:
        Refused: when it cannot be done; the reason says why.
    """
    name = command.get("command")
    answer = _COMMANDS.get(name) if isinstance(name, str) else None
    if answer is None:
        raise Refused("unknown-command", f"`command` is one of {', '.join(sorted(_COMMANDS))}")
    return answer(Call(command, who, request), context)


def _text(command: Mapping[str, Any], key: str, *, default: str | None = None) -> str:
    value = command.get(key, default)
    if not isinstance(value, str) or len(value) > _WHY_CHARACTERS or not is_unicode(value):
        raise Refused("bad-argument", f"`{key}` must be a string of at most {_WHY_CHARACTERS} characters")
    return value


def _cases(call: Call, context: Context) -> dict[str, Any]:
    thing = _text(call.command, "thing", default="")
    state = _text(call.command, "state", default="")
    if state and state not in CaseState:
        raise Refused("bad-argument", f"`state` is one of {', '.join(CaseState)}")
    found: list[Case] = []
    if thing:
        _require_thing(thing)
        found = _newest(Index.THING, thing, context)
        found = [case for case in found if not state or case.state == state]
    else:
        for each in [state] if state else [each for each in CaseState if each is not CaseState.CLOSED]:
            found += _newest(Index.STATE, each, context)
    found.sort(key=lambda case: case.opened_at, reverse=True)
    return {"cases": [summary(case) for case in found[:_PAGE]], "more": len(found) > _PAGE}


def _require_thing(name: str) -> None:
    if not re.fullmatch(quotas.THING_NAME, name):
        raise Refused("bad-argument", "`thing` must be the name of a thing: letters, digits and : _ -, at most 128")


def _newest(index: Index, value: str, context: Context) -> list[Case]:
    found = []
    for _, record in context.ports.ledger.find(index, value, newest_first=True):
        found.append(case_from(record))
        if len(found) > _PAGE:
            break
    return found


def _show(call: Call, context: Context) -> dict[str, Any]:
    case = context.cases.read(_text(call.command, "case"))
    containment = active_containment(context.ports.ledger, case.thing) if case.thing else None
    return {
        "case": summary(case) | {"attributes": dict(case.attributes), "evidence": dict(case.evidence)},
        "timeline": [_line(entry) for entry in context.cases.timeline(case.id)],
        "containment": _contained(containment) if containment else None,
        "allowed": allowed(case, context.settings.mode),
    }


def _decide(call: Call, context: Context) -> dict[str, Any]:
    decision = Decision(_text(call.command, "command"))
    case = context.cases.read(_text(call.command, "case"))
    check_decision(decision, case, context)
    why, accept_changes = _text(call.command, "why", default=""), _accept_changes(decision, call.command)
    send_decision(
        context.ports.queue,
        thing=case.thing or str(case.subject),
        decision=decision,
        case_id=case.id,
        who=call.who,
        why=why,
        request=call.request,
        accept_changes=accept_changes,
    )
    return {"case": case.id, "queued": decision, "who": call.who, "request": call.request}


def _accept_changes(decision: Decision, command: Mapping[str, Any]) -> bool:
    accepts = command.get("acceptChanges", False)
    if not isinstance(accepts, bool):
        raise Refused("bad-argument", "`acceptChanges` is true or false")
    if accepts and decision not in (Decision.RELEASE, Decision.RELEASE_KEEPING_CERTIFICATE):
        raise Refused("bad-argument", f"`acceptChanges` is for a release, not for `{decision}`")
    return accepts


def _collect_logs(call: Call, context: Context) -> dict[str, Any]:
    """Collect the logs of a case's device again, or those of a thing without a case."""
    if "thing" in call.command:
        if "case" in call.command:
            raise Refused("bad-argument", "name a `case` or a `thing`, not both")
        thing, why = _text(call.command, "thing"), _text(call.command, "why", default="")
        _require_thing(thing)
        return want_logs(thing, who=call.who, why=why, request=call.request, context=context)
    try:
        return _decide(call, context)
    except Refused as refusal:
        if refusal.code != "no-such-case":
            raise
        raise Refused(refusal.code, f"{refusal.reason}; if it is the name of a thing, add --thing") from refusal


def _find(call: Call, context: Context) -> dict[str, Any]:
    """Queue an operator's own finding about a device; it is handled like any other."""
    thing, kind = _text(call.command, "thing"), _text(call.command, "kind", default="suspicion")
    severity = _text(call.command, "severity", default=Severity.MEDIUM)
    _require_thing(thing)
    if not _KIND.fullmatch(kind):
        raise Refused("bad-argument", "`kind` is a word for what is wrong: letters, digits and . _ -, at most 64")
    if severity not in Severity:
        raise Refused("bad-argument", f"`severity` is one of {', '.join(Severity)}")
    finding = Finding(
        id=call.request,
        source=Source.OPERATOR,
        kind=kind,
        subject=Subject(SubjectType.THING, thing),
        severity=Severity(severity),
        observed_at=context.now(),
        title=f"An operator reports: {kind} on thing {thing}",
        evidence={"who": call.who, "why": _text(call.command, "why", default="")},
    )
    # AWS authenticated the operator, and there is no detector that could verify the finding.
    send_finding(context.ports.queue, finding, verified=True)
    return {"queued": "finding", "finding": finding.id, "thing": thing, "who": call.who}


def _campaign(_call: Call, context: Context) -> dict[str, Any]:
    campaign = read_campaign(context.ports.ledger)
    return {"campaign": campaign_summary(campaign, context) if campaign else None}


def _decide_campaign(call: Call, context: Context) -> dict[str, Any]:
    decision = CampaignDecision(_text(call.command, "command").removeprefix(_CAMPAIGN_PREFIX))
    campaign = check_campaign_decision(decision, context)
    why = _text(call.command, "why", default="")
    send_campaign_decision(
        context.ports.queue, decision=decision, campaign=campaign.id, who=call.who, why=why, request=call.request
    )
    return {"campaign": campaign.id, "queued": decision, "who": call.who, "request": call.request}


def _survey(_call: Call, context: Context) -> dict[str, Any]:
    # No other command uses the survey's classes, which take a fiftieth of a cold start.
    from warden.survey.records import read_latest
    from warden.survey.views import survey_json

    record = read_latest(context.ports)
    return {"survey": survey_json(record.survey) if record else None}


def _stop(call: Call, context: Context) -> dict[str, Any]:
    return _switch(True, _text(call.command, "why"), call, context)


def _resume(call: Call, context: Context) -> dict[str, Any]:
    return _switch(False, _text(call.command, "why", default=""), call, context)


def _switch(stopped: bool, why: str, call: Call, context: Context) -> dict[str, Any]:
    """Throw or release the kill switch, and keep the order on record for good.

    Return how the switch stands: who stopped the service first, when and why, also if somebody stops it again.
    """
    ledger, now = context.ports.ledger, to_text(context.now())
    order = {"stopped": stopped, "who": call.who, "why": why, "at": now}
    key = Key(STOP_KEY.partition, f"ORDER#{now} {call.request}")

    def write() -> dict[str, Any]:
        known = ledger.read(STOP_KEY)
        stands = {name: known[name] for name in order} if known and known["stopped"] and stopped else order
        ordered = Put(key, {"type": "switch-order", **order}, version_of(ledger.read(key)))
        ledger.commit(Put(STOP_KEY, {"type": "switch", **stands}, version_of(known)), ordered)
        return stands

    return {"type": "switch", **retry_on_conflict(write)}


def _line(entry: TimelineEntry) -> dict[str, Any]:
    step = entry.step
    return {
        "at": to_text(entry.at),
        "kind": step.kind,
        "what": words_of(step),
        "who": step.who,
        "why": step.why,
        "facts": dict(step.facts),
    }


def _contained(containment: Containment) -> dict[str, Any]:
    return {
        "state": containment.state,
        "since": to_text(containment.began_at),
        "cases": list(containment.cases),
        "policies": {certificate: list(names) for certificate, names in containment.policies.items()},
        "groups": list(containment.groups),
    }


_COMMANDS: dict[str, Callable[[Call, Context], dict[str, Any]]] = {
    "cases": _cases,
    "show": _show,
    "find": _find,
    "stop": _stop,
    "resume": _resume,
    **dict.fromkeys(Decision, _decide),
    Decision.COLLECT_LOGS: _collect_logs,
    "campaign": _campaign,
    "survey": _survey,
    **{f"{_CAMPAIGN_PREFIX}{decision}": _decide_campaign for decision in CampaignDecision},
}
