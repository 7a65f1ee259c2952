"""Batches: a failed message and those behind it in its group are named and delivered again; the rest is done."""

from __future__ import annotations

from typing import Any

import pytest

from tests.functions.conftest import batch
from warden.queues.batches import process_batch, process_fifo_batch


class Handled:
    """Handles records, and fails on the given ones."""

    def __init__(self, *failing: str) -> None:
        self.failing = failing
        self.done: list[str] = []

    def __call__(self, record: dict[str, Any]) -> None:
        if record["body"] in self.failing:
            raise RuntimeError(record["body"])
        self.done.append(record["body"])


def named(*numbers: int) -> dict[str, Any]:
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def grouped(*groups: str) -> dict[str, Any]:
    event = batch(*(f"{group}-{number}" for number, group in enumerate(groups)))
    for record, group in zip(event["Records"], groups, strict=True):
        record["attributes"]["MessageGroupId"] = group
    return event


def test_of_a_standard_queue_only_what_failed_comes_again() -> None:
    handled = Handled("b", "d")

    assert process_batch(batch("a", "b", "c", "d"), handled) == named(1, 3)
    assert handled.done == ["a", "c"]


def test_a_batch_that_fails_whole_is_named_whole() -> None:
    assert process_batch(batch("a", "b"), Handled("a", "b")) == named(0, 1)
    assert process_fifo_batch(grouped("x", "x"), Handled("x-0", "x-1")) == named(0, 1)


def test_a_group_waits_behind_its_failure_and_the_others_go_on() -> None:
    handled = Handled("x-1")

    assert process_fifo_batch(grouped("x", "x", "y", "x", "y"), handled) == named(1, 3)
    assert handled.done == ["x-0", "y-2", "y-4"]


def test_what_waits_has_its_line_as_what_failed_has(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    process_fifo_batch(grouped("x", "x", "y"), Handled("x-0"))

    assert [(line.getMessage(), line.__dict__["message_id"]) for line in caplog.records] == [
        ("message failed", "message-0"),
        ("message waits", "message-1"),
    ]
