"""What every test stands on: an environment in which nothing can reach a real account."""

import os
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
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

# moto drops the SDK's session around every test, and each new one would read the same models of AWS again: half of
# what a test of an adapter costs. Within one session all clients share a loader; here all sessions do.
botocore.session.create_loader = cache(botocore.session.create_loader)

TESTS = Path(__file__).parent
ROOT = TESTS.parent

# How long an example takes says how busy the machine is, and nothing else.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")

TRACED = ("unit", "aws", "functions", "baseline")
"""Folders whose tests reach every branch of the package: tracing doubles what a test costs, and no other adds one."""

UNTRACED = {
    "test_every_call",
    "test_storm",
    "test_services_that_never_answer_leave_time_for_a_survey_that_says_so",
    "test_an_outage_of_a_day_parks_four_messages_and_every_failure_is_logged",
    "test_what_a_containment_leaves",
    "test_a_rotation_ends_as_the_page_says",
    "test_an_authority_that_forgets_what_it_was_asked_leaves_nothing_of_it_with_aws_iot",
    "test_a_run_that_dies_is_finished_by_the_next",
    "test_a_run_that_dies_makes_one_change_all_the_same",
}
"""Modules and tests of theirs that go the same ways again a thousand times."""


def pytest_collection_modifyitems(items: list[pytest.Function]) -> None:
    """Leave out of the coverage what would only pay for being traced, and begin with what takes longest."""
    for item in items:
        if item.path.relative_to(TESTS).parts[0] not in TRACED or {item.path.stem, item.originalname} & UNTRACED:
            item.add_marker("no_cover")
    items.sort(key=lambda item: next((at for at, name in enumerate(FIRST) if item.nodeid.startswith(name)), len(FIRST)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    """Leave out of the coverage what such a test sets up, too: pytest-cov pauses for its call alone."""
    coverage = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if coverage is None or item.get_closest_marker("no_cover") is None:
        return (yield)
    coverage.pause()
    try:
        return (yield)
    finally:
        coverage.resume()


SHARING = (
    "tests/container/",
    "tests/device/test_agent_on_a_broker.py",
    "tests/device/test_killed.py",
    "tests/e2e/",
    "tests/functions/test_every_call.py",
    *(f"tests/hostile/{path.name}" for path in sorted(TESTS.glob("hostile/test_*.py"))),
    "tests/local_fleet/test_enrol.py",
    "tests/pages/",
    "tests/unit/plan/test_default_plan.py",
    "tests/unit/respond/test_storm.py",
)
"""Tests that share one deployment, image, recording, stage, world or browser, and so one worker."""

FIRST = tuple(f"tests/{name}/" for name in ("e2e", "container", "functions", "bench", "faults", "hostile", "pages"))
"""What takes longest in one piece: begun late, it would keep one worker when the others are done."""

APART = ("tests/faults/test_faults.py", "tests/adding/", "tests/unit/devices/test_private_ca.py")
"""Tests of which one case takes seconds: each is sent to the next worker that is free."""


class SharedSetUps(LoadScopeScheduling):  # type: ignore[misc]  # the base has no types
    """Sends the tests that share a set-up to one worker, and the cases of every other to the next that is free.

    One by one, nine thousand tests would cost the scheduler more than many of them take.
    xdist's `loadgroup` adds the group to a test's `_nodeid`, which pytest 9.2 does not read: it groups nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith(APART):
            return nodeid
        return next((shared for shared in SHARING if nodeid.startswith(shared)), nodeid.partition("[")[0])


@pytest.hookimpl(optionalhook=True)  # there is no such hook where xdist is off
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedSetUps | None:
    """Distribute by what is shared, in the order of the collection, unless another way was asked for."""
    if config.getvalue("dist") != "loadscope":
        return None
    config.option.loadscopereorder = False
    return SharedSetUps(config, log)


TRIED, PLAYED, BROKEN = "fault points tried", "fault points played to the end", "fault points broken"
LEFT = "fault points left to make nightly"
"""What the tests of tests/faults count; summed up here, for with several workers pytest reads no conftest but this."""

SCHEDULES, MISTIMED = "schedules tried", "schedules broken"
"""What the tests of tests/interleavings count; those that are known to break are expected to fail."""

INTERFERED, SPOILT = "moments of interference tried", "moments of interference broken"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests counted, in whichever worker they ran."""
    outcomes = ("passed", "failed", "xfailed")
    reports = [report for outcome in outcomes for report in terminalreporter.stats.get(outcome, [])]
    counted = [dict(report.user_properties) for report in reports if getattr(report, "when", "") == "call"]
    tried, played, broken, left, schedules, mistimed, moments, spoilt = (
        sum(int(str(each.get(name, 0))) for each in counted)
        for name in (TRIED, PLAYED, BROKEN, LEFT, SCHEDULES, MISTIMED, INTERFERED, SPOILT)
    )
    if tried:
        terminalreporter.write_line(
            f"fault points: {tried:,} tried, {broken:,} broken; {tried - played:,} left what an earlier one had left;"
            f" {left:,} left to make nightly"
        )
    if schedules:
        terminalreporter.write_line(f"interleavings: {schedules:,} schedules tried, {mistimed:,} broken")
    if moments:
        terminalreporter.write_line(f"interference: {moments:,} moments tried, {spoilt:,} broken")
