"""Nested and dynamic groups: a containment takes a device out of direct, static groups, and a release puts it back."""

import pytest

from tests.fakes import RESTRICTED_GROUP, THING, World, a_world, contained
from warden.cases.model import CaseState

KEEP = "release-keeping-certificate"


@pytest.fixture(name="world")
def _world() -> World:
    world = a_world()
    world.registry.dynamic["online"] = world.connections.open.__contains__
    return world


def put_into(world: World, *groups: str, policies: dict[str, list[str]], parents: dict[str, str]) -> None:
    """Put the device into groups of a hierarchy."""
    world.registry.group_policies |= policies
    world.registry.parents |= parents
    world.registry.groups[THING] = [*groups]


@pytest.mark.parametrize(("parent", "child"), [("pumps", "pumps-north"), ("pumps", "north")])
@pytest.mark.parametrize("own", [["child-policy"], []])
@pytest.mark.parametrize("of_parent", [["parent-policy"], []])
def test_a_device_in_a_nested_group_is_put_back_into_it_alone(
    world: World, parent: str, child: str, own: list[str], of_parent: list[str]
) -> None:
    policies = {parent: of_parent, child: own, "site-4": ["site-policy"]}
    put_into(world, child, "site-4", policies=policies, parents={child: parent})
    effective = world.registry.effective_policies(THING, world.device.certificate)
    contained(world)
    assert world.is_restricted()

    world.order(KEEP, world.case.id)

    assert (world.case.state, world.refusals) == (CaseState.CLOSED, [])
    assert sorted(world.registry.groups[THING]) == sorted([child, "site-4"])
    assert world.registry.effective_policies(THING, world.device.certificate) == effective
    assert "cannot put" not in world.notices.sent[-1].body


def test_a_device_is_released_whatever_its_dynamic_groups_became(world: World) -> None:
    world.registry.dynamic["contained"] = lambda thing: RESTRICTED_GROUP in world.registry.groups[thing]
    world.connections.open.add(THING)
    contained(world)
    world.connections.open.clear()

    world.order(KEEP, world.case.id)

    assert (world.case.state, world.refusals) == (CaseState.CLOSED, [])


def test_a_group_without_policies_that_was_deleted_does_not_keep_a_device_contained(world: World) -> None:
    put_into(world, "site-4", policies={"site-4": []}, parents={})
    contained(world)
    del world.registry.group_policies["site-4"]
    world.registry.leave_group(THING, "site-4")

    world.order(KEEP, world.case.id)

    assert (world.case.state, world.refusals) == (CaseState.CLOSED, [])


def test_people_who_move_a_device_below_another_group_are_noticed(world: World) -> None:
    policies = {"pumps": ["parent-policy"], "north": [], "south": []}
    put_into(world, "north", policies=policies, parents={"north": "pumps", "south": "pumps"})
    contained(world)
    world.registry.join_group(THING, "south")

    world.order(KEEP, world.case.id)

    assert world.case.state is CaseState.CONTAINED
    [refusal] = world.ledger.of_type("refusal")
    assert "it was put into south meanwhile" in str(refusal["reason"])


def test_of_a_hierarchy_whose_lowest_group_is_gone_the_parent_is_given_back(world: World) -> None:
    policies = {"pumps": ["parent-policy"], "north": ["own"]}
    put_into(world, "north", policies=policies, parents={"north": "pumps"})
    contained(world)
    del world.registry.group_policies["north"]
    del world.registry.parents["north"]

    world.order(KEEP, world.case.id, acceptChanges=True)

    assert world.case.state is CaseState.CLOSED
    assert world.registry.groups[THING] == ["pumps"]
    assert "cannot put pump-3 into group north" in world.notices.sent[-1].body
