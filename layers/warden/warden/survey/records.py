"""The record of the last survey, for the survey itself and for those who ask about it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from warden.core.ledger import Key, version_of
from warden.core.ports import HasLedger
from warden.core.records import RecordType
from warden.survey.model import Change, Survey

LATEST = Key("SURVEY", "LATEST")


class WatchState(StrEnum):
    """How far the comparison of the baseline's stack with its template is."""

    IDLE = "idle"
    DUE = "due"
    RUNNING = "running"


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The detection of drift: since when it is due or running, and CloudFormation's id if it is running."""

    state: WatchState = WatchState.IDLE
    since: datetime | None = None
    detection: str = ""


class Owed(StrEnum):
    """What is done about a survey that is on record, in this order."""

    METRICS = "metrics"
    DRIFT_METRIC = "drift-metric"
    REPORTS = "reports"
    EVENT = "event"
    NOTICE = "notice"


@dataclass(frozen=True, kw_only=True)
class SurveyRecord:
    """A survey with what became worse, and what is still owed about it.

    `known` is the last state of each control and line that was really read: not known is no state to compare with. A
    property that drifted is known by its key until CloudFormation finds it as it was deployed. `changed_at` is when
    something became worse, if that was after the survey.
    """

    survey: Survey
    began: datetime
    known: Mapping[str, str] = field(default_factory=dict)
    changes: Sequence[Change] = ()
    owed: Sequence[Owed] = ()
    watch: Watch = field(default_factory=Watch)
    changed_at: datetime | None = None
    tries: int = 0
    tried_at: datetime | None = None
    """How often, and when last, sending the owed notice began: it is on record before it is sent."""
    unheard: Sequence[str] = ()
    """What was known, and is unknown only because of a disturbance at AWS: reported if it then turns out worse."""
    version: int = 0


def owing(record: SurveyRecord, *duties: Owed) -> tuple[Owed, ...]:
    """Add duties to what is owed about a survey, and return all in the order in which they are done."""
    return tuple(each for each in Owed if each in record.owed or each in duties)


SURVEYS = RecordType(name="survey", of=SurveyRecord)


def read_latest(ports: HasLedger) -> SurveyRecord | None:
    """Read the last survey; None before the first."""
    record = ports.ledger.read(LATEST)
    return None if record is None else replace(SURVEYS.value(record), version=version_of(record))
