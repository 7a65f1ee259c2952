"""Quarantine and release: effective, exactly reversible, and refused when somebody changed the device meanwhile."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    NOON,
    OPERATOR,
    PLAN,
    RESTRICTED_GROUP,
    RESTRICTED_POLICY,
    THING,
    World,
    a_finding,
    a_key,
    a_world,
    an_old_certificate,
    contained,
)
from warden.cases.allowed import Decision
from warden.cases.model import CaseState, Progress, StepKind
from warden.containment.snapshot import ContainmentState
from warden.core.actions import QUARANTINE
from warden.core.errors import NotYet
from warden.core.ledger import Put
from warden.operate.commands import operate
from warden.plan.actions import COLLECT_LOGS, ROTATE_CERTIFICATE
from warden.respond.decisions import Order, carry_out

TEN = [f"policy-{number}" for number in range(10)]
KEEP = "release-keeping-certificate"
SECOND = "b" * 64


@pytest.fixture(name="world")
def _world() -> World:
    return a_world()


def a_second_certificate(world: World, thing: str = THING, certificate: str = SECOND) -> str:
    world.certificates.enrol(certificate, a_key(900).pem, ["other-policy"])
    world.registry.attached.append((certificate, thing))
    return certificate


# --- effective -----------------------------------------------------------------------------------------------------


def test_a_certificate_with_ten_policies_is_restricted_and_gets_all_ten_back() -> None:
    world = a_world(THING)
    world.certificates.stored[world.device.certificate].policies = list(TEN)

    world.report(a_finding())
    assert world.is_restricted()

    world.order(KEEP, world.case.id)
    assert world.policies() == {world.device.certificate: set(TEN)}


def test_a_thing_in_ten_groups_is_held_by_its_certificate_alone(world: World) -> None:
    groups = [f"group-{number}" for number in range(10)]
    world.registry.add_thing(THING, groups=groups)

    world.report(a_finding())
    assert world.is_restricted()
    assert RESTRICTED_GROUP not in world.registry.groups[THING]
    assert "it could not join the restricted group" in world.case.outcomes[QUARANTINE].detail

    world.order(KEEP, world.case.id)
    assert world.case.resolution == "released"
    assert world.registry.groups[THING] == groups


def test_a_thing_without_a_certificate_is_held_by_the_group_alone(world: World) -> None:
    world.registry.attached.clear()

    world.report(a_finding())

    assert world.case.outcomes[QUARANTINE].progress is Progress.DONE
    assert world.registry.groups[THING] == [RESTRICTED_GROUP]


def test_a_thing_that_nothing_can_hold_is_a_failure_that_people_hear_of(world: World) -> None:
    world.registry.attached.clear()
    world.registry.add_thing(THING, groups=[f"group-{number}" for number in range(10)])

    world.report(a_finding())

    assert world.case.outcomes[QUARANTINE].progress is Progress.FAILED
    assert world.case.outcomes[COLLECT_LOGS].progress is Progress.STARTED
    assert len(world.notices.sent) == 1


def test_both_certificates_of_a_thing_are_restricted_and_each_gets_its_own_back(world: World) -> None:
    a_second_certificate(world)

    world.report(a_finding())
    assert world.is_restricted()

    world.order(KEEP, world.case.id)
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}, SECOND: {"other-policy"}}


def test_a_policy_attached_while_the_quarantine_runs_is_taken_and_given_back(world: World) -> None:
    world.certificates.outdated_reads = 0
    real = world.registry.join_group

    def join_and_meddle(thing: str, group: str) -> None:
        real(thing, group)
        if group == RESTRICTED_GROUP:
            world.certificates.attach_policy(world.device.certificate, "slipped-in")

    world.registry.join_group = join_and_meddle  # type: ignore[method-assign]  # somebody else, at that very moment
    world.receives = 3

    world.report(a_finding())
    assert world.is_restricted()

    world.order(KEEP, world.case.id)
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY, "slipped-in"}}


def test_a_quarantine_is_not_done_before_aws_iot_shows_it(world: World) -> None:
    real = world.certificates.detach_policy

    def detach_and_show_it_late(certificate_id: str, policy: str) -> None:
        real(certificate_id, policy)
        world.certificates.outdated_reads = 3  # one that asks what is effective, two that go through item by item

    world.certificates.detach_policy = detach_and_show_it_late  # type: ignore[method-assign]  # eventual consistency

    with pytest.raises(NotYet, match="still shows policies"):
        world.report(a_finding())


def test_a_group_that_gives_rights_is_left_and_another_kept(world: World) -> None:
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups[THING] = ["pumps", "site-4"]

    world.report(a_finding())

    assert world.registry.groups[THING] == ["site-4", RESTRICTED_GROUP]


def test_a_group_remembered_as_harmless_that_was_given_a_policy_since_is_left(world: World) -> None:
    world.enrol("pump-4")
    world.registry.group_policies["site-4"] = []
    world.registry.groups |= {THING: ["site-4"], "pump-4": ["site-4"]}
    world.report(a_finding())
    world.registry.group_policies["site-4"] = ["given-since"]

    world.report(a_finding("pump-4", id="violation-2"))

    assert world.registry.groups["pump-4"] == [RESTRICTED_GROUP]
    assert world.registry.effective_policies("pump-4", world.devices["pump-4"].certificate) == [RESTRICTED_POLICY]


def test_a_policy_given_to_a_group_while_the_quarantine_runs_is_seen(world: World) -> None:
    world.registry.group_policies["site-4"] = []
    world.registry.groups[THING] = ["site-4"]
    real = world.registry.join_group

    def join_and_meddle(thing: str, group: str) -> None:
        real(thing, group)
        world.registry.group_policies["site-4"] = ["slipped-in"]

    world.registry.join_group = join_and_meddle  # type: ignore[method-assign]  # somebody else, at that very moment

    world.report(a_finding())

    assert world.registry.groups[THING] == [RESTRICTED_GROUP]
    assert world.case.outcomes[QUARANTINE].progress is Progress.DONE


def test_where_aws_iot_does_not_tell_what_is_effective_nothing_remembered_is_believed(world: World) -> None:
    world.registry.tells_what_is_effective = False
    world.enrol("pump-4")
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups |= {THING: ["pumps", "site-4"], "pump-4": ["pumps", "site-4"]}
    world.report(a_finding())
    world.registry.group_policies["site-4"] = ["given-since"]

    world.report(a_finding("pump-4", id="violation-2"))

    assert world.registry.groups == {THING: ["site-4", RESTRICTED_GROUP], "pump-4": [RESTRICTED_GROUP]}
    assert world.is_restricted()
    assert world.is_restricted("pump-4")


def test_a_groups_policies_are_asked_for_again_after_an_hour(world: World) -> None:
    world.enrol("pump-4")
    world.registry.group_policies["site-4"] = ["site-policy"]
    world.registry.groups |= {THING: ["site-4"], "pump-4": ["site-4"]}
    world.report(a_finding())
    world.registry.group_policies["site-4"] = []

    world.clock.advance(timedelta(hours=1))
    world.report(a_finding("pump-4", id="violation-2", observed_at=world.clock() - timedelta(minutes=1)))

    assert world.registry.groups["pump-4"] == ["site-4", RESTRICTED_GROUP]


def test_a_certificate_that_a_rotation_attaches_before_the_containment_is_on_record_goes(world: World) -> None:
    """The device asks for its certificate between the decision's look at the thing and the quarantine."""
    old = world.device.certificate
    world.report(an_old_certificate())
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    world.jobs.move(job, "IN_PROGRESS")
    real = world.registry.things_of
    asked: list[str] = []

    def list_and_let_the_device_ask(certificate_id: str) -> list[str]:
        listed = real(certificate_id)
        if not asked:
            asked.append(certificate_id)
            assert world.device.create()[0] == "accepted"
        return listed

    world.registry.things_of = list_and_let_the_device_ask  # type: ignore[method-assign]  # at that very moment

    world.report(a_finding())

    assert world.policies() == {old: {RESTRICTED_POLICY}}


def test_a_thing_of_a_type_that_is_never_touched_is_held() -> None:
    world = a_world(plan=PLAN.replace("[limits]", '[never_touch]\nthing_types = ["valve"]\n\n[limits]', 1))
    world.registry.add_thing(THING, thing_type="valve")

    world.report(a_finding())

    assert world.case.state is CaseState.HELD
    assert not world.is_restricted()


def test_what_was_read_before_a_long_wait_is_read_again(world: World) -> None:
    """A policy and a group are added while the governor waits for AWS IoT: the snapshot has them."""
    world.registry.group_policies["site-4"] = []
    real = world.registry.things_of

    def list_late(certificate_id: str) -> list[str]:
        world.clock.advance(timedelta(seconds=11))
        world.registry.groups[THING] = ["site-4"]
        return real(certificate_id)

    world.registry.things_of = list_late  # type: ignore[method-assign]  # throttled, and somebody else at work

    world.report(a_finding())

    (containment,) = world.ledger.of_type("containment")
    assert containment["all_groups"] == ["site-4"]


def test_the_broker_forgets_the_session_of_a_device_that_is_contained_and_keeps_that_of_a_released_one() -> None:
    world = a_world()

    contained(world)
    world.sweep(after=timedelta(minutes=10))
    assert world.connections.asked == world.connections.forgotten == [THING, THING]

    world.order(KEEP, world.case.id)
    assert world.connections.asked == [THING] * 3
    assert world.connections.forgotten == [THING] * 2


def test_disconnecting_may_be_switched_off() -> None:
    world = a_world(disconnect=False)

    contained(world)
    world.sweep(after=timedelta(minutes=10))
    world.order(KEEP, world.case.id)

    assert world.connections.asked == []
    assert world.case.resolution == "released"


# --- reversible exactly, or refused --------------------------------------------------------------------------------


def give_a_policy(world: World) -> None:
    world.certificates.attach_policy(world.device.certificate, "admin")


def take_the_restricted_policy(world: World) -> None:
    world.certificates.detach_policy(world.device.certificate, RESTRICTED_POLICY)


def attach_a_certificate(world: World) -> None:
    a_second_certificate(world)


def detach_the_certificate(world: World) -> None:
    world.certificates.detach_thing(world.device.certificate, THING)


def put_back(world: World) -> None:
    world.registry.join_group(THING, "pumps")


def give_its_own_back(world: World) -> None:
    world.certificates.attach_policy(world.device.certificate, DEVICE_POLICY)


def put_elsewhere(world: World) -> None:
    world.registry.group_policies["spares"] = []
    world.registry.join_group(THING, "spares")


def take_out(world: World) -> None:
    world.registry.leave_group(THING, "site-4")


def take_out_of_ours(world: World) -> None:
    world.registry.leave_group(THING, RESTRICTED_GROUP)


def delete(world: World) -> None:
    world.registry.delete_thing(THING)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (give_a_policy, "was given admin meanwhile"),
        (take_the_restricted_policy, "lost the restricted policy meanwhile"),
        (attach_a_certificate, "certificate bbbbbbbbbbbb was attached meanwhile"),
        (detach_the_certificate, "was detached from the thing meanwhile"),
        (put_back, "it was put back into pumps meanwhile"),
        (put_elsewhere, "it was put into spares meanwhile"),
        (take_out, "it was taken out of site-4 meanwhile"),
        (take_out_of_ours, f"it was taken out of {RESTRICTED_GROUP} meanwhile"),
        (delete, "pump-3 was deleted from the registry meanwhile"),
    ],
)
def test_a_device_that_was_changed_meanwhile_is_not_released(
    world: World, change: Callable[[World], None], said: str
) -> None:
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups[THING] = ["pumps", "site-4"]
    contained(world)
    world.clock.advance(timedelta(minutes=8))
    change(world)
    before = world.policies()

    world.order(KEEP, world.case.id)

    assert world.case.state is CaseState.CONTAINED
    assert world.policies() == before
    assert world.refusals == ["changed-meanwhile"]
    assert said in str(world.ledger.of_type("refusal")[0]["reason"])


@pytest.mark.parametrize("change", [take_the_restricted_policy, put_back, take_out_of_ours, give_its_own_back])
def test_what_a_list_may_not_show_yet_is_no_difference(world: World, change: Callable[[World], None]) -> None:
    """A list from before the containment shows the same, and the release gives it back in any case."""
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups[THING] = ["pumps", "site-4"]
    contained(world)
    change(world)

    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
    assert sorted(world.registry.groups[THING]) == ["pumps", "site-4"]


def test_a_certificate_that_is_not_shown_yet_is_waited_for(world: World) -> None:
    contained(world)
    attached = list(world.registry.attached)
    detach_the_certificate(world)
    with pytest.raises(NotYet, match="was detached from the thing meanwhile"):
        world.order(KEEP, world.case.id)
    assert (world.case.state, world.refusals) == (CaseState.CONTAINED, [])

    world.registry.attached[:] = attached
    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"


@pytest.mark.parametrize("change", [give_a_policy, attach_a_certificate, put_elsewhere, take_out])
def test_what_no_list_of_ours_would_show_is_a_difference_at_once(world: World, change: Callable[[World], None]) -> None:
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups[THING] = ["pumps", "site-4"]
    contained(world)
    change(world)

    world.order(KEEP, world.case.id)

    assert world.refusals == ["changed-meanwhile"]


def test_a_device_changed_while_it_rotates_stays_contained_and_people_are_told(world: World) -> None:
    contained(world)
    world.order("release", world.case.id)
    put_elsewhere(world)

    world.device.work()
    world.drain()

    assert world.case.state is CaseState.CONTAINED
    assert world.is_restricted()
    assert "it was put into spares meanwhile" in world.notices.sent[-1].body


@pytest.mark.parametrize(
    ("change", "after", "groups"),
    [
        (give_a_policy, {DEVICE_POLICY, "admin"}, ["site-4", "pumps"]),
        (take_the_restricted_policy, {DEVICE_POLICY}, ["site-4", "pumps"]),
        (put_back, {DEVICE_POLICY}, ["site-4", "pumps"]),
        (put_elsewhere, {DEVICE_POLICY}, ["site-4", "spares", "pumps"]),
        (take_out, {DEVICE_POLICY}, ["pumps"]),
        (take_out_of_ours, {DEVICE_POLICY}, ["site-4", "pumps"]),
    ],
)
def test_a_release_may_take_the_device_as_people_have_made_it(
    world: World, change: Callable[[World], None], after: set[str], groups: list[str]
) -> None:
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    world.registry.groups[THING] = ["pumps", "site-4"]
    contained(world)
    change(world)

    world.order(KEEP, world.case.id, acceptChanges=True)

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: after}
    assert sorted(world.registry.groups[THING]) == sorted(groups)


def test_a_certificate_that_people_took_from_the_device_gets_no_rights_back(world: World) -> None:
    other = a_second_certificate(world)
    contained(world)
    world.certificates.detach_thing(other, THING)

    world.order(KEEP, world.case.id, acceptChanges=True)

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
    assert world.certificates.stored[other].policies == [RESTRICTED_POLICY]


def test_a_certificate_that_people_attached_is_left_as_it_is(world: World) -> None:
    contained(world)
    other = a_second_certificate(world)
    had = list(world.certificates.stored[other].policies)

    world.order(KEEP, world.case.id, acceptChanges=True)

    assert world.case.resolution == "released"
    assert world.certificates.stored[other].policies == had


def test_a_thing_that_was_deleted_is_released_all_the_same(world: World) -> None:
    contained(world)
    delete(world)

    world.order(KEEP, world.case.id, acceptChanges=True)

    assert world.case.resolution == "released"


def test_a_release_that_rotates_takes_the_changes_too(world: World) -> None:
    contained(world)
    put_elsewhere(world)
    world.order("release", world.case.id, acceptChanges=True)

    world.device.work()
    world.drain()

    assert world.case.resolution == "released"
    assert "spares" in world.registry.groups[THING]


def test_what_was_deleted_meanwhile_is_named_and_the_rest_is_given_back(world: World) -> None:
    world.certificates.attach_policy(world.device.certificate, "extra")
    world.registry.group_policies |= {"pumps": ["pumps-policy"]}
    world.registry.groups[THING] = ["pumps"]
    contained(world)
    world.certificates.gone_policies.add("extra")
    del world.registry.group_policies["pumps"]

    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}
    [said] = [
        entry.step.why for entry in world.context.cases.timeline(world.case.id) if entry.step.kind is StepKind.RELEASED
    ]
    assert "cannot attach policy extra" in said
    assert "cannot put pump-3 into group pumps" in said
    assert "Not everything could be given back: cannot attach policy extra" in world.notices.sent[-1].body


def test_a_certificate_without_any_policy_left_keeps_ours(world: World) -> None:
    contained(world)
    world.certificates.gone_policies.add(DEVICE_POLICY)

    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: {RESTRICTED_POLICY}}
    [said] = [
        entry.step.why for entry in world.context.cases.timeline(world.case.id) if entry.step.kind is StepKind.RELEASED
    ]
    assert f"has none of its policies left and keeps {RESTRICTED_POLICY}" in said


def test_a_release_never_leaves_the_device_without_any_policy(world: World) -> None:
    world.certificates.stored[world.device.certificate].policies = list(TEN)
    contained(world)
    seen: list[int] = []
    real = world.certificates.detach_policy

    def detach_and_look(certificate_id: str, policy: str) -> None:
        real(certificate_id, policy)
        seen.append(len(world.certificates.stored[certificate_id].policies))

    world.certificates.detach_policy = detach_and_look  # type: ignore[method-assign]  # a witness, not a mock

    world.order(KEEP, world.case.id)

    assert seen
    assert min(seen) > 0


# --- two cases, one thing ------------------------------------------------------------------------------------------


def test_a_thing_held_by_two_cases_is_free_only_after_both(world: World) -> None:
    world.report(a_finding())
    world.report(a_finding(id="violation-2", kind="aws:num-messages-sent"))
    first, second = world.cases

    world.order(KEEP, first.id)
    assert world.is_restricted()
    assert [case.state for case in world.cases] == [CaseState.CLOSED, CaseState.CONTAINED]
    assert f"stays contained for {second.id}" in world.context.cases.timeline(first.id)[-2].step.why

    world.order(KEEP, second.id)
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


def test_a_released_device_can_be_contained_again_and_released_again(world: World) -> None:
    contained(world)
    world.order(KEEP, world.case.id)
    world.clock.advance(timedelta(hours=1))

    world.report(a_finding(id="violation-9", observed_at=NOON + timedelta(hours=1)))
    assert world.is_restricted()

    world.order(KEEP, world.cases[-1].id)
    assert [case.resolution for case in world.cases] == ["released", "released"]
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


# --- one certificate, two things -----------------------------------------------------------------------------------


@pytest.fixture(name="shared")
def _shared() -> World:
    """Two pumps on one certificate, the first one's."""
    world = a_world("pump-3", "pump-4")
    world.registry.attached = [
        (world.device.certificate, "pump-3"),
        (world.device.certificate, "pump-4"),
    ]
    world.devices["pump-4"].certificate = world.device.certificate
    return world


def test_who_shares_the_certificate_is_named_and_counted(shared: World) -> None:
    shared.report(a_finding())

    assert shared.case.affected == ("pump-3", "pump-4")
    assert "Also hit  pump-4" in shared.notices.sent[0].body
    (counter,) = shared.ledger.of_type("counter")
    assert sum(counter["counts"].values()) == 2


def test_a_shared_certificate_is_restored_for_the_others_when_one_moves_off_it(shared: World) -> None:
    common = shared.device.certificate
    contained(shared)

    shared.order("release", shared.case.id)
    shared.device.work()
    shared.drain()

    assert shared.case.resolution == "released"
    assert shared.policies("pump-4") == {common: {DEVICE_POLICY}}
    assert shared.active_certificates("pump-4") == [common]
    assert shared.policies("pump-3") == {shared.device.certificate: {DEVICE_POLICY}}


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_things_contained_on_one_certificate_are_free_only_after_both(
    shared: World, order: tuple[int, int]
) -> None:
    shared.report(a_finding("pump-3"))
    shared.clock.advance(timedelta(seconds=1))
    shared.report(a_finding("pump-4", id="violation-2"))
    cases = shared.cases

    shared.order(KEEP, cases[order[0]].id)
    assert shared.is_restricted("pump-3")
    assert shared.is_restricted("pump-4")

    shared.order(KEEP, cases[order[1]].id)
    assert shared.policies("pump-3") == shared.policies("pump-4") == {shared.device.certificate: {DEVICE_POLICY}}
    assert [case.resolution for case in shared.cases] == ["released", "released"]


def test_two_releases_at_once_of_things_on_one_certificate_do_not_leave_it_to_each_other(shared: World) -> None:
    shared.report(a_finding("pump-3"))
    shared.clock.advance(timedelta(seconds=1))
    shared.report(a_finding("pump-4", id="violation-2"))
    first, second = shared.cases
    real = shared.ledger.commit
    begun: list[str] = []

    def commit_and_be_joined(*puts: Put) -> None:
        real(*puts)
        if any(put.record.get("state") == ContainmentState.RELEASING for put in puts) and not begun:
            begun.append(second.id)
            operate({"command": KEEP, "case": second.id}, OPERATOR, "request-2", shared.context)
            order = Order(decision=Decision(KEEP), case_id=second.id, who=OPERATOR, request="request-2")
            carry_out(order, shared.context)

    shared.ledger.commit = commit_and_be_joined  # type: ignore[method-assign]  # another responder, on the other thing
    shared.receives = 3

    shared.order(KEEP, first.id)

    assert shared.queue.parked == []
    assert [case.resolution for case in shared.cases] == ["released", "released"]
    assert shared.policies("pump-3") == shared.policies("pump-4") == {shared.device.certificate: {DEVICE_POLICY}}
