"""What the demo checks: the local AWS and the devices' disks, read directly and not through the service."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from local_fleet.aws import LocalAws

_PRIVATE = "-----BEGIN PRIVATE KEY-----"


@dataclass(frozen=True)
class Sight:
    """A device in the registry: its certificates, their policies, its groups."""

    certificates: tuple[str, ...]
    policies: Mapping[str, tuple[str, ...]]
    groups: tuple[str, ...]


def fleet(aws: LocalAws, names: Iterable[str]) -> dict[str, Sight]:
    """Read these devices."""
    iot = aws.session().client("iot")
    seen = {}
    for name in names:
        arns = iot.list_thing_principals(thingName=name)["principals"]
        policies = {
            _id(arn): tuple(sorted(each["policyName"] for each in iot.list_attached_policies(target=arn)["policies"]))
            for arn in arns
        }
        groups = iot.list_thing_groups_for_thing(thingName=name)["thingGroups"]
        seen[name] = Sight(tuple(policies), policies, tuple(sorted(group["groupName"] for group in groups)))
    return seen


def _id(certificate_arn: str) -> str:
    return certificate_arn.rpartition("/")[2]


def certificate_status(aws: LocalAws, certificate: str) -> str:
    """Read a certificate's status."""
    return str(_described(aws, certificate)["status"])


def certificate_pem(aws: LocalAws, certificate: str) -> str:
    """Read a certificate."""
    return str(_described(aws, certificate)["certificatePem"])


def _described(aws: LocalAws, certificate: str) -> Mapping[str, Any]:
    return aws.session().client("iot").describe_certificate(certificateId=certificate)["certificateDescription"]


def jobs(aws: LocalAws) -> list[str]:
    """List all jobs."""
    return sorted(job["jobId"] for job in aws.session().client("iot").list_jobs()["jobs"])


def publish(aws: LocalAws, topic: str, message: str) -> None:
    """Publish an alert as Device Defender does."""
    aws.session().client("sns").publish(TopicArn=topic, Message=message)


def invoke(aws: LocalAws, function: str, event: str) -> None:
    """Invoke a function as its schedule does, and wait until it ends."""
    answer = aws.session().client("lambda").invoke(FunctionName=function, Payload=event.encode())
    if "FunctionError" in answer:
        raise RuntimeError(f"{function} ended with {answer['Payload'].read().decode()}")


def user(aws: LocalAws, name: str, policy: str) -> dict[str, str]:
    """Create an IAM user with one policy, or none; return the environment for a command that acts as that user."""
    iam = aws.session().client("iam")
    iam.create_user(UserName=name)
    if policy:
        iam.attach_user_policy(UserName=name, PolicyArn=policy)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def mailbox(aws: LocalAws, topic: str) -> str:
    """Subscribe a queue to the notices, instead of a person's mail; return its URL."""
    sqs, sns = aws.session().client("sqs"), aws.session().client("sns")
    url = sqs.create_queue(QueueName="demo-mailbox")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    return url


def read_notice(aws: LocalAws, url: str) -> tuple[str, str] | None:
    """Take the next notice out of the mailbox: its subject and its body."""
    sqs = aws.session().client("sqs")
    for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=1).get("Messages", []):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        notice = json.loads(message["Body"])
        return str(notice["Subject"]), str(notice["Message"])
    return None


def evidence(aws: LocalAws, bucket: str, case_id: str) -> list[bytes]:
    """Read the files collected for a case."""
    s3 = aws.session().client("s3")
    listed = s3.list_objects_v2(Bucket=bucket, Prefix=f"cases/{case_id}/").get("Contents", [])
    return [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in listed]


def digest(content: bytes) -> str:
    """Return the sha256 of a file's content."""
    return sha256(content).hexdigest()


def waiting(aws: LocalAws, *urls: str) -> int:
    """Count the messages in these queues, including those being processed."""
    sqs = aws.session().client("sqs")
    count = 0
    for url in urls:
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        count += int(attributes["ApproximateNumberOfMessages"])
        count += int(attributes["ApproximateNumberOfMessagesNotVisible"])
    return count


def taken_in(aws: LocalAws) -> int:
    """Count the messages that `ingest` reports as taken in."""
    return sum('"message taken in"' in line for line in _log_lines(aws, "/aws/lambda/fleet-warden-ingest"))


def _log_lines(aws: LocalAws, group: str) -> Iterable[str]:
    logs = aws.session().client("logs")
    for stream in logs.describe_log_streams(logGroupName=group)["logStreams"]:
        events = logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
        yield from (event["message"] for event in events["events"])


@dataclass(frozen=True)
class PrivateKey:
    """A key on a device's disk. Each of `lines` would give it away."""

    pem: str

    @property
    def lines(self) -> tuple[str, ...]:
        """The secret lines of its PEM; the first names the algorithm and is the same for all keys."""
        return tuple(line for line in self.pem.splitlines()[2:-1] if line)

    def made(self, certificate_pem: str) -> bool:
        """Check whether a certificate is for this key."""
        key = load_pem_private_key(self.pem.encode(), password=None).public_key()
        certified = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
        form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return key.public_bytes(*form) == certified.public_bytes(*form)


def private_key(state_dir: Path) -> PrivateKey:
    """Read the only private key in a device's state; its file must have mode 0600."""
    [file] = [each for each in state_dir.iterdir() if each.is_file() and _PRIVATE.encode() in each.read_bytes()]
    mode = file.stat().st_mode & 0o777
    if mode != 0o600:
        raise AssertionError(f"{file.name} has mode {mode:o}, not 600")
    [pem] = [text for text in _texts(json.loads(file.read_text())) if text.startswith(_PRIVATE)]
    return PrivateKey(pem)


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def everything_kept(aws: LocalAws, outputs: Mapping[str, str]) -> dict[str, str]:
    """Read everything that the cloud side stores, as strings by place."""
    items = aws.session().client("dynamodb").get_paginator("scan").paginate(TableName=outputs["LedgerTable"])
    s3 = aws.session().client("s3")
    bucket = outputs["EvidenceBucketName"]
    objects = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    contents = [s3.get_object(Bucket=bucket, Key=each["Key"])["Body"].read() for each in objects]
    groups = aws.session().client("logs").describe_log_groups()["logGroups"]
    return {
        "the ledger": json.dumps([page["Items"] for page in items]),
        "the bucket": b"\n".join(contents).decode(errors="replace"),
        "the logs": "\n".join(line for group in groups for line in _log_lines(aws, group["logGroupName"])),
    }
