"""What a million devices cost: a month at rest, a sweep of their certificates, and containing one of them."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.report import Bench, Row

PRICES = Path(__file__).with_name("prices.toml")
DEVICES = 1_000_000
DUE = round(DEVICES * 30 / 365)
"""How many certificates fall due in the 30 days between two sweeps, if each lives for a year."""

LOOKUPS_A_SECOND = 9.5
MEMORY_GB = 0.5
POLLS = 5 * 3 * 43_200
"""Five long polls of 20 seconds at a time for each queue that a function is fed from, a month of 30 days long."""


def price(name: str) -> float:
    """Read a price, in dollars."""
    return float(tomllib.loads(PRICES.read_text(encoding="utf-8"))[name]["usd"])


@dataclass(frozen=True)
class Costs:
    """Dollars: a month without any work; a sweep with its jobs; one containment without the logs and the release."""

    at_rest_month: float
    per_sweep: float
    per_sweep_without_jobs: float
    per_containment: float


def at_rest(*, alarms: int = 19, metrics: int = 1, daily_metrics: int = 17, standard_queues: int = 4) -> float:
    """Add up a month of the stack with nothing to do: what a fleet's size does not change.

    A custom metric is charged for the hours in which it is reported.
    """
    sweeps, quarter_hourly = 8_640, 2 * 2_880
    return (
        price("kms_key_month")
        + alarms * price("alarm_month")
        + (metrics + daily_metrics / 24) * price("metric_month")
        + 0.015 * price("logs_gb")
        + POLLS / 1e6 * (standard_queues * price("sqs_standard_million") + price("sqs_fifo_million"))
        + sweeps * (0.2 * MEMORY_GB * price("lambda_gb_second") + price("lambda_run") + price("xray_trace"))
        + quarter_hourly * (0.1 * MEMORY_GB * price("lambda_gb_second") + price("lambda_run") + price("xray_trace"))
    )


def sweep_without_jobs(due: int = DUE) -> float:
    """Add up finding what is due: a look-up each and list pages, twelve write units of what is noted, the function."""
    calls = due + due / 250 + 1
    noted = due * (12 * price("dynamodb_write") + 6 * price("dynamodb_read"))
    return calls * price("iot_registry_call") + noted + due / LOOKUPS_A_SECOND * MEMORY_GB * price("lambda_gb_second")


def sweep(due: int = DUE) -> float:
    """Add up a sweep and the renewal that follows: a remote action each, and what is written of its case."""
    renewal = (
        price("iot_remote_action") + 300 * price("dynamodb_write") + 5 * 1.5 * MEMORY_GB * price("lambda_gb_second")
    )
    return sweep_without_jobs(due) + due * renewal


def containment() -> float:
    """Add up one: ten calls, fifteen commits of some 3 KB with their indexes, two runs, a mail."""
    runs = 2 * (1.5 * MEMORY_GB * price("lambda_gb_second") + price("lambda_run"))
    records = 225 * price("dynamodb_write") + 60 * price("dynamodb_read") + 15 * price("kms_call")
    return 10 * price("iot_registry_call") + records + runs + price("sns_mail")


def costs() -> Costs:
    """Add everything up."""
    return Costs(at_rest(), sweep(), sweep_without_jobs(), containment())


def bench() -> Bench:
    """Put the sums into the common form."""
    found = costs()
    rows = [
        Row("a million devices at rest, a month", f"{found.at_rest_month:.2f} USD"),
        Row(f"a sweep of them, {DUE:,} due: finding them", f"{found.per_sweep_without_jobs:.2f} USD"),
        Row("  and renewing them", f"{found.per_sweep:,.0f} USD"),
        Row("containing one device", f"{found.per_containment:.5f} USD"),
        Row("containing a million", f"{found.per_containment * DEVICES:,.0f} USD"),
    ]
    return Bench("costs", "Costs by list prices of us-east-1, free tiers not counted", rows, asdict(found))
