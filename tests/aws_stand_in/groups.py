"""Thing groups as AWS IoT has them and moto does not: parents in every list, and groups whose members a query decides.

What is dynamic is kept beside moto's state (its groups know nothing of a query), so that whatever keeps moto's state
keeps that too.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from moto.iot.models import FakePolicy, FakeThing, FakeThingGroup, IoTBackend, iot_backends

from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.rules import ACCOUNT, REGION, dynamic_groups, named

if TYPE_CHECKING:
    from tests.aws_stand_in.answers import AwsState

CONNECTED = "connectivity.connected:true"
VIOLATING = "deviceDefender.violationCount>0"
"""The queries that the stand-in can answer: what a containment itself changes."""


def _iot() -> IoTBackend:
    backend: IoTBackend = iot_backends[ACCOUNT][REGION]
    return backend


def parents_of(group: FakeThingGroup) -> list[str]:
    """List the groups above a group, the root first."""
    return [str(above["groupName"]) for above in group.metadata.get("rootToParentThingGroups", [])]


def groups_of(state: AwsState, thing: str) -> list[FakeThingGroup]:
    """List the groups a thing is in: those it was put into, those above them, and those whose query it answers."""
    backend = _iot()
    found = {named(group): group for group in backend.thing_groups.values()}
    arn = backend.describe_thing(thing).arn
    direct = [group for group in found.values() if arn in group.things]
    above = [found[name] for group in direct for name in parents_of(group) if name in found]
    queries = dynamic_groups(backend)
    dynamic = [found[name] for name, query in queries.items() if name in found and _answers(state, thing, query)]
    return list({named(group): group for group in (*direct, *above, *dynamic)}.values())


def _answers(state: AwsState, thing: str, query: str) -> bool:
    return thing in state.sessions if query == CONNECTED else bool(state.violations.get(thing))


def of_thing(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """List a thing's groups; moto's own list is the same where no group has a parent or a query."""
    backend = _iot()
    if not dynamic_groups(backend) and not any(group.parent_group_name for group in backend.thing_groups.values()):
        return None
    things: Iterable[FakeThing] = backend.things.values()
    if not any(thing.thing_name == asked["thingName"] for thing in things):
        return None
    listed = groups_of(state, asked["thingName"])
    return {"thingGroups": [{"groupName": named(group), "groupArn": str(group.arn)} for group in listed]}


def policies(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """List a group's policies with those of the groups above it, where that is asked for."""
    group = _iot().thing_groups.get(asked["target"])
    if group is None or not asked.get("recursive") or not parents_of(group):
        return None
    found = {str(policy.name): str(policy.arn) for policy in inherited([group])}
    return {"policies": [{"policyName": name, "policyArn": arn} for name, arn in found.items()]}


def inherited(groups: Iterable[FakeThingGroup]) -> Iterator[FakePolicy]:
    """List what groups carry, and what they have from those above."""
    backend = _iot()
    by_name = {named(group): group for group in backend.thing_groups.values()}
    for group in groups:
        for each in (group, *(by_name[name] for name in parents_of(group) if name in by_name)):
            yield from backend.list_attached_policies(str(each.arn))


def create_dynamic(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Make a group of the things that answer a query."""
    if asked["queryString"] not in (CONNECTED, VIOLATING):
        raise Refusal("InvalidQueryException", "the stand-in knows no such query")
    name, arn, number = _iot().create_thing_group(asked["thingGroupName"], "", {})
    dynamic_groups(_iot())[name] = asked["queryString"]
    return {"thingGroupName": name, "thingGroupArn": arn, "thingGroupId": number, "queryString": asked["queryString"]}


def describe(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Describe a dynamic group; moto has the others."""
    name = asked["thingGroupName"]
    if name not in dynamic_groups(_iot()):
        return None
    [group] = [each for each in _iot().thing_groups.values() if named(each) == name]
    query = {"indexName": "AWS_Things", "queryString": dynamic_groups(_iot())[name], "status": "ACTIVE"}
    return {"thingGroupName": name, "thingGroupArn": str(group.arn), "thingGroupMetadata": {}, **query}
