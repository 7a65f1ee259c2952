"""Names in messages: what they can name, and how they are shown to people."""

from __future__ import annotations

import re

from warden.errors import Refused
from warden.findings import Subject, SubjectType

_THING = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_CLIENT_ID_BYTES = 128

SHOWN = 64
"""How much of a name a title shows, in characters after escaping."""


def device(name: str, path: str) -> Subject:
    """Name a device by the registry's name for it, or by its client id when the registry could not hold that name.

    Device Defender reports a client that is no registered thing under its client id, which can be any text. Such a
    finding is kept, about the client id, and nothing takes the name for a thing's.

    Raises:
        Refused: when it can be neither.
    """
    if _THING.fullmatch(name):
        return Subject(SubjectType.THING, name)
    if len(name.encode()) > _CLIENT_ID_BYTES:
        raise Refused("bad-name", f"'{path}' is longer than the 128 bytes that a thing name or client id may have")
    return Subject(SubjectType.CLIENT_ID, name)


def shown(name: str, limit: int = SHOWN) -> str:
    """Write a name as printable ASCII, everything else and the backslash itself as \\uXXXX, and cut it."""
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
