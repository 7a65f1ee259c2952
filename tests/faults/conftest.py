"""How many fault points were tried, in one line at the end of the run."""

from __future__ import annotations

import pytest

TRIED, PLAYED, BROKEN = "fault points tried", "fault points played to the end", "fault points broken"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Add up what the tests counted, in whichever worker they ran."""
    reports = [report for outcome in ("passed", "failed") for report in terminalreporter.stats.get(outcome, [])]
    counted = [dict(report.user_properties) for report in reports if getattr(report, "when", "") == "call"]
    tried, played, broken = (sum(int(str(each.get(name, 0))) for each in counted) for name in (TRIED, PLAYED, BROKEN))
    if tried:
        terminalreporter.write_line(
            f"fault points: {tried:,} tried, {broken:,} broken; {tried - played:,} left what an earlier one had left"
        )
