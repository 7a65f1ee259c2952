"""Set up account: CloudFormation gets an answer on every path, and other people's settings stay."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from functions.set_up_account import app
from tests.fakes import RESTRICTED_GROUP, World, a_finding, a_world
from tests.functions.conftest import Context, sample
from warden import bootstrap
from warden.core.account_facts import IotLogging

GROUP = POLICY = "fleet-warden-restricted"
PRESIGNED = "/bucket/arn%3Aaws%3Acloudformation?AWSAccessKeyId=A&Expires=1&Signature=a%2Fb%2Bc%3D"


@dataclass
class FakeAccount:
    """The account's settings, held in memory."""

    events: dict[str, bool] = field(default_factory=dict)
    targets: list[str] = field(default_factory=list)
    attached: set[tuple[str, str]] = field(default_factory=set)
    written: int = 0
    broken: Exception | None = None

    def attach_group_policy(self, group: str, policy: str) -> None:
        if self.broken:
            raise self.broken
        self.attached.add((group, policy))

    def detach_group_policy(self, group: str, policy: str) -> None:
        self.attached.discard((group, policy))

    def event_configurations(self) -> dict[str, bool]:
        return dict(self.events)

    def enable_events(self, configurations: dict[str, bool]) -> None:
        self.written += 1
        self.events = dict(configurations)  # as one: what is not in it is off

    def targets_of(self, policy: str) -> Iterator[str]:
        assert policy == POLICY
        yield from self.targets


@dataclass
class Answered:
    """What came to the URL that CloudFormation gave."""

    path: str
    content_type: str | None
    body: dict[str, Any]


@dataclass
class Listener:
    """CloudFormation's end: an HTTP server that takes the answer."""

    url: str
    answers: list[Answered]

    @property
    def answer(self) -> dict[str, Any]:
        [answer] = self.answers
        return answer.body


@pytest.fixture
def cloudformation() -> Iterator[Listener]:
    answers: list[Answered] = []

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answers.append(Answered(self.path, self.headers["Content-Type"], body))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Listener(f"http://127.0.0.1:{server.server_port}{PRESIGNED}", answers)
        server.shutdown()
        thread.join()


@pytest.fixture
def world() -> World:
    return a_world()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, world: World) -> FakeAccount:
    fake = FakeAccount()
    monkeypatch.setattr(app, "account_settings", lambda: fake)
    monkeypatch.setattr(app, "level_keeper", lambda: world.level_keeper)
    return fake


def invoke(cloudformation: Listener, name: str = "set-up-account-create", **changes: Any) -> dict[str, Any]:
    app.lambda_handler(sample(name) | {"ResponseURL": cloudformation.url} | changes, Context())
    return cloudformation.answer


def test_the_group_gets_its_policy_and_job_events_are_switched_on(
    cloudformation: Listener, account: FakeAccount
) -> None:
    answer = invoke(cloudformation)

    asked = sample("set-up-account-create")
    assert answer == {
        "Status": "SUCCESS",
        "Reason": "done",
        "PhysicalResourceId": "fleet-warden-account",
        "StackId": asked["StackId"],
        "RequestId": asked["RequestId"],
        "LogicalResourceId": asked["LogicalResourceId"],
    }
    assert account.attached == {(GROUP, POLICY)}
    assert account.events == {"JOB_EXECUTION": True}


@pytest.mark.usefixtures("account")
def test_the_answer_goes_to_the_presigned_url_as_it_was_signed(cloudformation: Listener) -> None:
    invoke(cloudformation)

    [answered] = cloudformation.answers
    assert answered.path == PRESIGNED
    assert not answered.content_type


def test_what_others_switched_on_stays_on_and_what_they_switched_off_stays_off(
    cloudformation: Listener, account: FakeAccount
) -> None:
    account.events = {"THING": True, "JOB": False, "POLICY": True, "JOB_EXECUTION": False}

    invoke(cloudformation)

    assert account.events == {"THING": True, "JOB": False, "POLICY": True, "JOB_EXECUTION": True}


def test_settings_that_are_right_are_not_written_again(cloudformation: Listener, account: FakeAccount) -> None:
    account.events = {"JOB_EXECUTION": True}

    invoke(cloudformation, RequestType="Update", PhysicalResourceId="fleet-warden-account")

    assert account.written == 0
    assert cloudformation.answer["Status"] == "SUCCESS"


def test_deleting_takes_the_policy_off_and_leaves_the_events_on(cloudformation: Listener, account: FakeAccount) -> None:
    account.events = {"JOB_EXECUTION": True, "THING": True}
    account.attached = {(GROUP, POLICY)}
    account.targets = [f"arn:aws:iot:us-east-1:123456789012:thinggroup/{GROUP}"]

    answer = invoke(cloudformation, "set-up-account-delete")

    assert answer["Status"] == "SUCCESS"
    assert answer["PhysicalResourceId"] == sample("set-up-account-delete")["PhysicalResourceId"]
    assert account.attached == set()
    assert account.events == {"JOB_EXECUTION": True, "THING": True}


@pytest.fixture
def released(world: World) -> World:
    """Set up a device that was contained, logged at DEBUG, and released since the last sweep."""
    world.account.logging = IotLogging(level="ERROR", disabled=False)
    world.report(a_finding())
    world.sweep()
    world.order("release-keeping-certificate", world.case.id)
    return world


@pytest.mark.usefixtures("account")
def test_deleting_takes_back_the_level_that_was_set(cloudformation: Listener, released: World) -> None:
    assert released.account.group_levels == {RESTRICTED_GROUP: "DEBUG"}

    assert invoke(cloudformation, "set-up-account-delete")["Reason"] == "done"

    assert released.account.group_levels == {}


@pytest.mark.usefixtures("account")
def test_a_level_that_cannot_be_taken_back_is_said_and_keeps_no_stack(
    cloudformation: Listener, released: World
) -> None:
    released.account.denied = {"iot:DeleteV2LoggingLevel"}

    answer = invoke(cloudformation, "set-up-account-delete")

    assert answer["Status"] == "SUCCESS"
    assert answer["Reason"] == f"the log level of {GROUP} stays: denied iot:DeleteV2LoggingLevel AccessDeniedException"
    assert released.account.group_levels == {RESTRICTED_GROUP: "DEBUG"}


def test_while_devices_are_contained_deleting_is_refused_and_says_how_to_go_on(
    cloudformation: Listener, account: FakeAccount
) -> None:
    account.attached = {(GROUP, POLICY)}
    account.targets = [f"arn:aws:iot:us-east-1:123456789012:cert/{'a' * 64}"]

    answer = invoke(cloudformation, "set-up-account-delete")

    assert answer["Status"] == "FAILED"
    assert "devices-contained" in answer["Reason"]
    assert "warden cases --state contained" in answer["Reason"]
    assert account.attached == {(GROUP, POLICY)}


@pytest.mark.parametrize("error", [RuntimeError("boom"), KeyError("x"), ValueError("y" * 5000)])
def test_whatever_goes_wrong_cloudformation_hears_of_it(
    cloudformation: Listener, account: FakeAccount, error: Exception
) -> None:
    account.broken = error

    answer = invoke(cloudformation)

    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(type(error).__name__)
    assert len(json.dumps(answer)) < 4096  # CloudFormation reads no more


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("properties", [{}, {"RestrictedGroup": GROUP}])
def test_properties_that_lack_something_are_an_answer_too(cloudformation: Listener, properties: dict[str, str]) -> None:
    assert invoke(cloudformation, ResourceProperties=properties)["Status"] == "FAILED"


def test_an_environment_that_lacks_something_is_an_answer_too(
    cloudformation: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("WARDEN_ACCOUNT", "WARDEN_PARTITION"):
        monkeypatch.delenv(name, raising=False)
    bootstrap.account_settings.cache_clear()

    answer = invoke(cloudformation)

    bootstrap.account_settings.cache_clear()
    assert answer["Status"] == "FAILED"
    assert "WARDEN_" in answer["Reason"]


@pytest.mark.usefixtures("account")
def test_nobody_listening_is_a_failure_that_lambda_sees() -> None:
    gone = sample("set-up-account-create") | {"ResponseURL": "http://127.0.0.1:9/"}

    with pytest.raises(Exception, match="Max retries"):
        app.lambda_handler(gone, Context())
