"""Track device: forward ended job executions to the device's group."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.errors import Refused
from warden.core.logging import logger, metrics
from warden.devices.job_events import track
from warden.queues.batches import process_batch
from warden.refusals import record_if_refused
from warden.validation.strict_json import message_in


def _track(record: dict[str, Any]) -> None:
    body, warden = record["body"], bootstrap.context()
    tracked = record_if_refused(lambda: track(message_in(body), warden), warden, what=body)
    result = tracked.code if isinstance(tracked, Refused) else tracked
    metrics.add_metric("JobEvents", MetricUnit.Count, 1)
    logger.info("job event", extra={"message_id": record["messageId"], "result": result})


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of job execution events from the IoT rule's queue."""
    return process_batch(event, _track)
