"""The modes: the plan gives each rule one, and the deployment sets the most that any may have."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How far the service goes by itself."""

    OBSERVE = "observe"
    APPROVE = "approve"
    ENFORCE = "enforce"

    def within(self, ceiling: Mode) -> Mode:
        """Tell the more careful of the two."""
        order = list(Mode)
        return min(self, ceiling, key=order.index)
