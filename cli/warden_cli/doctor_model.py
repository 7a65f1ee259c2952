"""What a check of `warden doctor` is handed, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from warden.core.account_facts import Unread
from warden_cli.baseline_proposal import why_unread
from warden_cli.client import Service

if TYPE_CHECKING:
    from boto3 import Session

SAMPLE = 25
"""Things, and groups, that are looked at without --all."""


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WRONG = "wrong"
    NOT_KNOWN = "not-known"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found, and what to do about it."""

    check: str
    health: Health
    says: str
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """What is looked at, and how closely."""

    session: Session
    service: Callable[[], Service]
    stack: str
    every: bool
    pace: Callable[[], None]
    """Waits before a call that AWS IoT limits to a few a second: the devices need the quota as well."""

    def some[T](self, values: Iterator[T]) -> Sequence[T]:
        """Take a sample, or all."""
        return [*(values if self.every else islice(values, SAMPLE))]


def unknown(check: str, unread: Unread) -> Finding:
    """Make the finding about something that could not be read."""
    return Finding(
        check=check,
        health=Health.NOT_KNOWN,
        says=why_unread(unread),
        fix="Attach docs/doctor-policy.json to your role, or ask again where AWS did not answer.",
    )


def about(check: str, found: Sequence[str], says: str, fix: str, otherwise: str) -> Finding:
    """Make the finding about the items that have a fault, or that there is none."""
    if not found:
        return Finding(check=check, health=Health.OK, says=otherwise)
    named = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return Finding(check=check, health=Health.WRONG, says=f"{len(found)} {says}: {named}", fix=fix)
