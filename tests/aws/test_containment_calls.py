"""The calls that keep a containment short: what is effective, and groups changed at once or one by one."""

from __future__ import annotations

import pytest

from tests.aws.backends import PREFIX, Ground, MotoGround
from tests.aws_stand_in.strict import StrictAws
from warden.core.errors import ActionFailed

ONE = "1" * 64
AT_ONCE = {
    "thingName": "pump-3",
    "thingGroupsToAdd": ["restricted"],
    "thingGroupsToRemove": ["pumps"],
    "overrideDynamicGroups": True,
}


def test_what_is_effective_is_asked_of_a_thing_and_one_certificate(strict: StrictAws, stand_in: MotoGround) -> None:
    stand_in.thing("pump-3")
    stand_in.policies("a", "b")
    certificate = stand_in.certificate(1, thing="pump-3")
    for policy in ("a", "b"):
        stand_in.certificates.attach_policy(certificate, policy)

    assert stand_in.registry.effective_policies("pump-3", certificate) == ["a", "b"]
    asked = {"thingName": "pump-3", "principal": f"{PREFIX}cert/{certificate}"}
    assert strict.made("GetEffectivePolicies") == [asked]


def test_what_is_effective_is_of_the_certificate_and_of_the_things_groups(ground: Ground) -> None:
    ground.thing("pump-1", groups=["site-4"])
    ground.group("pumps", policies=["pumps-policy"])
    ground.registry.join_group("pump-1", "pumps")
    ground.policies("own-policy")
    certificate = ground.certificate(1, thing="pump-1")
    ground.certificates.attach_policy(certificate, "own-policy")

    told = ground.registry.effective_policies("pump-1", certificate)

    assert told is not None
    assert sorted(told) == ["own-policy", "pumps-policy"]


@pytest.mark.parametrize("code", ["InvalidRequestException", "ResourceNotFoundException", "ThrottlingException"])
def test_what_is_effective_may_not_be_told(strict: StrictAws, stand_in: MotoGround, code: str) -> None:
    strict.refuse("GetEffectivePolicies", code)

    assert stand_in.registry.effective_policies("pump-3", ONE) is None


@pytest.fixture
def pump_in_a_group(stand_in: MotoGround) -> MotoGround:
    stand_in.thing("pump-3", groups=["pumps"])
    stand_in.group("restricted")
    return stand_in


def test_groups_are_changed_in_one_call(strict: StrictAws, pump_in_a_group: MotoGround) -> None:
    strict.forget()

    pump_in_a_group.registry.change_groups("pump-3", join="restricted", leave=["pumps"])

    assert strict.calls == [("iot", "UpdateThingGroupsForThing", AT_ONCE)]


def test_groups_are_changed_one_by_one_where_that_is_turned_down(
    strict: StrictAws, pump_in_a_group: MotoGround
) -> None:
    strict.refuse("UpdateThingGroupsForThing", "InvalidRequestException")
    strict.forget()

    pump_in_a_group.registry.change_groups("pump-3", join="restricted", leave=["pumps"])

    joined = {"thingName": "pump-3", "thingGroupName": "restricted", "overrideDynamicGroups": True}
    left = {"thingName": "pump-3", "thingGroupName": "pumps"}
    assert strict.made("AddThingToThingGroup") == [joined]
    assert strict.made("RemoveThingFromThingGroup") == [left]
    thing = pump_in_a_group.registry.thing("pump-3", with_type=False)
    assert thing is not None
    assert thing.groups == ("restricted",)


def test_changing_groups_can_be_repeated(ground: Ground) -> None:
    ground.thing("pump-1", groups=["pumps", "site-4"])
    ground.group("restricted")

    for _ in range(2):
        ground.registry.change_groups("pump-1", join="restricted", leave=["pumps"])

    thing = ground.registry.thing("pump-1", with_type=False)
    assert thing is not None
    assert sorted(thing.groups) == ["restricted", "site-4"]


def test_a_group_to_leave_that_is_gone_is_left(ground: Ground) -> None:
    ground.thing("pump-1")
    ground.group("restricted")

    ground.registry.change_groups("pump-1", join="restricted", leave=["gone"])

    thing = ground.registry.thing("pump-1", with_type=False)
    assert thing is not None
    assert list(thing.groups) == ["restricted"]


def test_a_group_to_join_that_is_gone_is_an_action_that_failed(ground: Ground) -> None:
    ground.thing("pump-1", groups=["pumps"])

    with pytest.raises(ActionFailed, match="gone-group"):
        ground.registry.change_groups("pump-1", join="gone-group", leave=["pumps"])


def test_an_absent_thing_is_known_by_its_groups_alone(ground: Ground) -> None:
    assert ground.registry.thing("nobody", with_type=False) is None
