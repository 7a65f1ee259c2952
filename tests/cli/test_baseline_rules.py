"""What the plan calls a contradiction is what the template's rules refuse, for sets of parameters drawn at random."""

from __future__ import annotations

from random import Random

import pytest

from tests.baseline.evaluation import Evaluation, Place, TemplateError
from tests.baseline.test_stack import TEMPLATE
from warden_cli.baseline_rules import Choice, contradictions

REGIONAL = ("AuditInThisRegion", "DetectInThisRegion", "LoggingInThisRegion")
"""Rules about the region, which the plan reads from data."""
TOPIC = "arn:aws:sns:eu-central-1:123456789012:theirs"
TRAIL = "arn:aws:cloudtrail:eu-central-1:123456789012:trail/theirs"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/11111111-2222-3333-4444-555555555555"
MODES = [name for name in TEMPLATE["Parameters"] if name.endswith("Mode") and name != "ObjectLockMode"]
OTHERS = {
    "ExistingAlertTopicArn": TOPIC,
    "ExistingAlertTopicKeyArn": KEY,
    "AlertEmail": "security@example.com",
    "ExistingTrailArn": TRAIL,
    "ExistingTrailBucket": "their-logs",
    "ExistingTrailKeyArn": KEY,
    "ObjectLockMode": "GOVERNANCE",
    "TrailBucketAdminArn": "arn:aws:iam::123456789012:role/admin",
    "AccessLogBucket": "logs",
    "KmsKeyArn": KEY,
} | {
    name: "ENABLED"
    for name, each in TEMPLATE["Parameters"].items()
    if each.get("AllowedValues") == ["ENABLED", "DISABLED"]
}


def drawn(seed: int) -> dict[str, str]:
    """Draw a value for each mode, and some other parameters."""
    random = Random(seed)  # noqa: S311 - examples, not secrets
    modes = {name: random.choice([*Choice]).value for name in MODES}
    return modes | {name: value for name, value in OTHERS.items() if random.random() < 0.15}


def refusal(parameters: dict[str, str]) -> str:
    """Return what a deployment with the parameters is refused with."""
    try:
        Evaluation(TEMPLATE, parameters, Place())
    except TemplateError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(300))
def test_the_plan_refuses_what_the_template_refuses_and_nothing_else(seed: int) -> None:
    parameters = drawn(seed)

    assert bool([*contradictions(parameters)]) == bool(refusal(parameters)), refusal(parameters)


def test_every_rule_is_drawn() -> None:
    drawings = [refusal(drawn(seed)) for seed in range(300)]

    assert {each.partition(":")[0] for each in drawings} == {*TEMPLATE["Rules"], ""} - {*REGIONAL}


@pytest.mark.parametrize("others", [{}, *({name: value} for name, value in OTHERS.items())], ids=str)
def test_a_sentence_names_the_parameter(others: dict[str, str]) -> None:
    off = dict.fromkeys(MODES, "off")

    for sentence in contradictions(off | others):
        assert sentence.startswith(next(iter(others)))
