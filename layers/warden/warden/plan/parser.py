"""Read and check a response plan.

The plan is a TOML file that its owner edits (layers/plan). All of it is checked
before anything is deployed, and again when a function starts. Every fault is reported with its line.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Any

from cronsim import CronSim, CronSimError

from warden.core import quotas
from warden.core.actions import QUARANTINE
from warden.core.errors import PlanError, PlanFault
from warden.core.findings import Severity, Source
from warden.core.mode import Mode
from warden.plan.actions import (
    ACTIONS,
    DEACTIVATE_CERTIFICATE,
    NOTIFY,
    RENEW_CERTIFICATE,
    ROTATE_CERTIFICATE,
)
from warden.plan.coverage import shadowed, takes_everything
from warden.plan.model import Limits, NeverTouch, Plan, Rule, matches_any
from warden.plan.renewal_terms import KEY_ALGORITHMS, Cleaning, HygieneTerms, RotationTerms, Window

_RULED_SOURCES = tuple(source for source in Source if source is not Source.SCHEDULE)
"""The sources whose findings the rules apply to; what the schedule finds is renewed according to [rotation]."""

_SUSPICIOUS_SOURCES = (Source.DETECT, Source.GUARDDUTY)
"""Sources whose findings mean that somebody else may hold the device's key (design section 10)."""


def read_plan(text: str) -> Plan:
    """Read and check a plan.

    Raises:
        PlanError: with every fault found, in the order of their lines.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))  # the error has its line as a number only from Python 3.14
        line = where[1] if where else len(text.splitlines()) or 1  # without a line, the error says "at end of document"
        raise PlanError([PlanFault(int(line), f"this is not TOML: {error}")]) from error
    reader = _Reader(_Lines(text))
    plan = reader.plan(document)
    if reader.faults:
        raise PlanError(sorted(reader.faults, key=attrgetter("line")))
    return plan


class _Lines:
    """The line of each table and key: tomllib does not keep them, and a fault needs its line."""

    _HEADER = re.compile(r"^\s*(\[\[?)\s*([A-Za-z0-9_.\-]+)\s*\]\]?")
    _KEY = re.compile(r"^\s*([A-Za-z0-9_\-]+)\s*=")

    def __init__(self, text: str) -> None:
        self._lines: dict[tuple[str, int, str], int] = {}
        table, count = "", {"rule": -1}
        place = ("", 0)
        for number, line in enumerate(text.splitlines(), start=1):
            if header := self._HEADER.match(line):
                table = header[2]
                if header[1] == "[[":
                    count[table] = count.get(table, -1) + 1
                root = table.split(".", 1)[0]
                place = (table, max(count.get(root, 0), 0))
                self._lines.setdefault((*place, ""), number)
            elif key := self._KEY.match(line):
                self._lines.setdefault((*place, key[1]), number)

    def of(self, table: str, row: int = 0, key: str = "") -> int:
        """Return the line of a key, or of its table if the key is not found (an inline table is a key itself), or 1."""
        around, _, inline = table.rpartition(".")
        places = ((table, row, key), (table, row, ""), (around, row, inline))
        return next((self._lines[place] for place in places if place in self._lines), 1)


_LIMIT_KEYS = {"devices_per_hour", "percent_of_fleet_per_day", "fleet_size", "cool_down_minutes"}
_ATTRIBUTE_KEYS = {"metric": "metric", "security_profile": "security-profile", "audit_check": "check"}
_ROTATION_NUMBERS = {
    "devices_per_day": 1_000_000.0,
    "canary_percent": 100.0,
    "success_percent": 100.0,
    "jobs_per_minute": float(quotas.NOTIFIED_PER_MINUTE),
    "attempts": 100.0,
    "days_to_answer": 365.0,
    "window_minutes": 1_440.0,
}
"""The greatest value of each limit."""
_PERCENTS = ("percent_of_fleet_per_day", "canary_percent", "success_percent")
_ROTATION_KEYS = {"mode", "window", "key_algorithm", "days_by_type", "policies_by_type", *_ROTATION_NUMBERS}
_HYGIENE_KEYS = {"on_no_thing", "inactive", "inactive_days"}
_MOST_DAYS = 36_500.0
_RULE_KEYS = {
    "name",
    "source",
    "kind",
    "severity",
    "thing_type",
    "thing_group",
    "actions",
    "mode",
    "limits",
    *_ATTRIBUTE_KEYS,
}


_MOST = {
    "percent_of_fleet_per_day": 100.0,
    "devices_per_hour": 100_000.0,
    "cool_down_minutes": 44_640.0,
    "inactive_days": _MOST_DAYS,
    **_ROTATION_NUMBERS,
}
_ANY_TIME = datetime(2026, 1, 1, tzinfo=UTC)


def _is_policy(name: object) -> bool:
    """Check whether AWS IoT would accept it as a policy's name ."""
    return isinstance(name, str) and re.fullmatch(quotas.POLICY_NAME, name) is not None


class _Reader:
    """Turns the document into a plan and collects its faults."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self.faults: list[PlanFault] = []
        self._fleet_size: float | None = None

    def _fault(self, line: int, what: str) -> None:
        self.faults.append(PlanFault(line, what))

    def plan(self, document: Mapping[str, Any]) -> Plan:
        self._unknown_keys(
            document, {"version", "mode", "limits", "never_touch", "rotation", "hygiene", "rule"}, "", 0, "the plan"
        )
        if document.get("version") != 1:
            self._fault(
                self._lines.of("", 0, "version"),
                "`version` is missing or not 1; this service reads version 1",
            )
        mode = self._mode(document, "", 0, Mode.OBSERVE)
        limits = self._limits(document.get("limits", {}), "limits", 0)
        if limits.devices_per_hour is None:
            self._fault(
                self._lines.of("limits"),
                "[limits] has no `devices_per_hour`; set how many devices an hour may be touched without approval",
            )
        rows = document.get("rule", [])
        if not isinstance(rows, list) or not rows:
            self._fault(1, 'there is no [[rule]]; the smallest plan has one with `actions = ["notify"]`')
            rows = []
        if not all(isinstance(row, dict) for row in rows):
            self._fault(self._lines.of("", 0, "rule"), "rules are tables: [[rule]]")
            rows = []
        rules = [self._rule(row, number, mode) for number, row in enumerate(rows)]
        self._reachability(rules)
        rotation = self._table(document, "rotation", _ROTATION_KEYS)
        campaign_mode = self._mode(rotation, "rotation", 0, mode)
        self._campaigns_wanted(rules, campaign_mode)
        return Plan(
            limits=limits,
            never_touch=self._never_touch(document.get("never_touch", {})),
            rules=tuple(rules),
            campaign_mode=campaign_mode,
            rotation=self._rotation(rotation),
            hygiene=self._hygiene(self._table(document, "hygiene", _HYGIENE_KEYS)),
        )

    def _table(self, document: Mapping[str, Any], name: str, keys: set[str]) -> Mapping[str, Any]:
        table = document.get(name, {})
        if not isinstance(table, dict):
            self._fault(self._lines.of(name), f"{name} is a table: [{name}]")
            return {}
        self._unknown_keys(table, keys, name, 0, f"[{name}]")
        return table

    def _rotation(self, table: Mapping[str, Any]) -> RotationTerms:
        given = {
            key: number for key in _ROTATION_NUMBERS if (number := self._number(table, key, "rotation", 0)) is not None
        }
        minutes = given.pop("window_minutes", None)
        numbers: dict[str, Any] = {"per_minute" if key == "jobs_per_minute" else key: given[key] for key in given}
        return RotationTerms(
            **numbers,
            window=self._window(table, minutes),
            key_algorithm=self._one_of(table, "key_algorithm", "rotation", KEY_ALGORITHMS),
            days_by_type=self._days_by_type(table),
            policies_by_type=self._policies_by_type(table),
        )

    def _window(self, table: Mapping[str, Any], minutes: float | None) -> Window | None:
        cron = table.get("window")
        line = self._lines.of("rotation", 0, "window" if "window" in table else "window_minutes")
        if cron is None and minutes is None:
            return None
        if not isinstance(cron, str) or minutes is None:
            self._fault(
                line,
                '`window` and `window_minutes` belong together, as in window = "0 1 * * *" with window_minutes = 180; '
                "without either, jobs are sent at any time",
            )
            return None
        try:
            CronSim(cron, _ANY_TIME)
        except CronSimError as error:
            self._fault(line, f"`window` is a cron expression of five fields in UTC, and {cron!r} is none: {error}")
            return None
        return Window(cron, timedelta(minutes=minutes))

    def _days_by_type(self, table: Mapping[str, Any]) -> dict[str, int]:
        days = table.get("days_by_type", {})
        if not isinstance(days, dict) or not all(
            isinstance(number, int) and not isinstance(number, bool) and 0 < number <= _MOST_DAYS
            for number in days.values()
        ):
            self._fault(
                self._lines.of("rotation", 0, "days_by_type"),
                '`days_by_type` gives days for globs of thing types, as in { "pump-*" = 180 }',
            )
            return {}
        return dict(days)

    def _policies_by_type(self, table: Mapping[str, Any]) -> dict[str, Sequence[str]]:
        policies = table.get("policies_by_type", {})
        if not isinstance(policies, dict) or not all(
            isinstance(names, list)
            and 1 <= len(names) <= quotas.POLICIES_PER_CERTIFICATE
            and all(map(_is_policy, names))
            for names in policies.values()
        ):
            self._fault(
                self._lines.of("rotation", 0, "policies_by_type"),
                "`policies_by_type` gives lists of one to ten AWS IoT policies for globs of thing types, as in "
                '{ "pump-*" = ["pump-telemetry"] }',
            )
            return {}
        return {glob: tuple(names) for glob, names in policies.items()}

    def _hygiene(self, table: Mapping[str, Any]) -> HygieneTerms:
        words = tuple(Cleaning)
        days = self._number(table, "inactive_days", "hygiene", 0)
        return HygieneTerms(
            on_no_thing=Cleaning(self._one_of(table, "on_no_thing", "hygiene", words)),
            inactive=Cleaning(self._one_of(table, "inactive", "hygiene", words)),
            **({} if days is None else {"inactive_days": int(days)}),
        )

    def _one_of(self, table: Mapping[str, Any], key: str, name: str, words: Sequence[str]) -> str:
        word = table.get(key, words[0])
        if word not in words:
            self._fault(self._lines.of(name, 0, key), f"`{key}` is one of {', '.join(words)}")
            return words[0]
        return str(word)

    def _rule(self, row: Mapping[str, Any], number: int, mode: Mode) -> Rule:
        line = self._lines.of("rule", number)
        self._unknown_keys(row, _RULE_KEYS, "rule", number, "a rule")
        rule = Rule(
            name=self._name(row, number),
            source=self._sources(row, number),
            kind=self._globs(row, "kind", "rule", number),
            severity=self._severity(row, number),
            attributes={
                attribute: globs
                for key, attribute in _ATTRIBUTE_KEYS.items()
                if (globs := self._globs(row, key, "rule", number))
            },
            thing_type=self._globs(row, "thing_type", "rule", number),
            thing_group=self._globs(row, "thing_group", "rule", number),
            actions=self._actions(row, number),
            mode=self._mode(row, "rule", number, mode),
            limits=self._limits(row.get("limits", {}), "rule.limits", number),
            line=line,
        )
        self._combination(rule, number)
        return rule

    def _name(self, row: Mapping[str, Any], number: int) -> str:
        name = row.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
            self._fault(
                self._lines.of("rule", number, "name"),
                "a rule's `name` is lower-case letters, digits and dashes, at most 64; the timeline shows it",
            )
            return f"rule-{number + 1}"
        return name

    def _sources(self, row: Mapping[str, Any], number: int) -> tuple[str, ...]:
        names = self._globs(row, "source", "rule", number)
        for name in names:
            if not any(fnmatchcase(source, name) for source in _RULED_SOURCES):
                known = ", ".join(_RULED_SOURCES)
                self._fault(self._lines.of("rule", number, "source"), f"unknown source {name!r}; use one of {known}")
        return names

    def _severity(self, row: Mapping[str, Any], number: int) -> Severity:
        try:
            return Severity(row.get("severity", Severity.LOW))
        except ValueError:
            self._fault(
                self._lines.of("rule", number, "severity"),
                f"`severity` is the lowest severity that the rule matches: one of {', '.join(Severity)}",
            )
            return Severity.LOW

    def _actions(self, row: Mapping[str, Any], number: int) -> tuple[str, ...]:
        named = row.get("actions")
        line = self._lines.of("rule", number, "actions")
        if not isinstance(named, list) or not named or not all(isinstance(action, str) for action in named):
            self._fault(line, f"`actions` is a list of at least one of {', '.join(ACTIONS)}")
            return (NOTIFY,)
        for action in named:
            if action not in ACTIONS:
                self._fault(line, f"unknown action {action!r}; use one of {', '.join(ACTIONS)}")
        return tuple(action for action in ACTIONS if action in named)

    def _combination(self, rule: Rule, number: int) -> None:
        line = self._lines.of("rule", number, "actions")
        new_keys = [action for action in (ROTATE_CERTIFICATE, RENEW_CERTIFICATE) if action in rule.actions]
        if new_keys and QUARANTINE in rule.actions:
            self._fault(
                line,
                f"`quarantine` and `{new_keys[0]}` in one rule: a thief with the suspected device's key could "
                "answer the rotation too and keep access. Quarantine here; "
                "`warden release` rotates when an operator says so",
            )
        suspicious = any(matches_any(rule.source, source) for source in _SUSPICIOUS_SOURCES)
        if new_keys and rule.mode is Mode.ENFORCE and suspicious:
            self._fault(
                line,
                "unattended rotation of a suspected device: name a `source` other than "
                f'{" and ".join(_SUSPICIOUS_SOURCES)}, or use `mode = "approve"`',
            )
        if len(new_keys) > 1:
            self._fault(
                line,
                "`rotate-certificate` runs at once, `renew-certificate` when its campaign comes; choose one",
            )
        if QUARANTINE in rule.actions and DEACTIVATE_CERTIFICATE in rule.actions:
            self._fault(
                line,
                "`deactivate-certificate` after `quarantine` prevents log collection and rotation; choose one",
            )

    def _campaigns_wanted(self, rules: Sequence[Rule], campaign_mode: Mode) -> None:
        for number, rule in enumerate(rules):
            acts = RENEW_CERTIFICATE in rule.actions and rule.mode is not Mode.OBSERVE
            if acts and campaign_mode is Mode.OBSERVE:
                self._fault(
                    self._lines.of("rule", number, "actions"),
                    "`renew-certificate` waits for a campaign, and there is none while [rotation] has "
                    '`mode = "observe"`; give it `approve` or `enforce`',
                )

    def _mode(self, table: Mapping[str, Any], name: str, number: int, default: Mode) -> Mode:
        try:
            return Mode(table.get("mode", default))
        except ValueError:
            self._fault(self._lines.of(name, number, "mode"), f"`mode` is one of {', '.join(Mode)}")
            return Mode.OBSERVE

    def _limits(self, table: object, name: str, number: int) -> Limits:
        if not isinstance(table, dict):
            self._fault(self._lines.of(name, number), "limits are a table: [limits] or [rule.limits]")
            return Limits()
        keys = _LIMIT_KEYS if name == "limits" else _LIMIT_KEYS - {"fleet_size"}
        self._unknown_keys(table, keys, name, number, f"[{name}]")
        numbers = {key: self._number(table, key, name, number) for key in keys}
        # There is one fleet: the share of a rule is taken from the size in [limits].
        per_hour, fleet = numbers.get("devices_per_hour"), numbers.get("fleet_size", self._fleet_size)
        self._fleet_size = fleet
        percent, cool_down = numbers.get("percent_of_fleet_per_day"), numbers.get("cool_down_minutes")
        if percent is not None and fleet is None:
            self._fault(
                self._lines.of(name, number, "percent_of_fleet_per_day"),
                "`percent_of_fleet_per_day` needs `fleet_size` in [limits]: AWS IoT has no cheap way to count a fleet",
            )
        return Limits(
            devices_per_hour=None if per_hour is None else int(per_hour),
            percent_of_fleet_per_day=percent,
            fleet_size=None if fleet is None else int(fleet),
            cool_down_minutes=None if cool_down is None else int(cool_down),
        )

    def _number(self, table: Mapping[str, Any], key: str, name: str, number: int) -> float | None:
        value = table.get(key)
        top = _MOST.get(key, 1e9)
        whole = key not in _PERCENTS
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int if whole else int | float) or not 0 < value <= top:
            self._fault(
                self._lines.of(name, number, key),
                f"`{key}` is a {'whole ' if whole else ''}number above 0 and at most {top:g}; "
                'to touch nothing, use `mode = "observe"`',
            )
            return None
        return value

    def _never_touch(self, table: object) -> NeverTouch:
        if not isinstance(table, dict):
            self._fault(self._lines.of("never_touch"), "never_touch is a table: [never_touch]")
            return NeverTouch()
        self._unknown_keys(table, {"things", "thing_types", "thing_groups"}, "never_touch", 0, "[never_touch]")
        return NeverTouch(
            things=self._globs(table, "things", "never_touch", 0),
            thing_types=self._globs(table, "thing_types", "never_touch", 0),
            thing_groups=self._globs(table, "thing_groups", "never_touch", 0),
        )

    def _globs(self, table: Mapping[str, Any], key: str, name: str, number: int) -> tuple[str, ...]:
        value = table.get(key, [])
        globs = [value] if isinstance(value, str) else value
        line = self._lines.of(name, number, key)
        if not isinstance(globs, list) or not all(isinstance(glob, str) and glob for glob in globs):
            self._fault(line, f"`{key}` must be a non-empty string or a list of them")
            return ()
        for glob in globs:
            if "[" in glob and not re.search(r"\[!?[^\]]+\]", glob):
                self._fault(
                    line, f"`{key}`: {glob!r} opens a [ that it never closes; write [[] for the character itself"
                )
        return tuple(globs)

    def _unknown_keys(self, table: Mapping[str, Any], known: set[str], name: str, number: int, where: str) -> None:
        for key in table.keys() - known:
            self._fault(
                self._lines.of(name, number, key),
                f"{where} has no `{key}`; it may have {', '.join(sorted(known))}",
            )

    def _reachability(self, rules: Sequence[Rule]) -> None:
        for later, earlier in shadowed(rules):
            self._fault(
                later.line,
                f"rule {later.name!r} is never reached: {earlier.name!r} (line {earlier.line}) matches all of it",
            )
        names: dict[str, Rule] = {}
        for rule in rules:
            if rule.name in names:
                self._fault(
                    rule.line,
                    f"two rules are called {rule.name!r} (line {names[rule.name].line}); "
                    "the timeline could not distinguish them",
                )
            names.setdefault(rule.name, rule)
        if rules and not takes_everything(rules[-1]):
            self._fault(
                rules[-1].line,
                "the last rule must match everything (no conditions), so that every finding gets an answer",
            )
        if rules and rules[-1].actions != (NOTIFY,):
            self._fault(
                rules[-1].line, 'the last rule catches every unforeseen finding: its actions must be ["notify"]'
            )
