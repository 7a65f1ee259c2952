"""How a bench tells what it found: one table form on the screen, one JSON file under build/bench."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parents[2] / "build" / "bench"
_WIDTH = 118


@dataclass(frozen=True)
class Row:
    """A measured number. `limit` says in words what it is held against; without one it is only told."""

    what: str
    value: str
    limit: str = ""
    within: bool = True


@dataclass(frozen=True)
class Bench:
    """What one bench found; `details` go into the JSON file only."""

    name: str
    title: str
    rows: Sequence[Row]
    details: Mapping[str, Any]

    @property
    def is_within(self) -> bool:
        """Whether every limit is kept."""
        return all(row.within for row in self.rows)


def publish(bench: Bench, results: Path = RESULTS) -> None:
    """Print a bench's table and write its JSON."""
    Console(width=_WIDTH).print(_table(bench))
    results.mkdir(parents=True, exist_ok=True)
    rows = [{"what": row.what, "value": row.value, "limit": row.limit, "within": row.within} for row in bench.rows]
    written = {"bench": bench.name, "within": bench.is_within, "rows": rows, **bench.details}
    (results / f"{bench.name}.json").write_text(f"{json.dumps(written, indent=2)}\n", encoding="utf-8")


def _table(bench: Bench) -> Table:
    table = Table(title=bench.title, title_justify="left")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_column("limit", justify="right")
    for row in bench.rows:
        table.add_row(row.what, row.value, row.limit if row.within else f"[red]{row.limit}: PAST IT[/]")
    return table
