"""Logs and metrics: one line of JSON for each record, one metric line for each run."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, SqsFifoPartialProcessor

logger = Logger(service="fleet-warden", utc=True)
metrics = Metrics(namespace="FleetWarden", service="fleet-warden")


class _Loud:
    """Logs each record that fails, once, with its cause: a partial batch response alone would keep it to itself."""

    def failure_handler(self, record: Any, exception: Any) -> Any:
        logger.error("message failed", exc_info=exception, extra={"message_id": record.message_id})
        return super().failure_handler(record, exception)  # type: ignore[misc]  # of the processor beside us


class LoudBatchProcessor(_Loud, BatchProcessor):
    """Takes a standard queue's batch; what fails is delivered again, alone."""

    def __init__(self) -> None:
        super().__init__(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


class LoudFifoProcessor(_Loud, SqsFifoPartialProcessor):
    """Takes a FIFO queue's batch; a group whose message fails waits, the other groups go on."""

    def __init__(self) -> None:
        super().__init__(skip_group_on_error=True)
        self.raise_on_entire_batch_failure = False
