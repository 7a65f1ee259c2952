"""What a campaign's state allows: the service's refusal, `campaign` and the notice say the same of every campaign."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.campaigns.test_campaigns import a_campaign
from warden.campaigns.allowed import ALLOWED, LEADS_TO, CampaignDecision, allowed, refusal_of
from warden.campaigns.decisions import check_campaign_decision
from warden.campaigns.notices import notify_of
from warden.campaigns.records import Campaign, CampaignState, read_campaign, save_campaign
from warden.context import Context
from warden.core.errors import Refused
from warden.core.mode import Mode

_TOLD = (CampaignState.AWAITING_APPROVAL, CampaignState.STOPPED, CampaignState.FINISHED)


def test_every_state_has_a_row_and_every_decision_is_allowed_somewhere_and_leads_somewhere() -> None:
    assert set(ALLOWED) == set(CampaignState)
    assert {decision for decisions in ALLOWED.values() for decision in decisions} == set(CampaignDecision)
    assert set(LEADS_TO) == set(CampaignDecision)


def test_a_decision_leads_out_of_the_state_that_allows_it() -> None:
    assert not [state for state, decisions in ALLOWED.items() if state in {LEADS_TO[each] for each in decisions}]


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.ENFORCE])
@pytest.mark.parametrize("state", CampaignState)
def test_the_refusal_the_command_and_the_notice_agree(state: CampaignState, mode: Mode) -> None:
    world = a_campaign(3)
    world.context = replace(world.context, settings=replace(world.context.settings, mode=mode))
    current = read_campaign(world.ledger)
    assert current is not None
    campaign = save_campaign(world.ledger, replace(current, state=state, announced_states=()))

    shown = world.order("campaign")["campaign"]["allowed"]

    assert shown == allowed(campaign, mode)
    for decision in CampaignDecision:
        assert (decision in shown) == _is_accepted(decision, world.context)
    if state in _TOLD:
        notify_of(campaign, world.context)
        said = world.notices.sent[-1].body.partition("What to do next\n")[2]
        named = [each for each in CampaignDecision if f"warden campaign {each}\n" in said]
        assert named == shown


def _is_accepted(decision: CampaignDecision, context: Context) -> bool:
    try:
        check_campaign_decision(decision, context)
    except Refused:
        return False
    return True


def test_a_refusal_says_why() -> None:
    world = a_campaign(3)
    campaign = read_campaign(world.ledger)
    assert isinstance(campaign, Campaign)

    running = replace(campaign, state=CampaignState.RUNNING)
    waiting = replace(campaign, state=CampaignState.AWAITING_APPROVAL)
    refusals = [
        refusal_of(CampaignDecision.START, running, Mode.ENFORCE),
        refusal_of(CampaignDecision.START, waiting, Mode.OBSERVE),
        refusal_of(CampaignDecision.CANCEL, waiting, Mode.OBSERVE),
    ]

    assert [refusal and refusal.code for refusal in refusals] == ["wrong-state", "observe-only", None]
