"""What CloudFormation answers about the drift of a stack, and Cloud Control API about a change to a resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class ResourceStatus(StrEnum):
    """Whether a resource is as its stack made it."""

    IN_SYNC = "in-sync"
    MODIFIED = "modified"
    DELETED = "deleted"
    NOT_CHECKED = "not-checked"
    """CloudFormation does not compare this type, or could not: never the same as in sync."""


@dataclass(frozen=True)
class Detection:
    """A detection of drift: when it began, and whether it is over."""

    began: datetime
    is_over: bool


@dataclass(frozen=True, kw_only=True)
class PropertyDrift:
    """A property that differs: its path, which is a JSON pointer, and both values as CloudFormation writes them."""

    path: str
    expected: str
    found: str


@dataclass(frozen=True, kw_only=True)
class ResourceDrift:
    """A resource of a stack. `name` is the template's, `id` is AWS's; `reason` is why it was not checked."""

    name: str
    type: str
    id: str = ""
    status: ResourceStatus
    reason: str = ""
    differences: Sequence[PropertyDrift] = ()
    expected: Mapping[str, Any] = field(default_factory=dict)
    actual: Mapping[str, Any] = field(default_factory=dict)


class UpdateState(StrEnum):
    """The progress of a change by Cloud Control API."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Update:
    """A change to a resource: its request at Cloud Control API, its progress, and why it failed."""

    request: str
    state: UpdateState
    why: str = ""
