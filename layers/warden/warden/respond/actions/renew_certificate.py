"""Renew the certificate: enrol the device in the campaign, which asks it when its turn comes.

Nothing is touched now, so nothing is counted now: a campaign has its own budget, window and steps. An audit that
finds ten thousand certificates about to expire fills a campaign, but delays no other case.
"""

from __future__ import annotations

from warden.campaigns.enrolment import PortsToEnrol, enrol
from warden.cases.model import Case, Outcome
from warden.context import Context
from warden.devices.device_view import DeviceView
from warden.plan.actions import RENEW_CERTIFICATE
from warden.respond.actions.action import Action


def renew_certificate(case: Case, context: Context[PortsToEnrol], _view: DeviceView | None = None) -> Outcome:
    """Enrol the case's device.

    Raises:
        ActionFailed: when the device is contained or in another rotation, or had its turn in this campaign.
    """
    return enrol(case, context)


ACTION = Action(
    name=RENEW_CERTIFICATE, run=renew_certificate, permissions=("iot:DescribeThing", "iot:ListThingGroupsForThing")
)
