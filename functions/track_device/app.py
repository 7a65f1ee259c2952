"""Track device: job executions that ended, handed on to the device's own queue."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden.bootstrap import service
from warden.errors import Refused
from warden.observability import logger, metrics
from warden.refusals import record_refusal
from warden.tracking import track

_processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


def _track(record: dict[str, Any]) -> None:
    event = json.loads(record["body"])
    try:
        said = track(event, service())
    except Refused as refusal:
        record_refusal(service(), refusal, what=record["body"][:300])
        said = refusal.code
    logger.info("job event", extra={"job": str(event.get("jobId"))[:64], "result": said})


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics(raise_on_empty_metrics=False)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Take a batch of job execution events as the IoT rule queued them."""
    return dict(process_partial_response(event, _track, _processor, context))
