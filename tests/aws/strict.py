"""moto made as strict as AWS: every request is held against botocore's own model, and against rules moto lacks.

botocore ships the patterns, lengths and enumerations of every API but enforces almost none of them, and moto takes
what it is given. Here a request that AWS would turn down is turned down, with the error AWS gives.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

_JAVA_CLASSES = {r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{C}": r"\x00-\x1f\x7f-\x9f"}
_INVALID = {"iot": "InvalidRequestException", "iot-data": "InvalidRequestException", "sns": "InvalidParameter"}
_GROUPS_PER_THING = 10
_POLICIES_PER_CERTIFICATE = 10
_SUBJECT_CHARACTERS = 100
_TIMEOUT_MINUTES = 10080

type _Call = Callable[[BaseClient, str, dict[str, Any]], dict[str, Any]]


def complaints(shape: Shape, value: Any, where: str = "") -> Iterator[str]:
    """Say everything about a value that the model of its shape does not allow."""
    if isinstance(shape, StringShape):
        yield from _text(shape, value, where)
    elif shape.type_name in ("integer", "long", "float", "double"):
        yield from _length(shape, value, where)
    elif isinstance(shape, ListShape):
        yield from _length(shape, len(value), where)
    for member, name, part in _parts(shape, value):
        yield from complaints(member, part, f"{where}.{name}")


def _parts(shape: Shape, value: Any) -> Iterator[tuple[Shape, object, Any]]:
    if isinstance(shape, StructureShape):
        yield from ((shape.members[name], name, part) for name, part in value.items())
    elif isinstance(shape, ListShape):
        yield from ((shape.member, number, part) for number, part in enumerate(value))
    elif isinstance(shape, MapShape):
        yield from ((shape.key, name, name) for name in value)
        yield from ((shape.value, name, part) for name, part in value.items())


def _length(shape: Shape, size: float, where: str) -> Iterator[str]:
    if not shape.metadata.get("min", size) <= size <= shape.metadata.get("max", size):
        yield f"{where}: {size} is not between {shape.metadata.get('min')} and {shape.metadata.get('max')}"


def _text(shape: Shape, value: str, where: str) -> Iterator[str]:
    yield from _length(shape, len(value), where)
    enumeration = shape.metadata.get("enum")
    if enumeration and value not in enumeration:
        yield f"{where}: {value!r} is none of {enumeration}"
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield f"{where}: {value!r} does not match {pattern}"


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    for java, python in _JAVA_CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, re.ASCII)


class StrictAws:
    """Stands in front of every client: refuses what AWS refuses, and remembers every call that was made."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._jobs: set[str] = set()
        self.on_moto = True
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service = client.meta.service_model.service_name
        self.calls.append((service, operation, dict(parameters)))
        shape = client.meta.service_model.operation_model(operation).input_shape
        # A missing or mistyped parameter is botocore's own complaint, made before anything is sent.
        with suppress(AttributeError, KeyError, TypeError):
            if shape and (wrong := list(complaints(shape, parameters))):
                raise _error(client, operation, _INVALID.get(service, "ValidationException"), "; ".join(wrong))
        if not self.on_moto:
            return self._call(client, operation, parameters)
        for rule in _RULES[service, operation]:
            rule(self, client, parameters)
        answer = self._call(client, operation, parameters)
        if operation == "CreateJob":
            self._jobs.add(parameters["jobId"])
        if operation == "ListCertificates" and not parameters.get("ascendingOrder"):
            answer["certificates"].reverse()  # moto lists them in the order they were made, whatever is asked for
        if operation == "CreateCertificateFromCsr" and not parameters.get("setAsActive"):
            # moto makes it ACTIVE whatever is asked for.
            self._call(client, "UpdateCertificate", {"certificateId": answer["certificateId"], "newStatus": "INACTIVE"})
        return answer

    def forget(self) -> None:
        """Leave out of the record what was called so far."""
        self.calls.clear()

    def made(self, operation: str) -> list[dict[str, Any]]:
        """List the parameters of every call of an operation."""
        return [parameters for _, name, parameters in self.calls if name == operation]

    def _new_job(self, client: BaseClient, parameters: Mapping[str, Any]) -> None:
        if parameters["jobId"] in self._jobs:
            raise _error(client, "CreateJob", "ResourceAlreadyExistsException", "the job exists")
        minutes = parameters.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes", 1)
        if not 1 <= minutes <= _TIMEOUT_MINUTES:
            raise _error(client, "CreateJob", "InvalidRequestException", "inProgressTimeoutInMinutes is out of range")
        for target in parameters["targets"]:
            # A thing's name may hold colons, so the ARN is not cut at those.
            _, is_thing, name = target.partition(":thing/")
            if is_thing:
                self._call(client, "DescribeThing", {"thingName": name})

    def _known_job(self, client: BaseClient, parameters: Mapping[str, Any]) -> None:
        if parameters["jobId"] not in self._jobs:
            raise _error(client, "CancelJob", "ResourceNotFoundException", "there is no such job")

    def _room_in_groups(self, client: BaseClient, parameters: Mapping[str, Any]) -> None:
        listed = self._call(client, "ListThingGroupsForThing", {"thingName": parameters["thingName"]})
        names = [group["groupName"] for group in listed["thingGroups"]]
        if parameters["thingGroupName"] not in names and len(names) >= _GROUPS_PER_THING:
            raise _error(client, "AddThingToThingGroup", "InvalidRequestException", "a thing is in ten groups at most")

    def _room_for_policy(self, client: BaseClient, parameters: Mapping[str, Any]) -> None:
        listed = self._call(client, "ListAttachedPolicies", {"target": parameters["target"]})
        names = [policy["policyName"] for policy in listed["policies"]]
        if parameters["policyName"] not in names and len(names) >= _POLICIES_PER_CERTIFICATE:
            raise _error(client, "AttachPolicy", "LimitExceededException", "a certificate carries ten policies at most")

    def _sendable_subject(self, client: BaseClient, parameters: Mapping[str, Any]) -> None:
        subject = parameters.get("Subject", "a subject")
        fits = subject.isascii() and subject.isprintable() and not subject.startswith(" ")
        if not fits or not 0 < len(subject) < _SUBJECT_CHARACTERS:
            raise _error(client, "Publish", "InvalidParameter", "Invalid parameter: Subject")


_RULES: defaultdict[tuple[str, str], list[Callable[[StrictAws, BaseClient, Mapping[str, Any]], None]]] = defaultdict(
    list
)
_RULES["iot", "CreateJob"] = [StrictAws._new_job]
_RULES["iot", "CancelJob"] = [StrictAws._known_job]
_RULES["iot", "AddThingToThingGroup"] = [StrictAws._room_in_groups]
_RULES["iot", "AttachPolicy"] = [StrictAws._room_for_policy]
_RULES["sns", "Publish"] = [StrictAws._sendable_subject]


def _error(client: BaseClient, operation: str, code: str, message: str) -> ClientError:
    kind: type[ClientError] = client.exceptions.from_code(code)  # type: ignore[assignment]  # the stubs give an instance
    return kind({"Error": {"Code": code, "Message": message}}, operation)


def watch(monkeypatch: pytest.MonkeyPatch) -> StrictAws:
    """Put the strict rules in front of every client until the test is over."""
    strict = StrictAws(BaseClient._make_api_call)  # type: ignore[attr-defined]  # botocore's one way to the wire

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return strict(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return strict
