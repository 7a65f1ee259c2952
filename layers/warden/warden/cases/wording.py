"""What people read in place of the values that the ledger keeps."""

from __future__ import annotations

from collections.abc import Mapping

from warden.cases.allowed import Decision
from warden.cases.model import Step, StepKind

COMMANDS: Mapping[Decision, str] = {
    Decision.APPROVE: "approve {case}",
    Decision.DISMISS: "dismiss {case}",
    Decision.RELEASE: "release {case}",
    Decision.RELEASE_KEEPING_CERTIFICATE: "release {case} --keep-certificate",
    Decision.COLLECT_LOGS: "collect-logs {case}",
    Decision.CANCEL: "cancel {case}",
}
"""The command, behind `warden`, that gives each decision."""

_STEPS = {
    StepKind.FINDING: "finding",
    StepKind.FINDING_OVER: "finding over",
    StepKind.DECIDED: "decided",
    StepKind.ADMITTED: "admitted",
    StepKind.HELD: "held",
    StepKind.ACTION_STARTED: "{action} started",
    StepKind.ACTION_DONE: "{action} done",
    StepKind.ACTION_FAILED: "{action} failed",
    StepKind.CONTAINED: "contained",
    StepKind.RESPONDED: "responded",
    StepKind.SECOND_DISCONNECT: "second disconnect",
    StepKind.RESTRICTED_AGAIN: "restricted again",
    StepKind.DECISION_TAKEN: "{decision}",
    StepKind.DECISION_REFUSED: "decision refused",
    StepKind.RELEASE_NOT_MADE: "release not completed",
    StepKind.RELEASED: "released",
    StepKind.CLOSED: "closed",
    StepKind.DEVICE_REQUEST_REFUSED: "device request refused",
    StepKind.NEW_CERTIFICATE_IN_USE: "new certificate in use",
    StepKind.LOGS_ANNOUNCED: "logs announced",
    StepKind.NOTIFIED: "notified",
    StepKind.LEFT_FOR_A_DIGEST: "left for a digest",
}


def words_of(step: Step) -> str:
    """Return what happened in words, with the action or decision named."""
    return _STEPS[step.kind].format_map(step.facts)
