"""Logs and metrics: one line of JSON for each record, one metric line for each run."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from warden.core.errors import Refused

_TEXT = 2_000
"""How many characters of a string are logged, from both ends: an error may quote the message it failed on."""

_ENTRIES = 20
"""How many entries of a list are logged: a recursion that went too deep has a thousand frames."""


def one_line(record: Mapping[str, Any]) -> str:
    """Write a log record in ASCII and within bounds.

    Powertools would leave characters beyond ASCII as they are. Some readers take NEL and U+2028 for the end of a
    line, a terminal obeys control characters, and half a surrogate pair cannot be written as UTF-8.
    """
    return json.dumps(_bounded(record), separators=(",", ":"))


def _bounded(value: object) -> object:
    match value:
        case None | bool() | int():
            return value
        case Mapping():
            return {name: _bounded(each) for name, each in value.items()}
        case list() | tuple():
            return [_bounded(each) for each in value[-_ENTRIES:]]
        case _:  # Powertools puts the error itself beside its traceback
            text = str(value)
            return text if len(text) <= _TEXT else f"{text[: _TEXT // 2]} ... {text[-_TEXT // 2 :]}"


# When every record of a run fails, Python would print this warning in two lines that are not JSON.
warnings.filterwarnings("ignore", "No application metrics", UserWarning)

logger = Logger(service="fleet-warden", utc=True, json_serializer=one_line)
metrics = Metrics(namespace="FleetWarden", service="fleet-warden")


def log_refused(message_id: str, refusal: Refused) -> None:
    """Write the line of a message that was refused, and count it."""
    result = {"result": refusal.code, "reason": refusal.reason}
    logger.warning("message refused", extra={"message_id": message_id, **result})
    metrics.add_metric("Refused", MetricUnit.Count, 1)
