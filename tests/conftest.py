"""What every test stands on: an environment in which nothing can reach a real account."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

# Set at import, before any module under test can make a client: a fixture would come too late for those.
for name in [name for name in os.environ if name.startswith(("AWS_", "POWERTOOLS_"))]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_SESSION_TOKEN": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_REGION": "us-east-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "POWERTOOLS_TRACE_DISABLED": "true",
}

ROOT = Path(__file__).parents[1]

# How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

UNTRACED = ("adding", "e2e", "faults", "hostile", "model", "container", "test_storm")
"""Folders and modules of tests that go the same ways again a thousand times, or in another process."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of the coverage what would only pay for being traced; the others reach every branch."""
    for item in items:
        if item.path.parent.name in UNTRACED or item.path.stem in UNTRACED:
            item.add_marker("no_cover")


SHARING = ("tests/container/", "tests/e2e/", "tests/functions/test_every_call.py", "tests/pages/")
"""Tests that share one deployment, image, recording or browser, and so one worker. They are started first."""


class SharedSetUps(LoadScopeScheduling):  # type: ignore[misc]  # the base has no types
    """Sends the tests that share a set-up to one worker, and every other to the next that is free.

    xdist's `loadgroup` adds the group to a test's `_nodeid`, which pytest 9.2 does not read: it groups nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((shared for shared in SHARING if nodeid.startswith(shared)), nodeid)


@pytest.hookimpl(optionalhook=True)  # there is no such hook where xdist is off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedSetUps | None:
    """Distribute by what is shared, unless another way was asked for."""
    return SharedSetUps(config, log) if config.getvalue("dist") == "loadscope" else None


TRIED, PLAYED, BROKEN = "fault points tried", "fault points played to the end", "fault points broken"
"""What the tests of tests/faults count; summed up here, for with several workers pytest reads no conftest but this."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests counted, in whichever worker they ran."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    counted = [dict(report.user_properties) for report in reports if getattr(report, "when", "") == "call"]
    tried, played, broken = (sum(int(str(each.get(name, 0))) for each in counted) for name in (TRIED, PLAYED, BROKEN))
    if tried:
        terminalreporter.write_line(
            f"fault points: {tried:,} tried, {broken:,} broken; {tried - played:,} left what an earlier one had left"
        )
