"""Telemetry, sent at its interval for as long as the broker allows it."""

import json
import threading
from collections.abc import Callable

from warden_agent.ports import Clock, ConnectionLostError, Journal, NotAuthorizedError, Session

LONGEST_PAUSE_SECONDS = 1800.0


class Telemetry:
    """Publishes over the current session.

    AWS IoT may answer a forbidden publish by closing the connection. Each telemetry of a restricted device would then
    interrupt its own jobs. So after such an end, wait longer each time before the next telemetry.
    """

    def __init__(self, topic: str, interval: float, journal: Journal, clock: Clock) -> None:
        self._topic = topic
        self._interval = interval
        self._journal = journal
        self._clock = clock
        self._sequence = 0
        self._cut_off = 0
        self._session: Session | None = None

    def use(self, session: Session | None) -> None:
        self._session = session

    def publish_once(self) -> float:
        """Publish if there is a connection, and return the seconds until the next is due."""
        if (session := self._session) is None:
            return self._interval
        self._sequence += 1
        body = {"sequence": self._sequence, "time": self._clock.now().isoformat(timespec="milliseconds")}
        try:
            session.publish(self._topic, json.dumps(body).encode())
        except NotAuthorizedError as error:
            self._journal.record("telemetry-refused", sequence=self._sequence, reason=str(error))
        except ConnectionLostError as error:
            self._journal.record("telemetry-refused", sequence=self._sequence, reason=f"connection lost: {error}")
            self._cut_off += 1
            longest = max(LONGEST_PAUSE_SECONDS, self._interval)
            return min(self._interval * 2.0 ** min(self._cut_off, 16), longest)
        else:
            self._journal.record("telemetry-accepted", sequence=self._sequence)
        self._cut_off = 0
        return self._interval


def start_in_background(telemetry: Telemetry, wait: Callable[[float], bool]) -> threading.Thread:
    """Publish until `wait` reports the end. A job may take minutes; telemetry does not wait for it."""

    def publish_until_over() -> None:
        pause = 0.1
        while not wait(pause):
            pause = telemetry.publish_once()

    thread = threading.Thread(target=publish_until_over, name="telemetry", daemon=True)
    thread.start()
    return thread
