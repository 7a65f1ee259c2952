"""Queues, topics and answers to devices."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient
    from mypy_boto3_sns import SNSClient
    from mypy_boto3_sqs import SQSClient


class SqsCaseQueue:
    """The case queue on SQS FIFO: one group per device."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._sqs = client
        self._url = url

    def put(self, message: Mapping[str, Any], *, group: str, once: str) -> None:
        """Send a message."""
        self._sqs.send_message(
            QueueUrl=self._url,
            MessageBody=json.dumps(message, separators=(",", ":")),
            MessageGroupId=group,
            MessageDeduplicationId=once,
        )


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
