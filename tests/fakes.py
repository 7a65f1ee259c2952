"""The world the service works in, held in memory: one stateful fake for every port, and devices that answer.

The fakes keep AWS's own rules where the service meets them (ten policies, ten groups, an ACTIVE certificate is
not deleted, a FIFO queue hands out one message of a group at a time). What each promises is held against the
real adapter in tests/aws.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from tests.account_model import (
    AccountModel,
    FakeAccountReader,
    FakeLogLevels,
    FakeResourceUpdates,
    FakeStackDrift,
)
from warden.campaigns.inventory import Turn, resume_run, sweep_certificates
from warden.campaigns.inventory_runs import SweepResult
from warden.cases.model import Case, CaseState, Step, StepKind, case_from
from warden.cases.outbox import Outbox
from warden.context import Context
from warden.core.errors import ActionFailed, Conflict, NotSent, NotYet, Refused
from warden.core.findings import Ending, Finding, Severity, Source, Subject, SubjectType
from warden.core.ledger import INDEX_ATTRIBUTES, Found, Index, Key, Put, Record
from warden.core.mode import Mode
from warden.core.ports import (
    AuditPage,
    Certificate,
    CertificatePage,
    Disconnection,
    Execution,
    Group,
    JobOrder,
    Ports,
    QueueEntry,
    Thing,
    UploadedFile,
    UploadForm,
)
from warden.devices.csr import key_of_certificate
from warden.devices.job_events import track
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.logs.group_level import LevelKeeper, keep_level
from warden.operate.commands import operate
from warden.plan.parser import read_plan
from warden.queues.messages import send_finding
from warden.respond.dispatch import dispatch
from warden.respond.due import sweep
from warden.settings import Settings

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
THING = "pump-3"
OPERATOR = "arn:aws:sts::000000000000:assumed-role/operators/dana"
DEVICE_POLICY = "pump-policy"
RESTRICTED_GROUP = "warden-restricted"
RESTRICTED_POLICY = "warden-restricted-policy"
VISIBILITY = {
    "InboxQueue": timedelta(minutes=6),
    "CaseQueue": timedelta(minutes=12),
    "DeviceRequestQueue": timedelta(minutes=3),
    "JobEventQueue": timedelta(minutes=3),
    "RenewalQueue": timedelta(minutes=90),
}
"""How long a message that failed is hidden, by the queue's name in the template (tests/template/test_shape.py)."""
DEDUPLICATION = timedelta(minutes=5)
MOST_PER_COMMIT = 100
MOST_POLICIES = 10
MOST_GROUPS = 10
LOG = b"2026-11-22T11:59:58Z 7340032 bytes out\n"

PLAN = """
version = 1

[limits]
devices_per_hour = 20

[[rule]]
name = "data-leaves-the-device"
source = "device-defender-detect"
kind = "aws:all-bytes-out"
actions = ["quarantine", "collect-logs", "notify"]
mode = "enforce"

[[rule]]
name = "talks-too-much"
source = "device-defender-detect"
kind = "aws:num-messages-sent"
actions = ["quarantine", "notify"]
mode = "enforce"

[[rule]]
name = "behaves-oddly"
source = "device-defender-detect"
kind = "aws:message-byte-size"
actions = ["disconnect", "collect-logs", "notify"]
mode = "enforce"

[[rule]]
name = "certificate-is-old"
source = "device-defender-audit"
actions = ["rotate-certificate", "notify"]
mode = "enforce"

[[rule]]
name = "stolen"
source = "generic"
kind = "stolen"
actions = ["deactivate-certificate", "notify"]
mode = "enforce"

[[rule]]
name = "everything-else"
actions = ["notify"]
"""


class AwsError(Exception):
    """What the real adapters let rise: the message is delivered again."""


class FakeClock:
    """A clock that tests set."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def advance(self, by: timedelta) -> None:
        self.time += by


class AwsClock:
    """AWS IoT's clock, which may be apart from ours."""

    def __init__(self, ours: FakeClock) -> None:
        self._ours = ours
        self.apart = timedelta()

    def __call__(self) -> datetime:
        return self._ours() + self.apart


class FakeLedger:
    """Records as JSON text, so that only what DynamoDB could keep is kept and nobody holds on to a live one."""

    def __init__(self) -> None:
        self.records: dict[Key, str] = {}
        self.index_behind = 0
        """How many of the last writes no index shows yet."""
        self._before: list[tuple[Key, str | None]] = []

    def read(self, key: Key) -> Record | None:
        _storable_key(key)
        text = self.records.get(key)
        return None if text is None else _record(text)

    def commit(self, *puts: Put) -> None:
        if len({put.key for put in puts}) != len(puts) or len(puts) > MOST_PER_COMMIT:
            raise AwsError("ValidationException: a transaction takes 100 different items at most")
        for put in puts:
            _storable_key(put.key)
            _storable_names(put.record)
            known = self.records.get(put.key)
            if (0 if known is None else _record(known)["version"]) != put.seen:
                raise Conflict(f"{put.key} was changed meanwhile")
        for put in puts:
            self._before.append((put.key, self.records.get(put.key)))
            self.records[put.key] = json.dumps({**put.record, "version": put.seen + 1})

    def partition(self, partition: str, *, prefix: str = "") -> Iterator[Found]:
        listed = [key for key in sorted(self.records) if key.partition == partition and key.sort.startswith(prefix)]
        return iter([Found(key, _record(self.records[key])) for key in listed])

    def find(
        self, index: Index, value: str, *, until: str | None = None, newest_first: bool = False
    ) -> Iterator[Found]:
        hash_name, range_name = INDEX_ATTRIBUTES[index]
        found = [Found(key, _record(text)) for key, text in self._indexed().items()]
        listed = [each for each in found if each.record.get(hash_name) == value and range_name in each.record]
        listed.sort(key=lambda each: str(each.record[range_name]), reverse=newest_first)
        return (each for each in listed if until is None or each.record[range_name] <= until)

    def _indexed(self) -> dict[Key, str]:
        """Return the records as the indexes show them."""
        shown: dict[Key, str | None] = dict(self.records)
        for key, before in reversed(self._before[-self.index_behind :] if self.index_behind else []):
            shown[key] = before
        return {key: text for key, text in shown.items() if text is not None}

    def has_any(self, index: Index, value: str) -> bool:
        return any(True for _ in self.find(index, value))

    def of_type(self, name: str) -> list[Record]:
        """List every record of a type."""
        return [record for record in map(_record, self.records.values()) if record["type"] == name]


def _record(text: str) -> dict[str, Any]:
    return dict(json.loads(text))


def _storable_key(key: Key) -> None:
    for part in key:
        if not 1 <= len(part.encode()) <= 1024:
            raise AwsError("ValidationException: a key has 1 to 1024 bytes")


def _storable_names(value: object) -> None:
    if isinstance(value, Mapping):
        if not all(value):
            raise AwsError("ValidationException: a name in a map has at least one character")
        for each in value.values():
            _storable_names(each)


class FakeRegistry:
    """Things, groups, and which certificate belongs to which thing."""

    def __init__(self) -> None:
        self.types: dict[str, str] = {}
        self.groups: dict[str, list[str]] = {}
        """Those that a thing was put into."""
        self.parents: dict[str, str] = {}
        self.dynamic: dict[str, Callable[[str], bool]] = {}
        """By group: whether a thing answers its query now."""
        self.group_policies: dict[str, list[str]] = {RESTRICTED_GROUP: [RESTRICTED_POLICY]}
        self.attached: list[tuple[str, str]] = []
        self.exclusive: set[str] = set()
        self.policies_of: Callable[[str], list[str]] = lambda _certificate: []
        self.propagate: Callable[[], None] = lambda: None
        """Make those detachments effective whose time has come."""
        self.tells_what_is_effective = True

    def thing(self, name: str, *, with_type: bool = True) -> Thing | None:
        if name not in self.types:
            return None
        thing_type = self.types[name] if with_type else ""
        return Thing(name=name, thing_type=thing_type, groups=tuple(self._groups_of(name)))

    def _groups_of(self, thing: str) -> list[str]:
        """List a thing's groups as AWS IoT does: with those above, and the dynamic ones."""
        static = [above for group in self.groups[thing] for above in (group, *reversed(self._above(group)))]
        return [*dict.fromkeys(static), *(group for group, holds in self.dynamic.items() if holds(thing))]

    def _above(self, group: str) -> list[str]:
        """List the groups above a group, the root first."""
        parent = self.parents.get(group)
        return [*self._above(parent), parent] if parent else []

    def group(self, name: str) -> Group | None:
        if name not in self.group_policies and name not in self.dynamic:
            return None
        return Group(name=name, parents=tuple(self._above(name)), is_dynamic=name in self.dynamic)

    def certificates_of(self, thing: str) -> list[str]:
        self.propagate()
        return [certificate for certificate, attached_to in self.attached if attached_to == thing]

    def things_of(self, certificate_id: str) -> list[str]:
        self.propagate()
        return [attached_to for certificate, attached_to in self.attached if certificate == certificate_id]

    def policies_of_group(self, group: str) -> list[str]:
        return [policy for each in (group, *self._above(group)) for policy in self.group_policies.get(each, ())]

    def effective_policies(self, thing: str, certificate_id: str) -> list[str] | None:
        if not self.tells_what_is_effective or thing not in self.types:
            return None
        of_groups = {policy for group in self._groups_of(thing) for policy in self.policies_of_group(group)}
        return sorted({*self.policies_of(certificate_id), *of_groups})

    def change_groups(self, thing: str, *, join: str, leave: Sequence[str]) -> None:
        self.join_group(thing, join)
        for group in leave:
            self.leave_group(thing, group)

    def join_group(self, thing: str, group: str) -> None:
        if thing not in self.types or group not in self.group_policies:
            raise ActionFailed(f"cannot put {thing} into group {group}: one of them is gone")
        if group in self.groups[thing]:
            return
        if len(self.groups[thing]) >= MOST_GROUPS:
            raise ActionFailed(f"cannot put {thing} into group {group}: it is in ten groups")
        if any(self._root(each) == self._root(group) for each in self.groups[thing]):
            raise ActionFailed(f"cannot put {thing} into group {group}: it is in another group of the hierarchy")
        self.groups[thing].append(group)

    def _root(self, group: str) -> str:
        return (*self._above(group), group)[0]

    def leave_group(self, thing: str, group: str) -> None:
        if group in self.groups.get(thing, ()):
            self.groups[thing].remove(group)

    def add_thing(self, name: str, *, thing_type: str = "", groups: Sequence[str] = ()) -> None:
        """Register a thing; its groups come into being without policies unless they are there already."""
        self.types[name] = thing_type
        self.groups[name] = list(groups)
        for group in groups:
            self.group_policies.setdefault(group, [])

    def delete_thing(self, name: str) -> None:
        """Take a thing out of the registry, as somebody at the console would."""
        del self.types[name], self.groups[name]
        self.attached = [pair for pair in self.attached if pair[1] != name]


@dataclass
class _StoredCertificate:
    pem: str
    status: str
    created_at: datetime
    policies: list[str] = field(default_factory=list)
    changed_at: datetime | None = None
    ca: str = ""


class FakeCertificates:
    """Device certificates with real PEMs. `outdated_reads` lists stay as they were for so many reads."""

    def __init__(self, registry: FakeRegistry, clock: AwsClock) -> None:
        self._registry = registry
        registry.policies_of = self.policies_of
        registry.propagate = self._propagate
        self._clock = clock
        self.detaches_after = timedelta()
        """How long a detachment from a thing takes to be effective."""
        self.detached: list[tuple[datetime, tuple[str, str]]] = []
        """The detachments that are not effective yet, and when they are."""
        self.stored: dict[str, _StoredCertificate] = {}
        self.gone_policies: set[str] = set()
        self.issued = 0
        self.asked: list[str] = []
        self.outdated_reads = 0
        self.page_size = 250
        self.forgets_pages = 0
        self.broken = 0
        self._before: dict[str, list[str]] = {}

    def read(self, certificate_id: str) -> Certificate | None:
        stored = self.stored.get(certificate_id)
        if stored is None:
            return None
        return Certificate(
            id=certificate_id,
            status=stored.status,
            pem=stored.pem,
            created_at=stored.created_at,
            changed_at=stored.changed_at,
            ca=stored.ca,
        )

    def policies_of(self, certificate_id: str) -> list[str]:
        if self.outdated_reads and certificate_id in self._before:
            self.outdated_reads -= 1
            return list(self._before[certificate_id])
        return list(self.stored[certificate_id].policies) if certificate_id in self.stored else []

    def attach_policy(self, certificate_id: str, policy: str) -> None:
        stored = self.stored.get(certificate_id)
        if stored is None or policy in self.gone_policies:
            raise ActionFailed(f"cannot attach policy {policy} to certificate {certificate_id}: one of them is gone")
        if stored.status == "PENDING_TRANSFER":
            raise ActionFailed(f"cannot attach policy {policy} to certificate {certificate_id}: it is under transfer")
        if policy in stored.policies:
            return
        if len(stored.policies) >= MOST_POLICIES:
            raise ActionFailed(f"cannot attach policy {policy} to certificate {certificate_id}: it already has ten")
        self._before[certificate_id] = list(stored.policies)
        stored.policies.append(policy)

    def detach_policy(self, certificate_id: str, policy: str) -> None:
        stored = self.stored.get(certificate_id)
        if stored is not None and policy in stored.policies:
            self._before[certificate_id] = list(stored.policies)
            stored.policies.remove(policy)

    def attach_thing(self, certificate_id: str, thing: str) -> None:
        if certificate_id not in self.stored or thing not in self._registry.types:
            raise AwsError("ResourceNotFoundException: AttachThingPrincipal")
        others = [each for each in self._registry.things_of(certificate_id) if each != thing]
        if others:
            raise AwsError("ResourceConflictException: the principal is attached to another thing")
        self._registry.exclusive.add(certificate_id)
        if (certificate_id, thing) not in self._registry.attached:
            self._registry.attached.append((certificate_id, thing))

    def detach_thing(self, certificate_id: str, thing: str) -> None:
        self.detached.append((self._clock() + self.detaches_after, (certificate_id, thing)))
        self._propagate()

    def _propagate(self) -> None:
        now, attached = self._clock(), self._registry.attached
        for _, pair in [each for each in self.detached if each[0] <= now]:
            if pair in attached:
                attached.remove(pair)
        self.detached = [each for each in self.detached if each[0] > now]

    def activate(self, certificate_id: str) -> None:
        if certificate_id not in self.stored:
            raise AwsError("ResourceNotFoundException: UpdateCertificate")
        self.stored[certificate_id].status = "ACTIVE"

    def deactivate(self, certificate_id: str) -> str:
        stored = self.stored.get(certificate_id)
        if stored is None:
            return ""
        if stored.status not in ("REVOKED", "PENDING_TRANSFER"):
            stored.status = "INACTIVE"
            stored.changed_at = self._clock()
        return stored.status

    def issue(self, csr: str, thing: str) -> Certificate:
        self.issued += 1
        self.asked.append(csr)
        pem = _certificate_for(csr)
        certificate_id = sha256(f"{thing} {self.issued}".encode()).hexdigest()  # not the key's: that differs each time
        self.stored[certificate_id] = _StoredCertificate(pem, "INACTIVE", self._clock().replace(microsecond=0))
        return Certificate(id=certificate_id, status="INACTIVE", pem=pem)

    def issued_since(self, since: datetime) -> list[Certificate]:
        found = [self.read(certificate) for certificate in reversed(self.stored)]
        return [
            each
            for each in found
            if each is not None and not each.is_active and each.created_at is not None and each.created_at >= since
        ]

    def oldest_page(self, page: str) -> CertificatePage:
        if self.broken:
            self.broken -= 1
            raise AwsError("InternalFailureException: ListCertificates")
        if page and self.forgets_pages:
            self.forgets_pages -= 1
            raise Refused("no-such-page", "InvalidRequestException: ListCertificates")
        if page and not page.isdecimal():
            raise Refused("no-such-page", "InvalidRequestException: ListCertificates")
        ages = sorted(self.stored.items(), key=lambda each: each[1].created_at)
        start = int(page or 0)
        listed = [
            Certificate(id=name, status=stored.status, created_at=stored.created_at)
            for name, stored in ages[start : start + self.page_size]
        ]
        more = start + self.page_size < len(ages)
        return CertificatePage(listed, str(start + self.page_size) if more else "")

    def delete(self, certificate_id: str) -> None:
        stored = self.stored.get(certificate_id)
        if stored is None:
            return
        stored.policies.clear()
        if stored.status == "ACTIVE":
            raise NotYet("CertificateStateException: an ACTIVE certificate cannot be deleted")
        if stored.status == "PENDING_TRANSFER":
            raise NotYet("CertificateStateException: a certificate under transfer cannot be deleted")
        if self._registry.things_of(certificate_id):
            raise NotYet("DeleteConflictException: the certificate is attached to a thing")
        del self.stored[certificate_id]

    def revoke(self, certificate_id: str) -> None:
        """Set a certificate REVOKED, as somebody at the console would."""
        self.stored[certificate_id].status = "REVOKED"

    def transfer(self, certificate_id: str) -> None:
        """Offer a certificate to another account, as somebody would who has made it INACTIVE and bare before."""
        self.stored[certificate_id].status = "PENDING_TRANSFER"
        self.stored[certificate_id].policies.clear()

    def enrol(self, certificate_id: str, pem: str, policies: Sequence[str]) -> None:
        """Put an ACTIVE certificate there, as a factory would have."""
        self.stored[certificate_id] = _StoredCertificate(
            pem, "ACTIVE", self._clock() - timedelta(days=300), list(policies)
        )


class FakeConnections:
    """Sessions by client id, and every disconnect that was asked for."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.asked: list[str] = []
        self.forgotten: list[str] = []

    def disconnect(self, client_id: str, *, forget: bool = False) -> Disconnection:
        self.asked.append(client_id)
        if forget:
            self.forgotten.append(client_id)
        if client_id in self.open:
            self.open.discard(client_id)
            return Disconnection.DISCONNECTED
        return Disconnection.NOT_CONNECTED


@dataclass
class FakeExecution:
    """A job's execution on one thing."""

    status: str = "QUEUED"
    details: dict[str, str] = field(default_factory=dict)


@dataclass
class StartedJob:
    """A job and its executions; `thing`, `status` and `details` are those of a job that is for one thing."""

    order: JobOrder
    executions: dict[str, FakeExecution]

    @property
    def document(self) -> Mapping[str, Any]:
        return self.order.document

    @property
    def thing(self) -> str:
        (thing,) = self.executions
        return thing

    @property
    def status(self) -> str:
        return self.executions[self.thing].status

    @status.setter
    def status(self, status: str) -> None:
        self.executions[self.thing].status = status

    @property
    def details(self) -> dict[str, str]:
        return self.executions[self.thing].details


class FakeJobs:
    """Jobs whose executions devices and tests move; every end is an event, until it is taken."""

    def __init__(self, registry: FakeRegistry, clock: AwsClock) -> None:
        self._registry = registry
        self._clock = clock
        self.started: dict[str, StartedJob] = {}
        self.events: list[dict[str, Any]] = []
        self.loses_events = False

    def start(self, order: JobOrder) -> None:
        if order.id in self.started:
            return
        if not 1 <= len(order.things) <= 100:
            raise AwsError("LimitExceededException: 1 to 100 targets")
        if gone := [thing for thing in order.things if thing not in self._registry.types]:
            raise ActionFailed(f"cannot start {order.id}: {gone[0]} is no longer in the registry")
        if not 1 <= order.work_timeout / timedelta(minutes=1) <= 10080:
            raise AwsError("InvalidRequestException: inProgressTimeoutInMinutes")
        if not timedelta(minutes=30) <= order.ends_at - self._clock() <= timedelta(days=730):
            raise AwsError("InvalidRequestException: schedulingConfig.endTime")
        kept = replace(order, document=json.loads(json.dumps(order.document)))
        self.started[order.id] = StartedJob(kept, {thing: FakeExecution() for thing in order.things})

    def execution(self, job_id: str, thing: str) -> Execution | None:
        job = self.started.get(job_id)
        found = job.executions.get(thing) if job else None
        return Execution(found.status, dict(found.details)) if found else None

    def withdraw(self, job_id: str) -> None:
        job = self.started.get(job_id)
        for thing, execution in job.executions.items() if job else ():
            if execution.status == "QUEUED":
                self.move(job_id, "CANCELED", thing)

    def cancel(self, job_id: str, thing: str) -> None:
        found = self.execution(job_id, thing)
        if found is not None and not found.is_over:
            self.move(job_id, "CANCELED", thing)

    def move(self, job_id: str, status: str, thing: str = "") -> None:
        """Let an execution change its status; publish its end as an event, as AWS IoT does."""
        job = self.started[job_id]
        thing = thing or job.thing
        job.executions[thing].status = status
        if status not in ("QUEUED", "IN_PROGRESS") and not self.loses_events:
            number = len(self.started) * 100 + len(self.events)
            self.events.append(a_job_event(job_id, thing, status, number=number))

    def end(self) -> None:
        """Let the end times that have come cancel what is not over, as IoT Jobs does."""
        for job_id, job in self.started.items():
            for thing, execution in job.executions.items():
                if job.order.ends_at <= self._clock() and execution.status in ("QUEUED", "IN_PROGRESS"):
                    self.move(job_id, "CANCELED", thing)

    def delete(self, job_id: str) -> None:
        """Delete a job, as somebody at the console would."""
        job = self.started.pop(job_id)
        self.events.extend(a_job_event(job_id, thing, "", operation="deleted") for thing in job.executions)

    def of(self, operation: str) -> list[str]:
        """List the ids of the jobs of one operation, oldest first."""
        return [job_id for job_id, job in self.started.items() if job.document["warden"]["operation"] == operation]


def a_job_event(job_id: str, thing: str, status: str, *, operation: str = "", number: int = 0) -> dict[str, Any]:
    """Write a job execution event as AWS IoT does."""
    return {
        "eventType": "JOB_EXECUTION",
        "eventId": f"event-{number}",
        "operation": operation or status.lower(),
        "jobId": job_id,
        "thingArn": f"arn:aws:iot:us-east-1:111122223333:thing/{thing}",
        **({"status": status} if status else {}),
    }


class FakeReports:
    """Reports as the lines of their file; takes no page while `down`."""

    def __init__(self) -> None:
        self.down = False
        self.kept: dict[str, list[str]] = {}
        self.types: dict[str, str] = {}

    def keep(self, key: str, path: str) -> str:
        self.kept[key] = Path(path).read_text(encoding="utf-8").splitlines()
        return f"s3://evidence/{key}"

    def keep_page(self, key: str, text: str, content_type: str) -> None:
        if self.down:
            raise NotSent("S3 is down")
        self.kept[key] = text.splitlines()
        self.types[key] = content_type


class FakeRenewalQueue:
    """Queued messages to resume runs of the sweep of certificates."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.delay = timedelta()

    def send_run(self, run: str, *, after_seconds: int = 0) -> None:
        self.runs.append(run)
        self.delay = timedelta(seconds=after_seconds)


class FakeEvidence:
    """The evidence bucket: refuses an upload that is not what its form says."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.forms: list[dict[str, Any]] = []

    def upload_form(self, key: str, size: int, sha256: str, lifetime: timedelta) -> UploadForm:
        self.forms.append({"key": key, "size": size, "sha256": sha256, "lifetime": lifetime})
        return UploadForm("https://evidence.example/", {"key": key, "bytes": str(size), "sha256": sha256})

    def uploaded(self, key: str) -> UploadedFile | None:
        body = self.objects.get(key)
        return None if body is None else UploadedFile(len(body), sha256(body).hexdigest())

    def post(self, fields: Mapping[str, str], body: bytes) -> None:
        """Take an upload in, as S3 does with a presigned POST."""
        if (len(body), sha256(body).hexdigest()) != (int(fields["bytes"]), fields["sha256"]):
            raise AwsError("the form is for other bytes")
        self.objects[fields["key"]] = body


@dataclass(frozen=True)
class SentNotice:
    """A notice as people get it."""

    subject: str
    body: str


class FakeNotices:
    """The notices topic; takes only what SNS takes, and nothing while `down`."""

    def __init__(self) -> None:
        self.sent: list[SentNotice] = []
        self.down = False

    def send(self, subject: str, body: str) -> None:
        if self.down:
            raise NotSent("SNS is down")
        if not (1 <= len(subject) < 100 and subject.isascii() and subject.isprintable()):
            raise AwsError("InvalidParameter: Subject")
        self.sent.append(SentNotice(subject, body))

    @property
    def subjects(self) -> list[str]:
        """The subjects, oldest first."""
        return [notice.subject for notice in self.sent]


class FakeAnnouncements:
    """Keeps what was announced; refuses everything while `down`."""

    def __init__(self) -> None:
        self.published: list[Mapping[str, Any]] = []
        self.down = False

    def publish(self, detail: Mapping[str, Any]) -> None:
        if self.down:
            raise NotSent("EventBridge is down")
        self.published.append(json.loads(json.dumps(detail)))

    def publish_survey(self, detail: Mapping[str, Any]) -> None:
        self.publish(detail)


class FakeSecurityHub:
    """Keeps each finding as it is now, by its id."""

    def __init__(self) -> None:
        self.findings: dict[str, Mapping[str, Any]] = {}

    def put(self, finding: Mapping[str, Any]) -> None:
        self.findings[finding["Id"]] = json.loads(json.dumps(finding))


class FakeReplies:
    """Everything that was answered to devices."""

    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        self.published.append((topic, json.loads(json.dumps(payload))))


@dataclass
class _Queued:
    body: str
    receives: int = 0


@dataclass(frozen=True)
class Parked:
    """A message that failed as often as the queue allows, and how it failed last."""

    message: Mapping[str, Any]
    error: BaseException


class FakeCaseQueue:
    """A FIFO queue: one message of a group at a time, in order; the same `once` within five minutes is one."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.groups: dict[str, list[_Queued]] = {}
        self.parked: list[Parked] = []
        self._seen: dict[str, datetime] = {}
        self._in_flight: set[str] = set()

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        for entry in entries:
            if not all(1 <= len(name) <= 128 and name.isalnum() for name in (entry.group, entry.once)):
                raise AwsError("InvalidParameterValue: MessageGroupId")
            last = self._seen.get(entry.once)
            if last is not None and self._clock() - last < DEDUPLICATION:
                continue
            self._seen[entry.once] = self._clock()
            self.groups.setdefault(entry.group, []).append(_Queued(json.dumps(entry.message)))

    def __len__(self) -> int:
        return sum(len(waiting) for waiting in self.groups.values())

    @property
    def has_free(self) -> bool:
        """Whether a message waits whose group is not in somebody's hands."""
        return any(waiting and group not in self._in_flight for group, waiting in self.groups.items())

    def drain(self, handle: Callable[[Mapping[str, Any]], object], receives: int) -> None:
        """Hand out everything; what fails comes again after its visibility timeout, then is parked."""
        while self.has_free:
            for group in [group for group, waiting in self.groups.items() if waiting and group not in self._in_flight]:
                self._in_flight.add(group)
                self._hand_out(self.groups[group], handle, receives)
                self._in_flight.remove(group)

    def _hand_out(self, waiting: list[_Queued], handle: Callable[[Mapping[str, Any]], object], receives: int) -> None:
        head = waiting[0]
        head.receives += 1
        try:
            handle(json.loads(head.body))
        except (Exception, Crash) as error:  # noqa: BLE001 - a queue does not care what went wrong
            self._clock.advance(VISIBILITY["CaseQueue"])
            if head.receives < receives:
                return
            self.parked.append(Parked(json.loads(head.body), error))
        waiting.pop(0)


class FakeInbox:
    """The inbox queue: what was put back on it, in order."""

    def __init__(self) -> None:
        self.bodies: list[str] = []

    def put(self, body: str) -> None:
        self.bodies.append(body)


AUDIT_PAGE = 2
"""Findings on a page of the fake, so that three are two pages."""


class FakeDetectors:
    """Confirms every finding but those it was told to have forgotten; lists the audits' findings it was given."""

    def __init__(self) -> None:
        self.unknown: set[str] = set()
        self.audits: dict[tuple[str, str], list[Mapping[str, Any]]] = {}

    def confirms(self, finding: Finding) -> bool:
        return finding.id not in self.unknown

    def audit_page(self, task_id: str, check: str, page: str) -> AuditPage:
        found = [each for each in self.audits.get((task_id, check), ()) if not each.get("isSuppressed")]
        begin = int(page or "0")
        end = begin + AUDIT_PAGE
        return AuditPage(found[begin:end], str(end) if end < len(found) else "")


class Crash(BaseException):
    """The function is gone, at this very call."""


@dataclass(frozen=True)
class DeviceKey:
    """A key pair and the signing request for it."""

    csr: str
    pem: str

    @property
    def fingerprint(self) -> str:
        """How the service knows the key again."""
        return key_of_certificate(self.pem)


@cache
def a_key(number: int) -> DeviceKey:  # noqa: ARG001 - it is the cache that tells the keys apart by it
    """Return the nth key of the pool; each is made once for the whole run."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AWS IoT Certificate")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(private, hashes.SHA256())
    text = csr.public_bytes(Encoding.PEM).decode()
    return DeviceKey(text, _certificate_for(text))


@cache
def _authority() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _certificate_for(csr: str) -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "AWS IoT Certificate")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(x509.load_pem_x509_csr(csr.encode()).public_key())
        .serial_number(1)
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=9000))
        .sign(_authority(), hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


@dataclass
class FakeDevice:
    """A well-behaved device: it answers its jobs, proves its new certificate, and keeps the old one until told."""

    thing: str
    world: World
    certificate: str
    keys: int
    logs: dict[str, bytes] = field(default_factory=lambda: {"syslog": LOG})
    candidate: str = ""
    tokens: int = 0

    @property
    def next_key(self) -> DeviceKey:
        """The key it makes, or has made, for its next certificate."""
        return a_key(self.keys)

    def connect(self) -> None:
        """Open its session."""
        self.world.connections.open.add(self.thing)

    def ask(
        self, what: str, payload: Mapping[str, Any], *, over: str = "", thing: str = ""
    ) -> tuple[str, dict[str, Any]]:
        """Send a request as the IoT rule passes it on; return the verdict and its payload."""
        self.tokens += 1
        body = {"clientToken": f"{self.thing[:20]}-{self.tokens}", **payload}
        return self.world.device_says(
            thing or self.thing, what, over or self.certificate, json.dumps(body).encode(), client=self.thing
        )

    def create(self, csr: str = "") -> tuple[str, dict[str, Any]]:
        """Ask for a certificate for its next key."""
        verdict, answer = self.ask("certificate/create", {"csr": csr or self.next_key.csr})
        if verdict == "accepted":
            self.candidate = answer["certificateId"]
        return verdict, answer

    def confirm(self) -> tuple[str, dict[str, Any]]:
        """Confirm over the new certificate that it works; the old one may then be retired."""
        assert self.world.certificates.stored[self.candidate].status == "ACTIVE", "AWS IoT lets nobody in without"
        verdict, answer = self.ask("certificate/confirm", {}, over=self.candidate)
        if verdict == "accepted":
            self.certificate, self.candidate = self.candidate, ""
            self.keys += 1
        return verdict, answer

    def upload(self, job_id: str) -> None:
        """Announce its logs and send them."""
        files = [
            {"name": name, "bytes": len(body), "sha256": sha256(body).hexdigest()} for name, body in self.logs.items()
        ]
        verdict, answer = self.ask("logs/create", {"jobId": job_id, "files": files})
        assert verdict == "accepted", answer
        for form in answer["uploads"]:
            self.world.evidence.post(form["fields"], self.logs[form["name"]])

    def work(self) -> None:
        """Run every job that waits for it."""
        self.connect()
        for job_id, job in list(self.world.jobs.started.items()):
            execution = job.executions.get(self.thing)
            if execution is not None and execution.status == "QUEUED":
                self.run(job_id)

    def run(self, job_id: str) -> None:
        """Run one job to its good end."""
        jobs = self.world.jobs
        jobs.move(job_id, "IN_PROGRESS", self.thing)
        if jobs.started[job_id].document["warden"]["operation"] == "collect-logs":
            self.upload(job_id)
        else:
            verdict, answer = self.create()
            assert verdict == "accepted", answer
            verdict, answer = self.confirm()
            assert verdict == "accepted", answer
        jobs.move(job_id, "SUCCEEDED", self.thing)


def forwarded(thing: str, what: str, certificate: str, payload: bytes, *, client: str = "") -> dict[str, str]:
    """Build what the IoT rule writes for a device's message; without `client`, its client id is the thing's name."""
    resource, verb = what.split("/")
    return {
        "thing": thing,
        "resource": resource,
        "verb": verb,
        "principal": certificate,
        "client": client or thing,
        "payload": b64encode(payload).decode(),
    }


class World:
    """The service over fakes, and everything around it that delivers messages."""

    def __init__(self, *, plan: str, settings: Settings, receives: int) -> None:
        self.clock = FakeClock()
        self.ledger = FakeLedger()
        self.registry = FakeRegistry()
        self.aws_clock = AwsClock(self.clock)
        self.certificates = FakeCertificates(self.registry, self.aws_clock)
        self.connections = FakeConnections()
        self.jobs = FakeJobs(self.registry, self.aws_clock)
        self.evidence = FakeEvidence()
        self.reports = FakeReports()
        self.renewal_queue = FakeRenewalQueue()
        self.notices = FakeNotices()
        self.announcements = FakeAnnouncements()
        self.security_hub = FakeSecurityHub()
        self.replies = FakeReplies()
        self.queue = FakeCaseQueue(self.clock)
        self.inbox = FakeInbox()
        self.detectors = FakeDetectors()
        self.account = AccountModel()
        self.devices: dict[str, FakeDevice] = {}
        self.receives = receives
        self.calls = 0
        self.lookups_a_turn = 1_000_000
        ports = Ports(
            ledger=self.ledger,
            registry=self.registry,
            certificates=self.certificates,
            connections=self.connections,
            jobs=self.jobs,
            evidence=self.evidence,
            notices=self.notices,
            announcements=self.announcements,
            security_hub=self.security_hub,
            replies=self.replies,
            queue=self.queue,
            inbox=self.inbox,
            reports=self.reports,
            renewal_queue=self.renewal_queue,
            detectors=self.detectors,
            account_reader=FakeAccountReader(self.account),
            log_levels=FakeLogLevels(self.account),
            stack_drift=FakeStackDrift(self.account, self.clock),
            resource_updates=FakeResourceUpdates(self.account),
        )
        self.context = Context(ports=ports, settings=settings, plan=read_plan(plan), clock=self.clock)

    @property
    def level_keeper(self) -> LevelKeeper:
        """What keeps the level at which contained devices are logged."""
        settings, ports = self.context.settings, self.context.ports
        return LevelKeeper(
            ledger=ports.ledger,
            levels=ports.log_levels,
            group=settings.restricted_group,
            is_asked_for=settings.log_contained,
            clock=self.clock,
        )

    def enrol(
        self,
        thing: str,
        *,
        thing_type: str = "",
        groups: Sequence[str] = (),
        policies: Sequence[str] = (DEVICE_POLICY,),
    ) -> FakeDevice:
        """Register a device with one ACTIVE certificate."""
        number = 100 * (len(self.devices) + 1)
        key = a_key(number)
        certificate = sha256(f"{thing} {number}".encode()).hexdigest()
        self.registry.add_thing(thing, thing_type=thing_type, groups=groups)
        self.certificates.enrol(certificate, key.pem, policies)
        self.registry.attached.append((certificate, thing))
        self.devices[thing] = FakeDevice(thing, self, certificate, number + 1)
        self.devices[thing].connect()
        return self.devices[thing]

    @property
    def device(self) -> FakeDevice:
        """The first device."""
        return next(iter(self.devices.values()))

    def redeliver[T](self, handle: Callable[[], T], queue: str = "DeviceRequestQueue") -> T:
        """Run a function as a queue does: again after a failure, as often as it may be received."""
        for _ in range(self.receives - 1):
            try:
                return handle()
            except (Exception, Crash):  # noqa: BLE001 - a queue does not care what went wrong
                self.clock.advance(VISIBILITY[queue])
        return handle()

    def device_says(
        self, thing: str, what: str, certificate: str, payload: bytes, *, client: str = ""
    ) -> tuple[str, dict[str, Any]]:
        """Let the IoT rule pass a device's message on; return the verdict and payload of the last answer to it."""
        message = forwarded(thing, what, certificate, payload, client=client)
        before = len(self.replies.published)
        self.redeliver(lambda: serve(request_from(message), self.context))
        if len(self.replies.published) == before:
            return "", {}
        topic, answer = self.replies.published[-1]
        assert topic.startswith(f"warden/{thing}/{what}/")
        return topic.rsplit("/", 1)[1], answer

    def report(self, finding: Finding) -> None:
        """Let a finding come in and be dealt with."""
        self.redeliver(lambda: send_finding(self.context.ports.queue, finding), "InboxQueue")
        self.drain()

    def drain(self) -> None:
        """Deal with everything that is queued or that jobs tell of, until nothing is left."""
        while self.queue.has_free or self.jobs.events or self.renewal_queue.runs:
            for run in self.renewal_queue.runs[:]:
                self.renewal_queue.runs.remove(run)
                self.clock.advance(self.renewal_queue.delay)
                self.redeliver(lambda run=run: resume_run(run, self._a_turn()), "RenewalQueue")  # type: ignore[misc]  # bound at once
            for event in self.jobs.events[:]:
                self.redeliver(lambda event=event: track(event, self.context), "JobEventQueue")  # type: ignore[misc]  # bound at once
                self.jobs.events.remove(event)
            parked = len(self.queue.parked)
            self.queue.drain(lambda message: dispatch(message, self.context), self.receives)
            if self.receives == 1 and len(self.queue.parked) > parked:
                raise self.queue.parked[-1].error

    def sweep(self, after: timedelta = timedelta()) -> None:
        """Let time pass and the sweep run once."""
        self.clock.advance(after)
        self.redeliver(lambda: sweep(self.context))
        self.redeliver(lambda: keep_level(self.level_keeper))
        self.drain()

    def find_what_is_due(self, *, lookups_a_turn: int = 1_000_000, **only: bool) -> SweepResult:
        """Let the sweep of certificates run to its end, each turn having time for so many look-ups."""

        self.lookups_a_turn = lookups_a_turn
        self.calls += 1
        trigger = f"event-{self.calls}"
        said = self.redeliver(lambda: sweep_certificates(self._a_turn(), trigger=trigger, **only))
        self.drain()
        return said

    def _a_turn(self) -> Turn:
        left = [self.lookups_a_turn]

        def pace() -> None:
            left[0] -= 1

        return Turn(self.context, lambda: timedelta(minutes=3) if left[0] > 0 else timedelta(), pace)

    def order(
        self, command: str, case: str = "", *, why: str = "", request: str = "", **also: object
    ) -> dict[str, Any]:
        """Let an operator call, and what that queues be done."""
        self.calls += 1
        call = request or f"request-{self.calls}"
        asked = {"command": command, **({"case": case} if case else {}), **({"why": why} if why else {}), **also}
        answer = self.redeliver(lambda: operate(asked, OPERATOR, call, self.context))
        self.drain()
        return answer

    @property
    def cases(self) -> list[Case]:
        """Every case, oldest first."""
        found = [case_from(record) for record in self.ledger.of_type("case")]
        return sorted(found, key=lambda case: (case.opened_at, case.id))

    @property
    def case(self) -> Case:
        """The only case."""
        (case,) = self.cases
        return case

    @property
    def outbox(self) -> Outbox:
        """The outbox of the only case."""
        return self.context.cases.outbox(self.case)

    def steps(self, case: Case | None = None) -> list[str]:
        """The kinds in the timeline of a case (the only one), with what was done or decided named in them."""
        return [_named(entry.step) for entry in self.context.cases.timeline((case or self.case).id)]

    @property
    def refusals(self) -> list[str]:
        """The codes of what was refused and put on record."""
        return [str(record["code"]) for record in self.ledger.of_type("refusal")]

    def policies(self, thing: str = THING) -> dict[str, set[str]]:
        """The policies of each certificate of a thing."""
        return {
            certificate: set(self.certificates.stored[certificate].policies)
            for certificate in self.registry.certificates_of(thing)
        }

    def active_certificates(self, thing: str = THING) -> list[str]:
        """The certificates a thing can connect with."""
        stored = self.certificates.stored
        return [each for each in self.registry.certificates_of(thing) if stored[each].status == "ACTIVE"]

    def is_restricted(self, thing: str = THING) -> bool:
        """Whether nothing but the restricted policy is left to a thing."""
        return all(names == {RESTRICTED_POLICY} for names in self.policies(thing).values())


def _named(step: Step) -> str:
    if step.kind is StepKind.DECISION_TAKEN:
        return str(step.facts["decision"])
    return step.kind.replace("action-", f"{step.facts.get('action')}-")


SETTINGS = Settings(
    region="us-east-1",
    account="000000000000",
    partition="aws",
    ledger_table="ledger",
    case_queue_url="https://sqs.us-east-1.amazonaws.com/000000000000/cases.fifo",
    inbox_url="https://sqs.us-east-1.amazonaws.com/000000000000/inbox",
    evidence_bucket="evidence",
    notices_topic="arn:aws:sns:us-east-1:000000000000:notices",
    renewal_queue_url="https://sqs.us-east-1.amazonaws.com/000000000000/renewals",
    restricted_group=RESTRICTED_GROUP,
    restricted_policy=RESTRICTED_POLICY,
    mode=Mode.ENFORCE,
)


def a_world(*things: str, plan: str = PLAN, receives: int = 1, **settings: Any) -> World:
    """Build a world with devices (one, `pump-3`, unless named), in `enforce` unless said otherwise."""
    world = World(plan=plan, settings=replace(SETTINGS, **settings), receives=receives)
    for thing in things or (THING,):
        world.enrol(thing)
    return world


def a_finding(thing: str = THING, **changes: Any) -> Finding:
    """Build a Detect violation of a registered thing, observed a minute ago."""
    finding = Finding(
        id="violation-1",
        source=Source.DETECT,
        kind="aws:all-bytes-out",
        subject=Subject(SubjectType.THING, thing),
        severity=Severity.HIGH,
        observed_at=NOON - timedelta(minutes=1),
        title=f"{thing} sent 7340032 bytes; at most 100000 are normal",
    )
    return replace(finding, **changes)


def an_old_certificate(thing: str = THING, **changes: Any) -> Finding:
    """Build an audit finding whose answer is a rotation."""
    return a_finding(thing, **{"id": "audit-1", "source": Source.AUDIT, "kind": "certificate-age", **changes})


def its_end(
    finding: Finding, *, ending: Ending = Ending.ALARM_CLEARED, after: timedelta = timedelta(minutes=1)
) -> Finding:
    """Build the message that says a finding is over."""
    return replace(finding, is_open=False, ending=ending, observed_at=finding.observed_at + after)


def contained(world: World) -> Case:
    """Make the first device violate; it is contained and its logs are collected."""
    world.report(a_finding(world.device.thing))
    world.device.work()
    world.drain()
    assert world.case.state is CaseState.CONTAINED
    return world.case
