"""Try the pairs whose names have a word: `python -m tests.interleavings [--switches 2] [word]`."""

from __future__ import annotations

import argparse
import sys
import time

from tests.interleavings.engine import attempt, lengths_of, one_switch, two_switches
from tests.interleavings.pairs import PAIRS


def main() -> None:
    """Try what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.interleavings")
    parser.add_argument("word", nargs="?", default="")
    parser.add_argument("--switches", type=int, choices=(1, 2), default=1)
    asked = parser.parse_args()
    for pair in PAIRS:
        if asked.word not in pair.name:
            continue
        began = time.process_time()
        tried = attempt(pair, one_switch(pair) if asked.switches == 1 else two_switches(pair))
        sys.stdout.write(f"{pair.name} {lengths_of(pair)} {time.process_time() - began:.1f} s\n  {tried}\n")


if __name__ == "__main__":
    main()
