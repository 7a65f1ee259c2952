"""The certificate rotation: the steps of state.py, driven by jobs, answers and connections that come and go.

Every step is saved before its effect is visible outside. So after a crash the state holds the last decision, and
repeating that step is harmless: the cloud gives the same answer to the same request.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from warden_agent.exchange import PASSING, Answer, Exchange
from warden_agent.identity import Identity, IdentityError, new_key, signing_request
from warden_agent.jobs import Execution, JobDesk, Order
from warden_agent.ports import Clock, ConnectError, Journal, NoAnswerError, NotAuthorizedError, Reconnect, StateStore
from warden_agent.state import DeviceState, Rotation, Step, identity_to_try

MAX_ASKS = 8
MAX_REFUSED_DIALS = 8


@dataclass(frozen=True, kw_only=True)
class Rotations:
    thing_name: str
    store: StateStore
    journal: Journal
    clock: Clock
    tokens: Callable[[], str]
    delay: Callable[[], float]

    def identity_to_try(self, failures: int) -> Identity:
        return identity_to_try(self.store.load(), failures)

    def could_not_connect(self, identity: Identity, error: ConnectError) -> None:
        """Count a refusal of the new certificate. A network failure is not a refusal."""
        state = self.store.load()
        if identity != state.candidate or not error.reached:
            return
        state = state.dial_refused()
        self.store.save(state)
        if state.rotation is not None and state.rotation.refused_dials >= MAX_REFUSED_DIALS:
            self._give_up(state, f"the new certificate cannot connect: {error}")

    def connected_as(self, identity: Identity) -> None:
        state = self.store.load()
        if state.candidate is None and identity == state.fallback:
            self.store.save(state.fell_back())
            self.journal.record(
                "identity-fell-back",
                certificateId=identity.certificate_id,
                refusedCertificateId=state.identity.certificate_id,
            )

    def run(self, execution: Execution, order: Order, exchange: Exchange) -> None:
        """Get a new certificate. Raises Reconnect to try it; otherwise the rotation has ended."""
        state = self.store.load()
        if state.rotation is None or not state.rotation.belongs_to(execution.job_id, execution.number):
            state = self._begun(state, execution, order)
        if state.rotation is not None and state.rotation.step is Step.REQUESTED:
            self._request(state, exchange)

    def expect(self, execution: Execution | None) -> None:
        """Forget a request and its key if its job no longer exists."""
        state = self.store.load()
        if state.rotation is None or state.rotation.step is not Step.REQUESTED:
            return
        if execution is None or not state.rotation.belongs_to(execution.job_id, execution.number):
            self.store.save(replace(state, rotation=None))

    def settle(self, exchange: Exchange, desk: JobDesk) -> None:
        """Do what needs a connection: confirm a new certificate, report an unreported end.

        Raises Reconnect if the other identity is to be used from now on.
        """
        state = self.store.load()
        if state.candidate is not None:
            self._confirm(state, state.candidate, exchange)
            state = self.store.load()
        if state.rotation is not None and state.rotation.step is Step.ENDED:
            self._report(state, state.rotation, desk)

    def _begun(self, state: DeviceState, execution: Execution, order: Order) -> DeviceState:
        key_pem = new_key(order.key_algorithm)
        rotation = Rotation(
            job_id=execution.job_id,
            execution_number=execution.number,
            client_token=self.tokens(),
            algorithm=order.key_algorithm,
            step=Step.REQUESTED,
            key_pem=key_pem,
            csr=signing_request(key_pem, self.thing_name),
        )
        state = replace(state, rotation=rotation)
        self.store.save(state)
        return state

    def _request(self, state: DeviceState, exchange: Exchange) -> None:
        rotation = _rotation(state)
        topic = exchange.topics.warden("certificate/create")
        state, answer = self._ask(state, exchange, topic, {"csr": rotation.csr}, rotation.client_token)
        if isinstance(answer, str):
            self._give_up(state, f"no certificate: {answer}")
            return
        try:
            state = state.issued(str(answer.body.get("certificatePem", "")))
        except IdentityError as error:
            self._give_up(state, f"the received certificate cannot be used: {error}")
            return
        self.store.save(state)
        self.journal.record(
            "certificate-installed",
            jobId=rotation.job_id,
            certificateId=state.candidate.certificate_id if state.candidate else None,
            replaces=state.identity.certificate_id,
        )
        raise Reconnect("to use the new certificate")

    def _confirm(self, state: DeviceState, candidate: Identity, exchange: Exchange) -> None:
        rotation, old = _rotation(state), state.identity
        topic = exchange.topics.warden("certificate/confirm")
        state, answer = self._ask(state, exchange, topic, {}, f"{rotation.client_token}-confirm")
        if isinstance(answer, str):
            self._give_up(state, f"not confirmed: {answer}")
            raise Reconnect("to use the old certificate again")
        self.journal.record("certificate-confirmed", jobId=rotation.job_id, certificateId=candidate.certificate_id)
        self.store.save(state.confirmed())
        self.journal.record("old-key-destroyed", jobId=rotation.job_id, certificateId=old.certificate_id)

    def _ask(
        self, state: DeviceState, exchange: Exchange, topic: str, body: dict[str, str], token: str
    ) -> tuple[DeviceState, Answer | str]:
        """Ask until there is a final answer, or return why there is none."""
        problem = "asked too often"
        while _rotation(state).asks < MAX_ASKS:
            state = state.asking()
            self.store.save(state)
            try:
                answer = exchange.ask(topic, dict(body), token=token)
            except (NoAnswerError, NotAuthorizedError) as error:
                problem = str(error)
            else:
                if answer.accepted:
                    return state, answer
                problem = answer.refusal
                if answer.code not in PASSING:
                    break
            self.clock.sleep(self.delay())
        return state, problem

    def _give_up(self, state: DeviceState, reason: str) -> None:
        rotation = _rotation(state)
        ended = state.gave_up(reason)
        self.store.save(ended)
        if state.candidate is not None:
            self.journal.record(
                "certificate-abandoned",
                jobId=rotation.job_id,
                certificateId=state.candidate.certificate_id,
                reason=reason,
                kept=ended.fallback == state.candidate,
            )

    def _report(self, state: DeviceState, rotation: Rotation, desk: JobDesk) -> None:
        if rotation.outcome is not None:
            refusal = desk.end(rotation.job_id, rotation.execution_number, rotation.outcome)
            self.journal.record(
                "job-ended",
                jobId=rotation.job_id,
                status=rotation.outcome.status.value,
                details=rotation.outcome.details,
                notTaken=refusal,
            )
        self.store.save(replace(state, rotation=None))


def _rotation(state: DeviceState) -> Rotation:
    if state.rotation is None:
        raise ValueError("no rotation is under way")
    return state.rotation
