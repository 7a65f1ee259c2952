"""Disconnect: close the device's MQTT session, so that it reconnects under its current policies."""

from __future__ import annotations

from warden.cases.model import Case, Outcome, Progress
from warden.containment.wording import WORDS
from warden.context import Context
from warden.core.ports import Disconnection, HasConnections
from warden.devices.device_view import DeviceView
from warden.plan.actions import DISCONNECT
from warden.respond.actions.action import Action


def disconnect(case: Case, context: Context[HasConnections], _view: DeviceView | None = None) -> Outcome:
    """Close the session of the case's thing (its client id is the thing's name)."""
    result = Disconnection.SWITCHED_OFF
    if context.settings.disconnect:
        result = context.ports.connections.disconnect(case.thing)
    return Outcome(Progress.DONE, WORDS[result])


ACTION = Action(name=DISCONNECT, run=disconnect, permissions=("iot:DeleteConnection",))
