"""Serve device: answer the requests of devices on `warden/<thing>/...`."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.errors import Refused
from warden.core.logging import logger, metrics
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.queues.batches import process_batch
from warden.refusals import record_refusal
from warden.validation.strict_json import message_in


def _serve(record: dict[str, Any]) -> None:
    try:
        request = request_from(message_in(record["body"]))
    except Refused as refusal:
        record_refusal(bootstrap.context(), refusal, what=record["body"])
        logger.warning(
            "message refused",
            extra={"message_id": record["messageId"], "result": refusal.code, "reason": refusal.reason},
        )
        metrics.add_metric("Refused", MetricUnit.Count, 1)
        return
    said = serve(request, bootstrap.context())
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
