"""The agent's ports to the outside, and how they may fail."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from warden_agent.identity import Identity
from warden_agent.state import DeviceState


class ConnectError(Exception):
    """Raised when no connection could be made with an identity."""

    def __init__(self, reason: str, *, reached: bool) -> None:
        super().__init__(reason)
        self.reached = reached
        """Whether the endpoint refused us; False for a network failure, which says nothing about the identity."""


class ConnectionLostError(Exception):
    """Raised when the connection was lost."""


class NotAuthorizedError(Exception):
    """Raised when the broker refuses a publish or a subscription and keeps the connection."""


class NoAnswerError(Exception):
    """Raised when a request was not answered in time."""


class Reconnect(Exception):  # noqa: N818  nothing went wrong
    """Raised to end a good connection on purpose, so that the next one uses the identity that the state names."""


class UploadRefusedError(Exception):
    """Raised when the store refuses an upload permanently."""


class UploadExpiredError(Exception):
    """Raised when the permission to upload has expired and a new one may help."""


class UploadFailedError(Exception):
    """Raised when an upload failed for a temporary reason."""


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes


class Session(Protocol):
    """One connection with one identity; unusable once it is lost."""

    @property
    def identity(self) -> Identity: ...

    def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe and wait for the broker's answer. Raises NotAuthorizedError, ConnectionLostError."""

    def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1 and wait for the broker's answer. Raises NotAuthorizedError, ConnectionLostError."""

    def receive(self, timeout: float) -> Message | None:
        """Wait for the next message. Raises ConnectionLostError once every message from before the loss was read."""

    def close(self) -> None:
        """Disconnect and free the client id. Never raises."""


class Dialer(Protocol):
    def dial(self, identity: Identity) -> Session:
        """Connect as the thing with this identity. Raises ConnectError."""


class Clock(Protocol):
    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class StateStore(Protocol):
    def load(self) -> DeviceState: ...

    def save(self, state: DeviceState) -> None:
        """Save this as the state, atomically even across a power cut."""


class Uploader(Protocol):
    def upload(self, url: str, fields: Mapping[str, str], name: str, file: Path) -> None:
        """Post the file. Raises UploadRefusedError, UploadExpiredError, UploadFailedError."""


class Journal(Protocol):
    def record(self, event: str, **fields: Any) -> None:
        """Write an event to standard output."""
