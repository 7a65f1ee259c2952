"""Dispatch each kind of message on the case queue to the function that handles it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from warden.campaigns.allowed import CampaignDecision
from warden.campaigns.decisions import CampaignOrder, carry_out_on_campaign
from warden.campaigns.rollout import advance_campaign
from warden.cases.allowed import Decision
from warden.cases.model import Step, StepKind
from warden.context import Context
from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Finding
from warden.core.ledger import Key, retry_on_conflict
from warden.queues.messages import SCHEMA
from warden.refusals import record_if_refused
from warden.respond.decisions import Order, carry_out
from warden.respond.followups import due, job_ended
from warden.respond.responder import respond


def dispatch(message: Mapping[str, Any], context: Context) -> Refused | None:
    """Do what a message on the case queue asks for; return the refusal of a message that can never be acted on.

    Raises:
        Exception: an error of AWS that may not occur next time; the message is delivered again.
    """
    return record_if_refused(
        lambda: _handler_of(message)(message, context),
        context,
        what=repr(sorted(message.items())),
        about=shown(str(message.get("case", ""))),
    )


def _handler_of(message: Mapping[str, Any]) -> Callable[[Mapping[str, Any], Context], None]:
    handle = _HANDLERS.get(str(message.get("type")))
    if handle is None or message.get("schema") != SCHEMA:
        kind, schema = ascii(message.get("type"))[:60], ascii(message.get("schema"))[:20]
        raise Refused("unknown-message", f"the case queue carries no {kind} of schema {schema}")
    return handle


def _finding(message: Mapping[str, Any], context: Context) -> None:
    respond(Finding.from_message(message["finding"]), context, verified=bool(message.get("verified")))


def _decision(message: Mapping[str, Any], context: Context) -> None:
    order = Order(
        decision=Decision(message["decision"]),
        case_id=message["case"],
        who=message["who"],
        why=message["why"],
        request=message["request"],
        accept_changes=message.get("accept_changes") is True,
    )
    try:
        carry_out(order, context)
    except Refused as refusal:
        _answer_operator(order, refusal, context)
        raise


def _answer_operator(order: Order, refusal: Refused, context: Context) -> None:
    """Put a refused decision on the case's timeline, once: the operator looks there."""

    def write() -> None:
        case = context.cases.read(order.case_id)
        outbox = context.cases.outbox(case)
        if order.request in outbox.handled_request_ids:
            return
        facts = {"decision": order.decision, "request": order.request}
        step = Step(StepKind.DECISION_REFUSED, order.who, str(refusal), facts)
        context.cases.save_outbox(case, outbox.with_request(order.request), context.now(), step)

    if refusal.code != "no-such-case":
        retry_on_conflict(write)


def _job_ended(message: Mapping[str, Any], context: Context) -> None:
    job_ended(message["job"], message["thing"], context)


def _due(message: Mapping[str, Any], context: Context) -> None:
    due(Key(message["partition"], message["sort"]), context)


def _campaign_decision(message: Mapping[str, Any], context: Context) -> None:
    order = CampaignOrder(
        decision=CampaignDecision(message["decision"]),
        campaign=message["campaign"],
        who=message["who"],
        why=message["why"],
        request=message["request"],
    )
    carry_out_on_campaign(order, context)
    advance_campaign(context)


def _batch_over(_message: Mapping[str, Any], context: Context) -> None:
    advance_campaign(context)


_HANDLERS: dict[str, Callable[[Mapping[str, Any], Context], None]] = {
    "finding": _finding,
    "decision": _decision,
    "campaign-decision": _campaign_decision,
    "batch-over": _batch_over,
    "job-ended": _job_ended,
    "due": _due,
}
