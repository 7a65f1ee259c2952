"""The baseline's stack in empty accounts and in full ones: what it makes, what it leaves alone, what stays of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from tests.baseline.account import Account, Audit, LoggingOptions
from tests.baseline.evaluation import Place, TemplateError
from tests.baseline.handlers import CHECK_OF_PROPERTY, PLANS, can_deliver
from tests.baseline.stack import Stack, StackFailedError
from tests.conftest import ROOT
from tests.template.transformed import read_template
from warden.ingest.detectors.audit import CHECKS

TEMPLATE = read_template(ROOT / "baseline" / "template.yaml")
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"
TRAIL = "arn:aws:cloudtrail:eu-central-1:123456789012:trail/theirs"
EVERYTHING = {
    "TrailMode": "create",
    "UnusedAccessAnalyzerMode": "create",
    "PolicyGenerationMode": "create",
    "DetectMode": "create",
    "CustomMetricsMode": "create",
    "AlertEmail": "security@example.com",
}
ADOPT = dict.fromkeys(
    (
        "AuditMode",
        "LoggingMode",
        "DetectorMode",
        "ExternalAnalyzerMode",
        "UnusedAccessAnalyzerMode",
        "PolicyGenerationMode",
        "TrailMode",
        "DetectMode",
        "CustomMetricsMode",
    ),
    "adopt",
)

WRONG: list[tuple[str, dict[str, str]]] = [
    ("AdoptedTopicHasAName", {"AlertsMode": "adopt"}),
    ("TopicIsAdopted", {"ExistingAlertTopicArn": TOPIC}),
    ("MailIsOfOurTopic", {"AlertsMode": "off", "AlertEmail": "security@example.com"}),
    ("BucketIsOurs", {"ObjectLockMode": "GOVERNANCE"}),
    ("BucketIsOurs", {"TrailMode": "adopt", "TrailBucketAdminArn": "arn:aws:iam::123456789012:role/admin"}),
    ("BucketIsOurs", {"AccessLogBucket": "logs"}),
    ("PlansAreOfOurDetector", {"DetectorMode": "adopt", "S3DataEvents": "ENABLED"}),
    ("GenerationHasOneTrail", {"PolicyGenerationMode": "create"}),
    ("GenerationHasOneTrail", {"PolicyGenerationMode": "create", "ExistingTrailArn": TRAIL}),
    ("GenerationHasOneTrail", {"PolicyGenerationMode": "create", "TrailMode": "create", "ExistingTrailArn": TRAIL}),
    ("AgentsAreOfRuntimeMonitoring", {"RuntimeAgents": "ENABLED"}),
]


def has_an_audit(account: Account) -> None:
    account.audit = Audit("theirs", {"LOGGING_DISABLED_CHECK"}, {}, {"TargetArn": "theirs", "Enabled": True})
    account.scheduled["theirs"] = ["LOGGING_DISABLED_CHECK"]
    account.things_made["theirs"] = {}


def has_logs(account: Account) -> None:
    account.logging = LoggingOptions("theirs", "DEBUG", {"Connect": ("DEBUG", "theirs")})


def has_a_detector(account: Account) -> None:
    account.detectors["theirs"] = dict.fromkeys(PLANS, "ENABLED")


def has_an_analyzer(account: Account) -> None:
    account.analyzers["theirs"] = "ACCOUNT"


def has_an_analyzer_of_unused_access(account: Account) -> None:
    account.analyzers["also-theirs"] = "ACCOUNT_UNUSED_ACCESS"


def has_a_trail_of_the_name(account: Account) -> None:
    account.trails[account.place.stack] = {"S3BucketName": "theirs"}


FOREIGN: Mapping[str, tuple[str, Callable[[Account], None]]] = {
    "AuditConfiguration": ("AuditMode", has_an_audit),
    "Logging": ("LoggingMode", has_logs),
    "Detector": ("DetectorMode", has_a_detector),
    "ExternalAnalyzer": ("ExternalAnalyzerMode", has_an_analyzer),
    "UnusedAccessAnalyzer": ("UnusedAccessAnalyzerMode", has_an_analyzer_of_unused_access),
    "Trail": ("TrailMode", has_a_trail_of_the_name),
}


def full_account() -> Account:
    account = Account()
    for _, fill in FOREIGN.values():
        fill(account)
    return account


def without_check(name: str) -> dict[str, Any]:
    """Return the template as changed by somebody who does not want a check."""
    template = copy.deepcopy(TEMPLATE)
    resources = template["Resources"]
    del resources["AuditConfiguration"]["Properties"]["AuditCheckConfigurations"][name]
    resources["DailyAudit"]["Properties"]["TargetCheckNames"].remove(CHECK_OF_PROPERTY[name])
    return template


@pytest.fixture(params=[False, True], ids=["forwards", "backwards"])
def backwards(request: pytest.FixtureRequest) -> bool:
    """Resources that CloudFormation makes at the same time may be made in any order."""
    return bool(request.param)


class TestAnEmptyAccount:
    def test_it_is_audited_every_day_with_every_check_and_tells_the_topic(self) -> None:
        account, stack = created()

        assert account.audit_runs() == set(CHECKS)
        assert account.audit.thresholds == {"CertAgeThresholdInDays": "365", "CertExpirationThresholdInDays": "30"}
        assert account.audit.tells() == stack.outputs["AlertTopicArn"]
        assert account.audit.tells() in account.things_made

    def test_it_logs_what_is_denied_into_a_group_of_its_own(self) -> None:
        account, stack = created()

        assert account.logging is not None
        assert (account.logging.level, account.logging.disabled) == ("ERROR", False)
        group = stack.outputs["LogGroupName"]
        assert account.logging.events == dict.fromkeys(("Connect", "Publish-In", "Subscribe"), ("ERROR", group))
        assert not group.startswith("arn:")
        assert f"arn:aws:logs:eu-central-1:123456789012:log-group:{group}:*" in account.things_made

    def test_failed_authentication_is_logged_where_asked_for(self) -> None:
        account, _ = created(AuthenticationLogs="on")

        assert account.logging is not None
        assert "Connection.AuthNError" in account.logging.events

    def test_guardduty_is_on_and_none_of_its_optional_plans_is(self) -> None:
        account, _ = created()

        assert list(account.detectors.values()) == [dict.fromkeys(PLANS, "DISABLED")]

    @pytest.mark.parametrize("plan", PLANS)
    def test_a_plan_is_on_where_it_is_asked_for(self, plan: str) -> None:
        [parameter] = [name for name in TEMPLATE["Parameters"] if name.upper() == plan.replace("_", "")]

        account, _ = created(**{parameter: "ENABLED"})

        [detector] = account.detectors.values()
        assert {name for name, status in detector.items() if status == "ENABLED"} == {plan}

    def test_it_costs_nothing_that_was_not_asked_for(self) -> None:
        account, _ = created()

        assert set(account.analyzers.values()) == {"ACCOUNT"}
        assert not account.trails
        assert not account.profiles
        assert not account.metrics

    def test_a_trail_can_write_and_only_it(self) -> None:
        account, stack = created(**EVERYTHING)

        bucket = stack.outputs["TrailBucketName"]
        assert can_deliver(account, stack.outputs["TrailArn"], bucket)
        assert not can_deliver(account, f"{stack.outputs['TrailArn']}-2", bucket)

    def test_three_profiles_are_on_all_things_and_tell_the_topic(self) -> None:
        account, stack = created(**EVERYTHING)

        assert len(account.profiles) == 3
        for profile in account.profiles.values():
            assert profile["TargetArns"] == ["arn:aws:iot:eu-central-1:123456789012:all/things"]
            assert profile["AlertTargets"]["SNS"]["AlertTargetArn"] == stack.outputs["AlertTopicArn"]

    def test_profiles_have_room_beside_two_and_are_refused_beside_three(self, backwards: bool) -> None:
        for foreign, fits in ((2, True), (3, False)):
            account = Account()
            target = "arn:aws:iot:eu-central-1:123456789012:all/things"
            account.profiles = {
                f"theirs-{number}": {"TargetArns": [target], "Behaviors": []} for number in range(foreign)
            }
            stack = Stack(account, backwards)
            if fits:
                stack.create(TEMPLATE, **EVERYTHING)
            else:
                with pytest.raises(StackFailedError, match="5 security profiles"):
                    stack.create(TEMPLATE, **EVERYTHING)
            assert len([name for name in account.profiles if name.startswith("theirs")]) == foreign

    def test_logging_that_is_disabled_is_switched_on(self) -> None:
        account = Account(logging=LoggingOptions("theirs", "ERROR", {}, disabled=True))

        Stack(account).create(TEMPLATE)

        assert account.logging is not None
        assert not account.logging.disabled


class TestAFullAccount:
    @pytest.mark.parametrize("logical", FOREIGN)
    def test_what_is_there_is_refused_and_nothing_of_it_is_replaced(self, logical: str, backwards: bool) -> None:
        account = Account()
        FOREIGN[logical][1](account)
        before = account.settings()

        with pytest.raises(StackFailedError) as refusal:
            Stack(account, backwards).create(TEMPLATE, **EVERYTHING)

        assert refusal.value.logical == logical
        assert without_remains(account.settings()) == before

    def test_only_what_was_made_is_deleted_when_creation_rolls_back(self, backwards: bool) -> None:
        account = full_account()
        before = account.settings()

        with pytest.raises(StackFailedError):
            Stack(account, backwards).create(TEMPLATE, **EVERYTHING)

        assert without_remains(account.settings()) == before

    def test_creation_can_be_tried_again(self, backwards: bool) -> None:
        account = Account(detect_is_open=False)
        with pytest.raises(StackFailedError, match="no longer available to new customers"):
            Stack(account, backwards).create(TEMPLATE, **EVERYTHING)

        Stack(account).create(TEMPLATE, TrailMode="create", UnusedAccessAnalyzerMode="create")

        assert account.audit_runs() == set(CHECKS)
        assert account.trails

    def test_what_is_adopted_is_never_touched(self) -> None:
        account = full_account()
        before = account.settings()
        stack = Stack(account)

        stack.create(TEMPLATE, **ADOPT)
        stack.update(TEMPLATE, **ADOPT, CertificateAgeDays="90", LogLevel="WARN", AlertEmail="security@example.com")
        stack.delete()

        after = account.settings()
        assert {name: after[name] for name in before if name != "things_made"} == {
            name: before[name] for name in before if name != "things_made"
        }
        touched = {kind for _, kind in account.calls}
        assert touched <= {
            "AWS::IAM::Role",
            "AWS::KMS::Key",
            "AWS::SNS::Topic",
            "AWS::SNS::TopicPolicy",
            "AWS::SNS::Subscription",
        }

    @pytest.mark.parametrize("logical", FOREIGN)
    def test_one_that_is_adopted_leaves_the_others_to_be_made(self, logical: str) -> None:
        mode, fill = FOREIGN[logical]
        account = Account()
        fill(account)

        stack = Stack(account)
        stack.create(TEMPLATE, **(EVERYTHING | {"PolicyGenerationMode": "off", mode: "adopt"}))

        assert set(FOREIGN) - set(stack.resources) == {logical}

    def test_an_existing_topic_is_told_and_left_alone(self) -> None:
        account = Account()
        account.things_made[TOPIC] = {"theirs": True}

        stack = Stack(account)
        stack.create(TEMPLATE, AlertsMode="adopt", ExistingAlertTopicArn=TOPIC, DetectMode="create")
        stack.delete()

        assert account.audit.tells() == TOPIC
        assert account.things_made[TOPIC] == {"theirs": True}
        assert not {kind for _, kind in account.calls if "SNS" in kind}

    def test_the_role_may_publish_on_an_existing_topic_and_use_its_key(self) -> None:
        key = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"
        stack = Stack(Account())

        stack.create(TEMPLATE, AlertsMode="adopt", ExistingAlertTopicArn=TOPIC, ExistingAlertTopicKeyArn=key)

        [policy] = stack.resources["AlertRole"].properties["Policies"]
        assert {statement["Resource"] for statement in policy["PolicyDocument"]["Statement"]} == {TOPIC, key}


class TestUpdates:
    def test_a_check_that_somebodys_audit_runs_is_not_dropped(self) -> None:
        account, stack = created()
        account.scheduled["theirs"] = ["LOGGING_DISABLED_CHECK"]

        with pytest.raises(StackFailedError) as refusal:
            stack.update(without_check("LoggingDisabledCheck"))

        assert refusal.value.logical == "AuditConfiguration"
        assert account.audit.enabled == set(CHECKS)
        assert account.audit.tells()
        assert account.audit_runs() == set(CHECKS)

    def test_a_check_that_our_own_audit_runs_is_dropped_in_two_steps(self) -> None:
        """The schedule waits for the configuration, so it still names the check: first the schedule, then the rest."""
        account, stack = created()
        first = copy.deepcopy(TEMPLATE)
        first["Resources"]["DailyAudit"]["Properties"]["TargetCheckNames"].remove("LOGGING_DISABLED_CHECK")

        stack.update(first)
        stack.update(without_check("LoggingDisabledCheck"))

        assert account.audit_runs() == set(CHECKS) - {"LOGGING_DISABLED_CHECK"}

    def test_an_update_takes_back_what_others_set_so_theirs_is_adopted_and_not_named(self) -> None:
        account, stack = created()
        account.audit.enabled.discard("LOGGING_DISABLED_CHECK")
        account.audit.target = {"TargetArn": "theirs", "Enabled": True}

        stack.update(TEMPLATE, CertificateAgeDays="90")

        assert account.audit.enabled == set(CHECKS)
        assert account.audit.tells() == stack.outputs["AlertTopicArn"]

    @pytest.mark.parametrize("mode", ["adopt", "off"])
    def test_what_is_handed_over_goes_on_working(self, mode: str) -> None:
        account, stack = created(**EVERYTHING)

        stack.update(TEMPLATE, **dict.fromkeys(ADOPT, mode), AlertsMode="off")

        assert_everything_works(account)

    def test_what_a_failed_update_made_goes_and_what_was_there_stays(self, backwards: bool) -> None:
        account = Account(detect_is_open=False)
        stack = Stack(account, backwards)
        stack.create(TEMPLATE)
        before = account.settings()

        with pytest.raises(StackFailedError, match="no longer available to new customers"):
            stack.update(TEMPLATE, **EVERYTHING)

        after = without_remains(account.settings())
        assert after == before
        stack.update(TEMPLATE, TrailMode="create")
        assert account.trails

    @pytest.mark.parametrize("logical", FOREIGN)
    def test_what_was_adopted_is_refused_when_it_is_to_be_made(self, logical: str) -> None:
        mode, fill = FOREIGN[logical]
        account = Account()
        fill(account)
        stack = Stack(account)
        stack.create(TEMPLATE, **{mode: "adopt"})
        before = account.settings()

        with pytest.raises(StackFailedError) as refusal:
            stack.update(TEMPLATE, **{mode: "create"})

        assert refusal.value.logical == logical
        assert without_remains(account.settings()) == before

    def test_a_threshold_changes_and_nothing_else(self) -> None:
        account, stack = created(**EVERYTHING)
        account.calls.clear()

        stack.update(TEMPLATE, **EVERYTHING, CertificateAgeDays="90")

        assert account.calls == [("update", "AWS::IoT::AccountAuditConfiguration")]
        assert account.audit.thresholds["CertAgeThresholdInDays"] == "90"


class TestDeletion:
    def test_what_there_is_one_of_stays_and_works(self, backwards: bool) -> None:
        account = Account()
        stack = Stack(account, backwards)
        stack.create(TEMPLATE, **EVERYTHING)

        stack.delete()

        assert_everything_works(account)

    def test_profiles_metric_mails_and_the_role_that_reads_the_trail_go(self) -> None:
        account, stack = created(**EVERYTHING)
        account.calls.clear()

        stack.delete()

        assert {kind for _, kind in account.calls} == {
            "AWS::IoT::SecurityProfile",
            "AWS::IoT::CustomMetric",
            "AWS::IAM::Role",
            "AWS::SNS::Subscription",
        }
        assert not account.profiles
        assert not account.metrics


class TestRegionsAndPartitions:
    @pytest.mark.parametrize("region", ["eu-south-1", "il-central-1", "sa-east-1"])
    def test_a_region_without_audit_has_logs_and_guardduty(self, region: str) -> None:
        account = Account(Place(region=region))
        with pytest.raises(TemplateError, match=r"audit is not in this region\. Set AuditMode=off"):
            Stack(account).create(TEMPLATE)
        with pytest.raises(TemplateError, match=r"Detect is not in this region"):
            Stack(account).create(TEMPLATE, AuditMode="off", DetectMode="create")

        Stack(account).create(TEMPLATE, AuditMode="off")

        assert account.logging
        assert account.detectors
        assert not account.audit.role

    def test_a_region_without_aws_iot_has_guardduty_alone(self) -> None:
        account = Account(Place(region="eu-central-2"))
        with pytest.raises(TemplateError, match=r"AWS IoT is not in this region"):
            Stack(account).create(TEMPLATE, AuditMode="off")

        Stack(account).create(TEMPLATE, AuditMode="off", LoggingMode="off", AlertsMode="off")

        assert account.detectors

    @pytest.mark.parametrize(("partition", "region"), [("aws-cn", "cn-north-1"), ("aws-us-gov", "us-gov-west-1")])
    def test_every_name_is_of_the_partition(self, partition: str, region: str) -> None:
        account = Account(Place(region=region, partition=partition))
        stack = Stack(account)

        stack.create(TEMPLATE, **EVERYTHING)

        arns = {text for each in stack.resources.values() for text in strings_of(each.properties) if "arn:" in text}
        assert len(arns) > 10
        assert {arn.split(":")[1] for arn in arns} == {partition}


class TestRules:
    @pytest.mark.parametrize(("rule", "parameters"), WRONG)
    def test_a_wrong_combination_is_refused_with_a_sentence(self, rule: str, parameters: dict[str, str]) -> None:
        account = Account()

        with pytest.raises(TemplateError, match=rf"^{rule}: [A-Z].+\.$"):
            Stack(account).create(TEMPLATE, **parameters)

        assert account.calls == []

    def test_every_plan_needs_the_detector(self) -> None:
        for name, parameter in TEMPLATE["Parameters"].items():
            if parameter.get("AllowedValues") == ["ENABLED", "DISABLED"] and name != "RuntimeAgents":
                with pytest.raises(TemplateError, match=r"^PlansAreOfOurDetector"):
                    Stack(Account()).create(TEMPLATE, DetectorMode="off", **{name: "ENABLED"})

    def test_every_rule_is_tried_here(self) -> None:
        regional = {"AuditInThisRegion", "DetectInThisRegion", "LoggingInThisRegion"}

        assert {rule for rule, _ in WRONG} | regional == set(TEMPLATE["Rules"])

    @pytest.mark.parametrize("days", ["29", "3653"])
    def test_a_threshold_out_of_bounds_is_refused(self, days: str) -> None:
        with pytest.raises(TemplateError, match="CertificateAgeDays is out of bounds"):
            Stack(Account()).create(TEMPLATE, CertificateAgeDays=days)


def created(**parameters: str) -> tuple[Account, Stack]:
    account = Account()
    stack = Stack(account)
    stack.create(TEMPLATE, **parameters)
    return account, stack


def assert_everything_works(account: Account) -> None:
    """Check that what is left has all that it needs: roles, topic and its policy, group, key, bucket and its policy."""
    assert account.audit_runs() == set(CHECKS)
    assert account.logging is not None
    assert not account.logging.disabled
    assert account.detectors
    assert set(account.analyzers.values()) == {"ACCOUNT", "ACCOUNT_UNUSED_ACCESS"}
    [(name, trail)] = account.trails.items()
    assert can_deliver(account, f"arn:aws:cloudtrail:eu-central-1:123456789012:trail/{name}", trail["S3BucketName"])
    needed = {account.audit.role, account.audit.tells(), account.audit.target["RoleArn"], account.logging.role}
    needed |= {group for _, group in account.logging.events.values()} | {trail["S3BucketName"], trail["KMSKeyId"]}
    for each in account.things_made.values():
        needed |= {each[name] for name in ("KmsMasterKeyId", "KmsKeyId") if name in each}
    assert needed - set(account.things_made) == set()
    topics = {topic for each in account.things_made.values() for topic in each.get("Topics", [])}
    assert account.audit.tells() in topics


def without_remains(settings: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a rollback leaves: logs that are disabled, as they were, and a bucket the trail may have used."""
    left = {
        name: each for name, each in settings["things_made"].items() if "PublicAccessBlockConfiguration" not in each
    }
    logging = settings["logging"]
    none = logging is not None and logging.disabled
    return settings | {"things_made": left, "files": {}, "logging": None if none else logging}


def strings_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from strings_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from strings_of(each)
