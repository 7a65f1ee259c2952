"""What the survey says about the drift of the baseline's stack: each property by its name, expected and found.

CloudFormation compares (decision 25). Whatever it writes comes from the account, so it is escaped, cut and counted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from warden.core.account_facts import Unread
from warden.core.drift import PropertyDrift, ResourceDrift, ResourceStatus
from warden.core.escaping import shown
from warden.survey.controls import Baseline
from warden.survey.facts import why
from warden.survey.mending import returns_of
from warden.survey.model import Difference, Drift, DriftState, NotChecked

DIFFERENCES = 50
"""How many differences a survey names; it counts the others. A stack of the baseline has some twenty resources."""

_NOT_CHECKED = 50
_NAME_CHARACTERS = 100
_PATH_CHARACTERS = 200
VALUE_CHARACTERS = 300

NO_STACK = Drift(state=DriftState.NO_STACK, says=("The baseline has no stack: nothing to compare with.",))

UNDO = "docs/operations.md, Drift of the baseline: undo it by a drift-aware change set, or make it a parameter"
"""What closes a difference. Deploying again does not: CloudFormation compares templates, and finds no change."""


def drift_of(resources: Sequence[ResourceDrift], baseline: Baseline, before: Drift, now: datetime) -> Drift:
    """Judge what CloudFormation found; a difference keeps the time at which it was first found."""
    since = {each.key: each.since for each in before.differences}
    found = [one for each in resources for one in _differences(each, baseline, since, now)]
    unchecked = [each for each in resources if each.status is ResourceStatus.NOT_CHECKED]
    return Drift(
        state=_state(resources, found),
        at=now,
        says=() if len(unchecked) < len(resources) else ("CloudFormation compared no resource of the stack.",),
        differences=tuple(found[:DIFFERENCES]),
        left_out=len(found[DIFFERENCES:]),
        not_checked=tuple(_unchecked(each) for each in unchecked[:_NOT_CHECKED]),
    )


def not_known(unread: Unread, now: datetime) -> Drift:
    """Return the drift that could not be read: never in sync."""
    return Drift(state=DriftState.NOT_KNOWN, at=now, says=(why(unread),))


def _state(resources: Sequence[ResourceDrift], found: Sequence[Difference]) -> DriftState:
    if found:
        return DriftState.DRIFTED
    compared = any(each.status is ResourceStatus.IN_SYNC for each in resources)
    return DriftState.IN_SYNC if compared else DriftState.NOT_KNOWN


def _differences(
    resource: ResourceDrift, baseline: Baseline, since: Mapping[str, datetime], now: datetime
) -> Iterator[Difference]:
    name = shown(resource.name, _NAME_CHARACTERS)
    mends = [each.path for each in returns_of(resource)]
    for each in _properties(resource):
        difference = Difference(
            resource=name,
            type=shown(resource.type, _NAME_CHARACTERS),
            path=shown(each.path, _PATH_CHARACTERS),
            expected=shown(each.expected, VALUE_CHARACTERS),
            found=shown(each.found, VALUE_CHARACTERS),
            since=now,
            controls=baseline.controls_of(resource.name),
            mend=next((path for path in mends if each.path == path or each.path.startswith(f"{path}/")), ""),
            closes=(*_command(resource, each), UNDO),
        )
        yield replace(difference, since=since.get(difference.key, now))


def _command(resource: ResourceDrift, difference: PropertyDrift) -> tuple[str, ...]:
    """Return the command that undoes a difference by itself, where one is as short and as safe as that."""
    if (resource.type, difference.path) != ("AWS::GuardDuty::Detector", "/Enable"):
        return ()
    return (f"aws guardduty update-detector --detector-id {shown(resource.id, _NAME_CHARACTERS)} --enable",)


def _properties(resource: ResourceDrift) -> Sequence[PropertyDrift]:
    if resource.status is ResourceStatus.DELETED:
        return (PropertyDrift(path="", expected="there", found="deleted"),)
    if resource.status is ResourceStatus.MODIFIED:
        return resource.differences or (PropertyDrift(path="", expected="as deployed", found="modified"),)
    return ()


def _unchecked(resource: ResourceDrift) -> NotChecked:
    return NotChecked(
        resource=shown(resource.name, _NAME_CHARACTERS),
        type=shown(resource.type, _NAME_CHARACTERS),
        why=shown(resource.reason, VALUE_CHARACTERS),
    )
