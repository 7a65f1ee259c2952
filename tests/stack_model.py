"""A deployed stack as CloudFormation compares it, and as Cloud Control API changes it: for the fakes and the stand-in.

[DRIFT] docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
[API] the API references of CloudFormation and of Cloud Control API
[CCAPI] docs.aws.amazon.com/cloudcontrolapi/latest/userguide/resource-operations-update.html
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warden.core.drift import PropertyDrift, ResourceDrift, ResourceStatus


class StackRefusal(Exception):  # noqa: N818 - what AWS answers, not a fault of the program
    """What CloudFormation or Cloud Control API answers instead of doing it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(kw_only=True)
class Deployed:
    """A resource of a stack: what the template set, and what the account has; None where it was deleted.

    `unsupported` types are not among the answers about drift [API]. `unknown` is why this one could not be compared.
    `stale` ones failed in the last detection, and have the answer of an earlier one.
    """

    name: str
    type: str
    id: str
    expected: dict[str, Any] = field(default_factory=dict)
    actual: dict[str, Any] | None = field(default_factory=dict)
    unsupported: bool = False
    unknown: str = ""
    stale: bool = False

    def drift(self) -> ResourceDrift:
        """Compare it: only properties that the template sets count [DRIFT]."""
        asked: dict[str, Any] = {"name": self.name, "type": self.type, "id": self.id}
        if self.unknown:
            return ResourceDrift(**asked, status=ResourceStatus.NOT_CHECKED, reason=self.unknown)
        if self.actual is None:
            return ResourceDrift(**asked, status=ResourceStatus.DELETED)
        found = tuple(_differences("", self.expected, self.actual))
        status = ResourceStatus.MODIFIED if found else ResourceStatus.IN_SYNC
        expected, actual = copy.deepcopy(self.expected), copy.deepcopy(self.actual)
        return ResourceDrift(**asked, status=status, differences=found, expected=expected, actual=actual)


def kind_of(difference: PropertyDrift) -> str:
    """Return CloudFormation's word for a difference [API PropertyDifference]."""
    if difference.found == "null":
        return "REMOVE"
    return "ADD" if difference.expected == "null" else "NOT_EQUAL"


def _differences(path: str, expected: Any, actual: Any) -> Iterator[PropertyDrift]:
    if isinstance(expected, Mapping) and isinstance(actual, Mapping):
        for name, value in expected.items():
            yield from _differences(f"{path}/{name}", value, actual.get(name))
    elif isinstance(expected, list) and isinstance(actual, list):
        missing = ((index, _text(each), "null") for index, each in enumerate(expected) if each not in actual)
        added = ((index, "null", _text(each)) for index, each in enumerate(actual) if each not in expected)
        for index, wanted, found in (*missing, *added):
            yield PropertyDrift(path=f"{path}/{index}", expected=wanted, found=found)
    elif expected != actual:
        yield PropertyDrift(path=path, expected=_text(expected), found=_text(actual))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def patched(document: Mapping[str, Any], patch: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply a JSON patch (RFC 6902) with the operations test, replace and add; all of it or nothing [CCAPI].

    Raises:
        StackRefusal: when an operation is not valid, or a test fails.
    """
    made: dict[str, Any] = copy.deepcopy(dict(document))
    for each in patch:
        *parents, last = each["path"].removeprefix("/").split("/")
        inside: Any = made
        for name in parents:
            inside = inside.get(name) if isinstance(inside, dict) else None
        if isinstance(inside, list) and each["op"] == "add" and last == "-":
            inside.append(each["value"])
        elif not isinstance(inside, dict) or (each["op"] != "add" and last not in inside):
            raise StackRefusal("InvalidRequestException", f"there is no {each['path']}")
        elif each["op"] == "test" and inside[last] != each["value"]:
            raise StackRefusal("InvalidRequestException", f"the test of {each['path']} failed")
        elif each["op"] in ("replace", "add"):
            inside[last] = each["value"]
    return made


@dataclass
class Stacks:
    """The stacks of an account with their detections, and the changes to their resources."""

    resources: dict[str, list[Deployed]] = field(default_factory=dict)
    busy: bool = False
    """A stack that is being deployed cannot be compared [DRIFT: the statuses of a stack]."""
    comparing: bool = False
    """Whether detections are still under way."""
    detections: dict[str, datetime] = field(default_factory=dict)
    updating: bool = False
    """Whether changes are still under way."""
    refuses: str = ""
    """Why a handler refuses every change."""
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The changes that were asked for, by their token of idempotency."""

    def begin(self, stack: str, now: datetime) -> str:
        """Begin a detection; one at a time [API DetectStackDrift; that a second is refused is unverified]."""
        self._stack(stack)
        if self.busy or self.comparing:
            raise StackRefusal("ValidationError", f"Drift detection cannot be performed on stack {stack} now")
        detection = f"0a1b2c3d-0000-4000-8000-{len(self.detections):012}"
        self.detections[detection] = now
        return detection

    def began(self, detection: str) -> datetime:
        """Return when a detection began."""
        if detection not in self.detections:
            raise StackRefusal("ValidationError", "there is no such detection")
        return self.detections[detection]

    def failed(self) -> bool:
        """Check whether the comparison of a resource failed: then the detection did, too [API]."""
        return any(each.unknown or each.stale for resources in self.resources.values() for each in resources)

    def listed(self, stack: str) -> list[Deployed]:
        """List a stack's resources."""
        return self._stack(stack)

    def compared(self, stack: str, name: str) -> Deployed:
        """Find the resource that is to be compared at once."""
        for each in self._stack(stack):
            if each.name == name and not each.unsupported and not self.busy:
                return each
        raise StackRefusal("ValidationError", f"{name} cannot be compared")

    def _stack(self, stack: str) -> list[Deployed]:
        if stack not in self.resources:
            raise StackRefusal("ValidationError", f"Stack [{stack}] does not exist")
        return self.resources[stack]

    def update(self, kind: str, name: str, patch: str, once: str) -> dict[str, Any]:
        """Begin a change: the same token again is the same change, and other contents conflict with it [API]."""
        asked = (kind, name, patch)
        if once in self.requests:
            if self.requests[once]["asked"] != asked:
                raise StackRefusal("ClientTokenConflictException", "the token was used for another request")
            return self.requests[once]
        for each in (each for resources in self.resources.values() for each in resources):
            if (each.type, each.id) == (kind, name) and each.actual is not None:
                patched(each.actual, json.loads(patch))
                self.requests[once] = {"asked": asked, "request": f"request-{len(self.requests)}", "applied": False}
                return self.requests[once]
        raise StackRefusal("ResourceNotFoundException", f"there is no {kind} {name}")

    def progress(self, request: str) -> str:
        """Return the progress of a change; apply it once its time is over."""
        for each in self.requests.values():
            if each["request"] == request:
                if self.refuses:
                    return "FAILED"
                if self.updating:
                    return "IN_PROGRESS"
                self._apply(each)
                return "SUCCESS"
        raise StackRefusal("RequestTokenNotFoundException", "there is no such request")

    def _apply(self, change: dict[str, Any]) -> None:
        kind, name, patch = change["asked"]
        for each in (each for resources in self.resources.values() for each in resources):
            if (each.type, each.id) == (kind, name) and each.actual is not None and not change["applied"]:
                each.actual, change["applied"] = patched(each.actual, json.loads(patch)), True
