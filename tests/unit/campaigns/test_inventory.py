"""The sweep of certificates: it finds all that are due at a cost that depends on them, after any crash."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import PLAN, Crash, World, a_finding, a_world, an_old_certificate, contained
from warden.campaigns.inventory import Turn, resume_run
from warden.campaigns.inventory_runs import read_run
from warden.campaigns.records import CampaignState, MemberState, read_campaign, read_member
from warden.core.mode import Mode

ROTATION = """
[rotation]
mode = "approve"
devices_per_day = 2
"""


def a_fleet(*ages: int, rotation: str = ROTATION, **settings: Any) -> World:
    """Build a world with a device for each age of a certificate, in days: pump-1, pump-2 and so on."""
    names = [f"pump-{number}" for number in range(1, len(ages) + 1)]
    world = a_world(*names, plan=PLAN.replace("[[rule]]", f"{rotation}\n[[rule]]", 1), **settings)
    for name, age in zip(names, ages, strict=True):
        certificate = world.devices[name].certificate
        world.certificates.stored[certificate].created_at = world.clock() - timedelta(days=age)
    return world


def rows(world: World) -> list[dict[str, str]]:
    """Return the lines of the only report."""
    (lines,) = world.reports.kept.values()
    return list(csv.DictReader(lines))


def verdicts(world: World) -> dict[str, str]:
    return {row["thing"]: row["verdict"] for row in rows(world)}


def state_of(world: World, thing: str) -> MemberState | None:
    member = read_member(world.ledger, thing)
    return member.state if member else None


def test_what_is_past_its_age_is_enrolled_and_the_young_is_not_read() -> None:
    world = a_fleet(400, 366, 364, 10)

    assert world.find_what_is_due() == "reported"

    assert verdicts(world) == {"pump-1": "enrolled", "pump-2": "enrolled"}
    assert [state_of(world, f"pump-{number}") for number in range(1, 5)] == [
        *(MemberState.WAITING, MemberState.WAITING, None, None)
    ]


def test_a_run_that_is_over_or_another_is_left_alone() -> None:
    world = a_fleet(400)
    world.find_what_is_due()
    run, turn = read_run(world.ledger), Turn(world.context, lambda: timedelta(minutes=3), lambda: None)
    assert run is not None
    before = dict(world.ledger.records)

    assert [resume_run(each, turn) for each in (run.id, "another")] == ["over", "over"]
    assert world.ledger.records == before


def test_a_device_whose_rotation_is_under_way_is_not_enrolled() -> None:
    world = a_fleet(400)
    world.report(an_old_certificate("pump-1"))

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "in-hand"}


def test_the_report_waits_until_the_index_shows_every_result() -> None:
    world = a_fleet(400, 366)
    sent = world.renewal_queue.send_run

    def shown_meanwhile(run: str, *, after_seconds: int = 0) -> None:
        world.ledger.index_behind = 0
        sent(run, after_seconds=after_seconds)

    world.ledger.index_behind = 4  # the results, the campaign's members, the end of the run
    world.renewal_queue.send_run = shown_meanwhile  # type: ignore[method-assign]  # time passes

    assert world.find_what_is_due() == "continues"

    assert verdicts(world) == {"pump-1": "enrolled", "pump-2": "enrolled"}
    assert "2" in world.notices.sent[-1].subject


def test_an_index_that_never_shows_a_result_is_believed_in_the_end() -> None:
    world = a_fleet(400)
    world.ledger.index_behind = 1_000

    world.find_what_is_due()

    assert rows(world) == []
    assert world.renewal_queue.delay == timedelta(seconds=30)


def test_things_are_looked_up_for_what_is_due_alone() -> None:
    world = a_fleet(400, 366, 364, 10)
    looked_up = Counter[str]()
    things_of = world.registry.things_of

    def counted(certificate_id: str) -> list[str]:
        looked_up[certificate_id] += 1
        return things_of(certificate_id)

    world.registry.things_of = counted  # type: ignore[method-assign]

    world.find_what_is_due()

    assert looked_up == {world.devices["pump-1"].certificate: 1, world.devices["pump-2"].certificate: 1}


@pytest.mark.parametrize("page_size", [1, 2, 3, 250])
@pytest.mark.parametrize("lookups_a_turn", [1, 2, 100])
def test_every_page_is_read_in_as_many_turns_as_it_takes(page_size: int, lookups_a_turn: int) -> None:
    world = a_fleet(700, 600, 500, 400, 390, 10)
    world.certificates.page_size = page_size

    world.find_what_is_due(lookups_a_turn=lookups_a_turn)

    assert [row["thing"] for row in rows(world)] == [f"pump-{number}" for number in range(1, 6)]
    assert len(world.notices.sent) == 1


def test_a_page_that_aws_has_forgotten_is_begun_anew_without_a_second_look() -> None:
    world = a_fleet(700, 600, 500)
    world.certificates.page_size = 1
    world.certificates.forgets_pages = 1

    world.find_what_is_due()

    assert [row["thing"] for row in rows(world)] == ["pump-1", "pump-2", "pump-3"]


def test_the_report_says_what_will_be_when_and_what_cannot_and_why() -> None:
    world = a_fleet(2000, 500, 450, 420, 400, 390)
    world.report(a_finding("pump-2"))
    world.registry.attached.remove((world.devices["pump-3"].certificate, "pump-3"))

    world.find_what_is_due()

    assert [(row["thing"], row["verdict"], row["day_of_campaign"]) for row in rows(world)] == [
        ("pump-1", "enrolled", "1"),
        ("pump-2", "contained", ""),
        ("", "on-no-thing", ""),
        ("pump-4", "enrolled", "1"),
        ("pump-5", "enrolled", "2"),
        ("pump-6", "enrolled", "2"),
    ]
    body = world.notices.sent[-1].body
    assert "Oldest    2,000 days" in body
    assert "4  in turn: what a detector named, then the oldest\n             2 days at 2 devices a day" in body
    assert "1  are contained; releasing them renews the certificate" in body
    assert "1  are on no thing, but carry a policy" in body
    assert "warden campaign start" in body


def test_a_name_that_a_spreadsheet_would_work_out_is_quoted() -> None:
    world = a_world("-1-2")
    world.certificates.stored[world.devices["-1-2"].certificate].created_at = world.clock() - timedelta(days=400)

    world.find_what_is_due()

    assert [row["thing"] for row in rows(world)] == ["'-1-2"]


def test_each_thing_of_a_shared_certificate_is_enrolled() -> None:
    world = a_fleet(400, 10)
    world.registry.attached.append((world.devices["pump-1"].certificate, "pump-2"))

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "enrolled", "pump-2": "enrolled"}


def test_a_thing_with_two_old_certificates_is_enrolled_once() -> None:
    world = a_fleet(400, 390)
    world.registry.attached.append((world.devices["pump-2"].certificate, "pump-1"))
    world.registry.attached.remove((world.devices["pump-2"].certificate, "pump-2"))

    world.find_what_is_due()

    assert [(row["thing"], row["verdict"], row["day_of_campaign"]) for row in rows(world)] == [
        ("pump-1", "enrolled", "1"),
        ("pump-1", "another-of-its-thing", ""),
    ]
    assert "1  are further old certificates of things that wait" in world.notices.sent[-1].body
    campaign = read_campaign(world.ledger)
    assert campaign is not None
    assert (campaign.size, campaign.state) == (1, CampaignState.AWAITING_APPROVAL)


def test_what_is_never_touched_is_reported_and_left() -> None:
    never = '[never_touch]\nthings = ["pump-1"]\nthing_types = ["valve"]\n'
    world = a_fleet(400, 400, 400, rotation=f"{never}{ROTATION}")
    world.registry.types["pump-2"] = "valve"

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "never-touched", "pump-2": "never-touched", "pump-3": "enrolled"}


def test_a_type_of_thing_may_have_an_age_of_its_own() -> None:
    world = a_fleet(400, 400, 100, 100, rotation=f'{ROTATION}days_by_type = {{ "meter-*" = 90, "valve" = 1000 }}\n')
    world.registry.types.update({"pump-2": "valve", "pump-3": "meter-4"})

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "enrolled", "pump-3": "enrolled"}


@pytest.mark.parametrize(("mode", "rotation"), [(Mode.OBSERVE, "enforce"), (Mode.ENFORCE, "observe")])
def test_where_nothing_is_to_be_touched_there_is_a_report_and_no_campaign(mode: Mode, rotation: str) -> None:
    world = a_fleet(400, rotation=f'[rotation]\nmode = "{rotation}"\n', mode=mode)

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "only-reported"}
    assert (read_campaign(world.ledger), state_of(world, "pump-1")) == (None, None)


def test_a_second_sweep_knows_what_waits_already() -> None:
    world = a_fleet(400, 390)
    world.find_what_is_due()
    world.reports.kept.clear()
    world.clock.advance(timedelta(days=1))
    newcomer = world.enrol("pump-9")
    world.certificates.stored[newcomer.certificate].created_at = world.clock() - timedelta(days=370)

    world.find_what_is_due(only_during_campaign=True)

    assert verdicts(world) == {"pump-1": "waiting", "pump-2": "waiting", "pump-9": "enrolled"}
    campaign = read_campaign(world.ledger)
    assert campaign is not None
    assert campaign.size == 3


def test_the_daily_sweep_rests_while_no_campaign_is_open() -> None:
    world = a_fleet(400)

    assert world.find_what_is_due(only_during_campaign=True) == "no-campaign"

    assert (world.reports.kept, read_run(world.ledger)) == ({}, None)


def test_of_two_sweeps_at_once_one_gives_way() -> None:
    world = a_fleet(400)
    world.certificates.page_size = 1
    oldest_page = world.certificates.oldest_page
    said: list[str] = []

    def meanwhile(page: str) -> Any:
        if not said:
            said.append("")
            said[0] = world.find_what_is_due()
        return oldest_page(page)

    world.certificates.oldest_page = meanwhile  # type: ignore[method-assign]

    assert world.find_what_is_due() == "reported"
    assert said == ["left-alone"]


def test_a_sweep_that_was_left_is_gone_on_with() -> None:
    world = a_fleet(400, 390)
    world.certificates.broken = 1

    with pytest.raises(Exception, match="ListCertificates"):
        world.find_what_is_due()
    assert world.find_what_is_due() == "left-alone"
    world.clock.advance(timedelta(minutes=20))

    assert world.find_what_is_due() == "reported"
    assert verdicts(world) == {"pump-1": "enrolled", "pump-2": "enrolled"}


def test_certificates_that_nobody_needs_are_only_reported_unless_the_plan_says_clean() -> None:
    world = a_fleet(400, 390)
    alone, orphan = (world.devices[name].certificate for name in ("pump-1", "pump-2"))
    world.registry.attached.clear()
    world.certificates.stored[orphan].policies.clear()

    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["on-no-thing", "on-no-thing-without-policy"]
    assert {world.certificates.stored[each].status for each in (alone, orphan)} == {"ACTIVE"}


HYGIENE = '[hygiene]\non_no_thing = "clean"\ninactive = "clean"\ninactive_days = 60\n'


def test_clean_makes_what_is_on_no_thing_inactive() -> None:
    world = a_fleet(400, rotation=f"{ROTATION}{HYGIENE}")
    world.registry.attached.clear()

    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["made-inactive"]
    assert world.certificates.stored[world.device.certificate].status == "INACTIVE"


def test_clean_deletes_what_was_long_inactive_and_is_on_no_thing() -> None:
    world = a_fleet(400, 399, 398, rotation=f"{ROTATION}{HYGIENE}")
    long_ago, just_now, attached = (world.devices[f"pump-{number}"].certificate for number in (1, 2, 3))
    for certificate, days in ((long_ago, 61), (just_now, 59), (attached, 61)):
        world.certificates.deactivate(certificate)
        world.certificates.stored[certificate].changed_at = world.clock() - timedelta(days=days)
    world.registry.attached[:] = [(attached, "pump-3")]

    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["deleted", "long-inactive"]
    assert set(world.certificates.stored) == {just_now, attached}
    assert "3 certificates passed over: INACTIVE" in world.notices.sent[-1].body


def dies_once(world: World, name: str, *, after: bool) -> None:
    """Crash the sweep at its next call of a method of the certificates, before or after the call is done."""
    real = getattr(world.certificates, name)

    def method(certificate_id: str) -> None:
        setattr(world.certificates, name, real)
        if after:
            real(certificate_id)
        raise Crash(name)

    setattr(world.certificates, name, method)


def long_inactive() -> World:
    """Build a world whose only certificate is on no thing, and INACTIVE for longer than the plan keeps it."""
    world = a_fleet(400, rotation=f"{ROTATION}{HYGIENE}")
    world.registry.attached.clear()
    world.certificates.deactivate(world.device.certificate)
    world.certificates.stored[world.device.certificate].changed_at = world.clock() - timedelta(days=61)
    return world


def test_clean_keeps_what_would_register_itself_again() -> None:
    world = long_inactive()
    certificate = world.device.certificate
    world.certificates.stored[certificate].ca = "c" * 64

    world.find_what_is_due()

    assert (rows(world), set(world.certificates.stored)) == ([], {certificate})


@pytest.mark.parametrize("after", [False, True])
def test_what_a_sweep_that_died_made_inactive_is_so_and_in_its_report(after: bool) -> None:
    world = a_fleet(400, rotation=f"{ROTATION}{HYGIENE}")
    world.registry.attached.clear()
    dies_once(world, "deactivate", after=after)

    with pytest.raises(Crash):
        world.find_what_is_due()
    world.clock.advance(timedelta(minutes=20))
    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["made-inactive"]
    assert world.certificates.stored[world.device.certificate].status == "INACTIVE"


@pytest.mark.parametrize("after", [False, True])
def test_what_a_sweep_that_died_deleted_is_gone_and_in_its_report(after: bool) -> None:
    world = long_inactive()
    dies_once(world, "delete", after=after)

    with pytest.raises(Crash):
        world.find_what_is_due()
    world.clock.advance(timedelta(minutes=20))
    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["deleted"]
    assert world.certificates.stored == {}


def test_what_was_to_be_deleted_and_is_on_a_thing_by_then_is_kept() -> None:
    world = long_inactive()
    certificate = world.device.certificate
    dies_once(world, "delete", after=False)

    with pytest.raises(Crash):
        world.find_what_is_due()
    world.registry.attached[:] = [(certificate, "pump-1")]
    world.clock.advance(timedelta(minutes=20))
    world.find_what_is_due()

    assert [row["verdict"] for row in rows(world)] == ["long-inactive"]
    assert set(world.certificates.stored) == {certificate}


def test_in_observe_nothing_is_cleaned_whatever_the_plan_says() -> None:
    world = a_fleet(400, rotation=f"{ROTATION}{HYGIENE}", mode=Mode.OBSERVE)
    world.registry.attached.clear()

    world.find_what_is_due()

    assert world.certificates.stored[world.device.certificate].status == "ACTIVE"


def test_a_rotation_under_way_is_left_to_whoever_began_it() -> None:
    world = a_fleet(400)
    case = contained(world)
    world.order("release", case.id)

    world.find_what_is_due()

    assert verdicts(world) == {"pump-1": "contained"}


def test_two_sweeps_within_one_second_count_each_device_once() -> None:
    world = a_fleet(400, 390)

    world.find_what_is_due()
    world.find_what_is_due()

    campaign = read_campaign(world.ledger)
    assert campaign is not None
    assert campaign.size == 2
    assert len(world.reports.kept) == 2
