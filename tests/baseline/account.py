"""The settings of one account in one region, as far as the baseline touches them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.baseline.evaluation import Place


class HandlerError(Exception):
    """Raised when a handler refuses."""


@dataclass
class Audit:
    """What DescribeAccountAuditConfiguration answers. An untouched account has no role and no check enabled."""

    role: str = ""
    enabled: set[str] = field(default_factory=set)
    thresholds: dict[str, str] = field(default_factory=dict)
    target: dict[str, Any] = field(default_factory=dict)

    def tells(self) -> str:
        """Return the topic that is told; empty when nobody is."""
        return str(self.target["TargetArn"]) if self.target.get("Enabled") else ""


@dataclass
class LoggingOptions:
    """What GetV2LoggingOptions answers."""

    role: str = ""
    level: str = ""
    events: dict[str, tuple[str, str]] = field(default_factory=dict)
    disabled: bool = False


@dataclass
class Account:
    """One account in one region."""

    place: Place = field(default_factory=Place)
    detect_is_open: bool = True
    audit: Audit = field(default_factory=Audit)
    logging: LoggingOptions | None = None
    scheduled: dict[str, list[str]] = field(default_factory=dict)
    profiles: dict[str, dict[str, Any]] = field(default_factory=dict)
    metrics: set[str] = field(default_factory=set)
    detectors: dict[str, dict[str, str]] = field(default_factory=dict)
    analyzers: dict[str, str] = field(default_factory=dict)
    trails: dict[str, dict[str, Any]] = field(default_factory=dict)
    things_made: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Everything else by its identifier: roles, topics, groups, keys, buckets, policies."""
    files: dict[str, int] = field(default_factory=dict)
    """How many objects a bucket holds."""
    calls: list[tuple[str, str]] = field(default_factory=list)
    """What the handlers were asked: create, update or delete, and the type."""

    def settings(self) -> dict[str, Any]:
        """Return a copy of all that is set, to compare with later."""
        left_out = ("calls", "place")
        return copy.deepcopy({name: value for name, value in vars(self).items() if name not in left_out})

    def audit_runs(self) -> set[str]:
        """Name the checks that a schedule runs and a readable account lets run."""
        planned = {check for checks in self.scheduled.values() for check in checks}
        return planned & self.audit.enabled if self.audit.role in self.things_made else set()

    def update_audit(self, role: str, checks: Mapping[str, bool], target: Mapping[str, Any] | None) -> None:
        """Do what UpdateAccountAuditConfiguration does: change what is named, leave the rest.

        [API] A check that any scheduled audit names cannot be disabled; the first call needs a role and a check.
        """
        planned = {check for each in self.scheduled.values() for check in each}
        enabled = (self.audit.enabled | {check for check, on in checks.items() if on}) - {
            check for check, on in checks.items() if not on
        }
        if needed := (planned & self.audit.enabled) - enabled:
            raise HandlerError(f"InvalidRequest: a scheduled audit uses {sorted(needed)}")
        if not self.audit.role and not (role and enabled):
            raise HandlerError("InvalidRequest: a role and at least one enabled check are needed")
        self.audit.role, self.audit.enabled = role, enabled
        if target is not None:
            self.audit.target = dict(target)
