"""The kinds of failure that the service distinguishes.

WardenError
├── Refused        the message can never be acted on; it is recorded with its reason and not delivered again
├── PlanError      the response plan has faults; each names its line
├── NotYet         AWS IoT does not show the change yet; the message is delivered again
├── ActionFailed   this action cannot be done to this device; the case records it and the next action runs
├── NotSent        a notice, event or page could not be sent; it is sent later, and what was done stays done
├── NewerRecord    a newer version of the service wrote this record; the message waits until that version is back
└── Conflict       somebody else wrote the record first; read it again and decide again

Every other error (a throttle, a 5xx, a denial) is not caught. The message is delivered again, and moved to the
dead-letter queue if it never succeeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class WardenError(Exception):
    """Base of the errors that Fleet Warden raises itself."""


class Refused(WardenError):
    """Raised when a message can never be acted on, however often it is delivered."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep the code (kebab-case, stable, for programs) and the reason (a sentence, for people) apart."""
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class PlanFault:
    """A fault of the response plan: the line, what is wrong there, and what to do about it."""

    line: int
    what: str

    def __str__(self) -> str:
        """Return the fault as people read it."""
        return f"line {self.line}: {self.what}"


class PlanError(WardenError):
    """Raised when the response plan cannot be accepted; carries every fault, not only the first."""

    def __init__(self, faults: Sequence[PlanFault]) -> None:
        """Keep the faults; the message has a line for each."""
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class ActionFailed(WardenError):
    """Raised when an action cannot be carried out on a device; the message goes on the case's timeline."""


class NotYet(WardenError):
    """Raised when AWS IoT does not show a change yet: its lists are eventually consistent."""


class NotSent(WardenError):
    """Raised when a notice, an event or a page could not be sent; it is sent later, and what was done stays done."""


class Conflict(WardenError):
    """Raised when a record was changed since it was read."""


class NewerRecord(WardenError):
    """Raised when a record has a form that only a newer version of the service can read."""
