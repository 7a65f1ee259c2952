"""Evidence: what the detector wrote, cut to a size and a shape that every store and reader can take."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from warden.core import quotas
from warden.core.clock import to_text
from warden.validation.fields import is_unicode

BYTES = 8_000
"""Size of a finding's evidence, as ASCII JSON. A case and its timeline share one 400 KB item limit per record."""


@dataclass
class _Allowance:
    """How much may be kept. `values` counts down, so that the time spent on a crowded message is bounded too."""

    depth: int
    items: int
    characters: int
    values: int


# From generous to what always fits: 12 entries of two strings of 24 characters, 12 bytes each when escaped, are 7 KB.
_GOES = ((8, 64, 512, 500), (5, 16, 128, 100), (1, 12, 24, 12))


def bounded(message: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """Keep those of these keys that a message has, in this order, cut to `BYTES` in all."""
    known = {key: message[key] for key in keys if message.get(key) is not None}
    kept: dict[str, Any] = {}
    for go in _GOES:  # pragma: no branch - the last always fits
        allowance = _Allowance(*go)
        kept = _object(known, allowance, allowance.depth)
        if len(json.dumps(kept)) <= BYTES:
            break
    return kept


def _cut(value: object, allowance: _Allowance, depth: int) -> Any:
    allowance.values -= 1
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, allowance.characters)
        case int() | float():
            return _number(value)
        case datetime():
            return to_text(value.replace(tzinfo=value.tzinfo or UTC))
        case Mapping():
            return _object(value, allowance, depth - 1) if depth > 0 else f"(an object of {len(value)}, left out)"
        case list() | tuple():
            return _list(value, allowance, depth - 1) if depth > 0 else f"(a list of {len(value)}, left out)"
        case _:
            return _text(str(value), allowance.characters)


def _object(value: Mapping[Any, Any], allowance: _Allowance, depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for count, (key, item) in enumerate(value.items()):
        if count == allowance.items or allowance.values <= 0:
            kept["..."] = f"{len(value) - count} more left out"
            break
        # Some stores refuse an empty name. Of two keys that are equal once cut, the first is kept.
        kept.setdefault(_text(str(key), min(allowance.characters, 128)) or "(empty)", _cut(item, allowance, depth))
    return kept


def _list(value: list[Any] | tuple[Any, ...], allowance: _Allowance, depth: int) -> list[Any]:
    kept: list[Any] = []
    for count, item in enumerate(value):
        if count == allowance.items or allowance.values <= 0:
            return [*kept, f"{len(value) - count} more left out"]
        kept.append(_cut(item, allowance, depth))
    return kept


def _text(value: str, limit: int) -> str:
    kept = value if len(value) <= limit else value[: limit - 3] + "..."
    return kept if is_unicode(kept) else "".join(char if is_unicode(char) else "\ufffd" for char in kept)


def _number(value: int | float) -> int | str:
    if isinstance(value, float):
        # 54.0 is a count that was once a float. Other fractions become strings: stores round them differently.
        return int(value) if math.isfinite(value) and value.is_integer() and abs(value) < 2**53 else repr(value)
    return value if abs(value) < 10**quotas.NUMBER_DIGITS else "(a number too long to keep)"
