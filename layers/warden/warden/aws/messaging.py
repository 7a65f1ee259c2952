"""Queues, topics and answers to devices."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import batched
from typing import TYPE_CHECKING, Any

from warden.errors import NotYet
from warden.ports import QueueEntry

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


_BATCH = 10
"""The most messages, and 256 KiB with them, that SQS takes in a call; a finding has at most 12 KB."""


class SqsCaseQueue:
    """The case queue on SQS FIFO: one group per device."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        """Send messages, ten in a call; what SQS did not take is sent again by whoever runs this again."""
        for batch in batched(entries, _BATCH, strict=False):
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
                raise NotYet(f"SQS did not take {len(failed)} of {len(batch)} messages: {failed[0].get('Message')}")


class SqsInbox:
    """The inbox queue on SQS."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def put(self, body: str) -> None:
        """Send a message."""
        self._sqs.send_message(QueueUrl=self._url, MessageBody=body)


class SnsNotices:
    """Notices by SNS, which mails them to whoever subscribed."""

    def __init__(self, client: SNSClient, topic: str) -> None:
        self._sns = client
        self._topic = topic

    def send(self, subject: str, body: str) -> None:
        """Publish a notice."""
        self._sns.publish(TopicArn=self._topic, Subject=subject, Message=body)


class IotReplies:
    """Answers to devices by AWS IoT's data plane."""

    def __init__(self, client: IoTDataPlaneClient) -> None:
        self._data = client

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish JSON with QoS 1."""
        self._data.publish(topic=topic, qos=1, payload=json.dumps(payload).encode())
