"""One stage for the cases of a module, empty before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hostile.harness import Stage, staged


@pytest.fixture(scope="module")
def _stage() -> Iterator[Stage]:
    with staged() as stage:
        yield stage


@pytest.fixture
def stage(_stage: Stage) -> Stage:
    _stage.forget()
    return _stage
