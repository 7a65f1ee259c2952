"""The ports: what the service needs from outside. `warden.aws` has the real ones, the tests have fakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from warden.core.findings import Finding
from warden.core.ledger import Ledger

if TYPE_CHECKING:  # only the survey pays for these when it starts
    from warden.core.account_facts import (
        Analyzer,
        AuditConfiguration,
        AuditTask,
        Bucket,
        Detector,
        IotLogging,
        LearningModel,
        LogGroup,
        Read,
        ScheduledAudit,
        SecurityProfile,
        StackResource,
        Subscription,
        Suppression,
        Topic,
        Trail,
        TrailStatus,
    )
    from warden.core.drift import Detection, ResourceDrift, Update


@dataclass(frozen=True, kw_only=True)
class Thing:
    """A thing in the registry."""

    name: str
    thing_type: str = ""
    groups: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Group:
    """A thing group: the groups above it, and whether a query decides who is in it, which nobody can join or leave."""

    name: str
    parents: Sequence[str] = ()
    is_dynamic: bool = False


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A device certificate, by its id (the sha256 of its DER form, 64 hex digits).

    `ca` is the id of the CA certificate under which it is registered, if there is one.
    """

    id: str
    status: str
    pem: str = ""
    created_at: datetime | None = None
    changed_at: datetime | None = None
    ca: str = ""

    @property
    def may_register_itself(self) -> bool:
        """Whether a device may register it again by connecting, once it is deleted.

        A CA with auto-registration does that (AWS IoT developer guide, auto-register-device-cert), and whether ours has
        that switched on can change: a certificate of any registered CA is kept INACTIVE instead.
        """
        return bool(self.ca)

    @property
    def is_active(self) -> bool:
        """Whether a device can connect with it."""
        return self.status == "ACTIVE"

    @property
    def is_out_of_use(self) -> bool:
        """Whether somebody else put it out of use: revoked it, or is giving it to another account.

        Neither is ours to change. One under transfer has no policies, was not ACTIVE, and is INACTIVE again if the
        transfer is cancelled or rejected (AWS IoT API reference, TransferCertificate, CancelCertificateTransfer).
        """
        return self.status == "REVOKED" or self.is_under_transfer

    @property
    def is_under_transfer(self) -> bool:
        """Whether another account has yet to accept it."""
        return self.status == "PENDING_TRANSFER"


@dataclass(frozen=True)
class CertificatePage:
    """A page of the account's certificates, oldest first and without their PEM; `next_page` is empty on the last."""

    certificates: Sequence[Certificate]
    next_page: str


class Registry(Protocol):
    """Things, their groups and the policies of groups. Every list is complete."""

    def thing(self, name: str, *, with_type: bool = True) -> Thing | None:
        """Read a thing with its groups; None when there is no such thing. Its type costs a second call.

        Its groups are those it was put into, the groups above them, and dynamic ones.
        """
        ...

    def group(self, name: str) -> Group | None:
        """Read a group; None when there is no such group."""
        ...

    def certificates_of(self, thing: str) -> list[str]:
        """List the ids of the certificates attached to a thing; other kinds of principal are left out."""
        ...

    def things_of(self, certificate_id: str) -> list[str]:
        """List the things a certificate is attached to."""
        ...

    def policies_of_group(self, group: str) -> list[str]:
        """List the policies of a group, those of its parents included."""
        ...

    def effective_policies(self, thing: str, certificate_id: str) -> list[str] | None:
        """List the policies in effect for a device with this certificate: its own and those of the thing's groups.

        None when AWS IoT cannot answer, in this environment or at this moment.
        """
        ...

    def change_groups(self, thing: str, *, join: str, leave: Sequence[str]) -> None:
        """Put a thing into a group and take it out of others, in one call if possible. Already done is success.

        Raises:
            ActionFailed: when AWS IoT does not let it join; it may still be in the other groups.
        """
        ...

    def join_group(self, thing: str, group: str) -> None:
        """Put a thing into a group. Being in it already is success.

        Raises:
            ActionFailed: when AWS IoT does not let it join (ten groups already, another group of that hierarchy).
        """
        ...

    def leave_group(self, thing: str, group: str) -> None:
        """Take a thing out of a group that it was put into.

        If the thing is not in it, or only through another group, or the group is gone, that is success.
        """
        ...


class Certificates(Protocol):
    """Device certificates and what is attached to them. A state that was reached already is success."""

    def read(self, certificate_id: str) -> Certificate | None:
        """Read a certificate with its PEM; None when no certificate has that id."""
        ...

    def policies_of(self, certificate_id: str) -> list[str]:
        """List the names of the policies attached to a certificate."""
        ...

    def attach_policy(self, certificate_id: str, policy: str) -> None:
        """Attach a policy.

        Raises:
            ActionFailed: when the policy or the certificate is gone, or the certificate may have no more policies.
        """
        ...

    def detach_policy(self, certificate_id: str, policy: str) -> None:
        """Detach a policy."""
        ...

    def attach_thing(self, certificate_id: str, thing: str) -> None:
        """Attach a certificate to a thing, for that thing alone."""
        ...

    def detach_thing(self, certificate_id: str, thing: str) -> None:
        """Detach a certificate from a thing."""
        ...

    def activate(self, certificate_id: str) -> None:
        """Let devices connect with a certificate."""
        ...

    def deactivate(self, certificate_id: str) -> str:
        """Stop devices from connecting with a certificate; return its status afterwards, empty if it is gone.

        One that somebody else put out of use is left as it is: INACTIVE would be less than REVOKED.
        """
        ...

    def issue(self, csr: str, thing: str) -> Certificate:
        """Make an inactive certificate for a thing's signing request. Asking twice may make two.

        Raises:
            NotYet: when the authority is not done; the same request sent again returns the same certificate.
            ActionFailed: when the authority refuses, or issued a different certificate than requested.
        """
        ...

    def issued_since(self, since: datetime) -> list[Certificate]:
        """List inactive certificates made at or after a moment, newest first, with their PEM."""
        ...

    def oldest_page(self, page: str) -> CertificatePage:
        """List a page of certificates, oldest first; `page` is empty for the first.

        Raises:
            Refused: with code `no-such-page` when AWS IoT does not know the page any more.
        """
        ...

    def delete(self, certificate_id: str) -> None:
        """Delete an inactive certificate and detach its policies from it. An absent certificate is success.

        Raises:
            NotYet: when it is attached to a thing, which it is for seconds after it was detached; or when it is ACTIVE.
        """
        ...


class Disconnection(StrEnum):
    """The result of closing a session: closed, none was open, or why AWS IoT cannot close it here."""

    DISCONNECTED = "disconnected"
    NOT_CONNECTED = "not-connected"
    INVALID_REQUEST = "invalid-request"
    FORBIDDEN = "forbidden"
    NO_SUCH_METHOD = "no-such-method"
    UNSUPPORTED = "unsupported"
    SWITCHED_OFF = "switched-off"


class Connections(Protocol):
    """The devices' MQTT sessions."""

    def disconnect(self, client_id: str, *, forget: bool = False) -> Disconnection:
        """Close a client's connection, if it has one.

        The broker keeps its session and publishes its last will; with `forget` it does neither: subscriptions and
        messages that wait for the client are gone, and nothing is sent in its name.
        (AWS IoT data plane API reference, DeleteConnection: cleanSession, preventWillMessage)

        Never raises because AWS IoT cannot close sessions here: the result says so, and the case continues.
        """
        ...


@dataclass(frozen=True)
class Execution:
    """A job execution on one thing."""

    status: str
    details: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether this execution has ended, with any status."""
        return self.status not in ("QUEUED", "IN_PROGRESS")


@dataclass(frozen=True, kw_only=True)
class JobOrder:
    """A job, and the limits that IoT Jobs enforces on it.

    `things` are at most `quotas.TARGETS_PER_JOB`. `work_timeout` is how long a device may take once it has begun,
    a minute to seven days. At `ends_at`, at least half an hour ahead, executions that are not over are cancelled.
    `per_minute` is how many devices get the job a minute; None sends it to all at once.
    Once `abort_after` executions have ended and `abort_percent` of them failed, the rest is cancelled; None: never.
    """

    id: str
    things: Sequence[str]
    document: Mapping[str, Any]
    work_timeout: timedelta
    ends_at: datetime
    per_minute: int | None = None
    abort_percent: float | None = None
    abort_after: int = 1


class Jobs(Protocol):
    """IoT Jobs."""

    def start(self, order: JobOrder) -> None:
        """Send a job to devices. Sending the same job twice makes one job.

        Raises:
            ActionFailed: when one of the things is no longer in the registry; then no device gets the job.
        """
        ...

    def execution(self, job_id: str, thing: str) -> Execution | None:
        """Read a job's execution on a thing; None when job, execution or thing is gone."""
        ...

    def withdraw(self, job_id: str) -> None:
        """Cancel a job on devices that have not begun; those at work continue. An ended or absent job is success."""
        ...

    def cancel(self, job_id: str, thing: str) -> None:
        """Cancel a job on one device, even while it works. An ended or absent execution is success."""
        ...


@dataclass(frozen=True)
class UploadedFile:
    """A file in the evidence bucket."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class UploadForm:
    """A presigned POST: its URL, and the form fields that come before the file."""

    url: str
    fields: Mapping[str, str]


class Evidence(Protocol):
    """The evidence bucket."""

    def upload_form(self, key: str, size: int, sha256: str, lifetime: timedelta) -> UploadForm:
        """Return a form that allows its holder to upload exactly these bytes under exactly this key."""
        ...

    def uploaded(self, key: str) -> UploadedFile | None:
        """Read a file and return what is really stored; None when nothing is."""
        ...


class Reports(Protocol):
    """The part of the evidence bucket that holds reports for people."""

    def keep(self, key: str, path: str) -> str:
        """Upload a local CSV file under a key; return where people find it."""
        ...

    def keep_page(self, key: str, text: str, content_type: str) -> None:
        """Store a page under a key, and replace the previous page.

        Raises:
            NotSent: when it was not taken.
        """
        ...


class Notices(Protocol):
    """People."""

    def send(self, subject: str, body: str) -> None:
        """Send a notice. The subject is ASCII, one line, under 100 characters.

        Raises:
            NotSent: when it was not accepted.
        """
        ...


class Announcements(Protocol):
    """Events for programs: chat, tickets, dashboards."""

    def publish(self, detail: Mapping[str, Any]) -> None:
        """Publish a case's change of state in the form of docs/findings.md.

        Raises:
            NotSent: when it was not accepted.
        """
        ...

    def publish_survey(self, detail: Mapping[str, Any]) -> None:
        """Announce what a survey found changed; docs/findings.md has the form.

        Raises:
            NotSent: when it was not taken.
        """
        ...


class SecurityHub(Protocol):
    """Security Hub, where an account collects findings."""

    def put(self, finding: Mapping[str, Any]) -> None:
        """Import or update a finding (AWS Security Finding Format).

        Raises:
            NotSent: when it was not accepted.
        """
        ...


class Replies(Protocol):
    """Answers to devices."""

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish JSON on a topic with QoS 1."""
        ...


@dataclass(frozen=True)
class QueueEntry:
    """A message for the case queue, after the others of its group. The same `once` within five minutes is sent once."""

    message: Mapping[str, Any]
    group: str
    once: str


class CaseQueue(Protocol):
    """The queue of work; the messages of one thing are handled in order."""

    def put_all(self, entries: Sequence[QueueEntry]) -> None:
        """Queue all messages. If it raises, some of them may have been queued."""
        ...


class Inbox(Protocol):
    """The queue for everything from outside; a run that cannot finish puts the rest back on it."""

    def put(self, body: str) -> None:
        """Queue a message."""
        ...


@dataclass(frozen=True)
class AuditPage:
    """A page of an audit's findings, as Device Defender lists them; `next_page` is empty on the last."""

    findings: Sequence[Mapping[str, Any]]
    next_page: str


class RenewalQueue(Protocol):
    """The queue through which a sweep of certificates continues after the function's time is up."""

    def send_run(self, run: str, *, after_seconds: int = 0) -> None:
        """Queue a message to resume a run, seconds later if asked for: a quarter of an hour at most."""
        ...


class Detectors(Protocol):
    """The detectors' own APIs, to verify findings: an event is only a hint (design section 9)."""

    def confirms(self, finding: Finding) -> bool:
        """Check whether the detector itself lists this finding as open."""
        ...

    def audit_page(self, task_id: str, check: str, page: str) -> AuditPage:
        """Read a page of an audit check's findings, without suppressed ones; `page` is empty for the first."""
        ...


@dataclass(frozen=True)
class LevelRefused:
    """Why AWS IoT refuses to read or change a level, if asking again at once would not help."""

    action: str
    code: str
    is_denial: bool


class LogLevels(Protocol):
    """The levels at which AWS IoT logs thing groups. A final refusal is an answer, and is not raised."""

    def logging_is_on(self) -> bool | LevelRefused:
        """Read whether AWS IoT logs at all."""
        ...

    def level_of(self, group: str) -> str | LevelRefused:
        """Read the level of a group; empty if it has none."""
        ...

    def set_level(self, group: str, level: str) -> LevelRefused | None:
        """Set the level of a group; return why AWS refused, or None."""
        ...

    def remove_level(self, group: str) -> LevelRefused | None:
        """Remove the level of a group; removed already is success."""
        ...


class AccountReader(Protocol):
    """Reads the account, and never changes it. Each answer is the value, or why there is none; lists are whole."""

    def audit_configuration(self) -> Read[AuditConfiguration]:
        """Read what Device Defender audits; an account that was never set up has no check on."""
        ...

    def scheduled_audits(self) -> Read[Sequence[ScheduledAudit]]:
        """List the audits that run by themselves."""
        ...

    def audits(self, since: datetime, until: datetime) -> Read[Sequence[AuditTask]]:
        """List the audits that were started in a period, with how each check ended."""
        ...

    def suppressions(self) -> Read[Sequence[Suppression]]:
        """List what the audit was told to leave out."""
        ...

    def iot_logging(self) -> Read[IotLogging | None]:
        """Read what AWS IoT logs; None if that was never set."""
        ...

    def log_group(self, name: str) -> Read[LogGroup | None]:
        """Read how a log group keeps its events; None if there is no such group."""
        ...

    def event_types(self) -> Read[Mapping[str, bool]]:
        """Read which event types AWS IoT publishes."""
        ...

    def security_profiles(self) -> Read[Sequence[SecurityProfile]]:
        """List Detect's profiles with their behaviors and targets."""
        ...

    def learning_models(self, profile: str) -> Read[Sequence[LearningModel]]:
        """List the models that machine learning has or is building for a profile."""
        ...

    def custom_metrics(self) -> Read[Sequence[str]]:
        """List the names of the custom metrics."""
        ...

    def undelivered_alerts(self, since: datetime, until: datetime) -> Read[int]:
        """Count the alerts of Device Defender that AWS IoT could not deliver in a period."""
        ...

    def detector(self) -> Read[Detector | None]:
        """Read GuardDuty's detector of this region; None if there is none."""
        ...

    def guardduty_administrator(self, detector: str) -> Read[str]:
        """Read the account that administers a detector; empty if it is this one."""
        ...

    def organization(self) -> Read[str]:
        """Read the management account of the organization; empty if the account is in none."""
        ...

    def trails(self) -> Read[Sequence[Trail]]:
        """List the trails that record here, including those of other regions and of the organization."""
        ...

    def trail_status(self, arn: str) -> Read[TrailStatus]:
        """Read whether a trail records; a member cannot read this for every trail of its organization."""
        ...

    def trail_records_management(self, arn: str) -> Read[bool]:
        """Read whether a trail records management events, those that only read included."""
        ...

    def bucket(self, name: str) -> Read[Bucket | None]:
        """Read how a bucket is protected; None if there is no such bucket."""
        ...

    def analyzers(self) -> Read[Sequence[Analyzer]]:
        """List the analyzers of IAM Access Analyzer in this account and region."""
        ...

    def topic(self, arn: str) -> Read[Topic | None]:
        """Count a topic's subscriptions; None if there is no such topic."""
        ...

    def subscription(self, topic: str, queue: str) -> Read[Subscription | None]:
        """Read how a queue is subscribed to a topic; None if it is not."""
        ...

    def schedule_is_on(self, rule: str) -> Read[bool]:
        """Read whether a rule of EventBridge is there and enabled."""
        ...

    def stack_resources(self, stack: str) -> Read[frozenset[StackResource]]:
        """List what a stack made; nothing if there is no such stack."""
        ...


class StackDrift(Protocol):
    """The drift of a stack, as CloudFormation finds it; each answer may be the reason why there is none."""

    def begin(self, stack: str) -> Read[str]:
        """Begin to compare a stack, which takes minutes; return the id of the detection."""
        ...

    def detection(self, detection: str) -> Read[Detection]:
        """Read how far a detection is."""
        ...

    def resources(self, stack: str, since: datetime) -> Read[Sequence[ResourceDrift]]:
        """List every resource of a stack; one that was last compared before `since` is not checked."""
        ...

    def resource(self, stack: str, name: str) -> Read[ResourceDrift]:
        """Compare one resource now, by its name in the template."""
        ...


class ResourceUpdates(Protocol):
    """Changes to properties of a resource, by AWS's handlers of its type. Each answer may be why there is none."""

    def begin(self, kind: str, name: str, patch: Sequence[Mapping[str, Any]], once: str) -> Read[Update]:
        """Begin to apply a JSON patch to a resource. The same `once` again is the same change."""
        ...

    def progress(self, request: str) -> Read[Update]:
        """Read how far a change is."""
        ...


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Everything the domain may touch."""

    ledger: Ledger
    registry: Registry
    certificates: Certificates
    connections: Connections
    jobs: Jobs
    evidence: Evidence
    reports: Reports
    notices: Notices
    announcements: Announcements
    security_hub: SecurityHub
    replies: Replies
    queue: CaseQueue
    inbox: Inbox
    renewal_queue: RenewalQueue
    detectors: Detectors
    account_reader: AccountReader
    log_levels: LogLevels
    stack_drift: StackDrift
    resource_updates: ResourceUpdates


class HasLedger(Protocol):
    """Ports with the ledger among them."""

    @property
    def ledger(self) -> Ledger: ...


class HasRegistry(Protocol):
    """Ports with the registry among them."""

    @property
    def registry(self) -> Registry: ...


class HasCertificates(Protocol):
    """Ports with the certificates among them."""

    @property
    def certificates(self) -> Certificates: ...


class HasConnections(Protocol):
    """Ports with the connections among them."""

    @property
    def connections(self) -> Connections: ...


class HasJobs(Protocol):
    """Ports with IoT Jobs among them."""

    @property
    def jobs(self) -> Jobs: ...


class HasEvidence(Protocol):
    """Ports with the evidence bucket among them."""

    @property
    def evidence(self) -> Evidence: ...


class HasQueue(Protocol):
    """Ports with the case queue among them."""

    @property
    def queue(self) -> CaseQueue: ...


class HasNotices(Protocol):
    """Ports with the notices among them."""

    @property
    def notices(self) -> Notices: ...
