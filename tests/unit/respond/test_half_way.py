"""A quarantine that failed half way: it is tried again, or an operator releases the device. There is no third way."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    NOON,
    OPERATOR,
    RESTRICTED_GROUP,
    RESTRICTED_POLICY,
    THING,
    World,
    a_finding,
    a_key,
    a_world,
    contained,
    its_end,
)
from warden.cases.allowed import Decision
from warden.cases.model import CaseState, Progress, StepKind
from warden.containment.desired import read_desired
from warden.containment.snapshot import ContainmentState, active_containment
from warden.core.actions import QUARANTINE
from warden.core.errors import ActionFailed, Conflict, NotYet, Refused
from warden.operate.commands import operate
from warden.plan.actions import COLLECT_LOGS
from warden.respond.actions.quarantine import quarantine
from warden.respond.decisions import Order, carry_out
from warden.respond.responder import contain_again

KEEP = "release-keeping-certificate"
SECOND = "b" * 64
TALKS = "aws:num-messages-sent"
"""Its rule wants a quarantine alone."""
FIRST_LOOK = timedelta(minutes=8)
AN_HOUR = timedelta(hours=1)


class Refusing:
    """AWS IoT, which refuses our policy on the second certificate until it is told otherwise."""

    def __init__(self, world: World, error: Exception | None = None) -> None:
        self.refuses = True
        self._error = error or ActionFailed("cannot attach it: the second one already has ten")
        self._real = world.certificates.attach_policy
        world.certificates.attach_policy = self.attach  # type: ignore[method-assign]  # the same but for that

    def attach(self, certificate_id: str, policy: str) -> None:
        if self.refuses and (certificate_id, policy) == (SECOND, RESTRICTED_POLICY):
            raise self._error
        self._real(certificate_id, policy)


def two_certificates(*things: str) -> World:
    world = a_world(*things)
    world.certificates.enrol(SECOND, a_key(900).pem, ["other-policy"])
    world.registry.attached.append((SECOND, world.device.thing))
    world.registry.group_policies |= {"pumps": ["pumps-policy"]}
    world.registry.groups[world.device.thing] = ["pumps"]
    return world


def half_way(world: World, kind: str = TALKS) -> Refusing:
    refusing = Refusing(world)
    world.report(a_finding(world.device.thing, kind=kind))
    assert world.policies(world.device.thing)[world.device.certificate] == {RESTRICTED_POLICY}
    assert world.policies(world.device.thing)[SECOND] == {"other-policy"}
    return refusing


def is_as_before(world: World) -> bool:
    policies = {world.device.certificate: {DEVICE_POLICY}, SECOND: {"other-policy"}}
    return world.policies() == policies and world.registry.groups[THING] == ["pumps"]


def refused(world: World, command: str) -> Refused:
    with pytest.raises(Refused) as caught:
        operate({"command": command, "case": world.case.id}, OPERATOR, "another", world.context)
    return caught.value


@pytest.fixture(name="world")
def _world() -> World:
    return two_certificates()


@pytest.mark.parametrize("kind", [TALKS, "aws:all-bytes-out"])
def test_it_is_given_back_by_a_release(world: World, kind: str) -> None:
    half_way(world, kind)

    world.order(KEEP, world.case.id)

    assert (world.case.state, world.case.resolution) == (CaseState.CLOSED, "released")
    assert is_as_before(world)
    assert active_containment(world.ledger, THING) is None


def test_it_is_given_back_with_a_new_certificate(world: World) -> None:
    half_way(world)

    world.order("release", world.case.id)
    assert world.case.state is CaseState.RECOVERING
    world.device.work()
    world.drain()

    assert world.case.resolution == "released"
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}, "as after any release"
    assert world.registry.groups[THING] == ["pumps"]


def test_people_hear_that_it_is_half_way_and_what_gives_it_back(world: World) -> None:
    half_way(world)

    assert world.case.state is CaseState.OPEN
    [notice] = world.notices.sent
    assert notice.subject == f"Fleet Warden: NOT FULLY CONTAINED: {THING} (high)"
    assert f"warden release {world.case.id} --keep-certificate" in notice.body
    assert "warden dismiss" not in notice.body
    assert set(world.order("show", world.case.id)["allowed"]) == {"release", KEEP, "collect-logs"}


@pytest.mark.parametrize("command", ["dismiss", "approve"])
def test_a_decision_that_would_leave_it_half_way_is_refused(world: World, command: str) -> None:
    half_way(world)

    refusal = refused(world, command)

    assert refusal.code == "half-way"
    assert "release" in refusal.reason


def test_the_look_tries_it_again_in_silence_until_it_is_contained(world: World) -> None:
    refusing = half_way(world)
    steps, told = world.steps(), len(world.notices.sent)
    world.sweep(after=FIRST_LOOK)
    world.sweep(after=AN_HOUR)
    assert (world.steps(), len(world.notices.sent)) == (steps, told)

    refusing.refuses = False
    world.sweep(after=AN_HOUR)

    assert world.case.state is CaseState.CONTAINED
    assert world.is_restricted()
    assert world.registry.groups[THING] == [RESTRICTED_GROUP]
    assert world.steps()[-3:] == ["quarantine-done", "contained", "notified"]
    world.order(KEEP, world.case.id)
    assert is_as_before(world)


def test_what_a_later_try_changes_is_young_again(world: World) -> None:
    """Lists may show the state before it: no release is refused for that."""
    refusing = half_way(world)
    refusing.refuses = False
    world.sweep(after=AN_HOUR)

    desired = read_desired(world.ledger, SECOND)
    assert desired is not None
    assert desired.changed_at == world.clock()


def test_another_finding_brings_the_next_try_sooner(world: World) -> None:
    refusing = half_way(world)
    world.sweep(after=FIRST_LOOK)
    refusing.refuses = False

    world.report(a_finding(id="violation-2", kind=TALKS, observed_at=world.clock()))
    world.sweep(after=timedelta(minutes=5))

    assert world.case.state is CaseState.CONTAINED


@pytest.mark.parametrize("before", [True, False])
def test_the_end_of_its_finding_does_not_close_it(world: World, before: bool) -> None:
    finding = a_finding(kind=TALKS)
    refusing = Refusing(world)
    if before:  # it ends while the quarantine is at work
        real = refusing.attach

        def attach_and_end(certificate_id: str, policy: str) -> None:
            if certificate_id == SECOND:
                said = next(each.step for each in world.context.cases.timeline(world.case.id))
                world.context.cases.end_finding(its_end(finding), world.clock(), said)
            real(certificate_id, policy)

        world.certificates.attach_policy = attach_and_end  # type: ignore[method-assign]  # at that very moment
    world.report(finding)
    if not before:
        world.report(its_end(finding))

    assert not world.case.finding_is_open
    assert world.case.state is CaseState.OPEN
    world.order(KEEP, world.case.id)
    assert is_as_before(world)


def test_a_release_that_is_not_made_leaves_it_half_way(world: World) -> None:
    half_way(world)
    world.order("release", world.case.id)
    [job] = world.jobs.of("rotate-certificate")

    world.jobs.move(job, "FAILED")
    world.drain()

    assert world.case.state is CaseState.OPEN
    assert "release-not-made" in world.steps()
    world.order(KEEP, world.case.id)
    assert is_as_before(world)


def test_a_release_that_is_taken_back_leaves_it_half_way(world: World) -> None:
    refusing = half_way(world)
    world.order("release", world.case.id)

    world.order("cancel", world.case.id)

    assert str(world.case.state) == "open"
    refusing.refuses = False
    world.sweep(after=FIRST_LOOK)
    assert world.case.state is CaseState.CONTAINED


def of_parked(world: World) -> Refusing:
    """Make AWS IoT never show the containment: the message fails until it is parked."""
    world.receives = 3
    refusing = Refusing(world, NotYet("AWS IoT does not show it"))
    world.report(a_finding(kind=TALKS))
    assert len(world.queue.parked) == 1
    assert (world.case.state, world.case.outcomes[QUARANTINE].progress) == (CaseState.RESPONDING, Progress.PLANNED)
    return refusing


def test_one_that_aws_iot_never_shows_is_given_back_too(world: World) -> None:
    of_parked(world)

    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"
    assert is_as_before(world)


def test_one_that_aws_iot_never_shows_goes_on_when_its_release_is_taken_back(world: World) -> None:
    of_parked(world)
    world.order("release", world.case.id)

    world.order("cancel", world.case.id)

    assert world.case.state is CaseState.RESPONDING
    assert len(world.queue.parked) == 2, "it was tried again"


def test_a_quarantine_of_which_nothing_was_begun_is_given_up(world: World) -> None:
    of_parked(world)
    world.ledger.records = {
        key: record for key, record in world.ledger.records.items() if key.sort not in ("CONTAINMENT", "DESIRED")
    }

    world.order(KEEP, world.case.id)

    assert world.case.resolution == "released"


def test_a_second_case_that_is_half_way_is_contained_by_the_look_of_the_first(world: World) -> None:
    first = contained(world)
    world.registry.attached.remove((SECOND, THING))
    world.registry.attached.append((SECOND, THING))
    world.certificates.stored[SECOND].policies = ["other-policy"]
    refusing = Refusing(world)
    world.report(a_finding(id="violation-2", kind=TALKS, observed_at=NOON + timedelta(minutes=1)))
    [second] = [each for each in world.cases if each.id != first.id]
    assert second.state is CaseState.OPEN

    world.registry.groups[THING] = [f"group-{number}" for number in range(10)]  # it could not join ours any more
    refusing.refuses = False
    world.sweep(after=FIRST_LOOK)

    assert "restricted-again" not in world.steps(first)
    world.registry.groups[THING] = []
    assert {each.id: str(each.state) for each in world.cases} == {first.id: "contained", second.id: "contained"}
    for case in world.cases:
        world.order(KEEP, case.id)
    assert is_as_before(world)


# --- a retry and a release ----------------------------------------------------------------------------------------


def test_what_an_operator_releases_is_not_tried_again(world: World) -> None:
    half_way(world).refuses = False
    world.order("release", world.case.id)

    contain_again(world.case.id, world.context)

    assert world.case.state is CaseState.RECOVERING
    assert world.policies()[SECOND] == {"other-policy"}


def test_a_retry_that_began_before_the_release_holds_nothing_after_it(world: World) -> None:
    half_way(world)
    case = world.case
    real = world.connections.disconnect

    def die(client_id: str, *, forget: bool = False) -> None:
        raise RuntimeError(client_id, forget)

    world.connections.disconnect = die  # type: ignore[method-assign,assignment]  # the release is given back, not done
    with pytest.raises(RuntimeError):
        world.order(KEEP, case.id)
    world.connections.disconnect = real  # type: ignore[method-assign]
    containment = active_containment(world.ledger, THING)
    assert containment is not None
    assert containment.state is ContainmentState.RELEASING

    with pytest.raises(NotYet, match="was begun meanwhile"):
        quarantine(case, world.context)

    world.sweep(after=FIRST_LOOK)
    assert world.case.resolution == "released"
    assert is_as_before(world)


@pytest.mark.parametrize(
    ("begins", "releases_at"),
    [
        (half_way, "read"),
        (half_way, "attach_policy"),
        (half_way, "detach_policy"),
        (of_parked, "attach_policy"),
        (of_parked, "detach_policy"),
    ],
)
def test_a_release_in_the_middle_of_a_retry_is_what_counts(
    world: World, begins: Callable[[World], Refusing], releases_at: str
) -> None:
    """Two messages of one device never run at once; if they did, the retry would notice and hold nothing."""
    begins(world).refuses = False
    port = world.ledger if releases_at == "read" else world.certificates
    real: Callable[..., Any] = getattr(port, releases_at)
    orders = [Order(decision=Decision.RELEASE_KEEPING_CERTIFICATE, case_id=world.case.id, who=OPERATOR)]

    def release_first(*asked: Any) -> Any:
        if orders and (asked[0] == SECOND or getattr(asked[0], "sort", "") == "CONTAINMENT"):
            carry_out(orders.pop(), world.context)
        return real(*asked)

    case = world.case
    setattr(port, releases_at, release_first)
    with pytest.raises((Conflict, NotYet, ActionFailed)):
        quarantine(case, world.context)
    world.sweep(after=FIRST_LOOK)

    assert world.case.resolution == "released"
    assert is_as_before(world)


def test_a_released_thing_is_out_of_our_group_whatever_came_late(world: World) -> None:
    half_way(world)
    world.order(KEEP, world.case.id)
    world.registry.join_group(THING, RESTRICTED_GROUP)

    world.sweep(after=FIRST_LOOK)

    assert is_as_before(world)


def test_logs_of_it_can_be_collected(world: World) -> None:
    half_way(world)

    world.order("collect-logs", world.case.id)
    world.device.work()
    world.drain()

    assert world.case.outcomes[COLLECT_LOGS].progress is Progress.DONE
    assert world.case.state is CaseState.OPEN
    assert StepKind.RESPONDED in [each.step.kind for each in world.context.cases.timeline(world.case.id)]
