"""Every detector's messages have a way into the inbox: a rule or a topic, and a queue that lets it in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.sample_events import SampleEvent, of_function
from tests.template.transformed import reference, resources, statements
from warden.core.findings import Source

DETECTORS = [module for source in Source for module in source.detectors]


def routes_of(sample: SampleEvent) -> set[str]:
    """Name the rules and topics by which a sample event would come to the inbox."""
    event = json.loads(sample.path.read_text())
    if "detail-type" in event:
        return {rule for rule, pattern in patterns() if matches(pattern, event)}
    return {
        reference(subscription["TopicArn"])
        for subscription in resources("AWS::SNS::Subscription").values()
        if reference(subscription["Endpoint"]) == "InboxQueue"
    }


def patterns() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """List the rules that feed the inbox, with what they ask of an event."""
    for rule, properties in resources("AWS::Events::Rule").items():
        if "InboxQueue" in {reference(target["Arn"]) for target in properties["Targets"]}:
            yield rule, properties["EventPattern"]


def matches(pattern: Any, value: Any) -> bool:
    """Check a value as EventBridge does. What a parameter decides, such as a source's name, fits anything."""
    if isinstance(value, list):
        return any(matches(pattern, each) for each in value)
    if isinstance(pattern, Mapping):
        return isinstance(value, Mapping) and all(matches(inner, value.get(key)) for key, inner in pattern.items())
    return any(
        reference(each) or (str(value).endswith(each["suffix"]) if isinstance(each, Mapping) else value == each)
        for each in pattern
    )


def let_in() -> set[str]:
    """Name the rules and topics that the inbox takes messages from."""
    return {
        reference(source)
        for policy in resources("AWS::SQS::QueuePolicy").values()
        if "InboxQueue" in map(reference, policy["Queues"])
        for statement in statements(policy["PolicyDocument"])
        for sources in [statement.get("Condition", {}).get("ArnEquals", {}).get("aws:SourceArn", [])]
        for source in (sources if isinstance(sources, list) else [sources])
    }


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_rule_or_a_topic_brings_a_detectors_messages(detector: str) -> None:
    found = {route for each in of_function("ingest") if each.source == detector for route in routes_of(each)}

    assert found, f"template.yaml has no rule and no subscription that brings what {detector} reads to InboxQueue"
    assert found - let_in() == set(), f"InboxQueuePolicy in template.yaml does not let in what {detector} reads"


@pytest.mark.parametrize("sample", of_function("ingest"), ids=lambda sample: sample.name)
def test_a_rule_or_a_topic_brings_each_sample(sample: SampleEvent) -> None:
    """A rule that brings one message of a detector may leave out another."""
    assert routes_of(sample), f"template.yaml has no rule and no subscription for events/{sample.name}.json"


def test_a_message_that_no_rule_is_for_has_no_route() -> None:
    stranger = {"source": "com.example", "detail-type": "Another Finding", "detail": {}}

    assert [rule for rule, pattern in patterns() if matches(pattern, stranger)] == []
