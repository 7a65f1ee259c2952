"""The table that stands in for DynamoDB gives what moto gives, for everything that the ledger asks of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.rules import REGION
from tests.faults import table
from tests.template.transformed import written
from warden.aws.ledger import DynamoLedger
from warden.core.errors import Conflict
from warden.core.ledger import Index, Key, Put


class _Client:
    """The table, called as boto3's client is."""

    def __init__(self, exceptions: Any) -> None:
        self.exceptions = exceptions
        self._items: table.Items = {}

    def get_item(self, **asked: Any) -> dict[str, Any]:
        return table.get(self._items, asked)

    def put_item(self, **asked: Any) -> dict[str, Any]:
        try:
            return table.put(self._items, asked)
        except Refusal as refusal:
            raise self._error(refusal) from refusal

    def transact_write_items(self, **asked: Any) -> dict[str, Any]:
        try:
            return table.transact(self._items, asked)
        except table.Cancelled as cancelled:
            raise self._error(cancelled, [{"Code": reason} for reason in cancelled.reasons]) from cancelled

    def get_paginator(self, _operation: str) -> _Client:
        return self

    def paginate(self, **asked: Any) -> Iterator[dict[str, Any]]:
        while True:
            page = table.query(self._items, asked)
            yield page
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _error(self, refusal: Refusal, reasons: Any = ()) -> Exception:
        kind: Any = self.exceptions.from_code(refusal.code)
        error: Exception = kind({"Error": {"Code": refusal.code}, "CancellationReasons": list(reasons)}, "operation")
        return error


@pytest.fixture(params=["moto", "table"])
def ledger(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[DynamoLedger]:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        client: Any = boto3.client("dynamodb", region_name=REGION)
        terms = written()["Resources"]["Ledger"]["Properties"]
        wanted = ("AttributeDefinitions", "KeySchema", "GlobalSecondaryIndexes", "BillingMode")
        client.create_table(TableName="ledger", **{name: terms[name] for name in wanted})
        made: Any = client if request.param == "moto" else _Client(client.exceptions)
        yield DynamoLedger(made, "ledger")


def _due(number: int, seen: int = 0) -> Put:
    at = f"2026-11-22T12:0{number}:00Z"
    return Put(Key(f"CASE#{number % 2}", f"STEP#{number}"), {"type": "step", "due": "due", "due_at": at}, seen)


def test_a_write_meets_its_condition_or_nothing_is_written(ledger: DynamoLedger) -> None:
    ledger.commit(_due(1))

    for puts in ([_due(1)], [_due(2), _due(1)], [_due(2, seen=1)]):
        with pytest.raises(Conflict):
            ledger.commit(*puts)
    assert ledger.read(_due(2).key) is None
    ledger.commit(_due(1, seen=1), _due(2))
    first, second = ledger.read(_due(1).key), ledger.read(_due(2).key)
    assert (first and first["version"], second and second["version"]) == (2, 1)


def test_a_partition_and_an_index_are_listed_in_order_to_the_last_page(ledger: DynamoLedger) -> None:
    for number in (5, 3, 1, 4, 2, 7):
        ledger.commit(_due(number))
    ledger.commit(Put(Key("CASE#1", "CASE"), {"type": "case"}, 0))

    assert [found.key.sort for found in ledger.partition("CASE#1")] == ["CASE", "STEP#1", "STEP#3", "STEP#5", "STEP#7"]
    assert next(found.key.sort for found in ledger.partition("CASE#1", prefix="STEP#")) == "STEP#1"
    until = [found.key.sort[-1] for found in ledger.find(Index.DUE, "due", until="2026-11-22T12:04:00Z")]
    newest = [found.key.sort[-1] for found in ledger.find(Index.DUE, "due", newest_first=True)]
    assert (until, newest) == (["1", "2", "3", "4"], ["7", "5", "4", "3", "2", "1"])
