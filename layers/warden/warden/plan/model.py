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
"""The default: long enough that a person sees an alarm that comes and goes."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How many devices may be touched before a person is asked. None means that the limit is not set here."""

    devices_per_hour: int | None = None
    percent_of_fleet_per_day: float | None = None
    fleet_size: int | None = None
    cool_down_minutes: int | None = None

    @property
    def devices_per_day(self) -> int | None:
        """The day's share in devices. At least one: a plan that is to act on nothing has mode `observe`."""
        if self.percent_of_fleet_per_day is None or self.fleet_size is None:
            return None
        return max(1, int(self.fleet_size * self.percent_of_fleet_per_day / 100))


@dataclass(frozen=True, kw_only=True)
class NeverTouch:
    """What no action may touch, whatever is found: globs of thing names, thing types and thing groups."""

    things: Sequence[str] = ()
    thing_types: Sequence[str] = ()
    thing_groups: Sequence[str] = ()

    @property
    def asks_about_the_device(self) -> bool:
        """Whether a thing's name is not enough to judge it: its type and groups cost more calls."""
        return bool(self.thing_types or self.thing_groups)


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a rule may match about the device."""

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
        """Check whether this rule matches the finding and device."""
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
    """The whole plan: overall limits, what is never touched, and the rules, of which the first match wins."""

    limits: Limits
    never_touch: NeverTouch
    rules: Sequence[Rule]
    campaign_mode: Mode = Mode.APPROVE
    """Whether a campaign is only reported, waits for an operator, or starts by itself."""
    rotation: RotationTerms = field(default_factory=RotationTerms)
    hygiene: HygieneTerms = field(default_factory=HygieneTerms)

    def rule_for(self, finding: Finding, device: Device) -> Rule:
        """Return the first rule that matches; the last rule of a checked plan matches everything."""
        return next(rule for rule in self.rules if rule.matches(finding, device))

    def cool_down_of(self, rule: Rule) -> timedelta:
        """Return how long after the closing of a case the same problem is not acted on again without an operator."""
        minutes = rule.limits.cool_down_minutes or self.limits.cool_down_minutes or _COOL_DOWN_MINUTES
        return timedelta(minutes=minutes)

    def rule_named(self, name: str) -> Rule:
        """Return a rule by its name, or the last rule, which only notifies, if the plan no longer has it."""
        return next((rule for rule in self.rules if rule.name == name), self.rules[-1])


def matches_any(globs: Sequence[str], value: str) -> bool:
    """Check a value against globs; no globs match everything."""
    return not globs or any(fnmatchcase(value, glob) for glob in globs)
