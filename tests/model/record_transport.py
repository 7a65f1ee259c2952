"""The wire between the service and its world: sees every call to a port, and can end the function at one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from tests.fakes import Crash, World
from warden.core.ports import Ports

type DeviceView = Callable[[str, tuple[Any, ...]], None]
"""Told of a call that was made: its name (`certificates.activate`) and its arguments, which are never named ones."""


class Wire:
    """Counts the calls to all ports together, and strikes once where it was told to."""

    def __init__(self, before: DeviceView | None = None, after: DeviceView | None = None) -> None:
        self._before, self._after = before, after
        self._strikes_at = 0
        self._made_first = False
        self.calls = 0
        self.struck = ""

    def arm(self, in_calls: int, *, made_first: bool) -> None:
        """Have the function end at one of the next calls; `made_first` says whether that call is still made."""
        self._strikes_at, self._made_first, self.struck = self.calls + in_calls, made_first, ""

    def disarm(self) -> None:
        """Let everything pass from now on."""
        self._strikes_at = 0

    def call(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make a call, unless this is where it ends."""
        self.calls += 1
        strikes = self.calls == self._strikes_at
        if strikes:
            self.struck = name
        if strikes and not self._made_first:
            raise Crash(name)
        if self._before is not None:
            self._before(name, args)
        answer = real(*args, **named)
        if self._after is not None:
            self._after(name, args)
        if strikes:
            raise Crash(name)
        return answer


class _Wired:
    """A port with the wire on every call."""

    def __init__(self, name: str, port: object, wire: Wire) -> None:
        self._name, self._port, self._wire = name, port, wire

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._port, name)
        return lambda *args, **named: self._wire.call(f"{self._name}.{name}", real, args, named)


def wired(world: World, wire: Wire) -> World:
    """Put the wire between the service and its world; devices and tests do not feel it."""
    ports: dict[str, Any] = {
        each.name: _Wired(each.name, getattr(world.context.ports, each.name), wire) for each in fields(Ports)
    }
    world.context = replace(world.context, ports=Ports(**ports))
    return world
