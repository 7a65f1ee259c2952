"""Print how many of mutmut's mutants the tests noticed, and show each that they did not.

`python -m tools.mutation_score FOLDER LEAST`, after mutmut ran in the folder. Exits with 1 under LEAST percent over all
modules. docs/mutation.md has the last score and why each survivor is accepted.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_SURVIVED = 0
_UNTESTED = 33
"""The exit code that mutmut writes for a mutant that no selected test reaches."""


def results(folder: Path) -> Iterator[tuple[str, dict[str, int | None]]]:
    """Return each mutated module with its mutants and their exit codes; None for one not yet tried."""
    for path in sorted((folder / "mutants").rglob("*.meta")):
        codes = json.loads(path.read_text())["exit_code_by_key"]
        if codes:
            yield path.name.removesuffix(".meta"), codes


def change_of(mutant: str, folder: Path) -> str:
    """Show only the lines that a mutant changes."""
    command = [sys.executable, "-m", "mutmut", "show", mutant]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout  # noqa: S603 - fixed words
    lines = [line for line in told.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    return "\n".join(f"    {line}" for line in lines)


def main(folder: Path, least: float) -> int:
    """Print the table and the survivors; return the exit status."""
    all_codes: dict[str, int | None] = {}
    print("module          mutants  killed  score")
    for module, codes in results(folder):
        killed = sum(code not in (_SURVIVED, _UNTESTED, None) for code in codes.values())
        print(f"{module:15} {len(codes):7}  {killed:6}  {100 * killed / len(codes):5.1f}")
        all_codes |= codes
    left = [mutant for mutant, code in all_codes.items() if code in (_SURVIVED, _UNTESTED, None)]
    for mutant in left:
        print(f"\n{mutant}\n{change_of(mutant, folder)}")
    score = 100 * (len(all_codes) - len(left)) / max(1, len(all_codes))
    print(f"\n{len(all_codes)} mutants, {len(left)} left: {score:.1f} %, at least {least:.0f} % wanted")
    return 0 if score >= least else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2])))
