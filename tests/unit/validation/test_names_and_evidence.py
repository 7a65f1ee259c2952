from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.ingest.detectors.samples import can_be_stored
from warden.core.escaping import shown
from warden.validation.evidence import BYTES, bounded

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=80),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(max_size=40), inner, max_size=8),
    max_leaves=60,
)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("pump-3", "pump-3"),
        ("M\u00fcller", r"M\u00fcller"),
        ("\U0001f525", r"\U0001f525"),
        ("a\r\nb", r"a\u000d\u000ab"),
        (r"a\u000db", r"a\u005cu000db"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 61 + "..."),
        ("\u00fc" * 20, r"\u00fc" * 10 + "..."),
        ("", ""),
    ],
)
def test_a_name_is_shown_in_printable_ascii_and_cut_between_characters(name: str, seen: str) -> None:
    assert shown(name) == seen


@settings(derandomize=True, deadline=None)
@given(st.text(), st.integers(min_value=16, max_value=100))
def test_any_name_is_shown_within_its_limit(name: str, limit: int) -> None:
    seen = shown(name, limit)

    assert len(seen) <= limit
    assert seen.isascii()
    assert seen.isprintable()


@settings(derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from("abcdef"), JSON))
def test_any_evidence_can_be_stored(message: dict[str, Any]) -> None:
    kept = bounded(message, "abcdef")

    assert can_be_stored(kept)
    assert len(json.dumps(kept, allow_nan=False)) <= BYTES


@pytest.mark.parametrize(
    "value",
    [
        {str(number): "x" * 500 for number in range(1000)},
        [["\U0001f525" * 600] * 20] * 20,
        {"\U0001f525" * 600: {"a": ["y" * 9000]}},
        list(range(100_000)),
    ],
    ids=["wide", "fire", "long key", "numbers"],
)
def test_large_evidence_is_cut(value: object) -> None:
    kept = bounded(dict.fromkeys("abcdefghijklmnop", value), "abcdefghijklmnop")

    assert 0 < len(json.dumps(kept)) <= BYTES
    assert can_be_stored(kept)


def test_small_evidence_is_kept_as_it_is() -> None:
    message = {"a": {"b": [1, "two", None, True, -3]}, "c": 54.0, "d": 11.5, "unasked": 1}

    assert bounded(message, ("a", "c", "d")) == {"a": {"b": [1, "two", None, True, -3]}, "c": 54, "d": "11.5"}
