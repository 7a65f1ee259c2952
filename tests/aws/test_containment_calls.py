"""The calls that keep a containment short: what is effective, and groups changed at once or one by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.aws.backends import PREFIX, Ground
from warden.aws.registry import IotRegistry
from warden.core.errors import ActionFailed

type Stubbed = Callable[[str], tuple[Any, Any]]

ONE = "1" * 64
AT_ONCE = {
    "thingName": "pump-3",
    "thingGroupsToAdd": ["restricted"],
    "thingGroupsToRemove": ["pumps"],
    "overrideDynamicGroups": True,
}


def test_what_is_effective_is_asked_of_a_thing_and_one_certificate(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    told = {"effectivePolicies": [{"policyName": "a"}, {"policyName": "b"}]}
    stubber.add_response("get_effective_policies", told, {"thingName": "pump-3", "principal": f"{PREFIX}cert/{ONE}"})

    assert IotRegistry(client, PREFIX).effective_policies("pump-3", ONE) == ["a", "b"]


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
def test_what_is_effective_may_not_be_told(stubbed: Stubbed, code: str) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("get_effective_policies", code)

    assert IotRegistry(client, PREFIX).effective_policies("pump-3", ONE) is None


def test_groups_are_changed_in_one_call(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_response("update_thing_groups_for_thing", {}, AT_ONCE)

    IotRegistry(client, PREFIX).change_groups("pump-3", join="restricted", leave=["pumps"])


def test_groups_are_changed_one_by_one_where_that_is_turned_down(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("update_thing_groups_for_thing", "InvalidRequestException")
    stubber.add_response("add_thing_to_thing_group", {})
    stubber.add_response("remove_thing_from_thing_group", {}, {"thingName": "pump-3", "thingGroupName": "pumps"})

    IotRegistry(client, PREFIX).change_groups("pump-3", join="restricted", leave=["pumps"])


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
