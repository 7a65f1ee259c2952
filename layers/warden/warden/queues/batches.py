"""What a queue hands to a function, record by record, and the answer that says which are to be delivered again.

The `ReportBatchItemFailures` of Lambda: whatever is not named in the answer is taken off the queue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from warden.core.logging import logger

type _Failures = dict[str, list[dict[str, str]]]


def process_batch(event: Mapping[str, Any], handle: Callable[[dict[str, Any]], None]) -> _Failures:
    """Handle each record of a standard queue; one that fails is delivered again, alone."""
    return {"batchItemFailures": [_named(record) for record in event["Records"] if not _is_handled(record, handle)]}


def process_fifo_batch(event: Mapping[str, Any], handle: Callable[[dict[str, Any]], None]) -> _Failures:
    """Handle each record of a FIFO queue; a group whose message fails waits, the other groups go on."""
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
    """Handle a record; a failure is logged with its cause, for the answer has no room for it."""
    try:
        handle(record)
    except Exception as error:  # noqa: BLE001 - whatever went wrong, the queue brings the record again
        logger.error("message failed", exc_info=error, extra={"message_id": record["messageId"]})
        return False
    return True


def _named(record: Mapping[str, Any]) -> dict[str, str]:
    return {"itemIdentifier": record["messageId"]}
