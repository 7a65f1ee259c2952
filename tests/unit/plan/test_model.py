"""The response plan: which row decides, and every fault named with its line."""

from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes import PLAN, a_finding
from warden.core.actions import QUARANTINE
from warden.core.errors import PlanError
from warden.core.findings import Severity, Source
from warden.core.mode import Mode
from warden.plan.actions import ACTIONS, NOTIFY
from warden.plan.model import Device
from warden.plan.parser import read_plan

HEAD = "version = 1\n[limits]\ndevices_per_hour = 20\n"
LAST = '[[rule]]\nname = "rest"\nactions = ["notify"]\n'


def a_rule(text: str, *, name: str = "first") -> str:
    return f'{HEAD}[[rule]]\nname = "{name}"\n{text}\n{LAST}'


def faults(text: str) -> list[str]:
    with pytest.raises(PlanError) as caught:
        read_plan(text)
    return [str(fault) for fault in caught.value.faults]


# --- which row decides ---------------------------------------------------------------------------------------------


def chosen(text: str, *, device: Device | None = None, **finding: Any) -> str:
    return read_plan(text).rule_for(a_finding(**finding), device or Device()).name


def test_the_plan_that_is_deployed_is_sound() -> None:
    text = (ROOT / "layers" / "plan" / "python" / "warden_plan" / "response-plan.toml").read_text(encoding="utf-8")

    assert read_plan(text).rules[-1].actions == (NOTIFY,)


def test_the_least_plan_only_tells() -> None:
    assert read_plan(HEAD + LAST).rules[0].mode is Mode.OBSERVE


@pytest.mark.parametrize(
    ("condition", "matching", "other"),
    [
        ('source = "guardduty"', {"source": Source.GUARDDUTY}, {}),
        ('source = "device-defender-*"', {}, {"source": Source.GUARDDUTY}),
        ('kind = ["aws:num-*", "aws:all-bytes-out"]', {}, {"kind": "aws:all-bytes-in"}),
        ('severity = "high"', {"severity": Severity.CRITICAL}, {"severity": Severity.MEDIUM}),
        ('metric = "m*"', {"attributes": {"metric": "mine"}}, {}),
        ('metric = "?*"', {"attributes": {"metric": "m"}}, {}),
        ('security_profile = "pumps"', {"attributes": {"security-profile": "pumps"}}, {"attributes": {"metric": "x"}}),
        ('audit_check = "CA_*"', {"attributes": {"check": "CA_EXPIRING"}}, {"attributes": {"check": "x"}}),
    ],
)
def test_a_row_is_for_what_its_conditions_say(condition: str, matching: dict[str, Any], other: dict[str, Any]) -> None:
    text = a_rule(f'{condition}\nactions = ["notify"]')

    assert chosen(text, **matching) == "first"
    assert chosen(text, **other) == "rest"


@pytest.mark.parametrize("condition", ['thing_type = "pump"', 'thing_group = ["site-?", "x"]'])
def test_a_row_can_ask_about_the_device(condition: str) -> None:
    text = a_rule(f'{condition}\nactions = ["notify"]')

    assert chosen(text, device=Device(thing_type="pump", groups=("site-4",))) == "first"
    assert chosen(text, device=Device(thing_type="valve", groups=("plant",))) == "rest"


def test_the_first_row_that_matches_decides() -> None:
    rows = '[[rule]]\nname = "one"\nkind = "aws:*"\nactions = ["notify"]\n'
    assert chosen(HEAD + rows + rows.replace("one", "two").replace("aws:*", "*") + LAST) == "one"


def test_actions_run_in_their_own_order_whatever_the_plan_says() -> None:
    text = a_rule('kind = "x"\nactions = ["notify", "collect-logs", "quarantine"]')

    assert read_plan(text).rules[0].actions == (QUARANTINE, "collect-logs", NOTIFY)


def test_a_row_takes_the_plans_mode_unless_it_has_its_own() -> None:
    rows = 'kind = "x"\nactions = ["notify"]\nmode = "enforce"'

    plan = read_plan('mode = "approve"\n' + a_rule(rows))

    assert [rule.mode for rule in plan.rules] == [Mode.ENFORCE, Mode.APPROVE]


# --- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version = 1\nlimits = [", "line 2: this is not TOML"),
        ("a = 1\na = 2", "line 2: this is not TOML"),
        (HEAD + LAST.replace("name", "nmae"), "line 5: a rule has no `nmae`; it may have actions, audit_check"),
        ("versoin = 1\n" + HEAD + LAST, "line 1: the plan has no `versoin`"),
        (HEAD.replace("1", "2", 1) + LAST, "line 1: `version` is missing or not 1"),
        (HEAD.replace("version = 1\n", "") + LAST, "line 1: `version` is missing"),
        ('mode = "shoot"\n' + HEAD + LAST, "line 1: `mode` is one of observe, approve, enforce"),
        (
            HEAD.replace("devices_per_hour", "percent_of_fleet_per_day") + LAST,
            "line 3: `percent_of_fleet_per_day` needs",
        ),
        ("version = 1\n[limits]\n" + LAST, "line 2: [limits] has no `devices_per_hour`"),
        (HEAD.replace("20", "0") + LAST, "line 3: `devices_per_hour` is a whole number above 0"),
        (HEAD.replace("20", "1.5") + LAST, "line 3: `devices_per_hour` is a whole number"),
        (HEAD.replace("20", "true") + LAST, "line 3: `devices_per_hour` is a whole number"),
        (
            HEAD.replace("20", "100001") + LAST,
            "line 3: `devices_per_hour` is a whole number above 0 and at most 100000",
        ),
        (
            HEAD + "percent_of_fleet_per_day = 101\nfleet_size = 5\n" + LAST,
            "line 4: `percent_of_fleet_per_day` is a number",
        ),
        (HEAD + "speed = 1\n" + LAST, "line 4: [limits] has no `speed`"),
        ("version = 1\nlimits = 7\n" + LAST, "line 2: limits are a table"),
        ("version = 1\nlimits = { devices_per_hour = 0 }\n" + LAST, "line 2: `devices_per_hour` is a whole number"),
        (HEAD, "line 1: there is no [[rule]]"),
        ("rule = 7\n" + HEAD, "line 1: there is no [[rule]]"),
        ("rule = [7]\n" + HEAD, "line 1: "),
        (HEAD + "[never_touch]\nthings = 7\n" + LAST, "line 5: `things` must be a non-empty string or a list of them"),
        (
            HEAD + '[never_touch]\nthings = [""]\n' + LAST,
            "line 5: `things` must be a non-empty string or a list of them",
        ),
        (HEAD + "[never_touch]\nthing = []\n" + LAST, "line 5: [never_touch] has no `thing`"),
        ("never_touch = 7\n" + HEAD + LAST, "line 1: never_touch is a table"),
        (a_rule('kind = "x"\nactions = []'), "line 7: `actions` is a list of at least one of quarantine"),
        (a_rule('kind = "x"'), "line 4: `actions` is a list of at least one"),
        (a_rule('kind = "x"\nactions = "notify"'), "line 7: `actions` is a list"),
        (a_rule('kind = "x"\nactions = ["explode"]'), "line 7: unknown action 'explode'"),
        (a_rule('kind = 7\nactions = ["notify"]'), "line 6: `kind` must be a non-empty string or a list of them"),
        (a_rule('kind = "a[b"\nactions = ["notify"]'), "line 6: `kind`: 'a[b' opens a [ that it never closes"),
        (a_rule('source = "gaurdduty"\nactions = ["notify"]'), "line 6: unknown source 'gaurdduty'"),
        (a_rule('severity = "bad"\nactions = ["notify"]'), "line 6: `severity` is the lowest severity"),
        (a_rule('kind = "x"\nmode = "shoot"\nactions = ["notify"]'), "line 7: `mode` is one of"),
        (a_rule('kind = "x"\nactions = ["notify"]', name="First!"), "line 5: a rule's `name` is lower-case"),
        (a_rule('kind = "x"\nactions = ["notify"]', name="rest"), "line 8: two rules are called 'rest' (line 4)"),
        (
            a_rule('kind = "x"\nactions = ["notify"]\n[rule.limits]\ndevices_per_hour = 0'),
            "line 9: `devices_per_hour` is a whole number",
        ),
        (
            a_rule('kind = "x"\nactions = ["notify"]\n[rule.limits]\nfleet_size = 5'),
            "line 9: [rule.limits] has no `fleet_size`",
        ),
        (
            a_rule('kind = "x"\nlimits = { devices_per_hour = 0 }\nactions = ["notify"]'),
            "line 7: `devices_per_hour` is a whole number",
        ),
        (a_rule('kind = "x"\nlimits = 7\nactions = ["notify"]'), "line 7: limits are a table"),
        (
            a_rule('kind = "x"\nactions = ["quarantine", "rotate-certificate"]'),
            "line 7: `quarantine` and `rotate-certificate` in one rule",
        ),
        (
            a_rule('kind = "x"\nactions = ["quarantine", "deactivate-certificate"]'),
            "line 7: `deactivate-certificate` after `quarantine`",
        ),
        (
            a_rule('kind = "x"\nmode = "enforce"\nactions = ["rotate-certificate"]'),
            "line 8: unattended rotation of a suspected device",
        ),
        (
            a_rule('source = "*detect"\nmode = "enforce"\nactions = ["rotate-certificate"]'),
            "line 8: unattended rotation of a suspected device",
        ),
        (a_rule('actions = ["notify"]'), "line 7: rule 'rest' is never reached: 'first' (line 4)"),
        (HEAD + LAST.replace("[[rule]]", '[[rule]]\nkind = "x"'), "line 4: the last rule must match everything"),
        (HEAD + LAST.replace("notify", "quarantine"), "line 4: the last rule catches every unforeseen finding"),
    ],
)
def test_a_fault_is_named_with_its_line(text: str, fault: str) -> None:
    assert any(each.startswith(fault) for each in faults(text)), faults(text)


def test_every_fault_is_named_and_in_the_order_of_the_file() -> None:
    text = a_rule('kind = "a[b"\nactions = ["explode"]').replace("version = 1", "version = 7")

    assert [fault.split(":")[0] for fault in faults(text)] == ["line 1", "line 6", "line 7"]


def test_faults_in_the_second_of_three_rules_are_told_there() -> None:
    rows = "".join(
        f'[[rule]]\nname = "r{n}"\nkind = "k{n}"\nseverity = "low"\nactions = ["notify"]\n' for n in range(3)
    )
    lines = (HEAD + rows + LAST).splitlines()
    lines[11] = 'severity = "bad"'

    assert [fault.split(":")[0] for fault in faults("\n".join(lines))] == ["line 12"]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [("aws:?", "aws:*"), ("???", "[a]"), ("*]x", "[a]x"), ("aws:*", "*"), ("a", "b"), ("[ab]", "?"), ("a?", "a*")],
)
def test_a_rule_that_can_be_reached_is_not_called_unreachable(earlier: str, later: str) -> None:
    second = f'[[rule]]\nname = "second"\nkind = "{later}"\nactions = ["notify"]\n{LAST}'

    read_plan(a_rule(f'kind = "{earlier}"\nactions = ["notify"]').replace(LAST, second))


@pytest.mark.parametrize(
    ("earlier", "later"), [("*", "x"), ("aws:*", "aws:num-*"), ("aws:*", "aws:?"), ("a[bc]", "a[bc]"), ("*", "[a]")]
)
def test_a_rule_that_another_takes_everything_from_is_named(earlier: str, later: str) -> None:
    second = f'[[rule]]\nname = "second"\nkind = "{later}"\nactions = ["notify"]\n{LAST}'

    text = a_rule(f'kind = "{earlier}"\nactions = ["notify"]').replace(LAST, second)

    assert faults(text) == ["line 8: rule 'second' is never reached: 'first' (line 4) matches all of it"]


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_may_be_planned(action: str) -> None:
    plan = read_plan(a_rule(f'kind = "x"\nactions = ["{action}"]'))

    assert plan.rules[0].actions == (action,)


def test_the_plan_of_these_tests_is_sound() -> None:
    assert len(read_plan(PLAN).rules) == 6


def test_a_rules_share_of_the_fleet_is_of_the_one_fleet_size() -> None:
    plan = read_plan(
        """
version = 1
[limits]
devices_per_hour = 20
fleet_size = 1000
[[rule]]
name = "renew"
source = "device-defender-audit"
actions = ["rotate-certificate"]
mode = "enforce"
[rule.limits]
percent_of_fleet_per_day = 0.5
[[rule]]
name = "rest"
actions = ["notify"]
"""
    )

    assert plan.limits.devices_per_day is None
    assert plan.rules[0].limits.devices_per_day == 5
