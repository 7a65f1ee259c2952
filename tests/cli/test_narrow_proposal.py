"""Whatever a policy is made of, its narrower document allows nothing new: by proof, and by another evaluator."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.baseline.access import IOT
from tests.template.iot_policy import admits
from warden_cli.iot_policy import CLIENT, THING
from warden_cli.narrow_comparison import probes_for
from warden_cli.narrow_proof import unproven
from warden_cli.narrow_proposal import Topic, Verdict, Wishes, propose

ACTIONS = [
    "*",
    "iot:*",
    "iot:Publish",
    "iot:Sub*",
    "iot:Receive",
    "iot:Connect",
    "iot:Get*",
    "iot:AssumeRoleWithCertificate",
]
KINDS = ["client/", "topic/", "topicfilter/", "thing/", "rolealias/", "t", ""]
LEVELS = ["*", "?", "a", "plant", "pump-*", "+", "#", THING, CLIENT, f"{THING}*", "$aws", "things", "warden", "jobs"]
TOPICS = [Topic(text="plant/{thing}/#"), Topic(text="a/+", subscribes=False), Topic(text="#", publishes=False)]
KEEP = ["rolealias/a", "topic/plant/*", "thing/*", "client/*"]


def a_policy(random: Random) -> dict[str, Any]:
    """Make up a policy, sensible or not."""
    return {"Version": "2012-10-17", "Statement": [a_statement(random) for _ in range(random.randint(1, 4))]}


def a_statement(random: Random) -> dict[str, Any]:
    resources = [a_resource(random) for _ in range(random.randint(1, 3))]
    return {
        "Effect": random.choice(["Allow", "Allow", "Allow", "Deny"]),
        "Action": random.sample(ACTIONS, random.randint(1, 3)),
        "Resource": resources if random.random() < 0.7 else resources[0],
    }


def a_resource(random: Random) -> str:
    if random.random() < 0.1:
        return random.choice(["*", "arn:aws:iot:*", "arn:aws:iot:*:*:*"])
    name = "/".join(random.choice(LEVELS) for _ in range(random.randint(1, 4)))
    if random.random() < 0.3:
        name = f"$aws/things/{random.choice(LEVELS)}/{name}"
    return f"{IOT}{random.choice(KINDS)}{name}"


@pytest.mark.parametrize("seed", range(40))
def test_nothing_new_is_allowed(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - examples, not secrets
    for _ in range(5):
        before = a_policy(random)
        wishes = Wishes(
            topics=random.sample(TOPICS, random.randint(0, 3)), keep=random.sample(KEEP, random.randint(0, 2))
        )

        after = propose(before, IOT, wishes).document

        assert unproven(before, after) == []
        for probe in probes_for([before, after], IOT, wishes.topics):
            asked = (probe.action, f"{IOT}{probe.for_('pump-1', 'pump-2')}", "pump-1")
            if admits([after], *asked):
                assert admits([before], *asked), (before, after, asked)


@pytest.mark.parametrize("seed", range(20))
def test_what_stays_or_is_kept_is_as_it_was(seed: int) -> None:
    """Nothing is dropped without being said: what a device loses is of a right that was narrowed, or goes."""
    random = Random(seed)  # noqa: S311 - examples, not secrets
    before = a_policy(random)

    proposal = propose(before, IOT, Wishes())

    said = {each.action for each in proposal.changes if each.verdict in (Verdict.NARROWED, Verdict.GOES)}
    for probe in probes_for([before, proposal.document], IOT, []):
        asked = (probe.action, f"{IOT}{probe.for_('pump-1', 'pump-2')}", "pump-1")
        if admits([before], *asked) and not admits([proposal.document], *asked):
            assert probe.action in said, (before, proposal.document, asked)


@pytest.mark.parametrize("seed", range(20))
def test_a_narrow_document_stays_as_it_is(seed: int) -> None:
    before = a_policy(Random(seed))  # noqa: S311 - examples, not secrets
    once = propose(before, IOT, Wishes(topics=TOPICS[:1])).document

    twice = propose(once, IOT, Wishes(topics=TOPICS[:1])).document

    assert twice["Statement"] == once["Statement"]
