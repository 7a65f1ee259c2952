"""Devices of the local fleet: their registration, and the processes of their agents."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_fleet.aws import LocalAws
from warden_agent.identity import KeyAlgorithm, new_key, signing_request
from warden_agent.storage import ENROLMENT_CERTIFICATE, ENROLMENT_KEY

DEVICE_CODE = Path(__file__).parents[2] / "device"
DEVICE_POLICY_NAME = "fleet-device"

_STOP_SECONDS = 60


class AgentError(Exception):
    """Raised when an agent does not do what is expected; the message says what it did instead."""


@dataclass(frozen=True, kw_only=True)
class Device:
    """A thing in the registry, and the folder that stands for its machine."""

    thing_name: str
    certificate_arn: str
    directory: Path

    @property
    def certificate_id(self) -> str:
        return self.certificate_arn.rpartition("/")[2]

    @property
    def config_file(self) -> Path:
        return self.directory / "agent.toml"

    @property
    def state_dir(self) -> Path:
        return self.directory / "state"


def enrol(
    aws: LocalAws,
    thing_name: str,
    directory: Path,
    *,
    logs: Mapping[str, bytes] | None = None,
    settings: Mapping[str, str | float] | None = None,
) -> Device:
    """Register a thing with an active certificate for a key made here, and create its agent's folder.

    `logs` are files that the agent may upload, by label; `settings` go into its configuration unchanged.
    """
    iot = aws.session().client("iot")
    key = new_key(KeyAlgorithm.EC_P256)
    certificate = iot.create_certificate_from_csr(
        certificateSigningRequest=signing_request(key, thing_name), setAsActive=True
    )
    iot.create_thing(thingName=thing_name)
    iot.attach_policy(policyName=_device_policy(aws), target=certificate["certificateArn"])
    iot.attach_thing_principal(thingName=thing_name, principal=certificate["certificateArn"])

    device = Device(thing_name=thing_name, certificate_arn=certificate["certificateArn"], directory=directory)
    device.state_dir.mkdir(mode=0o700, parents=True)
    _write_private(device.state_dir / ENROLMENT_KEY, key)
    (device.state_dir / ENROLMENT_CERTIFICATE).write_text(certificate["certificatePem"])
    _configure(aws, device, logs or {}, settings or {})
    return device


def _device_policy(aws: LocalAws) -> str:
    iot = aws.session().client("iot")
    document = (DEVICE_CODE / "device-policy.json").read_text()
    document = document.replace("${AWS::Region}", aws.region).replace("${AWS::AccountId}", aws.account_id)
    with contextlib.suppress(iot.exceptions.ResourceAlreadyExistsException):  # the device before made it
        iot.create_policy(policyName=DEVICE_POLICY_NAME, policyDocument=document)
    return DEVICE_POLICY_NAME


def _write_private(path: Path, content: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(content)


def _configure(aws: LocalAws, device: Device, logs: Mapping[str, bytes], settings: Mapping[str, str | float]) -> None:
    for label, content in logs.items():
        path = device.directory / "logs" / label
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
    values: dict[str, str | float] = {
        "thing_name": device.thing_name,
        "endpoint": aws.mqtt_host,
        "port": aws.mqtt_port,
        "ca_file": str(aws.ca_file),
        "state_dir": device.state_dir.name,
        # A minute is too long for a demo and for a test.
        "telemetry_interval_seconds": 0.5,
        "retry_min_seconds": 0.2,
        "retry_max_seconds": 2.0,
        **settings,
    }
    # JSON's strings and numbers are TOML's as well.
    lines = [f"{name} = {json.dumps(value)}" for name, value in values.items()]
    lines += ["", "[logs]", *(f"{json.dumps(label)} = {json.dumps(f'logs/{label}')}" for label in logs)]
    device.config_file.write_text("\n".join(lines) + "\n")


class AgentProcess:
    """The agent of one device as a process: start, stop or kill it, and read its events."""

    def __init__(self, aws: LocalAws, device: Device) -> None:
        self._aws = aws
        self.device = device
        self._process: subprocess.Popen[str] | None = None
        self._listener: threading.Thread | None = None
        self._events: list[dict[str, Any]] = []
        self._news = threading.Condition()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def events(self) -> list[dict[str, Any]]:
        """Everything the agent has reported so far, over all its starts."""
        with self._news:
            return list(self._events)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the agent with the state that it left."""
        if self.running:
            raise AgentError(f"the agent of {self.device.thing_name} is running already")
        with (self.device.directory / "agent.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 # nosec B603 # our own module, our own arguments
                [sys.executable, "-m", "warden_agent", "--config", str(self.device.config_file)],
                cwd=DEVICE_CODE,  # puts warden_agent on its path
                env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                errors="replace",
                # In the process group that ends with the local AWS, even if we are killed.
                process_group=self._aws.pid,
            )
        self._listener = threading.Thread(target=self._listen, args=(self._process,), daemon=True)
        self._listener.start()

    def stop(self) -> None:
        """Stop it with SIGTERM, and kill it if it does not end."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def await_event(self, event: str, timeout: float, *, after: int = 0, **fields: Any) -> dict[str, Any]:
        """Return the first event of this name and with these fields, after the first `after` events.

        Raises:
            AgentError: The event did not come in time, or the agent ended before.
        """
        deadline = time.monotonic() + timeout
        wanted = {"event": event, **fields}
        with self._news:
            while True:
                for found in self._events[after:]:
                    if wanted.items() <= found.items():
                        return found
                left = deadline - time.monotonic()
                if left <= 0 or not self.running:
                    raise AgentError(self._complaint(wanted, timeout))
                self._news.wait(min(left, 0.5))  # wakes up in between to notice an agent that has ended

    def _listen(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            with self._news:
                self._events.append(json.loads(line))
                self._news.notify_all()
        with self._news:
            self._news.notify_all()

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_STOP_SECONDS)
        if self._listener is not None:
            self._listener.join(_STOP_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _complaint(self, wanted: Mapping[str, Any], timeout: float) -> str:
        ended = "" if self.running else f" (it ended with {self._process.returncode if self._process else None})"
        log = (self.device.directory / "agent.log").read_text(errors="replace").splitlines()[-15:]
        recent = "\n".join(json.dumps(event) for event in self._events[-15:])
        return (
            f"{self.device.thing_name} did not report {json.dumps(dict(wanted))} within {timeout:g} s{ended}; "
            f"it reported:\n{recent}\nand logged:\n" + "\n".join(log)
        )
