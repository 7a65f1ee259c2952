"""`warden baseline`: what the account has of the security baseline, and what to deploy of it."""

from __future__ import annotations

from argparse import Namespace

from rich.console import Console

from warden_cli.errors import Exit


def plan(arguments: Namespace, console: Console) -> Exit:
    """Propose the parameters of the baseline for this account."""
    from warden_cli.baseline_plan import plan_baseline  # boto3 takes half a second, which no other command should pay

    return plan_baseline(arguments, console)
