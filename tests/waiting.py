"""Waiting for what happens elsewhere, in a thread or a process: by asking again, never by guessing how long."""

import time
from collections.abc import Callable


def until[T](condition: Callable[[], T], seconds: float = 20, *, what: str = "") -> T:
    """Ask until the answer is true and return it. Raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or condition}")
        time.sleep(0.05)
    return answer
