"""What AWS IoT's policies let a device do: Allow adds up, an explicit Deny wins, variables are the device's own.

AWS IoT Core Developer Guide, "AWS IoT Core policies", "AWS IoT Core policy variables" and "Publish/Subscribe policy
examples": `*` and `?` are the wildcards of a policy, MQTT's `+` and `#` are plain characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

THING = "${iot:Connection.Thing.ThingName}"
CLIENT = "${iot:ClientId}"
IS_ATTACHED = "iot:Connection.Thing.IsAttached"

_OF_THE_THING = "${iot:Connection.Thing."


@dataclass(frozen=True)
class Session:
    """The connected client: its id, which may or may not be the thing's name."""

    client_id: str
    thing: str

    @property
    def is_attached(self) -> bool:
        """Whether the client is a thing of its certificate for AWS IoT."""
        return bool(self.thing) and self.client_id == self.thing

    def resolved(self, pattern: str) -> str | None:
        """Fill in the variables; None where one has no value, as AWS IoT takes the thing from the client id."""
        if _OF_THE_THING in pattern and self.client_id != self.thing:
            return None
        filled = pattern.replace(THING, self.thing)
        return filled.replace(CLIENT, self.client_id)


def admits(documents: Iterable[Mapping[str, Any]], action: str, resource: str, session: Session) -> bool:
    """Whether all policies of a device together let it do something.

    Conditions count as met, except the one on `iot:Connection.Thing.IsAttached`, which a session answers.
    """
    effects = {
        str(statement["Effect"])
        for document in documents
        for statement in listed(document["Statement"])
        if _matches_one(listed(statement.get("Action")), action)
        and _matches_one([session.resolved(each) for each in listed(statement.get("Resource"))], resource)
        and _holds(statement.get("Condition") or {}, session)
    }
    return effects == {"Allow"}


def listed(value: Any) -> Sequence[Any]:
    """Return a list: in a policy, a single item may stand alone."""
    return value if isinstance(value, list) else [value]


def _holds(condition: Mapping[str, Mapping[str, Any]], session: Session) -> bool:
    return all(
        str(session.is_attached).lower() in [str(each).lower() for each in listed(value)]
        for operator, keys in condition.items()
        for key, value in keys.items()
        if operator.lower() == "bool" and key.lower() == IS_ATTACHED.lower()
    )


def _matches_one(patterns: Iterable[str | None], text: str) -> bool:
    return any(compiled(each).fullmatch(text) for each in patterns if each is not None)


@lru_cache(maxsize=16_384)
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a pattern of a policy as an expression. `${*}`, `${?}` and `${$}` are the characters themselves."""
    parts = {"*": ".*", "?": "."}
    flags = re.DOTALL | (re.IGNORECASE if pattern.lower().startswith("iot:") else 0)
    tokens = re.findall(r"\$\{[*?$]\}|.", pattern, re.DOTALL)
    return re.compile("".join(parts.get(each, re.escape(each[2] if len(each) > 1 else each)) for each in tokens), flags)


_ESCAPES = {"${*}": "\ue010", "${?}": "\ue011", "${$}": "\ue012"}
_SYMBOL = "[^*\ue000-\uf8ff]"


def covers(wide: str, narrow: str) -> bool:
    """Check that whatever one pattern matches, for any device, the other matches too. False: it cannot be shown.

    Variables are symbols that match themselves and `*`. A client id stands for the thing's name where the name has a
    value, because they are then equal; not the reverse.
    """
    names: dict[str, str] = {}

    def symbols(pattern: str) -> str:
        for text, symbol in _ESCAPES.items():
            pattern = pattern.replace(text, symbol)
        pattern = pattern.replace(THING, "\ue000").replace(CLIENT, "\ue001")
        return re.sub(r"\$\{[^}]*\}", lambda found: names.setdefault(found[0], chr(0xE100 + len(names))), pattern)

    parts = {"*": ".*", "?": _SYMBOL, "\ue001": "[\ue000\ue001]"}
    expression = "".join(parts.get(each, re.escape(each)) for each in symbols(wide))
    return re.fullmatch(expression, symbols(narrow), re.DOTALL) is not None
