"""Taps: queues of the demo's own that hear what the cloud hears, so that nothing is taken from hearsay."""

import contextlib
import json
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from botocore.exceptions import BotoCoreError, ClientError

from local_fleet.aws import LocalAws

_STOP_SECONDS = 10


@dataclass(frozen=True)
class Heard:
    """One message, and when it came (seconds since the epoch)."""

    at: float
    body: dict[str, Any]


class Tap:
    """A queue that is emptied in the background; what came is kept."""

    def __init__(self, aws: LocalAws, name: str) -> None:
        self._sqs = aws.session().client("sqs")
        self._aws = aws
        self.name = name
        self.url = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._heard: list[Heard] = []
        self._one_at_a_time = threading.Lock()
        self._over = threading.Event()
        self._listener = threading.Thread(target=self._listen, name=f"tap {name}", daemon=True)

    def __enter__(self) -> Self:
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._listener.join(_STOP_SECONDS)

    @property
    def arn(self) -> str:
        return f"arn:aws:sqs:{self._aws.region}:{self._aws.account_id}:{self.name}"

    @property
    def heard(self) -> list[Heard]:
        """Everything that came so far, in the order it came."""
        with self._one_at_a_time:
            return list(self._heard)

    def on_topic(self, topic_arn: str) -> Self:
        """Hear what is published on an SNS topic."""
        allowed = {
            "Effect": "Allow",
            "Principal": {"Service": "sns.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": self.arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        self._sqs.set_queue_attributes(QueueUrl=self.url, Attributes={"Policy": policy})
        self._aws.session().client("sns").subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=self.arn)
        return self

    def on_messages(self, sql: str) -> Self:
        """Hear what an IoT rule selects from the devices' messages."""
        trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
        allowed = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": self.arn}
        iam, iot = self._aws.session().client("iam"), self._aws.session().client("iot")
        role = iam.create_role(RoleName=self.name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=self.name, PolicyName="send", PolicyDocument=_policy(allowed))
        iot.create_topic_rule(
            ruleName=self.name.replace("-", "_"),
            topicRulePayload={
                "sql": sql,
                "awsIotSqlVersion": "2016-03-23",
                "actions": [{"sqs": {"queueUrl": self.url, "roleArn": role, "useBase64": False}}],
            },
        )
        return self

    def _listen(self) -> None:
        # However the local AWS ends, a tap on it ends without a word: whoever waits for a message says what is missing.
        with contextlib.suppress(BotoCoreError, ClientError):
            while not self._over.is_set():
                self._take_in()

    def _take_in(self) -> None:
        answer = self._sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = answer.get("Messages", [])
        now = time.time()
        with self._one_at_a_time:
            self._heard += [Heard(now, json.loads(message["Body"])) for message in messages]
        if messages:
            entries = [{"Id": str(n), "ReceiptHandle": each["ReceiptHandle"]} for n, each in enumerate(messages)]
            self._sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)  # type: ignore[arg-type]  # plain dicts


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
