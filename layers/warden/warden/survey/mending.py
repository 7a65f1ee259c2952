"""The drift that the service may change back by itself: only a switch that was deployed as on and is now off.

A check that was disabled, a log level that was lowered, an audit that runs less often. Never a policy, a role, a key, a
topic, a bucket, a trail or a target: somebody changed those on purpose, or is an attacker, and people decide (decision
25). A stronger value than was deployed stays, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warden.core.drift import ResourceDrift

type Patch = Sequence[Mapping[str, Any]]
"""A JSON patch (RFC 6902). It tests the value that was found, so what has changed since is left alone."""

_LEVELS = ("DISABLED", "ERROR", "WARN", "INFO", "DEBUG")


@dataclass(frozen=True, kw_only=True)
class Return:
    """A property that may be changed back: its JSON pointer, how, and both values."""

    path: str
    patch: Patch
    found: Any
    expected: Any


def returns_of(resource: ResourceDrift) -> Iterator[Return]:
    """List the properties of a resource that may be changed back, each once."""
    seen = set[str]()
    for each in resource.differences:
        for pattern, rule in _RULES.get(resource.type, {}).items():
            if matched := re.fullmatch(pattern, each.path):
                path = matched[1]
                found, expected = _at(resource.actual, path), _at(resource.expected, path)
                patch = rule(path, expected, found)
                if patch and path not in seen:
                    seen.add(path)
                    yield Return(path=path, patch=patch, found=found, expected=expected)


def rank_of(kind: str) -> int:
    """Return when a type has its turn: a check must be enabled before an audit can be scheduled with it."""
    return [*_RULES].index(kind)


def event_of(kind: str) -> str:
    """Return the event of CloudTrail by which a resource of a type is changed; empty if none may be changed back."""
    return _EVENTS.get(kind, "")


def _at(properties: Any, path: str) -> Any:
    """Return the value under a JSON pointer; None if there is none."""
    for name in path.removeprefix("/").split("/"):
        properties = properties.get(name) if isinstance(properties, Mapping) else None
    return properties


def _switched_on(path: str, expected: Any, found: Any) -> Patch:
    if expected is not True or found is True:
        return ()
    return _replaced(path, found=found, back_to=True)


def _raised(path: str, expected: Any, found: Any) -> Patch:
    if expected not in _LEVELS or found not in _LEVELS or _LEVELS.index(found) >= _LEVELS.index(expected):
        return ()
    return _replaced(path, found=found, back_to=expected)


def _daily(path: str, expected: Any, found: Any) -> Patch:
    return _replaced(path, found=found, back_to=expected) if expected == "DAILY" and isinstance(found, str) else ()


def _scheduled_again(path: str, expected: Any, found: Any) -> Patch:
    """Add the checks that are missing; those that somebody added stay."""
    if not isinstance(expected, list) or not isinstance(found, list):
        return ()
    return tuple({"op": "add", "path": f"{path}/-", "value": each} for each in expected if each not in found)


def _replaced(path: str, *, found: Any, back_to: Any) -> Patch:
    if found is None:  # JSON patch cannot test that there is nothing
        return ({"op": "add", "path": path, "value": back_to},)
    return ({"op": "test", "path": path, "value": found}, {"op": "replace", "path": path, "value": back_to})


_RULES: Mapping[str, Mapping[str, Callable[[str, Any, Any], Patch]]] = {
    "AWS::IoT::AccountAuditConfiguration": {
        r"(/AuditCheckConfigurations/\w+/Enabled)": _switched_on,
        r"(/AuditNotificationTargetConfigurations/Sns/Enabled)": _switched_on,
    },
    "AWS::IoT::ScheduledAudit": {r"(/Frequency)": _daily, r"(/TargetCheckNames)/\d+": _scheduled_again},
    "AWS::IoT::Logging": {r"(/DefaultLogLevel)": _raised},
}
"""By type: a pattern of CloudFormation's paths, the property in its group, and the rule for it.

Their physical ids are the primary identifiers that Cloud Control API asks for (primaryIdentifier of their schemas).
"""

_EVENTS = {
    "AWS::IoT::AccountAuditConfiguration": "UpdateAccountAuditConfiguration",
    "AWS::IoT::ScheduledAudit": "UpdateScheduledAudit",
    "AWS::IoT::Logging": "SetV2LoggingOptions",
}
