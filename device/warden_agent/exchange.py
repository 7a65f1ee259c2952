"""Requests to the cloud and their answers: publish, then wait on .../accepted and .../rejected."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from warden_agent.ports import Clock, Message, NoAnswerError, Session

ANSWER_SECONDS = 15.0
PASSING = frozenset({"try-again", "internal", "no-job", "not-yours", "not-active"})
"""Refusals that may pass: the cloud may not see yet what the device has just done, or what was just done to it."""
LARGEST_MESSAGE = 128 * 1024  # AWS IoT carries no more; do not parse anything larger


@dataclass(frozen=True)
class Answer:
    accepted: bool
    body: dict[str, Any]

    @property
    def code(self) -> str:
        return str(self.body.get("code", "no code"))

    @property
    def refusal(self) -> str:
        return f"{self.code}: {self.body.get('message', 'no message')}"


@dataclass(frozen=True)
class Topics:
    """Every topic of one thing. AWS IoT accepts eight filters in a subscription, hence the two groups."""

    thing_name: str

    def jobs(self, rest: str) -> str:
        return f"$aws/things/{self.thing_name}/jobs/{rest}"

    def warden(self, rest: str) -> str:
        return f"warden/{self.thing_name}/{rest}"

    @property
    def notify_next(self) -> str:
        return self.jobs("notify-next")

    @property
    def filters(self) -> tuple[list[str], list[str]]:
        ends = ("accepted", "rejected")
        jobs = [self.jobs(f"{request}/{end}") for request in ("start-next", "+/update") for end in ends]
        warden = [
            self.warden(f"{request}/{end}")
            for request in ("certificate/create", "certificate/confirm", "logs/create")
            for end in ends
        ]
        return [self.notify_next, *jobs], warden


class Exchange:
    """Requests over one session. Answers with another token and repeated answers are dropped."""

    def __init__(self, session: Session, topics: Topics, clock: Clock, tokens: Callable[[], str]) -> None:
        self._session = session
        self.topics = topics
        self._clock = clock
        self._tokens = tokens
        self._notified = False

    def open(self) -> None:
        """Subscribe to every answer before the first request. Raises NotAuthorizedError, ConnectionLostError."""
        for group in self.topics.filters:
            self._session.subscribe(group)

    def ask(self, topic: str, body: dict[str, Any], *, token: str | None = None) -> Answer:
        """Ask and wait. Raises NoAnswerError, NotAuthorizedError, ConnectionLostError."""
        token = token or self._tokens()
        self._session.publish(topic, json.dumps({"clientToken": token, **body}).encode())
        deadline = self._clock.monotonic() + ANSWER_SECONDS
        while (left := deadline - self._clock.monotonic()) > 0:
            message = self._session.receive(left)
            if message is None:
                continue
            if (answer := _answer(message, topic, token)) is not None:
                return answer
            self._note(message)
        raise NoAnswerError(f"no answer on {topic} within {ANSWER_SECONDS:g} seconds")

    def wait_for_notice(self, seconds: float) -> None:
        """Wait until the cloud reports another next job, or the time is up."""
        deadline = self._clock.monotonic() + seconds
        while not self._notified and (left := deadline - self._clock.monotonic()) > 0:
            if (message := self._session.receive(left)) is not None:
                self._note(message)
        self._notified = False

    def _note(self, message: Message) -> None:
        # A notification may overtake the answer that it makes stale, so it is remembered.
        if message.topic == self.topics.notify_next:
            self._notified = True


def _answer(message: Message, topic: str, token: str) -> Answer | None:
    if message.topic not in (f"{topic}/accepted", f"{topic}/rejected") or len(message.payload) > LARGEST_MESSAGE:
        return None
    try:
        body = json.loads(message.payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or body.get("clientToken") != token:
        return None
    return Answer(message.topic.endswith("/accepted"), body)
