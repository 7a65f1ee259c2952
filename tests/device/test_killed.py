"""The agent in a real process, killed with SIGKILL or cut off at every step of a rotation: it comes back by itself."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

import pytest

from tests.conftest import ROOT
from tests.device.fakes import THING, FakeClock, FakeCloud, FakeDialer, FakeSession, Fate, Idle
from tests.device.killed_device import say
from tests.waiting import PATIENCE
from warden_agent.identity import Identity
from warden_agent.ports import ConnectError, ConnectionLostError
from warden_agent.state import DeviceState
from warden_agent.storage import ENROLMENT_CERTIFICATE, ENROLMENT_KEY, FileStore

MEMORY = Path("/dev/shm")  # noqa: S108 - only the folder that a temporary one is made in
KILLED = -signal.SIGKILL
NEVER = 0


class Nursery:
    """The process that gives the device its lives."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.device.killed_device"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "device")])},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, self.told = self._process.stdin, self._process.stdout

    def begin(self, **order: Any) -> None:
        say(order, self._orders)

    def close(self) -> None:
        self._orders.close()
        self._process.wait(PATIENCE)
        self.told.close()


@dataclass
class Network:
    """Cuts the connection once: at the nth call, before the cloud hears it or before the device hears the answer."""

    cut_at: int = NEVER
    heard: bool = False
    passed: list[str] = field(default_factory=list)

    def cuts(self, call: str) -> bool:
        self.passed.append(call)
        return len(self.passed) == self.cut_at


class Device:
    """A device on a shelf, and the cloud that it will talk to."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self.cloud = FakeCloud()
        self._dialer = FakeDialer(self.cloud, Fate(), FakeClock())
        self._path = str(folder / "cloud")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        (folder / "state").mkdir(mode=0o700)
        (folder / "state" / ENROLMENT_CERTIFICATE).write_text(self.cloud.first.certificate_pem)
        (folder / "state" / ENROLMENT_KEY).write_text(self.cloud.first.key_pem)

    @property
    def state(self) -> DeviceState:
        return FileStore(self._folder / "state").load()

    @property
    def files(self) -> list[str]:
        return sorted(path.name for path in (self._folder / "state").iterdir())

    @property
    def steps(self) -> list[str]:
        """The steps of the last life that came to its end."""
        return list(json.loads((self._folder / "steps.json").read_text()))

    def close(self) -> None:
        self._listener.close()

    def live(self, *, killed_at: int = NEVER, network: Network | None = None) -> int:
        """Switch it on and be its cloud until it has nothing left to do, or is dead; return its exit code."""
        network = network or Network()
        self._nursery.begin(folder=str(self._folder), cloud=self._path, killed_at=killed_at)
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._listener, selectors.EVENT_READ, None)
            waiting.register(self._nursery.told, selectors.EVENT_READ, None)
            while True:
                ready = [key for key, _ in waiting.select(PATIENCE)]
                assert ready, "the device is neither done nor dead"
                if any(key.fileobj is self._listener for key in ready):
                    connection, _ = self._listener.accept()
                    with connection, connection.makefile("rw", encoding="utf-8") as wire:
                        self._serve(wire, network)
                else:
                    return int(self._nursery.told.readline())

    def _serve(self, wire: IO[str], network: Network) -> None:
        """Answer one connection until either side is gone; then its session is over for the broker too."""
        try:
            for line in wire:
                what, *arguments = json.loads(line)
                cut = network.cuts(what)
                if cut and not network.heard:
                    return
                answer = self._answer(what, arguments)
                if cut:
                    return
                say(answer, wire)
        except (BrokenPipeError, ConnectionResetError):
            return
        finally:
            for session in self._dialer.sessions:
                session.close()

    def _answer(self, what: str, arguments: list[Any]) -> dict[str, Any]:
        try:
            return {"said": self._said(what, arguments)}
        except ConnectError as error:
            return {"raised": "ConnectError", "why": str(error), "reached": error.reached}
        except ConnectionLostError as error:
            return {"raised": "ConnectionLostError", "why": str(error)}
        except Idle:
            return {"raised": "Idle"}

    def _said(self, what: str, arguments: list[Any]) -> object:
        if what == "dial":
            self._dialer.dial(Identity(arguments[0], ""))
            return None
        session: FakeSession = self._dialer.sessions[-1]
        if what == "subscribe":
            session.subscribe(arguments[0])
        elif what == "publish":
            session.publish(arguments[0], arguments[1].encode())
        elif (message := session.receive(arguments[0])) is not None:
            return [message.topic, message.payload.decode()]
        return None


@pytest.fixture(name="nursery", scope="module")
def _nursery() -> Iterator[Nursery]:
    nursery = Nursery()
    yield nursery
    nursery.close()


class Shelf:
    """Makes devices, each in a folder of its own."""

    def __init__(self, nursery: Nursery, folder: Path) -> None:
        self._nursery = nursery
        self._folder = folder
        self._made: list[Device] = []

    def a_device(self) -> Device:
        folder = self._folder / str(len(self._made))
        folder.mkdir()
        self._made.append(Device(self._nursery, folder))
        self._made[-1].cloud.order("rotate-certificate")
        return self._made[-1]

    def close(self) -> None:
        for device in self._made:
            device.close()


@pytest.fixture(name="shelf")
def _shelf(nursery: Nursery) -> Iterator[Shelf]:
    """In memory if possible: SIGKILL loses nothing that a disk would keep, and fsync is quick."""
    with TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        shelf = Shelf(nursery, Path(folder))
        yield shelf
        shelf.close()


def assert_rotated(device: Device, after: str) -> None:
    cloud, state = device.cloud, device.state
    assert [job.status for job in cloud.jobs] == ["SUCCEEDED"], after
    assert cloud.active == {state.identity.certificate_id}, f"{after}: exactly one is ACTIVE, the device's"
    assert state.identity != cloud.first, after
    assert (state.fallback, state.rotation) == (None, None), f"{after}: no other key is left"
    assert len(cloud.issued) == 1, f"{after}: no certificate was made in vain"
    assert len({str(request) for request in cloud.asked("/create")}) == 1, f"{after}: asking again is the same request"
    assert device.files == ["state.json"], after


def test_killed_at_every_step_it_comes_back_by_itself(shelf: Shelf, capsys: pytest.CaptureFixture[str]) -> None:
    undisturbed = shelf.a_device()
    assert undisturbed.live() == 0
    steps = undisturbed.steps
    assert_rotated(undisturbed, "undisturbed")
    kinds = Counter(step.split()[0] for step in steps)
    assert min(kinds["network"], kinds["journal"], kinds["disk"]) >= 10

    for number, step in enumerate(steps, start=1):
        device = shelf.a_device()
        assert device.live(killed_at=number) == KILLED, step
        assert device.live() == 0, f"killed at {step}"
        assert_rotated(device, f"killed at step {number}, {step}")
    with capsys.disabled():
        sys.stdout.write(f"\n{THING} was killed with SIGKILL at each of {len(steps)} steps: {dict(kinds)}\n")


@pytest.mark.parametrize(
    "heard", [False, True], ids=["before the cloud hears it", "before the device hears the answer"]
)
def test_cut_off_at_every_call_it_goes_on_by_itself(
    shelf: Shelf, heard: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    network = Network()
    assert shelf.a_device().live(network=network) == 0
    calls = network.passed

    for number, call in enumerate(calls, start=1):
        device = shelf.a_device()
        assert device.live(network=Network(cut_at=number, heard=heard)) == 0, call
        assert_rotated(device, f"cut off at call {number}, {call}")
    with capsys.disabled():
        sys.stdout.write(f"\n{THING} was cut off at each of {len(calls)} calls: {dict(Counter(calls))}\n")
