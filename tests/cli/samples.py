"""Answers of the service in the states that an operator meets, made by the service's own code from cases in memory."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from warden.cases.allowed import allowed
from warden.cases.model import Case, CaseState, Outcome, Progress, Step, StepKind
from warden.cases.views import summary
from warden.cases.wording import words_of
from warden.core.clock import to_text
from warden.core.findings import Severity, Source, Subject, SubjectType
from warden.core.mode import Mode

ALICE = "arn:aws:sts::000000000000:assumed-role/fleet-operator/alice"
OPENED = datetime(2026, 11, 22, 10, 0, 4, 250_000, tzinfo=UTC)
CERTIFICATE = "3c7d9f0a4b1e62858d0f7c2a91b6e4d3508f2c1a7be94d6603f5a8c2e719b4d0"
CASE = "b579a3f0e1d4-1"


def a_case(**changes: Any) -> Case:
    case = Case(
        id=CASE,
        problem="b579a3f0e1d4aaaaaaaa",
        source=Source.DETECT,
        kind="aws:all-bytes-out",
        subject=Subject(SubjectType.THING, "pump-3"),
        thing="pump-3",
        severity=Severity.HIGH,
        title="Device Defender Detect: aws:all-bytes-out of pump-3 in alarm (profile pump-baseline)",
        state=CaseState.OPEN,
        opened_at=OPENED,
        findings={"37e18651d207bbc74236c13faf146127": True},
        attributes={"metric": "aws:all-bytes-out", "security-profile": "pump-baseline", "criteria": "static"},
        evidence={"behavior": {"criteria": {"value": {"count": 100000}}}, "metricValue": {"count": 7340032}},
        rule="data-leaves-the-device",
        mode="enforce",
        affected=("pump-3",),
    )
    return replace(case, **changes)


def a_contained_case(**changes: Any) -> Case:
    outcomes = {
        "quarantine": Outcome(
            Progress.DONE, "1 certificate restricted, 1 policy detached, taken out of pumps; session closed; checked"
        ),
        "collect-logs": Outcome(
            Progress.DONE, "agent: 5120 bytes, sha256 as announced", "warden-collect-logs-f47e11a36461a5ed2ba627c7"
        ),
    }
    return a_case(**{"state": CaseState.CONTAINED, "outcomes": outcomes, **changes})


def listing(*cases: Case, more: bool = False) -> dict[str, Any]:
    return {"cases": [summary(case) for case in cases], "more": more}


def a_line(kind: StepKind, who: str = "fleet-warden", why: str = "", after: float = 0, **facts: Any) -> dict[str, Any]:
    return {
        "at": to_text(OPENED + timedelta(seconds=after)),
        "kind": kind,
        "what": words_of(Step(kind, who, why, facts)),
        "who": who,
        "why": why,
        "facts": facts,
    }


def a_file(case: Case, *lines: Mapping[str, Any], contained: Mapping[str, Any] | None = None) -> dict[str, Any]:
    return {
        "case": summary(case) | {"attributes": dict(case.attributes), "evidence": dict(case.evidence)},
        "timeline": list(lines),
        "containment": contained,
        "allowed": allowed(case, Mode.ENFORCE),
    }


STORY = (
    a_line(
        StepKind.FINDING,
        "device-defender-detect",
        "Device Defender Detect: aws:all-bytes-out of pump-3 in alarm (profile pump-baseline)",
        finding="37e18651d207bbc74236c13faf146127",
        metric="aws:all-bytes-out",
    ),
    a_line(
        StepKind.DECIDED, why="rule data-leaves-the-device: quarantine, collect-logs, notify; mode enforce", after=1
    ),
    a_line(StepKind.ADMITTED, "governor", "within the limits", after=1),
    a_line(
        StepKind.ACTION_DONE,
        why="1 certificate restricted, 1 policy detached, taken out of pumps; session closed; checked",
        after=3,
        action="quarantine",
    ),
    a_line(
        StepKind.ACTION_STARTED,
        why="job sent",
        after=4,
        job="warden-collect-logs-f47e11a36461a5ed2ba627c7",
        action="collect-logs",
    ),
    a_line(StepKind.CONTAINED, why="stays restricted until an operator releases it", after=4),
    a_line(
        StepKind.LOGS_ANNOUNCED,
        "thing pump-3",
        after=7,
        files=[
            {
                "name": "agent",
                "bytes": 5120,
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "key": f"cases/{CASE}/warden-collect-logs-f47e11a36461a5ed2ba627c7/00-9f86d081884c7d65",
            }
        ],
    ),
    a_line(StepKind.ACTION_DONE, why="agent: 5120 bytes, sha256 as announced", after=9, action="collect-logs"),
    a_line(StepKind.SECOND_DISCONNECT, why="no session was open", after=90_000),
)

CONTAINMENT = {
    "state": "contained",
    "since": to_text(OPENED + timedelta(seconds=2)),
    "cases": [CASE],
    "policies": {CERTIFICATE: ["pump-telemetry"]},
    "groups": ["pumps"],
}
