"""The actions. To add one: write its module, name it here and in `plan.ACTIONS`, add its permissions to the role."""

from __future__ import annotations

from warden.action import Action
from warden.actions import (
    collect_logs,
    deactivate_certificate,
    disconnect,
    quarantine,
    renew_certificate,
    rotate_certificate,
)

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
