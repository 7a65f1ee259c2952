"""The composition root keeps what it made for as long as a process lives; a test that sets another scene forgets it."""

from __future__ import annotations

from warden import bootstrap


def forget() -> None:
    """Let the next function read the environment again and make every adapter again."""
    for each in vars(bootstrap).values():
        if hasattr(each, "cache_clear"):
            each.cache_clear()
