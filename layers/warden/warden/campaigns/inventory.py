"""The sweep of certificates: oldest first, up to the first that is too young, so that its cost depends on what is due.

AWS IoT lists certificates by age, so those that are not due are not read. The things of each due certificate are
looked up once; the result is recorded, so that a run that dies can be resumed. At the end the owner gets a report, and
the devices found wait for their turn in a campaign (campaigns/records.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile

from warden.campaigns.allowed import mode_of_campaigns
from warden.campaigns.inventory_runs import (
    AT_WORK_FOR,
    ON_NOTHING,
    InventoryResult,
    Run,
    SweepResult,
    read_run,
    save_run,
    verdict_key,
    verdict_put,
)
from warden.campaigns.records import Member, MemberState, member_put, open_campaign, read_member
from warden.campaigns.report import report
from warden.containment.snapshot import active_containment
from warden.context import Context
from warden.core.errors import Conflict, Refused
from warden.core.ledger import Record, retry_on_conflict
from warden.core.mode import Mode
from warden.core.ports import Certificate, CertificatePage, Thing
from warden.devices.rotation_records import read_rotation
from warden.plan.renewal_terms import Cleaning

_LEAST_TIME = timedelta(seconds=30)
"""The time a run must have left to begin a certificate: its calls may be throttled and repeated."""

_REPORT_TIME = timedelta(minutes=2)
"""The time a run must have left to write the report; a million lines take less."""

_SHOWN_AFTER = 30
"""The seconds after which the report is tried again if the index does not show every result yet."""


@dataclass(frozen=True)
class Turn:
    """The resources of one invocation. `pace` returns when AWS IoT may be asked for another certificate's things."""

    context: Context
    time_left: Callable[[], timedelta]
    pace: Callable[[], None]


def sweep_certificates(
    turn: Turn, *, trigger: str = "", only_during_campaign: bool = False, only_the_first: bool = False
) -> SweepResult:
    """Sweep as far as the time allows, and queue a message for the next turn.

    A sweep that runs elsewhere is left alone; a stalled one is resumed. `trigger` is the id of the event that asks for
    a sweep, which may be delivered twice. `only_the_first` begins one only where none was ever begun: one that has died
    is resumed like any other.
    """
    context = turn.context
    if only_during_campaign and open_campaign(context.ports.ledger) is None:
        return SweepResult.NO_CAMPAIGN
    run = retry_on_conflict(lambda: _begin_or_join(trigger, only_the_first, context))
    if run is None:
        return SweepResult.NOT_THE_FIRST if only_the_first else SweepResult.LEFT_ALONE
    return _advance(run, turn)


def resume_run(run_id: str, turn: Turn) -> SweepResult:
    """Resume a run by its queued message; a run that is over is left alone."""
    run = read_run(turn.context.ports.ledger)
    if run is None or run.id != run_id or run.reported:
        return SweepResult.OVER
    return _advance(run, turn)


def _advance(run: Run, turn: Turn) -> SweepResult:
    context = turn.context
    try:
        run = _under_the_open_campaign(run, context)
        if run.ended_at is None:
            run = _read_on(run, turn)
        if run.ended_at is None or turn.time_left() < _REPORT_TIME:
            context.ports.renewal_queue.send_run(run.id)
            return SweepResult.CONTINUES
        if not report(run, context):
            context.ports.renewal_queue.send_run(run.id, after_seconds=_SHOWN_AFTER)
            return SweepResult.CONTINUES
    except Conflict:  # another turn has advanced the run
        return SweepResult.TAKEN_OVER
    return SweepResult.REPORTED


def _under_the_open_campaign(run: Run, context: Context) -> Run:
    """Restart a run if a finding has meanwhile opened another campaign: only one is open at a time.

    The devices that it had enrolled are found again and enrolled in the open campaign.
    """
    campaign, now = open_campaign(context.ports.ledger), context.now()
    if campaign is None or campaign.id == run.campaign or run.enlarged:
        return run
    restarted = Run(
        id=_name(now, run),
        campaign=campaign.id,
        began_at=now,
        touched_at=now,
        trigger=run.trigger,
        version=run.version,
    )
    return save_run(restarted, context)


def _begin_or_join(trigger: str, only_the_first: bool, context: Context) -> Run | None:
    ledger, now = context.ports.ledger, context.now()
    run = read_run(ledger)
    if run is not None and only_the_first:
        return None
    if run is not None and not run.reported:
        if now - run.touched_at < AT_WORK_FOR:
            return None
        return save_run(replace(run, touched_at=now), context)
    if run is not None and trigger and run.trigger == trigger:
        return None
    campaign, run_id = open_campaign(ledger), _name(now, run)
    begun = Run(
        id=run_id,
        campaign=campaign.id if campaign else run_id,
        began_at=now,
        touched_at=now,
        trigger=trigger,
        version=run.version if run else 0,
    )
    return save_run(begun, context)


def _name(now: datetime, last: Run | None) -> str:
    """Name a run by the time. The name differs from the previous run's, so that everything is judged again."""
    name = f"{now:%Y%m%dT%H%M%SZ}"
    return name if last is None or last.id[: len(name)] != name else f"{name}-{last.version}"


def _read_on(run: Run, turn: Turn) -> Run:
    """Judge page after page; the next turn judges what is left when the time is up."""
    context = turn.context
    youngest = run.began_at - context.plan.rotation.least_age(context.settings.rotate_after)
    while True:
        run, page = _page(run, context)
        old = list(
            takewhile(lambda each: each.created_at is not None and each.created_at <= youngest, page.certificates)
        )
        recorded = 0
        for certificate in old:
            if turn.time_left() < _LEAST_TIME:
                return run
            recorded += _process(certificate, run, turn)
        inactive = sum(each.status == "INACTIVE" for each in old)
        run = replace(run, inactive=run.inactive + inactive, recorded=run.recorded + recorded)
        if len(old) < len(page.certificates) or not page.next_page:
            return _end(run, context)
        run = save_run(replace(run, page=page.next_page, touched_at=context.now()), context)


def _page(run: Run, context: Context) -> tuple[Run, CertificatePage]:
    """List the run's current page, or begin again if AWS IoT no longer knows the page."""
    try:
        return run, context.ports.certificates.oldest_page(run.page)
    except Refused:
        return save_run(replace(run, page="", inactive=0, recorded=0), context), context.ports.certificates.oldest_page(
            ""
        )


def _end(run: Run, context: Context) -> Run:
    now = context.now()
    return save_run(replace(run, ended_at=now, touched_at=now), context)


# --- one certificate ---------------------------------------------------------------------------------------------


def _process(certificate: Certificate, run: Run, turn: Turn) -> bool:
    """Deal with a certificate; return whether the run has a result on record for it."""
    if certificate.is_active:
        return _judge(certificate, run, turn)
    return certificate.status == "INACTIVE" and _tidy_inactive(certificate, run, turn)


def _judge(certificate: Certificate, run: Run, turn: Turn) -> bool:
    """Find the things of a certificate and enrol them, once in a run."""
    context = turn.context
    ledger, key = context.ports.ledger, verdict_key(certificate.id)
    known = ledger.read(key)
    if _is_done(known, run, InventoryResult.DEACTIVATED):
        return True
    if known is not None and known["campaign"] == run.campaign and ON_NOTHING not in known["things"]:
        things = list(known["things"])  # looked up when it was enrolled
    else:
        turn.pace()
        things = context.ports.registry.things_of(certificate.id)
    if not things:
        _tidy_active(certificate, run, known, context)
        return True
    verdicts = {thing: _enrol(thing, certificate, run, context) for thing in things}
    due = {thing: verdict for thing, verdict in verdicts.items() if verdict is not None}
    if due:
        ledger.commit(verdict_put(certificate, run, due, known))
    return bool(due)


def _enrol(name: str, certificate: Certificate, run: Run, context: Context) -> InventoryResult | None:
    """Enrol a device in the campaign, unless it is enrolled, contained or in another rotation.

    Return None if the thing's type allows an older certificate.
    """
    return retry_on_conflict(lambda: _enrol_once(name, certificate, run, context))


def _enrol_once(name: str, certificate: Certificate, run: Run, context: Context) -> InventoryResult | None:
    ledger = context.ports.ledger
    member = read_member(ledger, name)
    if member is not None and member.campaign == run.campaign:
        return _enrolled_result(member, certificate, run)
    thing = _thing(name, context)
    if thing is None:
        return InventoryResult.GONE
    age = context.plan.rotation.age_for(thing.thing_type, context.settings.rotate_after)
    if certificate.created_at is not None and run.began_at - certificate.created_at < age:
        return None
    if context.governor.protects(thing):
        return InventoryResult.PROTECTED
    if active_containment(ledger, name) is not None:
        return InventoryResult.CONTAINED
    rotation = read_rotation(ledger, name)
    if rotation is not None and not rotation.is_over:
        return InventoryResult.IN_HAND
    if mode_of_campaigns(context) is Mode.OBSERVE:
        return InventoryResult.TOO_OLD
    created_at = certificate.created_at or run.began_at
    enrolled = Member(
        thing=name,
        campaign=run.campaign,
        certificate=certificate.id,
        created_at=created_at,
        state=MemberState.WAITING,
        waits_since=created_at,
        enrolled_by=run.id,
        version=member.version if member else 0,
    )
    ledger.commit(member_put(enrolled))
    return InventoryResult.ENROLLED


def _enrolled_result(member: Member, certificate: Certificate, run: Run) -> InventoryResult:
    """Return the result for a device that is enrolled already, perhaps for another of its certificates."""
    if member.state is MemberState.WAITING:
        if member.certificate != certificate.id:
            return InventoryResult.ANOTHER
        return InventoryResult.ENROLLED if member.enrolled_by == run.id else InventoryResult.WAITING
    if member.state is MemberState.SENT:
        return InventoryResult.IN_HAND
    return InventoryResult.GIVEN_UP


def _thing(name: str, context: Context) -> Thing | None:
    """Read the thing only if the plan asks for its type: that costs one more call for each device."""
    if context.plan.rotation.asks_about_the_type or context.plan.never_touch.asks_about_the_device:
        return context.ports.registry.thing(name)
    return Thing(name=name)


# --- certificates on no thing ------------------------------------------------------------------------------------


def _is_done(known: Record | None, run: Run, change: InventoryResult) -> bool:
    """Check whether a run has dealt with a certificate. A recorded change may not have been made yet."""
    return known is not None and known["run"] == run.id and known["things"].get(ON_NOTHING) != change


def _record(
    verdict: InventoryResult, certificate: Certificate, run: Run, known: Record | None, context: Context
) -> None:
    """Record the result for a certificate on no thing before it is changed, so that a run that dies reports it."""
    if known is None or known["run"] != run.id:
        context.ports.ledger.commit(verdict_put(certificate, run, {"": verdict}, known))


def _tidy_active(certificate: Certificate, run: Run, known: Record | None, context: Context) -> None:
    """Report an old certificate on no thing, or set it INACTIVE, which can be undone until it is deleted."""
    if context.plan.hygiene.on_no_thing is Cleaning.CLEAN and context.settings.mode is Mode.ENFORCE:
        _record(InventoryResult.DEACTIVATED, certificate, run, known, context)
        context.ports.certificates.deactivate(certificate.id)
        return
    policies = context.ports.certificates.policies_of(certificate.id)
    _record(InventoryResult.ON_NO_THING if policies else InventoryResult.ORPHAN, certificate, run, known, context)


def _tidy_inactive(certificate: Certificate, run: Run, turn: Turn) -> bool:
    """Delete a certificate that was INACTIVE for longer than the plan allows, if the plan asks for deletion."""
    context = turn.context
    terms = context.plan.hygiene
    if terms.inactive is not Cleaning.CLEAN or context.settings.mode is not Mode.ENFORCE:
        return False
    ledger = context.ports.ledger
    known = ledger.read(verdict_key(certificate.id))
    if _is_done(known, run, InventoryResult.DELETED):
        return True
    described = context.ports.certificates.read(certificate.id)
    if described is None or described.is_active or described.changed_at is None or described.may_register_itself:
        return False
    if run.began_at - described.changed_at < timedelta(days=terms.inactive_days):
        return False
    turn.pace()
    if things := context.ports.registry.things_of(certificate.id):
        ledger.commit(verdict_put(certificate, run, dict.fromkeys(things, InventoryResult.LONG_INACTIVE), known))
        return True
    _record(InventoryResult.DELETED, certificate, run, known, context)
    context.ports.certificates.delete(certificate.id)
    return True
