"""Sweep cases: every five minutes, send everything that is due to its device's group."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.logging import logger, metrics
from warden.respond.due import sweep


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Queue what is due; the presence of the metric shows that the sweep runs."""
    queued = sweep(bootstrap.context())
    metrics.add_metric("SweepQueued", MetricUnit.Count, queued)
    logger.info("swept", extra={"queued": queued})
    return {"queued": queued}
