"""Ingest: turn detectors' messages from the inbox queue into findings on the case queue."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.logging import log_refused, logger, metrics
from warden.ingest.envelopes import bare_records, unwrap
from warden.ingest.intake import ingest
from warden.queues.batches import process_batch


def _ingest(record: dict[str, Any], lambda_context: LambdaContext) -> None:
    warden = bootstrap.context()
    body, envelope = unwrap(record, warden.settings, warden.now())
    intake = ingest(
        body, envelope, warden, lambda: timedelta(milliseconds=lambda_context.get_remaining_time_in_millis())
    )
    if refusal := intake.refused:
        log_refused(envelope.message_id, refusal)
    else:
        logger.info("message taken in", extra={"message_id": envelope.message_id, "findings": intake.queued})
        metrics.add_metric("Findings", MetricUnit.Count, intake.queued)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch from the inbox, or one bare SNS or EventBridge event."""
    bare = bare_records(event)
    if bare is not None:
        for record in bare:
            _ingest(record, context)
        return {"batchItemFailures": []}
    return process_batch(event, lambda record: _ingest(record, context))
