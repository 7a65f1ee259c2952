"""The words in which people read what became of a device's session."""

from __future__ import annotations

from warden.core.ports import Disconnection

_CANNOT = "could not be disconnected ({}), its session goes on under the policies of now"

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
