"""A finding: what a detector reported, in one form for all detectors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Self

from warden.core.clock import from_text, to_text

LOGS_WANTED = "logs-wanted"
"""The kind of an operator's finding that reports no problem and only asks for the device's logs."""


class Source(StrEnum):
    """Who reports findings, with the modules of `ingest/detectors` that read its messages."""

    DETECT = "device-defender-detect", "detect"
    AUDIT = "device-defender-audit", "audit", "audit_finding"
    GUARDDUTY = "guardduty", "guardduty"
    SECURITY_HUB = "security-hub", "security_hub"
    GENERIC = "generic", "generic"
    OPERATOR = "operator"
    SCHEDULE = "schedule"

    detectors: tuple[str, ...]

    def __new__(cls, value: str, *detectors: str) -> Self:
        source = str.__new__(cls, value)
        source._value_ = value
        source.detectors = detectors
        return source


class Severity(StrEnum):
    """How bad a finding is, on the scale of Device Defender audits."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """The place on the scale; 0 is the lowest."""
        return list(Severity).index(self)


class SubjectType(StrEnum):
    """What a finding can be about."""

    THING = "thing"
    CLIENT_ID = "client-id"
    CERTIFICATE = "certificate"
    CA_CERTIFICATE = "ca-certificate"
    POLICY = "policy"
    ROLE_ALIAS = "role-alias"
    IAM_ROLE = "iam-role"
    IDENTITY_POOL = "identity-pool"
    ACCOUNT = "account"


class Ending(StrEnum):
    """Why a finding is over."""

    ALARM_CLEARED = "alarm-cleared"
    ALARM_INVALIDATED = "alarm-invalidated"
    ARCHIVED = "archived"
    CLOSED_BY_DETECTOR = "closed-by-detector"
    NOT_FOUND_BY_AUDIT = "not-found-by-audit"


@dataclass(frozen=True)
class Subject:
    """What the finding is about, by its name in AWS IoT (a certificate by its id, not its ARN)."""

    type: SubjectType
    name: str

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What a detector reported, in our own form.

    `id` is the detector's own. `source`, `kind` and `subject` together identify the problem.
    `attributes` holds what a response plan may match on (`metric`, `security-profile`, `check`, ...).
    `evidence` is kept for people and for the record; no decision depends on it.
    """

    id: str
    source: Source
    kind: str
    subject: Subject
    severity: Severity
    observed_at: datetime
    title: str
    is_open: bool = True
    ending: Ending | None = None
    supersedes: bool = False
    """Whether each report replaces the last one, as every audit reports everything again under new ids."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def problem(self) -> str:
        """Return the id of the problem: there is one open case per source, kind and subject."""
        parts = (self.source, self.kind, self.subject.type, self.subject.name)
        return sha256("\x00".join(parts).encode()).hexdigest()[:20]

    def about_thing(self, thing: str) -> Finding:
        """Return the same finding about a thing that uses the certificate."""
        attributes = {**self.attributes, "certificate": self.subject.name}
        return replace(self, subject=Subject(SubjectType.THING, thing), attributes=attributes)

    def to_message(self) -> dict[str, Any]:
        """Write the finding as JSON for the case queue."""
        return {
            "id": self.id,
            "source": self.source,
            "kind": self.kind,
            "subject": {"type": self.subject.type, "name": self.subject.name},
            "severity": self.severity,
            "observedAt": to_text(self.observed_at),
            "title": self.title,
            "open": self.is_open,
            "ending": self.ending or "",
            "supersedes": self.supersedes,
            "attributes": dict(self.attributes),
            "evidence": dict(self.evidence),
        }

    @classmethod
    def from_message(cls, message: Mapping[str, Any]) -> Finding:
        """Read what `to_message` wrote."""
        return cls(
            id=message["id"],
            source=Source(message["source"]),
            kind=message["kind"],
            subject=Subject(SubjectType(message["subject"]["type"]), message["subject"]["name"]),
            severity=Severity(message["severity"]),
            observed_at=from_text(message["observedAt"]),
            title=message["title"],
            is_open=message["open"],
            ending=Ending(message["ending"]) if message["ending"] else None,
            supersedes=message.get("supersedes", False),
            attributes=message["attributes"],
            evidence=message["evidence"],
        )
