"""Check every IAM policy of a folder with parliament and its community auditors.

`python -m tools.check_policies FOLDER`, in the environment of requirements/checks.txt, after tools.deployed_policies.
Exits with 1 if there is a finding that tools/parliament.toml does not name, or an exception there that matches nothing.
"""

from __future__ import annotations

import sys
import tomllib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
from parliament import analyze_policy_string  # noqa: E402 - says so itself while it is imported


@dataclass(frozen=True)
class Said:
    """One finding of parliament about one policy."""

    policy: str
    issue: str
    about: str


@dataclass(frozen=True)
class Allowance:
    """A finding that is ignored, and why."""

    policy: str
    issue: str
    about: str
    reason: str

    def meets(self, said: Said) -> bool:
        """Check whether the exception covers this finding."""
        return fnmatchcase(said.policy, self.policy) and said.issue == self.issue and self.about in said.about


def said_of(name: str, text: str) -> Iterator[Said]:
    """List parliament's findings about a policy; one for each action if it names several."""
    for finding in analyze_policy_string(text, include_community_auditors=True).findings:
        for about in _told(finding.detail or finding.location):
            yield Said(name, finding.issue, about)


def _told(detail: Any) -> list[str]:
    if isinstance(detail, list) and detail and isinstance(detail[0], dict):
        return [f"{each['action']} needs {each['required_format']}" for each in detail]
    return [str(detail)]


def main(folder: Path) -> int:
    """Print the findings that are left; return the exit status."""
    table = tomllib.loads(Path(__file__).with_name("parliament.toml").read_text())
    allowances = [Allowance(**each) for each in table["exception"]]
    files = sorted(folder.glob("*.json"))
    everything = [said for file in files for said in said_of(file.stem, file.read_text())]
    left = [said for said in everything if not any(allowance.meets(said) for allowance in allowances)]
    unmet = [allowance for allowance in allowances if not any(allowance.meets(said) for said in everything)]
    for said in left:
        print(f"{said.policy}: {said.issue}: {said.about}")
    for allowance in unmet:
        print(f"tools/parliament.toml: nothing matches {allowance.policy}, {allowance.issue}, {allowance.about}")
    named = len(everything) - len(left)
    print(f"parliament: {len(files)} policies, {len(left)} findings, {named} named false positives")
    return 1 if left or unmet or not files else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
