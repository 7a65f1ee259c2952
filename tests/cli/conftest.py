"""The command, run in this process as the shell would run it, against a server of the test's own."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest

from tests.baseline.account import Account
from tests.baseline.reading import ReadableAccount
from tests.cli.answering import Operate, serving
from warden_cli import reading
from warden_cli.__main__ import main


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """What it printed, with line breaks and padding taken for the blanks they are."""
        return " ".join(self.out.split())

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Shell:
    """A shell with WARDEN_URL set."""

    def __init__(self, operate: Operate, capsys: pytest.CaptureFixture[str]) -> None:
        self._operate = operate
        self._capsys = capsys

    def warden(self, *arguments: str, url: str | None = None) -> Said:
        environment = {**os.environ, "WARDEN_URL": self._operate.url if url is None else url}
        self._capsys.readouterr()
        try:
            code = main(arguments, environment)
        except SystemExit as ended:  # argparse ends the process itself
            code = int(str(ended.code))
        out, err = self._capsys.readouterr()
        return Said(code, out, err)


@pytest.fixture
def operate() -> Iterator[Operate]:
    with serving() as server:
        yield server


@pytest.fixture
def shell(operate: Operate, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return Shell(operate, capsys)


class KeptSession(boto3.Session):
    """A session that makes each client once: a dozen of them take half a second."""

    @cache  # noqa: B019 - one session, until the tests are over
    def client(self, service_name: str, **options: Any) -> Any:
        return super().client(service_name, **options)  # type: ignore[call-overload]


type Looking = Callable[..., ReadableAccount]
"""Makes this process read an account of the model from now on."""


@cache
def kept_session(**options: Any) -> KeptSession:
    return KeptSession(**options)


@pytest.fixture
def looking(monkeypatch: pytest.MonkeyPatch) -> Looking:
    monkeypatch.setattr(reading, "Session", kept_session)

    def look(account: Account, **more: Any) -> ReadableAccount:
        here = ReadableAccount(account, **more)
        here.listen(monkeypatch)
        return here

    return look


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Make waiting take no time; return the seconds of each wait."""
    seconds: list[float] = []
    monkeypatch.setattr("time.sleep", seconds.append)
    return seconds
