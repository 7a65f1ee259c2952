"""A finding of any other detector, as an EventBridge event in Fleet Warden's own schema.

`generic-finding.schema.json` beside this module is its contract. A parameter of the deployment lists the event
sources that are accepted; EventBridge checks it. The event's source is part of the kind: two detectors with the same
finding names have separate cases, and neither can close the other's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from warden.core.errors import Refused
from warden.core.escaping import shown
from warden.core.findings import Ending, Finding, Severity, Source, SubjectType
from warden.ingest.detectors.event_bridge import detail_of
from warden.validation.evidence import bounded
from warden.validation.fields import moment, optional_object, optional_text, optional_word, text, value_at, word
from warden.validation.names import subject

if TYPE_CHECKING:  # the package imports the detectors, so they cannot import from it
    from warden.ingest.detectors import Envelope

TITLE = "generic finding"

DETAIL_TYPE = "Fleet Warden Finding"
SCHEMA = 1
STATUSES = ("open", "closed")
ATTRIBUTES = 16
ATTRIBUTE_NAME = r"[a-z][a-z0-9-]{0,63}"
ATTRIBUTE_CHARACTERS = 256
RESERVED = ("certificate",)
"""Attributes that the service sets itself and believes: the certificate that a finding about a thing came from."""


def recognises(message: Mapping[str, Any]) -> bool:
    """Recognise our own type of event."""
    return message.get("detail-type") == DETAIL_TYPE


def findings(message: Mapping[str, Any], envelope: Envelope) -> Iterator[Finding]:
    """Read one finding.

    Raises:
        Refused: when it does not match the schema.
    """
    detail = detail_of(message, envelope)
    event_source = word(message, "source")
    _check_schema(detail)
    kind = word(detail, "kind")
    about = subject(_one_of(SubjectType, detail, "subject.type"), text(detail, "subject.name"), "subject.name")
    is_open = _status_of(detail) == "open"
    yield Finding(
        id=word(detail, "id"),
        source=Source.GENERIC,
        kind=f"{event_source}/{kind}",
        subject=about,
        severity=_one_of(Severity, detail, "severity"),
        observed_at=moment(detail, "observedAt", latest=envelope.received_at),
        title=f"{shown(event_source)}: {shown(kind)} on {about.type} {shown(about.name)}",
        is_open=is_open,
        ending=None if is_open else Ending.CLOSED_BY_DETECTOR,
        attributes={**_attributes_of(detail), "event-source": event_source},
        evidence=bounded(detail, ("description", "evidence", "observedAt")),
    )


def _check_schema(detail: Mapping[str, Any]) -> None:
    schema = value_at(detail, "schema")
    # True equals 1 in Python, but is not a schema number.
    if isinstance(schema, bool) or schema != SCHEMA:
        raise Refused("unknown-schema", f"'schema' must be {SCHEMA}; see generic-finding.schema.json")


def _one_of[Value: (SubjectType, Severity)](values: type[Value], detail: Mapping[str, Any], path: str) -> Value:
    given_value = word(detail, path)
    for value in values:
        if value == given_value:
            return value
    raise Refused("bad-value", f"'{path}' must be one of {', '.join(values)}; see generic-finding.schema.json")


def _status_of(detail: Mapping[str, Any]) -> str:
    status = optional_word(detail, "status") or STATUSES[0]
    if status not in STATUSES:
        raise Refused("bad-value", f"'status' must be one of {', '.join(STATUSES)}; see generic-finding.schema.json")
    return status


def _attributes_of(detail: Mapping[str, Any]) -> dict[str, str]:
    given = optional_object(detail, "attributes")
    if len(given) > ATTRIBUTES:
        raise Refused("bad-value", f"'attributes' has {len(given)} entries; at most {ATTRIBUTES} can be kept")
    if not all(re.fullmatch(ATTRIBUTE_NAME, name) for name in given):
        raise Refused(
            "bad-value", "a name in 'attributes' is not of the form lower-case-words of at most 64 characters"
        )
    if own := [name for name in RESERVED if name in given]:
        raise Refused("bad-value", f"'attributes' has '{own[0]}', which Fleet Warden sets itself; use another name")
    attributes = {name: optional_text(given, name) for name in given}
    if any(len(value) > ATTRIBUTE_CHARACTERS for value in attributes.values()):
        raise Refused("bad-value", f"a value in 'attributes' is longer than {ATTRIBUTE_CHARACTERS} characters")
    return {name: value for name, value in attributes.items() if value}
