"""The ledger on one DynamoDB table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from warden.core.errors import Conflict
from warden.core.ledger import INDEX_ATTRIBUTES, NEW, Found, Index, Key, Put, Record

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

_PARTITION, _SORT = "pk", "sk"
_CONFLICTS = ("ConditionalCheckFailed", "TransactionConflict")


class DynamoLedger:
    """Stores records as items with `pk`, `sk` and their attributes; every write has the version as its condition."""

    def __init__(self, client: DynamoDBClient, table: str) -> None:
        self._client = client
        self._table = table
        self._serializer = TypeSerializer()
        self._deserializer = TypeDeserializer()

    def read(self, key: Key) -> Record | None:
        """Read one record, strongly consistent."""
        answer = self._client.get_item(
            TableName=self._table,
            Key={_PARTITION: {"S": key.partition}, _SORT: {"S": key.sort}},
            ConsistentRead=True,
        )
        return self._record(answer["Item"]).record if "Item" in answer else None

    def commit(self, *puts: Put) -> None:
        """Write all or none; one record by PutItem, several by a transaction."""
        requests = [self._request(put) for put in puts]
        try:
            if len(requests) == 1:
                self._client.put_item(**requests[0])
            elif requests:
                self._client.transact_write_items(TransactItems=[{"Put": request} for request in requests])
        except self._client.exceptions.ConditionalCheckFailedException as error:
            raise Conflict(f"{puts[0].key} was changed meanwhile") from error
        except self._client.exceptions.TransactionConflictException as error:
            raise Conflict(f"{puts[0].key} is being changed right now") from error
        except ClientError as error:
            if _is_conflict(error):
                raise Conflict(f"one of {[put.key for put in puts]} was changed meanwhile") from error
            raise

    def partition(self, partition: str, *, prefix: str = "") -> Iterator[Found]:
        """List a partition, strongly consistent, to the last page."""
        condition = "#pk = :pk" + (" AND begins_with(#sk, :prefix)" if prefix else "")
        names = {"#pk": _PARTITION} | ({"#sk": _SORT} if prefix else {})
        values = {":pk": {"S": partition}} | ({":prefix": {"S": prefix}} if prefix else {})
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield self._record(item)

    def find(
        self, index: Index, value: str, *, until: str | None = None, newest_first: bool = False
    ) -> Iterator[Found]:
        """List an index's records by time, to the last page. Indexes are eventually consistent."""
        hash_name, range_name = INDEX_ATTRIBUTES[index]
        names = {"#hash": hash_name} | ({"#range": range_name} if until else {})
        values = {":hash": {"S": value}} | ({":until": {"S": until}} if until else {})
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            IndexName=index.value,
            KeyConditionExpression="#hash = :hash" + (" AND #range <= :until" if until else ""),
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=not newest_first,
        )
        for page in pages:
            for item in page["Items"]:
                yield self._record(item)

    def has_any(self, index: Index, value: str) -> bool:
        """Ask for one record of an index."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=index.value,
            KeyConditionExpression="#hash = :hash",
            ExpressionAttributeNames={"#hash": INDEX_ATTRIBUTES[index][0]},
            ExpressionAttributeValues={":hash": {"S": value}},
            Limit=1,
        )
        return bool(answer["Items"])

    def _request(self, put: Put) -> Any:
        record = {**put.record, "version": put.seen + 1, _PARTITION: put.key.partition, _SORT: put.key.sort}
        request: dict[str, Any] = {
            "TableName": self._table,
            "Item": {name: self._serializer.serialize(_storable(value)) for name, value in record.items()},
        }
        if put.seen == NEW:
            return request | {
                "ConditionExpression": "attribute_not_exists(#pk)",
                "ExpressionAttributeNames": {"#pk": _PARTITION},
            }
        return request | {
            "ConditionExpression": "#version = :seen",
            "ExpressionAttributeNames": {"#version": "version"},
            "ExpressionAttributeValues": {":seen": {"N": str(put.seen)}},
        }

    def _record(self, item: Mapping[str, Any]) -> Found:
        record = {name: _plain(self._deserializer.deserialize(value)) for name, value in item.items()}
        return Found(Key(record.pop(_PARTITION), record.pop(_SORT)), record)


def _is_conflict(error: ClientError) -> bool:
    reasons = error.response.get("CancellationReasons", [])
    return any(reason.get("Code") in _CONFLICTS for reason in reasons)


def _storable(value: Any) -> Any:
    """Convert floats, which DynamoDB's serializer refuses, to decimals."""
    if isinstance(value, float):
        return Decimal(str(value))
    if isinstance(value, Mapping):
        return {str(name): _storable(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(each) for each in value]
    return str(value) if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """Convert decimals back to the original numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value
