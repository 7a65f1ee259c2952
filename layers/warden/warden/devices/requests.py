"""A request of a device: read from the queue and checked against the certificate it came with.

Identity comes from the topic, the principal and the registry, never from the payload.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from warden.context import Context
from warden.core import quotas
from warden.core.errors import Refused
from warden.validation.strict_json import message_in

_PAYLOAD_BYTES = 64 * 1024
_TOKEN_CHARACTERS = 64


@dataclass(frozen=True, kw_only=True)
class DeviceRequest:
    """A request as the IoT rule forwards it: AWS IoT itself states everything except `payload`."""

    thing: str
    resource: str
    verb: str
    principal: str
    client: str
    payload: bytes

    @property
    def topic(self) -> str:
        """The topic it came on."""
        return f"warden/{self.thing}/{self.resource}/{self.verb}"

    @property
    def certificate(self) -> str:
        """The certificate it came with."""
        return self.principal.lower()


def request_from(message: Mapping[str, Any]) -> DeviceRequest:
    """Read what the IoT rule put on the queue.

    Raises:
        Refused: when it is not a message of the rule.
    """
    names = ("thing", "resource", "verb", "principal", "client")
    fields = {name: message.get(name) for name in names}
    if not all(isinstance(value, str) and value for value in fields.values()) or not isinstance(
        message.get("payload"), str
    ):
        raise Refused("not-a-device-request", f"the message lacks one of {', '.join((*names, 'payload'))}")
    if not re.fullmatch(quotas.THING_NAME, str(fields["thing"])):  # a topic can hold any string, the registry cannot
        raise Refused("not-a-device-request", "the topic has a thing name that AWS IoT would not register")
    try:
        payload = b64decode(message["payload"], validate=True)
    except ValueError as error:  # a string that is not ASCII fails before it is decoded
        raise Refused("not-a-device-request", "the payload is not base64, which the IoT rule writes") from error
    return DeviceRequest(**fields, payload=payload)  # type: ignore[arg-type]  # all checked to be str just above


def body_of(request: DeviceRequest) -> Mapping[str, Any]:
    """Read the payload.

    Raises:
        Refused: payload-too-large, payload-not-json.
    """
    if len(request.payload) > _PAYLOAD_BYTES:
        raise Refused(
            "payload-too-large", f"the payload has {len(request.payload)} bytes; at most {_PAYLOAD_BYTES} are accepted"
        )
    try:
        return message_in(request.payload.decode())
    except (UnicodeDecodeError, Refused) as error:
        raise Refused("payload-not-json", "the payload is not one JSON object in UTF-8, each key once") from error


def token_of(body: Mapping[str, Any]) -> str:
    """Read the token by which the device recognises its answer.

    Raises:
        Refused: client-token.
    """
    token = body.get("clientToken")
    if not isinstance(token, str) or not 1 <= len(token) <= _TOKEN_CHARACTERS:
        raise Refused(
            "client-token",
            f"`clientToken` must be a string of 1 to {_TOKEN_CHARACTERS} characters, chosen by the device",
        )
    return token


def require_own(request: DeviceRequest, context: Context) -> list[str]:
    """Check that a request's certificate belongs to the thing in the topic and is ACTIVE; return all of the thing's.

    A session stays open when its certificate is set INACTIVE, so the status is checked as well.

    Raises:
        Refused: not-yours, not-active.
    """
    certificates = context.ports.registry.certificates_of(request.thing)
    if request.certificate not in certificates:
        raise Refused("not-yours", f"the certificate in use is not attached to {request.thing}")
    certificate = context.ports.certificates.read(request.certificate)
    if certificate is None or not certificate.is_active:
        raise Refused("not-active", "the certificate in use is not ACTIVE")
    return certificates


def require_in_progress(job_id: str, thing: str, context: Context) -> None:
    """Ask IoT Jobs whether the thing is working on a job.

    Raises:
        Refused: no-job.
    """
    execution = context.ports.jobs.execution(job_id, thing)
    if execution is None or execution.status != "IN_PROGRESS":
        status = execution.status if execution else "not there"
        raise Refused("no-job", f"job {job_id} is {status} for {thing}; it must be IN_PROGRESS")
