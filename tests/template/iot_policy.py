"""What AWS IoT says of a device's request: Allow adds up, an explicit Deny wins, variables are the device's own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from tests.template.transformed import listed


def admits(documents: Iterable[Mapping[str, Any]], action: str, resource: str, thing: str) -> bool:
    """Check whether a device connected as a thing may do something to a resource, given all its policies."""
    verdicts = {
        statement["Effect"]
        for document in documents
        for statement in listed(document["Statement"])
        if _matches_one(listed(statement["Action"]), action)
        and _matches_one([_own(pattern, thing) for pattern in listed(statement["Resource"])], resource)
    }
    return verdicts == {"Allow"}


def _own(pattern: str, thing: str) -> str:
    # AWS IoT takes what a variable stands for literally: a thing's name brings no wildcard along (it can hold none).
    return pattern.replace("${iot:Connection.Thing.ThingName}", thing).replace("${iot:ClientId}", thing)


def _matches_one(patterns: Iterable[str], text: str) -> bool:
    return any(_matches(pattern, text) for pattern in patterns)


def _matches(pattern: str, text: str) -> bool:
    return _compiled(pattern).fullmatch(text) is not None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    # `*` and `?` are IAM's; MQTT's own `+` and `#` are plain characters here.
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(each, re.escape(each)) for each in pattern), re.DOTALL)
