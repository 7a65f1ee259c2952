"""The service's answers, as values. Unknown fields are ignored, so an older command can read a newer service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from warden.cases.model import StepKind
from warden_cli.errors import NotReached


@dataclass(frozen=True, kw_only=True)
class Action:
    """One action of a case and its progress."""

    name: str
    progress: str
    detail: str = ""
    job: str = ""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of a timeline: `kind` for programs, `what` in words."""

    at: datetime
    kind: str
    what: str
    who: str
    why: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_failure(self) -> bool:
        """Whether the service failed to do what was asked."""
        return self.kind in _FAILURES


_FAILURES = (StepKind.HELD, StepKind.ACTION_FAILED, StepKind.RELEASE_NOT_MADE, StepKind.DECISION_REFUSED)


@dataclass(frozen=True, kw_only=True)
class Containment:
    """What was removed from a device, and for which cases."""

    state: str
    since: datetime
    cases: Sequence[str]
    policies: Mapping[str, Sequence[str]]
    groups: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One case. Only `show` fills `attributes` and `evidence`."""

    id: str
    state: str
    resolution: str
    thing: str
    subject_type: str
    subject_name: str
    source: str
    kind: str
    severity: str
    title: str
    opened_at: datetime
    closed_at: datetime | None
    rule: str
    mode: str
    findings: Mapping[str, bool]
    affected: Sequence[str]
    actions: Sequence[Action]
    approved_by: str
    released_by: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)
    evidence: Mapping[str, Any] = field(default_factory=dict)

    @property
    def device(self) -> str:
        """The thing, or the other subject of the case."""
        return self.thing or f"{self.subject_type} {self.subject_name}"


@dataclass(frozen=True, kw_only=True)
class CaseFile:
    """Everything about one case. `allowed` are the decisions it can get; an older service sends none."""

    case: Case
    timeline: Sequence[Entry]
    containment: Containment | None
    allowed: Sequence[str] = ()


def understood[T](read: Callable[[Mapping[str, Any]], T], answer: Mapping[str, Any]) -> T:
    """Read an answer.

    Raises:
        NotReached: when this version of the command does not know its form.
    """
    try:
        return read(answer)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotReached(
            "the service answers in a form that this version of the command does not know; use the command of the "
            "version that is deployed"
        ) from error


def cases_in(answer: Mapping[str, Any]) -> list[Case]:
    """Read the answer to `cases`."""
    return [case_in(each) for each in answer["cases"]]


def case_file_in(answer: Mapping[str, Any]) -> CaseFile:
    """Read the answer to `show`."""
    held = answer["containment"]
    return CaseFile(
        case=case_in(answer["case"]),
        timeline=[_entry_in(each) for each in answer["timeline"]],
        containment=_containment_in(held) if held else None,
        allowed=[str(each) for each in answer.get("allowed", [])],
    )


def case_in(answer: Mapping[str, Any]) -> Case:
    """Read one case."""
    return Case(
        id=str(answer["id"]),
        state=str(answer["state"]),
        resolution=str(answer.get("resolution", "")),
        thing=str(answer["thing"]),
        subject_type=str(answer["subject"]["type"]),
        subject_name=str(answer["subject"]["name"]),
        source=str(answer["source"]),
        kind=str(answer["kind"]),
        severity=str(answer["severity"]),
        title=str(answer["title"]),
        opened_at=datetime.fromisoformat(answer["openedAt"]),
        closed_at=datetime.fromisoformat(answer["closedAt"]) if answer.get("closedAt") else None,
        rule=str(answer.get("rule", "")),
        mode=str(answer.get("mode", "")),
        findings=dict(answer.get("findings", {})),
        affected=[str(each) for each in answer.get("affected", [])],
        actions=[_action_in(name, each) for name, each in answer.get("actions", {}).items()],
        approved_by=str(answer.get("approvedBy", "")),
        released_by=str(answer.get("releasedBy", "")),
        attributes={str(name): str(value) for name, value in answer.get("attributes", {}).items()},
        evidence=dict(answer.get("evidence", {})),
    )


def _action_in(name: str, answer: Mapping[str, Any]) -> Action:
    return Action(
        name=str(name),
        progress=str(answer["progress"]),
        detail=str(answer.get("detail", "")),
        job=str(answer.get("job", "")),
    )


def _entry_in(answer: Mapping[str, Any]) -> Entry:
    return Entry(
        at=datetime.fromisoformat(answer["at"]),
        kind=str(answer["kind"]),
        what=str(answer["what"]),
        who=str(answer["who"]),
        why=str(answer.get("why", "")),
        facts=dict(answer.get("facts", {})),
    )


def _containment_in(answer: Mapping[str, Any]) -> Containment:
    return Containment(
        state=str(answer["state"]),
        since=datetime.fromisoformat(answer["since"]),
        cases=[str(each) for each in answer["cases"]],
        policies={str(name): [str(each) for each in names] for name, names in answer["policies"].items()},
        groups=[str(each) for each in answer["groups"]],
    )
