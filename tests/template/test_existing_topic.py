"""With ExistingAlertTopicArn: no topic is made, and everything that trusts the alert topic trusts that one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.baseline.evaluation import Evaluation, Made, Place, TemplateError
from tests.conftest import ROOT
from tests.template.transformed import ACCOUNT, REGION, deployed, read_template, statements
from warden.survey.topic_policy import Publishing, may_publish

TOPIC = f"arn:aws:sns:{REGION}:{ACCOUNT}:iot-baseline-AlertTopic-1A2B3C"
KEY = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/5a8f2f5c-0000-4000-8000-1234567890ab"


class Stack:
    """The template as CloudFormation makes it with some parameters; a resource is called by its logical name."""

    def __init__(self, **parameters: str) -> None:
        template = deployed()
        self._evaluation = Evaluation(template, parameters, Place(stack="fleet-warden", region=REGION))
        self.names = self._evaluation.resources().keys()
        self._made = {name: Made(name, _Attributes(name)) for name in self.names}

    def properties(self, name: str) -> dict[str, Any]:
        return self._evaluation.properties(name, self._made)

    def outputs(self) -> dict[str, Any]:
        return self._evaluation.outputs(self._made)


class _Attributes(dict[str, str]):
    """Any attribute of a resource."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __contains__(self, _attribute: object) -> bool:
        return True

    def __getitem__(self, attribute: str) -> str:
        return f"{self._name}.{attribute}"


def sources(stack: Stack, policy: str) -> list[Any]:
    found = statements(stack.properties(policy)["PolicyDocument"])
    return [each["Condition"]["ArnEquals"]["aws:SourceArn"] for each in found if each["Principal"] == _SNS]


_SNS = {"Service": "sns.amazonaws.com"}


@pytest.mark.parametrize(("parameters", "topic"), [({}, "AlertTopic"), ({"ExistingAlertTopicArn": TOPIC}, TOPIC)])
def test_all_that_trusts_the_topic_trusts_the_one(parameters: dict[str, str], topic: str) -> None:
    stack = Stack(**parameters)

    subscription = stack.properties("AlertSubscription")
    assert subscription["TopicArn"] == topic
    assert "RawMessageDelivery" not in subscription
    assert "FilterPolicy" not in subscription
    assert sources(stack, "InboxQueuePolicy") == [topic]
    assert sources(stack, "ParkedPolicy") == [topic]
    environment = stack.properties("SurveyAccountFunction")["Environment"]["Variables"]
    assert environment["WARDEN_ALERT_TOPIC"] == topic
    assert stack.outputs()["AlertTopicArn"] == topic
    granted = statements(stack.properties("SurveyAccountRole")["Policies"][0]["PolicyDocument"])
    read = {str(each["Action"]): each["Resource"] for each in granted}
    assert (read["sns:GetTopicAttributes"], read["sns:ListSubscriptionsByTopic"]) == ([topic, "NoticesTopic"], topic)


def test_nothing_of_an_existing_topic_is_made_or_changed() -> None:
    made = Stack(ExistingAlertTopicArn=TOPIC).names

    assert {"AlertTopic", "AlertTopicPolicy"} & made == set()
    assert {"AlertTopic", "AlertTopicPolicy"} <= Stack().names


@pytest.mark.parametrize(
    ("parameters", "keys"),
    [
        ({}, ["Key.Arn"]),
        ({"ExistingAlertTopicArn": TOPIC}, []),
        ({"ExistingAlertTopicArn": TOPIC, "ExistingAlertTopicKeyArn": KEY}, [KEY]),
    ],
)
def test_the_role_for_device_defender_may_use_the_topic_and_its_key(
    parameters: dict[str, str], keys: list[str]
) -> None:
    stack = Stack(**parameters)

    [publish, *decrypt] = statements(stack.properties("AlertRole")["Policies"][0]["PolicyDocument"])
    assert publish["Resource"] == parameters.get("ExistingAlertTopicArn", "AlertTopic")
    assert [each["Resource"] for each in decrypt] == keys


def test_the_topic_that_the_baseline_makes_is_one_of_these() -> None:
    """README deploys the baseline, then the service with its output, each once."""
    role = f"arn:aws:iam::{ACCOUNT}:role/iot-baseline-AlertRole-4D5E6F"
    baseline = Evaluation(read_template(ROOT / "baseline" / "template.yaml"), {}, Place(region=REGION))
    made = {name: Made(name, _Attributes(name)) for name in baseline.resources()}
    made |= {"AlertTopic": Made(TOPIC, {}), "AlertRole": Made("AlertRole", {"Arn": role})}

    outputs = baseline.outputs(made)
    policy = json.dumps(baseline.properties("AlertTopicPolicy", made)["PolicyDocument"])

    assert Stack(ExistingAlertTopicArn=outputs["AlertTopicArn"]).outputs()["AlertTopicArn"] == TOPIC
    assert may_publish(policy, outputs["AlertRoleArn"], TOPIC) is Publishing.ALLOWED
    assert may_publish(policy, f"{role}-of-somebody", TOPIC) is Publishing.DENIED


@pytest.mark.parametrize(
    "parameters",
    [
        {"ExistingAlertTopicArn": "alerts"},
        {"ExistingAlertTopicArn": f"{TOPIC}.fifo"},
        {"ExistingAlertTopicKeyArn": KEY},
        {"ExistingAlertTopicArn": TOPIC, "ExistingAlertTopicKeyArn": "alias/alerts"},
        {"ExistingAlertTopicArn": TOPIC, "AlertPublisherArn": f"arn:aws:iam::{ACCOUNT}:role/alerts"},
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_made(parameters: dict[str, str]) -> None:
    with pytest.raises(TemplateError, match=r"ExistingAlertTopic"):
        Stack(**parameters)
