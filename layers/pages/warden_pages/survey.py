"""The survey's page: each control and each way of hearing, what was found, and what closes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from warden_pages.kit import render

_TONES = {
    "on": "good",
    "ok": "good",
    "partly": "warn",
    "off": "bad",
    "wrong": "bad",
    "not-known": "open",
    "in-sync": "good",
    "drifted": "bad",
    "changed-back": "good",
    "not-changed-back": "bad",
}
_OWNERS = {"ours": "our stacks", "theirs": "somebody else", "both": "our stacks and somebody else"}
_FIRST = ("wrong", "not-known", "not-yet")
"""The order in which the ways of hearing are listed: those that need somebody come first."""
_ASKS = ("wrong", "not-known")
"""Which of them ask for their fix."""
_LAST_CHANGES = 10


def survey_page(survey: Mapping[str, Any]) -> str:
    """Render a survey, as `survey/views.py` writes it, as one page that needs nothing else."""
    return render(
        "survey.html",
        survey=survey,
        states=[[_state(state), number] for state, number in survey["states"].items() if number],
        controls=[_row(each, each["state"]) for each in survey["controls"]],
        liveness=sorted((_row(each, each["pulse"]) for each in survey["liveness"]), key=itemgetter("order")),
        drift=_drift(survey["drift"]) if "drift" in survey else None,
        mends=[_mend(each) for each in survey.get("mends", [])],
        changes=[[_moment(since), what] for since, what in _changes(survey)],
        at=_moment(survey["at"]),
    )


def _row(each: Mapping[str, Any], state: str) -> dict[str, Any]:
    return {
        **each,
        "state": _state(state),
        "order": _FIRST.index(state) if state in _FIRST else len(_FIRST),
        "since": _moment(each["since"]),
        "owner": _OWNERS.get(each.get("owner", ""), _words(each.get("owner", ""))),
        "evidence": [(name, value or "none") for name, value in each["evidence"].items()],
        "fix": each.get("fix", "") if state in _ASKS else "",
    }


def _drift(drift: Mapping[str, Any]) -> dict[str, Any]:
    """Prepare the drift; a survey by an older version of the service has none."""
    return {
        **drift,
        "state": _state(drift["state"]),
        "at": _moment(drift["at"]),
        "differences": [{**each, "since": _moment(each["since"])} for each in drift["differences"]],
    }


def _mend(mend: Mapping[str, Any]) -> dict[str, Any]:
    return {**mend, "state": _state(mend["state"]), "at": _moment(mend["at"])}


def _state(state: str) -> Sequence[str]:
    return _words(state), _TONES.get(state, "calm")


def _changes(survey: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """List the last changes of state, newest first."""
    rows = [(each["since"], f"{each['title']}: {_words(each['state'])}") for each in survey["controls"]]
    rows += [(each["since"], f"{each['title']}: {_words(each['pulse'])}") for each in survey["liveness"]]
    yield from sorted(rows, reverse=True, key=itemgetter(0))[:_LAST_CHANGES]


def _words(value: str) -> str:
    return value.replace("-", " ")


def _moment(value: str) -> str:
    """Write a time for people; return anything else as it is."""
    try:
        return f"{datetime.fromisoformat(value):%Y-%m-%d %H:%M}"
    except ValueError:
        return value
