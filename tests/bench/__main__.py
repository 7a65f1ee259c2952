"""Run every bench, print its table and write its JSON under build/bench; 1 when a limit is passed.

A child's peak of memory begins with that of the process it was made by, so whatever measures memory goes first, and
nothing is imported before its turn.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tests.bench.report import publish


def main() -> int:
    """Measure everything, one after the other."""
    within = True
    for name in ("cold_start", "certificates", "findings", "containment", "costs"):
        module = import_module(f"tests.bench.{name}")
        if name == "findings":
            within = module.main() == 0 and within
        else:
            bench = module.bench()
            publish(bench)
            within = bench.is_within and within
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
