"""A contained thing is looked at again: what it was given meanwhile is restricted again, and lost work continues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    RESTRICTED_GROUP,
    RESTRICTED_POLICY,
    THING,
    World,
    a_finding,
    a_key,
    a_world,
    contained,
)
from warden.cases.model import CaseState
from warden.containment.snapshot import Containment, ContainmentState, read_containment
from warden.core.errors import ActionFailed
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.looks import look_at_contained, look_sooner, put_off

FIRST_LOOK = timedelta(minutes=8)
AN_HOUR = timedelta(hours=1)
KEEP = "release-keeping-certificate"
NEW = "b" * 64


@pytest.fixture(name="world")
def _world() -> World:
    world = a_world()
    contained(world)
    return world


def containment_of(world: World) -> Containment:
    containment = read_containment(world.ledger, THING)
    assert containment is not None
    return containment


def given_a_certificate(world: World) -> None:
    world.certificates.enrol(NEW, a_key(900).pem, ["full-rights"])
    world.registry.attached.append((NEW, THING))


def given_a_policy(world: World) -> None:
    world.certificates.attach_policy(world.device.certificate, "full-rights")


def put_into_a_group(world: World) -> None:
    world.registry.group_policies["pumps"] = ["pumps-policy"]
    world.registry.join_group(THING, "pumps")


def taken_out_of_ours(world: World) -> None:
    world.registry.leave_group(THING, RESTRICTED_GROUP)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (given_a_certificate, f"certificate {NEW[:12]} was attached to it, policy full-rights was attached"),
        (given_a_policy, "policy full-rights was attached"),
        (put_into_a_group, "it was put into pumps, which has policies"),
        (taken_out_of_ours, "it was taken out of what holds it"),
    ],
)
@pytest.mark.parametrize("looks_before", [0, 2])
def test_what_a_contained_thing_is_given_is_restricted_again_and_said_once(
    world: World, change: Callable[[World], None], words: str, looks_before: int
) -> None:
    for _ in range(looks_before):
        world.sweep(after=AN_HOUR)
    told = len(world.notices.sent)
    change(world)

    world.sweep(after=AN_HOUR)
    world.sweep(after=AN_HOUR)

    assert world.is_restricted()
    assert world.registry.groups[THING] == [RESTRICTED_GROUP]
    [entry] = [each for each in world.context.cases.timeline(world.case.id) if each.step.kind == "restricted-again"]
    assert entry.step.why == words
    assert len(world.notices.sent) == told + 1
    assert f"It was changed while it was contained: {words}." in world.notices.sent[-1].body


def test_a_certificate_that_another_contained_thing_holds_is_held_by_this_one_too() -> None:
    """It is restricted already; the release of the other one must not give its rights to this one."""
    world = a_world(THING, "pump-4")
    theirs = world.devices["pump-4"].certificate
    world.report(a_finding())
    world.report(a_finding("pump-4", id="violation-2"))
    world.registry.attached.append((theirs, THING))
    case = {each.thing: each.id for each in world.cases}

    world.sweep(after=FIRST_LOOK)
    world.order(KEEP, case["pump-4"])

    assert world.certificates.stored[theirs].policies == [RESTRICTED_POLICY]
    said = [each.step.why for each in world.context.cases.timeline(case[THING])]
    assert f"certificate {theirs[:12]} was attached to it" in said


def test_the_new_certificate_of_a_release_is_looked_at_in_silence(world: World) -> None:
    world.order("release", world.case.id)
    world.jobs.move(world.jobs.of(ROTATE_CERTIFICATE)[-1], "IN_PROGRESS")
    assert world.device.create()[0] == "accepted"

    world.sweep(after=FIRST_LOOK)

    assert "restricted-again" not in world.steps()
    assert world.is_restricted()


def test_a_thing_that_nobody_changed_is_looked_at_in_silence(world: World) -> None:
    told = len(world.notices.sent)
    world.sweep(after=FIRST_LOOK)
    asked, steps = len(world.connections.asked), world.steps()
    assert steps[-1] == "second-disconnect"

    for _ in range(5):
        world.sweep(after=AN_HOUR)

    assert world.steps() == steps
    assert len(world.connections.asked) == asked
    assert len(world.notices.sent) == told
    assert containment_of(world).looked_at == world.clock()


def test_a_look_that_is_repeated_says_the_second_disconnect_once(world: World) -> None:
    containment = containment_of(world)

    look_at_contained(containment, world.context)
    look_at_contained(containment, world.context)

    assert world.steps().count("second-disconnect") == 1


def test_the_interval_may_be_switched_off(world: World) -> None:
    world.context = replace(world.context, settings=replace(world.context.settings, look_every=timedelta()))

    world.sweep(after=FIRST_LOOK)

    assert containment_of(world).look_at is None


def test_without_disconnecting_the_first_look_disconnects_nobody(world: World) -> None:
    world.context = replace(world.context, settings=replace(world.context.settings, disconnect=False))
    asked = len(world.connections.asked)

    world.sweep(after=FIRST_LOOK)

    assert len(world.connections.asked) == asked
    assert "second-disconnect" not in world.steps()


def test_what_cannot_be_restricted_again_is_told_and_tried_again(world: World) -> None:
    given_a_certificate(world)
    real = world.certificates.attach_policy

    def refuse(certificate_id: str, policy: str) -> None:
        if certificate_id == NEW:
            raise ActionFailed(f"cannot attach policy {policy} to certificate {certificate_id}: it already has ten")
        real(certificate_id, policy)

    world.certificates.attach_policy = refuse  # type: ignore[method-assign]  # AWS IoT refuses

    world.sweep(after=FIRST_LOOK)
    assert world.steps()[-2:] == ["quarantine-failed", "notified"]
    assert "it already has ten" in world.notices.sent[-1].body

    world.certificates.attach_policy = real  # type: ignore[method-assign]  # and no more
    world.sweep(after=AN_HOUR)
    assert world.is_restricted()
    assert "restricted-again" in world.steps()


def test_a_thing_that_was_deleted_is_left_alone_until_it_is_made_again(world: World) -> None:
    world.registry.delete_thing(THING)
    steps = world.steps()
    world.sweep(after=AN_HOUR)
    assert [each for each in world.steps() if each != "second-disconnect"] == steps

    world.registry.add_thing(THING)
    given_a_certificate(world)
    world.sweep(after=AN_HOUR)

    assert world.is_restricted()
    assert world.registry.groups[THING] == [RESTRICTED_GROUP]


def found_again(world: World, number: int = 2) -> None:
    world.report(a_finding(id=f"violation-{number}", observed_at=world.clock()))


@pytest.mark.parametrize("look_every", [AN_HOUR, timedelta()])
def test_what_is_found_again_while_it_is_contained_is_looked_at_by_the_next_sweep(
    world: World, look_every: timedelta
) -> None:
    world.context = replace(world.context, settings=replace(world.context.settings, look_every=look_every))
    world.sweep(after=FIRST_LOOK)
    given_a_certificate(world)

    found_again(world)
    world.sweep(after=timedelta(minutes=5))

    assert world.is_restricted()
    assert "restricted-again" in world.steps()


def test_many_findings_bring_one_look_for_each_sweep(world: World) -> None:
    world.sweep(after=FIRST_LOOK)
    looks = [containment_of(world).version]
    for number in range(10):
        found_again(world, number)
    looks.append(containment_of(world).version)
    world.sweep(after=timedelta(minutes=5))
    looks.append(containment_of(world).version)
    world.sweep(after=timedelta(minutes=5))
    looks.append(containment_of(world).version)

    assert [after - before for before, after in pairwise(looks)] == [1, 1, 0]
    assert containment_of(world).look_at == world.clock() - timedelta(minutes=5) + AN_HOUR


def test_the_first_look_keeps_its_time(world: World) -> None:
    before = containment_of(world)

    found_again(world)

    assert containment_of(world) == before


def test_a_released_thing_that_is_found_again_is_not_looked_at_for_that(world: World) -> None:
    world.order(KEEP, world.case.id)
    world.sweep(after=FIRST_LOOK)
    released = containment_of(world)

    world.report(a_finding(kind="of-no-rule", observed_at=world.clock()))

    assert containment_of(world) == released


def test_one_that_is_being_changed_just_now_is_left_to_that(world: World) -> None:
    world.sweep(after=FIRST_LOOK)
    stale = replace(containment_of(world), version=1)

    look_sooner(stale, world.context)

    assert containment_of(world).look_at == world.clock() + AN_HOUR


def test_a_released_thing_is_looked_at_once(world: World) -> None:
    world.order(KEEP, world.case.id)
    world.certificates.attach_policy(world.device.certificate, RESTRICTED_POLICY)  # a call of ours that came late

    world.sweep(after=FIRST_LOOK)

    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
    assert containment_of(world).look_at is None


@pytest.mark.parametrize("lost_after", ["containing", "releasing"])
def test_what_nothing_continues_is_continued_by_the_sweep(lost_after: str) -> None:
    world = a_world()
    real = world.ledger.commit

    def commit_and_die(*puts: object) -> None:
        real(*puts)  # type: ignore[arg-type]  # the same
        if any(getattr(put, "record", {}).get("state") == lost_after for put in puts):
            raise RuntimeError

    if lost_after == "releasing":
        contained(world)
    world.ledger.commit = commit_and_die  # type: ignore[method-assign]  # the function dies, and its message is lost
    with pytest.raises(RuntimeError):
        world.report(a_finding()) if lost_after == "containing" else world.order(KEEP, world.case.id)
    world.ledger.commit = real  # type: ignore[method-assign]
    assert containment_of(world).state == lost_after

    world.sweep(after=FIRST_LOOK)

    assert containment_of(world).look_at == world.clock() + FIRST_LOOK, "the second disconnect, or the last look"
    if lost_after == "containing":
        assert (world.is_restricted(), world.case.state) == (True, CaseState.CONTAINED)
        assert containment_of(world).state is ContainmentState.CONTAINED
    else:
        assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
        assert (world.case.state, world.case.resolution) == (CaseState.CLOSED, "released")


def test_a_containment_that_failed_is_looked_at_again_and_again() -> None:
    world = a_world()
    world.certificates.gone_policies.add(RESTRICTED_POLICY)
    world.report(a_finding())
    assert "quarantine-failed" in world.steps()
    assert containment_of(world).state is ContainmentState.CONTAINING

    world.sweep(after=FIRST_LOOK)

    assert containment_of(world).look_at == world.clock() + AN_HOUR


def test_there_is_nothing_to_put_off_where_nothing_is_contained() -> None:
    world = a_world()

    put_off(THING, world.context)

    assert world.ledger.of_type("containment") == []
