from __future__ import annotations

import importlib.resources
import json
from typing import Any

from tests.unit.ingest.detectors.samples import from_event_bridge, message_of, the_finding_of
from warden.core.findings import Severity, Source, Subject, SubjectType
from warden.ingest.detectors import generic
from warden.validation import fields

SCHEMA: dict[str, Any] = json.loads(
    (importlib.resources.files("warden.ingest.detectors") / "generic-finding.schema.json").read_text()
)


def test_any_detector_can_report_a_thing() -> None:
    finding = the_finding_of("generic-finding")

    assert finding.source is Source.GENERIC
    assert finding.kind == "com.example.anomaly-detector/traffic-spike"
    assert finding.subject == Subject(SubjectType.THING, "pump-3")
    assert finding.severity is Severity.HIGH
    assert finding.attributes == {"model": "hourly-traffic", "event-source": "com.example.anomaly-detector"}
    assert finding.evidence["evidence"] == {"bytesOut": 7340032, "usual": 104857}


def test_a_detector_can_close_what_it_opened() -> None:
    finding = the_finding_of("generic-finding-closed")

    assert not finding.is_open
    assert finding.problem == the_finding_of("generic-finding").problem


def test_a_detector_cannot_close_what_another_opened() -> None:
    event, _ = message_of("generic-finding-closed")

    (finding,) = generic.findings({**event, "source": "com.example.other"}, from_event_bridge())

    assert finding.problem != the_finding_of("generic-finding").problem


def test_the_schema_requires_what_the_code_requires() -> None:
    event, _ = message_of("generic-finding")
    least = {key: event["detail"][key] for key in SCHEMA["required"]}

    (finding,) = generic.findings({**event, "detail": least}, from_event_bridge())

    assert finding.is_open


def test_the_schema_and_the_code_name_the_same_values() -> None:
    properties = SCHEMA["properties"]

    assert properties["schema"]["const"] == generic.SCHEMA
    assert properties["subject"]["properties"]["type"]["enum"] == list(SubjectType)
    assert properties["severity"]["enum"] == list(Severity)
    assert tuple(properties["status"]["enum"]) == generic.STATUSES
    assert properties["attributes"]["maxProperties"] == generic.ATTRIBUTES
    assert properties["attributes"]["propertyNames"]["pattern"] == f"^{generic.ATTRIBUTE_NAME}$"
    assert properties["attributes"]["propertyNames"]["not"]["enum"] == list(generic.RESERVED)
    assert properties["attributes"]["additionalProperties"]["maxLength"] == generic.ATTRIBUTE_CHARACTERS
    assert {properties[name]["pattern"] for name in ("id", "kind")} == {f"^{fields.WORD}$"}
