"""Every hostile message ends as its file says: a finding, nothing to do, or a refusal with a code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ingest.detectors.samples import (
    CORPUS,
    an_envelope,
    assert_is_plain,
    assert_is_safe,
    detector_of,
    from_event_bridge,
)
from warden.core.errors import Refused
from warden.core.findings import Finding
from warden.validation.strict_json import message_in

CASES = sorted(CORPUS.glob("*.json"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_hostile_message_ends_as_expected(path: Path) -> None:
    case = json.loads(path.read_text())
    expected = {"code": "", "attributes": {}, **case["expect"]}

    verdict, code, found = outcome(body_of(case), case["from"])

    expected.pop("notice", None)  # which tests/hostile looks at
    assert verdict == expected.pop("verdict")
    assert code == expected.pop("code")
    attributes = expected.pop("attributes")
    for finding in found:
        assert_is_safe(finding)
        written = finding.to_message()
        assert {key: written[key] for key in expected} == expected
        assert attributes.items() <= finding.attributes.items()


def test_the_corpus_is_as_large_as_promised() -> None:
    """Here the messages of detectors; tests/hostile counts the other families, and the whole."""
    assert len(CASES) >= 185


def outcome(body: str, carried_by: str) -> tuple[str, str, list[Finding]]:
    envelope = an_envelope() if carried_by == "sns" else from_event_bridge()
    try:
        message = message_in(body)
        detector = detector_of(message)
        if detector is None:
            return "unrecognised", "", []
        found = list(detector.findings(message, envelope))
    except Refused as refused:
        assert_is_plain(refused)
        return "refused", refused.code, []
    return ("finding" if found else "ignored"), "", found


def body_of(case: Mapping[str, Any]) -> str:
    """Write out a case's message: an object, a string, or pieces with their repetitions."""
    if "message" in case:
        return json.dumps(case["message"])
    if isinstance(case["body"], str):
        return case["body"]
    return "".join(piece * times for piece, times in case["body"])
