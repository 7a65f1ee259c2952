"""A campaign and its sweep at odd moments: messages repeated or about another, missing records, odd statuses."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import Crash, World, a_finding, an_old_certificate
from tests.unit.campaigns.test_campaigns import ENFORCED, TURN, a_campaign, campaign, fail, obey
from tests.unit.campaigns.test_inventory import ROTATION, a_fleet, state_of, verdicts
from warden.campaigns.allowed import CampaignDecision
from warden.campaigns.decisions import CampaignOrder, carry_out_on_campaign
from warden.campaigns.inventory import sweep_certificates
from warden.campaigns.inventory_runs import read_run, requeue_stalled_run
from warden.campaigns.notices import notify_of
from warden.campaigns.records import CampaignState, MemberState, batch_key, member_key, read_member, waiting_in
from warden.campaigns.rollout import advance_campaign
from warden.core.errors import Refused
from warden.core.findings import Source
from warden.core.ledger import Found, Index, Key, Put
from warden.core.mode import Mode
from warden.core.ports import Certificate, CertificatePage, JobOrder
from warden.plan.actions import ROTATE_CERTIFICATE

CLEAN = f'{ROTATION}[hygiene]\ninactive = "clean"\ninactive_days = 60\n'


# --- decisions -----------------------------------------------------------------------------------------------------


def an_order(world: World, **changes: Any) -> CampaignOrder:
    order = CampaignOrder(
        decision=CampaignDecision.START, campaign=campaign(world).id, who="dana", why="", request="request-1"
    )
    return replace(order, **changes)


def test_nothing_is_started_where_the_stack_only_observes_now() -> None:
    world = a_campaign(1, rotation=ROTATION)
    order = an_order(world)
    world.context = replace(world.context, settings=replace(world.context.settings, mode=Mode.OBSERVE))

    with pytest.raises(Refused) as caught:
        carry_out_on_campaign(order, world.context)

    assert caught.value.code == "observe-only"
    assert campaign(world).state is CampaignState.AWAITING_APPROVAL


def test_what_was_said_of_an_earlier_campaign_is_not_done_to_this_one() -> None:
    world = a_campaign(1, rotation=ROTATION)

    with pytest.raises(Refused, match="campaign before is over; the order was not for"):
        carry_out_on_campaign(an_order(world, campaign="before"), world.context)

    assert campaign(world).state is CampaignState.AWAITING_APPROVAL


def test_a_decision_that_comes_twice_is_taken_once() -> None:
    world = a_campaign(1, rotation=ROTATION)
    order = an_order(world)
    carry_out_on_campaign(order, world.context)
    carry_out_on_campaign(an_order(world, decision=CampaignDecision.PAUSE, request="request-2"), world.context)

    carry_out_on_campaign(order, world.context)

    assert campaign(world).state is CampaignState.PAUSED
    assert campaign(world).requests == ("request-1", "request-2")


def test_a_batch_that_is_forgotten_is_left_out_of_what_people_are_told() -> None:
    world = a_campaign(3)
    world.sweep(after=TURN)
    fail(world, "pump-1")
    stopped = campaign(world)
    del world.ledger.records[batch_key(stopped.id, 1)]
    world.notices.sent.clear()

    notify_of(replace(stopped, state=CampaignState.STOPPED, announced_states=()), world.context)

    assert "STOPPED" in world.notices.sent[-1].subject
    assert "Failed last" not in world.notices.sent[-1].body


# --- the sweep -----------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_go_on_with_where_no_run_was_left() -> None:
    world = a_fleet(400)
    requeue_stalled_run(Key("nothing", "here"), {}, world.context)
    assert world.renewal_queue.runs == []

    world.find_what_is_due()
    requeue_stalled_run(Key("nothing", "here"), {}, world.context)
    assert world.renewal_queue.runs == [], "that one is reported"


def test_the_same_event_begins_no_second_run() -> None:
    world = a_fleet(400)
    first = sweep_certificates(world._a_turn(), trigger="event-1", only_during_campaign=False)
    run = read_run(world.ledger)
    world.clock.advance(timedelta(hours=1))

    sweep_certificates(world._a_turn(), trigger="event-1", only_during_campaign=False)

    assert first == "reported"
    assert read_run(world.ledger) == run


def test_the_first_sweep_is_made_once_however_often_it_is_asked_for() -> None:
    world = a_fleet(400)

    assert world.find_what_is_due(only_the_first=True) == "reported"
    run = read_run(world.ledger)
    world.clock.advance(timedelta(days=29))

    assert world.find_what_is_due(only_the_first=True) == "not-the-first"
    assert read_run(world.ledger) == run
    assert len(world.notices.sent) == 1
    assert world.find_what_is_due() == "reported", "the schedule keeps its meaning"


def test_the_first_sweep_leaves_one_alone_that_is_under_way_or_has_died() -> None:
    world = a_fleet(400, 399)
    world.lookups_a_turn = 1
    assert sweep_certificates(world._a_turn(), trigger="event-1") == "continues"
    run = read_run(world.ledger)

    for passed in (timedelta(minutes=1), timedelta(hours=1)):
        world.clock.advance(passed)
        assert sweep_certificates(world._a_turn(), trigger="event-2", only_the_first=True) == "not-the-first"

    assert read_run(world.ledger) == run


def test_of_two_that_begin_the_first_sweep_at_once_one_gives_way() -> None:
    world = a_fleet(400)
    real = world.ledger.commit
    second = list[str]()

    def overtaken(*puts: Put) -> None:
        world.ledger.commit = real  # type: ignore[method-assign]  # once
        world.clock.advance(timedelta(seconds=1))
        second.append(sweep_certificates(world._a_turn(), trigger="event-2", only_the_first=True))
        real(*puts)

    world.ledger.commit = overtaken  # type: ignore[method-assign]  # between the look and the write of the other
    first = sweep_certificates(world._a_turn(), trigger="event-1", only_the_first=True)

    assert (first, second) == ("not-the-first", ["reported"])
    assert len(world.reports.kept) == len(world.notices.sent) == 1


@pytest.mark.parametrize("status", ["REVOKED", "PENDING_TRANSFER", "REGISTER_INACTIVE", "PENDING_ACTIVATION"])
def test_a_certificate_that_is_neither_active_nor_inactive_is_passed_over(status: str) -> None:
    world = a_fleet(400, 399)
    world.certificates.stored[world.devices["pump-2"].certificate].status = status

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "enrolled"}
    assert state_of(world, "pump-2") is None


def test_a_thing_that_is_gone_from_the_registry_is_reported() -> None:
    world = a_fleet(400, rotation=f'{ROTATION}days_by_type = {{ "gateway" = 10 }}\n')
    del world.registry.types["pump-1"]

    world.find_what_is_due()

    assert state_of(world, "pump-1") is None
    assert verdicts(world) == {"pump-1": "thing-gone"}


def test_a_device_that_failed_and_one_at_work_are_not_enrolled_again() -> None:
    world = a_campaign(4, rotation=f"{ENFORCED}canary_percent = 50\n")
    world.sweep(after=TURN)
    obey(world)
    world.sweep(after=TURN)
    fail(world, "pump-2")

    world.find_what_is_due()

    assert state_of(world, "pump-2") is MemberState.FAILED
    *_, last = world.reports.kept.values()
    said = {row["thing"]: row["verdict"] for row in csv.DictReader(last)}
    assert said == {"pump-2": "given-up", "pump-3": "in-hand", "pump-4": "waiting"}


@pytest.mark.parametrize("seen", ["gone", "active", "undated"])
def test_what_changed_since_it_was_listed_is_not_deleted(seen: str) -> None:
    world = a_fleet(400, rotation=CLEAN)
    certificate = world.device.certificate
    world.registry.attached.clear()
    world.certificates.deactivate(certificate)
    world.certificates.stored[certificate].changed_at = world.clock() - timedelta(days=61)
    real = world.certificates.read

    def meanwhile(certificate_id: str) -> Certificate | None:
        found = real(certificate_id)
        if found is None or seen == "gone":
            return None
        return replace(found, status="ACTIVE") if seen == "active" else replace(found, changed_at=None)

    world.certificates.read = meanwhile  # type: ignore[method-assign]  # somebody at the console

    world.find_what_is_due()

    assert certificate in world.certificates.stored


def test_an_inactive_certificate_is_judged_once_in_a_run_that_begins_its_list_anew() -> None:
    world = a_fleet(400, 399, rotation=CLEAN)
    certificate = world.device.certificate
    world.certificates.deactivate(certificate)
    world.certificates.stored[certificate].changed_at = world.clock() - timedelta(days=61)
    world.certificates.page_size = 1
    real, forgotten = world.certificates.oldest_page, [True]

    def forgets_once(page: str) -> CertificatePage:
        if page and forgotten.pop() if forgotten else False:
            raise Refused("no-such-page", page)
        return real(page)

    world.certificates.oldest_page = forgets_once  # type: ignore[method-assign]  # AWS IoT's pages live for a while

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "long-inactive", "pump-2": "enrolled"}


def test_a_campaign_that_is_cancelled_while_a_sweep_adds_to_it_is_taken_up_again() -> None:
    world = a_fleet(400)
    world.find_what_is_due()
    first = campaign(world)
    world.enrol("pump-9")
    world.certificates.stored[world.devices["pump-9"].certificate].created_at = world.clock() - timedelta(days=900)
    real = world.registry.things_of

    def look_and_be_overtaken(certificate_id: str) -> list[str]:
        world.registry.things_of = real  # type: ignore[method-assign]  # once
        carry_out_on_campaign(an_order(world, decision=CampaignDecision.CANCEL), world.context)
        return real(certificate_id)

    world.registry.things_of = look_and_be_overtaken  # type: ignore[method-assign]  # an operator, meanwhile
    world.clock.advance(timedelta(days=1))

    world.find_what_is_due()

    assert (campaign(world).id, campaign(world).state) == (first.id, CampaignState.AWAITING_APPROVAL)
    assert (first.size, campaign(world).size) == (1, 2)


# --- sending -------------------------------------------------------------------------------------------------------


def test_what_is_to_be_taken_on_must_be_there() -> None:
    with pytest.raises(LookupError, match="there is no campaign"):
        advance_campaign(a_fleet(400).context)


def test_a_campaign_that_was_quiet_goes_on_when_somebody_waits_again() -> None:
    world = a_campaign(1)
    world.sweep(after=TURN)
    obey(world)
    world.sweep(after=TURN)
    while campaign(world).quiet_since is None:
        world.sweep(after=timedelta(seconds=301))
    world.enrol("pump-9")
    world.certificates.stored[world.devices["pump-9"].certificate].created_at = world.clock() - timedelta(days=900)

    world.find_what_is_due()
    advance_campaign(world.context)

    assert campaign(world).quiet_since is None
    assert campaign(world).state is CampaignState.RUNNING


@pytest.fixture(name="one_by_one")
def _one_by_one(monkeypatch: pytest.MonkeyPatch) -> World:
    """A campaign of nine devices in its last step, with one job for each device."""
    monkeypatch.setattr("warden.core.quotas.TARGETS_PER_JOB", 1)
    world = a_campaign(9, rotation=f"{ENFORCED}canary_percent = 1\n")
    while campaign(world).step < 2:
        world.sweep(after=TURN)
        obey(world)
    return world


def sent(world: World) -> int:
    return len(world.jobs.of(ROTATE_CERTIFICATE))


def test_a_turn_sends_four_jobs_and_the_next_goes_on(one_by_one: World) -> None:
    assert sent(one_by_one) == 1 + 1 + 4, "two steps of one, and the first turn of the last step"

    advance_campaign(one_by_one.context)

    assert sent(one_by_one) == 9


def test_a_job_that_somebody_left_unsent_waits_while_the_service_is_stopped() -> None:
    world = a_campaign(1)
    start = world.jobs.start
    world.jobs.start = None  # type: ignore[assignment,method-assign]  # the responder is gone
    with pytest.raises(TypeError):
        world.sweep(after=TURN)
    world.jobs.start = start  # type: ignore[method-assign]

    world.order("stop", why="drill")
    world.sweep(after=TURN)
    assert sent(world) == 0
    world.order("resume")
    world.sweep(after=TURN)

    assert sent(world) == 1


def test_a_campaign_that_is_paused_between_two_jobs_sends_no_other(one_by_one: World) -> None:
    real = one_by_one.jobs.start

    def start_and_pause(order: JobOrder) -> None:
        real(order)
        pause = an_order(one_by_one, decision=CampaignDecision.PAUSE, request="request-9")
        carry_out_on_campaign(pause, one_by_one.context)

    one_by_one.jobs.start = start_and_pause  # type: ignore[method-assign]  # an operator, just then
    one_by_one.sweep(after=TURN)

    assert campaign(one_by_one).state is CampaignState.PAUSED
    assert sent(one_by_one) == 7


def test_a_device_that_is_rotated_meanwhile_is_left_to_that(one_by_one: World) -> None:
    one_by_one.report(an_old_certificate("pump-9"))
    [case] = [each for each in one_by_one.cases if each.source is Source.AUDIT]

    advance_campaign(one_by_one.context)

    member = read_member(one_by_one.ledger, "pump-9")
    assert member is not None
    assert member.state is MemberState.SKIPPED
    assert member.note == f"a rotation is under way already, for case {case.id}"


def test_what_an_index_still_shows_is_read_again(one_by_one: World) -> None:
    ledger, real = one_by_one.ledger, one_by_one.ledger.find
    done, gone = member_key("pump-1"), member_key("pump-99")

    def behind(index: Index, value: str, *, until: str | None = None, newest_first: bool = False) -> Iterator[Found]:
        if value == waiting_in(campaign(one_by_one).id):
            yield Found(gone, {})
            yield Found(done, {})
        yield from real(index, value, until=until, newest_first=newest_first)

    ledger.find = behind  # type: ignore[method-assign]  # an index is eventually consistent

    advance_campaign(one_by_one.context)

    assert sent(one_by_one) == 9
    assert state_of(one_by_one, "pump-1") is MemberState.DONE


def test_a_batch_that_nobody_sent_before_the_campaign_was_cancelled_is_let_go(one_by_one: World) -> None:
    real, number = one_by_one.ledger.commit, campaign(one_by_one).batches

    def die_after_the_choice(*puts: Put) -> None:
        real(*puts)
        if campaign(one_by_one).batches > number:
            one_by_one.ledger.commit = real  # type: ignore[method-assign]  # once
            raise Crash

    one_by_one.ledger.commit = die_after_the_choice  # type: ignore[method-assign]  # the responder is gone
    with pytest.raises(Crash):
        advance_campaign(one_by_one.context)
    carry_out_on_campaign(an_order(one_by_one, decision=CampaignDecision.CANCEL), one_by_one.context)

    advance_campaign(one_by_one.context)

    member = read_member(one_by_one.ledger, "pump-7")
    assert member is not None
    assert (member.state, member.note) == (MemberState.SKIPPED, "the campaign was cancelled")
    assert sent(one_by_one) == 6


def test_a_device_that_was_left_out_already_is_left_as_it_is_when_its_batch_is_let_go(one_by_one: World) -> None:
    one_by_one.report(a_finding("pump-7"))
    real = one_by_one.ledger.commit

    def die_after_leaving_it_out(*puts: Put) -> None:
        real(*puts)
        if any("pump-7" in put.record.get("outcomes", ()) for put in puts if put.record["type"] == "batch"):
            one_by_one.ledger.commit = real  # type: ignore[method-assign]  # once
            raise Crash

    one_by_one.ledger.commit = die_after_leaving_it_out  # type: ignore[method-assign]  # the responder is gone
    with pytest.raises(Crash):
        advance_campaign(one_by_one.context)
    carry_out_on_campaign(an_order(one_by_one, decision=CampaignDecision.CANCEL), one_by_one.context)

    advance_campaign(one_by_one.context)

    member = read_member(one_by_one.ledger, "pump-7")
    assert member is not None
    assert (member.state, member.note) == (
        MemberState.SKIPPED,
        "contained; releasing it renews the certificate",
    )


def test_a_device_whose_batch_is_forgotten_ends_all_the_same(one_by_one: World) -> None:
    found = campaign(one_by_one)
    for number in range(1, found.batches + 1):
        one_by_one.ledger.records.pop(batch_key(found.id, number), None)

    obey(one_by_one)

    assert one_by_one.queue.parked == []
    assert {case.resolution for case in one_by_one.cases} == {"rotated"}
