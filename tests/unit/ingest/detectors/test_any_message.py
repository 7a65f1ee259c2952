"""Whatever JSON comes: safe findings or a refusal, nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sample_events import of_function
from tests.unit.ingest.detectors.samples import (
    DETECTORS,
    an_envelope,
    assert_is_plain,
    assert_is_safe,
    detector_of,
    event,
    from_event_bridge,
    message_of,
)
from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.ingest.detectors import Detector, Envelope
from warden.validation.strict_json import message_in

MESSAGES = [message_of(each.name)[0] for each in of_function("ingest")]

ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=150)
    | st.sampled_from(["in-alarm", "pump-3", "0" * 64, "AROA1:" + "0" * 64, "2026-11-22T10:00:00Z", "arn:aws:iot::x/"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

# A search that finds the same thing every day; time is the machine's affair, not a fault of the code.
STEADY = settings(derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)


def places_in(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """List the way to every value inside a message."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*place, key)
        yield from places_in(item, (*place, key))


@st.composite
def damaged_messages(draw: st.DrawFn) -> dict[str, Any]:
    """Take a real message and put anything at all in one to three places of it."""
    message: dict[str, Any] = json.loads(json.dumps(draw(st.sampled_from(MESSAGES))))
    for _ in range(draw(st.integers(1, 3))):
        *way, last = draw(st.sampled_from(list(places_in(message))))
        found: Any = message
        for key in way:
            found = found[key]
        if isinstance(found, dict) and draw(st.booleans()) and draw(st.booleans()):
            del found[last]
        else:
            found[last] = draw(ANYTHING)
    return message


def check(detector: Detector, message: dict[str, Any]) -> None:
    for envelope in (an_envelope(), from_event_bridge()):
        for finding in findings_or_refusal(detector, message, envelope):
            assert_is_safe(finding)


def findings_or_refusal(detector: Detector, message: dict[str, Any], envelope: Envelope) -> list[Finding]:
    try:
        return list(detector.findings(message, envelope))
    except Refused as refused:
        assert_is_plain(refused)
        return []


@STEADY
@given(damaged_messages())
def test_a_damaged_message_is_read_or_refused(message: dict[str, Any]) -> None:
    detector = detector_of(message)
    if detector is not None:
        check(detector, message)


@STEADY
@given(st.dictionaries(st.text(max_size=8), ANYTHING, max_size=6))
def test_any_object_is_read_or_refused_by_every_source(message: dict[str, Any]) -> None:
    for detector in DETECTORS:
        detector.recognises(message)
        check(detector, message)


@STEADY
@given(st.text() | ANYTHING.map(json.dumps))
def test_any_text_is_an_object_or_refused(body: str) -> None:
    try:
        message = message_in(body)
    except Refused:
        return
    assert message == json.loads(body)


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: str(message.get("id", "")) or None)
def test_exactly_one_source_recognises_a_real_message(message: dict[str, Any]) -> None:
    assert [detector.recognises(message) for detector in DETECTORS].count(True) == 1


@pytest.mark.parametrize("name", ["sweep-cases", "sweep-certificates", "set-up-account-create", "operate-release"])
def test_nobody_recognises_what_is_no_detectors(name: str) -> None:
    assert detector_of(event(name)) is None
