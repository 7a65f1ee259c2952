"""Run every bench, print its table and write its JSON under build/bench; 1 when a limit is passed."""

from __future__ import annotations

import sys

from tests.bench import certificates, cold_start, containment, costs, findings
from tests.bench.report import publish


def main() -> int:
    """Measure everything, the memory of an audit first: a child's peak begins with that of its parent."""
    within = findings.main() == 0
    for measure in (containment.bench, certificates.bench, cold_start.bench, costs.bench):
        bench = measure()
        publish(bench)
        within = within and bench.is_within
    return 0 if within else 1


if __name__ == "__main__":
    sys.exit(main())
