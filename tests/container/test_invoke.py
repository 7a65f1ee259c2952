"""Every function runs in a real container behind Lambda's own runtime interface, with its layers, on its samples."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local_fleet.aws import LocalAws
from local_fleet.deploy import SAM, deploy
from local_fleet.invoke import build, invoke
from local_fleet.relay import reachable_from_containers
from tests.sample_events import SAMPLE_EVENTS, SampleEvent, of_function

IMAGE = "public.ecr.aws/lambda/python:3.13-x86_64"
ANSWERED = [pytest.param(each, id=each.name) for each in SAMPLE_EVENTS.values() if each.answer is not None]
"""Of ingest's samples one for each way in; tests/functions has them all."""


@dataclass(frozen=True)
class Application:
    """The application as built, and the local AWS that it is deployed in."""

    aws: LocalAws
    template: Path

    def invoke(self, function: str, event: Path) -> Any:
        return invoke(self.template, function, event, self.aws.environment(), skip_pull=True)


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    if reason := _why_not():
        pytest.skip(reason)
    with LocalAws() as aws:
        deploy(aws)
        yield Application(aws, build(tmp_path_factory.mktemp("built"), aws.environment()))


def _why_not() -> str:
    """Return why no container can run here; empty when one can."""
    docker = shutil.which("docker")
    if docker is None:
        return "there is no Docker here: `docker` is not on the path"
    if _fails(docker, "info"):
        return "no Docker daemon answers (`docker info`)"
    if not SAM.exists():
        return "the SAM CLI is not installed (`make set-up`)"
    if _fails(docker, "image", "inspect", IMAGE) and _fails(docker, "pull", IMAGE):
        return f"there is no image {IMAGE} here, and none to be pulled"
    return ""


def _fails(*command: str) -> bool:
    return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode != 0  # noqa: S603 - above


@pytest.mark.parametrize("sample", ANSWERED)
def test_it_answers_its_sample(application: Application, sample: SampleEvent) -> None:
    function = f"{sample.function.title().replace('_', '')}Function"

    assert application.invoke(function, sample.path) == sample.answer


def test_the_operators_cases_are_listed(application: Application) -> None:
    answer = application.invoke("OperateFunction", SAMPLE_EVENTS["operate-list-cases"].path)

    assert answer["statusCode"] == 200
    assert "cases" in json.loads(answer["body"])


def test_a_release_of_no_case_is_told_so(application: Application) -> None:
    answer = application.invoke("OperateFunction", SAMPLE_EVENTS["operate-release"].path)

    assert answer["statusCode"] in (404, 409)


@pytest.mark.parametrize("sample", of_function("set_up_account"), ids=lambda each: each.name)
def test_cloudformation_is_answered(application: Application, sample: SampleEvent, tmp_path: Path) -> None:
    with _cloudformation() as (url, answers), reachable_from_containers(url) as reachable:
        event = json.loads(sample.path.read_text()) | {"ResponseURL": reachable}
        (tmp_path / "event.json").write_text(json.dumps(event))

        assert application.invoke("SetUpAccountFunction", tmp_path / "event.json") is None

    assert [answer["Status"] for answer in answers] == ["SUCCESS"]


@contextmanager
def _cloudformation() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Stand at CloudFormation's end: an HTTP server that takes the answer."""
    answers: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            answers.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", answers
        server.shutdown()
        thread.join()
