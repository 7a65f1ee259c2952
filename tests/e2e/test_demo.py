"""The demo, as a person starts it: it ends well when all of it was seen, and says what was not when not."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.waiting import PATIENCE


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return subprocess.run(  # noqa: S603 - our own module, our own arguments
        [sys.executable, "-m", "local_fleet.demo", *arguments],
        cwd=ROOT,
        env=environment | {"PYTHONPATH": "cli:device"},
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


def test_ends_well_and_sums_up_what_was_proved(tmp_path: Path) -> None:
    picture = tmp_path / "demo.svg"

    ended = demo("--svg", str(picture), "--patience", f"{PATIENCE:g}")

    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.count("✓ proved") == 13
    assert "What was proved" in ended.stdout
    assert picture.read_text().startswith("<svg")


def test_ends_badly_and_names_the_step_when_nothing_is_contained() -> None:
    ended = demo("--mode", "observe", "--patience", "30")

    assert ended.returncode == 1
    assert "NOT SEEN: pump-3's telemetry is refused" in ended.stdout
    assert "log of the local AWS" in ended.stdout
