"""A deployment on moto: the template's table, a queue, a bucket, a topic, and the functions set up to use them."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from moto import mock_aws
from moto.iot.models import iot_backends

from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.strict import StrictAws, watch
from tests.composition import forget
from tests.conftest import ROOT
from tests.fakes import a_key
from tests.record_forms import faults_in_line
from tests.template.transformed import resources

ACCOUNT = "123456789012"
REGION = "us-east-1"
RESTRICTED = "fleet-warden-restricted"
SCHEDULES = (
    "SweepCasesFunctionEveryFiveMinutes",
    "SweepCertificatesFunctionWhenDue",
    "SweepCertificatesFunctionUntilTheFirst",
    "SweepCertificatesFunctionWhileACampaignRuns",
)
_SAMPLE_ACCOUNT = "000000000000"
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}'

type Throttle = Callable[[str, str], None]
"""Given an operation and a string: every call of the operation whose parameters hold the string is throttled."""


class Context(LambdaContext):
    """What Lambda hands a handler beside the event."""

    def __init__(self) -> None:
        self._function_name = "fleet-warden"
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fleet-warden"
        self._aws_request_id = "request-1"


def sample(name: str) -> dict[str, Any]:
    """Read a sample event, moved to the account that moto plays."""
    text = (ROOT / "events" / f"{name}.json").read_text()
    return dict(json.loads(text.replace(_SAMPLE_ACCOUNT, ACCOUNT)))


def batch(*bodies: object, group: str = "") -> dict[str, Any]:
    """Build what a queue hands to a function, one record for each body."""
    return {
        "Records": [
            {
                "messageId": f"message-{number}",
                "receiptHandle": "handle",
                "body": body if isinstance(body, str) else json.dumps(body),
                "attributes": {"MessageGroupId": group or group_of(body)},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
                "awsRegion": REGION,
            }
            for number, body in enumerate(bodies)
        ]
    }


def group_of(body: object) -> str:
    finding = body.get("finding") if isinstance(body, dict) else None
    return str(finding["subject"]["name"]) if finding else "group"


@dataclass
class Deployment:
    """The parts that a test looks into, and the calls that were made."""

    strict: StrictAws
    queue_url: str
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, context: Any) -> Any:
        return self.clients.setdefault(context, boto3.client(context, region_name=REGION))

    def enrol(self, thing: str, number: int = 1) -> str:
        """Register a device with an ACTIVE certificate and a policy; return the certificate's id."""
        iot = self.client("iot")
        made = iot.register_certificate_without_ca(certificatePem=a_key(number).pem, status="ACTIVE")
        iot.create_thing(thingName=thing)
        if not any(policy["policyName"] == "fleet-device" for policy in iot.list_policies()["policies"]):
            iot.create_policy(policyName="fleet-device", policyDocument=_POLICY)
        iot.attach_policy(policyName="fleet-device", target=made["certificateArn"])
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        self.strict.state.sessions.add(thing)
        return str(made["certificateId"])

    def queued(self) -> list[dict[str, Any]]:
        """Take everything off the case queue."""
        found: list[dict[str, Any]] = []
        while True:
            answer = self.client("sqs").receive_message(QueueUrl=self.queue_url, MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                found.append(json.loads(message["Body"]))
                self.client("sqs").delete_message(QueueUrl=self.queue_url, ReceiptHandle=message["ReceiptHandle"])

    def records(self, kind: str) -> list[dict[str, Any]]:
        """List every record of a type in the ledger."""
        rows = boto3.resource("dynamodb", region_name=REGION).Table("ledger").scan()["Items"]
        return [dict(row) for row in rows if row["type"] == kind]

    def answers(self) -> list[tuple[str, dict[str, Any]]]:
        """List what was published to devices."""
        published = [call for call in self.strict.made("Publish") if "topic" in call]
        return [(call["topic"], json.loads(call["payload"])) for call in published]

    def policies_of(self, certificate: str) -> list[str]:
        arn = f"arn:aws:iot:{REGION}:{ACCOUNT}:cert/{certificate}"
        listed = self.client("iot").list_attached_policies(target=arn)["policies"]
        return sorted(policy["policyName"] for policy in listed)

    def execution(self, job: str, thing: str, status: str) -> None:
        """Let a device move its job execution; moto has no API for devices."""
        iot_backends[ACCOUNT][REGION].job_executions[job, thing].status = status


class _Lines(logging.Handler):
    """Every log line of a test that holds what it may not."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        extra = {name: value for name, value in vars(record).items() if name not in _OF_EVERY_LINE}
        self.faults.extend(faults_in_line(record.msg, extra))


_OF_EVERY_LINE = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


@pytest.fixture(autouse=True)
def _every_line_holds_values() -> Iterator[None]:
    """Check every line that a function logs: a value stands where a program would look for one."""
    lines, log = _Lines(), logging.getLogger("fleet-warden")
    log.addHandler(lines)
    yield
    log.removeHandler(lines)
    assert not lines.faults, "\n".join(sorted(set(lines.faults)))


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    strict = watch(monkeypatch)
    with mock_aws():
        yield _deployed(monkeypatch, strict)
    forget()


def _deployed(monkeypatch: pytest.MonkeyPatch, strict: StrictAws) -> Deployment:
    url = boto3.client("sqs", region_name=REGION).create_queue(
        QueueName="cases.fifo", Attributes={"FifoQueue": "true", "VisibilityTimeout": "0"}
    )["QueueUrl"]
    inbox = boto3.client("sqs", region_name=REGION).create_queue(QueueName="inbox")["QueueUrl"]
    renewals = boto3.client("sqs", region_name=REGION).create_queue(QueueName="renewals")["QueueUrl"]
    table = resources("AWS::DynamoDB::Table")["Ledger"]
    wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
    dynamodb: Any = boto3.client("dynamodb", region_name=REGION)
    dynamodb.create_table(TableName="ledger", **{name: table[name] for name in wanted})
    boto3.client("s3", region_name=REGION).create_bucket(Bucket="evidence")
    topic = boto3.client("sns", region_name=REGION).create_topic(Name="notices")["TopicArn"]
    iot = boto3.client("iot", region_name=REGION)
    iot.create_thing_group(thingGroupName=RESTRICTED)
    iot.create_policy(policyName=RESTRICTED, policyDocument=_POLICY)
    for name, value in {
        "AWS_REGION": REGION,
        "WARDEN_ACCOUNT": ACCOUNT,
        "WARDEN_PARTITION": "aws",
        "WARDEN_LEDGER_TABLE": "ledger",
        "WARDEN_CASE_QUEUE_URL": url,
        "WARDEN_INBOX_URL": inbox,
        "WARDEN_RENEWAL_QUEUE_URL": renewals,
        "WARDEN_EVIDENCE_BUCKET": "evidence",
        "WARDEN_NOTICES_TOPIC": topic,
        "WARDEN_ALERT_TOPIC": f"arn:aws:sns:{REGION}:{ACCOUNT}:alerts",
        "WARDEN_SCHEDULES": ",".join(SCHEDULES),
        "WARDEN_BASELINE_STACK": "iot-baseline",
        "WARDEN_RESTRICTED_GROUP": RESTRICTED,
        "WARDEN_RESTRICTED_POLICY": RESTRICTED,
        "WARDEN_MODE": "enforce",
        "WARDEN_VERIFY_FINDINGS": "false",  # moto has no Device Defender to ask
        "WARDEN_DISCONNECT": "false",  # nor sessions to close
    }.items():
        monkeypatch.setenv(name, value)
    forget()
    strict.forget()
    return Deployment(strict, url)


@pytest.fixture
def throttled(deployment: Deployment) -> Throttle:
    """Throttle every call of an operation whose parameters hold a string."""

    def throttle(operation: str, text: str) -> None:
        def fault(parameters: Mapping[str, Any]) -> None:
            if text in repr(parameters):
                raise Refusal("ThrottlingException", "slow down")

        deployment.strict.faults[operation] = fault

    return throttle
