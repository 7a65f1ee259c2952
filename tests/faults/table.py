"""DynamoDB as far as the ledger uses it: conditional writes, transactions, and queries in pages of two.

moto could do it, four times slower, and gives a page of up to a megabyte: here no query of three records has one page.
test_table.py holds it against moto.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.aws_stand_in.refusal import Refusal

PAGE = 2

type Item = Mapping[str, Any]
type Items = dict[tuple[str, str], Item]

_INDEXES = {"state": ("case_state", "opened_at"), "thing": ("case_thing", "opened_at"), "due": ("due", "due_at")}


class Cancelled(Refusal):
    """A transaction that wrote nothing; `reasons` are DynamoDB's own codes, one for each write."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("TransactionCanceledException", f"specific reasons [{', '.join(reasons)}]")
        self.reasons = reasons


def get(items: Items, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read one item."""
    found = items.get(_key(asked["Key"]))
    return {} if found is None else {"Item": found}


def put(items: Items, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write one item, on its condition."""
    if not _holds(items, asked):
        raise Refusal("ConditionalCheckFailedException", "The conditional request failed")
    items[_key(asked["Item"])] = asked["Item"]
    return {}


def transact(items: Items, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Write all, or none."""
    puts = [each["Put"] for each in asked["TransactItems"]]
    reasons = ["None" if _holds(items, each) else "ConditionalCheckFailed" for each in puts]
    if any(reason != "None" for reason in reasons):
        raise Cancelled(reasons)
    items.update({_key(each["Item"]): each["Item"] for each in puts})
    return {}


def query(items: Items, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List a partition, or one of an index, a page of it."""
    hash_name, range_name = _INDEXES[asked["IndexName"]] if "IndexName" in asked else ("pk", "sk")
    found = [each for each in items.values() if hash_name in each and range_name in each and _matches(each, asked)]
    found.sort(key=lambda each: (each[range_name]["S"], _key(each)))
    if not asked.get("ScanIndexForward", True):
        found.reverse()
    begin = 0
    if "ExclusiveStartKey" in asked:
        begin = [_key(each) for each in found].index(_key(asked["ExclusiveStartKey"])) + 1
    page = found[begin : begin + PAGE]
    if begin + PAGE >= len(found):
        return {"Items": page, "Count": len(page)}
    last = {name: page[-1][name] for name in {"pk", "sk", hash_name, range_name}}
    return {"Items": page, "Count": len(page), "LastEvaluatedKey": last}


def _key(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _holds(items: Items, asked: Mapping[str, Any]) -> bool:
    there = items.get(_key(asked["Item"]), {})
    names = asked.get("ExpressionAttributeNames", {})
    match asked["ConditionExpression"].split(" "):
        case [absent] if absent.startswith("attribute_not_exists("):
            return names[absent[len("attribute_not_exists(") : -1]] not in there
        case [name, "=", value]:
            return bool(there.get(names[name]) == asked["ExpressionAttributeValues"][value])
    raise AssertionError(f"the ledger has a new condition: {asked['ConditionExpression']}")


def _matches(item: Item, asked: Mapping[str, Any]) -> bool:
    names, values = asked["ExpressionAttributeNames"], asked["ExpressionAttributeValues"]
    for part in asked["KeyConditionExpression"].split(" AND "):
        match part.replace("begins_with(", "begins_with ").replace(",", "").replace(")", "").split(" "):
            case ["begins_with", name, value]:
                holds = item[names[name]]["S"].startswith(values[value]["S"])
            case [name, "=", value]:
                holds = item[names[name]] == values[value]
            case [name, "<=", value]:
                holds = item[names[name]]["S"] <= values[value]["S"]
            case _:
                raise AssertionError(f"the ledger has a new condition: {part}")
        if not holds:
            return False
    return True
