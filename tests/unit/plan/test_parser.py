"""The plan to the letter: everything it can say, read; every sentence about what is wrong with it, whole."""

from __future__ import annotations

from datetime import timedelta

import pytest

from warden.core.errors import PlanError
from warden.core.findings import Severity
from warden.core.mode import Mode
from warden.plan.actions import ACTIONS
from warden.plan.model import Limits, NeverTouch, Plan, Rule
from warden.plan.parser import read_plan
from warden.plan.renewal_terms import Cleaning, HygieneTerms, RotationTerms, Window

HEAD = "# a plan\n\nversion = 1\n[limits]\ndevices_per_hour = 20\n"
LAST = '[[rule]]\nname = "rest"\nactions = ["notify"]\n'
ALL_ACTIONS = ", ".join(ACTIONS)
EVERYTHING = """
version = 1
mode = "approve"
[limits]
devices_per_hour = 20
percent_of_fleet_per_day = 0.5
fleet_size = 4000
cool_down_minutes = 30
[never_touch]
things = ["gateway-*", "pump-1"]
thing_types = "gateway"
thing_groups = ["clinic"]
[rotation]
mode = "enforce"
devices_per_day = 500
canary_percent = 2.5
success_percent = 97
jobs_per_minute = 50
attempts = 4
days_to_answer = 9
window = "0 1 * * *"
window_minutes = 180
key_algorithm = "RSA_2048"
days_by_type = { "pump-*" = 180 }
policies_by_type = { "pump-*" = ["pump-telemetry", "pump+commands"] }
[hygiene]
on_no_thing = "clean"
inactive = "clean"
inactive_days = 400
[[rule]]
name = "data-leaves"
source = ["device-defender-detect", "guardduty"]
kind = "aws:*"
severity = "medium"
metric = "m*"
security_profile = ["pumps", "valves"]
audit_check = "CA_*"
thing_type = "pump"
thing_group = "site-?"
actions = ["notify", "quarantine"]
mode = "enforce"
[rule.limits]
devices_per_hour = 2
percent_of_fleet_per_day = 1
cool_down_minutes = 5
[[rule]]
name = "rest"
actions = ["notify"]
"""


def a_rule(text: str, *, name: str = "first") -> str:
    """Put a rule before the last one; its own lines begin at 8."""
    return f'{HEAD}[[rule]]\nname = "{name}"\n{text}\n{LAST}'


def faults(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        read_plan(text)
    return [str(fault) for fault in caught.value.faults]


def test_everything_that_a_plan_can_say_is_read() -> None:
    assert read_plan(EVERYTHING) == Plan(
        limits=Limits(devices_per_hour=20, percent_of_fleet_per_day=0.5, fleet_size=4000, cool_down_minutes=30),
        never_touch=NeverTouch(things=("gateway-*", "pump-1"), thing_types=("gateway",), thing_groups=("clinic",)),
        campaign_mode=Mode.ENFORCE,
        rotation=RotationTerms(
            devices_per_day=500,
            canary_percent=2.5,
            success_percent=97,
            per_minute=50,
            attempts=4,
            days_to_answer=9,
            window=Window("0 1 * * *", timedelta(hours=3)),
            key_algorithm="RSA_2048",
            days_by_type={"pump-*": 180},
            policies_by_type={"pump-*": ("pump-telemetry", "pump+commands")},
        ),
        hygiene=HygieneTerms(on_no_thing=Cleaning.CLEAN, inactive=Cleaning.CLEAN, inactive_days=400),
        rules=(
            Rule(
                name="data-leaves",
                source=("device-defender-detect", "guardduty"),
                kind=("aws:*",),
                severity=Severity.MEDIUM,
                attributes={"metric": ("m*",), "security-profile": ("pumps", "valves"), "check": ("CA_*",)},
                thing_type=("pump",),
                thing_group=("site-?",),
                actions=("quarantine", "notify"),
                mode=Mode.ENFORCE,
                limits=Limits(devices_per_hour=2, percent_of_fleet_per_day=1, fleet_size=4000, cool_down_minutes=5),
                line=30,
            ),
            Rule(name="rest", actions=("notify",), mode=Mode.APPROVE, limits=Limits(fleet_size=4000), line=46),
        ),
    )


def test_what_a_plan_does_not_say_is_the_careful_choice() -> None:
    plan = read_plan(HEAD + LAST)

    assert plan == Plan(
        limits=Limits(devices_per_hour=20),
        never_touch=NeverTouch(),
        campaign_mode=Mode.OBSERVE,
        rules=(Rule(name="rest", actions=("notify",), mode=Mode.OBSERVE, line=6),),
    )


@pytest.mark.parametrize(
    ("one", "other", "careful"),
    [
        ("observe", "enforce", "observe"),
        ("enforce", "observe", "observe"),
        ("approve", "enforce", "approve"),
        ("enforce", "approve", "approve"),
        ("approve", "observe", "observe"),
        ("enforce", "enforce", "enforce"),
    ],
)
def test_the_more_careful_of_two_modes_counts(one: str, other: str, careful: str) -> None:
    assert Mode(one).within(Mode(other)) is Mode(careful)


@pytest.mark.parametrize(("own", "of_all", "minutes"), [(5, 30, 5), (None, 30, 30), (5, None, 5), (None, None, 60)])
def test_a_cool_down_is_the_rules_or_the_plans_or_an_hour(own: int | None, of_all: int | None, minutes: int) -> None:
    rule = Rule(name="a", actions=("notify",), mode=Mode.OBSERVE, limits=Limits(cool_down_minutes=own))
    plan = Plan(limits=Limits(cool_down_minutes=of_all), never_touch=NeverTouch(), rules=(rule,))

    assert plan.cool_down_of(rule) == timedelta(minutes=minutes)


def test_a_rule_is_found_by_its_name_and_the_last_stands_in_for_one_that_is_gone() -> None:
    rules = tuple(Rule(name=name, actions=("notify",), mode=Mode.OBSERVE) for name in ("a", "b", "c", "rest"))
    plan = Plan(limits=Limits(), never_touch=NeverTouch(), rules=rules)

    assert [plan.rule_named(name).name for name in ("a", "b", "rest", "gone")] == ["a", "b", "rest", "rest"]


# --- every sentence ------------------------------------------------------------------------------------------------

RULE_MAY_HAVE = (
    "actions, audit_check, kind, limits, metric, mode, name, "
    "security_profile, severity, source, thing_group, thing_type"
)
NUMBER_ENDS = 'to touch nothing, use `mode = "observe"`'
SOURCES = "device-defender-detect, device-defender-audit, guardduty, security-hub, generic, operator"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            HEAD.replace("version = 1", "version = 2") + LAST,
            "line 3: `version` is missing or not 1; this service reads version 1",
        ),
        (
            HEAD.replace("version = 1\n", "version = 1\nspeed = 1\n") + LAST,
            "line 4: the plan has no `speed`; it may have hygiene, limits, mode, never_touch, rotation, rule, version",
        ),
        (
            HEAD.replace("version = 1\n", 'version = 1\nmode = "shoot"\n') + LAST,
            "line 4: `mode` is one of observe, approve, enforce",
        ),
        (
            HEAD.replace("devices_per_hour = 20\n", "") + LAST,
            "line 4: [limits] has no `devices_per_hour`; set how many devices an hour may be touched without approval",
        ),
        (
            HEAD + "speed = 1\n" + LAST,
            "line 6: [limits] has no `speed`; "
            "it may have cool_down_minutes, devices_per_hour, fleet_size, percent_of_fleet_per_day",
        ),
        (
            HEAD + "percent_of_fleet_per_day = 1\n" + LAST,
            "line 6: `percent_of_fleet_per_day` needs `fleet_size` in [limits]: "
            "AWS IoT has no cheap way to count a fleet",
        ),
        (
            HEAD + "percent_of_fleet_per_day = 100.5\nfleet_size = 1\n" + LAST,
            f"line 6: `percent_of_fleet_per_day` is a number above 0 and at most 100; {NUMBER_ENDS}",
        ),
        (
            HEAD + "fleet_size = 1000000001\n" + LAST,
            f"line 6: `fleet_size` is a whole number above 0 and at most 1e+09; {NUMBER_ENDS}",
        ),
        (
            HEAD + "cool_down_minutes = 44641\n" + LAST,
            f"line 6: `cool_down_minutes` is a whole number above 0 and at most 44640; {NUMBER_ENDS}",
        ),
        (HEAD, 'line 1: there is no [[rule]]; the smallest plan has one with `actions = ["notify"]`'),
        (
            HEAD.replace("version = 1\n", "version = 1\nrule = [7]\n"),
            "line 4: rules are tables: [[rule]]",
        ),
        (
            HEAD.replace("version = 1\n", "version = 1\nlimits = 7\n").replace("[limits]\ndevices_per_hour = 20\n", "")
            + LAST,
            "line 4: limits are a table: [limits] or [rule.limits]",
        ),
        (
            HEAD.replace("version = 1\n", "version = 1\nnever_touch = 7\n") + LAST,
            "line 4: never_touch is a table: [never_touch]",
        ),
        (
            HEAD + "[never_touch]\nthing = []\n" + LAST,
            "line 7: [never_touch] has no `thing`; it may have thing_groups, thing_types, things",
        ),
        (
            HEAD + "[never_touch]\nthing_types = 7\n" + LAST,
            "line 7: `thing_types` must be a non-empty string or a list of them",
        ),
        (
            HEAD + '[never_touch]\nthing_groups = ["a", ""]\n' + LAST,
            "line 7: `thing_groups` must be a non-empty string or a list of them",
        ),
        (
            HEAD + '[never_touch]\nthings = ["a[b"]\n' + LAST,
            "line 7: `things`: 'a[b' opens a [ that it never closes; write [[] for the character itself",
        ),
        (
            a_rule('kind = "x"\nnmae = 1\nactions = ["notify"]'),
            f"line 9: a rule has no `nmae`; it may have {RULE_MAY_HAVE}",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]', name="First!"),
            "line 7: a rule's `name` is lower-case letters, digits and dashes, at most 64; the timeline shows it",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]', name="a" * 65),
            "line 7: a rule's `name` is lower-case letters, digits and dashes, at most 64; the timeline shows it",
        ),
        (
            a_rule('source = ["generic", "gaurdduty"]\nactions = ["notify"]'),
            f"line 8: unknown source 'gaurdduty'; use one of {SOURCES}",
        ),
        (
            a_rule('kind = "x"\nseverity = "bad"\nactions = ["notify"]'),
            "line 9: `severity` is the lowest severity that the rule matches: one of low, medium, high, critical",
        ),
        (a_rule('kind = "x"\nactions = []'), f"line 9: `actions` is a list of at least one of {ALL_ACTIONS}"),
        (
            a_rule('kind = "x"\nactions = ["explode", "notify"]'),
            f"line 9: unknown action 'explode'; use one of {ALL_ACTIONS}",
        ),
        (
            a_rule('kind = "x"\nmode = "approve"\nactions = ["quarantine", "rotate-certificate"]'),
            "line 10: `quarantine` and `rotate-certificate` in one rule: a thief with the suspected device's key could "
            "answer the rotation too and keep access. Quarantine here; "
            "`warden release` rotates when an operator says so",
        ),
        (
            a_rule('kind = "x"\nmode = "approve"\nactions = ["quarantine", "renew-certificate"]'),
            "line 10: `quarantine` and `renew-certificate` in one rule: a thief with the suspected device's key could "
            "answer the rotation too and keep access. Quarantine here; "
            "`warden release` rotates when an operator says so",
        ),
        (
            a_rule('source = "generic"\nmode = "approve"\nactions = ["rotate-certificate", "renew-certificate"]'),
            "line 10: `rotate-certificate` runs at once, `renew-certificate` when its campaign comes; choose one",
        ),
        (
            a_rule('kind = "x"\nmode = "enforce"\nactions = ["renew-certificate"]'),
            "line 10: unattended rotation of a suspected device: name a `source` other than "
            'device-defender-detect and guardduty, or use `mode = "approve"`',
        ),
        (
            a_rule('source = "generic"\nmode = "enforce"\nactions = ["renew-certificate"]'),
            "line 10: `renew-certificate` waits for a campaign, and there is none while [rotation] has "
            '`mode = "observe"`; give it `approve` or `enforce`',
        ),
        (
            a_rule('kind = "x"\nmode = "enforce"\nactions = ["rotate-certificate"]'),
            "line 10: unattended rotation of a suspected device: name a `source` other than "
            'device-defender-detect and guardduty, or use `mode = "approve"`',
        ),
        (
            a_rule('kind = "x"\nactions = ["quarantine", "deactivate-certificate"]'),
            "line 9: `deactivate-certificate` after `quarantine` prevents log collection and rotation; choose one",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]', name="rest"),
            "line 10: two rules are called 'rest' (line 6); the timeline could not distinguish them",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]\nmode = "shoot"'),
            "line 10: `mode` is one of observe, approve, enforce",
        ),
        (a_rule('kind = 7\nactions = ["notify"]'), "line 8: `kind` must be a non-empty string or a list of them"),
        *(
            (
                a_rule(f'actions = ["notify"]\nkind = "x"\n{key} = 7'),
                f"line 10: `{key}` must be a non-empty string or a list of them",
            )
            for key in ("metric", "security_profile", "audit_check", "thing_type", "thing_group", "source")
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]\n[rule.limits]\ndevices_per_hour = 0'),
            f"line 11: `devices_per_hour` is a whole number above 0 and at most 100000; {NUMBER_ENDS}",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]\n[rule.limits]\nfleet_size = 5'),
            "line 11: [rule.limits] has no `fleet_size`; "
            "it may have cool_down_minutes, devices_per_hour, percent_of_fleet_per_day",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]\nlimits = 7'),
            "line 10: limits are a table: [limits] or [rule.limits]",
        ),
        (
            HEAD + LAST.replace("notify", "quarantine"),
            'line 6: the last rule catches every unforeseen finding: its actions must be ["notify"]',
        ),
        (
            HEAD + LAST + 'severity = "medium"\n',
            "line 6: the last rule must match everything (no conditions), so that every finding gets an answer",
        ),
    ],
)
def test_what_is_wrong_with_a_plan_is_said_in_full(text: str, said: str) -> None:
    assert said in faults(text)


ROTATION_MAY_HAVE = (
    "attempts, canary_percent, days_by_type, days_to_answer, devices_per_day, jobs_per_minute, key_algorithm, mode, "
    "policies_by_type, success_percent, window, window_minutes"
)
DAYS = 'line 8: `days_by_type` gives days for globs of thing types, as in { "pump-*" = 180 }'
POLICIES = (
    "line 8: `policies_by_type` gives lists of one to ten AWS IoT policies for globs of thing types, as in "
    '{ "pump-*" = ["pump-telemetry"] }'
)
WINDOW = (
    '`window` and `window_minutes` belong together, as in window = "0 1 * * *" with window_minutes = 180; '
    "without either, jobs are sent at any time"
)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("speed = 1", f"line 8: [rotation] has no `speed`; it may have {ROTATION_MAY_HAVE}"),
        ('mode = "shoot"', "line 8: `mode` is one of observe, approve, enforce"),
        ('key_algorithm = "DSA"', "line 8: `key_algorithm` is one of EC_P256, EC_P384, RSA_2048, RSA_3072, RSA_4096"),
        *(
            (f"{key} = {top + 1}", f"line 8: `{key}` is a whole number above 0 and at most {shown}; {NUMBER_ENDS}")
            for key, top, shown in (
                ("devices_per_day", 1_000_000, "1e+06"),
                ("jobs_per_minute", 1_000, "1000"),
                ("attempts", 100, "100"),
                ("days_to_answer", 365, "365"),
                ("window_minutes", 1_440, "1440"),
            )
        ),
        *(
            (f"{key} = 100.1", f"line 8: `{key}` is a number above 0 and at most 100; {NUMBER_ENDS}")
            for key in ("canary_percent", "success_percent")
        ),
        ('window = "0 1 * * *"', f"line 8: {WINDOW}"),
        ("window_minutes = 5", f"line 8: {WINDOW}"),
        ("window_minutes = 5\nwindow = 7", f"line 9: {WINDOW}"),
        (
            'window_minutes = 5\nwindow = "0 25 * * *"',
            "line 9: `window` is a cron expression of five fields in UTC, and '0 25 * * *' is none: Bad hour",
        ),
        ("days_by_type = 7", DAYS),
        ('days_by_type = { "pump-*" = 0 }', DAYS),
        ('days_by_type = { "pump-*" = 36501 }', DAYS),
        ('days_by_type = { "pump-*" = true }', DAYS),
        ('days_by_type = { "pump-*" = 1.5 }', DAYS),
        ("policies_by_type = 7", POLICIES),
        ('policies_by_type = { "pump-*" = "pump" }', POLICIES),
        ('policies_by_type = { "pump-*" = [] }', POLICIES),
        (f'policies_by_type = {{ "pump-*" = {[f"p{number}" for number in range(11)]} }}', POLICIES),
        ('policies_by_type = { "pump-*" = [7] }', POLICIES),
        ('policies_by_type = { "pump-*" = ["a b"] }', POLICIES),
        ('policies_by_type = { "pump-*" = ["gerät"] }', POLICIES),
        (f'policies_by_type = {{ "pump-*" = ["{"a" * 129}"] }}', POLICIES),
    ],
)
def test_what_is_wrong_with_the_terms_of_rotation_is_said_in_full(lines: str, said: str) -> None:
    assert faults(f"{HEAD}\n[rotation]\n{lines}\n{LAST}") == [said]


def test_the_most_that_the_terms_of_rotation_may_be() -> None:
    most = {"devices_per_day": 1_000_000, "jobs_per_minute": 1_000, "attempts": 100, "days_to_answer": 365}
    lines = [f"{key} = {top}" for key, top in most.items()]
    names = [f"{number:0128d}" for number in range(10)]
    lines += [
        "canary_percent = 100",
        'days_by_type = { "a" = 36500, "b" = 1 }',
        f'policies_by_type = {{ "a" = {names} }}',
    ]

    rotation = read_plan(HEAD + "[rotation]\n" + "\n".join(lines) + "\n" + LAST).rotation

    assert (rotation.devices_per_day, rotation.per_minute, rotation.attempts) == (1_000_000, 1_000, 100)
    assert (rotation.days_to_answer, rotation.canary_percent) == (365, 100)
    assert rotation.days_by_type == {"a": 36_500, "b": 1}
    assert rotation.policies_by_type == {"a": tuple(names)}


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("speed = 1", "line 8: [hygiene] has no `speed`; it may have inactive, inactive_days, on_no_thing"),
        ('on_no_thing = "burn"', "line 8: `on_no_thing` is one of report, clean"),
        ('inactive = "burn"', "line 8: `inactive` is one of report, clean"),
        ("inactive_days = 0", f"line 8: `inactive_days` is a whole number above 0 and at most 36500; {NUMBER_ENDS}"),
        (
            "inactive_days = 36501",
            f"line 8: `inactive_days` is a whole number above 0 and at most 36500; {NUMBER_ENDS}",
        ),
    ],
)
def test_what_is_wrong_with_the_terms_of_hygiene_is_said_in_full(lines: str, said: str) -> None:
    assert faults(f"{HEAD}\n[hygiene]\n{lines}\n{LAST}") == [said]


@pytest.mark.parametrize("name", ["rotation", "hygiene"])
def test_terms_are_a_table(name: str) -> None:
    assert faults(HEAD.replace("[limits]", f"{name} = 7\n[limits]") + LAST) == [f"line 4: {name} is a table: [{name}]"]


# --- which rule takes what is left ---------------------------------------------------------------------------------


def two_rules(earlier: str, later: str) -> str:
    return a_rule(f'{earlier}\nactions = ["notify"]').replace(
        LAST, f'[[rule]]\nname = "second"\n{later}\nactions = ["notify"]\n{LAST}'
    )


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('source = "generic"', 'source = "guardduty"'),
        ('source = "generic"', 'kind = "x"'),
        ('metric = "a"', 'metric = "b"'),
        ('metric = "a"', 'security_profile = "a"'),
        ('metric = "a"\nkind = "x"', 'kind = "x"'),
        ('thing_type = "a"', 'thing_type = "b"'),
        ('thing_type = "a"', 'thing_group = "a"'),
        ('thing_group = "a"', 'thing_group = "b"'),
        ('severity = "high"', 'severity = "medium"'),
        ('kind = "a]*"', 'kind = "a]?"'),
        ('kind = "X?"', 'kind = "X*"'),
        ('kind = "aX?"', 'kind = "aX[b]"'),
        ('kind = "a*"', 'kind = "a[b]"'),
    ],
)
def test_a_rule_about_something_else_can_be_reached(earlier: str, later: str) -> None:
    assert [rule.name for rule in read_plan(two_rules(earlier, later)).rules] == ["first", "second", "rest"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ('source = "device-*"', 'source = "device-defender-audit"'),
        ('metric = "a*"', 'metric = ["a", "ab"]\nsecurity_profile = "b"'),
        ('thing_type = "a"', 'thing_type = "a"\nthing_group = "b"'),
        ('thing_group = ["a", "b"]', 'thing_group = "b"'),
        ('severity = "medium"', 'severity = "high"'),
        ('kind = "a?"', 'kind = "aX"'),
        ('kind = "a*"', 'kind = "aX*"'),
        ('kind = "X*"', 'kind = "Xa*"'),
    ],
)
def test_a_rule_that_gets_nothing_any_more_is_named(earlier: str, later: str) -> None:
    said = faults(two_rules(earlier, later))

    assert [each.partition(": ")[2] for each in said] == [
        "rule 'second' is never reached: 'first' (line 6) matches all of it"
    ]


def test_a_rule_whose_name_cannot_be_is_called_by_its_number() -> None:
    said = faults(two_rules('kind = "a*"', 'kind = "ab"').replace('"first"', '"First!"'))

    assert [each.partition(": ")[2] for each in said][1] == (
        "rule 'second' is never reached: 'rule-1' (line 6) matches all of it"
    )


def test_a_table_that_is_written_as_a_list_is_told_at_its_line() -> None:
    assert faults(f"{HEAD}[[never_touch]]\nthings = []\n{LAST}") == ["line 6: never_touch is a table: [never_touch]"]


def test_a_plan_without_limits_is_told_that_and_nothing_else() -> None:
    assert faults("version = 1\n" + LAST) == [
        "line 1: [limits] has no `devices_per_hour`; set how many devices an hour may be touched without approval"
    ]


def test_a_fault_in_the_limits_of_the_second_rule_is_told_there() -> None:
    second = 'kind = "y"\n[rule.limits]\ndevices_per_hour = 0\n[[rule]]\nname = "third"\nkind = "z"'
    text = two_rules('kind = "x"', "").replace(
        'name = "second"\n\nactions = ["notify"]\n',
        f"""name = "second"
actions = ["notify"]
{second}
actions = ["notify"]
""",
    )

    assert faults(text) == [f"line 15: `devices_per_hour` is a whole number above 0 and at most 100000; {NUMBER_ENDS}"]


def test_what_is_no_toml_is_told_at_its_line() -> None:
    [said] = faults("a = 1\na = 2\nb = 3\nc = 4\n")

    assert said.startswith("line 2: this is not TOML: ")


def test_faults_are_in_the_order_of_their_lines_not_of_their_words() -> None:
    said = faults(two_rules('kind = "a[b"', 'kind = "x"\nseverity = "bad"'))

    assert [each.partition(":")[0] for each in said] == ["line 8", "line 13"]


def test_limits_of_the_second_rule_that_are_no_table_are_told_there() -> None:
    assert faults(two_rules('kind = "x"', 'kind = "y"\nlimits = 7')) == [
        "line 13: limits are a table: [limits] or [rule.limits]"
    ]


def test_every_rule_that_gets_nothing_any_more_is_named() -> None:
    third = '[[rule]]\nname = "third"\nkind = "ac"\nactions = ["notify"]\n'

    said = faults(two_rules('kind = "a*"', 'kind = "ab"').replace(LAST, third + LAST))

    assert [each.partition(" is never")[0] for each in said] == ["line 10: rule 'second'", "line 14: rule 'third'"]
