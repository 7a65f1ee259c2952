"""A local AWS leaves nothing behind, however it ends, and is not shared."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws, LocalAwsError
from tests.conftest import ROOT
from tests.waiting import until

# Starts a local AWS with a device's process in its group, says where it is, and waits to be ended.
WAITER = """
import signal
import subprocess
import sys

from local_fleet.aws import LocalAws

# Where the tests run in the background of a shell, it was started with SIGINT ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with LocalAws() as aws:
    subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"], process_group=aws.pid)
    print(aws.pid, aws.directory, flush=True)
    signal.pause()
"""


@dataclass(frozen=True)
class Waiter:
    process: subprocess.Popen[str]
    group: int
    directory: Path


@pytest.fixture
def waiter() -> Iterator[Waiter]:
    process = subprocess.Popen(  # noqa: S603  our own script
        [sys.executable, "-c", WAITER],
        env=os.environ | {"PYTHONPATH": str(ROOT / "cli")},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        assert process.stdout
        group, directory = process.stdout.readline().split()
        yield Waiter(process, int(group), Path(directory))
        process.kill()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_its_owner_is_ended(waiter: Waiter, how: signal.Signals) -> None:
    assert processes_of(waiter.group)

    waiter.process.send_signal(how)

    until(lambda: not processes_of(waiter.group), what="the group's processes are gone")
    until(lambda: not waiter.directory.exists(), what="the directory is gone")


def test_nothing_is_left_after_an_exception() -> None:
    left = []

    def fail() -> None:
        with LocalAws() as aws:
            left.append((aws.pid, aws.directory))
            raise ValueError("on purpose")

    with pytest.raises(ValueError, match="on purpose"):
        fail()

    [(group, directory)] = left
    assert not processes_of(group)
    assert not directory.exists()


def test_two_at_once_know_nothing_of_each_other() -> None:
    with LocalAws() as one, LocalAws() as other:
        one.session().client("sqs").create_queue(QueueName="mine")

        assert one.session().client("sqs").list_queues().get("QueueUrls")
        assert not other.session().client("sqs").list_queues().get("QueueUrls")


def test_it_cannot_be_reached_from_another_address() -> None:
    with LocalAws() as aws:
        for port in (aws.port, aws.mqtt_port):
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            # Whatever listens on every address answers on all of 127.0.0.0/8.
            with pytest.raises(OSError, match=r"refused|timed out"):
                socket.create_connection(("127.0.0.2", port), timeout=1)


def test_a_tool_started_with_its_environment_meets_nothing_of_the_persons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")

    with LocalAws() as aws:
        environment = aws.environment()

        assert "AWS_PROFILE" not in environment
        assert environment["AWS_ENDPOINT_URL"] == aws.endpoint_url


def test_a_server_that_cannot_start_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(LocalAwsError, match="did not start"), LocalAws():
        pass


def processes_of(group: int) -> list[str]:
    listing = subprocess.run(
        ["ps", "-A", "-o", "pgid=,pid=,stat="],  # noqa: S607  wherever the machine has it
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    rows = (line.split() for line in listing.splitlines())
    # A zombie has ended; it waits for its new parent to notice.
    return [pid for pgid, pid, state in rows if int(pgid) == group and not state.startswith("Z")]
