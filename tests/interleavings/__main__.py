"""Try the pairs named so: `python -m tests.interleavings [--switches 2] [--old RUNS] [part of a name]`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from itertools import islice

from tests.interleavings.engine import (
    Tried,
    attempt,
    attempt_with_old_answers,
    lengths_of,
    of_three,
    one_switch,
    two_switches,
)
from tests.interleavings.pairs import PAIRS, THREES, Pair


def main() -> None:
    """Try what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.interleavings")
    parser.add_argument("word", nargs="?", default="", help="pairs with this in their names")
    parser.add_argument("--switches", type=int, choices=(1, 2), default=1)
    parser.add_argument("--old", type=int, default=0, metavar="RUNS", help="runs at random with answers that are old")
    parser.add_argument("--three", action="store_true", help="three invocations at a time")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="only each Nth schedule")
    asked = parser.parse_args()
    pairs: Sequence[Pair] = THREES if asked.three else PAIRS
    schedules = broken = 0
    for pair in pairs:
        if asked.word not in pair.name:
            continue
        began = time.process_time()
        tried = _try(pair, asked)
        schedules, broken = schedules + tried.schedules, broken + len(tried.broken)
        sys.stdout.write(f"{pair.name} {lengths_of(pair)} {time.process_time() - began:.1f} s\n  {tried}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{broken:,} of {schedules:,} broken\n")


def _try(pair: Pair, asked: argparse.Namespace) -> Tried:
    if asked.old:
        return attempt_with_old_answers(pair, asked.old)
    schedules = of_three if asked.three else one_switch if asked.switches == 1 else two_switches
    return attempt(pair, islice(schedules(pair), 0, None, asked.every))


if __name__ == "__main__":
    main()
