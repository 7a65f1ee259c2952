"""AWS IoT Jobs on a device: take the next job, report its end."""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from warden_agent.exchange import Answer, Exchange
from warden_agent.identity import KeyAlgorithm
from warden_agent.ports import Clock, ConnectionLostError, NoAnswerError
from warden_agent.state import Outcome

ASK_TIMES = 4
LONGEST_DETAIL = 1024
MOST_DETAILS = 10
PASSING = frozenset({"RequestThrottled", "InternalError"})


class Operation(StrEnum):
    ROTATE_CERTIFICATE = "rotate-certificate"
    COLLECT_LOGS = "collect-logs"


@dataclass(frozen=True)
class Execution:
    job_id: str
    number: int
    document: Mapping[str, Any]


@dataclass(frozen=True)
class Order:
    """What a job document orders."""

    operation: Operation
    key_algorithm: KeyAlgorithm = KeyAlgorithm.EC_P256


class UnknownOrderError(Exception):
    """Raised when a job document is not one of ours, or orders something unsupported."""


def order_in(execution: Execution) -> Order:
    """Read the document's `warden` block. Raises UnknownOrderError."""
    block = execution.document.get("warden")
    if not isinstance(block, dict):
        raise UnknownOrderError("the job document has no 'warden' block")
    if block.get("jobId") != execution.job_id:
        raise UnknownOrderError("the job document was written for another job")
    try:
        operation = Operation(str(block.get("operation")))
    except ValueError:
        raise UnknownOrderError(f"unknown operation {block.get('operation')!r}") from None
    try:
        return Order(operation, KeyAlgorithm(block.get("keyAlgorithm", KeyAlgorithm.EC_P256)))
    except ValueError:
        raise UnknownOrderError(f"unknown keyAlgorithm {block.get('keyAlgorithm')!r}") from None


class JobDesk:
    def __init__(self, exchange: Exchange, clock: Clock, delay: Callable[[], float]) -> None:
        self._exchange = exchange
        self._clock = clock
        self._delay = delay

    def start_next(self) -> Execution | None:
        """Take the job that is already under way, else the oldest one waiting. Raises ConnectionLostError."""
        answer = self._ask("start-next", {})
        if not answer.accepted:
            raise ConnectionLostError(f"start-next was rejected: {answer.refusal}")
        return _execution(answer.body)

    def end(self, job_id: str, execution_number: int, outcome: Outcome) -> str | None:
        """Report the end; return why AWS did not accept it, or None. Raises ConnectionLostError.

        AWS does not accept it if the job is already over: cancelled, timed out or deleted in the meantime.
        """
        body = {"status": outcome.status.value, "executionNumber": execution_number}
        answer = self._ask(f"{job_id}/update", {**body, "statusDetails": fit_for_job(outcome.details)})
        if answer.code == "InvalidRequest":
            answer = self._ask(f"{job_id}/update", body)  # a bare status is better than a job that never ends
        return None if answer.accepted else answer.refusal

    def _ask(self, request: str, body: dict[str, Any]) -> Answer:
        for _ in range(ASK_TIMES):
            try:
                answer = self._exchange.ask(self._exchange.topics.jobs(request), body)
            except NoAnswerError:
                continue
            if answer.accepted or answer.code not in PASSING:
                return answer
            self._clock.sleep(self._delay())
        raise ConnectionLostError(f"no use of this connection: {request} was asked {ASK_TIMES} times")


def fit_for_job(details: Mapping[str, str]) -> dict[str, str]:
    """Make details that AWS IoT Jobs accepts: few, short, and without control characters."""
    return {key: _fit(value) for key, value in list(details.items())[:MOST_DETAILS]}


def _fit(value: str) -> str:
    printable = "".join(" " if unicodedata.category(character).startswith("C") else character for character in value)
    return printable[:LONGEST_DETAIL] or "-"


def _execution(body: Mapping[str, Any]) -> Execution | None:
    match body.get("execution"):
        case {"jobId": str(job_id), "executionNumber": int(number), **rest}:
            document = rest.get("jobDocument")
            return Execution(job_id, number, document if isinstance(document, dict) else {})
    return None
