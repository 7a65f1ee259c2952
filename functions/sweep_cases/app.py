"""Sweep cases: every five minutes, queue what is due, and keep the log level of contained devices."""

from __future__ import annotations

from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.logging import logger, metrics
from warden.logs.group_level import keep_level
from warden.respond.due import sweep


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Queue what is due; the presence of the metric shows that the sweep runs. The level comes last: it can wait."""
    queued = sweep(bootstrap.context())
    metrics.add_metric("SweepQueued", MetricUnit.Count, queued)
    logger.info("swept", extra={"queued": queued})
    level = keep_level(bootstrap.level_keeper())
    if level is not None:
        logger.info("level of the restricted group", extra=level.facts)
    return {"queued": queued}
