"""SQS as far as it matters to what is delivered when: groups, deduplication, visibility, and the dead-letter queue.

moto's queues keep a clock of their own and nobody polls them; these stand in their place, on the world's clock.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from tests.template.transformed import written

DEDUPLICATION = timedelta(minutes=5)


@dataclass
class Message:
    """A message, with how often it was received and how it failed last."""

    id: str
    body: str
    group: str
    sent_at: datetime
    visible_at: datetime
    receives: int = 0
    failure: str = ""


@dataclass
class Queue:
    """A queue; its terms are the template's."""

    name: str
    visibility: timedelta
    most_receives: int
    waiting: list[Message] = field(default_factory=list)
    parked: list[Message] = field(default_factory=list)
    sent: int = 0
    seen: dict[str, datetime] = field(default_factory=dict)

    @property
    def is_fifo(self) -> bool:
        """Whether it hands out one message of a group at a time, in order."""
        return self.name.endswith(".fifo")

    def send(self, body: str, now: datetime, *, group: str = "", once: str = "") -> None:
        """Take a message in; one that carries the same `once` within five minutes is the same message."""
        if once and now - self.seen.get(once, now - DEDUPLICATION) < DEDUPLICATION:
            return
        if once:
            self.seen[once] = now
        self.sent += 1
        self.waiting.append(Message(f"{self.name}-{self.sent}", body, group, now, now))

    def receivable(self, now: datetime) -> Message | None:
        """Find the next message that may be handed out now."""
        return next((each for each in self._heads() if each.visible_at <= now), None)

    def next_at(self) -> datetime | None:
        """Return when the next message may be delivered; None when none waits."""
        return min((each.visible_at for each in self._heads()), default=None)

    def _heads(self) -> Iterator[Message]:
        groups: set[str] = set()
        for message in self.waiting:
            if not self.is_fifo or message.group not in groups:
                yield message
            groups.add(message.group)

    def take(self, message: Message, now: datetime) -> None:
        """Hand a message out: nobody else sees it for a while."""
        message.receives += 1
        message.visible_at = now + self.visibility

    def done(self, message: Message) -> None:
        """Forget a message that was dealt with."""
        self.waiting.remove(message)

    def failed(self, message: Message, why: str) -> None:
        """Keep a message that was not dealt with for another time, or park it when there were enough."""
        message.failure = why
        if message.receives >= self.most_receives:
            self.waiting.remove(message)
            self.parked.append(message)


def queues() -> dict[str, Queue]:
    """Make the queues that functions of the template poll, by name; all are empty."""
    resources = written()["Resources"]
    made = {}
    for logical in functions_of_queues():
        terms = resources[logical]["Properties"]
        name = name_of(logical)
        visibility = timedelta(seconds=terms["VisibilityTimeout"])
        made[name] = Queue(name, visibility, terms["RedrivePolicy"]["maxReceiveCount"])
    return made


def name_of(logical: str) -> str:
    """Name a queue of the template."""
    return f"{logical}.fifo" if written()["Resources"][logical]["Properties"].get("FifoQueue") else logical


@cache
def functions_of_queues() -> dict[str, str]:
    """Return which function polls which queue: its folder, by the queue's logical name."""
    found = {}
    for resource in written()["Resources"].values():
        for event in resource.get("Properties", {}).get("Events", {}).values():
            if resource["Type"] == "AWS::Serverless::Function" and event["Type"] == "SQS":
                folder = resource["Properties"]["CodeUri"].removeprefix("functions/")
                found[event["Properties"]["Queue"]["Fn::GetAtt"][0]] = folder
    return found


@cache
def urls() -> dict[str, str]:
    """Return the queue that each environment variable of the template names."""
    template = written()
    groups = [template["Globals"]["Function"], *(each.get("Properties", {}) for each in template["Resources"].values())]
    variables: dict[str, object] = {}
    for group in groups:
        environment = group.get("Environment", {}) if isinstance(group, dict) else {}
        variables |= environment.get("Variables", {}) if isinstance(environment, dict) else {}
    known = {**functions_of_queues()}
    return {
        variable: name_of(value["Ref"])
        for variable, value in variables.items()
        if isinstance(value, dict) and value.get("Ref") in known
    }
