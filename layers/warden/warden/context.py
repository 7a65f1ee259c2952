"""The context that every step of the work is given."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warden.cases.model import Cases
from warden.core.clock import Clock
from warden.core.ports import HasLedger, Ports
from warden.plan.governor import Governor
from warden.plan.model import Plan
from warden.settings import Settings


@dataclass(frozen=True)
class Context[P = Ports]:
    """The ports, the deployment's settings, the owner's plan, and the time.

    A function that uses only some ports says so: with `Context[HasRegistry]` it can touch no other port.
    """

    ports: P
    settings: Settings
    plan: Plan
    clock: Clock

    @property
    def cases(self: Context[HasLedger]) -> Cases:
        """The cases in the ledger."""
        return Cases(self.ports.ledger, self.settings.case_retention)

    @property
    def governor(self: Context[HasLedger]) -> Governor:
        """The governor, which holds the limits on what may be touched."""
        return Governor(self.plan, self.ports.ledger)

    def now(self) -> datetime:
        """Return the time."""
        return self.clock()
