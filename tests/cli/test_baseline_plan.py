"""`warden baseline plan` as a new user gives it: in an empty account, in a full one, and where calls are denied.

What it writes is deployed: CloudFormation, as tests/baseline plays it, makes the stack in the account that was read.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.baseline.account import Account, Audit, LoggingOptions
from tests.baseline.evaluation import Place
from tests.baseline.handlers import PLANS
from tests.baseline.stack import Stack
from tests.baseline.test_stack import TEMPLATE
from tests.baseline.test_template import EVERYTHING
from tests.cli.conftest import Looking, Shell
from tests.conftest import ROOT
from warden_cli import baseline_plan

REGION = "eu-central-1"
TOPIC = f"arn:aws:sns:{REGION}:123456789012:their-alerts"
KEY = f"arn:aws:kms:{REGION}:123456789012:key/11111111-2222-3333-4444-555555555555"
ALL_THINGS = f"arn:aws:iot:{REGION}:123456789012:all/things"
POLICY = json.loads((ROOT / "docs" / "baseline-plan-policy.json").read_text())
ACTIONS = set(POLICY["Statement"][0]["Action"])
SINGLETONS = ("AuditMode", "LoggingMode", "ExternalAnalyzerMode", "UnusedAccessAnalyzerMode", "DetectorMode")


def full_account() -> Account:
    """Make an account in which somebody has everything already, and not as the template would have it."""
    account = Account()
    account.audit = Audit("theirs", {"LOGGING_DISABLED_CHECK"}, {}, {"TargetArn": TOPIC, "Enabled": True})
    account.scheduled["theirs"] = ["LOGGING_DISABLED_CHECK"]
    account.things_made["theirs"] = {}
    account.logging = LoggingOptions("theirs", "WARN", {"Connect": ("DEBUG", "theirs")})
    account.detectors["theirs"] = dict.fromkeys(PLANS, "ENABLED")
    account.analyzers |= {"theirs": "ACCOUNT", "also-theirs": "ACCOUNT_UNUSED_ACCESS"}
    account.trails["organization"] = {"IsMultiRegionTrail": True, "IsOrganizationTrail": True}
    account.profiles["theirs"] = {"TargetArns": [ALL_THINGS]}
    return account


def values(answer: dict[str, Any]) -> dict[str, str]:
    return {each["parameter"]: each["value"] for each in answer["modes"]}


def mode(answer: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [each for each in answer["modes"] if each["parameter"] == name]
    return dict(found)


class TestAnEmptyAccount:
    def test_everything_that_is_free_or_expected_is_made(self, shell: Shell, looking: Looking) -> None:
        looking(Account())

        said = shell.warden("baseline", "plan", "--region", REGION, "--json")

        assert said.code == 0
        assert values(said.json) == {
            "AuditMode": "create",
            "ExternalAnalyzerMode": "create",
            "UnusedAccessAnalyzerMode": "off",
            "PolicyGenerationMode": "off",
            "LoggingMode": "create",
            "AlertsMode": "create",
            "TrailMode": "create",
            "DetectorMode": "create",
            "DetectMode": "off",
            "CustomMetricsMode": "off",
        }

    def test_what_it_writes_deploys(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        account = Account()
        looking(account)

        said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(tmp_path / "p.json"))

        assert said.code == 0
        deploy(account, tmp_path / "p.json")
        assert len(account.audit_runs()) == 17
        assert account.logging is not None
        assert account.trails

    def test_it_reckons_with_the_account_s_own_numbers(self, shell: Shell, looking: Looking) -> None:
        looking(Account(), certificates=10_000, roles=42, log_bytes=2e9)

        answer = shell.warden(
            "baseline", "plan", "--region", REGION, "--json", "--assume", "management_events=3000000"
        ).json

        costs = {cost["price"]: cost for each in answer["modes"] for cost in each["costs"]}
        assert costs["audit"]["usd"] == pytest.approx(11.0)
        assert costs["unused_access"]["usd"] == pytest.approx(8.4)
        assert costs["unused_access"]["unverified"] is True
        assert costs["log_ingestion"]["usd"] == pytest.approx(1.0)
        assert costs["guardduty_events"]["usd"] == pytest.approx(12.0)
        assert costs["guardduty_traffic"]["usd"] is None
        assert "flow_gb (not known)" in costs["guardduty_traffic"]["formula"]
        assert costs["trail_copy"]["usd"] == 0

    def test_a_large_fleet_is_at_least(self, shell: Shell, looking: Looking) -> None:
        looking(Account(), certificates=10_001)

        assert "audit: at least 11.00 USD" in shell.warden("baseline", "plan", "--region", REGION).text

    def test_the_key_is_paid_once(self, shell: Shell, looking: Looking) -> None:
        looking(Account())

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        assert [cost["price"] for each in answer["modes"] for cost in each["costs"]].count("key") == 1

    def test_prices_have_date_and_source_and_unverified_ones_are_marked(self, shell: Shell, looking: Looking) -> None:
        looking(Account())

        text = shell.warden("baseline", "plan", "--region", REGION).text

        assert "guardduty_events: api-evangelist, Amazon GuardDuty prices, 2026-10-07" in text
        assert "unused_access: unverified, geeksforgeeks" in text
        assert "Check them on AWS's own pages first" in text
        assert "roles_and_users x 1 analyzers (price unverified)" in text

    @pytest.mark.parametrize("width", [60, 80, 120])
    def test_it_fits_the_terminal(
        self, width: int, shell: Shell, looking: Looking, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", str(width))
        looking(full_account())

        said = shell.warden("baseline", "plan", "--region", REGION)

        assert max(len(line) for line in said.out.splitlines()) <= width


class TestAFullAccount:
    def test_everything_that_is_there_is_adopted(self, shell: Shell, looking: Looking) -> None:
        looking(full_account())

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        adopted = {name for name, value in values(answer).items() if value == "adopt"}
        assert adopted == {*SINGLETONS, "AlertsMode", "TrailMode", "DetectMode"}
        assert answer["parameters"]["ExistingAlertTopicArn"] == TOPIC
        assert answer["lacking"] == answer["conflicts"] == []

    def test_what_it_writes_deploys_and_changes_nothing_that_was_there(
        self, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        account = full_account()
        looking(account, topic_keys={TOPIC: KEY})
        before = account.settings()

        said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(tmp_path / "p.json"))

        assert said.code == 0
        stack = deploy(account, tmp_path / "p.json")
        after = account.settings()
        assert stack.outputs["AlertTopicArn"] == TOPIC
        assert before["things_made"].items() <= after["things_made"].items()
        left = {name: value for name, value in after.items() if name not in ("things_made", "files")}
        assert left == {name: value for name, value in before.items() if name not in ("things_made", "files")}

    def test_the_handbook_s_own_command_deploys_and_says_that_it_subscribes_nobody(
        self, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        account = full_account()
        looking(account)
        options = ("--set", "AlertEmail=security@example.com", "--write", str(tmp_path / "p.json"), "--json")

        said = shell.warden("baseline", "plan", "--region", REGION, *options)

        assert said.code == 0
        deploy(account, tmp_path / "p.json")
        assert "AlertEmail is left out" in mode(said.json, "AlertsMode")["then"]
        assert "AlertEmail" not in said.json["parameters"]

    def test_the_customer_key_of_the_topic_is_named(self, shell: Shell, looking: Looking) -> None:
        looking(full_account(), topic_keys={TOPIC: "alias/alerts"})

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        assert answer["parameters"]["ExistingAlertTopicKeyArn"] == KEY

    def test_aws_s_own_key_of_the_topic_is_not(self, shell: Shell, looking: Looking) -> None:
        looking(full_account(), topic_keys={TOPIC: "alias/aws/sns"})

        assert (
            "ExistingAlertTopicKeyArn"
            not in shell.warden("baseline", "plan", "--region", REGION, "--json").json["parameters"]
        )

    def test_what_it_made_itself_it_keeps(self, shell: Shell, looking: Looking, tmp_path: Path) -> None:
        account = Account()
        here = looking(account)
        shell.warden("baseline", "plan", "--region", REGION, "--write", str(tmp_path / "p.json"))
        here.stacks["iot-baseline"] = deploy(account, tmp_path / "p.json")

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        assert {name for name, value in values(answer).items() if value == "create"} == {
            "AuditMode",
            "ExternalAnalyzerMode",
            "LoggingMode",
            "AlertsMode",
            "TrailMode",
            "DetectorMode",
        }

    def test_where_the_stack_cannot_be_read_it_is_said_that_what_is_there_may_be_its_own(
        self, shell: Shell, looking: Looking
    ) -> None:
        looking(full_account(), denied={"cloudformation:ListStackResources"})

        said = shell.warden("baseline", "plan", "--region", REGION, "--json")

        assert said.code == 5
        assert "the role lacks cloudformation:ListStackResources" in mode(said.json, "AuditMode")["then"]

    def test_an_audit_without_target_is_told_how_to_get_one(self, shell: Shell, looking: Looking) -> None:
        account = full_account()
        account.audit.target = {}
        looking(account)

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        assert mode(answer, "AlertsMode")["value"] == "create"
        assert "It reports to no topic" in mode(answer, "AuditMode")["then"]

    def test_a_trail_that_does_not_record_is_adopted_and_said_to_be_off(self, shell: Shell, looking: Looking) -> None:
        here = looking(full_account())
        here.not_logging = {f"arn:aws:cloudtrail:{REGION}:123456789012:trail/organization"}

        found = mode(shell.warden("baseline", "plan", "--region", REGION, "--json").json, "TrailMode")

        assert found["value"] == "adopt"
        assert "It is not logging" in found["then"]

    def test_a_trail_of_data_events_alone_is_no_trail_for_this(self, shell: Shell, looking: Looking) -> None:
        account = full_account()
        account.trails["organization"]["IncludeManagementEvents"] = False
        looking(account)

        assert values(shell.warden("baseline", "plan", "--region", REGION, "--json").json)["TrailMode"] == "create"

    def test_policies_are_generated_from_the_trail_that_is_adopted(
        self, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        account = full_account()
        account.trails["organization"] |= {"S3BucketName": "their-logs", "KMSKeyId": KEY}
        here = looking(account)
        file = tmp_path / "p.json"

        options = ("--set", "PolicyGenerationMode=create", "--write", str(file))
        answer = shell.warden("baseline", "plan", "--region", REGION, "--json", *options).json

        assert answer["parameters"]["ExistingTrailArn"].endswith(":trail/organization")
        assert answer["parameters"]["ExistingTrailBucket"] == "their-logs"
        assert answer["parameters"]["ExistingTrailKeyArn"] == KEY
        here.stacks["iot-baseline"] = deploy(account, file)
        again = shell.warden("baseline", "plan", "--region", REGION, "--json").json
        assert values(again)["PolicyGenerationMode"] == "create"

    def test_the_trail_that_is_read_is_the_one_that_is_adopted(self, shell: Shell, looking: Looking) -> None:
        account = full_account()
        account.trails = {"aside": {"IsMultiRegionTrail": False}, **account.trails}
        account.trails["organization"]["IsOrganizationTrail"] = False
        looking(account)

        answer = shell.warden(
            "baseline", "plan", "--region", REGION, "--json", "--set", "PolicyGenerationMode=create"
        ).json

        assert "the trail organization" in mode(answer, "TrailMode")["why"]
        assert answer["parameters"]["ExistingTrailArn"].endswith(":trail/organization")

    def test_the_organisation_s_administrator_is_named(self, shell: Shell, looking: Looking) -> None:
        looking(full_account(), administrator="999999999999")

        found = mode(shell.warden("baseline", "plan", "--region", REGION, "--json").json, "DetectorMode")
        assert "administered by account 999999999999" in found["why"]


class TestWhatCannotBe:
    @pytest.mark.parametrize("name", SINGLETONS)
    def test_making_what_is_there_is_refused_beforehand(
        self, name: str, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        looking(full_account())
        file = tmp_path / "p.json"

        said = shell.warden("baseline", "plan", "--region", REGION, "--set", f"{name}=create", "--write", str(file))

        assert said.code == 1
        assert f"{name}=create:" in said.text
        assert not file.exists()

    @pytest.mark.parametrize(("there", "code"), [(3, 0), (4, 1), (5, 1)])
    def test_a_sixth_security_profile_is_said_beforehand(
        self, there: int, code: int, shell: Shell, looking: Looking
    ) -> None:
        account = Account()
        account.profiles |= {f"theirs-{number}": {"TargetArns": [ALL_THINGS]} for number in range(there)}
        looking(account)

        said = shell.warden("baseline", "plan", "--region", REGION, "--set", "DetectMode=create")

        assert said.code == code
        assert (f"{there} security profiles are on all things" in said.text) == bool(code)

    def test_profiles_elsewhere_do_not_count(self, shell: Shell, looking: Looking) -> None:
        account = Account()
        group = f"arn:aws:iot:{REGION}:123456789012:thinggroup/some"
        account.profiles |= {f"theirs-{number}": {"TargetArns": [group]} for number in range(9)}
        looking(account)

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        assert values(answer)["DetectMode"] == "create"
        assert answer["conflicts"] == []

    @pytest.mark.parametrize("region", ["sa-east-1", "af-south-1"])
    def test_a_region_without_device_defender_gets_no_audit(self, region: str, shell: Shell, looking: Looking) -> None:
        account = Account(place=Place(region=region))
        here = looking(account)

        said = shell.warden("baseline", "plan", "--region", region, "--json")

        assert said.code == 0
        assert values(said.json)["AuditMode"] == values(said.json)["DetectMode"] == "off"
        assert values(said.json)["LoggingMode"] == ("create" if region == "sa-east-1" else "off")
        assert ("iot:ListCertificates" in here.called) == (region == "sa-east-1")
        Stack(account).create(TEMPLATE, **said.json["parameters"])

    def test_a_wish_for_what_the_region_lacks_is_refused(self, shell: Shell, looking: Looking) -> None:
        looking(Account(place=Place(region="sa-east-1")))

        said = shell.warden("baseline", "plan", "--region", "sa-east-1", "--set", "AuditMode=create")

        assert said.code == 1
        assert "AuditMode=create: AWS does not offer it in sa-east-1" in said.text

    @pytest.mark.parametrize(
        ("wish", "words"),
        [
            ("AlertsMode=adopt", "AlertsMode=adopt: no topic is known"),
            ("PolicyGenerationMode=create", "PolicyGenerationMode=create: it needs a trail to read"),
            ("ObjectLockMode=GOVERNANCE", "ObjectLockMode: it is about the bucket of TrailMode=create"),
        ],
    )
    def test_what_the_template_s_rules_refuse_is_said_beforehand(
        self, wish: str, words: str, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        looking(Account())
        file = tmp_path / "p.json"
        options = ("--set", wish, "--set", "TrailMode=off", "--write", str(file))

        said = shell.warden("baseline", "plan", "--region", REGION, *options)

        assert said.code == 1
        assert words in said.text
        assert not file.exists()


class TestDeniedCalls:
    @pytest.mark.parametrize("action", sorted(ACTIONS - {"sts:GetCallerIdentity", "cloudformation:ListStackResources"}))
    def test_what_the_stack_made_stays_in_it_whatever_else_is_not_known(
        self, action: str, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        account, file = Account(), tmp_path / "p.json"
        here = looking(account, denied={action})
        here.stacks["iot-baseline"] = stack = Stack(account)
        stack.create(TEMPLATE, **EVERYTHING)
        made = set(stack.resources)

        said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(file))

        if said.code != 1:
            stack.update(TEMPLATE, **EVERYTHING | parameters_in(file))
            assert set(stack.resources) == made

    @pytest.mark.parametrize("mode_made", ["DetectMode", "CustomMetricsMode", "PolicyGenerationMode"])
    def test_where_the_stack_is_not_known_a_mode_that_is_off_says_that_it_may_have_made_it(
        self, mode_made: str, shell: Shell, looking: Looking
    ) -> None:
        looking(Account(), denied={"cloudformation:ListStackResources"})

        found = mode(shell.warden("baseline", "plan", "--region", REGION, "--json").json, mode_made)

        assert (found["value"], found["known"]) == ("off", False)
        assert f"If it did, set {mode_made}=create." in found["then"]

    def test_one_analyzer_of_the_stack_may_be_of_either_type(self, shell: Shell, looking: Looking) -> None:
        account = Account()
        here = looking(account, denied={"access-analyzer:ListAnalyzers"})
        here.stacks["iot-baseline"] = stack = Stack(account)
        stack.create(TEMPLATE)
        [name_made] = account.analyzers

        answer = shell.warden("baseline", "plan", "--region", REGION, "--json").json

        for name in ("ExternalAnalyzerMode", "UnusedAccessAnalyzerMode"):
            then = mode(answer, name)["then"]
            assert f"analyzer/{name_made}: if it is that, set {name}=create." in then

    @pytest.mark.parametrize("action", sorted(ACTIONS - {"sts:GetCallerIdentity"}))
    def test_each_is_not_known_and_never_a_traceback(self, action: str, shell: Shell, looking: Looking) -> None:
        looking(full_account(), denied={action}, topic_keys={TOPIC: "alias/alerts"})

        said = shell.warden("baseline", "plan", "--region", REGION)

        assert said.code in (0, 5)
        assert said.err == ""
        assert f"the role lacks {action}" in said.text

    def test_all_of_them_leave_a_plan_that_replaces_nothing(
        self, shell: Shell, looking: Looking, tmp_path: Path
    ) -> None:
        account = full_account()
        looking(account, denied=ACTIONS - {"sts:GetCallerIdentity"})
        before = account.settings()

        said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(tmp_path / "p.json"))

        assert said.code == 5
        deploy(account, tmp_path / "p.json")
        after = account.settings()
        for name in ("audit", "logging", "detectors", "analyzers", "trails", "profiles"):
            assert after[name] == before[name]

    def test_credentials_that_aws_does_not_know_end_it(self, shell: Shell, looking: Looking) -> None:
        looking(Account(), denied={"sts:GetCallerIdentity"})

        said = shell.warden("baseline", "plan", "--region", REGION)

        assert said.code == 3
        assert "AWS does not accept these credentials" in said.err


def test_the_policy_allows_what_the_command_calls_and_nothing_more(shell: Shell, looking: Looking) -> None:
    called: set[str] = set()
    for account in (Account(), full_account()):
        here = looking(account, topic_keys={TOPIC: "alias/alerts"})
        assert shell.warden("baseline", "plan", "--region", REGION).code == 0
        called |= set(here.called)

    assert called == ACTIONS


@pytest.mark.parametrize("action", sorted(ACTIONS))
def test_the_policy_only_reads(action: str) -> None:
    assert action.partition(":")[2].startswith(("Get", "List", "Describe"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "AuditMode"), "NAME=VALUE"),
        (("--set", "Nonsense=create"), "NAME=VALUE"),
        (("--set", "AuditMode=on"), "AuditMode is one of create, adopt, off"),
        (("--assume", "devices"), "NAME=NUMBER"),
        (("--assume", "flow_gb=much"), "NAME=NUMBER"),
        (("--write", "parameters.yaml"), "ends in .json"),
        (("--stack", ""), "'' is not the name of a stack"),
        (("--stack", "iot baseline"), "'iot baseline' is not the name of a stack"),
        (("--stack", "a" * 129), "is not the name of a stack"),
    ],
)
def test_a_faulty_option_is_said(arguments: tuple[str, ...], words: str, shell: Shell, looking: Looking) -> None:
    looking(Account())

    said = shell.warden("baseline", "plan", "--region", REGION, *arguments)

    assert said.code == 2
    assert words in said.err


def test_a_file_that_cannot_be_written_is_said(shell: Shell, looking: Looking, tmp_path: Path) -> None:
    looking(Account())

    said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(tmp_path / "none" / "p.json"))

    assert said.code == 2
    assert "cannot write" in said.err


def test_a_wish_goes_into_the_file_as_it_is(shell: Shell, looking: Looking, tmp_path: Path) -> None:
    looking(Account())
    file = tmp_path / "p.toml"

    wish = 'AlertEmail=a "b" c@example.com'
    shell.warden("baseline", "plan", "--region", REGION, "--write", str(file), "--set", wish)

    written = tomllib.loads(file.read_text())["default"]["deploy"]["parameters"]
    assert 'AlertEmail="a \\"b\\" c@example.com"' in written["parameter_overrides"]
    assert written["stack_name"] == "iot-baseline"


@pytest.mark.parametrize("ending", ["json", "toml"])
def test_the_command_to_deploy_with_is_one_for_a_shell(
    ending: str, shell: Shell, looking: Looking, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    looking(Account())
    file = tmp_path / f"our fleet's.{ending}"

    said = shell.warden("baseline", "plan", "--region", REGION, "--write", str(file))

    [command] = [each for each in said.out.splitlines() if " deploy " in each and "baseline/template.yaml" in each]
    assert shlex.split(command)[-1].removeprefix("file://") == str(file)


def test_the_sam_cli_reads_the_file(shell: Shell, looking: Looking, tmp_path: Path) -> None:
    python = ROOT / ".venv-sam" / "bin" / "python"
    if not python.exists():
        pytest.skip("no SAM CLI here; `make set-up` installs it")
    looking(Account())
    file = tmp_path / "p.toml"
    shell.warden("baseline", "plan", "--region", REGION, "--write", str(file), "--set", "AlertEmail=a b@example.com")

    script = """
import json, sys
from pathlib import Path
from samcli.cli.types import CfnParameterOverridesType
from samcli.lib.config.samconfig import SamConfig
path = Path(sys.argv[1])
told = SamConfig(path.parent, path.name).get_all(["deploy"], "parameters")["parameter_overrides"]
print(json.dumps(CfnParameterOverridesType().convert(told, None, None)))
"""
    read = subprocess.run(  # noqa: S603 - our own script, in an environment of our own
        [python, "-c", script, file], capture_output=True, check=True, text=True
    )

    parameters = json.loads(read.stdout)
    assert parameters["AuditMode"] == "create"
    assert parameters["AlertEmail"] == "a b@example.com"


def test_the_template_s_own_defaults_are_reckoned_with() -> None:
    declared = TEMPLATE["Parameters"]

    assert declared["LogRetentionDays"]["Default"] == baseline_plan.LOG_RETENTION_DAYS
    assert declared["TrailExpiryDays"]["Default"] == baseline_plan.TRAIL_EXPIRY_DAYS


def test_every_mode_of_the_template_is_proposed(shell: Shell, looking: Looking) -> None:
    looking(Account())

    modes = values(shell.warden("baseline", "plan", "--region", REGION, "--json").json)

    assert set(modes) == {name for name in TEMPLATE["Parameters"] if name.endswith("Mode")} - {"ObjectLockMode"}


def deploy(account: Account, file: Path) -> Stack:
    """Create the stack with the parameters in a file."""
    stack = Stack(account)
    stack.create(TEMPLATE, **parameters_in(file))
    return stack


def parameters_in(file: Path) -> dict[str, str]:
    return {each["ParameterKey"]: each["ParameterValue"] for each in json.loads(file.read_text())}
