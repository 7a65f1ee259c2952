"""What AWS IoT's policies let a device do: Allow adds up, an explicit Deny wins, variables are the device's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

_OF_THE_THING = "${iot:Connection.Thing."


@dataclass(frozen=True)
class Session:
    """Who is connected: the client id, which is the thing's name or is not."""

    client_id: str
    thing: str

    def resolved(self, pattern: str) -> str | None:
        """Fill in the variables; None where one has no value, as AWS IoT takes the thing from the client id."""
        if _OF_THE_THING in pattern and self.client_id != self.thing:
            return None
        filled = pattern.replace("${iot:Connection.Thing.ThingName}", self.thing)
        return filled.replace("${iot:ClientId}", self.client_id)


def admits(documents: Iterable[Mapping[str, Any]], action: str, resource: str, session: Session) -> bool:
    """Whether all policies of a device together let it do something. Conditions are taken for met."""
    effects = {
        str(statement["Effect"])
        for document in documents
        for statement in _listed(document["Statement"])
        if _matches_one(_listed(statement.get("Action")), action)
        and _matches_one([session.resolved(each) for each in _listed(statement.get("Resource"))], resource)
    }
    return effects == {"Allow"}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _matches_one(patterns: Iterable[str | None], text: str) -> bool:
    return any(_compiled(each).fullmatch(text) for each in patterns if each is not None)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # `*` and `?` are the wildcards here; MQTT's `+` and `#` are letters like others. Actions have no case.
    parts = {"*": ".*", "?": "."}
    flags = re.DOTALL | (re.IGNORECASE if pattern.lower().startswith("iot:") else 0)
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), flags)
