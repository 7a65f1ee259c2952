"""Which of a thing's groups are ours to take away and to give back: static ones that it was put into directly.

ListThingGroupsForThing also lists the groups above those, and dynamic ones, whose members a query decides. A thing is
never put into two groups of one hierarchy, so that only the lowest of each can be given back (AWS IoT developer guide,
static and dynamic thing groups).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from warden.containment.snapshot import Containment
from warden.context import Context
from warden.core.ports import HasRegistry

_TWO = 2


def joined_directly(groups: Sequence[str], context: Context[HasRegistry]) -> list[str]:
    """Return those groups with policies that a thing was put into directly. If there is only one, it is that one: a
    group inherits the policies of the groups above it.
    """
    if len(groups) < _TWO:
        return list(groups)
    above = _above(groups, context)
    return [group for group in groups if group not in above]


def _above(groups: Iterable[str], context: Context[HasRegistry]) -> set[str]:
    read = [context.ports.registry.group(group) for group in groups]
    return {parent for group in read if group for parent in group.parents}


def changed_by_people(
    containment: Containment, shown: Sequence[str], context: Context[HasRegistry]
) -> tuple[list[str], list[str]]:
    """Return the groups that a contained thing was put into since, and those without policies that it was taken out of.

    Left out are dynamic groups and deleted ones, and the groups above those that the containment took it out of.
    """
    known = {*containment.all_groups, context.settings.restricted_group}
    joined = [group for group in shown if group not in known and _is_static(group, context)]
    departed = sorted(set(containment.all_groups) - set(containment.groups) - set(shown))
    if not departed:
        return joined, []
    above = _above(containment.groups, context)
    return joined, [group for group in departed if group not in above and _is_static(group, context)]


def _is_static(group: str, context: Context[HasRegistry]) -> bool:
    read = context.ports.registry.group(group)
    return read is not None and not read.is_dynamic
