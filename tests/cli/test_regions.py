"""A region that does not exist and a session that has ended: one sentence that says what to do, and an exit code."""

from __future__ import annotations

import pytest
from boto3 import Session
from botocore.exceptions import ConnectionClosedError, TokenRetrievalError, UnauthorizedSSOTokenError

from tests.baseline.access import RefusedError
from tests.baseline.account import Account
from tests.cli.conftest import Looking, Shell
from warden_cli.regions import ended, known_region

EXPIRED = "your AWS session has expired or is not valid"


@pytest.mark.parametrize(
    "command", ["cases", "doctor", "baseline", "baseline plan", "baseline roles", "baseline narrow x"]
)
def test_a_region_that_does_not_exist_is_questioned(command: str, shell: Shell, looking: Looking) -> None:
    here = looking(Account())

    said = shell.warden(*command.split(), "--region", "mars")

    assert (said.code, said.out) == (2, "")
    assert "the AWS SDK knows no region 'mars'" in said.err
    assert here.called == []


def test_a_region_that_is_nearly_one_has_its_suggestion() -> None:
    with pytest.raises(Exception, match=r"'eu-centrl-1'; did you mean eu-central-1\? If it is new, upgrade boto3"):
        known_region(Session(), "eu-centrl-1")


@pytest.mark.parametrize("region", ["us-east-1", "cn-north-1", "us-gov-west-1", "sa-east-1"])
def test_a_region_of_any_partition_is_one(region: str) -> None:
    assert known_region(Session(), region) == region


@pytest.mark.parametrize("code", ["ExpiredToken", "ExpiredTokenException", "UnrecognizedClientException"])
@pytest.mark.parametrize("action", ["sts:GetCallerIdentity", "iot:ListThings"])
def test_a_session_that_has_ended_is_no_right_that_a_role_lacks(
    code: str, action: str, shell: Shell, looking: Looking, waited: list[float]
) -> None:
    here = looking(Account())

    def expired(asked: str, _: object) -> None:
        if asked == action:
            raise RefusedError(code, 403)

    here.before = expired

    said = shell.warden("doctor", "--region", "eu-central-1")

    assert (said.code, said.out, waited) == (3, "", [])
    assert EXPIRED in said.err
    assert "sign in again" in said.err


def test_a_session_of_sso_names_its_command() -> None:
    for error in (UnauthorizedSSOTokenError(), TokenRetrievalError(provider="sso", error_msg="expired")):
        assert "`aws sso login --profile fleet`" in str(ended(error, "fleet"))
    assert ended(ConnectionClosedError(endpoint_url="https://iot")) is None
    assert ended("AccessDenied") is None


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("aprove c-1", "approve"),
        ("baseline pln", "plan"),
        ("plan explian", "explain"),
        ("cases --state helt", "held"),
        ("campaign pase", "pause"),
    ],
)
def test_a_word_that_is_nearly_one_has_its_suggestion(typed: str, meant: str, shell: Shell) -> None:
    said = shell.warden(*typed.split())

    assert said.code == 2
    assert f"did you mean '{meant}'?" in said.err


def test_a_word_that_is_like_none_has_the_list(shell: Shell) -> None:
    said = shell.warden("xyzzy")

    assert said.code == 2
    assert "choose from" in said.err
