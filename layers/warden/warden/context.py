"""The service put together: what every step of the work is handed."""

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
    """The world, the deployment's terms, the owner's plan, and the time.

    What uses a few ports only says so: `Context[HasRegistry]` is a context of which no other port is touched.
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
        """The limits on what may be touched."""
        return Governor(self.plan, self.ports.ledger)

    def now(self) -> datetime:
        """Tell the time."""
        return self.clock()
