"""The actions that a plan may name: one row each, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from warden.core.actions import QUARANTINE

DISCONNECT = "disconnect"
COLLECT_LOGS = "collect-logs"
ROTATE_CERTIFICATE = "rotate-certificate"
RENEW_CERTIFICATE = "renew-certificate"
DEACTIVATE_CERTIFICATE = "deactivate-certificate"
NOTIFY = "notify"


@dataclass(frozen=True, kw_only=True)
class ActionTerms:
    """What the limits need to know about an action. An action that is not counted touches no device itself."""

    is_counted: bool = True


ACTIONS: Mapping[str, ActionTerms] = {
    QUARANTINE: ActionTerms(),
    DISCONNECT: ActionTerms(),
    COLLECT_LOGS: ActionTerms(),
    ROTATE_CERTIFICATE: ActionTerms(),
    RENEW_CERTIFICATE: ActionTerms(is_counted=False),
    DEACTIVATE_CERTIFICATE: ActionTerms(),
    NOTIFY: ActionTerms(is_counted=False),
}
"""The names that a plan may use. Actions run in this order, not in the plan's.

Each except `notify` has a module of that name in `respond/actions`.
"""

TOUCHING = tuple(name for name in ACTIONS if name != NOTIFY)
"""Every action except `notify`, which touches no device: it is the notice after each change of state."""


def are_counted(names: Iterable[str]) -> bool:
    """Check whether any of these actions counts against the governor's limits."""
    return any(ACTIONS[name].is_counted for name in names if name in ACTIONS)
