"""Notices of cases: plain text that says what happened, what was done, and what to do next."""

from __future__ import annotations

from urllib.parse import quote

from warden.cases.allowed import Decision, allowed
from warden.cases.model import Case, CaseState, Progress
from warden.cases.wording import COMMANDS
from warden.core import quotas
from warden.core.mode import Mode
from warden.settings import Settings

_HEADLINES = {
    CaseState.OPEN: "recorded",
    CaseState.AWAITING_APPROVAL: "APPROVAL NEEDED",
    CaseState.HELD: "NOT TOUCHED, decide",
    CaseState.RESPONDING: "responding",
    CaseState.CONTAINED: "contained",
    CaseState.RECOVERING: "recovering",
    CaseState.CLOSED: "closed",
}


def plain(text: str, length: int = 200) -> str:
    """Make text from outside safe for a notice: one line of printable ASCII, shortened; escape everything else."""
    safe = "".join(
        char if char.isascii() and char.isprintable() else char.encode("unicode_escape").decode() for char in text
    )
    return safe if len(safe) <= length else safe[: length - 3] + "..."


def subject_of(case: Case) -> str:
    """Write the subject line, always in one form. A long name is shortened, so that the severity stays visible."""
    is_partial = case.is_half_way and case.state is CaseState.OPEN
    headline = "NOT FULLY CONTAINED" if is_partial else _HEADLINES[case.state]
    begin, end = f"Fleet Warden: {headline}: ", f" ({case.severity})"
    return begin + plain(case.thing or case.subject.name, quotas.SUBJECT_CHARACTERS - len(begin) - len(end)) + end


def body_of(case: Case, settings: Settings, reason: str) -> str:
    """Write the body of the notice."""
    paragraphs = [
        [f"{plain(case.title, 300)}", *([plain(reason, 500)] if reason else [])],
        [
            f"Case      {case.id}",
            f"State     {case.state}" + (f" ({case.resolution})" if case.resolution else ""),
            f"Device    {plain(case.thing) or '(none in the registry)'}",
            *([f"Also hit  {plain(', '.join(_others(case)), 400)}"] if _others(case) else []),
            f"Finding   {case.source}: {plain(case.kind)}, severity {case.severity}",
            f"Rule      {case.rule}, mode {case.mode}",
        ],
        _what_was_done(case),
        ["What to do next", *(f"  {line}" for line in _next(case, settings.mode))],
        _links(case, settings),
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines) + "\n"


def _others(case: Case) -> list[str]:
    return [thing for thing in case.affected if thing != case.thing]


def _what_was_done(case: Case) -> list[str]:
    words = {
        Progress.PLANNED: "would be done" if case.mode == Mode.OBSERVE else "waiting",
        Progress.STARTED: "under way",
        Progress.DONE: "done",
        Progress.FAILED: "FAILED",
    }
    lines = [
        f"  {action}: {words[outcome.progress]}" + (f", {plain(outcome.detail, 300)}" if outcome.detail else "")
        for action, outcome in case.outcomes.items()
    ]
    return ["What was done", *lines] if lines else ["What was done", "  nothing but this notice"]


_PURPOSES = {
    Decision.APPROVE: "Do it",
    Decision.DISMISS: "Leave it alone",
    Decision.RELEASE: "Release with a new certificate",
    Decision.RELEASE_KEEPING_CERTIFICATE: "Release on the old one",
    Decision.COLLECT_LOGS: "Collect its logs",
    Decision.CANCEL: "Take the release back",
}


def _next(case: Case, mode: Mode) -> list[str]:
    decisions = allowed(case, mode)
    if not decisions:
        return [f"Nothing. Read it: warden show {case.id}"]
    commands = [("Read it", "show {case}"), *(_command(decision, case) for decision in decisions)]
    width = max(len(purpose) for purpose, _ in commands) + 1
    lines = [f"{f'{purpose}:':<{width}} warden {command.format(case=case.id)}" for purpose, command in commands]
    if case.state is CaseState.CONTAINED:
        return ["The device can still run jobs; its telemetry and commands are blocked.", *lines]
    return lines


def _command(decision: Decision, case: Case) -> tuple[str, str]:
    is_record = decision is Decision.DISMISS and case.state is CaseState.OPEN
    return ("Close it" if is_record else _PURPOSES[decision]), COMMANDS[decision]


def _links(case: Case, settings: Settings) -> list[str]:
    if not case.thing:
        return []
    console = f"https://{settings.region}.console.aws.amazon.com/iot/home?region={settings.region}#/thing/"
    return [f"Device in the console: {console}{quote(case.thing, safe='')}"]
