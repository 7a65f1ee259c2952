"""`warden collect-logs THING`: ask for the logs of a thing that has no case, and follow its case."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from warden.cases.allowed import Decision
from warden.core.mode import Mode
from warden.plan.actions import COLLECT_LOGS
from warden_cli.case_pages import print_entry
from warden_cli.client import Service
from warden_cli.errors import Exit
from warden_cli.responses import understood
from warden_cli.terminal import as_json, pasted, plain, shown
from warden_cli.watch import Awaited, Ending, case_of, follow


@dataclass(frozen=True, kw_only=True)
class _Asked:
    """The service's answer to a request for logs: the finding that it queued, or the existing case."""

    thing: str
    finding: str
    case: str
    state: str
    mode: str
    rule: str


def logs_of_thing(service: Service, arguments: Namespace, console: Console) -> Exit:
    """Ask for the logs and, with --wait, follow the case to its end."""
    answer = service.ask(Decision.COLLECT_LOGS, thing=arguments.case, why=arguments.why)
    if arguments.json and not arguments.wait:
        console.out(as_json(answer))
        return Exit.DONE
    asked = understood(_asked_in, answer)
    if not arguments.json:
        _say(console, _first_words(asked))
    if not arguments.wait:
        _say(console, _what_to_do(asked))
        return Exit.DONE
    began = time.monotonic()
    with console.status(f"collect-logs: waiting for {shown(asked.thing)}"):
        case = asked.case or case_of(
            service, asked.thing, asked.finding, seconds=arguments.timeout, pause=arguments.poll
        )
        left = max(1, round(arguments.timeout - (time.monotonic() - began)))
        ending = follow(
            service,
            Awaited(case=case, decision="", request="", lines_before=0),
            lambda entry: None if arguments.json else print_entry(console, entry),
            seconds=left,
            pause=arguments.poll,
        )
    return _ended(ending, arguments, console)


def _asked_in(answer: Mapping[str, Any]) -> _Asked:
    return _Asked(**{name: str(answer[name]) for name in ("thing", "finding", "case", "state", "mode", "rule")})


def _first_words(asked: _Asked) -> Sequence[str]:
    if asked.finding:
        return [f"Asked for the logs of {asked.thing}; the plan answers by its rule {asked.rule}, mode {asked.mode}."]
    if asked.state == "closed":
        return [f"The logs of {asked.thing} have just been collected: case {asked.case}."]
    return [f"The logs of {asked.thing} have been asked for already: case {asked.case} is {asked.state}."]


def _what_to_do(asked: _Asked) -> Sequence[str]:
    if asked.finding:
        return [_OF_MODE.get(asked.mode, ""), f"Follow it with: warden cases --thing {pasted(asked.thing)}"]
    return _next_steps(asked.case, asked.state)


_OF_MODE = {
    Mode.OBSERVE.value: "Nothing is touched: the case only says what would be done.",
    Mode.APPROVE.value: "It waits for `warden approve`.",
}


def _next_steps(case: str, state: str) -> Sequence[str]:
    return [each.format(case=case) for each in _OF_STATE.get(state, ("Read it: warden show {case}",))]


_OF_STATE = {
    "awaiting-approval": ("Do it: warden approve {case}", "Leave it: warden dismiss {case}"),
    "held": ("Read why: warden show {case}", "Do it: warden approve {case}", "Leave it: warden dismiss {case}"),
    "open": ("Read it: warden show {case}", "Ask again: warden collect-logs {case}"),
}


def _say(console: Console, lines: Sequence[str]) -> None:
    for line in filter(None, lines):
        console.print(plain(line))


def _ended(ending: Ending, arguments: Namespace, console: Console) -> Exit:
    """Report whether the logs are there; a case that waits for a person is not at its end."""
    case = ending.file.case
    logs = next((each for each in case.actions if each.name == COLLECT_LOGS), None)
    arrived = logs is not None and logs.progress == "done"
    if arguments.json:
        progress = logs.progress if logs else ""
        answer = {"case": case.id, "state": case.state, "wrong": ending.wrong, "logs": progress}
        console.out(as_json(answer))
    else:
        console.print()
        resolution = f" ({case.resolution})" if case.resolution else ""
        console.print(plain(f"Case {case.id} is {case.state}{resolution}.", "bold" if arrived else "bold red"))
        _say(console, ["" if arrived else ending.complaint, *_next_steps(case.id, case.state)])
    if arrived:
        return Exit.DONE
    return Exit.NOT_YET if case.state == "awaiting-approval" else Exit.REFUSED
