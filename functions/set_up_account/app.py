"""Set up account: the custom resource for settings that CloudFormation cannot make."""

from __future__ import annotations

import json
from typing import Any

import urllib3
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden.account import set_up, tear_down
from warden.bootstrap import account_settings, level_keeper
from warden.core.logging import logger
from warden.logs.group_level import take_level_back

_PHYSICAL_ID = "fleet-warden-account"


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> None:
    """Make the settings and answer CloudFormation on every path: without an answer a stack hangs for an hour."""
    reason = said = ""
    try:
        properties = event["ResourceProperties"]
        work = _tear_down if event["RequestType"] == "Delete" else _set_up
        said = work(properties["RestrictedGroup"], properties["RestrictedPolicy"])
    except Exception as error:  # noqa: BLE001 - whatever it is, CloudFormation must hear of it, with its reason
        logger.exception("account not set up")
        reason = f"{type(error).__name__}: {error}"
    else:
        logger.info("account set up", extra={"request": event["RequestType"]})
    _answer(event, "FAILED" if reason else "SUCCESS", reason or said)


def _set_up(group: str, policy: str) -> str:
    set_up(account_settings(), group, policy)
    return ""


def _tear_down(group: str, policy: str) -> str:
    """Undo the settings; return what could not be undone and does not stop the stack's deletion."""
    tear_down(account_settings(), group, policy)
    level = take_level_back(level_keeper())
    if level is None or not level.ours:
        return ""
    logger.warning("level of the restricted group", extra=level.facts)
    return f"the log level of {group} stays: {level.state} {level.action} {level.code}".rstrip()


def _answer(event: dict[str, Any], status: str, reason: str) -> None:
    body = {
        "Status": status,
        "Reason": reason[:1000] or "done",
        "PhysicalResourceId": event.get("PhysicalResourceId", _PHYSICAL_ID),
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": event["LogicalResourceId"],
    }
    # An empty Content-Type: the presigned URL was signed without one.
    urllib3.PoolManager().request(
        "PUT", event["ResponseURL"], body=json.dumps(body).encode(), headers={"Content-Type": ""}, retries=5, timeout=10
    )
