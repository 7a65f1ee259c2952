"""The device of tests/device/test_killed.py: the reference agent in real processes, on a real disk, to be killed.

Started once, it waits for orders on standard input, a JSON object a line, and forks a process for each: a life of the
agent, from its start to the end or to its death. In it everything is the product's, but the MQTT connection (calls
over a Unix socket, to a cloud that outlives the device) and the clock (which makes nobody wait). A life counts its
steps: each call of the network, each line of the journal, each source line of what writes the state to disk. At the
given step it kills itself with SIGKILL, which no handler of Python sees.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import CodeType
from typing import IO, Any

from tests.device.fakes import THING, FakeClock, Idle, a_token
from tests.waiting import PATIENCE
from warden_agent import storage
from warden_agent.agent import Agent
from warden_agent.exchange import Topics
from warden_agent.identity import Identity
from warden_agent.journal import LineJournal
from warden_agent.logs import LogCollection
from warden_agent.ports import ConnectError, ConnectionLostError, Message
from warden_agent.rotation import Rotations
from warden_agent.storage import FileStore
from warden_agent.telemetry import Telemetry
from warden_agent.timing import Backoff
from warden_agent.upload import FormUploader

WRITES_TO_DISK: Sequence[Callable[..., Any]] = (FileStore.enrol, storage.write_durably)


def say(value: object, stream: IO[str]) -> None:
    """Write a line of JSON, at once."""
    stream.write(json.dumps(value) + "\n")
    stream.flush()


class Steps:
    """Counts the steps of a life, and ends it at one of them."""

    def __init__(self, killed_at: int) -> None:
        self._killed_at = killed_at
        self.passed: list[str] = []

    def step(self, name: str) -> None:
        self.passed.append(name)
        if len(self.passed) == self._killed_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, functions: Sequence[Callable[..., Any]]) -> None:
        """Make each line of these functions a step, just before it runs."""
        monitoring = sys.monitoring
        monitoring.use_tool_id(monitoring.DEBUGGER_ID, "killed-device")
        monitoring.register_callback(monitoring.DEBUGGER_ID, monitoring.events.LINE, self._line)
        for function in functions:
            code: CodeType = getattr(function, "__code__")  # noqa: B009 - a Callable need not have one
            monitoring.set_local_events(monitoring.DEBUGGER_ID, code, monitoring.events.LINE)

    def _line(self, code: CodeType, line: int) -> None:
        self.step(f"disk {code.co_name}:{line - code.co_firstlineno}")


class SteppedJournal(LineJournal):
    steps: Steps

    def record(self, event: str, **fields: Any) -> None:
        self.steps.step(f"journal before {event}")
        super().record(event, **fields)
        self.steps.step(f"journal after {event}")


class Wire:
    """One connection to the cloud: a question a line, an answer a line."""

    def __init__(self, path: str, steps: Steps) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(path)
        self._file = self._socket.makefile("rw", encoding="utf-8")
        self._steps = steps

    def ask(self, what: str, *arguments: object) -> Any:
        """Raises ConnectionLostError when the connection is cut, and whatever the cloud's answer says."""
        self._steps.step(f"network before {what}")
        try:
            say([what, *arguments], self._file)
            line = self._file.readline()
        except OSError as error:
            raise ConnectionLostError(str(error)) from error
        if not line:
            raise ConnectionLostError("the connection was cut")
        self._steps.step(f"network after {what}")
        answer = json.loads(line)
        match answer.get("raised"):
            case None:
                return answer["said"]
            case "ConnectError":
                raise ConnectError(answer["why"], reached=answer["reached"])
            case "Idle":
                raise Idle
            case _:
                raise ConnectionLostError(answer["why"])

    def close(self) -> None:
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # it was cut already
        finally:
            self._socket.close()


class WiredSession:
    def __init__(self, wire: Wire, identity: Identity, clock: FakeClock) -> None:
        self._wire = wire
        self._clock = clock
        self._identity = identity

    @property
    def identity(self) -> Identity:
        return self._identity

    def subscribe(self, filters: Sequence[str]) -> None:
        self._wire.ask("subscribe", list(filters))

    def publish(self, topic: str, payload: bytes) -> None:
        self._wire.ask("publish", topic, payload.decode())

    def receive(self, timeout: float) -> Message | None:
        said = self._wire.ask("receive", timeout)
        if said is None:
            self._clock.sleep(timeout)
            return None
        topic, payload = said
        return Message(topic, payload.encode())

    def close(self) -> None:
        self._wire.close()


class WiredDialer:
    def __init__(self, path: str, steps: Steps, clock: FakeClock) -> None:
        self._path = path
        self._steps = steps
        self._clock = clock

    def dial(self, identity: Identity) -> WiredSession:
        wire = Wire(self._path, self._steps)
        try:
            wire.ask("dial", identity.certificate_pem)
        except ConnectionLostError as error:
            wire.close()
            raise ConnectError(str(error), reached=False) from error
        except ConnectError:
            wire.close()
            raise
        return WiredSession(wire, identity, self._clock)


def live(order: Mapping[str, Any]) -> None:
    """Start as the agent's own `__main__` does, and go on until nothing is left to do."""
    folder, clock, steps = Path(order["folder"]), FakeClock(), Steps(order["killed_at"])
    steps.watch(WRITES_TO_DISK)
    with (folder / "journal").open("a") as stream:
        journal = SteppedJournal(stream, clock, THING)
        journal.steps = steps
        store = FileStore(folder / "state")
        store.enrol()
        store.load()
        try:
            agent(folder, store, journal, WiredDialer(order["cloud"], steps, clock), clock).run()
        except Idle:
            (folder / "steps.json").write_text(json.dumps(steps.passed))


def agent(folder: Path, store: FileStore, journal: LineJournal, dialer: WiredDialer, clock: FakeClock) -> Agent:
    return Agent(
        topics=Topics(THING),
        dialer=dialer,
        rotations=Rotations(
            thing_name=THING, store=store, journal=journal, clock=clock, tokens=a_token, delay=lambda: 1.0
        ),
        logs=LogCollection(
            allowed={},
            scratch=folder / "state" / "collected",
            max_bytes=1000,
            uploader=FormUploader(),
            journal=journal,
            clock=clock,
            delay=lambda: 1.0,
        ),
        telemetry=Telemetry(f"telemetry/{THING}", 60, journal, clock),
        journal=journal,
        clock=clock,
        tokens=a_token,
        reconnects=Backoff(1, 60, random.Random(7)),  # noqa: S311  not for secrets
        delay=lambda: 1.0,
    )


def main() -> None:
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(json.loads(line))
                code = 0
            finally:
                os._exit(code)  # what the first process has open is not this one's to close
        _, status = os.waitpid(child, 0)
        say(os.waitstatus_to_exitcode(status), sys.stdout)


if __name__ == "__main__":
    main()
