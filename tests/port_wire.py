"""The wire between the service and its ports: it sees every call, and can end the function at one of them.

For tests on the in-memory world that look at each call, or crash once in a life of many events. Every fault at every
call of every flow is tried in tests/faults, below the SDK.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any

from tests.fakes import Crash, World
from warden.core.errors import Conflict
from warden.core.ports import Ports

type DeviceView = Callable[[str, tuple[Any, ...]], None]
"""Told of a call that was made: its name (`certificates.activate`) and its arguments, which are never named ones."""


_COMMIT = "ledger.commit"


class Fate(StrEnum):
    """What becomes of a call."""

    BEFORE = "the function dies before it"
    AFTER = "the function dies after it"
    ANSWER_LOST = "its answer is lost, and it is sent again: a conflict with itself"


class Wire:
    """Counts the calls to all ports together, and fails once, at the chosen call."""

    def __init__(self, before: DeviceView | None = None, after: DeviceView | None = None) -> None:
        self._before, self._after = before, after
        self._strikes_at = 0
        self._fate = Fate.BEFORE
        self.calls = 0
        self.commits = 0
        self.struck = ""

    def arm(self, in_calls: int, fate: Fate) -> None:
        """Let the function die at one of the next calls, or lose the answer of one of the next commits."""
        counted = self.commits if fate is Fate.ANSWER_LOST else self.calls
        self._strikes_at, self._fate, self.struck = counted + in_calls, fate, ""

    def disarm(self) -> None:
        """Let everything pass from now on."""
        self._strikes_at = 0

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make a call, unless this is where it ends."""
        self.calls += 1
        self.commits += name == _COMMIT
        strikes = self._strikes(name)
        if strikes:
            self.struck = name
        if strikes and self._fate is Fate.BEFORE:
            raise Crash(name)
        if self._before is not None:
            self._before(name, args)
        answer = real(*args, **named)
        if self._after is not None:
            self._after(name, args)
        if strikes:
            raise Conflict("made, and sent again") if self._fate is Fate.ANSWER_LOST else Crash(name)
        return answer

    def _strikes(self, name: str) -> bool:
        if self._fate is Fate.ANSWER_LOST:
            return name == _COMMIT and self.commits == self._strikes_at
        return self.calls == self._strikes_at


class Wired:
    """A port with the wire on every call."""

    def __init__(self, name: str, port: object, wire: Wire) -> None:
        self._name, self._port, self._wire = name, port, wire

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return lambda *args, **named: self._wire.call(f"{self._name}.{name}", real, args, named)


def wired(world: World, wire: Wire) -> World:
    """Put the wire between the service and its world; devices and tests do not feel it."""
    ports: dict[str, Any] = {
        each.name: Wired(each.name, getattr(world.context.ports, each.name), wire) for each in fields(Ports)
    }
    world.context = replace(world.context, ports=Ports(**ports))
    return world
