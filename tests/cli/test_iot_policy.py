"""The evaluator of AWS IoT's policies, and which pattern covers which."""

from __future__ import annotations

import pytest

from tests.template import iot_policy as another
from warden_cli.iot_policy import CLIENT, THING, Session, admits, covers

ATTACHED = {"Bool": {"iot:Connection.Thing.IsAttached": "true"}}
PUMP = Session("pump-1", "pump-1")


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("topic/*", "topic/a"),
        ("*", f"arn:aws:iot:r:1:client/{THING}"),
        ("arn:aws:iot:*:*:topic/*", f"arn:aws:iot:r:1:topic/$aws/things/{THING}/*"),
        ("topic/a?", "topic/a?"),
        ("topic/a?", "topic/ab"),
        ("topic/a*", "topic/a?"),
        (f"client/{CLIENT}", f"client/{THING}"),
        (f"topic/{THING}/*", f"topic/{THING}/a/*"),
        ("topic/*", "topic/${iot:Connection.Thing.Attributes[site]}"),
        ("topic/a/*/state", f"topic/a/{THING}/state"),
        ("topic/#", "topic/#"),
    ],
)
def test_a_wider_pattern_covers(wide: str, narrow: str) -> None:
    assert covers(wide, narrow)


@pytest.mark.parametrize(
    ("wide", "narrow"),
    [
        ("topic/a", "topic/*"),
        ("topic/?", "topic/*"),
        ("topic/a?", "topic/a"),
        ("topic/?", f"topic/{THING}"),
        ("topic/pump-*", f"topic/{THING}"),
        (f"topic/{THING}", f"topic/{CLIENT}"),
        (f"topic/{THING}", "topic/pump-1"),
        ("topic/#", "topic/a"),
        ("topic/+/a", f"topic/{THING}/a"),
        ("topic/${*}", "topic/a"),
        ("topic/${*}", "topic/*"),
        ("topic/${iot:Connection.Thing.Attributes[a]}", "topic/${iot:Connection.Thing.Attributes[b]}"),
        ("topic/*", "topicfilter/a"),
    ],
)
def test_what_is_not_shown_to_be_covered_is_not(wide: str, narrow: str) -> None:
    assert not covers(wide, narrow)


@pytest.mark.parametrize(
    "text", ["*", "topic/*/c", "topic/a?c", f"topic/{THING}/*", "topic/pump-1/+", "topic/#", "topic/x"]
)
@pytest.mark.parametrize(
    "wide", ["*", "topic/*", "topic/?/?", f"topic/{CLIENT}/*", "topic/pump-*", "topic/#", "topic/x"]
)
def test_covering_agrees_with_examples(wide: str, text: str) -> None:
    """What the narrow pattern admits, the wide one does: asked of both evaluators."""
    examples = ["topic/a/c", "topic/abc", "topic/pump-1/x", "topic/pump-1/+", "topic/#", "topic/x", "topic/*/c"]
    documents = [{"Statement": {"Effect": "Allow", "Action": "iot:Publish", "Resource": each}} for each in (text, wide)]

    for each in examples:
        is_in, is_in_wide = (admits([document], "iot:Publish", each, PUMP) for document in documents)
        assert (is_in, is_in_wide) == tuple(another.admits([d], "iot:Publish", each, "pump-1") for d in documents)
        assert not (covers(wide, text) and is_in and not is_in_wide)


class TestTheEvaluator:
    def test_mqtt_s_wildcards_are_letters(self) -> None:
        allow = {"Statement": {"Effect": "Allow", "Action": "iot:Subscribe", "Resource": "topicfilter/a/+"}}

        assert admits([allow], "iot:Subscribe", "topicfilter/a/+", PUMP)
        assert not admits([allow], "iot:Subscribe", "topicfilter/a/b", PUMP)

    @pytest.mark.parametrize(
        ("session", "allowed"),
        [(PUMP, True), (Session("other", "pump-1"), False), (Session("x", ""), False), (Session("", ""), False)],
    )
    def test_attached_is_who_connects_by_the_name_of_its_thing(self, session: Session, allowed: bool) -> None:
        allow = {"Effect": "Allow", "Action": "iot:Connect", "Resource": "client/*", "Condition": ATTACHED}

        assert admits([{"Statement": [allow]}], "iot:Connect", f"client/{session.client_id}", session) is allowed

    def test_a_denial_of_who_is_not_attached(self) -> None:
        anything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
        deny = anything | {"Effect": "Deny", "Condition": {"bool": {"IOT:connection.thing.isattached": ["false"]}}}

        assert admits([{"Statement": [anything, deny]}], "iot:Publish", "topic/a", PUMP)
        assert not admits([{"Statement": [anything, deny]}], "iot:Publish", "topic/a", Session("x", "pump-1"))

    def test_other_conditions_are_taken_for_met(self) -> None:
        null = {"iot:Connection.Thing.IsAttached": "false"}
        condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}, "Bool": {"iot:Other": "false"}, "Null": null}
        allow = {"Effect": "Allow", "Action": "iot:Publish", "Resource": "topic/a", "Condition": condition}

        assert admits([{"Statement": allow}], "iot:Publish", "topic/a", PUMP)

    def test_an_escaped_wildcard_is_a_letter(self) -> None:
        allow = {"Statement": {"Effect": "Allow", "Action": "iot:Publish", "Resource": "topic/${*}${?}${$}"}}

        assert admits([allow], "iot:Publish", "topic/*?$", PUMP)
        assert not admits([allow], "iot:Publish", "topic/abc", PUMP)
