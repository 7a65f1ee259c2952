"""What the survey reads of an account: values, or why there is none.

Each value has the words of AWS's own API. Other fields of AWS's answers are left out: each field here decides a control
or a line of liveness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True)
class Denied:
    """Our role may not read it."""

    action: str


@dataclass(frozen=True)
class Unavailable:
    """AWS does not offer it in this region."""

    region: str


@dataclass(frozen=True)
class Unanswered:
    """AWS did not answer, or cannot from here. With `may_pass`, the cause is a disturbance at AWS."""

    action: str
    code: str
    may_pass: bool = False


NO_ANSWER = "no-answer-in-time"
"""The code for a call that was not answered in time."""

type Unread = Denied | Unavailable | Unanswered
type Read[T] = T | Unread
"""A value that was read, or why it was not."""


@dataclass(frozen=True, kw_only=True)
class AuditConfiguration:
    """What Device Defender audits, and the topic that it reports to with a role; an empty `target` is none."""

    role: str = ""
    checks: frozenset[str] = frozenset()
    target: str = ""
    target_role: str = ""
    target_enabled: bool = False


@dataclass(frozen=True, kw_only=True)
class ScheduledAudit:
    """An audit that AWS runs by itself."""

    name: str
    frequency: str
    checks: frozenset[str]


@dataclass(frozen=True)
class CheckRun:
    """How a check of an audit ended; `error` is AWS's code if it could not run."""

    status: str
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class AuditTask:
    """A run of an audit."""

    id: str
    status: str
    started_at: datetime
    checks: Mapping[str, CheckRun] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Suppression:
    """A check whose findings the audit is told to leave out, for good if `until` is None."""

    check: str
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class IotLogging:
    """What AWS IoT logs; `events` are the event types that have a level of their own."""

    level: str
    disabled: bool
    events: Mapping[str, str] = field(default_factory=dict)
    groups: frozenset[str] = frozenset()
    """The log groups that event types have of their own; every other event goes to AWS IoT's own group."""


@dataclass(frozen=True, kw_only=True)
class LogGroup:
    """How long a log group keeps its events (0: for ever), and its KMS key (empty: none)."""

    name: str
    retention_days: int = 0
    key: str = ""


@dataclass(frozen=True, kw_only=True)
class SecurityProfile:
    """What Detect compares devices with."""

    name: str
    metrics: frozenset[str] = frozenset()
    learns: bool = False
    """Whether machine learning learns one of its behaviors."""
    alerts: Mapping[str, str] = field(default_factory=dict)
    """The role for each topic that it reports to."""
    targets: frozenset[str] = frozenset()


@dataclass(frozen=True)
class LearningModel:
    """What machine learning knows of a behavior of a profile: PENDING_BUILD, ACTIVE or EXPIRED."""

    profile: str
    behavior: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Detector:
    """GuardDuty's detector, with the names of the plans that are on."""

    id: str
    enabled: bool
    plans: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Trail:
    """A trail of CloudTrail that this account and region can see."""

    name: str
    arn: str
    bucket: str
    multi_region: bool
    organization: bool
    validated: bool
    key: str = ""
    """The customer key that its files are encrypted with. AWS CloudTrail API reference, Trail, `KmsKeyId`."""


@dataclass(frozen=True, kw_only=True)
class TrailStatus:
    """Whether a trail records, and the error of its last delivery."""

    logging: bool
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    """How a bucket is protected."""

    public_access_blocked: bool
    versioned: bool


@dataclass(frozen=True, kw_only=True)
class Analyzer:
    """An analyzer of IAM Access Analyzer in this account."""

    name: str
    arn: str
    type: str
    status: str


@dataclass(frozen=True, kw_only=True)
class Topic:
    """How many subscriptions of a topic are confirmed, and how many are not yet; and its own policy."""

    confirmed: int
    pending: int
    policy: str = ""


@dataclass(frozen=True, kw_only=True)
class Subscription:
    """How a queue is subscribed to a topic; `arn` is empty until it is confirmed."""

    arn: str
    raw: bool = False
    """Whether the message comes without the envelope of SNS."""
    filtered: bool = False
    """Whether some messages are kept from it."""


@dataclass(frozen=True)
class StackResource:
    """A resource that a stack made."""

    type: str
    id: str
