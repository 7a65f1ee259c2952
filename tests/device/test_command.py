"""The command line: what is wrong is said on standard error, in one line."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from tests.waiting import PATIENCE


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603  our own module, our own arguments
        [sys.executable, "-m", "warden_agent", *arguments],
        env={"PYTHONPATH": str(ROOT / "device"), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_wrong_configuration_ends_it_with_the_keys_name_and_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text('thing_name = "pump-3"\n')
    ended = started("--config", str(tmp_path / "agent.toml"))

    assert ended.returncode == 2
    assert "endpoint is missing" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_a_device_without_an_identity_says_what_to_put_where(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("a CA")
    (tmp_path / "agent.toml").write_text(
        'thing_name = "pump-3"\nendpoint = "localhost"\nca_file = "ca.pem"\nstate_dir = "state"\n'
    )
    ended = started("--config", str(tmp_path / "agent.toml"))

    assert ended.returncode == 2
    assert "put certificate.pem and private.key there first" in ended.stderr
