"""What a person reads while the demo plays: who did what, when, and what was proved by it."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.status import Status
from rich.table import Table
from rich.text import Text

from local_fleet import picture

_LEAST_WIDTH, _MOST_WIDTH = 80, picture.WIDTH


class Lane(StrEnum):
    """Who does something. Their order is that of the lanes on the screen."""

    DETECTOR = "detector"
    CLOUD = "cloud"
    BROKER = "broker"
    DEVICE = "device"
    OPERATOR = "operator"


_COLOURS = {
    Lane.DETECTOR: "red",
    Lane.CLOUD: "cyan",
    Lane.BROKER: "magenta",
    Lane.DEVICE: "blue",
    Lane.OPERATOR: "yellow",
}
_GOOD = "green"


@dataclass(frozen=True)
class Moment:
    """Something that somebody did; `at` is in seconds since the epoch."""

    at: float
    lane: Lane
    what: str
    detail: str = ""


@dataclass(frozen=True)
class Proof:
    """Something that was looked at and found to be so."""

    claim: str
    figure: str


class Timeline:
    """The story on the terminal, and on a second, recorded one when a picture of it is wanted.

    Without a terminal the same is said in plain lines: no lanes, no colours, nothing that moves.
    """

    def __init__(self, *, recorded: bool = False) -> None:
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        self._began = time.time()
        self._console = Console(highlight=False, markup=False, emoji=False)
        # A pipe has no width: whoever reads it later has enough of it.
        width = self._console.width if self._console.is_terminal else _MOST_WIDTH
        self._console.width = min(max(width, _LEAST_WIDTH), _MOST_WIDTH)
        self._record = picture.recording_console() if recorded else None
        self._status: Status | None = None
        self.proofs: list[Proof] = []

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.time() - self._began

    @contextmanager
    def live(self) -> Iterator[None]:
        """Keep a line below everything that says what is waited for."""
        if not self._console.is_terminal:
            yield
            return
        with Status("", console=self._console, spinner="dots", spinner_style="dim") as self._status:
            try:
                yield
            finally:
                self._status = None

    def waiting_for(self, what: str) -> None:
        """Say what is waited for, where there is a line for it; it is gone with the next one."""
        if self._status is not None:
            self._status.update(Text(f"{what} …"[: self._console.width - 4], style="dim"))

    def title(self, name: str, line: str) -> None:
        """Begin."""
        self._print(lambda _: Group(Text(), Text.assemble((f"  {name}", "bold"), f"  {line}")))

    def chapter(self, number: int, title: str) -> None:
        """Begin a step."""
        self._print(lambda _: Group(Text(), Text(f"  {number}  {title}", style="bold")))

    def tell(self, *moments: Moment) -> None:
        """Write moments down, in the order in which they happened."""
        for moment in sorted(moments, key=lambda each: each.at):
            seconds = f"{moment.at - self._began:.1f}"
            who = Text(moment.lane, style=_COLOURS[moment.lane])
            words = Text.assemble(moment.what, (f"  {moment.detail}" if moment.detail else "", "dim"))
            self._print(_Row(seconds, who, moment.lane, words))

    def say(self, lane: Lane, what: str, detail: str = "") -> None:
        """Write down what happens now."""
        self.tell(Moment(time.time(), lane, what, detail))

    def proved(self, claim: str, figure: str) -> None:
        """Write down what was looked at and found to be so, here and for the summary."""
        self.proofs.append(Proof(claim, figure))
        self._print(_Row("", Text(), None, Text(f"✓ {claim}", style=_GOOD)))

    def letter(self, subject: str, body: str) -> None:
        """Show a notice as the person it is for would get it."""
        title = Text(f" {subject} ", style="bold")
        panel = Panel(Text(body.strip()), title=title, title_align="left", border_style="bright_black", padding=(1, 2))
        self._print(lambda _: Padding(panel, (0, 2, 0, 3)))

    def failed(self, step: str, expected: str, seen: str, where: Path) -> None:
        """Say which step did not happen, what was there instead, and where to look for the cause."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in (("expected", expected), ("seen", seen), ("logs", str(where))):
            table.add_row(name, Text(text))
        head = Text(f"  ✗ {step}: this did not happen", style="bold red")
        self._print(lambda _: Group(Text(), head, Padding(table, (0, 0, 1, 4))))

    def summary(self, words: str) -> None:
        """End with everything that was proved."""
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, 1), expand=True, header_style="bold", border_style="bright_black"
        )
        table.add_column("", width=1, style=_GOOD)
        table.add_column("Proved", ratio=5)
        table.add_column("What was seen", ratio=6, style="dim")
        for proof in self.proofs:
            table.add_row("✓", proof.claim, proof.figure)
        self._print(lambda _: Group(Text(), table, Text(f"   {words}", style=f"bold {_GOOD}"), Text()))

    def note(self, text: str) -> None:
        """Say something to the person that is no part of the story, nor of its picture."""
        self._console.print(Text(text), soft_wrap=True)

    def save_picture(self, file: Path) -> None:
        """Write the story, as it was told, as a picture of a terminal."""
        if self._record is None:
            raise ValueError("nothing was recorded")
        file.write_text(picture.svg(self._record, title="make demo"))

    def _print(self, what: Callable[[Console], RenderableType]) -> None:
        for console in (self._console, self._record):
            if console is not None:
                console.print(what(console))


@dataclass(frozen=True)
class _Row:
    """One line of the story; what does not fit goes on below, in the same column."""

    seconds: str
    who: Text
    lane: Lane | None
    words: Text

    def __call__(self, console: Console) -> RenderableType:
        table = Table.grid(padding=(0, 1, 0, 0))
        table.add_column(width=7, justify="right", style="bright_black", no_wrap=True)
        table.add_column(width=9, no_wrap=True)
        if not console.is_terminal:
            table.add_column()
            table.add_row(self.seconds, self.who, self.words)
            return table
        table.add_column(width=2 * len(Lane), no_wrap=True)
        table.add_column()
        # Wrapped here, so that the lanes go on beside every line of it.
        lines = self.words.wrap(console, console.width - 7 - 9 - 2 * len(Lane) - 4)
        for number, line in enumerate(lines):
            first = number == 0
            table.add_row(
                self.seconds if first else "", self.who if first else "", _gutter(self.lane if first else None), line
            )
        return table


def _gutter(lane: Lane | None) -> Text:
    """Draw the lanes at one moment: a line for each, and a mark on the one where something happens."""
    marks = (("●", _COLOURS[each]) if each is lane else ("│", "bright_black") for each in Lane)
    return Text(" ").join(Text(sign, style=style) for sign, style in marks)
