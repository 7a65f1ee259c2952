"""Process a batch from a queue record by record, and answer which records are to be delivered again.

This is Lambda's `ReportBatchItemFailures`: records that the answer does not name are deleted from the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from warden.core.logging import logger

type _Failures = dict[str, list[dict[str, str]]]


def process_batch(event: Mapping[str, Any], handle: Callable[[dict[str, Any]], None]) -> _Failures:
    """Handle each record of a standard queue; only those that fail are delivered again."""
    return {"batchItemFailures": [_named(record) for record in event["Records"] if not _is_handled(record, handle)]}


def process_fifo_batch(event: Mapping[str, Any], handle: Callable[[dict[str, Any]], None]) -> _Failures:
    """Handle each record of a FIFO queue; when a message fails, its group waits and the others continue."""
    failures, waiting = [], set()
    for record in event["Records"]:
        group = record["attributes"]["MessageGroupId"]
        if group in waiting:
            logger.info("message waits", extra={"message_id": record["messageId"]})
        elif _is_handled(record, handle):
            continue
        waiting.add(group)
        failures.append(_named(record))
    return {"batchItemFailures": failures}


def _is_handled(record: dict[str, Any], handle: Callable[[dict[str, Any]], None]) -> bool:
    """Handle a record and log a failure with its cause, which the answer cannot carry."""
    try:
        handle(record)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the record is delivered again
        logger.error("message failed", exc_info=error, extra={"message_id": record["messageId"]})
        return False
    return True


def _named(record: Mapping[str, Any]) -> dict[str, str]:
    return {"itemIdentifier": record["messageId"]}
