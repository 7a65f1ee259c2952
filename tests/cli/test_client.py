"""What goes over the wire, and every way in which it can fail: each is one line that says what to do."""

import os
import socket
from collections.abc import Iterator

import pytest

from tests.cli.answering import Answer, Operate
from tests.cli.conftest import Said, Shell
from tests.cli.samples import CASE, listing
from warden_cli import client


def is_one_line(said: Said) -> bool:
    return said.out == "" and said.err.startswith("warden: ") and said.err.count("\n") == 1


def test_the_call_is_signed_for_lambda_in_the_region_asked_for(shell: Shell, operate: Operate) -> None:
    operate.answering("cases", listing())

    assert shell.warden("cases", "--region", "eu-central-1").code == 0
    assert operate.regions == ["eu-central-1"]


@pytest.mark.parametrize(
    ("host", "region"),
    [("abc.lambda-url.eu-west-1.on.aws", "eu-west-1"), ("abc.lambda-url.us-gov-west-1.on.aws", "us-gov-west-1")],
)
def test_a_function_url_names_its_region_itself(host: str, region: str) -> None:
    assert client.Service(f"https://{host}/").region == region


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "Set WARDEN_URL, or use --url"),
        ("not a url", "cannot be a URL of the service"),
        ("ftp://example.com/", "cannot be a URL of the service"),
        ("https://user:secret@example.com/", "cannot be a URL of the service"),
        ("https://example.com:port/", "cannot be a URL of the service"),
        ("https://[::1/", "cannot be a URL of the service"),
        ("https://exa\nmple.com/", "cannot be a URL of the service"),
        ("http://abc.lambda-url.us-east-1.on.aws/", "use https://"),
    ],
)
def test_a_url_that_cannot_be_right_is_a_matter_of_usage(url: str, words: str, shell: Shell) -> None:
    said = shell.warden("cases", url=url)

    assert (said.code, words in said.err, is_one_line(said)) == (2, True, True)


def test_no_region_is_a_matter_of_usage(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_REGION")
    monkeypatch.delenv("AWS_DEFAULT_REGION")

    said = shell.warden("cases")

    assert (said.code, "Set AWS_REGION, or use --region" in said.err) == (2, True)


def test_no_credentials(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)

    said = shell.warden("cases")

    assert (said.code, "no AWS credentials; sign in" in said.err, is_one_line(said)) == (3, True, True)


@pytest.mark.parametrize("command", ["plan", "roles", "identities"])
def test_no_credentials_to_read_the_account_with(shell: Shell, monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    said = shell.warden("baseline", command, "--region", "eu-west-1")

    assert (said.code, "no AWS credentials; sign in" in said.err, is_one_line(said)) == (3, True, True)


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        (("cases", "--state", "lost"), "'open', 'awaiting-approval', 'held'"),
        (("find", "pump-1", "--severity", "dire"), "'low', 'medium', 'high'"),
        (("campaign", "begin"), "'start'"),
        (("plan", "explain", "x.json", "--mode", "dry"), "'observe', 'approve', 'enforce'"),
    ],
)
def test_a_word_that_is_not_a_choice_is_answered_with_the_words(
    shell: Shell, words: tuple[str, ...], choices: str
) -> None:
    said = shell.warden(*words)

    assert (said.code, choices in said.err, "<" in said.err) == (2, True, False)


def test_half_the_credentials(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")

    said = shell.warden("cases")

    assert (said.code, "your AWS credentials are incomplete" in said.err, is_one_line(said)) == (3, True, True)


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_profile_that_does_not_exist(how: str, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "environment":
        monkeypatch.setenv("AWS_PROFILE", "ghost")

    said = shell.warden("cases", *(("--profile", "ghost") if how == "option" else ()))

    assert (said.code, "there is no AWS profile" in said.err, is_one_line(said)) == (2, True, True)


@pytest.mark.parametrize(
    ("answer", "code", "words"),
    [
        (Answer({"Message": "Forbidden"}, 403), 3, "the stack's output OperatorPolicyArn"),
        (Answer({"Message": None}, 403), 3, "the stack's output OperatorPolicyArn"),
        (Answer({"message": "The security token included in the request is expired"}, 403), 3, "has expired; sign in"),
        (Answer({"message": "The security token included in the request is invalid."}, 403), 3, "does not know these"),
        (Answer({"message": "Signature expired: 20261122T100000Z is now earlier than"}, 403), 3, "your clock is wrong"),
        (
            Answer({"message": "The request signature we calculated does not match the signature you provided."}, 403),
            3,
            "check the secret key",
        ),
        (Answer({"error": "not-authenticated", "message": "the call carries no identity"}, 403), 3, "no identity"),
        (Answer({"error": "no-such-case", "message": "there is no case 'x'; `warden cases`"}, 404), 1, "no case 'x'"),
        (Answer({"error": "wrong-state", "message": "case x is closed"}, 409), 1, "case x is closed"),
        (Answer({"error": "bad-argument", "message": "`case` must be a string"}, 400), 1, "must be a string"),
        (Answer({"Reason": "ConcurrentInvocationLimitExceeded"}, 429), 3, "busy"),
        (Answer(b"Internal Server Error", 502), 3, "/aws/lambda/<stack>-operate"),
        (Answer(b"<html>hello</html>"), 3, "is not Fleet Warden; check the URL"),
        (Answer([1, 2]), 3, "is not Fleet Warden"),
        (Answer({"message": "no Route matched"}, 404), 3, "is not Fleet Warden"),
        (Answer(b"", 301), 3, "is not Fleet Warden"),
        (Answer({}), 3, "in a form that this version of the command does not know"),
        (Answer({"case": {}, "timeline": [], "containment": None}), 3, "in a form that this version"),
        (Answer(b"[" * 100_000), 3, "is not Fleet Warden"),
    ],
)
def test_every_answer_but_the_right_one_is_one_line(
    answer: Answer, code: int, words: str, shell: Shell, operate: Operate
) -> None:
    operate.answering("show", answer)

    said = shell.warden("show", CASE)

    assert (said.code, words in said.err, is_one_line(said)) == (code, True, True), said.err


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes a connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_answer_that_does_not_come(shell: Shell, silent_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.1)

    said = shell.warden("cases", url=f"http://127.0.0.1:{silent_port}/")

    assert (said.code, is_one_line(said)) == (3, True)
    assert "look with `warden show` before you repeat it" in said.err


def test_nobody_there(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    said = shell.warden("cases", url=f"http://127.0.0.1:{port}/")

    assert (said.code, is_one_line(said)) == (3, True)
    assert f"cannot connect to 127.0.0.1:{port}" in said.err


def test_no_secret_is_ever_printed(shell: Shell, operate: Operate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-secret-key")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "the-session-token")
    operate.answering("show", Answer({"Message": "Forbidden"}, 403))

    said = shell.warden("show", CASE)

    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in said.err
    assert os.environ["AWS_SESSION_TOKEN"] not in said.err
