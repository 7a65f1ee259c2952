"""The device's durable state as one value: each change makes a new value, saved atomically.

A rotation goes REQUESTED -> ISSUED -> ENDED. As one value is saved at once, no crash can separate its parts.
"""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from warden_agent.identity import Identity, KeyAlgorithm, identity_of


class JobStatus(StrEnum):
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"


class Step(StrEnum):
    REQUESTED = "REQUESTED"  # key and request exist; the certificate may or may not exist
    ISSUED = "ISSUED"  # the certificate was received, but not yet confirmed
    ENDED = "ENDED"  # the outcome is decided, but not yet reported to the job


@dataclass(frozen=True)
class Outcome:
    status: JobStatus
    details: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Rotation:
    job_id: str
    execution_number: int
    client_token: str
    algorithm: KeyAlgorithm
    step: Step
    csr: str = ""
    key_pem: str = field(default="", repr=False)
    certificate_pem: str = ""
    asks: int = 0
    refused_dials: int = 0
    confirm_sent: bool = False
    outcome: Outcome | None = None

    def belongs_to(self, job_id: str, execution_number: int) -> bool:
        return (self.job_id, self.execution_number) == (job_id, execution_number)


@dataclass(frozen=True, kw_only=True)
class DeviceState:
    identity: Identity
    fallback: Identity | None = None
    """The other identity of a rotation that ended in doubt; kept until a later rotation is confirmed."""
    rotation: Rotation | None = None

    @property
    def candidate(self) -> Identity | None:
        """The new identity while it waits for its confirmation."""
        if self.rotation is None or self.rotation.step is not Step.ISSUED:
            return None
        return Identity(self.rotation.certificate_pem, self.rotation.key_pem)

    def issued(self, certificate_pem: str) -> "DeviceState":
        """Accept the certificate. Raises IdentityError if it is not for our key."""
        rotation = self._rotation()
        identity_of(certificate_pem, rotation.key_pem)
        return replace(self, rotation=replace(rotation, step=Step.ISSUED, certificate_pem=certificate_pem, asks=0))

    def asking(self) -> "DeviceState":
        """Count a request before sending it, so that a request that crashes the agent is not sent for ever."""
        rotation = self._rotation()
        confirming = rotation.step is Step.ISSUED
        return replace(self, rotation=replace(rotation, asks=rotation.asks + 1, confirm_sent=confirming))

    def dial_refused(self) -> "DeviceState":
        rotation = self._rotation()
        return replace(self, rotation=replace(rotation, refused_dials=rotation.refused_dials + 1))

    def confirmed(self) -> "DeviceState":
        """Make the new identity the only one. The old key is gone once this is saved."""
        candidate = self.candidate
        if candidate is None:
            raise ValueError("no certificate waits for a confirmation")
        outcome = Outcome(JobStatus.SUCCEEDED, {"certificateId": candidate.certificate_id})
        return DeviceState(identity=candidate, rotation=_ended(self._rotation(), outcome))

    def gave_up(self, reason: str) -> "DeviceState":
        """Go back to the old identity.

        The cloud may have acted on a confirmation although no answer came, and then it disables the old certificate. So
        the new identity stays as the fallback. If no confirmation was ever sent, it is useless and is dropped.
        """
        rotation = self._rotation()
        fallback = self.candidate if rotation.confirm_sent else self.fallback
        outcome = Outcome(JobStatus.FAILED, {"reason": reason})
        return replace(self, fallback=fallback, rotation=_ended(rotation, outcome))

    def fell_back(self) -> "DeviceState":
        """Prefer the fallback from now on, and keep the other identity."""
        if self.fallback is None:
            raise ValueError("there is no fallback")
        return replace(self, identity=self.fallback, fallback=self.identity)

    def _rotation(self) -> Rotation:
        if self.rotation is None:
            raise ValueError("no rotation is under way")
        return self.rotation


def identity_to_try(state: DeviceState, failures: int) -> Identity:
    """Choose the identity to connect with after this many failures in a row: every fourth try uses the fallback."""
    if state.candidate is not None:
        return state.candidate
    if state.fallback is not None and failures % 4 == 3:
        return state.fallback
    return state.identity


def _ended(rotation: Rotation, outcome: Outcome) -> Rotation:
    return replace(rotation, step=Step.ENDED, outcome=outcome, key_pem="", csr="", certificate_pem="")
