"""Workarounds for the differences between MiniStack and AWS that matter here.

Each bridge wraps one function of MiniStack's while the server starts. `tests/e2e/test_local_aws.py` runs each with and
without its bridge, and fails when the bridge is no longer needed: then delete it. If a function is
gone, or its parameters have changed since MiniStack 1.5.33, the server stops with a BridgeError.

Three differences are not bridged, and the product must work with them. `iot-data:DeleteConnection` is missing
(InvalidRequestException). Policies attached to thing groups do not apply on the MQTT broker. Device Defender and
GuardDuty have no API.
"""

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any


class BridgeError(Exception):
    """Raised when MiniStack is not the version that a bridge was built for."""


def install() -> None:
    """Install every bridge. Call this before importing `ministack.app`, which copies names from its modules."""
    iot_calls_are_authorised_on_what_they_name()
    batches_need_the_permission_of_one()
    function_urls_say_who_calls()
    functions_see_only_their_layers()
    loopback_counts_as_secure_transport()


def iot_calls_are_authorised_on_what_they_name() -> None:
    """Check IoT calls against the resources that AWS's service authorisation reference lists for them.

    AWS: `AttachPolicy` needs the permission on the certificate or thing group it names, `CreateJob` on the job and on
    each of its targets, `DetachThingPrincipal` on the certificate in its header, and so on.
    MiniStack: looks for the resource in the path only, and so checks many of these calls on `*`, or on a thing. A role
    that names exactly what it may touch is refused, and a role that lacks a permission may pass.
    """
    from ministack.core import iam_actions

    first = original(
        *(iam_actions, "extract_resource_arn"),
        *("service", "method", "path", "headers", "body", "query_params", "region", "account_id"),
    )
    all_of_them = original(iam_actions, "iot_resource_arns", "method", "path", "body", "region", "account_id")
    operation_of = original(iam_actions, "_match_rest_action", "service", "method", "path", "query_params")

    def named(service: str, method: str, path: str, headers: Any, body: bytes, scope: tuple[str, str]) -> list[str]:
        names = _NAMED_BY.get(operation_of(service, method, path) or "")
        return names(_IotCall(path, headers, body, *scope)) if names else []

    def extract_resource_arn(
        service: str, method: str, path: str, headers: Any, body: bytes, query: Any, region: str, account_id: str
    ) -> Any:
        if service in ("iot", "iot-data"):
            arns = named(service, method, path, headers, body, (region, account_id))
            if arns:
                return arns[0]
        return first(service, method, path, headers, body, query, region, account_id)

    def iot_resource_arns(method: str, path: str, body: bytes, region: str, account_id: str) -> Any:
        # MiniStack checks the first of these as the call's resource and then every other one.
        arns = named("iot", method, path, {}, body, (region, account_id))
        return arns or all_of_them(method, path, body, region, account_id)

    replace(iam_actions, "extract_resource_arn", extract_resource_arn)
    replace(iam_actions, "iot_resource_arns", iot_resource_arns)


@dataclass(frozen=True)
class _IotCall:
    path: str
    headers: Mapping[str, str]
    body: bytes
    region: str
    account_id: str

    def arn(self, resource: str) -> str:
        return f"arn:aws:iot:{self.region}:{self.account_id}:{resource}"

    def segment(self, index: int) -> str:
        return self.path.strip("/").split("/")[index]

    def field(self, name: str) -> Any:
        try:
            content = json.loads(self.body or b"{}")
        except ValueError:  # MiniStack chooses the answer
            return None
        return content.get(name) if isinstance(content, dict) else None

    def strings(self, name: str) -> list[str]:
        value = self.field(name)
        return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str)]

    def principal(self) -> list[str]:
        value = self.headers.get("x-amzn-principal")
        return [value] if value else []


# The operations that we use and that AWS authorises on a resource that MiniStack does not look for.
_NAMED_BY: Mapping[str, Callable[[_IotCall], list[str]]] = {
    "AttachPolicy": lambda call: call.strings("target"),
    "DetachPolicy": lambda call: call.strings("target"),
    "AttachThingPrincipal": lambda call: call.principal(),
    "DetachThingPrincipal": lambda call: call.principal(),
    "ListPrincipalThings": lambda call: call.principal(),
    "GetEffectivePolicies": lambda call: call.strings("principal"),
    "UpdateThingGroupsForThing": lambda call: [
        *(call.arn(f"thing/{name}") for name in call.strings("thingName")),
        *(call.arn(f"thinggroup/{name}") for key in ("Add", "Remove") for name in call.strings(f"thingGroupsTo{key}")),
    ],
    "ListTargetsForPolicy": lambda call: [call.arn(f"policy/{call.segment(1)}")],
    "CreateJob": lambda call: [call.arn(f"job/{call.segment(1)}"), *call.strings("targets")],
    "DeleteConnection": lambda call: [call.arn(f"client/{call.segment(1)}")],
}


def batches_need_the_permission_of_one() -> None:
    """Check `SendMessageBatch` as `sqs:SendMessage`.

    AWS: has no separate action for SQS batches; one permission covers one message and ten.
    MiniStack: asks for `sqs:SendMessageBatch`, which AWS does not know, so it refuses a role that is correct on AWS.
    """
    from ministack.core import iam_actions

    action_of = original(
        iam_actions, "extract_iam_action", "service", "method", "path", "headers", "body", "query_params"
    )

    def extract_iam_action(*arguments: Any, **options: Any) -> Any:
        action = action_of(*arguments, **options)
        return "sqs:SendMessage" if action == "sqs:SendMessageBatch" else action

    replace(iam_actions, "extract_iam_action", extract_iam_action)


def function_urls_say_who_calls() -> None:
    """Name the caller in `requestContext.authorizer.iam` of a function URL's event.

    AWS: does this for every URL with AuthType AWS_IAM; functions learn from it who the operator is.
    MiniStack: checks the signature and the caller's permission, then leaves the caller out of the event.
    """
    from ministack.core import iam_evaluator, router
    from ministack.services import lambda_svc

    build = original(
        *(lambda_svc, "_build_function_url_event"),
        *("url_id", "account_id", "region", "method", "path", "headers", "body", "query_params"),
        *("source_ip", "anonymous", "trace_root"),
    )
    access_key_of = original(router, "extract_access_key_id", "headers", "query_params")
    identity_of = original(iam_evaluator, "resolve_caller_identity", "access_key_id")

    def build_with_caller(*arguments: Any, **options: Any) -> Any:
        event = build(*arguments, **options)
        given = inspect.signature(build).bind(*arguments, **options).arguments
        if not given.get("anonymous"):
            caller = identity_of(access_key_of(given["headers"], given["query_params"])) or {}
            event["requestContext"]["authorizer"] = {
                "iam": {
                    "accessKey": caller.get("accessKey"),
                    "accountId": caller.get("accountId"),
                    "callerId": caller.get("userId"),
                    "cognitoIdentity": None,
                    "principalOrgId": caller.get("principalOrgId"),
                    "userArn": caller.get("userArn"),
                    "userId": caller.get("userId"),
                }
            }
        return event

    replace(lambda_svc, "_build_function_url_event", build_with_caller)


def functions_see_only_their_layers() -> None:
    """Run functions on the bare interpreter, so that a dependency missing from a layer is missing here too.

    AWS: a function imports its own code, its layers and the packages of the runtime.
    MiniStack: runs it with its own interpreter, here a virtual environment full of development tools.
    """
    from ministack.core import lambda_runtime

    detect = original(lambda_runtime, "_detect_runtime_binary", "runtime")

    def detect_bare(runtime: str) -> Any:
        binary, script = detect(runtime)
        return (_bare_interpreter() if binary == sys.executable else binary), script

    replace(lambda_runtime, "_detect_runtime_binary", detect_bare)


def _bare_interpreter() -> str:
    executable = getattr(sys, "_base_executable", None)
    if not isinstance(executable, str):
        raise BridgeError("this Python does not say which interpreter its virtual environment was made from")
    return executable


def loopback_counts_as_secure_transport() -> None:
    """Let a request over the loopback interface pass `aws:SecureTransport`.

    AWS: uses TLS, and policies refuse anything else.
    MiniStack: uses plain HTTP here, on 127.0.0.1 only, and so the same policies would refuse everything.
    """
    from ministack.core import iam_evaluator

    pin = original(iam_evaluator, "pin_request_origin", "source_ip", "secure_transport")

    def pin_as_secure(source_ip: str, secure_transport: bool) -> None:
        pin(source_ip, secure_transport or source_ip == "127.0.0.1")

    replace(iam_evaluator, "pin_request_origin", pin_as_secure)


def original(module: ModuleType, name: str, *parameters: str) -> Callable[..., Any]:
    """Find the function that a bridge wraps, and check that its parameters are the expected ones."""
    function: Callable[..., Any] | None = getattr(module, name, None)
    if function is None:
        raise BridgeError(f"{module.__name__}.{name} is gone")
    found = tuple(inspect.signature(function).parameters)
    if found != parameters:
        raise BridgeError(
            f"{module.__name__}.{name} takes {', '.join(found)}; the bridge knows {', '.join(parameters)}"
        )
    return function


def replace(module: ModuleType, name: str, function: Callable[..., Any]) -> None:
    if "ministack.app" in sys.modules:
        raise BridgeError(f"too late to replace {module.__name__}.{name}: ministack.app has been imported")
    setattr(module, name, function)
