"""What a certificate should carry, and the four mechanisms that make it so when two devices share it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.fakes import DEVICE_POLICY, RESTRICTED_POLICY, THING, World, a_finding, a_key, a_world, an_old_certificate
from warden.containment.desired import Carried, Desired, leave, read_desired, reconcile
from warden.core.errors import ActionFailed, NotYet
from warden.plan.actions import ROTATE_CERTIFICATE

KEEP = "release-keeping-certificate"
OTHER = "pump-4"
TEN = [f"policy-{number}" for number in range(10)]


@pytest.fixture(name="shared")
def _shared() -> World:
    """Two things on one certificate, the first of them contained."""
    world = a_world(THING, OTHER)
    common = world.device.certificate
    world.registry.attached = [(common, THING), (common, OTHER)]
    world.devices[OTHER].certificate = common
    world.report(a_finding(THING))
    return world


def common_of(world: World) -> set[str]:
    return set(world.certificates.stored[world.device.certificate].policies)


def the_other_is_contained(world: World) -> None:
    world.report(a_finding(OTHER, id="violation-2"))
    assert common_of(world) == {RESTRICTED_POLICY}


def before(world: World, call: str, policy: str, act: Callable[[World], None]) -> list[set[str]]:
    """Let another responder act once, right before a call about a policy; record the result of each later such call."""
    real, left, began = getattr(world.certificates, call), list[set[str]](), list[bool]()

    def act_first(certificate_id: str, named: str) -> None:
        if named == policy and not began:
            began.append(True)
            act(world)
        real(certificate_id, named)
        if began:
            left.append(common_of(world))

    setattr(world.certificates, call, act_first)
    return left


def release_the_first(world: World) -> None:
    world.order(KEEP, world.cases[0].id)


# --- the four mechanisms --------------------------------------------------------------------------------------------


def test_the_fence_a_release_takes_nothing_from_a_certificate_that_was_restricted_again_meanwhile(
    shared: World,
) -> None:
    before(shared, "attach_policy", DEVICE_POLICY, the_other_is_contained)
    taken = before(shared, "detach_policy", RESTRICTED_POLICY, lambda _: None)

    release_the_first(shared)

    assert taken == [], "the restricted policy is never taken off"
    assert common_of(shared) == {RESTRICTED_POLICY}


def test_the_recheck_what_was_wanted_during_the_last_call_is_done_as_well(shared: World) -> None:
    before(shared, "detach_policy", RESTRICTED_POLICY, the_other_is_contained)

    release_the_first(shared)

    assert common_of(shared) == {RESTRICTED_POLICY}


def test_unconditional_while_young_a_list_that_shows_what_was_takes_no_rights(shared: World) -> None:
    the_lists_show(shared, DEVICE_POLICY)

    shared.receives = 2
    shared.order(KEEP, shared.case.id, acceptChanges=True)

    assert DEVICE_POLICY in common_of(shared)
    assert RESTRICTED_POLICY not in common_of(shared)


def test_unconditional_while_young_a_list_that_shows_what_was_leaves_no_rights(shared: World) -> None:
    release_the_first(shared)
    assert common_of(shared) == {DEVICE_POLICY}
    the_lists_show(shared, RESTRICTED_POLICY)

    the_other_is_contained(shared)


def the_lists_show(world: World, policy: str) -> None:
    """Make every list of policies show one policy, which is out of date."""

    def policies_of(certificate_id: str) -> list[str]:
        return [policy] if certificate_id == world.device.certificate else []

    world.certificates.policies_of = policies_of  # type: ignore[method-assign]  # lists are eventually consistent
    world.registry.policies_of = policies_of


@pytest.mark.parametrize("held", [True, False], ids=["held", "free"])
def test_what_remains_is_attached_before_anything_is_taken_though_a_list_shows_it(shared: World, *, held: bool) -> None:
    """Somebody has just detached the last policy, and the list still shows it."""
    remains = RESTRICTED_POLICY if held else DEVICE_POLICY
    if not held:
        release_the_first(shared)
    shared.clock.advance(timedelta(hours=1))
    common = shared.device.certificate
    shared.certificates.stored[common].policies[:] = [DEVICE_POLICY if held else RESTRICTED_POLICY]
    left = before(shared, "detach_policy", DEVICE_POLICY if held else RESTRICTED_POLICY, lambda _: None)

    reconcile(common, shared.context, [DEVICE_POLICY, RESTRICTED_POLICY])

    assert left == [{remains}]


def test_the_look_a_certificate_attached_after_the_containment_is_restricted(shared: World) -> None:
    new = "b" * 64
    shared.certificates.enrol(new, a_key(900).pem, ["full-rights"])
    shared.registry.attached.append((new, THING))

    shared.sweep(after=timedelta(minutes=8))

    assert shared.certificates.stored[new].policies == [RESTRICTED_POLICY]


# --- the record -----------------------------------------------------------------------------------------------------


def test_what_is_attached_long_after_is_drift_and_not_given_back_unless_the_operator_takes_it(shared: World) -> None:
    shared.certificates.attach_policy(shared.device.certificate, "slipped-in")
    shared.sweep(after=timedelta(minutes=9))
    assert common_of(shared) == {RESTRICTED_POLICY}

    shared.order(KEEP, shared.case.id)

    assert common_of(shared) == {DEVICE_POLICY}
    assert "policy slipped-in, attached while it was contained, is not given back" in shared.notices.sent[-1].body


def test_what_is_attached_long_after_is_given_back_where_the_operator_accepts_it(shared: World) -> None:
    shared.certificates.attach_policy(shared.device.certificate, "slipped-in")
    shared.sweep(after=timedelta(minutes=9))

    shared.order(KEEP, shared.case.id, acceptChanges=True)

    assert common_of(shared) == {DEVICE_POLICY, "slipped-in"}


def test_what_a_certificate_was_given_after_its_release_is_what_the_next_release_gives_back(shared: World) -> None:
    shared.order(KEEP, shared.case.id)
    shared.clock.advance(timedelta(hours=2))
    shared.certificates.detach_policy(shared.device.certificate, DEVICE_POLICY)
    shared.certificates.attach_policy(shared.device.certificate, "new-policy")

    shared.report(a_finding(id="violation-3", observed_at=shared.clock()))
    assert common_of(shared) == {RESTRICTED_POLICY}
    shared.order(KEEP, shared.cases[-1].id)

    assert common_of(shared) == {"new-policy"}


def test_a_thing_that_has_just_left_a_certificate_does_not_hold_it_though_a_list_shows_it() -> None:
    world = a_world(THING, OTHER)
    common = world.device.certificate
    world.registry.attached += [(common, OTHER)]
    leave(common, THING, world.context)

    world.report(a_finding())

    record = read_desired(world.ledger, common)
    assert record is not None
    assert (record.holders, record.leaving) == ((), (THING,))
    assert common_of(world) == {DEVICE_POLICY}


def test_a_thing_that_left_long_ago_and_is_back_holds_it_again() -> None:
    world = a_world(THING, OTHER)
    leave(world.device.certificate, THING, world.context)
    leave(world.device.certificate, OTHER, world.context)
    world.clock.advance(timedelta(hours=1))

    world.report(a_finding(observed_at=world.clock()))

    record = read_desired(world.ledger, world.device.certificate)
    assert record is not None
    assert (record.holders, record.leaving) == ((THING,), (OTHER,))
    assert common_of(world) == {RESTRICTED_POLICY}


def test_a_record_is_kept_while_it_is_held_and_expires_a_month_after(shared: World) -> None:
    [held] = shared.ledger.of_type("desired")
    assert "expires_at" not in held

    release_the_first(shared)

    [free] = shared.ledger.of_type("desired")
    assert free["expires_at"] == int((shared.clock() + timedelta(days=30)).timestamp())


def test_a_containment_of_before_there_were_records_is_released_by_what_it_took(shared: World) -> None:
    for key in [key for key, text in shared.ledger.records.items() if '"type": "desired"' in text]:
        del shared.ledger.records[key]

    release_the_first(shared)

    assert common_of(shared) == {DEVICE_POLICY}


def test_a_certificate_that_a_rotation_has_on_record_is_restricted_though_no_list_shows_it_yet() -> None:
    world = a_world()
    world.report(an_old_certificate())
    world.jobs.move(world.jobs.of(ROTATE_CERTIFICATE)[0], "IN_PROGRESS")
    new = world.device.create()[1]["certificateId"]
    real = world.registry.certificates_of
    world.registry.certificates_of = lambda thing: [  # type: ignore[method-assign]  # lists are eventually consistent
        each for each in real(thing) if each != new
    ]
    world.jobs.loses_events = True  # so that the rotation, which the quarantine takes back, is not at its end yet

    world.report(a_finding())

    assert world.certificates.stored[new].policies == [RESTRICTED_POLICY]
    assert world.certificates.stored[world.device.certificate].policies == [RESTRICTED_POLICY]


# --- the reconciler -------------------------------------------------------------------------------------------------


def test_what_was_never_ours_is_left_alone() -> None:
    world = a_world()

    assert reconcile(world.device.certificate, world.context) == Carried(given=[])

    assert common_of(world) == {DEVICE_POLICY}


def test_a_record_that_changes_in_every_pass_is_tried_again_later(shared: World) -> None:
    real = shared.certificates.attach_policy

    def attach_and_be_overtaken(certificate_id: str, policy: str) -> None:
        real(certificate_id, policy)
        leave(certificate_id, f"pump-{shared.clock().microsecond}", shared.context)
        shared.clock.advance(timedelta(microseconds=1))

    shared.certificates.attach_policy = attach_and_be_overtaken  # type: ignore[method-assign]  # others, again and again

    with pytest.raises(NotYet, match="was changed 12 times meanwhile"):
        reconcile(shared.device.certificate, shared.context)


@pytest.mark.parametrize("there", [True, False], ids=["there", "gone"])
def test_a_certificate_that_cannot_be_restricted_is_said_and_the_others_are_restricted(*, there: bool) -> None:
    world = a_world()
    second = "b" * 64
    world.certificates.enrol(second, a_key(900).pem, ["other-policy"])
    world.registry.attached.insert(0, (second, THING))
    real = world.certificates.attach_policy

    def attach(certificate_id: str, policy: str) -> None:
        if certificate_id == second:
            if not there:
                world.certificates.stored.pop(second, None)
                world.registry.attached = [each for each in world.registry.attached if each[0] != second]
            raise ActionFailed(f"cannot attach policy {policy}")
        real(certificate_id, policy)

    world.certificates.attach_policy = attach  # type: ignore[method-assign]  # one that AWS IoT refuses

    world.report(a_finding())

    assert world.policies()[world.device.certificate] == {RESTRICTED_POLICY}
    assert world.case.outcomes["quarantine"].progress == ("failed" if there else "done")


def test_a_change_that_a_clock_ahead_of_ours_made_is_young() -> None:
    world = a_world()
    made = world.clock() + timedelta(seconds=9)

    assert Desired(certificate="c", changed_at=made).is_young(world.context)
