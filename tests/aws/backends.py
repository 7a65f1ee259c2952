"""The same ground under the real adapters and under the fakes, so that one test can stand on both."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Protocol, cast

import boto3
from botocore.config import Config
from moto.iot.models import iot_backends

from tests.account_model import AccountModel
from tests.aws_stand_in.groups import CONNECTED, VIOLATING
from tests.aws_stand_in.rules import ACCOUNT, REGION
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import World, a_key, a_world
from warden.aws.account_reader import AwsAccountReader, Clients
from warden.aws.certificates import IotCertificates
from warden.aws.connections import IotConnections
from warden.aws.detectors import AwsDetectors
from warden.aws.evidence import S3Evidence, S3Reports
from warden.aws.jobs import IotJobs
from warden.aws.log_levels import IotLogLevels
from warden.aws.messaging import (
    AwsSecurityHub,
    EventBridgeAnnouncements,
    IotReplies,
    SnsNotices,
    SqsCaseQueue,
    SqsInbox,
    SqsRenewalQueue,
)
from warden.aws.registry import IotRegistry
from warden.aws.stack_drift import CloudControlUpdates, CloudFormationDrift
from warden.core.findings import Finding, Source
from warden.core.ports import (
    AccountReader,
    Announcements,
    CaseQueue,
    Certificates,
    Connections,
    Detectors,
    Evidence,
    Inbox,
    Jobs,
    LogLevels,
    Notices,
    Registry,
    RenewalQueue,
    Replies,
    Reports,
    ResourceUpdates,
    SecurityHub,
    StackDrift,
    UploadForm,
)

PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}'
_BUCKET = "evidence"
CA = "c" * 64


class Ground(Protocol):
    """What a test can have there before it begins, the ports that then work on it, and what has become of it."""

    @property
    def registry(self) -> Registry: ...
    @property
    def certificates(self) -> Certificates: ...
    @property
    def connections(self) -> Connections: ...
    @property
    def jobs(self) -> Jobs: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def reports(self) -> Reports: ...
    @property
    def notices(self) -> Notices: ...
    @property
    def announcements(self) -> Announcements: ...
    @property
    def security_hub(self) -> SecurityHub: ...
    @property
    def replies(self) -> Replies: ...
    @property
    def queue(self) -> CaseQueue: ...
    @property
    def inbox(self) -> Inbox: ...
    @property
    def renewal_queue(self) -> RenewalQueue: ...
    @property
    def detectors(self) -> Detectors: ...
    @property
    def account_reader(self) -> AccountReader: ...
    @property
    def log_levels(self) -> LogLevels: ...
    @property
    def stack_drift(self) -> StackDrift: ...
    @property
    def resource_updates(self) -> ResourceUpdates: ...
    @property
    def account(self) -> AccountModel:
        """What the account has that `account_reader` reads."""
        ...

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None: ...

    def group(self, name: str, *, policies: Sequence[str] = (), parent: str = "") -> None: ...

    def dynamic_group(self, name: str, query: str) -> None: ...

    def policies(self, *names: str) -> None: ...

    def certificate(self, number: int, *, thing: str = "") -> str:
        """Register an ACTIVE certificate, attached to a thing if one is named; return its id."""
        ...

    def registered_under_a_ca(self, certificate: str) -> None: ...

    def revoke(self, certificate: str) -> None: ...

    def detaches_late(self) -> None:
        """Delay the effect of detachments from things."""
        ...

    def seconds_pass(self) -> None:
        """Let the delayed detachments take effect."""
        ...

    def transfer(self, certificate: str) -> None:
        """Offer an ACTIVE certificate without policies to another account."""
        ...

    def pages_of(self, size: int) -> None:
        """Limit each page of a list."""
        ...

    def connect(self, client: str) -> None: ...

    def move(self, job: str, thing: str, status: str) -> None:
        """Move an execution as its device does."""
        ...

    def upload(self, form: UploadForm, body: bytes) -> None: ...

    def lists(self, finding: Finding) -> None:
        """Make the finding's detector list it as open."""
        ...

    def forgets(self, finding: Finding) -> None:
        """Make the finding's detector stop listing it."""
        ...

    def audited(self, task: str, check: str, found: Sequence[Mapping[str, Any]]) -> None: ...

    def publishes(self, events: Mapping[str, bool]) -> None:
        """Make AWS IoT publish some event types and not others."""
        ...

    def report(self, key: str) -> list[str]: ...

    def sent_notices(self) -> list[tuple[str, str]]: ...

    def announced(self) -> list[Mapping[str, Any]]: ...

    def imported(self) -> Mapping[str, Mapping[str, Any]]: ...

    def replied(self) -> list[tuple[str, Mapping[str, Any]]]: ...

    def queued(self) -> list[Mapping[str, Any]]: ...

    def in_inbox(self) -> list[str]: ...

    def runs(self) -> list[str]: ...


def account_reader(region: str, *, has_device_defender: bool = True) -> AwsAccountReader:
    """Build the adapter with a client for each service."""
    made: dict[str, Any] = {
        each.name: boto3.client(cast("Any", each.name), region_name=region) for each in fields(Clients)
    }
    return AwsAccountReader(Clients(**made), region, has_device_defender=has_device_defender)


class MotoGround:
    """On the stand-in, through clients of its own. What a test does not need is not made."""

    def __init__(self, strict: StrictAws) -> None:
        self._strict = strict
        self._iot = boto3.client("iot", region_name=REGION)
        self.registry = IotRegistry(self._iot, PREFIX)
        self.certificates = IotCertificates(self._iot, PREFIX)
        self.jobs = IotJobs(self._iot, PREFIX)
        self.detectors = AwsDetectors(self._iot)
        self.log_levels = IotLogLevels(self._iot)
        self.account = strict.state.account

    @cached_property
    def connections(self) -> IotConnections:
        return IotConnections(boto3.client("iot-data", region_name=REGION))

    @cached_property
    def account_reader(self) -> AwsAccountReader:
        return account_reader(REGION)

    @cached_property
    def stack_drift(self) -> CloudFormationDrift:
        return CloudFormationDrift(boto3.client("cloudformation", region_name=REGION))

    @cached_property
    def resource_updates(self) -> CloudControlUpdates:
        return CloudControlUpdates(boto3.client("cloudcontrol", region_name=REGION))

    @cached_property
    def replies(self) -> IotReplies:
        return IotReplies(boto3.client("iot-data", region_name=REGION))

    @cached_property
    def _s3(self) -> Any:
        client = boto3.client("s3", region_name=REGION, config=Config(signature_version="s3v4"))
        client.create_bucket(Bucket=_BUCKET)
        return client

    @cached_property
    def evidence(self) -> S3Evidence:
        return S3Evidence(self._s3, _BUCKET)

    @cached_property
    def reports(self) -> S3Reports:
        return S3Reports(self._s3, _BUCKET)

    @cached_property
    def notices(self) -> SnsNotices:
        client = boto3.client("sns", region_name=REGION)
        return SnsNotices(client, client.create_topic(Name="notices")["TopicArn"])

    @cached_property
    def announcements(self) -> EventBridgeAnnouncements:
        return EventBridgeAnnouncements(boto3.client("events", region_name=REGION), "fleet-warden")

    @cached_property
    def security_hub(self) -> AwsSecurityHub:
        return AwsSecurityHub(boto3.client("securityhub", region_name=REGION))

    @cached_property
    def _sqs(self) -> Any:
        return boto3.client("sqs", region_name=REGION)

    def _queue_url(self, name: str) -> str:
        attributes = {"FifoQueue": "true"} if name.endswith(".fifo") else {}
        return str(self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"])

    @cached_property
    def queue(self) -> SqsCaseQueue:
        return SqsCaseQueue(self._sqs, self._queue_url("cases.fifo"))

    @cached_property
    def inbox(self) -> SqsInbox:
        return SqsInbox(self._sqs, self._queue_url("inbox"))

    @cached_property
    def renewal_queue(self) -> SqsRenewalQueue:
        return SqsRenewalQueue(self._sqs, self._queue_url("renewals"))

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None:
        self._iot.create_thing(thingName=name)
        for group in groups:
            self.group(group)
            self._iot.add_thing_to_thing_group(thingName=name, thingGroupName=group)

    def group(self, name: str, *, policies: Sequence[str] = (), parent: str = "") -> None:
        above: Any = {"parentGroupName": parent} if parent else {}
        with suppress(self._iot.exceptions.ResourceAlreadyExistsException):
            self._iot.create_thing_group(thingGroupName=name, **above)
        self.policies(*policies)
        for policy in policies:
            self._iot.attach_policy(policyName=policy, target=f"{PREFIX}thinggroup/{name}")

    def dynamic_group(self, name: str, query: str) -> None:
        self._iot.create_dynamic_thing_group(thingGroupName=name, queryString=query)

    def policies(self, *names: str) -> None:
        for name in names:
            with suppress(self._iot.exceptions.ResourceAlreadyExistsException):
                self._iot.create_policy(policyName=name, policyDocument=_POLICY)

    def certificate(self, number: int, *, thing: str = "") -> str:
        made = self._iot.register_certificate_without_ca(certificatePem=a_key(number).pem, status="ACTIVE")
        if thing:
            self._iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        return made["certificateId"]

    def registered_under_a_ca(self, certificate: str) -> None:
        iot_backends[ACCOUNT][REGION].certificates[certificate].ca_certificate_id = CA

    def detaches_late(self) -> None:
        self._strict.state.detaches_late = True

    def seconds_pass(self) -> None:
        self._strict.state.propagate()

    def revoke(self, certificate: str) -> None:
        self._iot.update_certificate(certificateId=certificate, newStatus="REVOKED")

    def transfer(self, certificate: str) -> None:
        self._iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
        self._iot.transfer_certificate(certificateId=certificate, targetAwsAccount="111122223333")

    def pages_of(self, size: int) -> None:
        self._strict.page = size

    def connect(self, client: str) -> None:
        self._strict.state.sessions.add(client)

    def move(self, job: str, thing: str, status: str) -> None:
        iot_backends[ACCOUNT][REGION].job_executions[job, thing].status = status

    def upload(self, form: UploadForm, body: bytes) -> None:
        self._s3.put_object(Bucket=_BUCKET, Key=form.fields["key"], Body=body)

    def lists(self, finding: Finding) -> None:
        if finding.source is Source.DETECT:
            self._strict.state.violations.setdefault(finding.subject.name, []).append(finding.id)
        else:
            self._strict.state.audit_findings[finding.id] = {"findingId": finding.id}

    def forgets(self, finding: Finding) -> None:
        self._strict.state.violations.pop(finding.subject.name, None)
        self._strict.state.audit_findings.pop(finding.id, None)

    def audited(self, task: str, check: str, found: Sequence[Mapping[str, Any]]) -> None:
        listed = {str(each["findingId"]): {**each, "taskId": task, "checkName": check} for each in found}
        self._strict.state.audit_findings |= listed

    def publishes(self, events: Mapping[str, bool]) -> None:
        self._strict.state.event_configurations = {event: {"Enabled": on} for event, on in events.items()}

    def report(self, key: str) -> list[str]:
        body: bytes = self._s3.get_object(Bucket=_BUCKET, Key=key)["Body"].read()
        return body.decode().splitlines()

    def sent_notices(self) -> list[tuple[str, str]]:
        return [(asked["Subject"], asked["Message"]) for asked in self._strict.made("Publish")]

    def announced(self) -> list[Mapping[str, Any]]:
        return [*self._strict.state.announced]

    def imported(self) -> Mapping[str, Mapping[str, Any]]:
        return self._strict.state.hub

    def replied(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [*self._strict.state.replies]

    def queued(self) -> list[Mapping[str, Any]]:
        return [json.loads(body) for body in self._received("cases.fifo")]

    def in_inbox(self) -> list[str]:
        return self._received("inbox")

    def runs(self) -> list[str]:
        return [json.loads(body)["run"] for body in self._received("renewals")]

    def _received(self, queue: str) -> list[str]:
        """Take everything off a queue, in order."""
        url, found = self._queue_url(queue), list[str]()
        while messages := self._sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                found.append(message["Body"])
                self._sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found


class FakeGround:
    """On the fakes that every other test uses."""

    def __init__(self) -> None:
        self._world: World = a_world()
        self._world.clock.time = datetime.now(UTC)
        self._violating: set[str] = set()
        ports = self._world.context.ports
        self.registry = ports.registry
        self.certificates = ports.certificates
        self.connections = ports.connections
        self.jobs = ports.jobs
        self.evidence = ports.evidence
        self.reports = ports.reports
        self.notices = ports.notices
        self.announcements = ports.announcements
        self.security_hub = ports.security_hub
        self.replies = ports.replies
        self.queue = ports.queue
        self.inbox = ports.inbox
        self.renewal_queue = ports.renewal_queue
        self.detectors = ports.detectors
        self.account_reader = ports.account_reader
        self.log_levels = ports.log_levels
        self.stack_drift = ports.stack_drift
        self.resource_updates = ports.resource_updates
        self.account = self._world.account
        self._world.registry.delete_thing("pump-3")
        self._world.certificates.stored.clear()

    def thing(self, name: str, *, groups: Sequence[str] = ()) -> None:
        self._world.registry.add_thing(name, groups=groups)

    def group(self, name: str, *, policies: Sequence[str] = (), parent: str = "") -> None:
        self._world.registry.group_policies[name] = list(policies)
        if parent:
            self._world.registry.parents[name] = parent

    def dynamic_group(self, name: str, query: str) -> None:
        queries = {CONNECTED: self._world.connections.open, VIOLATING: self._violating}
        self._world.registry.dynamic[name] = queries[query].__contains__

    def policies(self, *names: str) -> None:
        """Every policy is there until a fake is told that it is gone."""

    def certificate(self, number: int, *, thing: str = "") -> str:
        certificate = f"{number:064x}"
        self._world.certificates.enrol(certificate, a_key(number).pem, [])
        if thing:
            self._world.registry.attached.append((certificate, thing))
        return certificate

    def registered_under_a_ca(self, certificate: str) -> None:
        self._world.certificates.stored[certificate].ca = CA

    def detaches_late(self) -> None:
        self._world.certificates.detaches_after = timedelta(seconds=5)

    def seconds_pass(self) -> None:
        self._world.clock.advance(timedelta(seconds=5))

    def revoke(self, certificate: str) -> None:
        self._world.certificates.revoke(certificate)

    def transfer(self, certificate: str) -> None:
        self._world.certificates.transfer(certificate)

    def pages_of(self, size: int) -> None:
        self._world.certificates.page_size = size

    def connect(self, client: str) -> None:
        self._world.connections.open.add(client)

    def move(self, job: str, thing: str, status: str) -> None:
        self._world.jobs.move(job, status, thing)

    def upload(self, form: UploadForm, body: bytes) -> None:
        self._world.evidence.post(form.fields, body)

    def lists(self, finding: Finding) -> None:
        self._world.detectors.unknown.discard(finding.id)
        self._violating.add(finding.subject.name)

    def forgets(self, finding: Finding) -> None:
        self._world.detectors.unknown.add(finding.id)
        self._violating.discard(finding.subject.name)

    def audited(self, task: str, check: str, found: Sequence[Mapping[str, Any]]) -> None:
        self._world.detectors.audits[task, check] = [*found]

    def publishes(self, events: Mapping[str, bool]) -> None:
        self._world.account.event_types |= events

    def report(self, key: str) -> list[str]:
        return self._world.reports.kept[key]

    def sent_notices(self) -> list[tuple[str, str]]:
        return [(notice.subject, notice.body) for notice in self._world.notices.sent]

    def announced(self) -> list[Mapping[str, Any]]:
        return [*self._world.announcements.published]

    def imported(self) -> Mapping[str, Mapping[str, Any]]:
        return self._world.security_hub.findings

    def replied(self) -> list[tuple[str, Mapping[str, Any]]]:
        return [*self._world.replies.published]

    def queued(self) -> list[Mapping[str, Any]]:
        return [json.loads(each.body) for waiting in self._world.queue.groups.values() for each in waiting]

    def in_inbox(self) -> list[str]:
        return [*self._world.inbox.bodies]

    def runs(self) -> list[str]:
        return [*self._world.renewal_queue.runs]
