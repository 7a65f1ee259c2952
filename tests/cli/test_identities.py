"""`warden baseline identities`: things without a certificate of their own are found, in bounded memory and in turns."""

from __future__ import annotations

import csv
import gc
import json
import re
import sqlite3
import subprocess
import tempfile
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.baseline.access import RefusedError
from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.cli.conftest import Looking, Said, Shell
from tests.conftest import ROOT
from warden_cli import identity_reader
from warden_cli.identity_file import FALLING_SHORT, IdentityFile, Kind, make, opened

REGION = ("--region", "eu-central-1")
POLICY = json.loads((ROOT / "docs" / "identities-policy.json").read_text())
CALLED, BY_OTHER_NAMES = (set(each["Action"]) for each in POLICY["Statement"])
COGNITO = "eu-central-1:0d9b2ad7-3a19-4a5a-8bd5-0a3b5a1d5a11"


@pytest.fixture(autouse=True)
def _temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runs").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "runs"))
    monkeypatch.setattr("time.sleep", lambda _: None)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Where the files of runs are."""
    return tmp_path / "runs"


def certificate(number: int) -> str:
    return f"{number:064x}"


def a_fleet(looking: Looking, *, page: int = 250) -> ReadableAccount:
    """Make a fleet in which something is wrong in every way, and pump-1 alone is right."""
    one, several, other, shared, off, old, stray, left = map(certificate, range(1, 9))
    return looking(
        Account(),
        principals={
            "pump-1": [one],
            "pump-2": [],
            "pump-3": [COGNITO],
            "pump-4": [several, other],
            "pump-5": [shared],
            "pump-6": [shared],
            "pump-7": [off],
            "pump-8": [old, left],
        },
        exclusive={one},
        statuses={
            **dict.fromkeys((one, several, other, shared, left), "ACTIVE"),
            off: "REVOKED",
            old: "INACTIVE",
            stray: "ACTIVE",
        },
        page=page,
    )


def asked(shell: Shell, *options: str) -> Said:
    return shell.warden("baseline", "identities", *REGION, *options)


def found(said: Said) -> dict[str, list[str]]:
    return {kind: each["first"] for kind, each in said.json["findings"].items()}


EVERYTHING = {
    "no-certificate": ["pump-2", "pump-3"],
    "several-certificates": ["pump-4"],
    "shared-certificate": ["pump-5", "pump-6"],
    "no-active-certificate": ["pump-7"],
    "left-over-certificate": ["pump-8"],
    "on-no-thing": [certificate(7)],
}


class TestWhatIsFound:
    @pytest.mark.parametrize("page", [1, 2, 3, 250])
    def test_of_all_things_each_finding_is_listed(self, page: int, shell: Shell, looking: Looking) -> None:
        a_fleet(looking, page=page)

        said = asked(shell, "--all", "--json")

        assert said.code == 5
        assert found(said) == EVERYTHING
        assert said.json["things"] == {"listed": 8, "all": True, "looked_at": 8, "gone": 0}
        assert said.json["certificates"] == {
            "statuses": {"ACTIVE": 6, "INACTIVE": 1, "REVOKED": 1},
            "shared": 1,
            "exclusive": 1,
        }
        assert said.json["lacking"] == []

    def test_a_fleet_of_things_with_a_certificate_each_is_as_it_should_be(self, shell: Shell, looking: Looking) -> None:
        names = {f"pump-{number}": [certificate(number)] for number in range(5)}
        looking(Account(), principals=names, statuses={each: "ACTIVE" for [each] in names.values()})

        said = asked(shell, "--all")

        assert said.code == 0
        assert "all 5 things looked at" in said.text
        assert "no certificate 0" in said.text

    def test_what_a_rotation_leaves_for_a_while_does_not_fall_short(self, shell: Shell, looking: Looking) -> None:
        old, new = certificate(1), certificate(2)
        looking(Account(), principals={"pump-1": [old, new]}, statuses={old: "INACTIVE", new: "ACTIVE"})

        said = asked(shell, "--json")

        assert (said.code, found(said)["left-over-certificate"]) == (0, ["pump-1"])

    def test_an_account_without_things_is_as_it_should_be(self, shell: Shell, looking: Looking) -> None:
        looking(Account())

        said = asked(shell)

        assert (said.code, said.err) == (0, "")
        assert "by status none" in said.text

    def test_a_certificate_that_is_not_listed_yet_is_no_inactive_one(self, shell: Shell, looking: Looking) -> None:
        known, new = certificate(1), certificate(2)
        looking(Account(), principals={"pump-1": [new], "pump-2": [known]}, statuses={known: "ACTIVE"})

        assert asked(shell, "--all").code == 0

    def test_a_thing_that_is_deleted_meanwhile_is_counted_as_that(self, shell: Shell, looking: Looking) -> None:
        here = a_fleet(looking)

        def deleted(action: str, _asked: Mapping[str, Any]) -> None:
            if action == "iot:ListThingPrincipalsV2":
                here.principals.pop("pump-2", None)

        here.before = deleted

        said = asked(shell, "--all", "--json")

        assert said.json["things"]["gone"] == 1
        assert found(said)["no-certificate"] == ["pump-3"]
        here.principals = {"pump-1": [], "pump-2": []}
        assert "1 of them were deleted in the meantime" in asked(shell, "--all").text

    def test_the_table_names_the_first_says_how_many_more_and_what_to_do(self, shell: Shell, looking: Looking) -> None:
        here = a_fleet(looking)
        here.principals |= {f"valve-{number}": [] for number in range(1_200)}

        text = asked(shell, "--all").text

        assert "no certificate 1,202 pump-2, pump-3, valve-0, valve-1, valve-10 and 1,197 more" in text
        assert "aws iot attach-thing-principal" in text
        assert "certificate-is-shared" in text
        assert "by status 6 ACTIVE, 1 INACTIVE, 1 REVOKED" in text
        assert "DEVICE_CERTIFICATE_EXPIRING_CHECK reports it" in text

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_terminal(
        self, width: int, shell: Shell, looking: Looking, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        here = a_fleet(looking)
        here.principals["x" * 128] = []

        assert max(len(line) for line in asked(shell, "--all").out.splitlines()) <= width


class TestASample:
    def test_a_sample_is_as_large_as_asked_and_says_of_how_many(self, shell: Shell, looking: Looking) -> None:
        looking(Account(), principals={f"pump-{number}": [certificate(number)] for number in range(3_000)})

        said = asked(shell, "--sample", "100")

        assert "a random 100 of 3,000 things looked at" in said.text
        assert "Looking at a random 100 of 3,000 things" in said.err
        assert "If none of 100 has a fault, fewer than 3 % of all have it, with 95 % confidence." in said.text

    def test_without_a_word_four_hundred_are_looked_at(self, shell: Shell, looking: Looking) -> None:
        here = looking(Account(), principals={f"pump-{number}": [certificate(number)] for number in range(1_000)})

        assert asked(shell, "--json").json["things"]["looked_at"] == 400
        assert here.called.count("iot:ListThingPrincipalsV2") == 400

    def test_it_is_drawn_over_all_pages_and_each_time_another(self, shell: Shell, looking: Looking) -> None:
        here = looking(Account(), principals={f"pump-{number:04}": [] for number in range(1_000)})
        asked_about: list[set[str]] = []

        def note(action: str, asked: Mapping[str, Any]) -> None:
            if action == "iot:ListThingPrincipalsV2":
                asked_about[-1].add(asked["thingName"])

        here.before = note
        for _ in range(2):
            asked_about.append(set())
            asked(shell, "--sample", "100")

        first, second = asked_about
        assert len(first) == len(second) == 100
        assert first != second
        for page in range(4):
            assert 8 <= sum(page * 250 <= int(name[-4:]) < (page + 1) * 250 for name in first) <= 45

    def test_whether_a_certificate_is_shared_is_asked_of_aws(self, shell: Shell, looking: Looking) -> None:
        shared = certificate(0)
        own = {f"pump-{number}": [certificate(number)] for number in range(1, 50)}
        here = looking(Account(), principals={"pump-a": [shared], **own, **{f"x-{n}": [shared] for n in range(300)}})
        here.exclusive = {each for held in own.values() for each in held}
        here.statuses = dict.fromkeys([shared, *here.exclusive], "ACTIVE")

        said = asked(shell, "--sample", "340", "--json")

        assert said.code == 5
        assert said.json["findings"]["shared-certificate"]["count"] > 1
        assert here.called.count("iot:ListPrincipalThingsV2") == 1, "an exclusive one cannot be on a second thing"
        assert said.json["findings"]["on-no-thing"] == {"count": None, "falls_short": False, "first": []}

    def test_a_sample_that_is_everything_asks_no_more(self, shell: Shell, looking: Looking) -> None:
        here = a_fleet(looking)

        said = asked(shell, "--sample", "8", "--json")

        assert found(said) == EVERYTHING
        assert "iot:ListPrincipalThingsV2" not in here.called

    def test_a_certificate_that_is_gone_when_it_is_asked_about_is_on_nothing_else(
        self, shell: Shell, looking: Looking
    ) -> None:
        here = looking(Account(), principals={f"pump-{number}": [certificate(number)] for number in range(20)})

        def gone(action: str, _asked: Mapping[str, Any]) -> None:
            if action == "iot:ListPrincipalThingsV2":
                here.principals.clear()

        here.before = gone

        assert found(asked(shell, "--sample", "10", "--json"))["shared-certificate"] == []


class TestTheEstimate:
    def test_it_is_said_before_the_first_look(self, shell: Shell, looking: Looking) -> None:
        here = looking(Account(), principals={f"pump-{number}": [] for number in range(7_500)})

        def stop(action: str, _asked: Mapping[str, Any]) -> None:
            if action == "iot:ListThingPrincipalsV2":
                raise KeyboardInterrupt

        here.before = stop

        said = asked(shell, "--all")

        assert (
            "Looking at all 7,500 things: 7,500 to go, 10 a second, half of what AWS IoT allows: 12 min or more."
            in said.err
        )

    def test_it_leaves_out_what_was_looked_at_before(self, shell: Shell, looking: Looking, runs: Path) -> None:
        looking(Account(), principals={"pump-1": []})
        path = runs / "large.sqlite"
        make(path, {"account": "123456789012", "region": "eu-central-1", "sample": "0", "seed": "s"})
        database = sqlite3.connect(path)
        with database:
            database.executemany("INSERT INTO thing VALUES (?, 1)", ((f"t-{number}",) for number in range(1_000)))
            database.execute("INSERT INTO thing VALUES ('pump-1', 0)")
            database.execute("INSERT INTO note VALUES ('step', 'principals'), ('total', '1001')")
        database.close()

        said = asked(shell, "--resume", str(path))

        assert "Looking at all 1,001 things: 1 to go" in said.err

    def test_no_call_is_faster_than_half_of_what_aws_allows(
        self, shell: Shell, looking: Looking, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here, now, at = a_fleet(looking), [0.0], dict[str, list[float]]()

        def sleep(seconds: float) -> None:
            now[0] += seconds

        monkeypatch.setattr("time.sleep", sleep)
        monkeypatch.setattr("time.monotonic", lambda: now[0])
        here.before = lambda action, _: at.setdefault(action, []).append(now[0])
        here.page = 2

        asked(shell, "--all")

        for action, pause in (
            ("iot:ListThings", 0.2),
            ("iot:ListThingPrincipalsV2", 0.1),
            ("iot:ListCertificates", 0.2),
        ):
            gaps = [later - before for before, later in zip(at[action], at[action][1:], strict=False)]
            assert len(gaps) >= 3
            assert min(gaps) >= pause - 1e-9


class TestAnInterruptedRun:
    @pytest.mark.parametrize("options", [("--all",), ("--sample", "5")])
    @pytest.mark.parametrize("after", range(14))
    def test_it_is_resumed_wherever_it_stopped_and_looks_at_nothing_twice(
        self, after: int, options: tuple[str, ...], shell: Shell, looking: Looking, runs: Path
    ) -> None:
        here, left, looked_at = a_fleet(looking, page=3), [after], list[str]()

        def stop(action: str, asked: Mapping[str, Any]) -> None:
            if left[0] == 0:
                left[0] = -1
                raise KeyboardInterrupt
            left[0] -= 1
            if action == "iot:ListThingPrincipalsV2":
                looked_at.append(asked["thingName"])

        here.before = stop
        here.called.clear()
        first = asked(shell, *options, "--json")
        if first.code != 130:
            assert left[0] >= 0, "it came to its end before"
            return
        resume = re.search(r"resume with: warden baseline identities --resume (\S+)", first.err)
        assert first.out == ""

        if resume is None:
            assert after == 0, "only before there is anything to resume"
            return
        said = asked(shell, "--resume", resume[1], "--json")

        assert said.code == 5
        assert sorted(looked_at) == sorted(set(looked_at))
        assert len(looked_at) == (8 if options == ("--all",) else 5)
        if options == ("--all",):
            assert found(said) == EVERYTHING
        assert [*runs.iterdir()] == [], "the file is not needed any more"

    @pytest.mark.parametrize("name", ['our fleet\'s $HOME `id` "a"', "-n;*", "ä" * 60 + "/" + "x" * 200])
    def test_the_printed_argument_is_the_file_in_a_shell(
        self, name: str, shell: Shell, looking: Looking, runs: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = runs / name
        folder.mkdir(parents=True)
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        here = a_fleet(looking)

        def stop(_action: str, asked: Mapping[str, Any]) -> None:
            if asked.get("thingName") == "pump-5":
                raise KeyboardInterrupt

        here.before = stop
        said = asked(shell, "--all")

        [file] = folder.iterdir()
        command = re.search(r"resume with: (warden baseline identities --resume .*)", said.err)
        assert command is not None
        printed = subprocess.run(  # noqa: S603 - the command that was just printed
            ["/bin/sh", "-c", f"warden() {{ printf '%s' \"$4\"; }}; {command[1]}"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.code == 130
        assert printed.stdout == str(file)

    def test_credentials_that_expire_are_no_missing_right(self, shell: Shell, looking: Looking, runs: Path) -> None:
        here = a_fleet(looking)

        def expire(_action: str, asked: Mapping[str, Any]) -> None:
            if asked.get("thingName") == "pump-5":
                raise RefusedError("ExpiredTokenException", 403)

        here.before = expire

        said = asked(shell, "--all")

        assert said.code == 3
        assert "sign in again; resume with: warden baseline identities --resume" in said.err
        assert len([*runs.iterdir()]) == 1

    def test_a_network_that_is_gone_leaves_the_file(self, shell: Shell, looking: Looking, runs: Path) -> None:
        here = a_fleet(looking)

        def fail(action: str, _asked: Mapping[str, Any]) -> None:
            if action == "iot:ListCertificates":
                raise EndpointConnectionError(endpoint_url="https://iot.example")

        here.before = fail

        said = asked(shell, "--all")

        assert said.code == 3
        assert "AWS cannot be asked" in said.err
        assert [str(each) for each in runs.iterdir()] == [said.err.split()[-1]]

    def test_a_disk_that_is_full_is_said_and_leaves_the_file(
        self, shell: Shell, looking: Looking, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_fleet(looking)

        def full(*_: object) -> None:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(IdentityFile, "add_principals", full)

        said = asked(shell, "--all")

        assert said.code == 2
        assert "database or disk is full; resume with:" in said.err

    def test_without_a_folder_for_temporary_files_it_is_said_which_to_set(
        self, shell: Shell, looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_fleet(looking)
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))

        said = asked(shell)

        assert (said.code, "set TMPDIR" in said.err) == (2, True)

    def test_aws_that_does_not_answer_leaves_the_file(self, shell: Shell, looking: Looking) -> None:
        here = a_fleet(looking)

        def fail(action: str, _asked: Mapping[str, Any]) -> None:
            if action == "iot:ListCertificates":
                raise RefusedError("ServiceUnavailableException", 503)

        here.before = fail

        said = asked(shell, "--all")

        assert said.code == 3
        assert "AWS answered iot:ListCertificates with ServiceUnavailableException" in said.err
        assert "--resume" in said.err

    @pytest.mark.parametrize("name", ["x" * 300, "no\udcffname" * 60])
    def test_a_name_that_no_file_can_have_is_refused(self, name: str, shell: Shell, looking: Looking) -> None:
        a_fleet(looking)

        said = asked(shell, "--resume", name)

        assert (said.code, "it cannot be read (" in said.err) == (2, True)

    def test_a_file_that_may_not_be_opened_is_refused(
        self, shell: Shell, looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        a_fleet(looking)
        path = tmp_path / "run.sqlite"
        path.touch()

        def refuse(*_: Any, **__: Any) -> sqlite3.Connection:
            raise sqlite3.OperationalError("unable to open database file")

        monkeypatch.setattr(sqlite3, "connect", refuse)

        said = asked(shell, "--resume", str(path))

        assert (said.code, "unable to open database file" in said.err) == (2, True)

    @pytest.mark.parametrize("what", ["nothing", "text", "another", "account", "region"])
    def test_a_file_that_is_not_this_runs_is_refused(
        self, what: str, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        a_fleet(looking)
        path = tmp_path / "run.sqlite"
        notes = {"account": "123456789012", "region": "eu-central-1", "sample": "0", "seed": "s"}
        if what == "text":
            path.write_text("not a database, but long enough to look like one " * 40)
        elif what == "another":
            sqlite3.connect(path).execute("CREATE TABLE a (b)").connection.close()
        elif what != "nothing":
            make(path, {**notes, what: "another"})

        said = asked(shell, "--resume", str(path))

        assert said.code == 2
        assert said.err.startswith(f"warden: --resume {path}: ")
        assert "Traceback" not in said.err

    def test_two_runs_do_not_share_a_file(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        a_fleet(looking)
        path = tmp_path / "run.sqlite"
        make(path, {"account": "123456789012", "region": "eu-central-1", "sample": "0", "seed": "s"})

        with opened(path, "123456789012", "eu-central-1"):
            said = asked(shell, "--resume", str(path))

        assert (said.code, "another run is using it" in said.err) == (2, True)


class TestTheFile:
    def test_as_csv_it_has_every_line(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        here = a_fleet(looking)
        here.principals["-1-2"] = []

        said = asked(shell, "--all", "--write", str(tmp_path / "found.csv"))

        assert said.code == 5
        lines = [*csv.DictReader((tmp_path / "found.csv").read_text(encoding="utf-8").splitlines())]
        assert {(each["finding"], each["thing"]) for each in lines} == {
            ("no-certificate", "'-1-2"),
            *((kind, thing) for kind, things in EVERYTHING.items() for thing in things if kind != "on-no-thing"),
            ("on-no-thing", ""),
        }
        [shared, _] = [each for each in lines if each["finding"] == "shared-certificate"]
        assert shared == {
            "finding": "shared-certificate",
            "thing": "pump-5",
            "certificate": certificate(4),
            "status": "ACTIVE",
            "things_of_certificate": "2",
        }

    def test_as_json_it_has_the_same(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        a_fleet(looking)

        asked(shell, "--all", "--write", str(tmp_path / "found.json"))

        rows = json.loads((tmp_path / "found.json").read_text())
        assert len(rows) == 10
        assert {each["finding"] for each in rows} == set(EVERYTHING)

    def test_where_nothing_is_found_it_is_an_empty_list(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        looking(Account())

        asked(shell, "--write", str(tmp_path / "found.json"))

        assert json.loads((tmp_path / "found.json").read_text()) == []

    @pytest.mark.parametrize("name", ["found.txt", "found", "no-such-folder/found.csv"])
    def test_one_that_cannot_be_written_is_refused_before_anything_is_asked(
        self, name: str, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        here = a_fleet(looking)

        said = asked(shell, "--write", str(tmp_path / name))

        assert (said.code, here.called) == (2, [])
        assert "--write" in said.err

    def test_one_that_cannot_be_written_in_the_end_costs_no_second_look(
        self, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        here = a_fleet(looking)
        (tmp_path / "found.csv").mkdir()

        said = asked(shell, "--all", "--write", str(tmp_path / "found.csv"))

        assert said.code == 2
        resume = re.search(r"--resume (\S+)$", said.err.strip())
        assert resume is not None
        here.called.clear()
        assert asked(shell, "--resume", resume[1], "--write", str(tmp_path / "other.csv")).code == 5
        assert here.called == ["sts:GetCallerIdentity"]


class TestWhatTheCallerLacks:
    @pytest.mark.parametrize("action", sorted(CALLED - {"sts:GetCallerIdentity"}))
    def test_a_denied_call_is_not_known(self, action: str, shell: Shell, looking: Looking) -> None:
        here = looking(Account(), principals={f"pump-{number}": [certificate(number)] for number in range(20)})
        here.denied = {action}

        said = asked(shell, "--sample", "10")

        assert said.code == 5
        assert f"not known: the role lacks {action} (docs/identities-policy.json)" in said.text
        answer = asked(shell, "--sample", "10", "--json").json
        assert answer["lacking"] == [action]
        assert None in [each["count"] for each in answer["findings"].values() if each["falls_short"]]

    def test_without_the_statuses_the_rest_is_found(self, shell: Shell, looking: Looking) -> None:
        a_fleet(looking).denied = {"iot:ListCertificates"}

        said = asked(shell, "--all", "--json")

        assert found(said) == {
            **EVERYTHING,
            "several-certificates": ["pump-4", "pump-8"],
            **{kind: [] for kind in ("no-active-certificate", "left-over-certificate", "on-no-thing")},
        }
        assert said.json["certificates"]["statuses"] is None

    def test_the_policy_allows_what_the_command_calls(self, shell: Shell, looking: Looking) -> None:
        here = looking(Account(), principals={f"pump-{number}": [certificate(number)] for number in range(20)})

        asked(shell, "--sample", "10")

        assert set(here.called) == CALLED
        # botocore's texts name these for the V2 operations, AWS's list of actions has the V2 names: both are granted.
        assert {each.removesuffix("V2") for each in CALLED if each.endswith("V2")} == BY_OTHER_NAMES


@pytest.mark.parametrize(
    "options",
    [
        ("--sample", "0"),
        ("--sample", "-1"),
        ("--sample", "many"),
        ("--sample", "99999999"),
        ("--sample", "5", "--all"),
        ("--all", "--resume", "x"),
    ],
)
def test_options_that_cannot_be_are_refused(options: tuple[str, ...], shell: Shell, looking: Looking) -> None:
    here = a_fleet(looking)

    assert asked(shell, *options).code == 2
    assert here.called == []


def test_every_kind_has_its_place_in_the_answer(shell: Shell, looking: Looking) -> None:
    a_fleet(looking)

    findings = asked(shell, "--all", "--json").json["findings"]

    assert [*findings] == [*Kind]
    assert {kind for kind, each in findings.items() if each["falls_short"]} == {*FALLING_SHORT}


def kept_in_memory(shell: Shell, here: ReadableAccount) -> int:
    """Return how many bytes the command holds once it has looked at every thing."""
    kept = []

    def measure(action: str, _asked: Mapping[str, Any]) -> None:
        if action == "iot:ListCertificates" and tracemalloc.is_tracing():
            gc.collect()
            ours = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, "*/tests/*")])
            kept.append(sum(each.size for each in ours.statistics("filename")))
            tracemalloc.stop()

    here.before = measure
    tracemalloc.start()
    assert asked(shell, "--all").code == 0
    return kept[0]


def test_memory_does_not_grow_with_the_fleet(shell: Shell, looking: Looking) -> None:
    def after(size: int) -> int:
        fleet = {f"pump-{number}": [certificate(number)] for number in range(size)}
        return kept_in_memory(shell, looking(Account(), principals=fleet))

    after(1)  # what the SDK reads at its first call stays

    small, large = after(600), after(1_600)

    assert large < small + 50_000


def test_the_pace_is_half_of_the_quota() -> None:
    assert (
        identity_reader.LIST_PACE,
        identity_reader.THING_PACE,
        identity_reader.CERTIFICATE_PACE,
    ) == (5, 10, 5)
