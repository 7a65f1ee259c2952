"""The service put together: what every step of the work is handed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from warden.cases.model import Cases
from warden.core.clock import Clock
from warden.core.ports import Ports
from warden.plan.governor import Governor
from warden.plan.model import Plan
from warden.settings import Settings


@dataclass(frozen=True)
class Context:
    """The world, the deployment's terms, the owner's plan, and the time."""

    ports: Ports
    settings: Settings
    plan: Plan
    clock: Clock

    @property
    def cases(self) -> Cases:
        """The cases in the ledger."""
        return Cases(self.ports.ledger, self.settings.case_retention)

    @property
    def governor(self) -> Governor:
        """The limits on what may be touched."""
        return Governor(self.plan, self.ports.ledger)

    def now(self) -> datetime:
        """Tell the time."""
        return self.clock()
