"""Every call of AWS that a handler makes, kept with the function it was made in.

A test that calls a handler need not name it: the function is the one whose `app.py` is on the stack. A call that no
handler makes (a test that looks into moto) is not recorded.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.signers import S3PostPresigner

from tests.conftest import ROOT
from tests.template.authorisation import Call

_FUNCTIONS = ROOT / "functions"


class Calls:
    """The calls so far: the name of a function's folder to what it called."""

    def __init__(self) -> None:
        self.made: defaultdict[str, list[Call]] = defaultdict(list)
        self.then: Callable[[Call], None] = lambda _: None
        """What to do after each call, as an outside observer would."""

    def keep(self, service: str, operation: str, parameters: Mapping[str, Any], error: str = "") -> None:
        """Keep a call that is being made by a handler."""
        if function := running_function():
            call = Call(service, operation, dict(parameters), error)
            self.made[function].append(call)
            self.then(call)


def running_function() -> str:
    """Name the function whose handler is running; nothing outside of one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.name == "app.py" and path.parent.parent == _FUNCTIONS:
            return path.parent.name
        frame = frame.f_back
    return ""


def listen(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """Keep every call from now on."""
    calls = Calls()
    make: Any = BaseClient._make_api_call  # type: ignore[attr-defined]  # botocore's one way to the wire
    presign: Any = S3PostPresigner.generate_presigned_post

    def made(client: BaseClient, operation: str, parameters: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        try:
            answer = make(client, operation, parameters)
        except ClientError as error:
            calls.keep(service, operation, parameters, str(error.response["Error"]["Code"]))
            raise
        calls.keep(service, operation, parameters)
        return answer

    def presigned(signer: S3PostPresigner, **asked: Any) -> Any:
        [bucket] = [each["bucket"] for each in asked["conditions"] if isinstance(each, dict) and "bucket" in each]
        calls.keep("s3", "PostObject", {"Bucket": bucket, "Key": asked["fields"]["key"]})
        return presign(signer, **asked)

    monkeypatch.setattr(BaseClient, "_make_api_call", made)
    monkeypatch.setattr(S3PostPresigner, "generate_presigned_post", presigned)
    return calls
