"""The demo's narration: who did what and when, what that proved, and what did not happen."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console
from rich.markup import escape
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

_GLANCE_SECONDS = 0.1


class Lane(StrEnum):
    """Who acts."""

    DETECTOR = "detector"
    WARDEN = "warden"
    BROKER = "broker"
    DEVICE = "device"
    OPERATOR = "operator"
    STAGE = "stage"


_COLOURS = {
    Lane.DETECTOR: "red",
    Lane.WARDEN: "cyan",
    Lane.BROKER: "magenta",
    Lane.DEVICE: "blue",
    Lane.OPERATOR: "yellow",
    Lane.STAGE: "bright_black",
}


class NotSeen(Exception):  # noqa: N818 - it is how a scene ends, and reads like that
    """Raised when an expected event did not happen; the message says what happened instead."""


@dataclass
class Story:
    """The narration. Times are seconds since it began."""

    console: Console
    patience: float = 60
    """Seconds to wait for a step."""
    began: float = field(default_factory=time.monotonic)
    proved: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """Seconds since the narration began."""
        return time.monotonic() - self.began

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="bright_black"))

    def tell(self, lane: Lane, what: str) -> None:
        """Print one event."""
        self._line(f"[{_COLOURS[lane]}]{lane:<9}[/]", escape(what))

    def prove(self, claim: str, figure: str) -> None:
        """Print a proved claim, and keep it for the summary."""
        self.proved.append((claim, figure))
        self._line("[bold green]✓ proved [/]", f"[green]{escape(claim)}[/]")

    def quote(self, text: str) -> None:
        """Print somebody's words unchanged."""
        for line in text.splitlines():
            grid = Table.grid(padding=(0, 1))
            grid.add_column(width=19, justify="right", style="bright_black")
            grid.add_column(overflow="fold", style="bright_black")
            grid.add_row("│", Text(line))
            self.console.print(grid)

    def until[T](self, look: Callable[[], T], claim: str, saw: Callable[[], object]) -> T:
        """Call `look` until its answer is true, and return the answer.

        Raises:
            NotSeen: when it never becomes true; `saw` says what there was instead.
        """
        deadline = time.monotonic() + self.patience
        while not (answer := look()):
            if time.monotonic() > deadline:
                raise NotSeen(f"{claim}: not within {self.patience:g} s; instead: {saw()}")
            time.sleep(_GLANCE_SECONDS)
        return answer

    def summary(self) -> None:
        """Print what was proved."""
        table = Table(title="What was proved", title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
        table.add_column("", style="bold green")
        table.add_column("Claim", overflow="fold")
        table.add_column("Seen", style="bright_black", overflow="fold")
        for claim, figure in self.proved:
            table.add_row("✓", escape(claim), escape(figure))
        self.console.print()
        self.console.print(table)

    def _line(self, lane: str, markup: str) -> None:
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=8, justify="right", style="bright_black")
        grid.add_column(width=10)
        grid.add_column(overflow="fold")
        grid.add_row(f"{self.seconds:6.1f} s", lane, markup)
        self.console.print(grid)
