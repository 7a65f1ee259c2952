"""The owner's terms for renewing old certificates, and for the other certificates that the sweep finds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from cronsim import CronSim

KEY_ALGORITHMS = ("EC_P256", "EC_P384", "RSA_2048", "RSA_3072", "RSA_4096")
"""The keys that a rotation job may ask for: AWS IoT signs requests with these (CreateCertificateFromCsr)."""


class Cleaning(StrEnum):
    """What is done about a certificate that no thing seems to need."""

    REPORT = "report"
    CLEAN = "clean"


@dataclass(frozen=True)
class Window:
    """When jobs may be sent: for `lasts` from each time of a cron expression (five fields, UTC)."""

    cron: str
    lasts: timedelta

    def is_open(self, now: datetime) -> bool:
        """Check whether jobs may be sent now."""
        opened: datetime = next(CronSim(self.cron, now + timedelta(seconds=1), reverse=True))
        return now < opened + self.lasts

    def next_opening(self, now: datetime) -> datetime:
        """Return when the window opens next; now, while it is open."""
        opening: datetime = now if self.is_open(now) else next(CronSim(self.cron, now))
        return opening


@dataclass(frozen=True, kw_only=True)
class RotationTerms:
    """How a campaign proceeds, and what a new certificate is like.

    `days_by_type` and `policies_by_type` map globs of thing types; the first match counts. Without a match, a thing
    has the deployment's age and keeps its policies. `per_minute` is how many devices get a job a minute. A device
    that is not reached within `days_to_answer` (a day in the first two steps) is asked again, `attempts` times in
    all, before it is left for the next sweep.
    """

    devices_per_day: int = 100
    canary_percent: float = 1.0
    success_percent: float = 95.0
    per_minute: int = 50
    attempts: int = 3
    days_to_answer: int = 7
    window: Window | None = None
    key_algorithm: str = KEY_ALGORITHMS[0]
    days_by_type: Mapping[str, int] = field(default_factory=dict)
    policies_by_type: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def asks_about_the_type(self) -> bool:
        """Whether the registry must be read before a certificate's age can be judged."""
        return bool(self.days_by_type)

    def least_age(self, default: timedelta) -> timedelta:
        """Return the age below which no certificate is due, whatever its thing's type."""
        return min([default, *(timedelta(days=days) for days in self.days_by_type.values())])

    def age_for(self, thing_type: str, default: timedelta) -> timedelta:
        """Return the age at which a certificate is due, by its thing's type."""
        matching = (days for glob, days in self.days_by_type.items() if fnmatchcase(thing_type, glob))
        days = next(matching, None)
        return default if days is None else timedelta(days=days)

    def policies_for(self, thing_type: str) -> Sequence[str] | None:
        """Return the policies of a new certificate, by its thing's type; None when it keeps the old one's."""
        matching = (policies for glob, policies in self.policies_by_type.items() if fnmatchcase(thing_type, glob))
        return next(matching, None)


@dataclass(frozen=True, kw_only=True)
class HygieneTerms:
    """What is done about certificates past their age that no thing uses, and about those INACTIVE for long."""

    on_no_thing: Cleaning = Cleaning.REPORT
    inactive: Cleaning = Cleaning.REPORT
    inactive_days: int = 90
