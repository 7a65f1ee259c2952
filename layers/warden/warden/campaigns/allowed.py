"""What a campaign's state allows. The service checks it; `campaign`, notices and the report list the decisions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from warden.campaigns.records import Campaign, CampaignState
from warden.context import Context
from warden.core.errors import Refused
from warden.core.mode import Mode
from warden.core.ports import HasLedger


class CampaignDecision(StrEnum):
    """The decisions that an operator may make about the open campaign."""

    START = "start"
    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"


ALLOWED: Mapping[CampaignState, Sequence[CampaignDecision]] = {
    CampaignState.AWAITING_APPROVAL: (CampaignDecision.START, CampaignDecision.CANCEL),
    CampaignState.RUNNING: (CampaignDecision.PAUSE, CampaignDecision.CANCEL),
    CampaignState.PAUSED: (CampaignDecision.RESUME, CampaignDecision.CANCEL),
    CampaignState.STOPPED: (CampaignDecision.RESUME, CampaignDecision.CANCEL),
    CampaignState.FINISHED: (),
    CampaignState.CANCELLED: (),
}

LEADS_TO = {
    CampaignDecision.START: CampaignState.RUNNING,
    CampaignDecision.PAUSE: CampaignState.PAUSED,
    CampaignDecision.RESUME: CampaignState.RUNNING,
    CampaignDecision.CANCEL: CampaignState.CANCELLED,
}


def mode_of_campaigns(context: Context[HasLedger]) -> Mode:
    """Return the mode of campaigns: the plan's, limited by the stack's."""
    return context.plan.campaign_mode.within(context.settings.mode)


def allowed(campaign: Campaign, mode: Mode) -> list[CampaignDecision]:
    """List the decisions that can be made about a campaign on a stack of this mode."""
    return [decision for decision in ALLOWED[campaign.state] if refusal_of(decision, campaign, mode) is None]


def refusal_of(decision: CampaignDecision, campaign: Campaign, mode: Mode) -> Refused | None:
    """Return why a decision cannot be made about a campaign; None when it can."""
    if decision not in ALLOWED[campaign.state]:
        states = " or ".join(state for state, decisions in ALLOWED.items() if decision in decisions)
        return Refused(
            "wrong-state", f"campaign {campaign.id} is {campaign.state}; `{decision}` is for one that is {states}"
        )
    if LEADS_TO[decision] is CampaignState.RUNNING and mode is Mode.OBSERVE:
        return Refused(
            "observe-only",
            "campaigns are in observe mode, which touches nothing; deploy with Mode=approve first, and without "
            'mode = "observe" in the plan\'s [rotation]',
        )
    return None
