"""`warden plan`: faults with their line, and what would come of every sample event, with nobody asked."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.conftest import Said, Shell
from tests.cli.samples import OPENED
from tests.conftest import ROOT
from tests.sample_events import SAMPLE_EVENTS, Outcome
from warden.bootstrap import deployed_plan
from warden.core.findings import Finding, Severity, Source, Subject, SubjectType
from warden.plan.model import Device
from warden.plan.parser import read_plan
from warden_cli.explanation import KnownDevice, why_not

PLAN = """\
version = 1
[limits]
devices_per_hour = 5
[never_touch]
things = ["pump-king"]
thing_groups = ["surgery*"]
[[rule]]
name = "valves"
thing_type = "valve"
actions = ["disconnect"]
mode = "enforce"
[[rule]]
name = "hall-one"
source = "device-defender-detect"
thing_group = "hall-1"
severity = "critical"
actions = ["disconnect"]
mode = "enforce"
[[rule]]
name = "bytes"
kind = "aws:all-bytes-*"
actions = ["quarantine", "notify"]
mode = "enforce"
[rule.limits]
devices_per_hour = 2
[[rule]]
name = "rest"
actions = ["notify"]
mode = "enforce"
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> str:
    file = tmp_path / "plan.toml"
    file.write_text(PLAN)
    return str(file)


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked of another machine fails the test: these commands work offline."""

    def refuse(*_arguments: object) -> None:
        raise AssertionError("the command tried to talk to somebody")

    monkeypatch.setattr(socket.socket, "connect", refuse)


def explained(shell: Shell, name: str, *arguments: str) -> Said:
    return shell.warden("plan", "explain", str(SAMPLE_EVENTS[name].path), *arguments)


def what_it_is(answer: Any) -> Outcome:
    [*messages] = answer["messages"]
    message = messages[0]
    if message["refused"]:
        return Outcome.REFUSED
    if message["ignored"]:
        return Outcome.IGNORED
    return Outcome.FINDING if message["findings"][0]["finding"]["open"] else Outcome.OVER


class TestEverySampleEvent:
    @pytest.mark.parametrize("name", SAMPLE_EVENTS)
    def test_it_is_understood_as_the_service_does(self, name: str, shell: Shell) -> None:
        said = explained(shell, name, "--json")

        assert what_it_is(said.json) == SAMPLE_EVENTS[name].outcome
        assert said.code == (1 if SAMPLE_EVENTS[name].outcome is Outcome.REFUSED else 0)

    @pytest.mark.parametrize("name", SAMPLE_EVENTS)
    def test_it_is_explained_within_80_columns(self, name: str, shell: Shell) -> None:
        said = explained(shell, name)

        assert said.err == ""
        assert max(len(line) for line in said.out.splitlines()) <= 80
        first = {Outcome.IGNORED: "Ignored", Outcome.REFUSED: "Refused"}.get(SAMPLE_EVENTS[name].outcome, "")
        assert said.out.startswith(first)

    @pytest.mark.parametrize("name", [name for name, each in SAMPLE_EVENTS.items() if each.outcome is Outcome.FINDING])
    def test_every_finding_has_one_rule_and_says_what_it_cannot_know(self, name: str, shell: Shell) -> None:
        for message in explained(shell, name, "--json").json["messages"]:
            for finding in message["findings"]:
                assert [rule["rule"] for rule in finding["rules"] if rule["answer"] == "matches"] == [finding["rule"]]
                assert finding["unknown"]


class TestExplain:
    def test_the_main_sample_reads_as_a_person_would_say_it(self, shell: Shell) -> None:
        said = explained(shell, "detect-violation-in-alarm").text

        assert "data-leaves-the-device matches" in said
        assert "Actions quarantine, collect-logs, notify" in said
        assert "Device pump-3" in said
        assert "Mode=observe nothing is touched" in said
        assert "Mode=enforce done at once, if the governor allows it" in said
        assert "which other things share its certificates" in said

    def test_earlier_rules_say_why_they_do_not_match(self, plan_file: str, shell: Shell) -> None:
        said = explained(
            shell, "detect-violation-in-alarm", "--plan", plan_file, "--thing-type", "pump", "--thing-group", "hall-1"
        ).text

        assert "valves no thing_type is pump, it is for valve" in said
        assert "hall-one no severity is high, it is for critical and above" in said
        assert "bytes matches" in said
        assert "rest not reached" in said

    def test_a_rule_that_does_not_match_names_its_condition_for_programs(self, plan_file: str, shell: Shell) -> None:
        said = explained(
            shell, "detect-violation-in-alarm", "--plan", plan_file, "--thing-group", "hall-1", "--json"
        ).json

        valves, hall_one, _, rest = said["messages"][0]["findings"][0]["rules"]
        assert (valves["answer"], rest["answer"]) == ("cannot-tell", "not-reached")
        assert valves["unmet"] == [{"key": "thing_type", "wanted": ["valve"], "found": [], "known": False}]
        assert hall_one["unmet"] == [{"key": "severity", "wanted": ["critical"], "found": ["high"], "known": True}]
        assert hall_one["why"] == ["severity is high, it is for critical and above"]

    def test_a_rule_for_another_source_is_compared_no_further(self, plan_file: str, shell: Shell) -> None:
        said = explained(shell, "guardduty-user", "--plan", plan_file, "--thing-type", "pump").text

        assert "hall-one no source is guardduty, it is for device-defender-detect" in said
        assert "it is for hall-1" not in said

    def test_what_depends_on_the_device_is_said_to(self, plan_file: str, shell: Shell) -> None:
        said = explained(shell, "detect-violation-in-alarm", "--plan", plan_file).text

        assert "valves cannot tell it is for thing_type valve: say --thing-type" in said
        assert "whether a rule above bytes is for this device" in said

    def test_a_rule_that_cannot_match_is_not_left_open(self, plan_file: str, shell: Shell) -> None:
        said = explained(shell, "detect-violation-in-alarm", "--plan", plan_file).text

        assert "hall-one no" in said

    def test_the_thing_type_decides(self, plan_file: str, shell: Shell) -> None:
        said = explained(
            shell, "detect-violation-in-alarm", "--plan", plan_file, "--thing-type", "valve", "--json"
        ).json

        assert said["messages"][0]["findings"][0]["rule"] == "valves"

    def test_the_stacks_mode_lowers_the_rules(self, shell: Shell) -> None:
        said = explained(shell, "detect-violation-in-alarm", "--mode", "approve", "--json").json

        assert said["messages"][0]["findings"][0]["modes"] == {"approve": "waits for `warden approve`"}

    def test_the_governor_itself_is_asked(self, plan_file: str, shell: Shell) -> None:
        said = explained(
            shell, "detect-violation-in-alarm", "--plan", plan_file, "--thing-group", "surgery-2", "--thing-type", "x"
        ).text

        assert "Governor forbids it: pump-3 is in group surgery-2, which is on the never-touch list" in said

    def test_every_limit_that_counts_is_named(self, plan_file: str, shell: Shell) -> None:
        said = explained(shell, "detect-violation-in-alarm", "--plan", plan_file).text

        assert "all rules together: at most 5 devices an hour" in said
        assert "this rule: at most 2 devices an hour" in said

    def test_what_waits_for_a_campaign_is_held_to_the_campaigns_limit_alone(self, shell: Shell) -> None:
        said = explained(shell, "audit-finding-certificate").text

        assert "Actions renew-certificate, notify" in said
        assert "Limits its campaign: at most 100 devices a day" in said
        assert "devices an hour" not in said
        assert "shares" not in said

    def test_the_end_of_a_finding_asks_no_rule(self, shell: Shell) -> None:
        said = explained(shell, "detect-violation-alarm-cleared").text

        assert "It is over alarm-cleared; no rule is asked" in said
        assert "none is opened" in said

    def test_a_report_of_an_audit_names_its_checks(self, shell: Shell) -> None:
        said = explained(shell, "audit-report").text

        assert "DEVICE_CERTIFICATE_SHARED_CHECK" in said
        assert "ListAuditFindings has the findings" in said

    def test_several_findings_in_one_event_are_numbered(self, shell: Shell) -> None:
        said = explained(shell, "security-hub-audit").out

        assert said.startswith("1 of 2\n")
        assert "\n2 of 2\n" in said

    @pytest.mark.parametrize(
        ("event", "code"),
        [
            ({"violationId": "v", "violationEventType": "in-alarm"}, "missing-field"),
            ({"hello": "world"}, "unknown-message"),
            ({"Records": [{"body": "not json"}]}, "not-json"),
            ({"Records": [{"Sns": {"Message": "[]"}}]}, "not-an-object"),
        ],
    )
    def test_a_refusal_gives_code_and_reason(self, event: Any, code: str, tmp_path: Path, shell: Shell) -> None:
        file = tmp_path / "event.json"
        file.write_text(json.dumps(event))

        said = shell.warden("plan", "explain", str(file))

        assert said.code == 1
        assert said.text.startswith(f"Refused {code} Reason ")

    @pytest.mark.parametrize("file", sorted((ROOT / "tests" / "corpus").glob("*.json")), ids=lambda file: file.stem)
    def test_no_hostile_message_reaches_the_terminal_as_it_is(self, file: Path, shell: Shell) -> None:
        said = shell.warden("plan", "explain", str(file))

        assert said.code in (0, 1, 2)
        assert (said.out + said.err).replace("\n", "").isprintable()

    @pytest.mark.parametrize(
        ("content", "words"),
        [
            ("{", "is not JSON"),
            ("[]", "not an object"),
            ('{"Records": [{"Sns": 1}]}', "neither SNS's nor SQS's"),
            ('{"Records": [{"body": "{}", "attributes": null}]}', "neither SNS's nor SQS's"),
            ("[" * 100_000, "is not JSON"),
        ],
    )
    def test_a_file_that_is_no_event(self, content: str, words: str, tmp_path: Path, shell: Shell) -> None:
        file = tmp_path / "event.json"
        file.write_text(content)

        said = shell.warden("plan", "explain", str(file))

        assert (said.code, said.out, words in said.err) == (2, "", True)

    def test_a_file_that_is_not_there(self, shell: Shell) -> None:
        said = shell.warden("plan", "explain", "ghost.json")

        assert (said.code, said.err) == (2, "warden: cannot read ghost.json: No such file or directory\n")

    def test_a_faulty_plan_explains_nothing(self, tmp_path: Path, shell: Shell) -> None:
        file = tmp_path / "plan.toml"
        file.write_text("version = 2")

        said = explained(shell, "detect-violation-in-alarm", "--plan", str(file))

        assert (said.code, "warden plan check" in said.err) == (1, True)


class TestCheck:
    def test_the_plan_that_is_shipped_has_no_fault(self, shell: Shell) -> None:
        said = shell.warden("plan", "check")

        assert said.code == 0
        assert f"{len(deployed_plan().rules)} rules, at most 20 devices an hour" in said.out

    def test_faults_are_named_as_compilers_do(
        self, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        Path("plan.toml").write_text(PLAN.replace('"disconnect"', '"explode"', 1))

        said = shell.warden("plan", "check", "plan.toml")

        assert said.code == 1
        assert said.out.startswith("plan.toml:10: unknown action 'explode'")

    def test_a_program_gets_line_and_fault(self, tmp_path: Path, shell: Shell) -> None:
        file = tmp_path / "plan.toml"
        file.write_text("version = 1\nversion = 1\n")

        said = shell.warden("plan", "check", str(file), "--json")

        assert said.code == 1
        assert [fault["line"] for fault in said.json["faults"]] == [2]

    @pytest.mark.parametrize("content", [b"\xff\xfe", b"version = 1\x00"])
    def test_a_file_that_is_no_plan_is_no_traceback(self, content: bytes, tmp_path: Path, shell: Shell) -> None:
        file = tmp_path / "plan.toml"
        file.write_bytes(content)

        assert shell.warden("plan", "check", str(file)).code in (1, 2)

    def test_nothing_there(self, shell: Shell) -> None:
        assert shell.warden("plan", "check", "ghost.toml").code == 2


_findings = st.builds(
    lambda source, kind, severity, profile: Finding(
        id="f",
        source=source,
        kind=kind,
        subject=Subject(SubjectType.THING, "pump-3"),
        severity=severity,
        observed_at=OPENED,
        title="t",
        attributes={"metric": kind, "security-profile": profile},
    ),
    st.sampled_from(Source),
    st.sampled_from(["aws:all-bytes-out", "aws:source-ip-address", "aws:listening-tcp-ports", "other"]),
    st.sampled_from(Severity),
    st.sampled_from(["", "pump-baseline"]),
)
_devices = st.builds(
    KnownDevice,
    thing_type=st.sampled_from(["", "valve", "pump"]),
    groups=st.lists(st.sampled_from(["hall-1", "surgery-1"]), max_size=2),
)


@given(finding=_findings, known=_devices)
def test_a_rule_that_matches_has_no_reason_not_to_and_the_other_way_round(finding: Finding, known: KnownDevice) -> None:
    device = Device(thing_type=known.thing_type or "", groups=tuple(known.groups or ()))

    for rule in (*read_plan(PLAN).rules, *deployed_plan().rules):
        assert rule.matches(finding, device) is (why_not(rule, finding, known) == [])
