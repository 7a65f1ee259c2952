"""Escape strings from outside, for messages and titles."""

from __future__ import annotations

SHOWN_CHARACTERS = 64
"""How much of a name a title shows, in characters after escaping."""


def shown(name: str, limit: int = SHOWN_CHARACTERS) -> str:
    """Write a name as printable ASCII, with other characters and the backslash as \\uXXXX, and cut it."""
    pieces: list[str] = []
    room = limit
    for char in name:
        piece = _escaped(char)
        room -= len(piece)
        if room < 0:
            return _shortened(pieces, limit)
        pieces.append(piece)
    return "".join(pieces)


def _shortened(pieces: list[str], limit: int) -> str:
    while sum(map(len, pieces)) > limit - 3:
        pieces.pop()
    return "".join(pieces) + "..."


def _escaped(char: str) -> str:
    code = ord(char)
    if char.isascii() and char.isprintable() and char != "\\":
        return char
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
