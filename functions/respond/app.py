"""Respond: process the case queue, one device at a time."""

from __future__ import annotations

import json
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.errors import Refused
from warden.core.logging import logger, metrics
from warden.queues.batches import process_fifo_batch
from warden.respond.dispatch import dispatch


def _respond(record: dict[str, Any]) -> None:
    message = json.loads(record["body"])
    refusal = dispatch(message, bootstrap.context())
    about = {"message_id": record["messageId"], "type": str(message.get("type"))[:60]}
    logger.info("message handled", extra=about | _result(refusal))
    metrics.add_metric("Refused" if refusal else "Handled", MetricUnit.Count, 1)


def _result(refusal: Refused | None) -> dict[str, str]:
    return {"result": refusal.code, "reason": refusal.reason} if refusal else {"result": "done"}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Process a batch; if a device's message fails, its later ones wait, and other devices continue."""
    return process_fifo_batch(event, _respond)
