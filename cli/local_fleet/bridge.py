"""Bridges."""


def install() -> None:
    """Nothing yet."""
