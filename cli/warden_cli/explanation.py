"""What the plan would do about a finding, computed offline.

The plan's own matching and the governor itself decide. This module adds why a rule does not match, and separates
what is known here from what only the deployed service can know.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Any

from warden.core.findings import Finding, SubjectType
from warden.core.ledger import Found, Index, Key, Put, Record
from warden.core.mode import Mode
from warden.core.ports import Thing
from warden.plan.actions import NOTIFY, RENEW_CERTIFICATE, are_counted
from warden.plan.governor import Governor
from warden.plan.model import Device, Limits, Plan, Rule

_SUBJECTS_WITH_DEVICES = (SubjectType.THING, SubjectType.CERTIFICATE)


class Answer(StrEnum):
    """Whether a rule matches a finding."""

    MATCHES = "matches"
    NO = "no"
    CANNOT_TELL = "cannot-tell"
    NOT_REACHED = "not-reached"


@dataclass(frozen=True, kw_only=True)
class KnownDevice:
    """What the caller said about the device; None for what is unknown."""

    thing_type: str | None = None
    groups: Sequence[str] | None = None

    def as_the_plan_sees_it(self) -> Device:
        """Return what is known, in the plan's own terms."""
        return Device(thing_type=self.thing_type or "", groups=tuple(self.groups or ()))


class RuleKey(StrEnum):
    """The conditions that any rule may have, by their keys in the plan; the others are a finding's attributes."""

    SOURCE = "source"
    KIND = "kind"
    SEVERITY = "severity"
    THING_TYPE = "thing_type"
    THING_GROUP = "thing_group"


_OPTIONS = {RuleKey.THING_TYPE: "--thing-type", RuleKey.THING_GROUP: "--thing-group"}


@dataclass(frozen=True, kw_only=True)
class Unmet:
    """A condition of a rule that the finding does not meet; `known` is false if the device was not described."""

    key: str
    wanted: Sequence[str]
    found: Sequence[str]
    known: bool = True

    @property
    def difference(self) -> str:
        """Return what was found and what the rule is for."""
        wanted = " or ".join(self.wanted) + (" and above" if self.key == RuleKey.SEVERITY else "")
        return f"{self.key} is {', '.join(self.found) or 'none'}, it is for {wanted}"

    @property
    def question(self) -> str:
        """Return what the rule is for, and which option describes the device."""
        return f"it is for {self.key} {' or '.join(self.wanted)}: say {_OPTIONS[RuleKey(self.key)]}"


@dataclass(frozen=True, kw_only=True)
class RuleAnswer:
    """One rule's answer about the finding, and every condition that is not met."""

    rule: str
    line: int
    answer: Answer
    unmet: Sequence[Unmet] = ()

    @property
    def why(self) -> Sequence[str]:
        """Return why it does not match, or what must be known first, in words for people."""
        if self.answer is Answer.CANNOT_TELL:
            return ["; ".join(each.question for each in self.unmet)]
        return [each.difference for each in self.unmet]


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """The effect of one finding. `rule` is empty if the finding is over: then no rule is tried."""

    finding: Mapping[str, Any]
    rules: Sequence[RuleAnswer]
    rule: str
    actions: Sequence[str]
    device: str
    mode: str
    modes: Mapping[str, str]
    allowed: bool | None
    governor: str
    limits: Sequence[str]
    unknown: Sequence[str]

    def to_json(self) -> dict[str, Any]:
        """Return it for programs."""
        return asdict(self) | {"rules": [asdict(each) | {"why": each.why} for each in self.rules]}


def explain(finding: Finding, plan: Plan, known: KnownDevice, ceiling: Mode | None, now: datetime) -> Explanation:
    """Compute what would be done about a finding; `ceiling` is the stack's Mode, None if unknown."""
    if not finding.is_open:
        return _explain_an_end(finding)
    rule = plan.rule_for(finding, known.as_the_plan_sees_it())
    rules = tuple(_rule_answers(finding, plan, known))
    touching = [action for action in rule.actions if action != NOTIFY]
    has_device = finding.subject.type in _SUBJECTS_WITH_DEVICES
    allowed, governor = _governor(finding, plan, rule, known, now) if touching and has_device else (None, "")
    return Explanation(
        finding=finding.to_message(),
        rules=rules,
        rule=rule.name,
        actions=tuple(rule.actions),
        device=_device(finding, touching),
        mode=rule.mode,
        modes={mode: _in_mode(rule.mode.within(mode), bool(touching) and has_device) for mode in _ceilings(ceiling)},
        allowed=allowed,
        governor=governor,
        limits=tuple(_all_limits(plan, rule, touching)) if governor else (),
        unknown=tuple(_unknown(finding, rule, rules, known, touching)),
    )


def why_not(rule: Rule, finding: Finding, known: KnownDevice) -> list[Unmet]:
    """List each condition of a rule that the finding does not meet; empty if it meets them all."""
    device = known.as_the_plan_sees_it()
    type_known, groups_known = known.thing_type is not None, known.groups is not None
    conditions: tuple[tuple[str, Sequence[str], Sequence[str], bool], ...] = (
        (RuleKey.SOURCE, rule.source, [finding.source], True),
        (RuleKey.KIND, rule.kind, [finding.kind], True),
        *((name, globs, [finding.attributes.get(name, "")], True) for name, globs in rule.attributes.items()),
        (RuleKey.THING_TYPE, rule.thing_type, [device.thing_type], type_known),
        (RuleKey.THING_GROUP, rule.thing_group, list(device.groups), groups_known),
    )
    unmet = [
        Unmet(key=key, wanted=globs, found=[value for value in values if value], known=is_known)
        for key, globs, values, is_known in conditions
        if not _fits(globs, values)
    ]
    if finding.severity.rank < rule.severity.rank:
        unmet.append(Unmet(key=RuleKey.SEVERITY, wanted=[rule.severity], found=[finding.severity]))
    return unmet


def _fits(globs: Sequence[str], values: Sequence[str]) -> bool:
    return not globs or any(fnmatchcase(value, glob) for value in values for glob in globs)


def _rule_answers(finding: Finding, plan: Plan, known: KnownDevice) -> Iterator[RuleAnswer]:
    answer = Answer.NO
    for rule in plan.rules:
        if answer in (Answer.MATCHES, Answer.NOT_REACHED):
            answer, unmet = Answer.NOT_REACHED, []
        else:
            unmet = why_not(rule, finding, known)
            answer = _answer(unmet)
        yield RuleAnswer(rule=rule.name, line=rule.line, answer=answer, unmet=tuple(unmet))


def _answer(unmet: Sequence[Unmet]) -> Answer:
    if not unmet:
        return Answer.MATCHES
    return Answer.NO if any(each.known for each in unmet) else Answer.CANNOT_TELL


def _device(finding: Finding, touching: Sequence[str]) -> str:
    if not touching:
        return "none is touched"
    if finding.subject.type is SubjectType.THING:
        return finding.subject.name
    if finding.subject.type is SubjectType.CERTIFICATE:
        return f"every thing that uses {finding.subject}, by the registry"
    return f"none: {finding.subject} is not a thing, so the case is recorded and a notice is sent"


def _ceilings(ceiling: Mode | None) -> Sequence[Mode]:
    return tuple(Mode) if ceiling is None else (ceiling,)


def _in_mode(mode: Mode, touches: bool) -> str:
    if not touches:
        return "recorded, and a notice is sent"
    return {
        Mode.OBSERVE: "nothing is touched; the case says what would be done",
        Mode.APPROVE: "waits for `warden approve`",
        Mode.ENFORCE: "done at once, if the governor allows it",
    }[mode]


class _BlankLedger:
    """An empty ledger: the service is not stopped, nothing is counted."""

    def read(self, _key: Key, /) -> Record | None:
        return None

    def commit(self, *_puts: Put) -> None:
        raise AssertionError("explaining writes nothing")

    def partition(self, partition: str, *, prefix: str = "") -> Iterator[Found]:  # noqa: ARG002 - the protocol's names
        return iter(())

    def find(
        self,
        index: Index,  # noqa: ARG002 - the protocol's names, here and below
        value: str,  # noqa: ARG002
        *,
        until: str | None = None,  # noqa: ARG002
        newest_first: bool = False,  # noqa: ARG002
    ) -> Iterator[Found]:
        return iter(())

    def has_any(self, _index: Index, _value: str, /) -> bool:
        return False


def _governor(finding: Finding, plan: Plan, rule: Rule, known: KnownDevice, now: datetime) -> tuple[bool | None, str]:
    if finding.subject.type is not SubjectType.THING:
        return None, "cannot be asked here: it counts the things by name"
    thing = Thing(name=finding.subject.name, thing_type=known.thing_type or "", groups=tuple(known.groups or ()))
    counted = are_counted(rule.actions)
    verdict = Governor(plan, _BlankLedger()).weigh(rule, [thing], now, counted=counted)
    return verdict.allowed, verdict.reason


def _all_limits(plan: Plan, rule: Rule, touching: Sequence[str]) -> Iterator[str]:
    if are_counted(touching):
        yield from _limits("all rules together", plan.limits)
        yield from _limits("this rule", rule.limits)
    if RENEW_CERTIFICATE in touching:
        yield f"its campaign: at most {plan.rotation.devices_per_day} devices a day"


def _limits(scope: str, limits: Limits) -> Iterator[str]:
    if limits.devices_per_hour is not None:
        yield f"{scope}: at most {limits.devices_per_hour} devices an hour"
    if limits.devices_per_day is not None:
        yield (
            f"{scope}: at most {limits.devices_per_day} devices a day "
            f"({limits.percent_of_fleet_per_day:g} % of {limits.fleet_size})"
        )


def _unknown(
    finding: Finding, rule: Rule, rules: Sequence[RuleAnswer], known: KnownDevice, touching: Sequence[str]
) -> Iterator[str]:
    if any(each.answer is Answer.CANNOT_TELL for each in rules):
        yield f"whether a rule above {rule.name} is for this device"
    yield "whether the detector still says so, and whether a case of this problem is open already"
    if not touching or finding.subject.type not in _SUBJECTS_WITH_DEVICES:
        return
    if finding.subject.type is SubjectType.THING:
        yield f"whether {finding.subject.name} is in the registry; if it is not, nothing is touched"
    if are_counted(touching):
        yield "which other things share its certificates: they are restricted too, and counted"
    yield "how much of the limits is used, and whether somebody has stopped the service"
    if known.thing_type is None or known.groups is None:
        yield "whether its type or a group of it is on the never-touch list (say --thing-type, --thing-group)"


def _explain_an_end(finding: Finding) -> Explanation:
    return Explanation(
        finding=finding.to_message(),
        rules=(),
        rule="",
        actions=(),
        device="none is touched",
        mode="",
        modes={},
        allowed=None,
        governor="",
        limits=(),
        unknown=("whether there is an open case that this ends",),
    )
