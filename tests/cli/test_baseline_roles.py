"""`warden baseline roles`: generations are started one at a time, found again and read; IAM is not changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.baseline.access import ACCOUNT, REGION, JobModel, RefusedError
from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.baseline.stack import Stack
from tests.baseline.test_stack import TEMPLATE
from tests.cli.conftest import Looking, Said, Shell
from tests.conftest import ROOT
from warden_cli.__main__ import main
from warden_cli.role_rights import BLIND, RolePolicy, Usage, Verdict, judge, rights_of, usage_of

pytestmark = pytest.mark.usefixtures("waited")

POLICY = json.loads((ROOT / "docs" / "baseline-roles-policy.json").read_text())
ACTIONS = set(POLICY["Statement"][0]["Action"])
TRAIL = f"arn:aws:cloudtrail:{REGION}:{ACCOUNT}:trail/iot-baseline"
BUCKET_POLICY = {
    "Statement": [
        {"Effect": "Allow", "Action": "s3:*", "Resource": "arn:aws:s3:::firmware/*"},
        {"Effect": "Allow", "Action": ["logs:CreateLogStream", "logs:CreateLogGroup"], "Resource": "*"},
        {"Effect": "Deny", "Action": "s3:DeleteObject", "Resource": "*"},
    ]
}
SEEN = {"Statement": [{"Effect": "Allow", "Action": ["s3:ListAllMyBuckets", "logs:CreateLogStream"], "Resource": "*"}]}


@pytest.fixture
def here(looking: Looking) -> ReadableAccount:
    """An account with a trail, the role that reads it, and two aliases of one role."""
    account = Account()
    stack = Stack(account)
    account.place = type(account.place)(stack="iot-baseline")
    stack.create(TEMPLATE, TrailMode="create", PolicyGenerationMode="create")
    readable = looking(account, stacks={"iot-baseline": stack})
    readable.access.alias("fleet", "gateway", inline={"files": BUCKET_POLICY})
    readable.access.alias("fleet-old", "gateway")
    readable.access.seen["gateway"] = [SEEN]
    return readable


def ask(shell: Shell, *options: str) -> Said:
    return shell.warden("baseline", "roles", "--region", REGION, *options)


def report(shell: Shell, *options: str, code: int) -> dict[str, Any]:
    """Return the only role of a report."""
    said = ask(shell, "--json", *options)
    assert said.code == code, said
    [role] = said.json["roles"]
    return dict(role)


class TestOneRole:
    def test_the_first_run_starts_a_generation(self, shell: Shell, here: ReadableAccount) -> None:
        role = report(shell, code=4)

        assert (role["stage"], role["aliases"]) == ("running", ["fleet", "fleet-old"])
        [job] = here.access.jobs
        details = job.asked["cloudTrailDetails"]
        assert details["trails"] == [{"cloudTrailArn": TRAIL, "allRegions": True}]
        assert details["accessRole"].startswith(f"arn:aws:iam::{ACCOUNT}:role/iot-baseline-PolicyGenerationRole-")
        assert details["endTime"] - details["startTime"] == timedelta(days=90)

    def test_the_second_run_finds_the_job_and_starts_none(self, shell: Shell, here: ReadableAccount) -> None:
        ask(shell)
        assert report(shell, code=4)["stage"] == "running"
        here.access.end()

        role = report(shell, code=0)

        assert role["stage"] == "ready"
        assert len(here.access.jobs) == 1
        verdicts = {each["action"]: (each["verdict"], each["seen"]) for each in role["rights"]}
        assert verdicts == {
            "s3:*": ("seen", ["s3:ListAllMyBuckets"]),
            "logs:CreateLogStream": ("seen", ["logs:CreateLogStream"]),
            "logs:CreateLogGroup": ("not-seen", []),
            "s3:DeleteObject": ("denied", []),
        }
        assert role["could_go"] == ["logs:CreateLogGroup"]

    def test_the_table_says_what_is_allowed_seen_and_could_go(self, shell: Shell, here: ReadableAccount) -> None:
        ask(shell)
        here.access.end()

        text = ask(shell).text

        assert "Could go logs:CreateLogGroup" in text
        assert "s3:* seen: s3:ListAllMyBuckets on arn:aws:s3:::firmware/* by files" in text
        assert "Not seen is not the same as not used" in text
        assert "Nothing was changed in IAM" in text

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_terminal(
        self, width: int, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        ask(shell)
        here.access.end()

        assert max(len(line) for line in ask(shell).out.splitlines()) <= width

    def test_each_role_has_a_file_with_its_policy(self, shell: Shell, here: ReadableAccount, tmp_path: Path) -> None:
        here.access.seen["gateway"] = [SEEN, {"Statement": {"Effect": "Allow", "Action": "kms:Sign", "Resource": "*"}}]
        ask(shell)
        here.access.end()

        role = report(shell, "--write", str(tmp_path / "new"), code=0)

        written = json.loads((tmp_path / "new" / "gateway.json").read_text())
        assert written == role["generated"]["policy"]
        assert [each["Action"] for each in written["Statement"]] == [SEEN["Statement"][0]["Action"], "kms:Sign"]
        assert role["file"] == str(tmp_path / "new" / "gateway.json")

    def test_a_policy_too_long_for_iam_is_said_to_be(self, shell: Shell, here: ReadableAccount, tmp_path: Path) -> None:
        many = {"Effect": "Allow", "Action": [f"s3:GetThing{number:04}" for number in range(600)], "Resource": "*"}
        here.access.seen["gateway"] = [{"Statement": [many]}]
        ask(shell)
        here.access.end()

        assert "too long for one managed policy" in ask(shell, "--write", str(tmp_path)).text

    def test_managed_policies_count_and_a_boundary_is_said(self, shell: Shell, here: ReadableAccount) -> None:
        role = here.access.roles["gateway"]
        allow = {"Statement": {"Effect": "Allow", "NotAction": "iam:*", "Resource": "*", "Condition": {"Bool": {}}}}
        role.attached["arn:aws:iam::aws:policy/PowerUser"] = allow
        role.boundary = "arn:aws:iam::aws:policy/Boundary"
        role.last_used = datetime(2026, 11, 1, 8, tzinfo=UTC)
        ask(shell)
        here.access.end()

        found = report(shell, code=0)

        [right] = [each for each in found["rights"] if each["policy"] == "PowerUser"]
        assert (right["action"], right["excluded"], right["conditional"]) == ("*", ["iam:*"], True)
        assert right["seen"] == ["logs:CreateLogStream", "s3:ListAllMyBuckets"]
        text = ask(shell).text
        assert "everything but iam:*" in text
        assert "Boundary arn:aws:iam::aws:policy/Boundary limits it" in text
        assert "Last used 2026-11-01 08:00:00 UTC" in text

    def test_a_role_with_a_path_is_found(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.aliases.clear()
        here.access.alias("a", "gateway-2", path="/service-role/")

        assert report(shell, code=4)["role"].endswith(":role/service-role/gateway-2")
        assert here.access.jobs[0].role.endswith(":role/service-role/gateway-2")

    def test_an_incomplete_result_is_said_to_be(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.complete = False
        ask(shell)
        here.access.end()

        assert "for some services it knows not all actions" in ask(shell).text


class TestSeveralRoles:
    @pytest.fixture(autouse=True)
    def three(self, here: ReadableAccount) -> None:
        here.access.alias("b", "robot")
        here.access.alias("c", "sensor")

    def test_there_is_one_generation_at_a_time(self, shell: Shell, here: ReadableAccount) -> None:
        said = ask(shell, "--json")

        assert said.code == 4
        assert [each["stage"] for each in said.json["roles"]] == ["running", "waiting", "waiting"]
        assert here.called.count("access-analyzer:StartPolicyGeneration") == 1

    def test_each_run_starts_the_next(self, shell: Shell, here: ReadableAccount) -> None:
        for _ in range(3):
            assert ask(shell).code == 4
            here.access.end()

        said = ask(shell, "--json")

        assert said.code == 0
        assert {each["stage"] for each in said.json["roles"]} == {"ready"}

    def test_wait_follows_all_of_them(self, shell: Shell, here: ReadableAccount, waited: list[float]) -> None:
        here.access.polls = 3

        said = ask(shell, "--wait", "--poll", "7", "--json")

        assert said.code == 0
        assert len(here.access.jobs) == 3
        assert set(waited) == {7.0}

    def test_wait_ends_when_the_time_is_over(
        self, shell: Shell, here: ReadableAccount, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = iter(range(0, 10_000, 100))
        monkeypatch.setattr("time.monotonic", lambda: float(next(clock)))

        assert ask(shell, "--wait", "--timeout", "500").code == 4
        assert len(here.access.jobs) == 1

    def test_somebody_elses_generation_is_waited_for(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.alias("d", "stranger")
        del here.access.aliases["d"]
        here.access.jobs += generation("stranger", "IN_PROGRESS", timedelta(minutes=1))

        said = ask(shell, "--json")

        assert said.code == 4
        assert {each["stage"] for each in said.json["roles"]} == {"waiting"}
        assert "access-analyzer:StartPolicyGeneration" not in here.called

    def test_the_quota_of_a_day_is_said_once_for_all(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.most_a_day = 0

        said = ask(shell, "--json")

        assert said.code == 1
        assert {each["stage"] for each in said.json["roles"]} == {"quota-exceeded"}
        assert "50 a day in eu-central-1, cancelled ones included" in said.json["roles"][0]["says"]
        assert here.called.count("access-analyzer:StartPolicyGeneration") == 1

    def test_a_conflict_at_the_start_is_waiting(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.start_fails = ("ConflictException", 409)

        said = ask(shell, "--json")

        assert said.code == 4
        assert {each["stage"] for each in said.json["roles"]} == {"waiting"}


def generation(role: str, status: str, age: timedelta) -> list[Any]:
    started = datetime.now(UTC) - age
    ended = None if status == "IN_PROGRESS" else started + timedelta(minutes=2)
    arn = f"arn:aws:iam::{ACCOUNT}:role/{role}"
    return [JobModel(f"old-{role}-{status}", arn, "console", started, {}, status, ended)]


class TestEarlierJobs:
    @pytest.mark.parametrize(("age", "jobs"), [(timedelta(days=6), 1), (timedelta(days=8), 2)])
    def test_a_result_stands_for_seven_days(
        self, age: timedelta, jobs: int, shell: Shell, here: ReadableAccount
    ) -> None:
        here.access.jobs += generation("gateway", "SUCCEEDED", age)

        ask(shell)

        assert len(here.access.jobs) == jobs

    def test_a_cancelled_one_is_started_again(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.jobs += generation("gateway", "CANCELED", timedelta(hours=1))

        assert report(shell, code=4)["stage"] == "running"

    def test_the_latest_counts(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.failures["gateway"] = ("SERVICE_ERROR", "x")
        here.access.jobs += generation("gateway", "FAILED", timedelta(hours=2))
        here.access.jobs += generation("gateway", "SUCCEEDED", timedelta(hours=1))
        here.access.jobs += generation("gateway", "FAILED", timedelta(hours=3))

        assert report(shell, code=0)["job"]["status"] == "SUCCEEDED"

    def test_again_generates_once_more(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.jobs += generation("gateway", "SUCCEEDED", timedelta(hours=1))

        assert report(shell, "--again", "gateway", code=4)["stage"] == "running"
        here.access.end()
        assert report(shell, code=0)["job"]["id"] == here.access.jobs[-1].id

    def test_again_and_wait_end(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.jobs += generation("gateway", "SUCCEEDED", timedelta(hours=1))
        here.access.polls = 2

        assert report(shell, "--again", "gateway", "--wait", code=0)["stage"] == "ready"
        assert len(here.access.jobs) == 2

    def test_two_starts_from_the_same_state_are_one(self, shell: Shell, here: ReadableAccount) -> None:
        ask(shell)
        here.access.jobs[0].token, token = "another", here.access.jobs[0].token
        here.access.jobs.clear()

        ask(shell)

        assert here.access.jobs[0].token == token


class TestWhatGoesWrong:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            ("AUTHORIZATION_ERROR", "kms:Decrypt"),
            ("RESOURCE_NOT_FOUND_ERROR", "--trail"),
            ("SERVICE_QUOTA_EXCEEDED_ERROR", "--days 30"),
            ("SERVICE_ERROR", "Try again"),
            ("A_NEW_ERROR", "Try again"),
        ],
    )
    def test_a_failed_generation_is_said_with_what_to_do_and_not_repeated(
        self, code: str, words: str, shell: Shell, here: ReadableAccount
    ) -> None:
        here.access.failures["gateway"] = (code, "as AWS\x1b[2J says it")
        ask(shell)
        here.access.end()

        role = report(shell, code=1)

        assert role["stage"] == "failed"
        assert code in role["says"]
        assert "\x1b" not in role["says"]
        assert words in role["fix"]
        assert "--again gateway" in role["fix"]
        assert len(here.access.jobs) == 1

    def test_a_generated_policy_that_is_no_json_is_said(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.raw_policy = "[]"
        ask(shell)
        here.access.end()

        assert "not JSON" in report(shell, code=1)["says"]

    def test_a_deleted_role_is_said_and_costs_the_others_nothing(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.alias("lost", "lost")
        del here.access.roles["lost"]

        said = ask(shell, "--json")

        assert said.code == 5
        gone = {each["role"].rpartition("/")[2]: each for each in said.json["roles"]}
        assert gone["lost"]["stage"] == "role-gone"
        assert "update-role-alias --role-alias lost" in gone["lost"]["fix"]
        assert gone["gateway"]["stage"] == "running"

    @pytest.mark.parametrize(
        ("action", "code", "left"),
        [
            ("iot:DescribeRoleAlias", "ResourceNotFoundException", {"gateway": "running"}),
            ("iam:GetRolePolicy", "NoSuchEntity", {"gateway": "running", "late": "waiting"}),
            ("iam:GetPolicy", "NoSuchEntity", {"gateway": "running", "late": "waiting"}),
            ("iam:ListAttachedRolePolicies", "NoSuchEntity", {"gateway": "running", "late": "role-gone"}),
        ],
    )
    def test_what_is_deleted_while_it_is_read_costs_the_others_nothing(
        self, action: str, code: str, left: dict[str, str], shell: Shell, here: ReadableAccount
    ) -> None:
        attached = {"arn:aws:iam::aws:policy/late": BUCKET_POLICY}
        here.access.alias("late", "late", inline={"late": BUCKET_POLICY}, attached=attached)

        def deleted(asked_for: str, asked: Mapping[str, Any]) -> None:
            if asked_for == action and any(str(each).endswith("late") for each in asked.values()):
                raise RefusedError(code, 404)

        here.before = deleted

        said = ask(shell, "--json")

        assert {each["role"].rpartition("/")[2]: each["stage"] for each in said.json["roles"]} == left
        assert code not in said.out

    def test_without_a_trail_nothing_is_started(self, shell: Shell, here: ReadableAccount) -> None:
        here.account.trails.clear()

        role = report(shell, code=5)

        assert role["stage"] == "cannot-start"
        assert "TrailMode=create" in role["fix"]
        assert here.access.jobs == []

    @pytest.mark.parametrize("change", [lambda here: here.not_logging.add(TRAIL), lambda here: data_events_alone(here)])
    def test_a_trail_that_records_no_management_events_is_none(
        self, change: Callable[[ReadableAccount], None], shell: Shell, here: ReadableAccount
    ) -> None:
        change(here)

        assert report(shell, code=5)["stage"] == "cannot-start"

    def test_without_an_access_role_nothing_is_started(self, shell: Shell, here: ReadableAccount) -> None:
        here.stacks.clear()

        role = report(shell, code=5)

        assert "PolicyGenerationMode=create" in role["fix"]
        assert here.access.jobs == []

    def test_trail_and_role_can_be_named(self, shell: Shell, here: ReadableAccount) -> None:
        role = f"arn:aws:iam::{ACCOUNT}:role/mine"

        ask(shell, "--trail", TRAIL, "--access-role", role, "--days", "30", "--in-region", "eu-west-1")

        details = here.access.jobs[0].asked["cloudTrailDetails"]
        assert details["accessRole"] == role
        assert details["trails"] == [{"cloudTrailArn": TRAIL, "regions": ["eu-west-1"]}]
        assert details["endTime"] - details["startTime"] == timedelta(days=30)
        assert "cloudtrail:DescribeTrails" not in here.called

    def test_the_account_s_own_trail_is_preferred_to_the_organizations(
        self, shell: Shell, here: ReadableAccount
    ) -> None:
        others = {
            "aaa": {"IsMultiRegionTrail": False},
            "bbb": {"IsMultiRegionTrail": True, "IsOrganizationTrail": True},
        }
        here.account.trails = others | here.account.trails

        ask(shell)

        assert here.access.jobs[0].asked["cloudTrailDetails"]["trails"][0]["cloudTrailArn"] == TRAIL

    def test_a_start_that_is_invalid_is_said(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.start_fails = ("ValidationException", 400)

        role = report(shell, code=5)

        assert "StartPolicyGeneration with ValidationException" in role["says"]

    def test_no_alias_is_no_work(self, shell: Shell, here: ReadableAccount) -> None:
        here.access.aliases.clear()

        said = ask(shell)

        assert said.code == 0
        assert "No role is behind a role alias here." in said.text

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--days", "91"), "1 to 90 days"),
            (("--again", "nobody"), "behind a role alias here: gateway"),
            (("--write", "/dev/null/x"), "cannot write into"),
        ],
    )
    def test_a_faulty_option_is_said(
        self, options: tuple[str, ...], words: str, shell: Shell, here: ReadableAccount
    ) -> None:
        said = ask(shell, *options)

        assert said.code == 2
        assert words in said.err
        assert here.access.jobs == []

    def test_a_file_that_cannot_be_written_is_said(self, shell: Shell, here: ReadableAccount, tmp_path: Path) -> None:
        (tmp_path / "gateway.json").mkdir()
        ask(shell)
        here.access.end()

        said = ask(shell, "--write", str(tmp_path))

        assert said.code == 2
        assert "cannot write" in said.err


def data_events_alone(here: ReadableAccount) -> None:
    here.account.trails["iot-baseline"]["IncludeManagementEvents"] = False


class TestDeniedCalls:
    @pytest.mark.parametrize("action", sorted(ACTIONS - {"sts:GetCallerIdentity"}))
    def test_each_is_not_known_and_never_a_traceback(self, action: str, shell: Shell, here: ReadableAccount) -> None:
        here.access.roles["gateway"].attached["arn:aws:iam::aws:policy/Some"] = BUCKET_POLICY
        here.access.alias("b", "robot")
        here.access.jobs += generation("gateway", "SUCCEEDED", timedelta(hours=1))
        here.denied = {action}

        said = ask(shell)

        assert said.err == ""
        if action in ("cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus"):
            assert said.code == 4, "the trail is taken, and Access Analyzer says what is wrong with it"
            return
        assert said.code == 5
        assert f"the role lacks {action}" in said.text

    def test_the_answer_for_programs_says_it_as_well(self, shell: Shell, here: ReadableAccount) -> None:
        here.denied = {"iot:ListRoleAliases"}

        said = ask(shell, "--json")

        assert said.code == 5
        assert said.json["not_known"] == "not known: the role lacks iot:ListRoleAliases"

    def test_a_role_that_iam_does_not_show_is_generated_for_all_the_same(
        self, shell: Shell, here: ReadableAccount
    ) -> None:
        here.denied = {"iam:GetRole"}

        role = report(shell, code=5)

        assert role["stage"] == "running"
        assert "the role lacks iam:GetRole" in role["says"]
        assert len(here.access.jobs) == 1


def test_the_policy_allows_what_the_command_calls_and_nothing_more(shell: Shell, here: ReadableAccount) -> None:
    here.access.roles["gateway"].attached["arn:aws:iam::aws:policy/Some"] = BUCKET_POLICY
    ask(shell)
    here.access.end()
    assert ask(shell).code == 0

    assert set(here.called) == ACTIONS


def test_the_policy_hands_on_no_role_but_that_of_the_baseline(shell: Shell, here: ReadableAccount) -> None:
    ask(shell)

    _, statement = POLICY["Statement"]
    assert statement["Action"] == "iam:PassRole"
    assert statement["Condition"] == {"StringEquals": {"iam:PassedToService": "access-analyzer.amazonaws.com"}}
    role = here.access.jobs[0].asked["cloudTrailDetails"]["accessRole"]
    assert statement["Resource"] == "arn:*:iam::*:role/*-PolicyGenerationRole-*"
    assert "-PolicyGenerationRole-" in role


@pytest.mark.parametrize("action", sorted(ACTIONS - {"access-analyzer:StartPolicyGeneration"}))
def test_beside_the_start_the_policy_only_reads(action: str) -> None:
    assert action.partition(":")[2].startswith(("Get", "List", "Describe"))


def test_where_the_answers_come_from_is_said_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["baseline", "roles", "--help"], {})

    assert "IAM is not changed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("action", "seen", "verdict"),
    [
        ("s3:GetObject", [], Verdict.CANNOT_TELL),
        ("S3:getobject", [], Verdict.CANNOT_TELL),
        ("s3:Get*", [], Verdict.CANNOT_TELL),
        ("s3:G*t", [], Verdict.CANNOT_TELL),
        ("s3:*", ["s3:ListAllMyBuckets"], Verdict.SEEN),
        ("s3:CreateBucket", ["s3:ListAllMyBuckets"], Verdict.NOT_SEEN),
        ("s3:CreateBucket", ["s3:*"], Verdict.CANNOT_TELL),
        ("iam:PassRole", ["iam:GetRole"], Verdict.CANNOT_TELL),
        ("iam:CreateUser", [], Verdict.NOT_SEEN),
        ("iot:Publish", [], Verdict.CANNOT_TELL),
        ("kinesis:CreateStream", [], Verdict.NOT_SEEN),
        ("*", [], Verdict.CANNOT_TELL),
        ("*:Get*", [], Verdict.CANNOT_TELL),
        ("ec2:?escribeRegions", ["ec2:DescribeRegions"], Verdict.SEEN),
    ],
)
def test_what_could_go_is_only_what_cloudtrail_would_show(action: str, seen: list[str], verdict: Verdict) -> None:
    document = {"Statement": {"Effect": "Allow", "Action": action, "Resource": "*"}}
    rights = rights_of([RolePolicy(name="p", attached=False, document=document)])
    usage = usage_of([{"Statement": [{"Effect": "Allow", "Action": seen, "Resource": "*"}]}])

    [judged] = judge(rights, usage)

    assert judged.verdict is verdict


def test_what_is_excluded_is_not_seen_by_a_right() -> None:
    document = {"Statement": {"Effect": "Allow", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::x"}}
    [right] = rights_of([RolePolicy(name="p", attached=True, document=document)])

    [judged] = judge([right], Usage(actions=frozenset(["s3:CreateBucket"]), services=frozenset()))

    assert right.resources == ["not arn:aws:s3:::x"]
    assert judged.verdict is Verdict.CANNOT_TELL


def test_the_blind_spots_are_actions() -> None:
    assert all(each.count(":") == 1 for each in BLIND)
    assert len(set(BLIND)) == len(BLIND)
