"""Tests that share a set-up run in one worker; xdist's own groups did not keep them together."""

from __future__ import annotations

import pytest

from tests.conftest import APART, ROOT, SHARING, SharedSetUps

DISTRIBUTED = SharedSetUps.__new__(SharedSetUps)
"""A scheduler of no session: where a test goes depends on its name alone."""


def scope_of(nodeid: str) -> str:
    return str(DISTRIBUTED._split_scope(nodeid))


@pytest.mark.parametrize("shared", SHARING)
def test_what_is_shared_exists(shared: str) -> None:
    assert (ROOT / shared).exists()


def test_the_end_to_end_tests_go_to_one_worker() -> None:
    scopes = {scope_of(f"{path.relative_to(ROOT)}::test_x[1@2]") for path in (ROOT / "tests/e2e").glob("test_*.py")}

    assert scopes == {"tests/e2e/"}


def test_any_other_test_goes_wherever_there_is_room() -> None:
    one, other = "tests/unit/core/test_clock.py::test_a", "tests/unit/core/test_clock.py::test_b"

    assert scope_of(f"{one}[x]") == scope_of(f"{one}[y]") == one
    assert scope_of(f"{one}[x]") != scope_of(f"{other}[x]")


@pytest.mark.parametrize("apart", APART)
def test_a_case_that_takes_seconds_goes_alone(apart: str) -> None:
    assert (ROOT / apart).exists()
    assert scope_of(f"{apart}::test_a[x]") != scope_of(f"{apart}::test_a[y]")
