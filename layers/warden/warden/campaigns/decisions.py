"""The decisions of operators about a campaign: start it, pause it, resume it, cancel it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from warden.campaigns.allowed import LEADS_TO, CampaignDecision, allowed, mode_of_campaigns, refusal_of
from warden.campaigns.records import (
    Campaign,
    CampaignState,
    MemberResult,
    Tally,
    batch_from,
    open_batches_of,
    open_campaign,
    read_campaign,
    save_campaign,
)
from warden.context import Context
from warden.core.clock import to_text
from warden.core.errors import Refused
from warden.core.ledger import Index, retry_on_conflict


@dataclass(frozen=True, kw_only=True)
class CampaignOrder:
    """A decision and who made it: `who` is the ARN that AWS authenticated, `request` the id of the call."""

    decision: CampaignDecision
    campaign: str
    who: str
    why: str
    request: str


def check_campaign_decision(decision: CampaignDecision, context: Context) -> Campaign:
    """Check whether a decision can be carried out now; return the campaign.

    Raises:
        Refused: with the reason.
    """
    campaign = open_campaign(context.ports.ledger)
    if campaign is None:
        raise Refused("no-campaign", "no campaign is open; the sweep of certificates opens one when any are due")
    if refusal := refusal_of(decision, campaign, mode_of_campaigns(context)):
        raise refusal
    return campaign


def carry_out_on_campaign(order: CampaignOrder, context: Context) -> None:
    """Carry out a decision; a repetition changes nothing. Cancelling withdraws the jobs that wait."""
    campaign = retry_on_conflict(partial(_carry_out_once, order, context))
    if campaign.state is CampaignState.CANCELLED:
        for _, record in context.ports.ledger.find(Index.DUE, open_batches_of(campaign.id)):
            context.ports.jobs.withdraw(batch_from(record).job_id)


def _carry_out_once(order: CampaignOrder, context: Context) -> Campaign:
    campaign = read_campaign(context.ports.ledger)
    if campaign is not None and order.request in campaign.requests:
        return campaign
    campaign = check_campaign_decision(order.decision, context)
    if campaign.id != order.campaign:
        raise Refused("wrong-state", f"campaign {order.campaign} is over; the order was not for {campaign.id}")
    taken = replace(
        campaign,
        state=LEADS_TO[order.decision],
        who=order.who,
        why=order.why,
        requests=(*campaign.requests, order.request),
        next_at=context.now(),
    )
    if order.decision is CampaignDecision.RESUME:
        taken = replace(taken, of_step=Tally())  # the operator who resumes has looked at the failures
    return save_campaign(context.ports.ledger, taken)


def campaign_summary(campaign: Campaign, context: Context) -> dict[str, Any]:
    """Return a campaign in plain values, for the command and for programs."""
    counts: Mapping[str, int] = vars(campaign.in_all)
    return {
        "campaign": campaign.id,
        "state": campaign.state,
        "step": campaign.step + 1,
        "stepSize": campaign.step_size(context.plan.rotation),
        "began": to_text(campaign.began_at),
        "enrolled": campaign.size,
        "waiting": campaign.waiting,
        "sent": campaign.out,
        **{name: count for name, count in counts.items() if name != MemberResult.ABSENT},
        "jobs": campaign.batches,
        "devicesPerDay": context.plan.rotation.devices_per_day,
        "roomToday": context.governor.room_for_campaign(context.now()),
        "who": campaign.who,
        "why": campaign.why,
        "allowed": allowed(campaign, mode_of_campaigns(context)),
    }
