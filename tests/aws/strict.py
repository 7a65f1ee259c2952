"""moto made as strict as AWS: every request is held against botocore's model, and against rules moto lacks (rules.py).

botocore ships the patterns, lengths and enumerations of every API but enforces almost none of them, and moto takes
what it is given. Here a request that AWS would turn down is turned down, with the error AWS gives.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from tests.aws.rules import Refusal, check, corrected

_JAVA_CLASSES = {r"\p{Upper}": "A-Z", r"\p{Digit}": "0-9", r"\p{C}": r"\x00-\x1f\x7f-\x9f"}
INVALID = {"iot": "InvalidRequestException", "iot-data": "InvalidRequestException", "sns": "InvalidParameter"}

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
    """Stands in front of every client: refuses what AWS refuses, and remembers every call that was made.

    `page` is the largest page a list gives, so that a test can have many pages of few entries.
    """

    def __init__(self, call: _Call) -> None:
        self._call = call
        self.on_moto = True
        self.page = 250
        self.calls: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service = client.meta.service_model.service_name
        self.calls.append((service, operation, dict(parameters)))
        if wrong := malformed(client, operation, parameters):
            raise _error(client, operation, INVALID.get(service, "ValidationException"), wrong)
        if not self.on_moto:
            return self._call(client, operation, parameters)
        try:
            check(service, operation, parameters, client.meta.region_name)
        except Refusal as refusal:
            raise _error(client, operation, refusal.code, refusal.message) from refusal
        if operation == "GetEffectivePolicies":
            return self._effective(client, parameters)
        answer = self._call(client, operation, parameters)
        if operation == "CreateCertificateFromCsr" and not parameters.get("setAsActive"):
            # moto makes it ACTIVE whatever is asked for.
            self._call(client, "UpdateCertificate", {"certificateId": answer["certificateId"], "newStatus": "INACTIVE"})
        return corrected(service, operation, parameters, answer, page=self.page)

    def _effective(self, client: BaseClient, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Answer what moto lacks out of what it has: the certificate's policies and those of the thing's groups."""
        groups = self._call(client, "ListThingGroupsForThing", {"thingName": parameters["thingName"]})["thingGroups"]
        targets = [parameters["principal"], *(group["groupArn"] for group in groups)]
        listed = [self._call(client, "ListAttachedPolicies", {"target": target})["policies"] for target in targets]
        return {"effectivePolicies": [policy for policies in listed for policy in policies]}

    def forget(self) -> None:
        """Leave out of the record what was called so far."""
        self.calls.clear()

    def made(self, operation: str) -> list[dict[str, Any]]:
        """List the parameters of every call of an operation."""
        return [parameters for _, name, parameters in self.calls if name == operation]


def malformed(client: BaseClient, operation: str, parameters: Mapping[str, Any]) -> str:
    """Say everything about a request that botocore's model of it does not allow; empty when that is nothing."""
    shape = client.meta.service_model.operation_model(operation).input_shape
    # A missing or mistyped parameter is botocore's own complaint, made before anything is sent.
    with suppress(AttributeError, KeyError, TypeError):
        if shape:
            return "; ".join(complaints(shape, parameters))
    return ""


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
