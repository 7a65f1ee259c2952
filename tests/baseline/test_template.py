"""What the baseline's template is made of: what it may not have, whom it lets in, what it keeps, what it names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import boto3
import pytest
from botocore.model import StringShape
from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]  # it ships no types

from tests.baseline.account import Account
from tests.baseline.handlers import CHECK_OF_PROPERTY, HANDLERS
from tests.baseline.stack import Resource, Stack
from tests.conftest import ROOT
from tests.template.transformed import read_template
from warden.ingest.detectors.audit import CHECKS

PATH = ROOT / "baseline" / "template.yaml"
TEXT = PATH.read_text()
TEMPLATE = read_template(PATH)
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
MOST_BYTES = 51_200
"""What CreateStack and CreateStackSet take as TemplateBody."""

GOES = {
    "AlertSubscription",
    "RulesProfile",
    "LearningProfile",
    "CustomMetric",
    "CustomMetricProfile",
    "PolicyGenerationRole",
}
"""The resources deleted with the stack: there can be several, and nothing that stays needs them."""

OTHER_KEY = "arn:aws:kms:eu-central-1:999999999999:key/" + "0" * 36

NAMES = {"TrailName": {"Ref": "AWS::StackName"}}
"""Names that the template gives, which are the stack's."""

LEARNED = {
    "message-byte-size",
    "num-messages-sent",
    "num-messages-received",
    "num-authorization-failures",
    "num-connection-attempts",
    "num-disconnects",
    "all-bytes-out",
    "all-bytes-in",
    "all-packets-out",
    "all-packets-in",
    "num-listening-tcp-ports",
    "num-listening-udp-ports",
    "num-established-tcp-connections",
}
"""Metrics that machine learning can look at, by AWS's page on ML Detect."""
COUNTED = LEARNED | {"disconnect-duration"}
LISTED = {"source-ip-address", "destination-ip-addresses", "listening-tcp-ports", "listening-udp-ports"}
LISTS = {
    "SourceCidrs": "10.0.0.0/8,192.0.2.0/24",
    "DestinationCidrs": "10.0.0.0/8",
    "TcpPorts": "22,443",
    "UdpPorts": "53",
}

EVERYTHING = LISTS | {
    "TrailMode": "create",
    "UnusedAccessAnalyzerMode": "create",
    "PolicyGenerationMode": "create",
    "DetectMode": "create",
    "CustomMetricsMode": "create",
    "AlertEmail": "security@example.com",
    "AuthenticationLogs": "on",
}


def deployed(**parameters: str) -> dict[str, Resource]:
    """Return what a stack makes in an empty account."""
    stack = Stack(Account())
    stack.create(TEMPLATE, **parameters)
    return stack.resources


FULL = deployed(**EVERYTHING)
ROLES = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::IAM::Role"]
OF_AWS_IOT = [name for name in ROLES if name != "PolicyGenerationRole"]
NO_RESOURCE = ["iam:GetServiceLastAccessedDetails"]
"""Actions that IAM knows no resource for (Service Authorization Reference, IAM)."""
NO_SOURCE = ["access-analyzer.amazonaws.com"]
"""Services that AWS documents no source for (IAM User Guide, policy generation): there iam:PassRole is the guard."""


def rights_of_generation(resources: Mapping[str, Resource]) -> dict[str, str]:
    """Return the rights of the role with which Access Analyzer reads the trail, and their resources."""
    statements = statements_of(resources["PolicyGenerationRole"].properties["Policies"])
    return {each["Action"]: each["Resource"] for each in statements}


def statements_of(value: Any) -> Iterator[Mapping[str, Any]]:
    """List every statement of every policy."""
    if isinstance(value, Mapping):
        yield from value.get("Statement", [])
        for each in value.values():
            yield from statements_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from statements_of(each)


def keys_of(value: Any) -> Iterator[tuple[str, Any]]:
    """List every key with its value, at any depth."""
    if isinstance(value, Mapping):
        yield from value.items()
        for each in value.values():
            yield from keys_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from keys_of(each)


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list) else [value]


class TestStackSetsTakeIt:
    def test_it_has_no_transform_and_no_code(self) -> None:
        assert "Transform" not in TEMPLATE
        assert "Fn::Transform" not in json.dumps(TEMPLATE)
        assert not [
            each["Type"]
            for each in RESOURCES.values()
            if re.match(r"Custom::|AWS::(Lambda|Serverless)::", each["Type"])
        ]

    def test_it_is_short_enough_to_be_sent(self) -> None:
        assert len(TEXT.encode()) <= MOST_BYTES

    def test_it_uses_no_alias_which_cloudformation_does_not_read(self) -> None:
        assert not re.search(r"(?m)^[^#\"']*[\s\[{:][&*][A-Za-z]", TEXT)

    def test_every_type_is_one_that_the_model_of_an_account_knows(self) -> None:
        assert {each["Type"] for each in RESOURCES.values()} == set(HANDLERS)


class TestNames:
    def test_nothing_has_a_fixed_name(self) -> None:
        physical = re.compile(
            r"(Topic|Role|Trail|Bucket|LogGroup|Alias|Analyzer|ScheduledAudit|SecurityProfile|Metric)Name"
        )
        given = {
            key: value
            for resource in RESOURCES.values()
            for key, value in resource["Properties"].items()
            if physical.fullmatch(key)
        }

        assert given == NAMES

    def test_it_names_no_account_partition_or_region_but_in_its_rules(self) -> None:
        without_rules = {name: part for name, part in TEMPLATE.items() if name != "Rules"}

        assert "arn:aws" not in TEXT
        assert not re.search(r"\d{12}", TEXT)
        assert not re.search(r"\b[a-z]{2}(-gov)?-[a-z]+-\d\b", json.dumps(without_rules))

    def test_every_parameter_is_used_described_and_in_a_group(self) -> None:
        groups = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
        grouped = [name for group in groups for name in group["Parameters"]]

        assert sorted(grouped) == sorted(TEMPLATE["Parameters"])
        for name, parameter in TEMPLATE["Parameters"].items():
            assert f"!Ref {name}" in TEXT, name
            assert parameter["Description"].endswith("."), name

    def test_every_control_is_made_adopted_or_left_out(self) -> None:
        modes = {name: each for name, each in TEMPLATE["Parameters"].items() if name.endswith("Mode")}
        del modes["ObjectLockMode"]

        assert {tuple(each["AllowedValues"]) for each in modes.values()} == {("create", "adopt", "off")}
        assert {name for name, each in modes.items() if each["Default"] == "off"} == {
            "CustomMetricsMode",
            "DetectMode",
            "PolicyGenerationMode",
            "TrailMode",
            "UnusedAccessAnalyzerMode",
        }


class TestWhatStays:
    @pytest.mark.parametrize("logical", sorted(set(RESOURCES) - GOES - {"TrailBucket"}))
    def test_what_stays_goes_only_when_its_own_creation_rolls_back(self, logical: str) -> None:
        resource = RESOURCES[logical]

        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")

    def test_the_bucket_always_stays_for_it_may_hold_log_files(self) -> None:
        bucket = RESOURCES["TrailBucket"]

        assert (bucket["DeletionPolicy"], bucket["UpdateReplacePolicy"]) == ("Retain", "Retain")

    def test_what_there_can_be_several_of_goes(self) -> None:
        assert {name for name, each in RESOURCES.items() if "DeletionPolicy" not in each} == GOES

    def test_nothing_that_stays_needs_what_goes(self) -> None:
        for logical, resource in FULL.items():
            if logical not in GOES:
                assert resource.needs & GOES == set(), logical


class TestAudit:
    def test_the_seventeen_checks_are_on_and_scheduled(self) -> None:
        checks = RESOURCES["AuditConfiguration"]["Properties"]["AuditCheckConfigurations"]
        planned = RESOURCES["DailyAudit"]["Properties"]["TargetCheckNames"]

        assert len(CHECKS) == 17
        assert {CHECK_OF_PROPERTY[name] for name in checks} == set(CHECKS)
        assert all(check["Enabled"] is True for check in checks.values())
        assert sorted(planned) == sorted(CHECKS)
        assert RESOURCES["DailyAudit"]["Properties"]["Frequency"] == "DAILY"

    def test_the_properties_are_written_as_cloudformation_writes_them(self) -> None:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", "AWS::IoT::AccountAuditConfiguration").schema
        known = schema["definitions"]["AuditCheckConfigurations"]["properties"]

        assert set(RESOURCES["AuditConfiguration"]["Properties"]["AuditCheckConfigurations"]) == set(known)

    def test_the_schedule_is_made_after_the_checks_and_deleted_before_them(self) -> None:
        assert RESOURCES["DailyAudit"]["DependsOn"] == "AuditConfiguration"


class TestDetect:
    def test_machine_learning_looks_at_all_that_it_can(self) -> None:
        behaviors = FULL["LearningProfile"].properties["Behaviors"]

        assert [each["Metric"] for each in behaviors] == [f"aws:{each['Name']}" for each in behaviors]
        assert {each["Name"] for each in behaviors} == LEARNED
        for behavior in behaviors:
            assert behavior["Criteria"]["MlDetectionConfig"] == {"ConfidenceLevel": "HIGH"}
            assert "MetricDimension" not in behavior

    def test_every_metric_has_a_rule(self) -> None:
        behaviors = FULL["RulesProfile"].properties["Behaviors"]

        assert {each["Name"] for each in behaviors} == COUNTED | LISTED
        assert [each["Metric"] for each in behaviors] == [f"aws:{each['Name']}" for each in behaviors]

    def test_a_list_that_is_empty_has_no_rule(self) -> None:
        behaviors = deployed(DetectMode="create")["RulesProfile"].properties["Behaviors"]

        assert {each["Name"] for each in behaviors} == COUNTED

    @pytest.mark.parametrize("metric", sorted(COUNTED))
    def test_a_count_is_a_string_that_is_normally_not_exceeded(self, metric: str) -> None:
        [rule] = [each for each in FULL["RulesProfile"].properties["Behaviors"] if each["Name"] == metric]

        assert rule["Criteria"]["ComparisonOperator"] == "less-than-equals"
        [(kind, value)] = rule["Criteria"]["Value"].items()
        assert (kind, type(value)) == ("Count", str)
        assert int(value) > 0

    def test_lists_are_lists(self) -> None:
        rules = {each["Name"]: each["Criteria"] for each in FULL["RulesProfile"].properties["Behaviors"]}

        assert rules["source-ip-address"]["Value"] == {"Cidrs": ["10.0.0.0/8", "192.0.2.0/24"]}
        assert rules["listening-tcp-ports"]["Value"] == {"Ports": ["22", "443"]}
        assert {rules[name]["ComparisonOperator"] for name in LISTED} == {"in-cidr-set", "in-port-set"}

    def test_every_behavior_may_alarm(self) -> None:
        for profile in ("RulesProfile", "LearningProfile", "CustomMetricProfile"):
            for behavior in FULL[profile].properties["Behaviors"]:
                assert "SuppressAlerts" not in behavior
                assert len(behavior["Name"]) <= 128


class TestGuardDuty:
    def test_every_optional_plan_is_named_for_the_api_enables_what_is_not(self) -> None:
        features = RESOURCES["Detector"]["Properties"]["Features"]
        shape = boto3.client("guardduty").meta.service_model.shape_for("DetectorFeature")
        assert isinstance(shape, StringShape)

        assert {each["Name"] for each in features} == set(shape.enum) - {"EKS_RUNTIME_MONITORING"}
        assert "DataSources" not in RESOURCES["Detector"]["Properties"]

    def test_every_agent_is_named(self) -> None:
        [runtime] = [
            each for each in RESOURCES["Detector"]["Properties"]["Features"] if "AdditionalConfiguration" in each
        ]
        shape = boto3.client("guardduty").meta.service_model.shape_for("FeatureAdditionalConfiguration")
        assert isinstance(shape, StringShape)

        assert {each["Name"] for each in runtime["AdditionalConfiguration"]} == set(shape.enum)


class TestTrail:
    def test_it_sees_every_region_and_its_files_can_be_checked(self) -> None:
        trail = FULL["Trail"].properties

        for name in ("IsLogging", "IsMultiRegionTrail", "IncludeGlobalServiceEvents", "EnableLogFileValidation"):
            assert trail[name] is True, name
        assert "TrailBucketPolicy" in FULL["Trail"].needs

    def test_the_bucket_is_private_versioned_and_encrypted(self) -> None:
        bucket = FULL["TrailBucket"].properties

        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        assert bucket["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"] == "400"
        assert "ObjectLockConfiguration" not in bucket

    @pytest.mark.parametrize("mode", ["GOVERNANCE", "COMPLIANCE"])
    def test_object_lock_holds_each_file(self, mode: str) -> None:
        bucket = deployed(TrailMode="create", ObjectLockMode=mode)["TrailBucket"].properties

        assert bucket["ObjectLockEnabled"] is True
        assert bucket["ObjectLockConfiguration"]["Rule"] == {"DefaultRetention": {"Mode": mode, "Days": "365"}}

    def test_nobody_deletes_and_nothing_goes_in_the_clear(self) -> None:
        statements = {each["Sid"]: each for each in FULL["TrailBucketPolicy"].properties["PolicyDocument"]["Statement"]}

        for sid in ("NobodyDeletes", "NothingInTheClear"):
            assert (statements[sid]["Effect"], statements[sid]["Principal"]) == ("Deny", "*")
            bucket = FULL["TrailBucket"].made.attributes["Arn"]
            assert statements[sid]["Resource"] == [bucket, f"{bucket}/*"]
        assert "Condition" not in statements["NobodyDeletes"]
        assert set(statements["NobodyDeletes"]["Action"]) == {
            "s3:DeleteBucket",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
            "s3:PutLifecycleConfiguration",
        }
        assert statements["NothingInTheClear"]["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_one_principal_may_delete_where_it_is_named(self) -> None:
        admin = "arn:aws:iam::123456789012:role/log-keeper"

        policy = deployed(TrailMode="create", TrailBucketAdminArn=admin)["TrailBucketPolicy"].properties

        [statement] = [each for each in policy["PolicyDocument"]["Statement"] if each["Sid"] == "NobodyDeletes"]
        assert statement["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": admin}}


class TestAccess:
    @pytest.mark.parametrize("role", OF_AWS_IOT)
    def test_a_role_is_aws_iots_alone_and_for_this_account_and_region(self, role: str) -> None:
        """AWS's own sample has a colon too many in both; a role of that kind is never assumed."""
        [statement] = FULL[role].properties["AssumeRolePolicyDocument"]["Statement"]

        assert statement == {
            "Effect": "Allow",
            "Principal": {"Service": "iot.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "StringEquals": {"aws:SourceAccount": "123456789012"},
                "ArnLike": {"aws:SourceArn": "arn:aws:iot:eu-central-1:123456789012:*"},
            },
        }

    @pytest.mark.parametrize("role", ROLES)
    def test_a_role_of_ours_only_allows_what_it_names(self, role: str) -> None:
        for statement in statements_of(FULL[role].properties.get("Policies", [])):
            assert statement["Effect"] == "Allow"
            assert not [action for action in listed(statement["Action"]) if "*" in action]
            assert "*" not in listed(statement["Resource"]) or listed(statement["Action"]) == NO_RESOURCE

    def test_the_audits_role_has_awss_own_policy_and_no_other(self) -> None:
        properties = FULL["AuditRole"].properties

        assert properties["ManagedPolicyArns"] == ["arn:aws:iam::aws:policy/service-role/AWSIoTDeviceDefenderAudit"]
        assert "Policies" not in properties
        assert not [name for name in ROLES if name != "AuditRole" and "ManagedPolicyArns" in FULL[name].properties]

    def test_the_logging_role_reaches_our_group_and_that_of_aws_iot(self) -> None:
        """A role without AWSIotLogsV2 loses, silently, every event that has no destination of its own."""
        group = FULL["IotLogs"].made.attributes["Arn"]
        reached = {
            resource
            for each in statements_of(FULL["LoggingRole"].properties)
            for resource in listed(each.get("Resource", []))
        }

        logs = "arn:aws:logs:eu-central-1:123456789012:log-group:AWSIotLogsV2"
        assert reached == {group, logs, f"{logs}:*"}

    def test_access_analyzer_alone_takes_the_role_that_reads_the_trail(self) -> None:
        [statement] = FULL["PolicyGenerationRole"].properties["AssumeRolePolicyDocument"]["Statement"]

        service = {"Service": "access-analyzer.amazonaws.com"}
        assert statement == {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}

    def test_it_reads_this_account_s_files_of_our_trail(self) -> None:
        bucket = FULL["TrailBucket"].made.attributes["Arn"]

        assert rights_of_generation(FULL) == {
            "cloudtrail:GetTrail": FULL["Trail"].made.attributes["Arn"],
            "s3:ListBucket": bucket,
            "s3:GetObject": f"{bucket}/AWSLogs/123456789012/*",
            "iam:GenerateServiceLastAccessedDetails": "arn:aws:iam::123456789012:role/*",
            "iam:GetServiceLastAccessedDetails": "*",
            "kms:Decrypt": FULL["Key"].made.attributes["Arn"],
        }

    @pytest.mark.parametrize("key", ["", OTHER_KEY])
    def test_it_reads_this_account_s_files_of_an_existing_trail(self, key: str) -> None:
        trail = {
            "ExistingTrailArn": "arn:aws:cloudtrail:us-east-1:999999999999:trail/organization",
            "ExistingTrailBucket": "their-logs",
            "ExistingTrailKeyArn": key,
        }

        rights = rights_of_generation(deployed(PolicyGenerationMode="create", TrailMode="adopt", **trail))

        assert rights["cloudtrail:GetTrail"] == trail["ExistingTrailArn"]
        assert rights["s3:ListBucket"] == "arn:aws:s3:::their-logs"
        files = rights["s3:GetObject"]
        assert fnmatchcase("arn:aws:s3:::their-logs/p/AWSLogs/o-1/123456789012/CloudTrail/a.gz", files)
        assert fnmatchcase("arn:aws:s3:::their-logs/AWSLogs/123456789012/CloudTrail/a.gz", files)
        assert not fnmatchcase("arn:aws:s3:::their-logs/AWSLogs/o-1/999999999999/CloudTrail/a.gz", files)
        assert rights.get("kms:Decrypt", "") == key

    def test_the_key_of_our_trail_is_ours_though_another_one_is_named(self) -> None:
        made = deployed(PolicyGenerationMode="create", TrailMode="create", ExistingTrailKeyArn=OTHER_KEY)

        assert rights_of_generation(made)["kms:Decrypt"] == made["Key"].made.attributes["Arn"]

    def test_the_alert_role_publishes_on_the_topic_and_uses_its_key(self) -> None:
        needed = {
            action: each["Resource"]
            for each in statements_of(FULL["AlertRole"].properties["Policies"])
            for action in listed(each["Action"])
        }

        key = FULL["Key"].made.attributes["Arn"]
        assert needed == {"sns:Publish": FULL["AlertTopic"].made.ref, "kms:Decrypt": key, "kms:GenerateDataKey": key}

    def test_only_device_defenders_role_publishes_and_only_by_https(self) -> None:
        role = FULL["AlertRole"].made.attributes["Arn"]
        allow, others, clear = FULL["AlertTopicPolicy"].properties["PolicyDocument"]["Statement"]

        assert (allow["Effect"], allow["Principal"], allow["Action"]) == ("Allow", {"AWS": role}, "sns:Publish")
        for deny in (others, clear):
            assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sns:Publish")
        assert others["Condition"] == {"ArnNotEquals": {"aws:PrincipalArn": role}}
        assert clear["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}

    def test_no_service_but_the_logs_is_let_in_without_its_account_and_its_source(self) -> None:
        let_in = [
            each
            for resource in FULL.values()
            for each in statements_of(resource.properties)
            if "Service" in (each.get("Principal") or {}) and each["Effect"] == "Allow"
        ]

        assert len(let_in) > 5
        assert [each["Principal"]["Service"] for each in let_in if "Condition" not in each] == NO_SOURCE
        for each in (each for each in let_in if "Condition" in each):
            condition = {key for keys in each["Condition"].values() for key in keys}
            if each["Principal"]["Service"].startswith("logs."):
                assert condition == {"kms:EncryptionContext:aws:logs:arn"}
            else:
                assert {"aws:SourceAccount", "aws:SourceArn"} <= condition

    def test_the_logs_use_the_key_for_our_group_alone(self) -> None:
        [statement] = [each for each in statements_of(FULL["Key"].properties) if each["Sid"] == "OurLogGroup"]
        pattern = statement["Condition"]["ArnLike"]["kms:EncryptionContext:aws:logs:arn"]

        assert pattern.endswith(":log-group:baseline-*")
        assert FULL["IotLogs"].made.ref.startswith("baseline-")

    def test_nobody_is_let_in_by_a_star(self) -> None:
        for resource in FULL.values():
            for statement in statements_of(resource.properties):
                assert statement.get("Principal") != "*" or statement["Effect"] == "Deny"

    def test_every_star_says_on_its_line_why_there_is_no_other_resource(self) -> None:
        stars = [
            line for line in TEXT.splitlines() if re.search(r"Resource:.*\"\*\"|Action: [a-z0-9]+:[A-Za-z]*\*", line)
        ]
        unsaid = [line.strip() for line in stars if not re.search(r"\* # \w.{10,}|\"\*\" # \w.{10,}", line)]

        assert len(stars) > 4
        assert unsaid == ["Action: kms:*", "Action: s3:*"], "the account's own access to its key; a denial"


class TestEncryption:
    KEY = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"

    def test_a_key_of_yours_is_used_for_everything_and_none_is_made(self) -> None:
        resources = deployed(**EVERYTHING, KmsKeyArn=self.KEY)

        assert "Key" not in resources
        names = ("KmsMasterKeyId", "KMSMasterKeyID", "KmsKeyId", "KMSKeyId")
        used = {value for each in resources.values() for key, value in keys_of(each.properties) if key in names}
        assert used == {self.KEY}

    def test_no_key_is_made_that_nothing_uses(self) -> None:
        assert "Key" not in deployed(LoggingMode="off", AlertsMode="off")

    def test_the_key_is_rotated(self) -> None:
        assert RESOURCES["Key"]["Properties"]["EnableKeyRotation"] is True


def test_the_readme_has_every_parameter_in_order_with_its_default() -> None:
    readme = (ROOT / "baseline" / "README.md").read_text()
    section = readme.partition("## Parameters\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| `(\w+)` \| (?:`([^`]*)`|empty) \|", section)

    declared = {name: str(each["Default"]) for name, each in TEMPLATE["Parameters"].items()}
    assert rows == list(declared.items())
