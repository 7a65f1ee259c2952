"""How cases read: the list, one case with its whole story, one line of its timeline."""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warden.cases.allowed import Decision
from warden.cases.model import StepKind
from warden.cases.wording import COMMANDS
from warden_cli.responses import Action, Case, CaseFile, Containment, Entry
from warden_cli.terminal import age, facts, heading, moment, plain, shown, who, word

_NEED_A_DECISION = ("held", "awaiting-approval")
_EVIDENCE_LINES = 24
_WIDE = 110
_FOR_PROGRAMS = ("request", "grounds")
"""Facts that only --json shows: they find a call in CloudTrail, or repeat the words."""
_IN_THE_WORDS: dict[str, str] = {
    StepKind.ACTION_STARTED: "action",
    StepKind.ACTION_DONE: "action",
    StepKind.ACTION_FAILED: "action",
    StepKind.DECISION_TAKEN: "decision",
}
"""The fact that a step's words already name."""
_CERTIFICATE_DIGITS = 12

_PROGRESS = {"planned": "waiting", "started": "under way", "done": "done", "failed": "FAILED"}

_PURPOSES: dict[str, str] = {
    Decision.APPROVE: "do what is planned",
    Decision.DISMISS: "leave the device alone",
    Decision.RELEASE: "with a new certificate",
    Decision.RELEASE_KEEPING_CERTIFICATE: "on the old certificate",
    Decision.COLLECT_LOGS: "fetch its logs",
    Decision.CANCEL: "take the release back",
}
"""What each decision does, beside its command; the service says which of them a case can get."""

_IN_STATE = {
    ("held", "approve"): "do it all the same",
    ("open", "dismiss"): "close it",
    ("contained", "collect-logs"): "fetch its logs again",
}


def print_cases(console: Console, cases: Sequence[Case], now: datetime, *, more: bool, asked: str) -> None:
    """Print the list, newest first, and the cases that wait for people."""
    if not cases:
        console.print(f"No {asked}.")
        return
    console.print(_wide_list(cases, now) if console.width >= _WIDE else _narrow_list(cases, now))
    console.print()
    console.print(Text(_in_all(cases, more=more), style="dim"))


def _a_list(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        fixed = column in ("CASE", "AGE", "STATE", "SEVERITY")
        table.add_column(column, no_wrap=fixed, overflow="fold", justify="right" if column == "AGE" else "left")
    return table


def _wide_list(cases: Sequence[Case], now: datetime) -> Table:
    table = _a_list("CASE", "AGE", "STATE", "SEVERITY", "DEVICE", "WHAT")
    for case in cases:
        device, kind = plain(_named(case), "bold"), plain(case.kind)
        table.add_row(plain(case.id), age(case.opened_at, now), word(case.state), word(case.severity), device, kind)
    return table


def _narrow_list(cases: Sequence[Case], now: datetime) -> Table:
    """List two lines for each case: names and kinds are too long to fit side by side in 80 columns."""
    table = _a_list("CASE", "AGE", "STATE", "DEVICE, WHAT")
    for case in cases:
        what = plain(_named(case), "bold").append("\n").append_text(word(case.severity))
        what.append(f" {shown(case.kind)}", style="not bold default")
        table.add_row(plain(case.id), age(case.opened_at, now), word(case.state), what)
    return table


def _named(case: Case) -> str:
    if not case.thing and case.subject_type == "certificate":
        return f"certificate {case.subject_name[:_CERTIFICATE_DIGITS]}"
    return case.device


def _in_all(cases: Sequence[Case], *, more: bool) -> str:
    waiting = [case for case in cases if case.state in _NEED_A_DECISION]
    said = f"{len(cases)} case{'' if len(cases) == 1 else 's'}"
    if more:
        said += " (the newest; narrow it with --state or --thing)"
    if waiting:
        said += f", {len(waiting)} waiting for you: warden show {shown(waiting[0].id)}"
    return said


def print_case(console: Console, file: CaseFile, now: datetime) -> None:
    """Print one case: what it is about, what was done, what was taken, what happened, what can be done."""
    case = file.case
    console.print(_headline(case))
    console.print(plain(case.title, limit=300))
    console.print()
    console.print(facts(_about(case, now)))
    if case.evidence:
        console.print(heading("What the detector said"))
        console.print(facts(_said(case.evidence)))
    console.print(heading("Actions"))
    console.print(_actions(case))
    if file.containment is not None:
        console.print(heading("Containment"))
        console.print(facts(_containment(file.containment, case.id)))
    console.print(heading("Timeline (UTC)"))
    console.print(_timeline(file.timeline, case.attributes))
    if rows := list(_next(file)):
        console.print(heading("What you can do"))
        console.print(_commands(rows))


def print_entry(console: Console, entry: Entry) -> None:
    """Print one line of a timeline as it happens."""
    console.print(_timeline([entry], {}, days=False))


def _headline(case: Case) -> Text:
    line = Text()
    line.append(shown(case.device, 200), style="bold")
    line.append("  ")
    line.append_text(word(case.state))
    if case.resolution:
        line.append(f", {shown(case.resolution)}")
    line.append("  ")
    line.append_text(word(case.severity))
    return line


def _about(case: Case, now: datetime) -> Iterator[tuple[str, Text | str]]:
    yield "Case", case.id
    if not case.thing:
        yield "Device", "none in the registry"
    if others := [name for name in case.affected if name != case.thing]:
        yield "Also hit", f"{', '.join(others)} (same certificate)"
    yield "Source", case.source
    yield "Kind", case.kind
    for number, each in enumerate(_attributes(case)):
        yield "" if number else "Details", each
    yield "Opened", f"{moment(case.opened_at)}, {age(case.opened_at, now)} ago"
    if case.closed_at:
        yield "Closed", moment(case.closed_at)
    yield "Findings", _findings(case.findings)
    yield "Rule", f"{case.rule}, mode {case.mode}" if case.rule else "not decided yet"
    if case.approved_by:
        yield "Approved by", case.approved_by
    if case.released_by:
        yield "Released by", case.released_by


def _attributes(case: Case) -> Iterator[str]:
    for name, value in case.attributes.items():
        if value not in (case.kind, case.source):
            yield f"{name} {value}"


def _findings(findings: Mapping[str, bool]) -> str:
    still = sum(findings.values())
    return f"{len(findings)}, {still} still open" if findings else "none"


def _said(evidence: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    rows = list(_flat(evidence))
    yield from rows[:_EVIDENCE_LINES]
    if len(rows) > _EVIDENCE_LINES:
        yield "…", f"{len(rows) - _EVIDENCE_LINES} more; --json has them all"


def _flat(value: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, each in value.items():
        if isinstance(each, Mapping) and each:
            yield from _flat(each, f"{path}{name}.")
        else:
            yield shown(f"{path}{name}", 60), each if isinstance(each, str) else json.dumps(each)


def _actions(case: Case) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for action in case.actions:
        table.add_row(plain(f"  {action.name}"), word(_progress(action, case)), _detail(action))
    if not case.actions:
        table.add_row(Text("  none", style="dim"), "", "")
    return table


def _progress(action: Action, case: Case) -> str:
    if action.progress == "planned" and case.mode == "observe":
        return "would be done"
    return _PROGRESS.get(action.progress, action.progress)


def _detail(action: Action) -> Text:
    detail = plain(action.detail)
    if action.job:
        detail.append(("\n" if action.detail else "") + shown(action.job), style="dim")
    return detail


def _containment(held: Containment, case_id: str) -> Iterator[tuple[str, Text | str]]:
    yield "State", f"{held.state} since {moment(held.since)}"
    if others := [case for case in held.cases if case != case_id]:
        yield "Also for", f"{', '.join(others)}; a release of this case alone leaves the device restricted"
    for certificate, policies in held.policies.items():
        taken = ", ".join(policies) or "none"
        yield "Certificate", plain(certificate[:_CERTIFICATE_DIGITS]).append(f"  had {shown(taken)}", style="dim")
    if held.groups:
        yield "Groups left", ", ".join(held.groups)


def _timeline(entries: Sequence[Entry], known: Mapping[str, str], *, days: bool = True) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    day = ""
    for entry in entries:
        if days and day != (day := f"{entry.at:%Y-%m-%d}"):
            table.add_row("", Text(day, style="dim"))
        table.add_row(f"  {entry.at:%H:%M:%S}", _entry(entry, known))
    return table


def _entry(entry: Entry, known: Mapping[str, str]) -> Text:
    text = Text()
    bad = entry.is_failure or entry.kind == StepKind.DEVICE_REQUEST_REFUSED
    text.append(shown(entry.what), style="bold red" if bad else "bold")
    text.append(f"  {shown(who(entry.who))}", style="dim")
    if entry.why:
        text.append(f"\n{shown(entry.why)}")
    named = _IN_THE_WORDS.get(entry.kind, "")
    for line in _entry_facts({name: value for name, value in entry.facts.items() if name != named}, known):
        text.append(f"\n{line}", style="dim")
    return text


def _entry_facts(said: Mapping[str, Any], known: Mapping[str, str]) -> Iterator[str]:
    """Write the facts of a step, without those at the head of the page."""
    for name, value in said.items():
        if known.get(name) == value or name in _FOR_PROGRAMS:
            continue
        if name == "files" and isinstance(value, list):
            yield from (_file(each) for each in value)
        else:
            yield f"{shown(name, 60)} {shown(value if isinstance(value, str) else json.dumps(value))}"


def _file(file: Any) -> str:
    if not isinstance(file, Mapping):
        return f"file {shown(json.dumps(file))}"
    name, size, key = (shown(str(file.get(each, ""))) for each in ("name", "bytes", "key"))
    return f"file {name}, {size} bytes, at {key}"


def _commands(rows: Sequence[tuple[str, str]]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for command, purpose in rows:
        table.add_row(f"  {command}", purpose)
    return table


def _next(file: CaseFile) -> Iterator[tuple[str, str]]:
    """List the decisions that the service allows; one that this version of the command does not know is left out."""
    for decision in file.allowed:
        if decision in _PURPOSES:
            given = f"warden {COMMANDS[Decision(decision)].format(case=shown(file.case.id))}"
            yield given, _IN_STATE.get((file.case.state, decision), _PURPOSES[decision])
