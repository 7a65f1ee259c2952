"""A stage for hostile input: one deployment on moto for many cases, and everything that a function does on it.

Whatever a handler is given here, the same is looked at: what it answers, each line that it writes as Lambda would
write it, and each call of AWS with every value in it (allowed_values.py).
"""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from copy import copy
from dataclasses import dataclass
from typing import Any

import pytest
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.iot.models import iot_backends
from moto.sqs.models import sqs_backends

from tests.aws_stand_in.calls import Calls, listen
from tests.aws_stand_in.strict import watch
from tests.composition import forget
from tests.functions.conftest import ACCOUNT, REGION, Deployment, _deployed
from tests.functions.paths import Fleet, Patient
from tests.hostile.allowed_values import assert_is_in_its_place
from tests.template.authorisation import Call
from warden import bootstrap
from warden.core.logging import logger
from warden.plan.parser import read_plan

LINE_CHARACTERS = 32_000
"""CloudWatch Logs takes a line of 256 KB whole; a person's screen takes far less."""

FIELDS = {
    *("level", "location", "message", "timestamp", "service", "cold_start", "function_name"),
    *("function_memory_size", "function_arn", "function_request_id", "exception", "exception_name", "stack_trace"),
    *("message_id", "findings", "reason", "type", "result", "thing", "resource", "verb"),
    *("who", "code", "command", "case", "request", "left"),
}
"""The fields of a line: Powertools' own, the result of the record or what is left, and the caller."""

PLAN = """
version = 1
mode = "enforce"
[limits]
devices_per_hour = 100
percent_of_fleet_per_day = 100
fleet_size = 1000
[[rule]]
name = "renew"
source = "device-defender-audit"
kind = "DEVICE_CERTIFICATE_EXPIRING_CHECK"
actions = ["rotate-certificate", "notify"]
[[rule]]
name = "collect"
source = "operator"
kind = "logs-wanted"
actions = ["collect-logs", "notify"]
[[rule]]
name = "contain"
source = ["device-defender-detect", "device-defender-audit", "guardduty", "security-hub", "generic", "operator"]
actions = ["quarantine", "collect-logs", "notify"]
[[rule]]
name = "the-rest"
actions = ["notify"]
"""
"""Every finding about a device contains it and asks for its logs; people are always notified."""

type Handler = Callable[[dict[str, Any], Any], Any]


@dataclass(frozen=True)
class Run:
    """What one run of a function did."""

    answer: Any
    lines: list[dict[str, Any]]
    """What it logged, without the metrics: these are one line for each run."""
    calls: list[Call]

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]

    @property
    def told(self) -> list[str]:
        """The records that have a line, one for each line."""
        return [str(line["message_id"]) for line in self.lines]

    def made(self, operation: str) -> list[Mapping[str, Any]]:
        return [call.parameters for call in self.calls if call.operation == operation]


class Stage(Fleet):
    """A fleet that is forgotten after each case."""

    def __init__(self, deployment: Deployment, calls: Calls) -> None:
        super().__init__(deployment, calls)
        self._built: dict[Any, tuple[Any, list[dict[Any, Any]]]] = {}

    def run(self, handler: Handler, event: dict[str, Any]) -> Run:
        """Let a function handle an event, and check all its log lines and calls."""
        self.calls.made.clear()
        written = io.BytesIO()
        with _lambda_output(written):
            answer = handler(event, Patient())
        calls = [call for made in self.calls.made.values() for call in made]
        for call in calls:
            assert_is_in_its_place(call)
        return Run(answer, log_lines(written.getvalue()), calls)

    def forget(self) -> None:
        """Delete everything except the stack's own resources."""
        for kept in _state():
            kept.clear()
        for queue in sqs_backends[ACCOUNT][REGION].queues.values():
            queue._messages.clear()
            queue.deleted_messages.clear()
        self.deployment.strict.forget()

    def once[T](self, build: Callable[[Stage], T]) -> T:
        """Build once what many cases begin with, and give each of them a copy of it."""
        if build not in self._built:
            given = build(self)
            self._built[build] = (given, [_copied(kept) for kept in _state()])
        given, there = self._built[build]
        for kept, was in zip(_state(), there, strict=True):
            kept.clear()
            kept.update(_copied(was))
        self.deployment.strict.forget()
        return given

    def refusals(self) -> list[str]:
        return [str(refusal["code"]) for refusal in self.deployment.records("refusal")]


def _state() -> list[dict[Any, Any]]:
    """List everything that moto keeps of a case: the ledger's items, and what there is in AWS IoT."""
    iot = iot_backends[ACCOUNT][REGION]
    tables: Any = dynamodb_backends[ACCOUNT][REGION].tables.values()
    return [
        *(table.items for table in tables),
        *(group.things for group in iot.thing_groups.values()),
        iot.things,
        iot.jobs,
        iot.job_executions,
        iot.certificates,
        iot.principal_policies,
        iot.principal_things,
    ]


def _copied(kept: dict[Any, Any]) -> dict[Any, Any]:
    """Copy moto's own objects as deep as a function changes them: records are replaced whole, executions are not."""
    return {key: copy(value) for key, value in kept.items()}


@contextmanager
def _lambda_output(written: io.BytesIO) -> Iterator[None]:
    """Take everything a function writes, as its log group would: UTF-8, and whatever goes to stderr too."""
    stream = io.TextIOWrapper(written, encoding="utf-8", newline="\n", write_through=True)
    before = logger.registered_handler.setStream(stream)  # type: ignore[attr-defined]  # it is a StreamHandler
    try:
        with warnings.catch_warnings(), redirect_stdout(stream), redirect_stderr(stream):
            # pytest makes an error of every warning; what Lambda's log gets of this one, test_log_lines.py sees.
            warnings.filterwarnings("ignore", "No application metrics")
            yield
    finally:
        logger.registered_handler.setStream(before)  # type: ignore[attr-defined]
        stream.detach()


def log_lines(written: bytes) -> list[dict[str, Any]]:
    """Read a function's output: every line is one JSON object in printable ASCII, one at most is metrics."""
    metrics: list[dict[str, Any]] = []
    lines: list[dict[str, Any]] = []
    for line in written.decode("ascii").split("\n")[:-1]:
        assert line.isprintable(), line[:200]
        assert len(line) <= LINE_CHARACTERS
        entry = json.loads(line)
        assert "_aws" in entry or set(entry) <= FIELDS, set(entry) - FIELDS
        (metrics if "_aws" in entry else lines).append(entry)
    assert len(metrics) <= 1
    assert all(re.fullmatch(r"[A-Z][A-Za-z]+", name) for entry in metrics for name in entry if name not in _OF_EMF)
    return lines


_OF_EMF = ("_aws", "service")


@contextmanager
def staged() -> Iterator[Stage]:
    """Deploy once for as many cases as there are: a deployment of its own would cost each a tenth of a second."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        deployment: Deployment = _deployed(patch, watch(patch))
        for variable in ("WARDEN_DISCONNECT", "WARDEN_SECURITY_HUB"):
            patch.setenv(variable, "true")
        patch.setattr(bootstrap, "deployed_plan", lambda: read_plan(PLAN))
        yield Stage(deployment, listen(patch))
    forget()
