"""Nothing that comes from a device, a detector or the service may steer the terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.cli.answering import Answer, Operate
from tests.cli.conftest import Shell
from tests.cli.samples import ALICE, CASE, a_contained_case, a_file, a_line, listing
from tests.waiting import PATIENCE
from warden.cases.model import StepKind
from warden.core.findings import Subject, SubjectType
from warden_cli.terminal import a_console, as_json, print_command, shown, who

ROOT = Path(__file__).parents[2]

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]not markup[/] :skull: \r\n\x9b31m \u202egnp.exe \u200b"


@given(st.text())
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()


def test_letters_of_any_language_stay() -> None:
    assert shown("Pumpe Süd, 水泵") == "Pumpe Süd, 水泵"


def test_what_is_too_long_is_cut_and_says_so() -> None:
    assert shown("a" * 50, 10) == "a" * 9 + "…"


def test_a_command_is_whole_and_in_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    command = f"warden plan check {'a path with blanks/' * 100}\u202e"

    print_command(a_console(), command)

    assert capsys.readouterr().out == command.replace("\u202e", "\\u202e") + "\n"


@given(st.text())
def test_json_is_pure_ascii_and_means_the_same(text: str) -> None:
    written = as_json({"text": text})

    assert all(32 <= ord(sign) < 127 or sign == "\n" for sign in written)
    assert json.loads(written) == {"text": text}


def test_an_arn_is_shortened_to_what_tells_people_apart() -> None:
    assert who(ALICE) == "assumed-role/fleet-operator/alice"
    assert who("arn:aws:iam::000000000000:root") == "root"
    assert who("arn:no") == "arn:no"
    assert who("fleet-warden") == "fleet-warden"


class TestHostileText:
    @pytest.fixture(autouse=True)
    def _answers(self, operate: Operate) -> None:
        case = a_contained_case(
            title=HOSTILE,
            kind=HOSTILE,
            thing="",
            subject=Subject(SubjectType.CLIENT_ID, HOSTILE),
            attributes={HOSTILE: HOSTILE},
            evidence={HOSTILE: {HOSTILE: [HOSTILE]}},
            affected=(HOSTILE,),
        )
        facts = {HOSTILE: HOSTILE, "files": [{"name": HOSTILE}, HOSTILE]}
        line = a_line(StepKind.HELD, HOSTILE, HOSTILE) | {"kind": HOSTILE, "what": HOSTILE, "facts": facts}
        held = {
            "state": HOSTILE,
            "since": line["at"],
            "cases": [HOSTILE],
            "policies": {HOSTILE: [HOSTILE]},
            "groups": [HOSTILE],
        }
        operate.answering("show", a_file(case, line, contained=held))
        operate.answering("cases", listing(case))
        operate.answering("release", {"case": CASE, "queued": "release", "who": HOSTILE})
        operate.answering("dismiss", Answer({"error": "wrong-state", "message": HOSTILE}, 409))

    @pytest.mark.parametrize("arguments", [("cases",), ("show", CASE), ("release", CASE), ("dismiss", CASE)])
    @pytest.mark.parametrize("form", [(), ("--json",)])
    def test_it_is_written_out_everywhere(
        self, arguments: tuple[str, ...], form: tuple[str, ...], shell: Shell
    ) -> None:
        said = shell.warden(*arguments, *form)

        printed = (said.out + said.err).replace("\n", "")
        assert printed.isprintable()
        assert "[bold red]not markup[/]" in " ".join(printed.split()).replace("[bold red] not", "[bold red]not") or form


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    path = os.environ["PATH"]
    return subprocess.run(  # noqa: S603 - our own launcher
        [ROOT / "bin" / "warden", *arguments],
        env={"PATH": path, "WARDEN_PYTHON": sys.executable, **environment},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )


def test_the_launcher_works_from_anywhere_also_through_a_link(tmp_path: Path) -> None:
    link = tmp_path / "warden"
    link.symlink_to(ROOT / "bin" / "warden")

    done = subprocess.run(  # noqa: S603 - our own launcher
        [link, "plan", "check"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "WARDEN_PYTHON": sys.executable},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"no fault" in done.stdout


def test_a_terminal_that_knows_only_ascii_is_enough() -> None:
    done = run("plan", "explain", str(ROOT / "events" / "detect-violation-in-alarm.json"), PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    command = f"'{ROOT}/bin/warden' plan explain '{ROOT}/events/detect-violation-in-alarm.json' | true"

    done = subprocess.run(  # noqa: S603 - our own launcher
        ["/bin/sh", "-c", command],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "WARDEN_PYTHON": sys.executable},
        capture_output=True,
        check=False,
        timeout=PATIENCE,
    )

    assert done.stderr == b""


def test_no_command_pays_for_imports_that_others_need() -> None:
    script = "import sys, warden_cli.__main__; print(*sorted({'boto3', 'jinja2', 'warden_pages'} & set(sys.modules)))"
    path = os.pathsep.join(str(ROOT / each) for each in ("cli", "layers/warden", "layers/plan/python", "layers/pages"))
    ended = subprocess.run(  # noqa: S603 - our own words
        [sys.executable, "-c", script], env={"PYTHONPATH": path}, capture_output=True, check=True, text=True
    )

    assert ended.stdout.strip() == ""
