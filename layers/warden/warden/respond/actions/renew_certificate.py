"""Renew the certificate: give the device its place in the campaign, which asks it when its turn comes.

Nothing is touched now, so nothing is counted now: a campaign has a budget, a window and steps of its own. An audit
that finds ten thousand certificates about to expire fills a campaign, and holds nobody up.
"""

from __future__ import annotations

from warden.campaigns.enrolment import enrol
from warden.plan.actions import RENEW_CERTIFICATE
from warden.respond.actions.action import Action

ACTION = Action(name=RENEW_CERTIFICATE, run=enrol, permissions=(), is_counted=False)
