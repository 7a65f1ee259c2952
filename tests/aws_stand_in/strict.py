"""moto made as strict as AWS for the clients of this process: the requests' shapes (shapes.py), AWS's own behaviour.

botocore ships the patterns, lengths and enumerations of every API but enforces almost none of them, and moto takes
what it is given. Here a request that AWS would turn down is turned down, with the error AWS gives.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from moto.iot.models import IoTBackend, iot_backends

from tests.aws_stand_in.answers import AwsState
from tests.aws_stand_in.behaviour import answer, check, corrected
from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.rules import ACCOUNT, REGION
from tests.aws_stand_in.shapes import INVALID, malformed, shaped
from warden.core.quotas import LIST_PAGE

type _Call = Callable[[BaseClient, str, dict[str, Any]], dict[str, Any]]
type Fault = Callable[[Mapping[str, Any]], None]
"""Told of a request's parameters before it is made; raises a Refusal where AWS is to fail."""


class StrictAws:
    """Stands in front of every client: refuses what AWS refuses, and remembers every call that was made.

    `page` is the largest page a list gives, so that a test can have many pages of few entries. `faults` are what a test
    has AWS fail with, by operation.
    """

    def __init__(self, call: _Call) -> None:
        self._call = call
        self.on_moto = True
        self.page = LIST_PAGE
        self.state = AwsState()
        self.faults: dict[str, Fault] = {}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self._was: IoTBackend | None = None
        self._behind: frozenset[str] = frozenset()
        self._refused: defaultdict[str, list[Refusal]] = defaultdict(list)
        self._given: dict[str, Any] | None = None

    def __call__(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service = client.meta.service_model.service_name
        self.calls.append((service, operation, dict(parameters)))
        if wrong := malformed(client.meta.service_model, operation, parameters):
            raise _error(client, operation, Refusal(INVALID.get(service, "ValidationException"), wrong))
        if not self.on_moto:
            return self._call(client, operation, parameters)
        try:
            self._fail(operation, parameters)
            with self._as_it_was(operation):
                return self._answered(client, operation, parameters)
        except Refusal as refusal:
            raise _error(client, operation, refusal) from refusal

    def _answered(self, client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        service = client.meta.service_model.service_name
        check(service, operation, parameters, client.meta.region_name)
        given = answer(self.state, service, operation, parameters)
        made = (
            self._call(client, operation, parameters)
            if given is None
            else self._heard(client, operation, parameters, given)
        )
        return corrected(service, operation, parameters, made, page=self.page)

    def show_what_is_now(self, *operations: str) -> None:
        """Freeze the answers of AWS IoT's lists at the present state until this is called again.

        AWS IoT's lists are eventually consistent (developer guide, thing-registry: changes may take time to show).
        """
        self._was, self._behind = deepcopy(iot_backends[ACCOUNT][REGION]), frozenset(operations)

    @contextmanager
    def _as_it_was(self, operation: str) -> Iterator[None]:
        if operation not in self._behind or self._was is None:
            yield
            return
        backends: Any = iot_backends[ACCOUNT]
        now = backends[REGION]
        backends[REGION] = self._was
        try:
            yield
        finally:
            backends[REGION] = now

    def refuse(self, operation: str, code: str, message: str = "as AWS would put it", **fields: Any) -> None:
        """Let the next call of an operation, or the one after those already refused, end with an error."""
        self._refused[operation].append(Refusal(code, message, **fields))

    def _fail(self, operation: str, parameters: Mapping[str, Any]) -> None:
        if self._refused[operation]:
            raise self._refused[operation].pop(0)
        if operation in self.faults:
            self.faults[operation](parameters)

    def _heard(
        self, client: BaseClient, operation: str, parameters: dict[str, Any], given: dict[str, Any]
    ) -> dict[str, Any]:
        """Pass botocore our answer instead of the wire's, once it has checked and written the request."""
        model = client.meta.service_model
        shape = model.operation_model(operation).output_shape
        self._given = shaped(shape, given) if shape else {}
        event = f"before-call.{model.service_id.hyphenize()}.{operation}"
        events: Any = client.meta.events  # its stubs do not know that an answer may be given
        events.register(event, self._give, unique_id="stand-in")
        try:
            return self._call(client, operation, parameters)
        finally:
            events.unregister(event, self._give, unique_id="stand-in")

    def _give(self, **_: object) -> tuple[AWSResponse, dict[str, Any] | None]:
        return AWSResponse("https://stand-in", 200, HTTPHeaders(), None), self._given

    def forget(self) -> None:
        """Leave out of the record what was called so far."""
        self.calls.clear()

    def made(self, operation: str) -> list[dict[str, Any]]:
        """List the parameters of every call of an operation."""
        return [parameters for _, name, parameters in self.calls if name == operation]


def _error(client: BaseClient, operation: str, refusal: Refusal) -> ClientError:
    kind: type[ClientError] = client.exceptions.from_code(refusal.code)  # type: ignore[assignment]  # the stubs give an instance
    answer: Any = {"Error": {"Code": refusal.code, "Message": refusal.message}, **refusal.fields}
    return kind(answer, operation)


def watch(monkeypatch: pytest.MonkeyPatch) -> StrictAws:
    """Put the strict rules in front of every client until the test is over."""
    strict = StrictAws(BaseClient._make_api_call)  # type: ignore[attr-defined]  # botocore's one way to the wire

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        return strict(client, operation, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    return strict
