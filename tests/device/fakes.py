"""A world for the agent, in memory: a cloud that keeps its word, a disk, a clock, and faults where tests want them."""

import json
import random
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from warden_agent.agent import Agent
from warden_agent.exchange import Topics
from warden_agent.identity import Identity, KeyAlgorithm, identity_of, new_key, signing_request
from warden_agent.logs import LogCollection
from warden_agent.ports import ConnectError, ConnectionLostError, Message, NotAuthorizedError
from warden_agent.rotation import Rotations
from warden_agent.state import DeviceState
from warden_agent.telemetry import Telemetry
from warden_agent.timing import Backoff

THING = "plant1:pump-9"
BIRTH = datetime(2026, 11, 23, tzinfo=UTC)
LONG_ENOUGH_TO_BE_IDLE = 600.0
END_OF_TIME = 14 * 86400.0


class PowerCut(BaseException):
    """The device is off, at this very instruction."""


class Idle(BaseException):
    """The agent waits for its next job and none will come: the test may look at the world now."""


class StuckError(BaseException):
    """A fortnight went by and the agent is not idle yet."""


class FakeClock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return BIRTH + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if self.seconds > END_OF_TIME:
            raise StuckError


class FakeJournal:
    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def record(self, event: str, **fields: Any) -> None:
        self.lines.append(json.loads(json.dumps({"event": event, **fields})))

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.lines if line["event"] == event]


@dataclass
class Fate:
    """Counts every instant at which the world could end, and ends it once: at the chosen one, or when a claim holds."""

    at: int | None = None
    when: Callable[[], bool] | None = None
    ending: Callable[[], BaseException] = PowerCut
    passed: int = 0

    def instant(self) -> None:
        self.passed += 1
        if self.when is not None and self.when():
            self.when = None
            raise self.ending()
        if self.passed == self.at:
            raise self.ending()


class FakeDisk:
    """A state store. Power may go before a save, or after it."""

    def __init__(self, state: DeviceState) -> None:
        self.state = state
        self.fate = Fate()

    def load(self) -> DeviceState:
        return self.state

    def save(self, state: DeviceState) -> None:
        self.fate.instant()
        self.state = state
        self.fate.instant()


class FakeAuthority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())

    def certificate_for(self, csr_pem: str) -> str:
        request = x509.load_pem_x509_csr(csr_pem.encode())
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "made up")]))
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(BIRTH)
            .not_valid_after(BIRTH + timedelta(days=365))
            .sign(self._key, hashes.SHA256())
        )
        return certificate.public_bytes(serialization.Encoding.PEM).decode()

    def identity(self) -> Identity:
        key_pem = new_key(KeyAlgorithm.EC_P256)
        return identity_of(self.certificate_for(signing_request(key_pem, THING)), key_pem)


@dataclass
class FakeJob:
    job_id: str
    document: dict[str, Any]
    status: str = "QUEUED"
    details: dict[str, str] = field(default_factory=dict)

    @property
    def open(self) -> bool:
        return self.status in ("QUEUED", "IN_PROGRESS")


type Reply = tuple[str, dict[str, Any]]


class FakeCloud:
    """AWS IoT and the service for one thing, as design and contract have them."""

    def __init__(self) -> None:
        self.authority = FakeAuthority()
        self.first = self.authority.identity()
        self.active = {self.first.certificate_id}
        self.outage = 0
        """How many dials will find no network."""
        self.kicks = 0
        """How many sessions will be thrown out as soon as they listen."""
        self.jobs: list[FakeJob] = []
        self.issued: dict[str, str] = {}
        self._pems: dict[str, str] = {}
        self.confirmed: list[str] = []
        self.heard: list[tuple[str, dict[str, Any]]] = []
        self.refused_topics: set[str] = set()
        self.hang_ups = 0
        """How often it still answers a refused topic by closing the connection, as AWS IoT may."""
        self.upload_rounds = 0
        self.lose: Callable[[str], bool] = lambda _topic: False
        """Which answers never arrive."""
        self.copies = 1
        self.instead: dict[str, list[Reply]] = {}
        """Answers to give, by the last part of the request's topic, before the right ones."""
        self.activate_new = True

    def order(self, operation: str, job_id: str = "job-1", **more: str) -> FakeJob:
        job = FakeJob(job_id, {"version": "1.0", "warden": {"operation": operation, "jobId": job_id, **more}})
        self.jobs.append(job)
        return job

    def asked(self, end: str) -> list[dict[str, Any]]:
        return [body for topic, body in self.heard if topic.endswith(end)]

    def answer(self, topic: str, payload: bytes, principal: str) -> list[Message]:
        body = json.loads(payload)
        self.heard.append((topic, body))
        if (kind := topic.rpartition("/")[2]) in self.instead and self.instead[kind]:
            replies = [self.instead[kind].pop(0)]
        else:
            replies = self._replies(topic, body, principal)
        messages = [
            Message(f"{topic}/{end}", json.dumps({"clientToken": body.get("clientToken"), **reply}).encode())
            for end, reply in replies
            if not self.lose(topic)
        ]
        return messages * self.copies

    def _replies(self, topic: str, body: Mapping[str, Any], principal: str) -> list[Reply]:
        if topic.startswith("telemetry/"):
            return []
        if topic.endswith("/start-next"):
            return [("accepted", self._start_next())]
        if topic.endswith("/update"):
            return [self._update(topic.split("/")[-2], body)]
        if topic.endswith("/certificate/create"):
            return [self._create(body)]
        if topic.endswith("/certificate/confirm"):
            return [self._confirm(principal)]
        assert topic.endswith("/logs/create"), topic
        self.upload_rounds += 1
        url = f"https://evidence.example/{self.upload_rounds}"
        uploads = [{"name": file["name"], "url": url, "fields": {"key": file["name"]}} for file in body["files"]]
        return [("accepted", {"uploads": uploads})]

    def _start_next(self) -> dict[str, Any]:
        job = next((job for job in self.jobs if job.open), None)
        if job is None:
            return {"timestamp": 1}
        job.status = "IN_PROGRESS"
        execution = {"jobId": job.job_id, "status": job.status, "executionNumber": 1, "jobDocument": job.document}
        return {"execution": execution}

    def _update(self, job_id: str, body: Mapping[str, Any]) -> Reply:
        job = next((job for job in self.jobs if job.job_id == job_id), None)
        if job is None or not job.open:
            return "rejected", {"code": "InvalidStateTransition", "message": "it has ended"}
        job.status, job.details = body["status"], body.get("statusDetails", {})
        self.settle()
        return "accepted", {}

    def settle(self) -> None:
        """Forward if the device confirmed, back if it did not: one active certificate either way."""
        new = set(self.issued.values())
        self.active = set(self.confirmed[-1:]) or (self.active - new)

    def _create(self, body: Mapping[str, Any]) -> Reply:
        if not any(job.status == "IN_PROGRESS" for job in self.jobs):
            return "rejected", {"code": "no-job", "message": "no rotation is under way"}
        token = body["clientToken"]
        if token not in self._pems:
            pem = self.authority.certificate_for(body["csr"])
            self._pems[token] = pem
            self.issued[token] = Identity(pem, "").certificate_id
            if self.activate_new:
                self.active.add(self.issued[token])
        return "accepted", {"certificateId": self.issued[token], "certificatePem": self._pems[token]}

    def _confirm(self, principal: str) -> Reply:
        if principal not in self.issued.values():
            return "rejected", {"code": "wrong-certificate", "message": "not over the new certificate"}
        self.confirmed.append(principal)
        return "accepted", {}


class FakeSession:
    def __init__(self, cloud: FakeCloud, identity: Identity, fate: Fate, clock: FakeClock) -> None:
        self._cloud = cloud
        self._identity = identity
        self._fate = fate
        self._clock = clock
        self.inbox: list[Message] = []
        self._filters: set[str] = set()
        self.closed = False

    @property
    def identity(self) -> Identity:
        return self._identity

    def subscribe(self, filters: Sequence[str]) -> None:
        self._still_on()
        self._fate.instant()
        self._filters.update(filters)

    def publish(self, topic: str, payload: bytes) -> None:
        self._still_on()
        if topic in self._cloud.refused_topics and self._cloud.hang_ups:
            self._cloud.hang_ups -= 1
            self.closed = True
            raise ConnectionLostError("NOT_AUTHORIZED")
        if topic in self._cloud.refused_topics:
            raise NotAuthorizedError(f"publish to {topic}: Not authorized (135)")
        self._fate.instant()
        answers = self._cloud.answer(topic, payload, self._identity.certificate_id)
        self.inbox += [message for message in answers if self._hears(message.topic)]
        self._fate.instant()

    def receive(self, timeout: float) -> Message | None:
        self._fate.instant()
        if self._cloud.kicks:
            self._cloud.kicks -= 1
            raise ConnectionLostError("SESSION_TAKEN_OVER")
        if self.inbox:
            return self.inbox.pop(0)
        self._still_on()
        if timeout >= LONG_ENOUGH_TO_BE_IDLE:
            raise Idle
        self._clock.sleep(timeout)
        return None

    def close(self) -> None:
        self.closed = True

    def _still_on(self) -> None:
        if self.closed or self._identity.certificate_id not in self._cloud.active:
            raise ConnectionLostError("the broker closed the connection")

    def _hears(self, topic: str) -> bool:
        job_topic = topic.split("/")
        if job_topic[-2] == "update":
            job_topic[-3] = "+"
        return "/".join(job_topic) in self._filters


class FakeDialer:
    def __init__(self, cloud: FakeCloud, fate: Fate, clock: FakeClock) -> None:
        self._cloud = cloud
        self._fate = fate
        self._clock = clock
        self.dialled: list[str] = []
        self.sessions: list[FakeSession] = []

    def dial(self, identity: Identity) -> FakeSession:
        try:
            self._fate.instant()
        except ConnectionLostError as error:
            raise ConnectError(str(error), reached=False) from error
        self.dialled.append(identity.certificate_id)
        if self._cloud.outage:
            self._cloud.outage -= 1
            raise ConnectError("no route", reached=False)
        if identity.certificate_id not in self._cloud.active:
            raise ConnectError("the certificate is not active", reached=True)
        assert all(session.closed for session in self.sessions), "two connections under one client id"
        self.sessions.append(FakeSession(self._cloud, identity, self._fate, self._clock))
        return self.sessions[-1]


class FakeUploader:
    def __init__(self) -> None:
        self.uploaded: dict[str, bytes] = {}
        self.urls: list[str] = []
        self.troubles: list[Exception] = []

    def upload(self, url: str, fields: Mapping[str, str], name: str, file: Path) -> None:
        self.urls.append(url)
        if self.troubles:
            raise self.troubles.pop(0)
        assert fields == {"key": name}
        self.uploaded[name] = file.read_bytes()


class World:
    """A device, its cloud, and a way to switch the device on."""

    def __init__(self, folder: Path, logs: Mapping[str, Path] | None = None) -> None:
        self.folder = folder
        self.logs = logs or {}
        self.clock = FakeClock()
        self.cloud = FakeCloud()
        self.disk = FakeDisk(DeviceState(identity=self.cloud.first))
        self.journal = FakeJournal()
        self.uploader = FakeUploader()
        self.dialled: list[str] = []

    def live(self, fate: Fate | None = None) -> Fate:
        """Switch the device on and let it live until it is idle. An exception for a power cut is passed on."""
        fate = fate or Fate()
        self.disk.fate = fate
        try:
            self.agent(fate).run()
        except Idle:
            return fate

    def live_through(self, fate: Fate) -> None:
        """Live until idle, switching the device on again after each power cut."""
        while True:
            try:
                self.live(fate)
            except PowerCut:
                continue
            return

    def agent(self, fate: Fate | None = None) -> Agent:
        chance = random.Random(7)  # noqa: S311  not for secrets
        dialer = FakeDialer(self.cloud, fate or Fate(), self.clock)
        dialer.dialled = self.dialled
        return Agent(
            topics=Topics(THING),
            dialer=dialer,
            rotations=Rotations(
                thing_name=THING,
                store=self.disk,
                journal=self.journal,
                clock=self.clock,
                tokens=a_token,
                delay=lambda: 1.0,
            ),
            logs=LogCollection(
                allowed=self.logs,
                scratch=self.folder / "collected",
                max_bytes=1000,
                uploader=self.uploader,
                journal=self.journal,
                clock=self.clock,
                delay=lambda: 1.0,
            ),
            telemetry=Telemetry(f"telemetry/{THING}", 60, self.journal, self.clock),
            journal=self.journal,
            clock=self.clock,
            tokens=a_token,
            reconnects=Backoff(1, 60, chance),
            delay=lambda: 1.0,
        )


def a_token() -> str:
    return uuid.uuid4().hex
