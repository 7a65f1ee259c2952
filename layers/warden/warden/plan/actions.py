"""The actions that a plan may name."""

from __future__ import annotations

QUARANTINE = "quarantine"
DISCONNECT = "disconnect"
COLLECT_LOGS = "collect-logs"
ROTATE_CERTIFICATE = "rotate-certificate"
RENEW_CERTIFICATE = "renew-certificate"
DEACTIVATE_CERTIFICATE = "deactivate-certificate"
NOTIFY = "notify"

ACTIONS = (
    QUARANTINE,
    DISCONNECT,
    COLLECT_LOGS,
    ROTATE_CERTIFICATE,
    RENEW_CERTIFICATE,
    DEACTIVATE_CERTIFICATE,
    NOTIFY,
)
"""The words a plan may use, in the order they are carried out whatever order the plan names them in."""
