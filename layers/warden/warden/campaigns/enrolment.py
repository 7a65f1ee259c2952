"""Enrolment by a finding: enrol a device that a detector names, and open a campaign if none is open.

The sweep of certificates enrols the devices that it finds itself (campaigns/inventory.py), in the same campaign.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Protocol

from warden.campaigns.allowed import mode_of_campaigns
from warden.campaigns.records import (
    Campaign,
    CampaignState,
    Member,
    MemberState,
    campaign_put,
    member_put,
    open_campaign,
    read_campaign,
    read_member,
)
from warden.campaigns.rollout import why_not_renewable
from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.core.errors import ActionFailed
from warden.core.ledger import retry_on_conflict
from warden.core.mode import Mode
from warden.core.ports import HasLedger, HasRegistry

_AHEAD = timedelta(days=36_525)
"""A century: devices that a detector names wait ahead of those with an old certificate, in the order of their cases."""


class PortsToEnrol(HasLedger, HasRegistry, Protocol):
    """The ports of an enrolment."""


def enrol(case: Case, context: Context[PortsToEnrol]) -> Outcome:
    """Enrol the case's device in the open campaign, or open one. Enrolled already is success.

    Raises:
        ActionFailed: when the device is contained or in another rotation, or had its turn in this campaign.
    """
    return retry_on_conflict(lambda: _enrol_once(case, context))


def _enrol_once(case: Case, context: Context[PortsToEnrol]) -> Outcome:
    ledger, thing = context.ports.ledger, case.thing
    campaign = open_campaign(ledger) or new_campaign(f"{context.now():%Y%m%dT%H%M%SZ}", context, is_told=False)
    enrolled = Outcome(Progress.DONE, f"waits for its turn in campaign {campaign.id}")
    member = read_member(ledger, thing)
    if member is not None and member.campaign == campaign.id:
        if member.state in (MemberState.FAILED, MemberState.UNREACHABLE, MemberState.SKIPPED):
            raise ActionFailed(f"had its turn in campaign {campaign.id} already: {member.note}")
        if member.state is MemberState.WAITING and not member.case_id:  # the sweep was first; one case is enough
            ahead = replace(member, case_id=case.id, waits_since=case.opened_at - _AHEAD)
            ledger.commit(member_put(ahead))
        return enrolled
    if why := why_not_renewable(thing, context, asking=case.id):
        raise ActionFailed(why)
    waiting = Member(
        thing=thing,
        campaign=campaign.id,
        certificate=case.attributes.get("certificate", ""),
        created_at=case.opened_at,
        state=MemberState.WAITING,
        waits_since=case.opened_at - _AHEAD,
        enrolled_by=case.id,
        case_id=case.id,
        version=member.version if member else 0,
    )
    grown = replace(campaign, size=campaign.size + 1, quiet_since=None)
    ledger.commit(campaign_put(grown), member_put(waiting))
    return enrolled


def is_enrolled(thing: str, context: Context[HasLedger]) -> bool:
    """Check whether a device waits or has had its turn in the open campaign."""
    member, campaign = read_member(context.ports.ledger, thing), open_campaign(context.ports.ledger)
    return member is not None and campaign is not None and member.campaign == campaign.id


def new_campaign(campaign_id: str, context: Context[HasLedger], *, is_told: bool) -> Campaign:
    """Return a new campaign to be written, running or awaiting approval; one of this id that is over is reopened.

    `is_told` means that the caller notifies people itself; otherwise the campaign's own notice asks for approval.
    """
    now, last = context.now(), read_campaign(context.ports.ledger)
    begins = mode_of_campaigns(context) is Mode.ENFORCE
    state = CampaignState.RUNNING if begins else CampaignState.AWAITING_APPROVAL
    next_at = now if begins or not is_told else None
    if last is not None and last.id == campaign_id:
        campaign = replace(last, state=state, next_at=next_at, quiet_since=None)
    else:
        version = last.version if last else 0
        campaign = Campaign(id=campaign_id, state=state, size=0, began_at=now, next_at=next_at, version=version)
    return replace(campaign, announced_states=(*campaign.announced_states, campaign.standing)) if is_told else campaign
