"""`warden plan`: check the response plan and explain what it would do. Both work offline."""

import json
from argparse import Namespace
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from warden.core.errors import PlanError
from warden.core.mode import Mode
from warden.plan.model import Plan
from warden.plan.parser import read_plan
from warden_cli.errors import BadUsage, Exit, Refused
from warden_cli.explanation import KnownDevice, explain
from warden_cli.explanation_page import print_explanation, print_no_finding
from warden_cli.messages import Message, messages_in
from warden_cli.terminal import as_json, how_to_write, pasted, shown

_BIGGEST_EVENT = 16 * 1024 * 1024


def check(arguments: Namespace, console: Console) -> Exit:
    """Print every fault of a plan with its line, or that there is none."""
    path = _plan_path(arguments.file)
    name = shown(how_to_write(str(path)))
    try:
        plan = read_plan(_text(path))
    except PlanError as error:
        if arguments.json:
            rows = [{"line": fault.line, "fault": fault.what} for fault in error.faults]
            console.out(as_json({"file": str(path), "faults": rows}))
        else:
            for fault in error.faults:
                console.out(f"{name}:{fault.line}: {shown(fault.what)}")
        return Exit.REFUSED
    if arguments.json:
        console.out(as_json({"file": str(path), "faults": []}))
    else:
        console.out(f"{name}: no fault; {_in_short(plan)}")
    return Exit.DONE


def explain_event(arguments: Namespace, console: Console) -> Exit:
    """Print the effect of each message in an event file."""
    path = _plan_path(arguments.plan)
    plan = _plan(path)
    now = datetime.now(UTC)
    messages = list(messages_in(_event(Path(arguments.event)), now))
    known = KnownDevice(thing_type=arguments.thing_type, groups=arguments.thing_group)
    mode = Mode(arguments.mode) if arguments.mode else None
    if arguments.json:
        console.out(as_json({"messages": [_as_answer(each, plan, known, mode, now) for each in messages]}))
    else:
        _print(console, messages, plan, how_to_write(str(path)), known, mode, now)
    return Exit.REFUSED if any(message.refused for message in messages) else Exit.DONE


def _print(
    console: Console,
    messages: list[Message],
    plan: Plan,
    plan_name: str,
    known: KnownDevice,
    mode: Mode | None,
    now: datetime,
) -> None:
    parts = sum(max(1, len(message.findings)) for message in messages)
    number = 0
    for message in messages:
        for finding in message.findings or (None,):
            number += 1
            if parts > 1:
                console.print(Text(f"{chr(10) if number > 1 else ''}{number} of {parts}", style="dim"))
            if finding is None:
                print_no_finding(console, message)
            else:
                print_explanation(console, explain(finding, plan, known, mode, now), plan_name)


def _as_answer(message: Message, plan: Plan, known: KnownDevice, mode: Mode | None, now: datetime) -> dict[str, Any]:
    return {
        "detector": message.detector,
        "ignored": message.ignored,
        "refused": {"code": message.refused, "reason": message.reason} if message.refused else None,
        "findings": [explain(finding, plan, known, mode, now).to_json() for finding in message.findings],
    }


def _plan_path(given: str) -> Path:
    return Path(given) if given else Path(str(files("warden_plan").joinpath("response-plan.toml")))


def _plan(path: Path) -> Plan:
    try:
        return read_plan(_text(path))
    except PlanError as error:
        check = f"warden plan check {pasted(how_to_write(str(path)))}"
        raise Refused(f"the plan has faults and explains nothing; `{check}` lists them") from error


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > _BIGGEST_EVENT:
            raise BadUsage(f"{shown(str(path))} is larger than {_BIGGEST_EVENT // 2**20} MB; is it the right file?")
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadUsage(f"cannot read {shown(str(path))}: {shown(error.strerror or str(error))}") from error
    except UnicodeDecodeError as error:
        raise BadUsage(f"{shown(str(path))} is not UTF-8") from error


def _event(path: Path) -> Any:
    try:
        return json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise BadUsage(f"{shown(str(path))} is not JSON: {shown(str(error), 200)}") from error


def _in_short(plan: Plan) -> str:
    rules = f"{len(plan.rules)} rule{'' if len(plan.rules) == 1 else 's'}"
    day = f" and {plan.limits.devices_per_day} a day" if plan.limits.devices_per_day is not None else ""
    return f"{rules}, at most {plan.limits.devices_per_hour} devices an hour{day}"
