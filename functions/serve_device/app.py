"""Serve device: answer the requests of devices on `warden/<thing>/...`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.errors import Refused
from warden.core.logging import log_refused, logger, metrics
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.queues.batches import process_batch
from warden.refusals import record_if_refused
from warden.validation.strict_json import message_in


def _serve(record: dict[str, Any]) -> None:
    body, warden = record["body"], bootstrap.context()
    request = record_if_refused(lambda: request_from(message_in(body)), warden, what=body)
    if isinstance(request, Refused):
        log_refused(record["messageId"], request)
        return
    said = serve(request, warden)
    logger.info(
        "device answered",
        extra={
            "message_id": record["messageId"],
            "thing": request.thing,
            "resource": request.resource,
            "verb": request.verb,
            "result": said,
        },
    )
    metrics.add_metric("DeviceRequests", MetricUnit.Count, 1)


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch of device requests from the IoT rule's queue."""
    return process_batch(event, _serve)
