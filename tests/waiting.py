"""Wait for what happens elsewhere, in a thread or a process: by asking again, never by guessing how long."""

import time
from collections.abc import Callable

PATIENCE = 180.0
"""How long anything may take, in seconds. It bounds a failure; a success is seen at once, also under a load of ten."""


def until[T](condition: Callable[[], T], seconds: float = PATIENCE, *, what: str = "") -> T:
    """Ask until the answer is true and return it. Raises TimeoutError naming what was waited for."""
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what or condition}")
        time.sleep(0.05)
    return answer
