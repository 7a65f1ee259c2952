"""How long a survey, or `warden doctor`, waits for AWS: a service that never answers costs it some lines, and no more.

The clients of a run share what they learned: a service that twice did not answer is not asked again in the run. Slow
answers and long lists are bounded by the time of the run instead.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

from botocore.exceptions import BotoCoreError, HTTPClientError
from botocore.exceptions import ConnectionError as NotConnectedError
from botocore.hooks import BaseEventHooks

_TRIES = 2
"""One lost packet is not a missing answer. A throttled call is answered, and may be retried as its client is set up."""


class NoAnswerInTimeError(BotoCoreError):
    """Raised instead of waiting any longer."""

    fmt = "{service} did not answer {operation} in time"


class Patience:
    """Watches the clients of a run. `begin` starts the run's time."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()
        self._silent = set[str]()

    def begin(self) -> None:
        """Ask every service again, with all of the time."""
        self._began = self._monotonic()
        self._silent.clear()

    def watch[T](self, client: T, limit: timedelta) -> T:
        """Keep a client from beginning a call after `limit`, or a call of a service that did not answer."""
        watched: Any = client
        self.listen(watched.meta.events, limit)
        return client

    def listen(self, events: BaseEventHooks, limit: timedelta) -> None:
        """Watch a client, or each client that a session makes from now on: both have these events."""
        events.register_first("before-call", partial(self._before, limit.total_seconds()))
        events.register_first("needs-retry", self._after_a_try)

    def _before(self, limit: float, *, event_name: str, **_event: Any) -> None:
        service, operation = event_name.split(".")[1:]
        if service in self._silent or self._monotonic() - self._began > limit:
            raise NoAnswerInTimeError(service=service, operation=operation)

    def _after_a_try(
        self, *, event_name: str, attempts: int, caught_exception: Exception | None, **_event: Any
    ) -> None:
        if isinstance(caught_exception, NotConnectedError | HTTPClientError) and attempts >= _TRIES:
            service, operation = event_name.split(".")[1:]
            self._silent.add(service)
            raise NoAnswerInTimeError(service=service, operation=operation) from caught_exception
