"""Operate: answer the `warden` command over a function URL that AWS authenticates (AuthType AWS_IAM)."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.errors import Refused
from warden.core.logging import logger
from warden.operate.commands import operate
from warden.validation.strict_json import message_in

_STATUS = {"unknown-command": 400, "bad-argument": 400, "not-json": 400, "no-such-case": 404, "not-authenticated": 403}
_CONFLICT = 409


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one command; the caller is the identity from AWS, never a value of the payload."""
    who = ""
    try:
        who = _caller(event)
        command = _command(event)
        answer = operate(command, who, event["requestContext"]["requestId"], bootstrap.context())
    except Refused as refusal:
        logger.warning("operator refused", extra={"who": who, "code": refusal.code})
        return _response(_STATUS.get(refusal.code, _CONFLICT), {"error": refusal.code, "message": refusal.reason})
    # By now the command has a known name and the case id is ours; nothing else of the payload is repeated.
    logger.info("operator answered", extra={"who": who, "command": command["command"], "case": answer.get("case", "")})
    return _response(200, answer)


def _caller(event: dict[str, Any]) -> str:
    try:
        return str(event["requestContext"]["authorizer"]["iam"]["userArn"])
    except (KeyError, TypeError) as error:
        raise Refused("not-authenticated", "the call carries no identity; use the function's URL, signed") from error


def _command(event: dict[str, Any]) -> Mapping[str, Any]:
    text = event.get("body") or ""
    try:
        return message_in(b64decode(text).decode() if event.get("isBase64Encoded") else text)
    except (ValueError, Refused) as error:
        raise Refused("not-json", "the body is not one JSON object, each key once") from error


def _response(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {"statusCode": status, "headers": {"Content-Type": "application/json"}, "body": json.dumps(body)}
