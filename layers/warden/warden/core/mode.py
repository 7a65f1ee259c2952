"""The modes: each rule of the plan has one, and the deployment sets an upper bound for all."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How much the service does without being asked."""

    OBSERVE = "observe"
    APPROVE = "approve"
    ENFORCE = "enforce"

    def within(self, ceiling: Mode) -> Mode:
        """Return the more careful of the two modes."""
        order = list(Mode)
        return min(self, ceiling, key=order.index)
