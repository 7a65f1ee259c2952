"""The adapters that no fake stands in for call by call: sessions, evidence, messages, and the account's settings."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from moto.iot.models import iot_backends

from tests.aws.backends import PREFIX, MotoGround
from tests.aws.conftest import REGION, Stubbed, a_client
from tests.aws_stand_in.rules import ACCOUNT, upload_status
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import SETTINGS, FakeNotices, World, a_finding, a_world
from warden import bootstrap
from warden.aws.account import IotAccountSettings
from warden.aws.evidence import S3Evidence
from warden.aws.messaging import AwsSecurityHub, EventBridgeAnnouncements, SnsNotices, SqsCaseQueue
from warden.core.errors import NotSent
from warden.core.ports import Disconnection, JobOrder, Notices, QueueEntry
from warden.notify.asff import finding_of

AN_ORDER = JobOrder(
    id="warden-1",
    things=("pump-3",),
    document={},
    work_timeout=timedelta(minutes=15),
    ends_at=datetime(2026, 11, 23, 14, 7, 1, tzinfo=UTC),
)

BODY = b"2026-11-22T11:59:58Z 7340032 bytes out\n"


class TestConnections:
    @pytest.mark.parametrize("forget", [False, True])
    def test_a_connection_is_closed_and_its_session_kept_or_forgotten(
        self, strict: StrictAws, stand_in: MotoGround, *, forget: bool
    ) -> None:
        stand_in.connect("plant1:pump-3")

        assert stand_in.connections.disconnect("plant1:pump-3", forget=forget) is Disconnection.DISCONNECTED
        assert stand_in.connections.disconnect("plant1:pump-3", forget=forget) is Disconnection.NOT_CONNECTED
        asked = {"clientId": "plant1:pump-3", "cleanSession": forget, "preventWillMessage": forget}
        assert strict.made("DeleteConnection") == [asked] * 2

    @pytest.mark.parametrize(
        ("code", "became"),
        [
            ("InvalidRequestException", Disconnection.INVALID_REQUEST),
            ("ForbiddenException", Disconnection.FORBIDDEN),
            ("MethodNotAllowedException", Disconnection.NO_SUCH_METHOD),
            ("UnsupportedOperationException", Disconnection.UNSUPPORTED),
        ],
    )
    def test_where_it_cannot_be_done_it_says_so_and_the_case_goes_on(
        self, strict: StrictAws, stand_in: MotoGround, code: str, became: Disconnection
    ) -> None:
        strict.refuse("DeleteConnection", code)

        assert stand_in.connections.disconnect("pump-3") is became

    @pytest.mark.parametrize("code", ["ThrottlingException", "InternalFailureException"])
    def test_what_may_go_better_next_time_rises(self, strict: StrictAws, stand_in: MotoGround, code: str) -> None:
        strict.refuse("DeleteConnection", code)

        with pytest.raises(ClientError, match=code):
            stand_in.connections.disconnect("pump-3")


def test_a_run_is_queued_for_later_where_that_is_asked_for(strict: StrictAws, stand_in: MotoGround) -> None:
    for seconds in (0, 30):
        stand_in.renewal_queue.send_run("run-1", after_seconds=seconds)

    assert [asked["DelaySeconds"] for asked in strict.made("SendMessage")] == [0, 30]


@pytest.mark.usefixtures("aws")
class TestEvidence:
    @pytest.fixture
    def bucket(self) -> tuple[S3Evidence, Any]:
        client: Any = boto3.client("s3", region_name=REGION, config=Config(signature_version="s3v4"))
        client.create_bucket(Bucket="evidence")
        return S3Evidence(client, "evidence"), client

    def test_a_form_fits_these_bytes_and_this_key_only(self, bucket: tuple[S3Evidence, Any]) -> None:
        evidence, _ = bucket
        digest = sha256(BODY)

        form = evidence.upload_form("cases/c-1/j-1/00", len(BODY), digest.hexdigest(), timedelta(minutes=5))

        checksum = base64.b64encode(digest.digest()).decode()
        policy = json.loads(base64.b64decode(form.fields["policy"]))
        assert form.fields["key"] == "cases/c-1/j-1/00"
        assert form.fields["x-amz-checksum-sha256"] == checksum
        assert form.fields["x-amz-algorithm"] == "AWS4-HMAC-SHA256"  # a KMS bucket takes no older signature
        assert {"key": "cases/c-1/j-1/00"} in policy["conditions"]
        assert {"bucket": "evidence"} in policy["conditions"]
        assert ["content-length-range", len(BODY), len(BODY)] in policy["conditions"]
        assert {"x-amz-checksum-sha256": checksum} in policy["conditions"]
        assert {"Content-Disposition": "attachment"} in policy["conditions"]
        assert {"Content-Type": "application/octet-stream"} in policy["conditions"]

    @pytest.mark.parametrize("region", ["us-east-1", "eu-central-1", "eu-south-2"])
    def test_a_form_is_for_a_host_that_takes_it_while_the_bucket_is_young(self, region: str) -> None:
        ports = bootstrap._ports(replace(SETTINGS, region=region))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_DEFAULT_REGION", region)
            form = ports.evidence.upload_form("cases/k", 1, "0" * 64, timedelta(minutes=5))

        host = urlsplit(form.url).netloc
        assert upload_status(host, SETTINGS.evidence_bucket, region, is_young=True) == 204

    @pytest.mark.parametrize(("region", "status"), [("us-east-1", 204), ("eu-central-1", 307), ("eu-south-2", 400)])
    def test_the_global_host_takes_it_in_its_own_region_alone(self, region: str, status: int) -> None:
        assert upload_status("evidence.s3.amazonaws.com", "evidence", region, is_young=True) == status

    def test_a_form_of_a_local_aws_is_for_that_host(self) -> None:
        ports = bootstrap._ports(replace(SETTINGS, on_local_aws=True))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AWS_ENDPOINT_URL", "http://localhost:4566")
            form = ports.evidence.upload_form("cases/k", 1, "0" * 64, timedelta(minutes=5))

        assert form.url == f"http://localhost:4566/{SETTINGS.evidence_bucket}"

    def test_every_field_of_a_form_is_bound_by_its_policy(self, bucket: tuple[S3Evidence, Any]) -> None:
        form = bucket[0].upload_form("cases/k", 1, "0" * 64, timedelta(minutes=5))

        conditions = json.loads(base64.b64decode(form.fields["policy"]))["conditions"]
        bound = {name for condition in conditions if isinstance(condition, dict) for name in condition}
        assert set(form.fields) - {"policy", "x-amz-signature"} <= bound

    def test_what_is_there_is_digested_through_every_chunk(self, bucket: tuple[S3Evidence, Any]) -> None:
        evidence, client = bucket
        large = BODY * 60_000  # more than two chunks
        client.put_object(Bucket="evidence", Key="cases/large", Body=large)

        there = evidence.uploaded("cases/large")

        assert there is not None
        assert (there.bytes, there.sha256) == (len(large), sha256(large).hexdigest())

    def test_nothing_there_is_none(self, bucket: tuple[S3Evidence, Any]) -> None:
        assert bucket[0].uploaded("cases/never") is None

    def test_a_denial_is_not_an_absence(self, strict: StrictAws, bucket: tuple[S3Evidence, Any]) -> None:
        strict.refuse("GetObject", "AccessDenied")

        with pytest.raises(ClientError, match="AccessDenied"):
            bucket[0].uploaded("cases/x")


@pytest.mark.usefixtures("aws")
class TestCaseQueue:
    def test_a_message_goes_behind_its_group_once(self) -> None:
        client = boto3.client("sqs", region_name=REGION)
        url = client.create_queue(QueueName="cases.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        queue = SqsCaseQueue(client, url)

        for _ in range(2):
            queue.put_all([QueueEntry({"schema": 1, "text": "ü"}, group="g" * 64, once="o" * 64)])
        answer = client.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["MessageGroupId"]
        )

        [message] = answer["Messages"]
        assert json.loads(message["Body"]) == {"schema": 1, "text": "ü"}
        assert message["Attributes"]["MessageGroupId"] == "g" * 64

    def test_many_messages_go_in_calls_of_ten(self) -> None:
        client = boto3.client("sqs", region_name=REGION)
        url = client.create_queue(QueueName="many.fifo", Attributes={"FifoQueue": "true"})["QueueUrl"]
        entries = [QueueEntry({"number": number}, group=f"g{number}", once=f"o{number}") for number in range(23)]

        SqsCaseQueue(client, url).put_all(entries)

        found: list[int] = []
        while messages := client.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            found += [json.loads(message["Body"])["number"] for message in messages]
        assert sorted(found) == list(range(23))


class TestNotices:
    @pytest.fixture(params=["moto", "fakes"])
    def notices(self, request: pytest.FixtureRequest) -> Notices:
        if request.param == "fakes":
            return FakeNotices()
        request.getfixturevalue("aws")
        client = boto3.client("sns", region_name=REGION)
        return SnsNotices(client, client.create_topic(Name="notices")["TopicArn"])

    def test_a_notice_is_sent(self, notices: Notices) -> None:
        notices.send("pump-3 is contained", "What happened:\n…")

    @pytest.mark.parametrize("subject", ["", "two\nlines", "ü", "x" * 100, "a\x1b[31m"])
    def test_a_subject_that_sns_would_not_take_is_refused(self, notices: Notices, subject: str) -> None:
        with pytest.raises(Exception, match=r"Subject|did not accept"):
            notices.send(subject, "body")

    @pytest.mark.usefixtures("aws")
    def test_it_goes_to_the_topic_word_for_word(self, strict: StrictAws) -> None:
        client = boto3.client("sns", region_name=REGION)
        topic = client.create_topic(Name="notices")["TopicArn"]

        SnsNotices(client, topic).send("subject", "body")

        assert strict.made("Publish") == [{"TopicArn": topic, "Subject": "subject", "Message": "body"}]


class TestAnnouncements:
    @pytest.mark.usefixtures("aws")
    def test_a_case_goes_to_the_default_bus_under_our_own_name(self, strict: StrictAws) -> None:
        EventBridgeAnnouncements(boto3.client("events", region_name=REGION), "fleet-warden").publish({"id": "c-1:2"})

        [asked] = strict.made("PutEvents")
        [entry] = asked["Entries"]
        assert (entry["Source"], entry["DetailType"]) == ("fleet-warden", "Fleet Warden Case")
        assert json.loads(entry["Detail"]) == {"id": "c-1:2"}

    def test_what_eventbridge_does_not_take_was_not_sent(self, stubbed: Stubbed) -> None:
        client, stubber = stubbed("events")
        stubber.add_response("put_events", {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]})

        with pytest.raises(NotSent, match="c-1:2"):
            EventBridgeAnnouncements(client, "fleet-warden").publish({"id": "c-1:2"})

    def test_nor_was_what_it_refuses(self, strict: StrictAws, stand_in: MotoGround) -> None:
        strict.refuse("PutEvents", "ThrottlingException")

        with pytest.raises(NotSent, match="c-1:2"):
            stand_in.announcements.publish({"id": "c-1:2"})


class TestReports:
    def test_a_page_that_s3_does_not_take_was_not_sent(self, strict: StrictAws, stand_in: MotoGround) -> None:
        strict.refuse("PutObject", "AccessDenied")

        with pytest.raises(NotSent, match=r"latest\.json.*AccessDenied"):
            stand_in.reports.keep_page("reports/baseline/latest.json", "{}", "application/json")


class TestSecurityHub:
    @pytest.fixture
    def finding(self) -> dict[str, Any]:
        return finding_of(a_world_with_a_case().case, SETTINGS, datetime(2026, 11, 22, tzinfo=UTC))

    def test_a_case_is_imported_as_a_finding(
        self, strict: StrictAws, stand_in: MotoGround, finding: dict[str, Any]
    ) -> None:
        stand_in.security_hub.put(finding)

        assert strict.made("BatchImportFindings") == [{"Findings": [finding]}]

    def test_what_security_hub_does_not_take_was_not_sent(self, stubbed: Stubbed, finding: dict[str, Any]) -> None:
        client, stubber = stubbed("securityhub")
        failed = [{"Id": finding["Id"], "ErrorCode": "InvalidInput", "ErrorMessage": "no such product"}]
        stubber.add_response("batch_import_findings", {"FailedCount": 1, "SuccessCount": 0, "FailedFindings": failed})

        with pytest.raises(NotSent, match=r"Security Hub did not accept .*no such product"):
            AwsSecurityHub(client).put(finding)

    def test_nor_was_what_it_refuses(self, strict: StrictAws, stand_in: MotoGround, finding: dict[str, Any]) -> None:
        strict.refuse("BatchImportFindings", "InvalidAccessException")

        with pytest.raises(NotSent, match="Security Hub did not accept"):
            stand_in.security_hub.put(finding)


def a_world_with_a_case() -> World:
    world = a_world()
    world.report(a_finding())
    return world


class TestReplies:
    def test_json_is_published_with_qos_1(self, strict: StrictAws, stand_in: MotoGround) -> None:
        topic = "warden/pump-3/logs/create/accepted"

        stand_in.replies.publish(topic, {"clientToken": "t"})

        assert strict.made("Publish") == [{"topic": topic, "qos": 1, "payload": b'{"clientToken": "t"}'}]


class TestJobs:
    ASKED: Mapping[str, Any] = MappingProxyType(
        {
            "jobId": "warden-1",
            "targetSelection": "SNAPSHOT",
            "timeoutConfig": {"inProgressTimeoutInMinutes": 15},
            "schedulingConfig": {"endTime": "2026-11-23T14:08", "endBehavior": "FORCE_CANCEL"},
        }
    )

    def test_a_job_is_one_snapshot_with_a_timeout_and_an_end(self, strict: StrictAws, stand_in: MotoGround) -> None:
        stand_in.thing("plant1:pump-3")

        stand_in.jobs.start(replace(AN_ORDER, things=("plant1:pump-3",), document={"version": "1.0"}))

        own = {"targets": [f"{PREFIX}thing/plant1:pump-3"], "document": '{"version": "1.0"}'}
        assert strict.made("CreateJob") == [{**self.ASKED, **own}]

    def test_an_execution_is_read_with_what_the_device_said(self, stand_in: MotoGround) -> None:
        stand_in.thing("pump-3")
        stand_in.jobs.start(AN_ORDER)
        execution = iot_backends[ACCOUNT][REGION].job_executions["warden-1", "pump-3"]
        execution.status, execution.status_details_map = "FAILED", {"reason": "no space"}

        found = stand_in.jobs.execution("warden-1", "pump-3")

        assert found is not None
        assert (found.status, found.is_over, dict(found.details)) == ("FAILED", True, {"reason": "no space"})

    @pytest.mark.parametrize(
        "code", ["InvalidRequestException", "ResourceNotFoundException", "InvalidStateTransitionException"]
    )
    def test_a_job_that_has_ended_needs_no_cancelling(self, strict: StrictAws, stand_in: MotoGround, code: str) -> None:
        strict.refuse("CancelJobExecution", code)

        stand_in.jobs.cancel("warden-1", "pump-3")

        assert strict.made("CancelJobExecution") == [{"jobId": "warden-1", "thingName": "pump-3", "force": True}]

    def test_a_job_says_its_bounds_in_the_words_of_iot_jobs(self, strict: StrictAws, stand_in: MotoGround) -> None:
        stand_in.thing("pump-3")
        stand_in.thing("pump-4")

        stand_in.jobs.start(
            replace(AN_ORDER, things=("pump-3", "pump-4"), per_minute=50, abort_percent=20.0, abort_after=5)
        )

        [asked] = strict.made("CreateJob")
        bounds = {
            "targets": [f"{PREFIX}thing/pump-3", f"{PREFIX}thing/pump-4"],
            "document": "{}",
            "jobExecutionsRolloutConfig": {"maximumPerMinute": 50},
            "abortConfig": {
                "criteriaList": [
                    {
                        "failureType": "ALL",
                        "action": "CANCEL",
                        "thresholdPercentage": 20.0,
                        "minNumberOfExecutedThings": 5,
                    }
                ]
            },
        }
        assert asked == {**self.ASKED, **bounds}

    def test_a_throttle_rises(self, strict: StrictAws, stand_in: MotoGround) -> None:
        strict.refuse("CreateJob", "ThrottlingException")

        with pytest.raises(ClientError, match="Throttling"):
            stand_in.jobs.start(AN_ORDER)


class TestRegistry:
    def test_a_dynamic_group_gives_way_to_the_restricted_one(self, strict: StrictAws, stand_in: MotoGround) -> None:
        stand_in.thing("pump-3")
        stand_in.group("restricted")

        stand_in.registry.join_group("pump-3", "restricted")

        asked = {"thingName": "pump-3", "thingGroupName": "restricted", "overrideDynamicGroups": True}
        assert strict.made("AddThingToThingGroup") == [asked]


class TestAccountSettings:
    @pytest.mark.usefixtures("aws")
    def test_event_types_are_read_whether_all_or_some_are_told(self, strict: StrictAws) -> None:
        told = {"THING": {"Enabled": True}, "JOB": {"Enabled": False}, "POLICY": {}}
        strict.state.event_configurations = told

        read = IotAccountSettings(a_client("iot"), PREFIX).event_configurations()

        assert read == {"THING": True, "JOB": False, "POLICY": False}

    @pytest.mark.usefixtures("aws")
    def test_event_types_are_written_as_one(self, strict: StrictAws) -> None:
        IotAccountSettings(a_client("iot"), PREFIX).enable_events({"THING": True, "JOB_EXECUTION": True})

        asked = {"eventConfigurations": {"THING": {"Enabled": True}, "JOB_EXECUTION": {"Enabled": True}}}
        assert strict.made("UpdateEventConfigurations") == [asked]

    @pytest.mark.usefixtures("aws")
    def test_the_groups_policy_comes_and_goes_and_may_be_asked_for_twice(self) -> None:
        client = boto3.client("iot", region_name=REGION)
        client.create_thing_group(thingGroupName="restricted")
        client.create_policy(policyName="restricted", policyDocument="{}")
        settings = IotAccountSettings(client, PREFIX)

        for _ in range(2):
            settings.attach_group_policy("restricted", "restricted")
        assert list(settings.targets_of("restricted")) == [f"{PREFIX}thinggroup/restricted"]
        for _ in range(2):
            settings.detach_group_policy("restricted", "restricted")
        assert list(settings.targets_of("restricted")) == []

    @pytest.mark.usefixtures("aws")
    def test_a_policy_that_is_gone_is_attached_to_nothing(self) -> None:
        settings = IotAccountSettings(boto3.client("iot", region_name=REGION), PREFIX)

        assert list(settings.targets_of("gone")) == []
