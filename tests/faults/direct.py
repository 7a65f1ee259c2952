"""moto's own operations of AWS IoT without the SDK's and moto's way to them: no request is written, and none is read.

Serializing, routing and parsing take moto five times as long as the answer. The answer is moto's, and has the shape and
the types that the SDK makes of it; test_engine.py holds it against the SDK's, in every flow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.iot.models import IoTBackend
from moto.iot.responses import IoTResponse
from werkzeug.exceptions import HTTPException

from tests.aws_stand_in.shapes import shaped
from tests.faults.fault_transport import Call

OPERATIONS = {
    "AddThingToThingGroup": "add_thing_to_thing_group",
    "AttachPolicy": "attach_policy",
    "AttachThingPrincipal": "attach_thing_principal",
    "DescribeCertificate": "describe_certificate",
    "DescribeJobExecution": "describe_job_execution",
    "DescribeThing": "describe_thing",
    "DetachPolicy": "detach_policy",
    "DetachThingPrincipal": "detach_thing_principal",
    "ListAttachedPolicies": "list_attached_policies",
    "ListCertificates": "list_certificates",
    "ListPrincipalThings": "list_principal_things",
    "ListThingGroupsForThing": "list_thing_groups_for_thing",
    "ListThingPrincipals": "list_thing_principals",
    "RegisterCertificateWithoutCA": "register_certificate_without_ca",
    "RemoveThingFromThingGroup": "remove_thing_from_thing_group",
    "UpdateCertificate": "update_certificate",
    "UpdateThingGroupsForThing": "update_thing_groups_for_thing",
}
"""What is asked often. The rest, and every refusal, is left to the SDK."""


class _Request(IoTResponse):
    """A request that has been read already."""

    def __init__(self, backend: IoTBackend, parameters: Mapping[str, Any]) -> None:
        super().__init__()
        self._backend = backend
        self._parameters = parameters
        self.headers = {"x-amzn-principal": parameters.get("principal")}

    @property
    def iot_backend(self) -> IoTBackend:
        """Return the one backend, whatever account and region the request names."""
        return self._backend

    def _get_param(self, param_name: str, if_none: Any = None) -> Any:
        return self._parameters.get(param_name, if_none)


def answered(backend: IoTBackend, call: Call) -> dict[str, Any] | None:
    """Let moto answer a request; return None if it refuses, which changes nothing."""
    try:
        result: Any = getattr(_Request(backend, call.parameters), OPERATIONS[call.operation])().result
    except HTTPException:
        return None
    shape = call.model.operation_model(call.operation).output_shape
    answer: dict[str, Any] = shaped(shape, result) if shape and result else {}
    return answer
