"""A campaign and its sweep at odd moments: told twice, told of another, met by what is gone or of a strange status."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import World
from tests.unit.test_campaigns import ENFORCED, TURN, a_campaign, campaign, fail, obey
from tests.unit.test_certificate_sweep import ROTATION, a_fleet, state_of, verdicts
from warden.campaign_decisions import CampaignDecision, CampaignOrder, carry_out_on_campaign
from warden.campaign_notices import tell_of
from warden.campaigns import CampaignState, MemberState, batch_key
from warden.certificate_sweep import left_behind, sweep_certificates
from warden.errors import Refused
from warden.ledger import Key
from warden.plan import Mode
from warden.ports import Certificate
from warden.renewal_runs import read_run

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
    world.service = replace(world.service, settings=replace(world.service.settings, mode=Mode.OBSERVE))

    with pytest.raises(Refused) as caught:
        carry_out_on_campaign(order, world.service)

    assert caught.value.code == "observe-only"
    assert campaign(world).state is CampaignState.AWAITING_APPROVAL


def test_what_was_said_of_an_earlier_campaign_is_not_done_to_this_one() -> None:
    world = a_campaign(1, rotation=ROTATION)

    with pytest.raises(Refused, match="campaign before is over; this was not said of"):
        carry_out_on_campaign(an_order(world, campaign="before"), world.service)

    assert campaign(world).state is CampaignState.AWAITING_APPROVAL


def test_a_decision_that_comes_twice_is_taken_once() -> None:
    world = a_campaign(1, rotation=ROTATION)
    order = an_order(world)
    carry_out_on_campaign(order, world.service)
    carry_out_on_campaign(an_order(world, decision=CampaignDecision.PAUSE, request="request-2"), world.service)

    carry_out_on_campaign(order, world.service)

    assert campaign(world).state is CampaignState.PAUSED
    assert campaign(world).requests == ("request-1", "request-2")


def test_a_batch_that_is_forgotten_is_left_out_of_what_people_are_told() -> None:
    world = a_campaign(3)
    world.sweep(after=TURN)
    fail(world, "pump-1")
    stopped = campaign(world)
    del world.ledger.records[batch_key(stopped.id, 1)]
    world.notices.sent.clear()

    tell_of(replace(stopped, state=CampaignState.STOPPED, said=()), world.service)

    assert "STOPPED" in world.notices.sent[-1].subject
    assert "Failed last" not in world.notices.sent[-1].body


# --- the sweep -----------------------------------------------------------------------------------------------------


def test_there_is_nothing_to_go_on_with_where_no_run_was_left() -> None:
    world = a_fleet(400)
    left_behind(Key("nothing", "here"), {}, world.service)
    assert world.renewal_queue.runs == []

    world.find_what_is_due()
    left_behind(Key("nothing", "here"), {}, world.service)
    assert world.renewal_queue.runs == [], "that one is reported"


def test_the_same_event_begins_no_second_run() -> None:
    world = a_fleet(400)
    first = sweep_certificates(world._a_turn(), trigger="event-1", only_during_campaign=False)
    run = read_run(world.ledger)
    world.clock.advance(timedelta(hours=1))

    sweep_certificates(world._a_turn(), trigger="event-1", only_during_campaign=False)

    assert first == "reported"
    assert read_run(world.ledger) == run


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
    assert verdicts(world) == {"pump-1": "its thing is gone"}


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
    assert said == {"pump-2": "given up in this campaign", "pump-3": "in hand", "pump-4": "waiting"}


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
