"""The actions. To add one: write its module, name it here and in `plan.ACTIONS`, add its permissions to the role."""

from __future__ import annotations

from collections.abc import Iterable

from warden.respond.actions import (
    collect_logs,
    deactivate_certificate,
    disconnect,
    quarantine,
    renew_certificate,
    rotate_certificate,
)
from warden.respond.actions.action import Action

TOUCHING: dict[str, Action] = {
    module.ACTION.name: module.ACTION
    for module in (
        quarantine,
        disconnect,
        collect_logs,
        rotate_certificate,
        renew_certificate,
        deactivate_certificate,
    )
}
"""Every action but `notify`, which touches no device: it is the notice that follows each change of state."""


def are_counted(names: Iterable[str]) -> bool:
    """Tell whether any of these actions uses up the governor's limits; `notify` does not."""
    return any(TOUCHING[name].is_counted for name in names if name in TOUCHING)
