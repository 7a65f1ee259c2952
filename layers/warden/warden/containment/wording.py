"""What people read about how a device's session was closed."""

from __future__ import annotations

from warden.core.ports import Disconnection

_OPEN = "a session that is open continues under its new policies"
_NOT_OFFERED = (
    "could not be disconnected: AWS did not take DeleteConnection, which a local AWS and some regions lack ({})"
)

WORDS = {
    Disconnection.DISCONNECTED: "disconnected",
    Disconnection.NOT_CONNECTED: "was not connected",
    Disconnection.SWITCHED_OFF: "disconnecting is switched off in this deployment",
    Disconnection.FORBIDDEN: f"could not be disconnected, as AWS IoT forbids the call (forbidden); {_OPEN}",
    **{
        each: f"{_NOT_OFFERED.format(each)}; {_OPEN}"
        for each in (Disconnection.INVALID_REQUEST, Disconnection.NO_SUCH_METHOD, Disconnection.UNSUPPORTED)
    },
}
