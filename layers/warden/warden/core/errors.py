"""What can go wrong, as the service tells it apart.

WardenError
├── Refused        the message can never be acted on; it is put on record with its reason and is done
├── PlanError      the response plan says something it cannot mean; names the line
├── NotYet         what was asked for is not to be seen yet; the message is delivered again
├── ActionFailed   this action cannot be done to this device; goes on the case, and the next action runs
├── NotSent        nobody could be told; the sweep tells again, and what was done stays done
├── NewerRecord    a newer version of the service wrote this record; the message waits until that one is back
└── Conflict       somebody wrote the same record first; read it again and decide anew

Every other error (a throttle, a 5xx, a denial) is left to rise: the message is delivered again, and
parked in the dead-letter queue when it never succeeds.
"""

from collections.abc import Sequence
from dataclasses import dataclass


class WardenError(Exception):
    """Base of the errors that Fleet Warden raises itself."""


class Refused(WardenError):
    """Raised when a message can never be acted on, however often it is delivered."""

    def __init__(self, code: str, reason: str) -> None:
        """Keep the code (kebab-case, stable, for counting) apart from the reason (a sentence, for people)."""
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason


@dataclass(frozen=True)
class PlanFault:
    """A fault of the response plan: the line, and what is wrong there and what to do."""

    line: int
    what: str

    def __str__(self) -> str:
        """Return it as people read it."""
        return f"line {self.line}: {self.what}"


class PlanError(WardenError):
    """Raised when the response plan cannot be accepted; carries every fault found, not the first."""

    def __init__(self, faults: Sequence[PlanFault]) -> None:
        """Keep the faults; the message has a line for each."""
        super().__init__("\n".join(map(str, faults)))
        self.faults = faults


class ActionFailed(WardenError):
    """Raised when an action cannot be carried out on a device; the message is for the case's timeline."""


class NotYet(WardenError):
    """Raised when AWS IoT does not show yet what was just changed: its lists are eventually consistent."""


class NotSent(WardenError):
    """Raised when people or programs could not be told; what was done stays done, and the telling is made up for."""


class Conflict(WardenError):
    """Raised when a record was changed since it was read."""


class NewerRecord(WardenError):
    """Raised when a record has a form that only a newer version of the service can read."""
