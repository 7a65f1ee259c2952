"""The commands about cases, read as their user reads them."""

import re

import pytest

from tests.cli.answering import Answer, Operate
from tests.cli.conftest import Shell
from tests.cli.samples import (
    ALICE,
    CASE,
    CERTIFICATE,
    CONTAINMENT,
    STORY,
    a_case,
    a_contained_case,
    a_file,
    a_line,
    listing,
)
from tests.fakes import PLAN, a_world
from warden.cases.allowed import Decision
from warden.cases.model import Case, CaseState, Outcome, Progress, StepKind
from warden.core.findings import Source
from warden.operate.commands import operate as operated

QUICKLY = ("--wait", "--poll", "0.01", "--timeout", "20")


class TestCases:
    def test_the_list_names_device_state_and_problem(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing(a_contained_case()))

        said = shell.warden("cases")

        assert said.code == 0
        assert all(each in said.text for each in (CASE, "contained", "pump-3", "high", "aws:all-bytes-out"))

    def test_the_list_points_at_what_waits_for_people(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing(a_contained_case(), a_case(id="held-1", state=CaseState.HELD)))

        assert "2 cases, 1 waiting for you: warden show held-1" in shell.warden("cases").text

    def test_no_case_is_said_in_words(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing())

        assert shell.warden("cases").out == "No open cases.\n"
        assert shell.warden("cases", "--state", "held", "--thing", "pump-3").out == "No held cases of pump-3.\n"

    def test_state_and_thing_are_asked_of_the_service(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing())

        shell.warden("cases", "--state", "held", "--thing", "pump-3")

        assert operate.asked == [{"command": "cases", "state": "held", "thing": "pump-3"}]

    def test_all_brings_the_closed_ones_too(self, shell: Shell, operate: Operate) -> None:
        closed = a_case(id="closed-1", state=CaseState.CLOSED)
        operate.answering("cases", listing(a_case()), listing(closed))

        said = shell.warden("cases", "--all", "--json")

        assert [case["id"] for case in said.json["cases"]] == [CASE, "closed-1"]

    def test_a_things_closed_cases_are_left_out_unless_asked_for(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing(a_case(), a_case(id="closed-1", state=CaseState.CLOSED)))

        assert "closed-1" not in shell.warden("cases", "--thing", "pump-3").out
        assert "closed-1" in shell.warden("cases", "--thing", "pump-3", "--all").out

    def test_a_list_that_was_cut_says_so(self, shell: Shell, operate: Operate) -> None:
        operate.answering("cases", listing(a_case(), more=True))

        assert "the newest; narrow it with --state or --thing" in shell.warden("cases").text

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_the_longest_name_is_shown_whole_and_inside_the_terminal(
        self, width: int, shell: Shell, operate: Operate, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        name = "plant1:hall-3:line-7:pump-" + "9" * 102
        monkeypatch.setenv("COLUMNS", str(width))
        operate.answering("cases", listing(a_case(thing=name, state=CaseState.AWAITING_APPROVAL)))

        said = shell.warden("cases")

        assert sum(line.count("9") for line in said.out.splitlines()) >= 102
        assert max(len(line) for line in said.out.splitlines()) <= width


class TestShow:
    @pytest.fixture(autouse=True)
    def _a_contained_case(self, operate: Operate) -> None:
        case = a_contained_case(approved_by=ALICE, affected=("pump-3", "pump-4"))
        operate.answering("show", a_file(case, *STORY, contained=CONTAINMENT))

    def test_the_facts_stand_first(self, shell: Shell) -> None:
        said = shell.warden("show", CASE).text

        assert said.startswith("pump-3 contained high Device Defender Detect: aws:all-bytes-out of pump-3 in alarm")
        assert "Also hit pump-4 (same certificate)" in said
        assert "security-profile pump-baseline" in said
        assert "metricValue.count 7340032" in said
        assert f"Approved by {ALICE}" in said

    def test_every_action_says_how_far_it_is_and_which_job_it_is(self, shell: Shell) -> None:
        said = shell.warden("show", CASE).text

        assert "quarantine done 1 certificate restricted" in said
        assert "warden-collect-logs-f47e11a36461a5ed2ba627c7" in said

    def test_the_containment_says_what_was_taken(self, shell: Shell) -> None:
        said = shell.warden("show", CASE).text

        assert f"Certificate {CERTIFICATE[:12]} had pump-telemetry" in said
        assert "Groups left pumps" in said

    def test_the_timeline_tells_who_did_what_when_and_why(self, shell: Shell) -> None:
        out = shell.warden("show", CASE).out

        assert re.search(r"10:00:05 +decided +fleet-warden", out)
        assert "rule data-leaves-the-device: quarantine, collect-logs, notify" in out
        assert "file agent, 5120 bytes, at" in out
        assert out.index("2026-11-22", out.index("Timeline")) < out.index("2026-11-23")

    def test_what_can_be_done_is_written_to_be_copied(self, shell: Shell) -> None:
        lines = shell.warden("show", CASE).out.splitlines()

        assert any(line.startswith(f"  warden release {CASE} --keep-certificate ") for line in lines)

    def test_nothing_is_wider_than_the_terminal_nor_coloured_off_it(self, shell: Shell) -> None:
        out = shell.warden("show", CASE).out

        assert max(len(line) for line in out.splitlines()) <= 80
        assert "\x1b" not in out

    def test_a_program_gets_the_answer_as_it_is(self, shell: Shell) -> None:
        assert shell.warden("show", CASE, "--json").json["containment"] == CONTAINMENT

    def test_what_is_planned_under_observe_would_be_done(self, shell: Shell, operate: Operate) -> None:
        case = a_case(mode="observe", outcomes={"quarantine": Outcome(Progress.PLANNED)})
        operate.answering("show", a_file(case))

        assert "quarantine would be done" in shell.warden("show", CASE).text

    @pytest.mark.parametrize("state", CaseState)
    def test_every_state_is_shown(self, state: CaseState, shell: Shell, operate: Operate) -> None:
        operate.answering("show", a_file(a_case(state=state)))

        said = shell.warden("show", CASE)

        assert (said.code, said.err) == (0, "")
        assert f"pump-3 {state} high" in said.text


class TestDecisions:
    @pytest.mark.parametrize(
        ("arguments", "decision"),
        [
            (("approve", CASE), Decision.APPROVE),
            (("dismiss", CASE), Decision.DISMISS),
            (("release", CASE), Decision.RELEASE),
            (("release", CASE, "--keep-certificate"), Decision.RELEASE_KEEPING_CERTIFICATE),
            (("collect-logs", CASE), Decision.COLLECT_LOGS),
        ],
    )
    def test_a_decision_is_handed_over_with_its_reason(
        self, arguments: tuple[str, ...], decision: Decision, shell: Shell, operate: Operate
    ) -> None:
        operate.answering(decision, {"case": CASE, "queued": decision, "who": ALICE})

        said = shell.warden(*arguments, "--why", "seen on site")

        assert said.code == 0
        assert operate.asked == [{"command": decision, "case": CASE, "why": "seen on site"}]
        assert f"Queued: {decision} of case {CASE}, as {ALICE}" in said.text

    @pytest.mark.parametrize(
        ("options", "decision"),
        [((), Decision.RELEASE), (("--keep-certificate",), Decision.RELEASE_KEEPING_CERTIFICATE)],
    )
    def test_a_release_may_accept_what_people_have_changed(
        self, options: tuple[str, ...], decision: Decision, shell: Shell, operate: Operate
    ) -> None:
        operate.answering(decision, {"case": CASE, "queued": decision, "who": ALICE})

        assert shell.warden("release", CASE, "--accept-changes", *options).code == 0

        assert operate.asked == [{"command": decision, "case": CASE, "why": "", "acceptChanges": True}]

    def test_the_services_no_is_printed_as_it_said_it(self, shell: Shell, operate: Operate) -> None:
        message = f"case {CASE} is open; `release` is for cases that are contained"
        operate.answering("release", Answer({"error": "wrong-state", "message": message}, 409))

        said = shell.warden("release", CASE)

        assert (said.code, said.out, said.err) == (1, "", f"warden: {message}\n")


class TestWaiting:
    def test_a_release_is_followed_to_its_end(self, shell: Shell, operate: Operate) -> None:
        taken = a_line(StepKind.DECISION_TAKEN, ALICE, "seen on site", 100_000, request="r-1", decision="release")
        rotating = a_line(StepKind.ACTION_STARTED, why="job sent", after=100_001, action="rotate-certificate")
        done = a_line(StepKind.ACTION_DONE, why="now on aaaaaaaaaaaa", after=100_009, action="rotate-certificate")
        released = a_line(StepKind.RELEASED, why="policies pump-telemetry given back", after=100_010)
        before = a_contained_case()
        during = a_contained_case(
            state=CaseState.RECOVERING, outcomes={"rotate-certificate": Outcome(Progress.STARTED)}
        )
        after = a_contained_case(state=CaseState.CLOSED, resolution="released")
        operate.answering("release", {"case": CASE, "queued": "release", "who": ALICE, "request": "r-1"})
        operate.answering(
            "show",
            a_file(before, *STORY),
            a_file(before, *STORY),
            a_file(during, *STORY, taken, rotating),
            a_file(after, *STORY, taken, rotating, done, released),
        )

        said = shell.warden("release", CASE, *QUICKLY)

        assert said.code == 0
        assert "within the limits" not in said.text, "what was there before is not told again"
        assert said.text.count("rotate-certificate started") == 1
        assert "release assumed-role/fleet-operator/alice seen on site" in said.text
        assert said.text.endswith(f"Case {CASE} is closed (released).")

    def test_a_release_that_was_not_made_is_a_failure(self, shell: Shell, operate: Operate) -> None:
        taken = a_line(StepKind.DECISION_TAKEN, ALICE, after=100_000, decision="release")
        why = "the rotation failed: the new certificate was never seen in use; the job is TIMED_OUT"
        operate.answering("release", {"case": CASE, "queued": "release", "who": ALICE})
        operate.answering(
            "show",
            a_file(a_contained_case(), *STORY),
            a_file(a_contained_case(), *STORY, taken, a_line(StepKind.RELEASE_NOT_MADE, why=why, after=100_001)),
        )

        said = shell.warden("release", CASE, *QUICKLY)

        assert said.code == 1
        assert f"Not all went well. release not completed: {why}" in said.text

    def test_a_decision_that_is_refused_later_is_a_failure(self, shell: Shell, operate: Operate) -> None:
        refused = a_line(
            StepKind.DECISION_REFUSED, why="pump-3 is not as its containment left it", after=9e4, request="r-1"
        )
        operate.answering("release", {"case": CASE, "queued": "release", "who": ALICE, "request": "r-1"})
        operate.answering("show", a_file(a_contained_case()), a_file(a_contained_case(), refused))

        said = shell.warden("release", CASE, *QUICKLY)

        assert said.code == 1
        assert "pump-3 is not as its containment left it" in said.text

    def test_logs_just_asked_for_on_a_contained_device_are_awaited(self, shell: Shell, operate: Operate) -> None:
        taken = a_line(StepKind.DECISION_TAKEN, ALICE, after=90_000, request="r-1", decision="collect-logs")
        asked = a_contained_case(outcomes={"collect-logs": Outcome(Progress.PLANNED)})
        ended = a_line(StepKind.ACTION_DONE, why="agent: 5120 bytes", after=90_005, action="collect-logs")
        operate.answering("collect-logs", {"case": CASE, "queued": "collect-logs", "who": ALICE, "request": "r-1"})
        operate.answering(
            "show", a_file(a_contained_case()), a_file(asked, taken), a_file(a_contained_case(), taken, ended)
        )

        said = shell.warden("collect-logs", CASE, *QUICKLY, "--json")

        assert (said.code, said.json) == (0, {"case": CASE, "state": "contained", "wrong": []})

    def test_a_closed_case_is_at_rest_whatever_its_device_was_still_asked_for(
        self, shell: Shell, operate: Operate
    ) -> None:
        taken = a_line(
            StepKind.DECISION_TAKEN, ALICE, after=90_000, request="r-1", decision="release-keeping-certificate"
        )
        logs = {"collect-logs": Outcome(Progress.STARTED, "job sent")}
        closed = a_contained_case(state=CaseState.CLOSED, resolution="released", outcomes=logs)
        operate.answering(
            "release-keeping-certificate", {"case": CASE, "queued": "release", "who": ALICE, "request": "r-1"}
        )
        operate.answering("show", a_file(a_contained_case()), a_file(closed, taken))

        assert shell.warden("release", CASE, "--keep-certificate", *QUICKLY).code == 0

    def test_waiting_ends_and_says_that_the_service_goes_on(self, shell: Shell, operate: Operate) -> None:
        taken = a_line(StepKind.DECISION_TAKEN, ALICE, after=1, decision="approve")
        operate.answering("approve", {"case": CASE, "queued": "approve", "who": ALICE})
        operate.answering("show", a_file(a_case()), a_file(a_case(state=CaseState.RESPONDING), taken))

        said = shell.warden("approve", CASE, "--wait", "--poll", "0.01", "--timeout", "0.05")

        assert said.code == 4
        assert "still under way after 0.05 s; the service continues by itself" in said.err

    def test_a_service_that_stumbles_in_between_is_asked_again(self, shell: Shell, operate: Operate) -> None:
        taken = a_line(StepKind.DECISION_TAKEN, ALICE, after=1, decision="dismiss")
        operate.answering("dismiss", {"case": CASE, "queued": "dismiss", "who": ALICE})
        operate.answering(
            "show",
            a_file(a_case()),
            Answer({"message": "Internal Server Error"}, 502),
            a_file(a_case(state=CaseState.CLOSED, resolution="dismissed"), taken),
        )

        assert shell.warden("dismiss", CASE, *QUICKLY).code == 0


class TestTheSwitch:
    def test_a_device_can_be_reported(self, shell: Shell, operate: Operate) -> None:
        operate.answering("find", {"queued": "finding", "finding": "r-1", "thing": "pump-3", "who": ALICE})

        said = shell.warden("find", "pump-3", "--severity", "high", "--why", "smells")

        assert said.code == 0
        assert "warden cases --thing pump-3" in said.text
        assert operate.asked[-1] == {
            "command": "find", "thing": "pump-3", "kind": "suspicion", "severity": "high", "why": "smells",
        }  # fmt: skip

    def test_stop_needs_a_reason(self, shell: Shell, operate: Operate) -> None:
        assert shell.warden("stop").code == 2
        assert operate.asked == []

    def test_stop_says_what_it_means(self, shell: Shell, operate: Operate) -> None:
        operate.answering("stop", {"stopped": True, "who": ALICE, "why": "storm", "at": "2026-11-22T10:00:00.000000Z"})

        said = shell.warden("stop", "--why", "storm")

        assert said.code == 0
        assert "Stopped No finding touches a device until `warden resume`." in said.text

    def test_resume_says_that_held_cases_stay_held(self, shell: Shell, operate: Operate) -> None:
        operate.answering("resume", {"stopped": False, "who": ALICE, "why": "", "at": "2026-11-22T10:00:00.000000Z"})

        assert "What was held stays so until you approve or dismiss it." in shell.warden("resume").text


def an_answer(**changes: str) -> dict[str, str]:
    answer = {"thing": "pump-3", "who": ALICE, "rule": "an-operator-wants-logs", "mode": "enforce", "case": ""}
    return {**answer, "state": "", "queued": "finding", "finding": "r-1", **changes}


def a_wish(state: CaseState, progress: Progress | None, *, resolution: str = "") -> Case:
    outcomes = {"collect-logs": Outcome(progress, "as it went")} if progress else {}
    wish = {"source": Source.OPERATOR, "kind": "logs-wanted", "findings": {"r-1": True}, "outcomes": outcomes}
    return a_case(state=state, resolution=resolution, **wish)


FOUND = a_line(StepKind.FINDING, "operator", finding="r-1")
DECIDED = a_line(StepKind.DECIDED, why="rule an-operator-wants-logs", after=1)


class TestLogsOfAThing:
    def test_the_service_answers_in_the_form_that_is_read_here(self) -> None:
        rule = '[[rule]]\nname = "logs"\nkind = "logs-wanted"\nactions = ["collect-logs", "notify"]\nmode = "enforce"\n'
        world = a_world("pump-3", plan=PLAN.replace("[[rule]]", f"{rule}[[rule]]", 1))
        command = {"command": Decision.COLLECT_LOGS, "thing": "pump-3"}

        asked = operated(command, ALICE, "r-1", world.context)
        world.drain()
        again = operated(command, ALICE, "r-2", world.context)

        assert asked == an_answer(rule="logs")
        assert again == an_answer(rule="logs", case=world.case.id, state="responding", queued="", finding="")

    def test_they_are_asked_for_by_the_things_name(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer())

        said = shell.warden("collect-logs", "pump-3", "--why", "restarts")

        assert said.code == 0
        assert operate.asked == [{"command": "collect-logs", "thing": "pump-3", "why": "restarts"}]
        assert "the plan answers by its rule an-operator-wants-logs, mode enforce." in said.text
        assert "warden cases --thing pump-3" in said.text

    @pytest.mark.parametrize("name", ["pump-3", "B579A3F0E1D4-1", "b579a3f0e1d4-", "b579a3f0e1d-1", "b579a3f0e1d4-x"])
    def test_what_has_not_the_form_of_a_case_is_a_thing(self, name: str, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer(thing=name))

        shell.warden("collect-logs", name)

        assert "case" not in operate.asked[-1]
        assert operate.asked[-1]["thing"] == name

    def test_a_thing_that_is_named_like_a_case_is_one_where_that_is_said(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer(thing=CASE))

        shell.warden("collect-logs", "--thing", CASE)

        assert operate.asked == [{"command": "collect-logs", "thing": CASE, "why": ""}]

    @pytest.mark.parametrize(
        ("mode", "words"), [("observe", "Nothing is touched"), ("approve", "It waits for `warden approve`.")]
    )
    def test_the_mode_says_what_comes_of_it(self, mode: str, words: str, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer(mode=mode))

        assert words in shell.warden("collect-logs", "pump-3").text

    @pytest.mark.parametrize(
        ("state", "words"),
        [
            ("awaiting-approval", f"Do it: warden approve {CASE}"),
            ("held", f"Read why: warden show {CASE}"),
            ("open", f"Ask again: warden collect-logs {CASE}"),
            ("responding", f"Read it: warden show {CASE}"),
            ("closed", "have just been collected"),
        ],
    )
    def test_the_case_that_there_is_already_is_named(
        self, state: str, words: str, shell: Shell, operate: Operate
    ) -> None:
        operate.answering("collect-logs", an_answer(case=CASE, state=state, queued="", finding=""))

        said = shell.warden("collect-logs", "pump-3")

        assert said.code == 0
        assert CASE in said.text
        assert words in said.text

    def test_a_program_gets_the_answer_as_it_is(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer())

        assert shell.warden("collect-logs", "pump-3", "--json").json == an_answer()

    def test_they_are_waited_for(self, shell: Shell, operate: Operate) -> None:
        started = a_line(StepKind.ACTION_STARTED, why="job sent", after=2, action="collect-logs")
        done = a_line(StepKind.ACTION_DONE, why="agent: 5120 bytes", after=9, action="collect-logs")
        closed = a_line(StepKind.CLOSED, why="the logs have arrived", after=9)
        collecting = a_wish(CaseState.RESPONDING, Progress.STARTED)
        collected = a_wish(CaseState.CLOSED, Progress.DONE, resolution="collected")
        operate.answering("collect-logs", an_answer())
        operate.answering("cases", listing(a_case(id="another-1")), Answer({}, 502), listing(collecting))
        operate.answering(
            "show",
            a_file(a_wish(CaseState.OPEN, None), FOUND),
            a_file(collecting, FOUND, DECIDED, started),
            a_file(collected, FOUND, DECIDED, started, done, closed),
        )

        said = shell.warden("collect-logs", "pump-3", *QUICKLY)

        assert said.code == 0
        assert said.text.count("collect-logs started") == 1
        assert f"Case {CASE} is closed (collected)." in said.text
        assert operate.asked[1] == {"command": "cases", "thing": "pump-3"}

    def test_the_case_that_there_is_already_is_followed(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer(case=CASE, state="responding", queued="", finding=""))
        operate.answering("show", a_file(a_wish(CaseState.CLOSED, Progress.DONE, resolution="collected"), DECIDED))

        said = shell.warden("collect-logs", "pump-3", *QUICKLY, "--json")

        assert (said.code, said.json) == (0, {"case": CASE, "state": "closed", "wrong": [], "logs": "done"})

    @pytest.mark.parametrize(
        ("case", "code", "words"),
        [
            (a_wish(CaseState.AWAITING_APPROVAL, Progress.PLANNED), 4, f"warden approve {CASE}"),
            (a_wish(CaseState.HELD, Progress.PLANNED), 1, f"warden show {CASE}"),
            (a_wish(CaseState.OPEN, Progress.FAILED), 1, f"warden collect-logs {CASE}"),
            (a_wish(CaseState.OPEN, Progress.PLANNED), 1, f"warden show {CASE}"),
            (a_wish(CaseState.OPEN, None), 1, f"warden show {CASE}"),
        ],
    )
    def test_without_the_logs_the_end_is_no_success(
        self, case: Case, code: int, words: str, shell: Shell, operate: Operate
    ) -> None:
        operate.answering("collect-logs", an_answer())
        operate.answering("cases", listing(case))
        operate.answering("show", a_file(case, FOUND, DECIDED))

        said = shell.warden("collect-logs", "pump-3", *QUICKLY)

        assert said.code == code
        assert words in said.text

    def test_why_the_logs_did_not_come_is_said(self, shell: Shell, operate: Operate) -> None:
        failed = a_line(StepKind.ACTION_FAILED, why="the device announced no files", after=9, action="collect-logs")
        operate.answering("collect-logs", an_answer(case=CASE, state="responding", queued="", finding=""))
        operate.answering("show", a_file(a_wish(CaseState.OPEN, Progress.FAILED), FOUND, DECIDED, failed))

        said = shell.warden("collect-logs", "pump-3", *QUICKLY)

        assert said.code == 1
        assert "Not all went well. collect-logs failed: the device announced no files" in said.text
        wrong = shell.warden("collect-logs", "pump-3", *QUICKLY, "--json").json["wrong"]
        assert [each["kind"] for each in wrong] == ["action-failed"]

    def test_a_wish_that_is_not_taken_up_ends_the_wait(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer())
        operate.answering("cases", listing())

        said = shell.warden("collect-logs", "pump-3", "--wait", "--poll", "0.01", "--timeout", "0.05")

        assert said.code == 4
        assert "look with `warden cases --thing pump-3`" in said.err

    def test_a_service_that_has_gone_ends_the_wait(self, shell: Shell, operate: Operate) -> None:
        operate.answering("collect-logs", an_answer())
        operate.answering("cases", Answer({}, 502))

        assert shell.warden("collect-logs", "pump-3", *QUICKLY).code == 3

    def test_a_refusal_says_what_to_do(self, shell: Shell, operate: Operate) -> None:
        refused = {"error": "no-device", "message": "the registry has no thing pump-33; capitals count"}
        operate.answering("collect-logs", Answer(refused, 409))

        said = shell.warden("collect-logs", "pump-33")

        assert (said.code, said.out) == (1, "")
        assert "the registry has no thing pump-33" in said.err
