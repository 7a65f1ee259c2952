"""How a survey reads on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warden_cli.terminal import facts, heading, moment, plain, shown

_STYLES = {
    "on": "green",
    "ok": "green",
    "partly": "yellow",
    "off": "bold red",
    "wrong": "bold red",
    "not-known": "magenta",
    "in-sync": "green",
    "drifted": "bold red",
}
_FALLS_SHORT = {"partly", "off", "wrong", "not-known", "drifted"}
_DRIFT = "drift"


def entries(survey: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the key of each control, each line of liveness and the drift, with its state."""
    yield from ((str(each["key"]), str(each["state"])) for each in survey["controls"])
    yield from ((str(each["key"]), str(each["pulse"])) for each in survey["liveness"])
    if _DRIFT in survey:  # a service from before it was read has none
        yield _DRIFT, str(survey[_DRIFT]["state"])


def falls_short(survey: Mapping[str, Any], accepted: Collection[str]) -> bool:
    """Whether a control or a line falls short, and nobody has accepted that."""
    return any(state in _FALLS_SHORT and key not in accepted for key, state in entries(survey))


def print_survey(console: Console, survey: Mapping[str, Any], accepted: Collection[str]) -> None:
    """Print the controls, then the lines of liveness, then what could not be read."""
    where = f"Security baseline of account {survey['account']}, {survey['region']}"
    console.print(plain(where, "bold"))
    console.print(plain(f"surveyed {_moment(survey['at'])}", "dim"))
    console.print(heading("Controls"))
    console.print(
        _table([(str(each["number"]), each, each["state"], each["closes"]) for each in survey["controls"]], accepted)
    )
    console.print(heading("Can anything be heard?"))
    console.print(_table([("", each, each["pulse"], [each["fix"]]) for each in survey["liveness"]], accepted))
    if _DRIFT in survey:
        console.print(heading("Is it as it was deployed?"))
        console.print(_table([_drift(survey[_DRIFT])], accepted))
    if survey.get("mends"):
        console.print(heading("What the service changed back"))
        console.print(facts(((_moment(each["at"]), _mend(each)) for each in survey["mends"]), names=23))
    if survey["lacking"]:
        console.print(heading("Not known, because the service's role lacks"))
        console.print(facts((("-", str(each)) for each in survey["lacking"]), names=1))


def _table(rows: Sequence[tuple[str, Mapping[str, Any], str, Sequence[str]]], accepted: Collection[str]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", justify="right", min_width=2, no_wrap=True)
    table.add_column(min_width=9, max_width=18)
    table.add_column(overflow="fold", ratio=1)
    for number, each, state, closes in rows:
        table.add_row(number, _state(str(each["key"]), state, accepted), _found(each, state, closes))
    return table


def _drift(drift: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], str, Sequence[str]]:
    """Return the row of the drift: each property, what was not compared, and what closes it."""
    at = f", compared {_moment(drift['at'])}" if drift["at"] else ""
    more = [f"Differences beside these: {drift['left_out']}."] if drift["left_out"] else []
    entry = {
        "key": _DRIFT,
        "title": f"The baseline's stack{at}",
        "says": [*drift["says"], *(_difference(each) for each in drift["differences"]), *more],
        "always": [f"not compared: {each['resource']}: {each['why']}" for each in drift["not_checked"]],
    }
    closes = dict.fromkeys(str(line) for each in drift["differences"] for line in each["closes"])
    return "", entry, drift["state"], [*closes]


def _mend(each: Mapping[str, Any]) -> str:
    why = f": {each['why']}" if each["why"] else ""
    words = str(each["state"]).replace("-", " ")
    return f"{each['resource']}{each['property']} from {each['found']} to {each['back_to']}: {words}{why}"


def _difference(each: Mapping[str, Any]) -> str:
    says = "".join(f" {sentence}" for sentence in each["says"])
    return f"{each['resource']}{each['property']}: expected {each['expected']}, found {each['found']}.{says}"


def _state(key: str, state: str, accepted: Collection[str]) -> Text:
    words = plain(state.replace("-", " "), _STYLES.get(state, "dim"), limit=40)
    return words.append("\naccepted", "dim") if key in accepted and state in _FALLS_SHORT else words


def _found(each: Mapping[str, Any], state: str, closes: Sequence[str]) -> Text:
    text = Text(shown(str(each["title"])), style="bold").append(f"  {shown(str(each['key']), 60)}", "not bold dim")
    for line in each["says"] if state in _FALLS_SHORT else []:
        text.append(f"\n{shown(str(line))}", "not bold")
    for line in each.get("always", []):
        text.append(f"\n{shown(str(line))}", "not bold dim")
    todo = [shown(str(line)) for line in closes if line] if state in _FALLS_SHORT else []
    if todo:
        text.append(f"\nclose it: {'; '.join(todo)}", "not bold cyan")
    if report := each.get("evidence", {}).get("report"):
        text.append(f"\nreport: {shown(str(report))}", "not bold dim")
    return text


def _moment(value: str) -> str:
    return moment(datetime.fromisoformat(value))
