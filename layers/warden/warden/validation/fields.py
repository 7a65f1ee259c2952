"""Read one field of a message: return a value of the right type within bounds, or raise `Refused`.

A field is named by its path, `behavior.criteria`; `null` and an absent key are both nothing. A reason uses our own
names and describes values by their type, so that it never carries text from a message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from warden.core.clock import from_epoch, from_text
from warden.core.errors import Refused

WORD = r"[A-Za-z0-9:_./+=,@-]{1,256}"
"""The characters of AWS's ids, kinds and enumerations: none needs escaping anywhere."""

_LAST_EPOCH = 253_402_300_799_000
"""The last millisecond of 9999; a greater number cannot be a time in either unit."""

_JSON_TYPES = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}


def value_at(message: Mapping[str, Any], path: str) -> Any:
    """Follow a dotted path; None where it ends early.

    Raises:
        Refused: when something on the way is not an object.
    """
    found: Any = message
    walked: list[str] = []
    for key in path.split("."):
        if not isinstance(found, Mapping):
            raise _wrong_type(".".join(walked), "an object", found)
        found = found.get(key)
        if found is None:
            return None
        walked.append(key)
    return found


def optional_text(message: Mapping[str, Any], path: str) -> str:
    """Read a string; empty when there is none."""
    value = value_at(message, path)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _wrong_type(path, "text", value)
    if not is_unicode(value):
        raise Refused("bad-text", f"'{path}' has half of a surrogate pair, which is not valid UTF-8; correct it")
    return value


def text(message: Mapping[str, Any], path: str) -> str:
    """Read a string that must be present and not empty."""
    return _required(path, optional_text(message, path))


def optional_word(message: Mapping[str, Any], path: str) -> str:
    """Read an id, a kind or a value of an enumeration; empty when there is none."""
    value = optional_text(message, path)
    if value and not is_word(value):
        raise Refused(
            "bad-value",
            f"'{path}' must be 1 to 256 of the characters A-Z a-z 0-9 : _ . / + = , @ - but is {len(value)} characters"
            " long or holds others; send the identifier as AWS wrote it",
        )
    return value


def word(message: Mapping[str, Any], path: str) -> str:
    """Read an id, a kind or a value of an enumeration that must be present."""
    return _required(path, optional_word(message, path))


def optional_object(message: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    """Read an object; an empty one when there is none."""
    value = value_at(message, path)
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise _wrong_type(path, "an object", value)
    return value


def optional_list(message: Mapping[str, Any], path: str) -> list[Any]:
    """Read a list; an empty one when there is none."""
    value = value_at(message, path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise _wrong_type(path, "a list", value)
    return value


def optional_flag(message: Mapping[str, Any], path: str) -> bool:
    """Read a boolean, which some services write as a string; False when there is none."""
    value = value_at(message, path)
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in {"true", "false"}:
        return value.lower() == "true"
    raise _wrong_type(path, "a boolean", value)


def objects(items: list[Any], path: str) -> list[Mapping[str, Any]]:
    """Read every item of a list as an object."""
    for place, item in enumerate(items):
        if not isinstance(item, Mapping):
            raise _wrong_type(f"{path}[{place}]", "an object", item)
    return items


def moment(message: Mapping[str, Any], path: str, latest: datetime) -> datetime:
    """Read when something happened, but never later than `latest`; `latest` itself when the field is absent.

    A sender could date a finding into the future, so that it would be newer than every release.
    """
    value = value_at(message, path)
    if value is None:
        return latest
    if isinstance(value, bool) or not isinstance(value, int | float | str | datetime):
        raise _wrong_type(path, "a time", value)
    try:
        return min(_moment(value), latest)
    except ValueError:
        raise Refused(
            "bad-time",
            f"'{path}' is not a time; send seconds or milliseconds since 1970, or ISO 8601 with an offset",
        ) from None


def is_word(value: str) -> bool:
    """Check whether a string can be an identifier or a value of an enumeration."""
    return re.fullmatch(WORD, value) is not None


def is_unicode(value: str) -> bool:
    """Check whether a string can be written as UTF-8: JSON can spell half a surrogate pair, nothing can store it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _moment(value: float | str | datetime) -> datetime:
    if isinstance(value, datetime):
        return value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC)
    if isinstance(value, int | float):
        if not 0 <= value <= _LAST_EPOCH:
            raise ValueError("before 1970 or after 9999")
        return from_epoch(value)
    # Security Hub writes milliseconds as a string.
    return _moment(int(value)) if value.isdecimal() and len(value) <= 15 else _from_iso(value)


def _from_iso(value: str) -> datetime:
    try:
        found = from_text(value)
    except OverflowError as error:  # 0001-01-01 east of Greenwich is before the first year in UTC
        raise ValueError("outside the calendar") from error
    if found.timestamp() < 0:
        raise ValueError("before 1970")
    return found


def _required(path: str, value: str) -> str:
    if not value:
        raise Refused("missing-field", f"'{path}' is missing or empty; send the message as the detector wrote it")
    return value


def _wrong_type(path: str, wanted: str, value: object) -> Refused:
    found = _JSON_TYPES.get(type(value), "something else")
    return Refused("wrong-type", f"'{path}' must be {wanted} but is {found}; send the message as the detector wrote it")
