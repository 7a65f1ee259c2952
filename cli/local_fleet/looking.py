"""Looking instead of trusting: waiting for what should be seen, and saying what was seen in its place."""

import time
from collections.abc import Callable

_LOOK_AGAIN_SECONDS = 0.1


class NotSeen(Exception):  # noqa: N818 - it is what a look ended with, and reads so
    """Raised when something that should be so is not; carries what was expected and what was there."""

    def __init__(self, expected: str, seen: str) -> None:
        super().__init__(f"expected {expected}; seen instead: {seen}")
        self.expected = expected
        self.seen = seen


def until[T](look: Callable[[], T | None], seconds: float, expected: str, seen: Callable[[], str]) -> T:
    """Look until there is something, and give it.

    Raises:
        NotSeen: after so many seconds; `seen` is asked then what there is instead.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            raise NotSeen(f"{expected} within {seconds:g} s", seen())
        time.sleep(_LOOK_AGAIN_SECONDS)
    return found


def require(condition: bool, expected: str, seen: object) -> None:
    """Look once.

    Raises:
        NotSeen: when it is not so.
    """
    if not condition:
        raise NotSeen(expected, str(seen))


def require_same(what: str, expected: object, seen: object) -> None:
    """Compare what is with what should be.

    Raises:
        NotSeen: when they differ.
    """
    require(expected == seen, f"{what} to be {expected}", seen)
