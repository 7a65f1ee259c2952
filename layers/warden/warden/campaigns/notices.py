"""Notices of a campaign: when it waits for approval, when it stops, and when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice

from warden.campaigns.allowed import CampaignDecision, allowed, mode_of_campaigns
from warden.campaigns.records import Campaign, CampaignState, MemberResult, read_batch, read_campaign, save_campaign
from warden.context import Context
from warden.core.ledger import retry_on_conflict
from warden.core.mode import Mode
from warden.notify.case_notices import plain

_TOLD = (CampaignState.AWAITING_APPROVAL, CampaignState.STOPPED, CampaignState.FINISHED)
_NAMED = 20
_BATCHES_LOOKED_AT = 10


def notify_of(campaign: Campaign, context: Context) -> None:
    """Send a notice of the campaign's state, once each time it enters the state.

    Raises:
        NotSent: when the notice could not be sent; it is sent again later.
    """
    if campaign.state not in _TOLD or campaign.standing in campaign.announced_states:
        return
    context.ports.notices.send(_subject(campaign), _body(campaign, context))
    retry_on_conflict(partial(_mark_announced, campaign.standing, context))


def _mark_announced(standing: str, context: Context) -> None:
    campaign = read_campaign(context.ports.ledger)
    if campaign is not None and standing not in campaign.announced_states:
        save_campaign(context.ports.ledger, replace(campaign, announced_states=(*campaign.announced_states, standing)))


_HEADLINES = {
    CampaignState.AWAITING_APPROVAL: "APPROVAL NEEDED",
    CampaignState.STOPPED: "STOPPED, decide",
    CampaignState.FINISHED: "finished",
}


def _subject(campaign: Campaign) -> str:
    headline = f"Fleet Warden: certificate campaign {_HEADLINES[campaign.state]}"
    if campaign.state is CampaignState.AWAITING_APPROVAL:
        return f"{headline}: {campaign.size} to be renewed so far"
    return f"{headline}: {campaign.in_all.done} of {campaign.size} renewed"


def _body(campaign: Campaign, context: Context) -> str:
    tally = campaign.in_all
    paragraphs = [
        [_situation(campaign)],
        [
            f"  {campaign.size:>9,}  devices were enrolled",
            f"  {tally.done:>9,}  have a new certificate, and their old one is INACTIVE",
            f"  {tally.failed:>9,}  failed and are on their old certificate",
            f"  {tally.unreachable:>9,}  were not reached; the next sweep finds them again",
            f"  {tally.skipped:>9,}  were left out: gone, contained, or in another rotation",
            f"  {campaign.waiting + campaign.out:>9,}  are waiting or under way",
        ],
        _failed(campaign, context),
        ["What to do next", *(f"  {line}" for line in _next(campaign, mode_of_campaigns(context)))],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines) + "\n"


def _situation(campaign: Campaign) -> str:
    match campaign.state:
        case CampaignState.AWAITING_APPROVAL:
            return f"Findings request new certificates. The campaign {campaign.id} waits for you to start it."
        case CampaignState.STOPPED:
            return f"The campaign {campaign.id} has stopped sending jobs: {campaign.why}."
        case _:
            return f"The campaign {campaign.id} has {campaign.state}."


def _failed(campaign: Campaign, context: Context) -> list[str]:
    things = list(islice(_failing(campaign, context), _NAMED + 1))
    if not things:
        return []
    more = ["  and more"] if len(things) > _NAMED else []
    return ["Failed last", *(f"  {plain(thing)}" for thing in things[:_NAMED]), *more]


def _failing(campaign: Campaign, context: Context) -> Iterator[str]:
    for number in range(campaign.batches, max(0, campaign.batches - _BATCHES_LOOKED_AT), -1):
        batch = read_batch(context.ports.ledger, campaign.id, number)
        if batch is not None:
            yield from (thing for thing, result in batch.outcomes.items() if result is MemberResult.FAILED)


_COMMANDS = {
    CampaignDecision.START: "Start it",
    CampaignDecision.PAUSE: "Pause it",
    CampaignDecision.RESUME: "Resume it",
    CampaignDecision.CANCEL: "End it",
}

_READ_FIRST = {CampaignState.STOPPED: ("Read why", "cases --state open")}


def _next(campaign: Campaign, mode: Mode) -> list[str]:
    if decisions := allowed(campaign, mode):
        first = _READ_FIRST.get(campaign.state, ("Show it", "campaign"))
        commands = [first, *((_COMMANDS[each], f"campaign {each}") for each in decisions)]
        return [f"{f'{purpose}:':<12} warden {command}" for purpose, command in commands]
    if campaign.in_all.failed:
        return ["Read why some failed: warden cases --state open"]
    return ["Nothing."]
