"""Evidence: what the detector wrote, cut to a size and a shape that every store and reader can take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warden.clock import to_text
from warden.sources.fields import is_unicode

BYTES = 8_000
"""Size of a finding's evidence, as ASCII JSON. A case and its timeline share one 400 KB item limit per record."""

_NUMBER_DIGITS = 38  # what DynamoDB keeps of a number


@dataclass(frozen=True)
class _Limits:
    depth: int
    items: int
    characters: int


# From generous to what always fits: 12 entries of two texts of 24 characters, 12 bytes each when escaped, are 7 KB.
_LIMITS = (_Limits(8, 64, 512), _Limits(5, 16, 128), _Limits(1, 12, 24))


def bounded(message: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Keep these keys of a message, as far as they are there and in this order, cut to `BYTES` altogether."""
    known = {key: message[key] for key in keys if message.get(key) is not None}
    kept: dict[str, Any] = {}
    for limits in _LIMITS:
        kept = _object(known, limits, limits.depth)
        if len(json.dumps(kept)) <= BYTES:
            break
    return kept


def _cut(value: object, limits: _Limits, depth: int) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, limits.characters)
        case int() | float():
            return _number(value)
        case datetime():
            return to_text(value.replace(tzinfo=value.tzinfo or UTC))
        case Mapping():
            return _object(value, limits, depth - 1) if depth > 0 else f"(an object of {len(value)}, left out)"
        case list() | tuple():
            return _list(value, limits, depth - 1) if depth > 0 else f"(a list of {len(value)}, left out)"
        case _:
            return _text(str(value), limits.characters)


def _object(value: Mapping[Any, Any], limits: _Limits, depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, item in value.items():
        if len(kept) == limits.items:
            kept["..."] = f"{len(value) - limits.items} more left out"
            break
        # Some stores refuse an empty name; of two keys that are cut to the same, the first stays.
        kept.setdefault(_text(str(key), min(limits.characters, 128)) or "(empty)", _cut(item, limits, depth))
    return kept


def _list(value: list[Any] | tuple[Any, ...], limits: _Limits, depth: int) -> list[Any]:
    kept = [_cut(item, limits, depth) for item in value[: limits.items]]
    return [*kept, f"{len(value) - limits.items} more left out"] if len(value) > limits.items else kept


def _text(value: str, limit: int) -> str:
    kept = value if len(value) <= limit else value[: limit - 3] + "..."
    return kept if is_unicode(kept) else "".join(char if is_unicode(char) else "\ufffd" for char in kept)


def _number(value: int | float) -> int | str:
    if isinstance(value, float):
        # 54.0 is a count that went through a float; other fractions are text, for no store keeps them alike.
        return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < 2**53 else repr(value)
    return value if abs(value) < 10**_NUMBER_DIGITS else "(a number too long to keep)"
