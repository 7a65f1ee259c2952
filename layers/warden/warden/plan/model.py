"""The response plan: which findings get which actions, in which mode, within which limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatchcase

from warden.core.findings import Finding, Severity
from warden.core.mode import Mode
from warden.plan.renewal_terms import HygieneTerms, RotationTerms

_COOL_DOWN_MINUTES = 60
"""When the plan does not say: long enough that an alarm which comes and goes is seen by a person in between."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much may be touched before a human is asked. None means that this limit is not set here."""

    devices_per_hour: int | None = None
    percent_of_fleet_per_day: float | None = None
    fleet_size: int | None = None
    cool_down_minutes: int | None = None

    @property
    def devices_per_day(self) -> int | None:
        """The day's share in devices: never less than one, for a plan that acts on nothing says `observe`."""
        if self.percent_of_fleet_per_day is None or self.fleet_size is None:
            return None
        return max(1, int(self.fleet_size * self.percent_of_fleet_per_day / 100))


@dataclass(frozen=True, kw_only=True)
class NeverTouch:
    """What no action may touch, whatever is found: globs of thing names, thing types and thing groups."""

    things: Sequence[str] = ()
    thing_types: Sequence[str] = ()
    thing_groups: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a rule may ask about the device."""

    thing_type: str = ""
    groups: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row of the plan. An empty condition matches everything."""

    name: str
    actions: Sequence[str]
    mode: Mode
    limits: Limits = field(default_factory=Limits)
    source: Sequence[str] = ()
    kind: Sequence[str] = ()
    severity: Severity = Severity.LOW
    attributes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    thing_type: Sequence[str] = ()
    thing_group: Sequence[str] = ()
    line: int = 0

    def matches(self, finding: Finding, device: Device) -> bool:
        """Tell whether this row is about this finding and device."""
        return (
            matches_any(self.source, finding.source)
            and matches_any(self.kind, finding.kind)
            and finding.severity.rank >= self.severity.rank
            and all(matches_any(globs, finding.attributes.get(name, "")) for name, globs in self.attributes.items())
            and matches_any(self.thing_type, device.thing_type)
            and (not self.thing_group or any(matches_any(self.thing_group, group) for group in device.groups))
        )


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The whole of it: limits for everything together, what is never touched, and the rows, first match wins."""

    limits: Limits
    never_touch: NeverTouch
    rules: Sequence[Rule]
    campaign_mode: Mode = Mode.APPROVE
    """Whether a campaign is only reported, waits for an operator, or begins by itself."""
    rotation: RotationTerms = field(default_factory=RotationTerms)
    hygiene: HygieneTerms = field(default_factory=HygieneTerms)

    def rule_for(self, finding: Finding, device: Device) -> Rule:
        """Find the first row that matches; the last row of a checked plan matches everything."""
        return next(rule for rule in self.rules if rule.matches(finding, device))

    def cool_down_of(self, rule: Rule) -> timedelta:
        """Tell for how long, after a case was acted on and closed, the same problem is not acted on again unasked."""
        minutes = rule.limits.cool_down_minutes or self.limits.cool_down_minutes or _COOL_DOWN_MINUTES
        return timedelta(minutes=minutes)

    def rule_named(self, name: str) -> Rule:
        """Find a rule again; when it was taken out of the plan since, the last one, which only notifies, stands in."""
        return next((rule for rule in self.rules if rule.name == name), self.rules[-1])


def matches_any(globs: Sequence[str], value: str) -> bool:
    """Check a value against globs; no globs match everything."""
    return not globs or any(fnmatchcase(value, glob) for glob in globs)
