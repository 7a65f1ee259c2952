"""The rollout of a campaign: its batches, its steps, and the result of each device.

A batch is recorded before its devices are prepared. Each device is prepared in one commit (case, rotation, job and its
place in the campaign). The job is sent when all are prepared. After a crash in between, the next delivery continues.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import Protocol

from warden.campaigns.allowed import mode_of_campaigns
from warden.campaigns.notices import notify_of
from warden.campaigns.records import (
    CAMPAIGN_KEY,
    REST,
    Batch,
    Campaign,
    CampaignState,
    Member,
    MemberResult,
    MemberState,
    Tally,
    batch_from,
    batch_put,
    campaign_from,
    campaign_put,
    member_from,
    member_put,
    open_batches_of,
    read_batch,
    read_campaign,
    read_member,
    save_campaign,
    waiting_in,
)
from warden.cases.model import (
    WARDEN,
    Case,
    CaseState,
    Outcome,
    Progress,
    Step,
    StepKind,
    action_step,
    case_from,
    case_key,
)
from warden.cases.outbox import outbox_put
from warden.containment.snapshot import active_containment
from warden.containment.suspicion import why_suspected
from warden.context import Context
from warden.core import quotas
from warden.core.errors import ActionFailed
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.core.ledger import Index, Key, Record, retry_on_conflict
from warden.core.mode import Mode
from warden.core.ports import HasLedger, HasRegistry, JobOrder, Thing
from warden.devices.jobs import NoStatus, document, end_time, job_id
from warden.devices.rotation import new_rotation, opening_puts, why_not_unattended
from warden.devices.rotation_records import read_rotation
from warden.plan.actions import RENEW_CERTIFICATE, ROTATE_CERTIFICATE
from warden.queues.messages import send_batch_over, send_job_ended

RULE = "campaign"
"""The name of the rule on the case of a device that a campaign renews."""

KIND = "certificate-age"

_BATCHES_A_TURN = 4
"""Four hundred devices are prepared in well under a minute, half of the responder's time."""

_LOOKED_AT_EVERY = timedelta(minutes=5)
_QUIET_FOR = timedelta(minutes=5)
"""How long no device must be waiting before the campaign ends, as indexes are eventually consistent."""


class _PortsToAsk(HasLedger, HasRegistry, Protocol):
    """The ports that tell whether a device may be renewed."""


def advance(_key: Key, _record: Record, context: Context) -> None:
    """Advance the campaign when the sweep finds it due."""
    advance_campaign(context)


def advance_campaign(context: Context) -> None:
    """Advance the campaign as far as its steps, its budget and its window allow."""
    while (campaign := read_campaign(context.ports.ledger)) is not None and _count_one(campaign, context):
        continue
    campaign = retry_on_conflict(partial(_judge, context))
    notify_of(campaign, context)
    if campaign.state is CampaignState.RUNNING:
        _send(context)
    elif campaign.state is CampaignState.CANCELLED:
        _discard_unsent(campaign, context)
    retry_on_conflict(partial(_schedule, context))


def _current(context: Context) -> Campaign:
    record = context.ports.ledger.read(CAMPAIGN_KEY)
    if record is None:
        raise LookupError("there is no campaign")
    return campaign_from(record)


# --- counting ----------------------------------------------------------------------------------------------------


def _count_one(campaign: Campaign, context: Context) -> bool:
    """Count a batch whose devices have all ended, and mark it as counted in the same commit."""
    for key, _ in context.ports.ledger.find(Index.DUE, open_batches_of(campaign.id)):
        record = context.ports.ledger.read(key)  # the index may lag behind
        batch = batch_from(record) if record else None
        if batch is not None and batch.is_over and not batch.counted:
            retry_on_conflict(partial(_count, batch, context))
            return True
    return False


def _count(batch: Batch, context: Context) -> None:
    campaign, current = _current(context), read_batch(context.ports.ledger, batch.campaign, batch.number)
    if current is None or current.counted:
        return
    of_step = campaign.of_step + current.tally if current.step == campaign.step else campaign.of_step
    counted = replace(
        campaign, in_all=campaign.in_all + current.tally, of_step=of_step, out=campaign.out - len(current.things)
    )
    save_campaign(context.ports.ledger, counted, batch_put(replace(current, counted=True)))


def _judge(context: Context) -> Campaign:
    """Stop the campaign if too many failed or the mode forbids it, begin its next step, or finish it."""
    campaign, terms, now = _current(context), context.plan.rotation, context.now()
    if campaign.state is not CampaignState.RUNNING:
        return campaign
    judged = campaign
    if why := _why_stopped(campaign, context):
        judged = replace(campaign, state=CampaignState.STOPPED, why=why, who=WARDEN)
    elif campaign.has_step_done(terms):
        judged = replace(campaign, step=campaign.step + 1, of_step=Tally())
    elif campaign.out == 0 and not _is_anybody_waiting(campaign, context):
        if campaign.quiet_since is None:
            judged = replace(campaign, quiet_since=now)
        elif now - campaign.quiet_since >= _QUIET_FOR:
            judged = replace(campaign, state=CampaignState.FINISHED)
    elif campaign.quiet_since is not None:
        judged = replace(campaign, quiet_since=None)
    return judged if judged is campaign else save_campaign(context.ports.ledger, judged)


def _why_stopped(campaign: Campaign, context: Context) -> str:
    """Return why a running campaign has to stop for people; empty when it goes on."""
    terms = context.plan.rotation
    if mode_of_campaigns(context) is Mode.OBSERVE:
        return "campaigns are in observe mode now: Mode, or `mode` in the plan's [rotation]"
    if campaign.fails(terms):
        failed, ended = campaign.of_step.failed, campaign.of_step.judged
        return (
            f"{failed} of {ended} devices of step {campaign.step + 1} failed; {terms.success_percent:g} % must succeed"
        )
    return ""


def _schedule(context: Context) -> None:
    """Set when the campaign is due again: while a batch is out, or while it runs."""
    campaign, now = _current(context), context.now()
    next_at = None
    if campaign.state is CampaignState.RUNNING or campaign.out:
        next_at = now + _LOOKED_AT_EVERY
        window = context.plan.rotation.window
        if window is not None and not campaign.out and campaign.quiet_since is None:
            next_at = max(next_at, window.next_opening(now))
    if next_at != campaign.next_at:
        save_campaign(context.ports.ledger, replace(campaign, next_at=next_at))


# --- sending -----------------------------------------------------------------------------------------------------


def _send(context: Context) -> None:
    window = context.plan.rotation.window
    if window is not None and not window.is_open(context.now()):
        return
    for _ in range(_BATCHES_A_TURN):
        batch = retry_on_conflict(partial(_next_batch, context))
        if batch is None:
            return
        _send_batch(batch, context)


def _unsent(campaign: Campaign, context: Context) -> Batch | None:
    """Return the last batch if its job is not sent yet: no other begins before it is."""
    batch = read_batch(context.ports.ledger, campaign.id, campaign.batches)
    return batch if batch is not None and not batch.sent else None


def _next_batch(context: Context) -> Batch | None:
    """Return an unfinished batch, or a new one of the devices whose turn it is, with the write of their budget."""
    campaign, now = _current(context), context.now()
    if campaign.state is not CampaignState.RUNNING:
        return None
    if (left := _unsent(campaign, context)) is not None:
        return None if context.governor.is_stopped else left
    things = tuple(islice(_waiting(campaign, context), _room(campaign, context)))
    if not things:
        return None
    number = campaign.batches + 1
    batch = Batch(
        campaign=campaign.id,
        number=number,
        job_id=job_id(f"campaign {campaign.id}", ROTATE_CERTIFICATE, number),
        step=campaign.step,
        things=things,
        began_at=now,
    )
    begun = replace(campaign, batches=number, out=campaign.out + len(things))
    counted = context.governor.count_for_campaign(len(things), now)
    context.ports.ledger.commit(campaign_put(begun), batch_put(batch), counted)
    return replace(batch, version=1)


def _discard_unsent(campaign: Campaign, context: Context) -> None:
    """End what a cancelled campaign had prepared but not sent: each device's job counts as gone."""
    batch = _unsent(campaign, context)
    if batch is None:
        return
    for thing in batch.things:
        member = read_member(context.ports.ledger, thing)
        if member is not None and member.job_id == batch.job_id and member.state is MemberState.SENT:
            send_job_ended(context.ports.queue, thing=thing, job_id=batch.job_id, event=f"{batch.job_id} gone")
        elif member is not None and thing not in batch.outcomes:
            left = replace(member, state=MemberState.SKIPPED, batch=batch.number, note="the campaign was cancelled")
            retry_on_conflict(partial(_record_result, left, MemberResult.SKIPPED, context))
    retry_on_conflict(partial(_mark_sent, batch, context))


def _room(campaign: Campaign, context: Context) -> int:
    planned = campaign.step_size(context.plan.rotation)
    of_step = quotas.TARGETS_PER_JOB if planned is None else max(0, planned - campaign.of_step.judged - campaign.out)
    return min(of_step, quotas.TARGETS_PER_JOB, context.governor.room_for_campaign(context.now()))


def _waiting(campaign: Campaign, context: Context) -> Iterator[str]:
    """List the devices that wait, oldest certificate first; those that were not reached come last."""
    for key, _ in context.ports.ledger.find(Index.DUE, waiting_in(campaign.id)):
        record = context.ports.ledger.read(key)  # the index may lag behind
        if record is None:
            continue
        member = member_from(record)
        if member.campaign == campaign.id and member.state is MemberState.WAITING:
            yield member.thing


def _is_anybody_waiting(campaign: Campaign, context: Context) -> bool:
    return next(_waiting(campaign, context), None) is not None


def _send_batch(batch: Batch, context: Context) -> None:
    """Prepare each device and send the job to all that are to get it."""
    ends_at = _deadline(batch, context)
    for thing in batch.things:
        if thing not in batch.outcomes:
            retry_on_conflict(partial(_prepare, thing, batch, ends_at, context))
    prepared = read_batch(context.ports.ledger, batch.campaign, batch.number) or batch
    to_ask = [thing for thing in prepared.things if thing not in prepared.outcomes]
    if to_ask:
        _start(prepared, to_ask, ends_at, context)
    retry_on_conflict(partial(_mark_sent, batch, context))


def _deadline(batch: Batch, context: Context) -> datetime:
    days = timedelta(days=context.plan.rotation.days_to_answer)
    return batch.began_at + (days if batch.step == REST else context.settings.rotation_deadline)


def _start(batch: Batch, things: Sequence[str], ends_at: datetime, context: Context) -> None:
    try:
        context.ports.jobs.start(_order(batch, things, ends_at, context))
    except ActionFailed:
        # One missing thing fails the job for all: find it and end its part like a job that is gone.
        gone = [thing for thing in things if context.ports.registry.thing(thing) is None]
        for thing in gone:
            send_job_ended(context.ports.queue, thing=thing, job_id=batch.job_id, event=f"{batch.job_id} gone")
        if there := [thing for thing in things if thing not in gone]:
            context.ports.jobs.start(_order(batch, there, ends_at, context))


def _order(batch: Batch, things: Sequence[str], ends_at: datetime, context: Context) -> JobOrder:
    terms = context.plan.rotation
    return JobOrder(
        id=batch.job_id,
        things=things,
        document=document(ROTATE_CERTIFICATE, batch.job_id, terms.key_algorithm),
        work_timeout=context.settings.work_timeout,
        ends_at=end_time(ends_at, context.now()),
        per_minute=terms.per_minute,
        abort_percent=max(1.0, 100 - terms.success_percent),
        abort_after=min(len(things), 10),
    )


def _mark_sent(batch: Batch, context: Context) -> None:
    current = read_batch(context.ports.ledger, batch.campaign, batch.number)
    if current is not None and not current.sent:
        context.ports.ledger.commit(batch_put(replace(current, sent=True)))


def _prepare(thing: str, batch: Batch, ends_at: datetime, context: Context) -> None:
    """Write a device's case, its rotation and its part of the job in one commit; or skip it with a reason."""
    ledger, now = context.ports.ledger, context.now()
    member = read_member(ledger, thing)
    if member is None or (member.state is MemberState.SENT and member.job_id == batch.job_id):
        return  # prepared by an earlier delivery
    asking, closed = _asking_case(member, context)
    if why := closed or why_not_renewable(thing, context, asking=member.case_id):
        skipped = replace(member, state=MemberState.SKIPPED, note=why, batch=batch.number, job_id=batch.job_id)
        _record_result(skipped, MemberResult.SKIPPED, context, asking)
        return
    case = asking or _a_case_of_its_own(member, batch, context)
    rotation = new_rotation(read_rotation(ledger, thing), thing=thing, job_id=batch.job_id, case_id=case.id)
    sent = replace(
        member, state=MemberState.SENT, batch=batch.number, job_id=batch.job_id, attempts=member.attempts + 1
    )
    outcome = Outcome(Progress.STARTED, "job sent", batch.job_id)
    begun = replace(
        case.with_outcome(ROTATE_CERTIFICATE, outcome),
        state=CaseState.RESPONDING,
        admitted=True,
        affected=(thing,),
    )
    step = action_step(ROTATE_CERTIFICATE, outcome, campaign=batch.campaign, batch=batch.number)
    context.cases.save(begun, now, step, also=(*opening_puts(rotation, now, ends_at), member_put(sent)))


def _asking_case(member: Member, context: Context) -> tuple[Case | None, str]:
    """Return the case that asked for the renewal, if any, and a reason to skip the device if that case is closed."""
    if not member.case_id:
        return None, ""
    record = context.ports.ledger.read(case_key(member.case_id))
    case = case_from(record) if record else None  # a closed one expires
    if case is None or not case.is_open:
        return None, f"case {member.case_id}, which asked for it, is closed"
    return case, ""


def _a_case_of_its_own(member: Member, batch: Batch, context: Context) -> Case:
    now = context.now()
    case = context.cases.begin(_finding(member, batch, now), member.thing, now, _finding_step(member))
    return replace(case, rule=RULE, mode=context.plan.campaign_mode)


def why_not_renewable(thing: str, context: Context[_PortsToAsk], *, asking: str = "") -> str:
    """Return why a device is not to be renewed now; empty when it may be. `asking`: the case that wants it."""
    if active_containment(context.ports.ledger, thing) is not None:
        return "contained; releasing it renews the certificate"
    rotation = read_rotation(context.ports.ledger, thing)
    if rotation is not None and not rotation.is_over:
        return f"a rotation is under way already, for case {rotation.case_id}"
    return why_suspected(thing, context, but=asking) or _why_protected(thing, context)


def _why_protected(name: str, context: Context[_PortsToAsk]) -> str:
    """Return why the never-touch list protects a device now; ask for its type and groups only if the list names any."""
    asks = context.plan.never_touch.asks_about_the_device
    thing = context.ports.registry.thing(name) if asks else Thing(name=name)
    return context.governor.protects(thing) if thing else ""


def _finding(member: Member, batch: Batch, now: datetime) -> Finding:
    days = (now - member.created_at).days
    return Finding(
        id=f"{KIND} {member.certificate}",
        source=Source.SCHEDULE,
        kind=KIND,
        subject=Subject(SubjectType.THING, member.thing),
        severity=Severity.LOW,
        observed_at=now,
        title=f"The certificate of thing {member.thing} is {days:,} days old",
        attributes={"certificate": member.certificate, "campaign": batch.campaign},
    )


def _finding_step(member: Member) -> Step:
    facts = {"certificate": member.certificate, "campaign": member.campaign}
    return Step(StepKind.FINDING, Source.SCHEDULE, f"its certificate was made {member.created_at:%Y-%m-%d}", facts)


# --- ends --------------------------------------------------------------------------------------------------------


def note_end(thing: str, job: str, outcome: Outcome, status: str, context: Context) -> None:
    """Record the result of a campaign's device when its part of the job has ended; do nothing for other jobs."""
    retry_on_conflict(partial(_note_end, thing, job, outcome, status, context))


def _note_end(thing: str, job: str, outcome: Outcome, status: str, context: Context) -> None:
    member = read_member(context.ports.ledger, thing)
    if member is None or member.job_id != job or member.state is not MemberState.SENT:
        return
    result = _result_of(thing, job, outcome, status, context)
    if result is MemberResult.ABSENT and member.attempts >= context.plan.rotation.attempts:
        result = MemberResult.UNREACHABLE
    waits_since = context.now() if result is MemberResult.ABSENT else member.waits_since
    ended = replace(member, state=_STATE_AFTER[result], waits_since=waits_since, note=outcome.detail)
    _record_result(ended, result, context)


_STATE_AFTER = {
    MemberResult.DONE: MemberState.DONE,
    MemberResult.FAILED: MemberState.FAILED,
    MemberResult.ABSENT: MemberState.WAITING,
    MemberResult.UNREACHABLE: MemberState.UNREACHABLE,
    MemberResult.SKIPPED: MemberState.SKIPPED,
}


def _result_of(thing: str, job: str, outcome: Outcome, status: str, context: Context) -> MemberResult:
    """Distinguish a device that failed from one that was never reached: only the first shows that renewal fails."""
    if outcome.progress is Progress.DONE:
        return MemberResult.DONE
    rotation = read_rotation(context.ports.ledger, thing)
    is_ours = rotation is not None and rotation.job_id == job
    if rotation is not None and is_ours and why_not_unattended(rotation.case_id, thing, context):
        return MemberResult.SKIPPED  # that a quarantine took its job back says nothing about renewal
    if (rotation is not None and is_ours and rotation.request) or status in (
        "FAILED",
        "REJECTED",
        "TIMED_OUT",
        "SUCCEEDED",
    ):
        return MemberResult.FAILED
    return MemberResult.SKIPPED if status == NoStatus.GONE else MemberResult.ABSENT


def _record_result(member: Member, result: MemberResult, context: Context, asking: Case | None = None) -> None:
    """Write a device's place and its result in its batch in one commit; if it is skipped, also on the case that asked.

    The sweep then sends that case's notice. An existing result was written by a commit whose answer was lost.
    """
    batch = read_batch(context.ports.ledger, member.campaign, member.batch)
    if batch is None:
        return
    noted = replace(batch, outcomes={**batch.outcomes, member.thing: result})
    if member.thing not in batch.outcomes:
        _commit_result(member, noted, context, asking)
    if noted.is_over:
        send_batch_over(context.ports.queue, batch=noted.job_id)


def _commit_result(member: Member, noted: Batch, context: Context, asking: Case | None) -> None:
    writes, now = (member_put(member), batch_put(noted)), context.now()
    if asking is None:
        context.ports.ledger.commit(*writes)
        return
    outcome = Outcome(Progress.FAILED, member.note)
    failed, step = asking.with_outcome(RENEW_CERTIFICATE, outcome), action_step(RENEW_CERTIFICATE, outcome)
    owed = outbox_put(replace(context.cases.outbox(failed), renotify_at=now))
    context.cases.save(failed, now, step, also=(*writes, owed))
