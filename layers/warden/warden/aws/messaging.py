"""Queues, topics and answers to devices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from warden.core import quotas
from warden.core.errors import NotSent, NotYet
from warden.core.ports import QueueEntry

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_securityhub import SecurityHubClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


class SqsCaseQueue:
    """The case queue on SQS FIFO: one group per device."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        """Send messages in batches of SQS's size; the next delivery sends again what SQS did not accept."""
        for batch in batched(entries, quotas.MESSAGES_PER_BATCH, strict=False):
            answer = self._sqs.send_message_batch(
                QueueUrl=self._url,
                Entries=[
                    {
                        "Id": str(number),
                        "MessageBody": json.dumps(entry.message, separators=(",", ":")),
                        "MessageGroupId": entry.group,
                        "MessageDeduplicationId": entry.once,
                    }
                    for number, entry in enumerate(batch)
                ],
            )
            if failed := answer.get("Failed"):
                raise NotYet(f"SQS did not accept {len(failed)} of {len(batch)} messages: {failed[0].get('Message')}")


class SqsRenewalQueue:
    """The queue by which the sweep of certificates continues."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def send_run(self, run: str, *, after_seconds: int = 0) -> None:
        """Queue a message that names the run."""
        self._sqs.send_message(QueueUrl=self._url, MessageBody=json.dumps({"run": run}), DelaySeconds=after_seconds)


class SqsInbox:
    """The inbox queue on SQS."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def put(self, body: str) -> None:
        """Send a message."""
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body)


class SnsNotices:
    """Notices by SNS, which mails them to its subscribers."""

    def __init__(self, client: SNSClient, topic: str) -> None:
        self._sns = client
        self._topic = topic

    def send(self, subject: str, body: str) -> None:
        """Publish a notice."""
        try:
            self._sns.publish(TopicArn=self._topic, Subject=subject, Message=body)
        except (ClientError, BotoCoreError) as error:
            raise NotSent(f"SNS did not accept the notice {subject!r}: {error}") from error


class EventBridgeAnnouncements:
    """Announcements on the account's default event bus; `source` is the stack's name."""

    def __init__(self, client: EventBridgeClient, source: str) -> None:
        self._events = client
        self._source = source

    def publish(self, detail: Mapping[str, Any]) -> None:
        """Put an event of type `Fleet Warden Case`."""
        self._put("Fleet Warden Case", detail)

    def publish_survey(self, detail: Mapping[str, Any]) -> None:
        """Put an event of type `Fleet Warden Survey`."""
        self._put("Fleet Warden Survey", detail)

    def _put(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        event: Any = {"Source": self._source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        try:
            answer = self._events.put_events(Entries=[event])
        except (ClientError, BotoCoreError) as error:
            raise NotSent(f"EventBridge did not accept the event {detail.get('id')}: {error}") from error
        if answer["FailedEntryCount"]:
            raise NotSent(f"EventBridge did not accept the event {detail.get('id')}: {answer['Entries'][0]}")


class AwsSecurityHub:
    """Security Hub of this account and region."""

    def __init__(self, client: SecurityHubClient) -> None:
        self._hub = client

    def put(self, finding: Mapping[str, Any]) -> None:
        """Import or update a finding."""
        asked: Any = [finding]
        try:
            answer = self._hub.batch_import_findings(Findings=asked)
        except (ClientError, BotoCoreError) as error:
            raise NotSent(f"Security Hub did not accept {finding['Id']}: {error}") from error
        if answer["FailedCount"]:
            raise NotSent(f"Security Hub did not accept {finding['Id']}: {answer['FailedFindings'][0]['ErrorMessage']}")


class IotReplies:
    """Answers to devices by AWS IoT's data plane."""

    def __init__(self, client: IoTDataPlaneClient) -> None:
        self._data = client

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish JSON with QoS 1."""
        self._data.publish(topic=topic, qos=1, payload=json.dumps(payload).encode())
