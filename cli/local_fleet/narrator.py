"""How the demo is told: who did what and when, what was proved by it, and what was not to be seen."""

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


class NotSeen(Exception):  # noqa: N818 - it is how a scene ends, and read as that
    """Raised when something that had to happen was not to be seen; says what was seen instead."""


@dataclass
class Story:
    """The telling. Times are seconds since it began."""

    console: Console
    patience: float = 60
    """Seconds that a step is waited for."""
    began: float = field(default_factory=time.monotonic)
    proved: list[tuple[str, str]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        """How long it has been told."""
        return time.monotonic() - self.began

    def chapter(self, title: str) -> None:
        """Begin a chapter."""
        self.console.print()
        self.console.print(Rule(Text(title, style="bold"), align="left", style="bright_black"))

    def tell(self, lane: Lane, what: str) -> None:
        """Tell one thing that happened."""
        self._line(f"[{_COLOURS[lane]}]{lane:<9}[/]", escape(what))

    def prove(self, claim: str, figure: str) -> None:
        """Tell what was seen to be so; it stands in the summary again."""
        self.proved.append((claim, figure))
        self._line("[bold green]✓ proved [/]", f"[green]{escape(claim)}[/]")

    def quote(self, text: str) -> None:
        """Show somebody's words as they are."""
        for line in text.splitlines():
            grid = Table.grid(padding=(0, 1))
            grid.add_column(width=19, justify="right", style="bright_black")
            grid.add_column(overflow="fold", style="bright_black")
            grid.add_row("│", Text(line))
            self.console.print(grid)

    def until[T](self, look: Callable[[], T], claim: str, saw: Callable[[], object]) -> T:
        """Look until the answer is true.

        Raises:
            NotSeen: when it never was; `saw` tells what there was instead.
        """
        deadline = time.monotonic() + self.patience
        while not (answer := look()):
            if time.monotonic() > deadline:
                raise NotSeen(f"{claim}: not within {self.patience:g} s; seen instead: {saw()}")
            time.sleep(_GLANCE_SECONDS)
        return answer

    def summary(self) -> None:
        """Sum up what was proved."""
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
