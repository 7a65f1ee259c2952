"""The terminal: safe output, colours, and the form of times and names."""

import json
import os
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from shlex import quote
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

LEAST_WIDTH = 60

_STYLES = {
    # where a case stands
    "open": "yellow",
    "awaiting-approval": "bold yellow",
    "held": "bold red",
    "responding": "cyan",
    "contained": "magenta",
    "recovering": "cyan",
    "closed": "green",
    # where a campaign stands
    "running": "cyan",
    "paused": "yellow",
    "stopped": "bold red",
    "finished": "green",
    "cancelled": "dim",
    # how far an action is
    "would be done": "dim",
    "waiting": "yellow",
    "under way": "cyan",
    "done": "green",
    "FAILED": "bold red",
    # how bad it is
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "low": "dim",
}


def a_console() -> Console:
    """Make the console for standard output. It interprets no markup, and no character can break it."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    console = Console(highlight=False, markup=False, emoji=False)
    if console.width < LEAST_WIDTH:
        console.width = LEAST_WIDTH
    return console


def shown(text: str, limit: int = 1000) -> str:
    """Make foreign text safe for a terminal: one line that cannot move the cursor or reverse the text.

    Control characters, escape sequences, line breaks and invisible or direction-changing characters are escaped;
    letters of any language stay.
    """
    safe = "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text)
    return safe if len(safe) <= limit else f"{safe[: limit - 1]}…"


def pasted(argument: str) -> str:
    """Quote an argument of a command that is printed to be pasted. It is never cut: a cut path is another path.
    Characters that `shown` escapes are escaped here too, and cannot be pasted.
    """
    return quote(shown(argument, len(argument) * len("\\U0010ffff")))


def plain(text: str, style: str = "", limit: int = 1000) -> Text:
    """Return foreign text, made safe for a page."""
    return Text(shown(text, limit), style=style)


def print_command(console: Console, command: str) -> None:
    """Print a command to be pasted: whole, and on one line, however narrow the terminal is."""
    console.print(plain(command, limit=len(command) * len("\\U0010ffff")), soft_wrap=True)


def word(text: str) -> Text:
    """Return a word in its own colour: a state, a progress, a severity."""
    return plain(text, _STYLES.get(text, ""))


def heading(text: str) -> Text:
    """Begin a section."""
    return Text(f"\n{text}", style="bold")


def facts(rows: Iterable[tuple[str, Text | str]], *, names: int = 11) -> Table:
    """Lay out names and values; values wrap in their own column, and long ids wrap and are never cut."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", min_width=names, no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for name, value in rows:
        table.add_row(f"  {name}", plain(value) if isinstance(value, str) else value)
    return table


def as_json(answer: Any) -> str:
    """Write an answer for programs, in ASCII, so that it is also safe on a terminal."""
    return json.dumps(answer, indent=2).replace("\x7f", "\\u007f")


def moment(when: datetime) -> str:
    """Write a time; everything here is in UTC, like the ledger."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def age(since: datetime, now: datetime) -> str:
    """Return the time since then, in its largest unit."""
    passed = max(now - since, timedelta())
    if passed < timedelta(minutes=1):
        return f"{passed.seconds} s"
    if passed < timedelta(hours=1):
        return f"{passed.seconds // 60} min"
    if passed < timedelta(days=2):
        return f"{passed // timedelta(hours=1)} h"
    return f"{passed.days} d"


def who(name: str) -> str:
    """Shorten an ARN to the part that identifies a person; leave any other name as it is."""
    return name.split(":", 5)[5] if name.startswith("arn:") and name.count(":") >= 5 else name


def how_to_write(path: str) -> str:
    """Return a path in the shortest form that can be typed from here."""
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
