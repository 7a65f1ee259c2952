"""What the responder does with each kind of message on the case queue."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from warden.decisions import Decision, Order, carry_out
from warden.errors import Refused
from warden.findings import Finding
from warden.ledger import Key
from warden.messages import SCHEMA
from warden.progress import due, job_ended
from warden.refusals import record_refusal
from warden.responder import respond
from warden.service import Service


def dispatch(message: Mapping[str, Any], service: Service) -> str:
    """Do what a message on the case queue asks for; gives a word for what became of it.

    Raises:
        Exception: whatever AWS said, when it may go better next time; the message is delivered again.
    """
    try:
        handle = _HANDLERS.get(str(message.get("type"))) if message.get("schema") == SCHEMA else None
        if handle is None:
            raise Refused(
                "unknown-message",
                f"the case queue carries no {ascii(message.get('type'))[:60]} of schema {ascii(message.get('schema'))[:20]}",
            )
        handle(message, service)
    except Refused as refusal:
        record_refusal(service, refusal, what=repr(sorted(message.items())), about=str(message.get("case", "")))
        return str(refusal)
    return "done"


def _finding(message: Mapping[str, Any], service: Service) -> None:
    respond(Finding.from_message(message["finding"]), service)


def _decision(message: Mapping[str, Any], service: Service) -> None:
    order = Order(
        decision=Decision(message["decision"]),
        case_id=message["case"],
        who=message["who"],
        why=message["why"],
        request=message["request"],
    )
    carry_out(order, service)


def _job_ended(message: Mapping[str, Any], service: Service) -> None:
    job_ended(message["job"], service)


def _due(message: Mapping[str, Any], service: Service) -> None:
    due(Key(message["partition"], message["sort"]), service)


_HANDLERS: dict[str, Callable[[Mapping[str, Any], Service], None]] = {
    "finding": _finding,
    "decision": _decision,
    "job-ended": _job_ended,
    "due": _due,
}
