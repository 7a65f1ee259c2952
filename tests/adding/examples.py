"""The worked examples of CONTRIBUTING.md, read from the page and applied to a copy of the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Change:
    """What an example does to one file. One that is new has a single hunk, all of it."""

    path: str
    is_new: bool
    hunks: Sequence[Sequence[str]]

    @property
    def added(self) -> int:
        """How many lines it adds."""
        return sum(line.startswith("+") for hunk in self.hunks for line in hunk)

    def apply(self, tree: Path) -> None:
        """Write it into a tree; the lines around a change must be there once."""
        file = tree / self.path
        if self.is_new:
            file.write_text("".join(f"{line[1:]}\n" for line in self.hunks[0]), encoding="utf-8")
            return
        text = file.read_text(encoding="utf-8")
        for hunk in self.hunks:
            before = "".join(f"{line[1:]}\n" for line in hunk if line[0] != "+")
            after = "".join(f"{line[1:]}\n" for line in hunk if line[0] != "-")
            assert text.count(before) == 1, f"{self.path} has not exactly once:\n{before}"
            text = text.replace(before, after)
        file.write_text(text, encoding="utf-8")


def changes_of(title: str) -> list[Change]:
    """Read the example under a heading of the page."""
    section = re.search(rf"^## {title}\n(.*?)(?=^## )", PAGE, re.DOTALL | re.MULTILINE)
    assert section is not None, title
    blocks = re.findall(r"^```diff\n(.*?)^```", section[1], re.DOTALL | re.MULTILINE)
    parts = re.findall(r"^(\+\+\+|---) (\S+)\n(.*?)(?=^(?:\+\+\+|---) |\Z)", blocks[0], re.DOTALL | re.MULTILINE)
    return [
        Change(path, mark == "+++", [hunk.strip("\n").splitlines() for hunk in body.split("@@\n")])
        for mark, path, body in parts
    ]


def copy_tree(to: Path) -> Path:
    """Copy what git tracks, except files that no example touches."""
    git = shutil.which("git") or "git"
    listed = subprocess.run([git, "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout  # noqa: S603 - no word is anybody's
    for name in filter(None, listed.split("\0")):
        is_bulk = name.startswith(("tests/corpus/", "docs/decisions/")) and not name.endswith("README.md")
        if (ROOT / name).is_file() and not is_bulk:
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    return to


def run(tree: Path, *arguments: str) -> str:
    """Run Python in a tree; return what it printed, with its exit code behind it."""
    command = [sys.executable, *arguments]
    path = ":".join(str(tree / each) for each in ("cli", "layers/warden", "layers/plan/python"))
    ended = subprocess.run(  # noqa: S603 - our own tests, in a copy of our own tree
        command,
        cwd=tree,
        capture_output=True,
        check=False,
        text=True,
        env={"PYTHONPATH": path, "PATH": "/usr/bin:/bin"},
    )
    return f"{ended.stdout}{ended.stderr}\nexit code {ended.returncode}"


def pytest_in(tree: Path, *tests: str) -> str:
    """Run some tests of a tree."""
    return run(tree, "-m", "pytest", "-q", "--no-cov", "-p", "no:cacheprovider", "-p", "no:xdist", *tests)
