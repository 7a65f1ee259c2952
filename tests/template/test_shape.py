"""The deployment is complete: every function is there, nothing waits unwatched, and stored data is protected."""

from __future__ import annotations

import importlib
from datetime import timedelta
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.fakes import VISIBILITY
from tests.template.alarms import told
from tests.template.transformed import (
    TEMPLATE,
    deployed,
    listed,
    logical_functions,
    reference,
    resources,
    written,
)
from warden.settings import Settings
from warden.survey.liveness import LINES

QUEUES = resources("AWS::SQS::Queue")
FUNCTIONS = resources("AWS::Lambda::Function")
LAST_QUEUES = {"Parked", "ParkedCases"}
"""The last queues: people look at these, so only an alarm is behind them."""


def reached_from(function: str, fed: set[tuple[str, str]]) -> set[str]:
    """Return the functions that a function may run by what it writes on their queues, over others as well."""
    found: set[str] = set()
    waiting = [function]
    while waiting:
        role = reference(FUNCTIONS[waiting.pop()]["Role"])
        sent_to = {
            reference(resource)
            for policy in resources("AWS::IAM::Role")[role]["Policies"]
            for statement in policy["PolicyDocument"]["Statement"]
            if "sqs:SendMessage" in listed(statement.get("Action", ""))
            for resource in listed(statement["Resource"])
        }
        further = {fed_by for queue, fed_by in fed if queue in sent_to} - found
        found |= further
        waiting += further
    return found


def names(kind: str) -> list[str]:
    found = list(resources(kind))
    assert found, kind
    return found


class TestFunctions:
    def test_every_folder_is_deployed_and_every_deployed_folder_is_there(self) -> None:
        folders = {path.parent.name for path in (ROOT / "functions").glob("*/app.py")}

        assert {properties["CodeUri"] for properties in logical_functions().values()} == {
            f"functions/{folder}" for folder in folders
        }

    @pytest.mark.parametrize("logical", logical_functions())
    def test_its_handler_can_be_imported(self, logical: str) -> None:
        folder = logical_functions()[logical]["CodeUri"].replace("/", ".")

        assert callable(importlib.import_module(f"{folder}.app").lambda_handler)
        assert FUNCTIONS[logical]["Handler"] == "app.lambda_handler"

    @pytest.mark.parametrize("logical", logical_functions())
    def test_it_is_one_file_that_imports_no_sibling(self, logical: str) -> None:
        folder = ROOT / logical_functions()[logical]["CodeUri"]

        assert [path.name for path in folder.iterdir() if path.name != "__pycache__"] == ["app.py"]

    @pytest.mark.parametrize("logical", logical_functions())
    def test_it_has_a_role_and_a_log_group_of_its_own(self, logical: str) -> None:
        role = reference(FUNCTIONS[logical]["Role"])
        logs = reference(FUNCTIONS[logical]["LoggingConfig"]["LogGroup"])

        others = [properties for name, properties in FUNCTIONS.items() if name != logical]
        assert role in resources("AWS::IAM::Role")
        assert role not in [reference(properties["Role"]) for properties in others]
        assert logs not in [reference(properties["LoggingConfig"]["LogGroup"]) for properties in others]

    @pytest.mark.parametrize("logical", logical_functions())
    def test_it_is_of_the_runtime_that_we_test_on_and_has_its_layers(self, logical: str) -> None:
        properties = FUNCTIONS[logical]

        version = (ROOT / ".python-version").read_text().strip()
        assert version.startswith(properties["Runtime"].removeprefix("python"))
        # The templates of pages are for the one function that writes a page.
        assert len(properties["Layers"]) == (3 if logical == "SurveyAccountFunction" else 2)
        assert properties["TracingConfig"] == {"Mode": "Active"}
        assert reference(properties["KmsKeyArn"]) == "Key"

    def test_every_variable_that_it_is_given_is_one_that_settings_reads(self) -> None:
        source = (ROOT / "layers/warden/warden/settings.py").read_text()
        given = FUNCTIONS["RespondFunction"]["Environment"]["Variables"]

        assert [name for name in given if name.startswith("WARDEN_") and f'"{name}"' not in source] == []

    def test_the_mode_is_observe_unless_somebody_says_otherwise(self) -> None:
        assert written()["Parameters"]["Mode"]["Default"] == "observe"
        assert Settings.__dataclass_fields__["mode"].default == "observe"

    def test_findings_are_verified_and_devices_disconnected_unless_somebody_says_otherwise(self) -> None:
        parameters = written()["Parameters"]

        assert parameters["VerifyFindings"]["Default"] == "true"
        assert parameters["DisconnectDevices"]["Default"] == "true"

    def test_only_a_function_that_may_feed_itself_for_long_is_exempt_from_lambdas_recursion_stop(self) -> None:
        """Lambda stops the 17th run of a chain over SQS, SNS or S3 (developer guide, invocation-recursion).

        Passing a finding about a certificate on to its things is one step: no chain of `respond` is longer.
        """
        fed = {
            (reference(each["EventSourceArn"]), reference(each["FunctionName"]))
            for each in resources("AWS::Lambda::EventSourceMapping").values()
        }
        in_circles = {function for function in FUNCTIONS if function in reached_from(function, fed)}

        assert in_circles == {"IngestFunction", "SweepCertificatesFunction", "RespondFunction"}
        exempt = {name for name, each in FUNCTIONS.items() if each.get("RecursiveLoop") == "Allow"}
        assert exempt == in_circles - {"RespondFunction"}


class TestNothingIsLost:
    @pytest.mark.parametrize("queue", QUEUES)
    def test_a_queue_hands_what_fails_to_one_that_an_alarm_watches(self, queue: str) -> None:
        last = queue
        if queue not in LAST_QUEUES:
            policy = QUEUES[queue]["RedrivePolicy"]
            last = reference(policy["deadLetterTargetArn"])
            assert 1 < policy["maxReceiveCount"] <= 10
            assert QUEUES[last].get("FifoQueue") == QUEUES[queue].get("FifoQueue")

        assert last in LAST_QUEUES
        assert last in watched_queues()

    @pytest.mark.parametrize("queue", QUEUES)
    def test_a_queue_is_encrypted_with_our_key(self, queue: str) -> None:
        assert reference(QUEUES[queue]["KmsMasterKeyId"]) == "Key"

    def test_the_last_queues_keep_for_as_long_as_queues_can(self) -> None:
        assert {QUEUES[queue]["MessageRetentionPeriod"] for queue in LAST_QUEUES} == {14 * 24 * 3600}

    @pytest.mark.parametrize("mapping", resources("AWS::Lambda::EventSourceMapping"))
    def test_a_batch_is_taken_in_parts_by_a_bounded_number_of_functions(self, mapping: str) -> None:
        properties = resources("AWS::Lambda::EventSourceMapping")[mapping]

        assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert properties["ScalingConfig"]["MaximumConcurrency"] >= 2
        function = FUNCTIONS[reference(properties["FunctionName"])]
        queue = QUEUES[reference(properties["EventSourceArn"])]
        assert queue["VisibilityTimeout"] == 6 * function["Timeout"]

    def test_the_tests_wait_as_long_for_a_failed_message_as_its_queue_does(self) -> None:
        """Queues with a time-out of zero would hide what happens between two deliveries."""
        deployed_as = {
            name: timedelta(seconds=each["VisibilityTimeout"]) for name, each in QUEUES.items() if name in VISIBILITY
        }

        assert deployed_as == VISIBILITY
        fed = {reference(each["EventSourceArn"]) for each in resources("AWS::Lambda::EventSourceMapping").values()}
        assert fed == {*VISIBILITY}

    def test_a_function_that_no_queue_feeds_says_where_its_failures_go(self) -> None:
        mappings = resources("AWS::Lambda::EventSourceMapping").values()
        invoked = {reference(each["FunctionName"]) for each in resources("AWS::Lambda::Permission").values()}
        fed = {reference(mapping["FunctionName"]) for mapping in mappings} - invoked
        answered = {reference(url["TargetFunctionArn"]) for url in resources("AWS::Lambda::Url").values()}
        kept = {
            reference(config["FunctionName"]): reference(config["DestinationConfig"]["OnFailure"]["Destination"])
            for config in resources("AWS::Lambda::EventInvokeConfig").values()
        }

        assert set(kept) == set(FUNCTIONS) - fed - answered
        assert set(kept.values()) <= LAST_QUEUES

    @pytest.mark.parametrize("rule", resources("AWS::Events::Rule"))
    def test_what_a_rule_cannot_deliver_is_parked(self, rule: str) -> None:
        targets = resources("AWS::Events::Rule")[rule]["Targets"]

        assert {reference(target["DeadLetterConfig"]["Arn"]) for target in targets} == {"Parked"}

    @pytest.mark.parametrize("subscription", resources("AWS::SNS::Subscription"))
    def test_what_a_topic_cannot_deliver_to_a_queue_is_parked(self, subscription: str) -> None:
        properties = resources("AWS::SNS::Subscription")[subscription]

        if properties["Protocol"] == "email":  # SNS takes no queue for mail; the case is on record without it
            assert "RedrivePolicy" not in properties
        else:
            assert reference(properties["RedrivePolicy"]["deadLetterTargetArn"]) == "Parked"

    @pytest.mark.parametrize("rule", resources("AWS::IoT::TopicRule"))
    def test_what_an_iot_rule_cannot_deliver_is_parked(self, rule: str) -> None:
        payload = resources("AWS::IoT::TopicRule")[rule]["TopicRulePayload"]

        assert reference(payload["ErrorAction"]["Sqs"]["QueueUrl"]) == "Parked"

    def test_what_a_device_sends_stays_apart_from_what_aws_iot_says(self) -> None:
        sql = resources("AWS::IoT::TopicRule")["DeviceRequestRule"]["TopicRulePayload"]["Sql"]

        assert "encode(*, 'base64') AS payload" in sql
        assert "SELECT *" not in sql

    @pytest.mark.parametrize("alarm", resources("AWS::CloudWatch::Alarm"))
    def test_an_alarm_tells_people(self, alarm: str) -> None:
        properties = resources("AWS::CloudWatch::Alarm")[alarm]

        [actions] = [properties[each] for each in ("AlarmActions", "InsufficientDataActions") if each in properties]
        assert [reference(action) for action in actions] == ["NoticesTopic"]
        assert properties["AlarmDescription"]

    def test_the_alarms_on_the_survey_watch_what_it_counts(self) -> None:
        alarms = [each for each in resources("AWS::CloudWatch::Alarm").values() if each["Namespace"] == "FleetWarden"]
        dimensions = {alarm["MetricName"]: [each["Name"] for each in alarm["Dimensions"]] for alarm in alarms}

        source = (ROOT / "functions/survey_account/app.py").read_text()
        assert dimensions == {
            "LivenessWrong": ["service", "stack"],
            "LineWrong": ["service", "stack", "line"],
            "LivenessNotKnown": ["service", "stack"],
            "SurveyFailures": ["service", "stack"],
        }
        assert all(f'"{name}"' in source for name in dimensions)
        assert all(f'add_dimension("{name}"' in source for name in ("stack", "line"))

    def test_every_line_of_liveness_has_an_alarm_that_says_what_to_do_and_no_other_has(self) -> None:
        alarms = [each for each in resources("AWS::CloudWatch::Alarm").values() if each["MetricName"] == "LineWrong"]
        told = [(alarm["Dimensions"][-1]["Value"], alarm["AlarmDescription"]) for alarm in alarms]

        assert told == [
            (
                line.key,
                f"Line {line.key} of the survey is wrong (what was found: warden baseline). "
                f"It should be so: {line.title}. To do: {line.fix}",
            )
            for line in LINES
        ]
        assert all(len(description) <= 1024 for _, description in told)  # what CloudWatch takes

    @pytest.mark.parametrize("line", [each.key for each in LINES])
    def test_a_line_that_is_wrong_stays_an_alarm_of_its_name_until_a_survey_says_otherwise(self, line: str) -> None:
        names = {f"Liveness{line.replace('-', '')}Alarm".lower()}
        [alarm] = [each for name, each in resources("AWS::CloudWatch::Alarm").items() if name.lower() in names]

        assert (alarm["MetricName"], alarm["Dimensions"][-1]["Value"]) == ("LineWrong", line)
        assert (alarm["Statistic"], alarm["Threshold"], alarm["EvaluationPeriods"]) == ("Maximum", 0, 1)
        assert alarm["TreatMissingData"] == "ignore"

    def test_what_two_daily_surveys_cannot_judge_is_an_alarm(self) -> None:
        alarm = resources("AWS::CloudWatch::Alarm")["LivenessNotKnownAlarm"]

        assert alarm["Period"] * alarm["EvaluationPeriods"] == 2 * 86400 <= 7 * 86400
        assert (alarm["Statistic"], alarm["Threshold"], alarm["TreatMissingData"]) == ("Maximum", 0, "ignore")

    def test_two_failing_runs_of_the_survey_are_an_alarm_however_few_are_parked(self) -> None:
        alarm = resources("AWS::CloudWatch::Alarm")["SurveyFailingAlarm"]
        rule = resources("AWS::Events::Rule")["SurveyAccountFunctionWhenDue"]

        assert rule["ScheduleExpression"] == f"rate({alarm['Period'] // 60} minutes)"
        assert (alarm["DatapointsToAlarm"], alarm["EvaluationPeriods"], alarm["Threshold"]) == (2, 3, 0)
        assert (alarm["Statistic"], alarm["TreatMissingData"]) == ("Maximum", "notBreaching")

    def test_no_survey_for_26_hours_is_an_alarm_within_what_cloudwatch_evaluates(self) -> None:
        alarm = resources("AWS::CloudWatch::Alarm")["SurveyMissingAlarm"]

        assert alarm["Period"] * alarm["EvaluationPeriods"] == 26 * 3600 <= 7 * 86400
        assert alarm["DatapointsToAlarm"] == alarm["EvaluationPeriods"]
        assert alarm["Statistic"] == "SampleCount"

    def test_the_alarm_of_a_missing_survey_is_silent_until_one_is_missing(self) -> None:
        """Also at the deployment, when there was none yet, and while there is one a day."""
        alarm = resources("AWS::CloudWatch::Alarm")["SurveyMissingAlarm"]
        surveyed = {24 * day for day in range(5)}

        [(hour, state)] = told(alarm, surveyed, until=max(surveyed) + 72)
        assert state == "INSUFFICIENT_DATA"
        assert 26 < hour - max(surveyed) <= 27

    def test_the_survey_asks_about_every_schedule_but_its_own(self) -> None:
        scheduled = {name for name, each in resources("AWS::Events::Rule").items() if "ScheduleExpression" in each} - {
            "SurveyAccountFunctionWhenDue"
        }
        asked = FUNCTIONS["SurveyAccountFunction"]["Environment"]["Variables"]["WARDEN_SCHEDULES"]["Fn::Sub"]

        assert {name.strip("${}") for name in asked.split(",")} == scheduled
        assert len(scheduled) == 4

    def test_the_custom_resource_does_not_hold_a_stack_for_an_hour(self) -> None:
        for properties in resources("Custom::Account").values():
            assert int(properties["ServiceTimeout"]) <= 120
            assert FUNCTIONS["SetUpAccountFunction"]["Timeout"] < int(properties["ServiceTimeout"])


class TestWhatIsKept:
    @pytest.mark.parametrize("group", names("AWS::Logs::LogGroup"))
    def test_logs_expire_and_are_encrypted(self, group: str) -> None:
        properties = resources("AWS::Logs::LogGroup")[group]

        assert reference(properties["RetentionInDays"]) == "LogRetentionDays"
        assert reference(properties["KmsKeyId"]) == "Key"

    def test_the_ledger_can_be_put_back_expires_and_is_encrypted(self) -> None:
        ledger = resources("AWS::DynamoDB::Table")["Ledger"]

        assert ledger["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
        assert ledger["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
        assert ledger["SSESpecification"]["SSEEnabled"] is True
        assert reference(ledger["SSESpecification"]["KMSMasterKeyId"]) == "Key"

    def test_the_evidence_is_private_versioned_encrypted_and_expires(self) -> None:
        bucket = resources("AWS::S3::Bucket")["EvidenceBucket"]

        assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
        assert len(bucket["PublicAccessBlockConfiguration"]) == 4
        assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}
        [rule] = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
        assert rule["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "aws:kms"
        assert reference(rule["ServerSideEncryptionByDefault"]["KMSMasterKeyID"]) == "Key"
        assert bucket["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
        expiring = [rule for rule in bucket["LifecycleConfiguration"]["Rules"] if "ExpirationInDays" in rule]
        assert {rule["Prefix"]: rule["Status"] for rule in expiring} == {"cases/": "Enabled", "reports/": "Enabled"}
        assert all("NoncurrentVersionExpiration" in rule for rule in expiring)

    @pytest.mark.parametrize("topic", names("AWS::SNS::Topic"))
    def test_topics_are_encrypted_with_our_key(self, topic: str) -> None:
        assert reference(resources("AWS::SNS::Topic")[topic]["KmsMasterKeyId"]) == "Key"

    def test_the_key_is_rotated(self) -> None:
        assert resources("AWS::KMS::Key")["Key"]["EnableKeyRotation"] is True

    @pytest.mark.parametrize("logical", ["Key", "Ledger", "EvidenceBucket"])
    def test_what_must_outlive_the_stack_does(self, logical: str) -> None:
        resource: dict[str, Any] = deployed()["Resources"][logical]

        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")

    def test_the_template_names_no_account_and_no_region(self) -> None:
        text = TEMPLATE.read_text()

        assert "arn:aws:" not in text
        assert "us-east-1" not in text


def watched_queues() -> set[str]:
    """List the queues that an alarm watches from the first message on."""
    found = set()
    for alarm in resources("AWS::CloudWatch::Alarm").values():
        if (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0):
            found.add(reference(alarm["Dimensions"][0]["Value"]))
    return found
