"""Sweep certificates: on a schedule, find certificates that are due and enrol their devices for renewal."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.campaigns.inventory import Turn, resume_run, sweep_certificates
from warden.campaigns.inventory_runs import SweepResult
from warden.core.errors import Refused
from warden.core.logging import logger, metrics
from warden.queues.batches import process_batch
from warden.refusals import record_if_refused


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Start a sweep when the schedule says so, or resume one that queued a message for itself."""

    def time_left() -> timedelta:
        return timedelta(milliseconds=context.get_remaining_time_in_millis())

    turn = Turn(bootstrap.context(), time_left, bootstrap.rate_limiter())
    if "Records" in event:
        return process_batch(event, lambda record: _resume(record, turn))
    result = sweep_certificates(
        turn,
        trigger=context.aws_request_id,
        only_during_campaign=event.get("onlyDuringCampaign") is True,
        only_the_first=event.get("onlyTheFirst") is True,
    )
    if result is not SweepResult.NOT_THE_FIRST:  # a hundred a day, and none of them is a sweep
        _log(result)
    return {"sweep": result}


def _resume(record: dict[str, Any], turn: Turn) -> None:
    body = record["body"]
    resumed = record_if_refused(lambda: resume_run(_run_in(body), turn), turn.context, what=body)
    _log(resumed.code if isinstance(resumed, Refused) else resumed, message_id=record["messageId"])


def _run_in(body: str) -> str:
    try:
        run = json.loads(body)["run"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise Refused(
            "not-a-run", "the message names no run of the sweep; only the sweep writes on this queue"
        ) from error
    return str(run)


def _log(result: str, *, message_id: str = "") -> None:
    metrics.add_metric("CertificateSweeps", MetricUnit.Count, 1)
    logger.info("certificates swept", extra={"message_id": message_id, "result": result})
