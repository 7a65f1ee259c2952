"""What the reader of the account makes of answers that no state of the stand-in leads to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import EndpointConnectionError

from tests.aws.backends import account_reader
from tests.aws_stand_in.rules import REGION
from tests.aws_stand_in.strict import StrictAws
from tests.template.authorisation import OPERATIONS, Call, Place, needs_of
from warden.aws.account_reader import ACTIONS, AwsAccountReader
from warden.aws.patience import NoAnswerInTimeError
from warden.core.account_facts import ScheduledAudit, Subscription, Topic, Unanswered, Unavailable

TOPIC, QUEUE = (f"arn:aws:{service}:us-east-1:123456789012:alerts" for service in ("sns", "sqs"))
TRAIL = "arn:aws:cloudtrail:us-east-1:123456789012:trail/ours"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def reader(strict: StrictAws) -> AwsAccountReader:
    assert strict.on_moto
    return account_reader(REGION)


def test_a_region_without_device_defender_is_not_asked(strict: StrictAws) -> None:
    reader = account_reader("sa-east-1", has_device_defender=False)

    answers = [
        reader.audit_configuration(),
        reader.scheduled_audits(),
        reader.audits(NOON - timedelta(days=1), NOON),
        reader.suppressions(),
        reader.security_profiles(),
        reader.learning_models("learns"),
        reader.custom_metrics(),
    ]

    assert answers == [Unavailable("sa-east-1")] * 7
    assert strict.calls == []


def test_an_error_is_named_and_costs_one_answer(strict: StrictAws, reader: AwsAccountReader) -> None:
    strict.refuse("DescribeTrails", "ThrottlingException")

    assert reader.trails() == Unanswered("cloudtrail:DescribeTrails", "ThrottlingException", may_pass=True)
    assert reader.trails() == ()


def test_an_endpoint_that_is_not_there_is_an_answer_too(strict: StrictAws, reader: AwsAccountReader) -> None:
    def unreachable(_: object) -> None:
        raise EndpointConnectionError(endpoint_url="https://guardduty.us-east-1.amazonaws.com")

    strict.faults["ListDetectors"] = unreachable

    assert reader.detector() == Unanswered("detector", "EndpointConnectionError", may_pass=True)


def test_a_service_that_is_not_asked_any_more_is_an_answer_too(strict: StrictAws, reader: AwsAccountReader) -> None:
    def silent(_: object) -> None:
        raise NoAnswerInTimeError(service="cloudtrail", operation="DescribeTrails")

    strict.faults["DescribeTrails"] = silent

    assert reader.trails() == Unanswered("cloudtrail:DescribeTrails", "no-answer-in-time", may_pass=True)


def test_an_answer_that_lacks_something_is_an_answer_too(
    reader: AwsAccountReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_status(**_: object) -> dict[str, object]:
        return {}

    monkeypatch.setattr(reader._of.cloudtrail, "get_trail_status", without_status)

    assert reader.trail_status(TRAIL) == Unanswered("trail_status", "no IsLogging")


def test_what_was_deleted_since_it_was_listed_is_left_out(strict: StrictAws, reader: AwsAccountReader) -> None:
    checks = frozenset({"LOGGING_DISABLED_CHECK"})
    kept = ScheduledAudit(name="kept", frequency="DAILY", checks=checks)
    strict.state.account.scheduled_audits = [ScheduledAudit(name="gone", frequency="DAILY", checks=checks), kept]
    strict.refuse("DescribeScheduledAudit", "ResourceNotFoundException")

    assert reader.scheduled_audits() == (kept,)


def test_a_detector_that_was_deleted_since_it_was_listed_is_none(
    strict: StrictAws, reader: AwsAccountReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = iter([["gone"], [], ["there"], ["there"]])
    monkeypatch.setattr(reader._of.guardduty, "list_detectors", lambda: {"DetectorIds": next(listed)})
    for _ in range(2):
        strict.refuse("GetDetector", "BadRequestException")

    assert reader.detector() is None
    assert reader.detector() == Unanswered("guardduty:GetDetector", "BadRequestException")


def test_nor_has_a_profile_models_or_a_queue_a_subscription_that_was_deleted(
    strict: StrictAws, reader: AwsAccountReader
) -> None:
    strict.refuse("GetBehaviorModelTrainingSummaries", "ResourceNotFoundException")
    assert reader.learning_models("gone") == ()

    strict.state.account.topics[TOPIC] = Topic(confirmed=1, pending=0)
    strict.state.account.subscriptions = {(TOPIC, QUEUE): Subscription(arn=f"{TOPIC}:1")}
    strict.refuse("GetSubscriptionAttributes", "NotFound")
    assert reader.subscription(TOPIC, QUEUE) is None
    assert reader.subscription(TOPIC, QUEUE) == Subscription(arn=f"{TOPIC}:1")


@pytest.mark.parametrize(
    ("fields", "records"),
    [
        ([{"Field": "eventCategory", "Equals": ["Management"]}], True),
        ([{"Field": "eventCategory", "Equals": ["Data"]}], False),
        ([{"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "Equals": ["false"]}], False),
    ],
)
def test_the_newer_selectors_say_what_is_recorded(
    strict: StrictAws, reader: AwsAccountReader, fields: list[dict[str, object]], records: bool
) -> None:
    strict.state.account.selectors = {TRAIL: {"AdvancedEventSelectors": [{"Name": "a", "FieldSelectors": fields}]}}

    assert reader.trail_records_management(TRAIL) is records


@pytest.mark.parametrize("written", ["ReadOnly", "WriteOnly"])
def test_a_trail_that_records_a_half_records_too_little(
    strict: StrictAws, reader: AwsAccountReader, written: str
) -> None:
    selector = {"ReadWriteType": written, "IncludeManagementEvents": True}
    strict.state.account.selectors = {TRAIL: {"EventSelectors": [selector]}}

    assert reader.trail_records_management(TRAIL) is False


def test_the_action_of_every_operation_is_the_one_that_iam_asks_for() -> None:
    rules = {operation: service for service, operation in OPERATIONS}
    asked = {
        "Bucket": "b",
        "DetectorId": "d",
        "Name": "SweepCasesFunctionEveryFiveMinutes",
        "StackName": "s",
        "TopicArn": "t",
        "TrailName": "t",
        "scheduledAuditName": "a",
        "securityProfileName": "p",
    }

    for operation, action in ACTIONS.items():
        [need] = needs_of(Call(rules[operation], operation, asked), Place(REGION, "123456789012", {}))
        assert need.action == action
