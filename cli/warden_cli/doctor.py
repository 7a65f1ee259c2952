"""`warden doctor`: whether devices and account are as the service needs them, beside what the daily survey found."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta

from rich.console import Console
from rich.text import Text

from warden.core import quotas
from warden.core.throttle import RateLimiter
from warden_cli.client import Service
from warden_cli.doctor_devices import devices, groups, sessions
from warden_cli.doctor_model import Finding, Health, Patient
from warden_cli.doctor_notifications import notifications
from warden_cli.doctor_quotas import service_quotas
from warden_cli.doctor_service import clock, liveness, parked
from warden_cli.errors import Exit
from warden_cli.reading import AT_MOST, account_of, impatient, session_of
from warden_cli.terminal import as_json, facts, plain, shown

_CHECKS: Sequence[Callable[[Patient], Iterator[Finding]]] = (
    liveness,
    notifications,
    clock,
    parked,
    service_quotas,
    devices,
    sessions,
    groups,
)
_STYLES = {Health.OK: "green", Health.WRONG: "bold red", Health.NOT_KNOWN: "yellow"}


def examine(arguments: Namespace, console: Console) -> Exit:
    """Make every check and print its result; a check that cannot read its part does not stop the others."""
    # With --all it takes as long as the fleet is large.
    session = impatient(session_of(arguments.region, arguments.profile), timedelta.max if arguments.all else AT_MOST)
    account = account_of(session)
    pace = RateLimiter(quotas.PRINCIPAL_LOOKUPS_PER_SECOND / 2, time.monotonic, time.sleep)
    patient = Patient(
        session=session,
        service=lambda: Service(arguments.url, region=arguments.region, profile=arguments.profile),
        stack=arguments.stack,
        every=arguments.all,
        pace=pace,
    )
    findings = [finding for check in _CHECKS for finding in check(patient)]
    if arguments.json:
        rows = [{**vars(each), "health": each.health.value} for each in findings]
        console.out(as_json({"account": account, "region": session.region_name, "findings": rows}))
    else:
        console.print(plain(f"Account {account}, {session.region_name}", "bold"))
        _print(console, findings)
    return Exit.DONE if all(each.health is Health.OK for each in findings) else Exit.FOUND


def _print(console: Console, findings: Sequence[Finding]) -> None:
    for each in findings:
        console.print()
        words = each.health.replace("-", " ")
        console.print(Text(f"{shown(each.check, 60)}  ", "bold").append(words, style=_STYLES[each.health]))
        rows = [("Found", each.says), *([("Fix", each.fix)] if each.fix else [])]
        console.print(facts(rows, names=5))
    wrong = sum(each.health is Health.WRONG for each in findings)
    unknown = sum(each.health is Health.NOT_KNOWN for each in findings)
    console.print()
    console.print(plain(f"{wrong} wrong, {unknown} not known, of {len(findings)}", "bold"))
