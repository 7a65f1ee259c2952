"""The words for people of how a device's session was closed."""

from __future__ import annotations

from warden.core.ports import Disconnection

_CANNOT = "could not be disconnected ({}); its session continues under its new policies"

WORDS = {
    Disconnection.DISCONNECTED: "disconnected",
    Disconnection.NOT_CONNECTED: "was not connected",
    Disconnection.SWITCHED_OFF: "disconnecting is switched off in this deployment",
    **{
        each: _CANNOT.format(each)
        for each in (
            Disconnection.INVALID_REQUEST,
            Disconnection.FORBIDDEN,
            Disconnection.NO_SUCH_METHOD,
            Disconnection.UNSUPPORTED,
        )
    },
}
