"""The strictness itself: what moto takes and AWS would not is turned down."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws.conftest import REGION
from tests.aws.ground import PREFIX

pytestmark = pytest.mark.usefixtures("aws")

JOB: dict[str, Any] = {"jobId": "j-1", "targets": [f"{PREFIX}thing/pump-3"], "document": "{}"}


@pytest.fixture
def iot() -> Any:
    client: Any = boto3.client("iot", region_name=REGION)
    client.create_thing(thingName="pump-3")
    return client


@pytest.mark.parametrize("name", ["x" * 129, "a b", "a\r\nb", "a/b", "", "ü"])
def test_a_name_that_is_none(iot: Any, name: str) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="thingName"):
        iot.create_thing(thingName=name)


def test_a_job_id_with_a_colon(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="jobId"):
        iot.create_job(**JOB | {"jobId": "plant1:pump-3"})


def test_an_enumeration(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="targetSelection"):
        iot.create_job(**JOB, targetSelection="ONCE")


def test_the_same_job_id_twice(iot: Any) -> None:
    iot.create_job(**JOB)

    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_job(**JOB)


def test_a_job_for_a_thing_that_is_not_there(iot: Any) -> None:
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.create_job(**JOB | {"targets": [f"{PREFIX}thing/plant1:pump-9"]})


def test_a_large_document(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="document"):
        iot.create_job(**JOB | {"document": json.dumps("x" * 32769)})


def test_more_than_a_hundred_writes_in_one() -> None:
    client: Any = boto3.client("dynamodb", region_name=REGION)
    put = {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "x"}}}}

    with pytest.raises(ClientError, match="TransactItems"):
        client.transact_write_items(TransactItems=[put] * 101)
