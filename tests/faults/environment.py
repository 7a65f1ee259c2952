"""The deployment under the faults: the product's own composition root, functions and SDK settings, on the wire."""

from __future__ import annotations

import gc
import importlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import boto3
import botocore.auth
import botocore.session
import botocore.signers
import moto.iot.models
import moto.s3.models
import pytest
from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.client import BaseClient
from botocore.retries import quota
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from moto.core.common_models import BaseModel

from tests.aws_stand_in.rules import ACCOUNT, REGION
from tests.composition import forget
from tests.faults.cloud import MotoCloud, on_clock
from tests.faults.fault_transport import Wire
from tests.faults.queues import urls
from warden import bootstrap
from warden.aws.private_ca import PrivateAuthority
from warden.core import logging
from warden.plan.parser import read_plan

RESTRICTED = "fleet-warden-restricted"
_QUEUE = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/"

ENVIRONMENT = {
    "AWS_REGION": REGION,
    "AWS_DEFAULT_REGION": REGION,
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_CONFIG_FILE": "/dev/null",
    "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
    "AWS_EC2_METADATA_DISABLED": "true",
    "WARDEN_ACCOUNT": ACCOUNT,
    "WARDEN_PARTITION": "aws",
    "WARDEN_LEDGER_TABLE": "ledger",
    **{variable: f"{_QUEUE}{name}" for variable, name in urls().items()},
    "WARDEN_EVIDENCE_BUCKET": "evidence",
    "WARDEN_NOTICES_TOPIC": f"arn:aws:sns:{REGION}:{ACCOUNT}:notices",
    "WARDEN_RESTRICTED_GROUP": RESTRICTED,
    "WARDEN_RESTRICTED_POLICY": RESTRICTED,
    "WARDEN_MODE": "enforce",
    "WARDEN_LOOKUPS_PER_MINUTE": "60000",
    "WARDEN_SECURITY_HUB": "true",
    "WARDEN_PRIVATE_CA": "",
}


@dataclass(frozen=True)
class Deployment:
    """What an owner decides: the plan, and the authority that signs the devices' certificates, if it is not AWS's."""

    plan: str
    authority: str = ""


class Context(LambdaContext):
    """What Lambda hands a handler beside the event: always five minutes left."""

    def __init__(self) -> None:
        self._function_name = "fleet-warden"
        self._memory_limit_in_mb = 512
        self._invoked_function_arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:fleet-warden"
        self._aws_request_id = "request-1"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        """Return the remaining time in milliseconds."""
        return 300_000


class Ground:
    """The functions, the wire below them and the cloud below that."""

    def __init__(self, cloud: MotoCloud, wire: Wire, quotas: list[quota.RetryQuota], errors: list[str]) -> None:
        self.cloud = cloud
        self.wire = wire
        self.errors = errors
        self._quotas = quotas
        self.deployment = Deployment("")
        self.authorities: list[PrivateAuthority] = []

    def deploy(self, deployment: Deployment) -> None:
        """Run the functions with other settings of the owner."""
        if deployment != self.deployment:
            self.deployment = deployment
            os.environ["WARDEN_PRIVATE_CA"] = deployment.authority
            bootstrap.context.cache_clear()

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Run a function's handler, in an environment that was just started: what it does depends on AWS alone."""
        self.cold_start()
        with self._asked_nothing():
            return self._handled(function, event)

    @contextmanager
    def _asked_nothing(self) -> Iterator[None]:
        """Hide the authority's key from everything except the run that this one interrupts."""
        known = [each._algorithm for each in self.authorities]
        for each in self.authorities:
            each._algorithm = ""
        try:
            yield
        finally:
            for each, algorithm in zip(self.authorities, known, strict=False):
                each._algorithm = algorithm

    def _handled(self, function: str, event: Mapping[str, Any]) -> Any:
        return importlib.import_module(f"functions.{function}.app").lambda_handler(dict(event), Context())

    def cold_start(self) -> None:
        """Reset the retry quota of every client, as in a function that has just started."""
        for each in self._quotas:
            each._available_capacity = each._max_capacity  # type: ignore[attr-defined]  # it has no way to be refilled
        self.errors.clear()


@contextmanager
def environment() -> Iterator[Ground]:
    """Lay the ground, and take every change of the process back afterwards."""
    cloud = MotoCloud()
    wire = Wire(cloud)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        quotas = _quotas(patch)
        errors = _errors(patch)
        _patch_sdk(patch, wire)
        patch.setattr(bootstrap, "utc_now", lambda: cloud.state.clock())
        # moto complains of objects that nobody disposed of: those of a snapshot hold nothing that need be given back.
        patch.setattr(moto.s3.models, "tempfile", SimpleNamespace(SpooledTemporaryFile=lambda *_, **__: BytesIO()))
        patch.delattr(moto.s3.models.FakeKey, "__del__")
        # moto keeps a list of everything that was ever made, of a snapshot as well.
        patch.setattr(BaseModel, "__new__", lambda kind, *_, **__: object.__new__(kind))
        for clock in (moto.iot.models, moto.s3.models):
            patch.setattr(clock, "utcnow", on_clock(lambda: cloud.state.clock()))
        for clock in (botocore.auth, botocore.signers):
            patch.setattr(clock, "get_current_datetime", on_clock(lambda: cloud.state.clock()))
        patch.setattr("functions.set_up_account.app.urllib3.PoolManager", lambda: _Stack(cloud))
        forget()
        ground = Ground(cloud, wire, quotas, errors)
        patch.setattr(bootstrap, "deployed_plan", lambda: read_plan(ground.deployment.plan))
        _note_authorities(patch, ground)
        try:
            yield ground
        finally:
            cloud.forget()
            gc.collect()
            forget()


class _Stack:
    """CloudFormation, where a custom resource's answer goes."""

    def __init__(self, cloud: MotoCloud) -> None:
        self._cloud = cloud

    def request(self, _method: str, _url: str, *, body: bytes, **_: Any) -> None:
        """Take the answer in."""
        self._cloud.state.stack_answers.append(json.loads(body)["Status"])


def _patch_sdk(patch: pytest.MonkeyPatch, wire: Wire) -> None:
    """Send every client's requests to the wire, and let its back-off take no time."""
    core = botocore.session.get_session()
    core.register("before-send", wire.send)  # type: ignore[arg-type]  # the stubs know no handler that answers
    patch.setattr(boto3, "DEFAULT_SESSION", boto3.Session(botocore_session=core, region_name=REGION))
    real: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way to the wire
    patch.setattr(BaseClient, "_make_api_call", lambda client, name, asked: wire.call(real, client, name, asked))
    patch.setattr("botocore.endpoint.time.sleep", lambda _seconds: None)
    # The SDK writes a class for each paginator that it is asked for; nothing is in it but the client and the operation.
    patch.setattr(BaseClient, "get_paginator", cache(BaseClient.get_paginator))
    patch.setattr(UserAgentString, "to_string", lambda _self: "fault points")
    # Only moto's S3 reads who signed a request, and to sign takes a quarter of the time of a call.
    sign: Any = RequestSigner.handler
    patch.setattr(RequestSigner, "handler", lambda self, **of: sign(self, **of) if self.signing_name == "s3" else None)


def _quotas(patch: pytest.MonkeyPatch) -> list[quota.RetryQuota]:
    found: list[quota.RetryQuota] = []
    real = quota.RetryQuota.__init__

    def noted(self: quota.RetryQuota, *args: Any, **named: Any) -> None:
        real(self, *args, **named)
        found.append(self)

    patch.setattr(quota.RetryQuota, "__init__", noted)
    return found


def _note_authorities(patch: pytest.MonkeyPatch, ground: Ground) -> None:
    def made(*args: Any, **named: Any) -> PrivateAuthority:
        ground.authorities.append(PrivateAuthority(*args, **named))
        return ground.authorities[-1]

    patch.setattr(bootstrap, "PrivateAuthority", made)


def _errors(patch: pytest.MonkeyPatch) -> list[str]:
    """Keep what the functions log of failed messages, and keep all else, metrics too, off the screen."""
    found: list[str] = []

    def note(message: str, *_: Any, exc_info: BaseException | None = None, **__: Any) -> None:
        found.append(f"{message}: {exc_info!r}" if exc_info else message)

    patch.setattr(logging.logger, "error", note)
    patch.setattr(logging.logger, "exception", lambda message, *_, **__: found.append(message))
    patch.setattr(logging.metrics, "add_metric", lambda *_, **__: None)
    patch.setattr(logging.metrics.provider, "flush_metrics", lambda *_, **__: None)
    patch.setattr(logging.logger, "info", lambda *_, **__: None)
    patch.setattr(logging.logger, "warning", lambda *_, **__: None)
    return found
