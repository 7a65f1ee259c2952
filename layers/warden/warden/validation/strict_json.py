"""Parse a message strictly, before its detector is known."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from warden.core.errors import Refused


def message_in(body: str) -> Mapping[str, Any]:
    """Read a JSON object. NaN and duplicate keys are refused: two parsers could read them differently.

    Raises:
        Refused: when it is not one.
    """
    try:
        message = json.loads(body, parse_constant=_no_constant, object_pairs_hook=_object)
    except RecursionError:
        raise Refused("too-deep", "the message is nested too deeply; no detector sends such a message") from None
    except ValueError:
        raise Refused("not-json", "the message is not JSON; send it as the detector wrote it") from None
    if not isinstance(message, Mapping):
        raise Refused("not-an-object", "the message is JSON, but not an object; send it as the detector wrote it")
    return message


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Refused("duplicate-key", "an object in the message has a duplicate key, so its meaning is unclear")
    return found
