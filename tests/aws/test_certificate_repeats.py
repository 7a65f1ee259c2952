"""A request for a certificate is not idempotent: the SDK sends it again only where AWS IoT surely made none."""

from __future__ import annotations

from io import BytesIO

import pytest
from botocore.awsrequest import AWSResponse

from warden.aws.certificates import _never_repeat


def answered(status: int) -> tuple[AWSResponse, None]:
    return AWSResponse("https://iot.example/", status, {}, BytesIO()), None  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [500, 503])
def test_a_failure_of_the_server_is_not_repeated(status: int) -> None:
    assert _never_repeat(answered(status)) is False


def test_a_lost_answer_is_not_repeated() -> None:
    assert _never_repeat(None) is False


@pytest.mark.parametrize("status", [400, 429])
def test_a_refusal_is_left_to_the_rules_of_the_sdk(status: int) -> None:
    assert _never_repeat(answered(status)) is None
