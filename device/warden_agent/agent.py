"""The agent: stay connected, run one job at a time, and never end by itself."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

from warden_agent.exchange import Exchange, Topics
from warden_agent.jobs import Execution, JobDesk, Operation, Order, UnknownOrderError, order_in
from warden_agent.logs import LogCollection
from warden_agent.ports import (
    Clock,
    ConnectError,
    ConnectionLostError,
    Dialer,
    Journal,
    NotAuthorizedError,
    Reconnect,
    Session,
)
from warden_agent.rotation import Rotations
from warden_agent.state import JobStatus, Outcome
from warden_agent.telemetry import Telemetry
from warden_agent.timing import Backoff

LOOK_AGAIN_SECONDS = 900.0  # in case the message about a new job was lost
STABLE_SECONDS = 30.0  # after a connection that lasted this long, the back-off starts again


@dataclass(frozen=True, kw_only=True)
class Agent:
    topics: Topics
    dialer: Dialer
    rotations: Rotations
    logs: LogCollection
    telemetry: Telemetry
    journal: Journal
    clock: Clock
    tokens: Callable[[], str]
    reconnects: Backoff
    delay: Callable[[], float]

    def run(self) -> NoReturn:
        while True:
            self.run_once()

    def run_once(self) -> None:
        """Connect, and serve until the connection ends."""
        session, exchange = self._connected()
        self.telemetry.use(session)
        try:
            pause = self._served(session, exchange)
        finally:
            self.telemetry.use(None)
            session.close()
        self.clock.sleep(pause)

    def _served(self, session: Session, exchange: Exchange) -> float:
        """Serve until the connection ends, and return how long to wait before the next one."""
        since = self.clock.monotonic()
        try:
            self._serve(exchange)
        except Reconnect:
            self.reconnects.reset()
            return 0.0
        except (ConnectionLostError, NotAuthorizedError) as error:
            if self.clock.monotonic() - since >= STABLE_SECONDS:
                self.reconnects.reset()
            pause = self.reconnects.next_delay()
            self._tell("connection-lost", session, reason=str(error), retrySeconds=round(pause, 3))
            return pause

    def _connected(self) -> tuple[Session, Exchange]:
        failures = 0
        while True:
            identity = self.rotations.identity_to_try(failures)
            try:
                session = self.dialer.dial(identity)
            except ConnectError as error:
                problem = error
            else:
                try:
                    return session, self._opened(session)
                except ConnectError as error:
                    problem = error
            delay = self.reconnects.next_delay()
            self.journal.record(
                "connect-failed",
                certificateId=identity.certificate_id,
                reason=str(problem),
                retrySeconds=round(delay, 3),
            )
            self.rotations.could_not_connect(identity, problem)
            self.clock.sleep(delay)
            failures += 1

    def _opened(self, session: Session) -> Exchange:
        """Subscribe. An identity that may not read its own answers counts as one that cannot connect."""
        exchange = Exchange(session, self.topics, self.clock, self.tokens)
        try:
            exchange.open()
        except (NotAuthorizedError, ConnectionLostError) as error:
            session.close()
            raise ConnectError(str(error), reached=True) from error
        except BaseException:
            session.close()
            raise
        self._tell("connected", session)
        self.rotations.connected_as(session.identity)
        return exchange

    def _serve(self, exchange: Exchange) -> NoReturn:
        desk = JobDesk(exchange, self.clock, self.delay)
        self.rotations.settle(exchange, desk)
        done: Execution | None = None
        while True:
            execution = desk.start_next()
            self.rotations.expect(execution)
            self.logs.expect(execution.job_id if execution else None)
            if execution is None:
                exchange.wait_for_notice(LOOK_AGAIN_SECONDS)
                continue
            if execution == done:
                self.clock.sleep(
                    self.delay()
                )  # AWS did not accept its end and sent it again: do not loop at full speed
            self._run_job(execution, exchange, desk)
            done = execution

    def _run_job(self, execution: Execution, exchange: Exchange, desk: JobDesk) -> None:
        try:
            order = order_in(execution)
        except UnknownOrderError as error:
            self._end_job(execution, Outcome(JobStatus.REJECTED, {"reason": str(error)}), desk)
            return
        self.journal.record("job-started", jobId=execution.job_id, operation=order.operation.value)
        if (outcome := self._carried_out(execution, order, exchange, desk)) is not None:
            self._end_job(execution, outcome, desk)

    def _carried_out(self, execution: Execution, order: Order, exchange: Exchange, desk: JobDesk) -> Outcome | None:
        """Run the job; return None if it has reported its end itself."""
        try:
            if order.operation is Operation.COLLECT_LOGS:
                return self.logs.run(execution.job_id, exchange)
            self.rotations.run(execution, order, exchange)
            self.rotations.settle(exchange, desk)
        except (Reconnect, ConnectionLostError):
            raise
        except Exception as error:  # noqa: BLE001  no job, whatever it meets, may end the agent
            return Outcome(JobStatus.FAILED, {"reason": f"{type(error).__name__}: {error}"})
        return None

    def _end_job(self, execution: Execution, outcome: Outcome, desk: JobDesk) -> None:
        refusal = desk.end(execution.job_id, execution.number, outcome)
        self.journal.record(
            "job-ended",
            jobId=execution.job_id,
            status=outcome.status.value,
            details=outcome.details,
            notTaken=refusal,
        )

    def _tell(self, event: str, session: Session, **fields: object) -> None:
        self.journal.record(event, certificateId=session.identity.certificate_id, **fields)
