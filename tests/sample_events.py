"""The sample events as `events/manifest.toml` lists them, for every test that goes through them.

`python -m tests.sample_events` rewrites the tables in `events/README.md`; a test holds the page to the manifest.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

EVENTS = Path(__file__).parents[1] / "events"
PAGE = EVENTS / "README.md"

_BEGIN, _END = "<!-- from manifest.toml: begin -->\n", "<!-- from manifest.toml: end -->\n"


class Outcome(StrEnum):
    """What the service makes of an event."""

    FINDING = "finding"
    OVER = "over"
    IGNORED = "ignored"
    REFUSED = "refused"


class InFaults(StrEnum):
    """What tests/faults does with an event."""

    WORKED = "worked"
    REPORTED = "reported"
    ENDS = "ends"
    UNUSED = ""


@dataclass(frozen=True, kw_only=True)
class SampleEvent:
    """A row of the manifest; its comment says what each key means."""

    name: str
    function: str
    source: str
    kinds: tuple[str, ...]
    outcome: Outcome
    about: str
    shape: str
    rules: tuple[str, ...] = ()
    faults: InFaults = InFaults.UNUSED
    reason: str = ""
    answer: Any = None

    @property
    def path(self) -> Path:
        """Where the event is."""
        return EVENTS / f"{self.name}.json"


def _read() -> Iterator[SampleEvent]:
    for name, row in tomllib.loads((EVENTS / "manifest.toml").read_text(encoding="utf-8")).items():
        lists = {key: tuple(row.get(key, ())) for key in ("kinds", "rules")}
        words = {"outcome": Outcome(row["outcome"]), "faults": InFaults(row.get("faults", ""))}
        yield SampleEvent(name=name, **{**row, **lists, **words})


SAMPLE_EVENTS: Mapping[str, SampleEvent] = {each.name: each for each in _read()}
"""By name, in the manifest's order."""


def of_function(name: str) -> list[SampleEvent]:
    """List the events that a function gets."""
    return [each for each in SAMPLE_EVENTS.values() if each.function == name]


def in_faults(use: InFaults) -> tuple[str, ...]:
    """Name the events that tests/faults does one thing with."""
    return tuple(each.name for each in SAMPLE_EVENTS.values() if each.faults is use)


def page_of(text: str) -> str:
    """Return the page with the manifest's tables between its two pairs of markers."""
    introduction, _, rest = text.partition(_BEGIN)
    between = rest.partition(_END)[2].partition(_BEGIN)[0]
    end = rest.rpartition(_END)[2]
    detectors = ["| file | what it is | shape |", "|---|---|---|"]
    detectors += [f"| `{each.name}.json` | {each.about} | {each.shape} |" for each in of_function("ingest")]
    others = ["| file | function | what it is | shape |", "|---|---|---|---|"]
    others += [
        f"| `{each.name}.json` | `{each.function}` | {each.about} | {each.shape} |"
        for each in SAMPLE_EVENTS.values()
        if each.function != "ingest"
    ]
    return introduction + _marked(detectors) + between + _marked(others) + end


def _marked(lines: list[str]) -> str:
    return "".join((_BEGIN, *(f"{line}\n" for line in lines), _END))


if __name__ == "__main__":
    PAGE.write_text(page_of(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
