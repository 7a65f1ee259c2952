"""AWS behind the wire: moto, made as strict as AWS, and stand-ins for what moto lacks, all in STAND_INS.

Everything that can be looked at later, or must be as it was for the next point, is in `CloudState` or in moto's own
backends; `snapshot` and `restore` keep and bring back both.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from moto.backends import get_backend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.request import normalize_request
from moto.iot.models import FakeCertificate, IoTBackend, iot_backends
from moto.iot.responses import IoTResponse
from werkzeug.exceptions import HTTPException

from tests.aws.rules import ACCOUNT, PAGED, Refusal, check, corrected
from tests.fakes import NOON, FakeClock, a_job_event
from tests.faults import table
from tests.faults.queues import Queue, queues
from tests.faults.wire import Call, refused, response

REGION = "us-east-1"
PAGE = 2
"""The largest page of any list: nothing that is read has only one."""

_BACKENDS = {"iot": REGION, "sns": REGION, "s3": "aws"}


@dataclass
class Reached:
    """A request that AWS carried out: in which run of a function, and whether its answer was heard."""

    run: str
    call: str
    asked: dict[str, Any]
    heard: bool = True


@dataclass
class CloudState:
    """What the stand-ins remember."""

    clock: FakeClock = field(default_factory=FakeClock)
    queues: dict[str, Queue] = field(default_factory=queues)
    ledger: table.Items = field(default_factory=dict)
    violations: dict[str, list[str]] = field(default_factory=dict)
    audit_findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    event_configurations: dict[str, Any] = field(default_factory=dict)
    replies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    announced: list[dict[str, Any]] = field(default_factory=list)
    hub: dict[str, Any] = field(default_factory=dict)
    stack_answers: list[str] = field(default_factory=list)
    certificates_made: int = 0
    job_events: int = 0
    reached: list[Reached] = field(default_factory=list)


class MotoCloud:
    """Answers every request. `after` is told of each that was carried out; `run` names the run that asks."""

    def __init__(self) -> None:
        self.state = CloudState()
        self.run = ""
        self.after: Callable[[Call], None] = lambda _call: None
        self._moto = BotocoreStubber()

    @property
    def iot(self) -> IoTBackend:
        """moto's own state of AWS IoT."""
        backend: IoTBackend = iot_backends[ACCOUNT][REGION]
        return backend

    def answer(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        """Do what was asked, or refuse it as AWS would."""
        try:
            check(call.service, call.operation, call.parameters, REGION)
            stand_in = STAND_INS.get((call.service, call.operation))
            answer = (
                response(200, json.dumps(stand_in(self, call.parameters)).encode())
                if stand_in
                else self._by_moto(call, request)
            )
        except Refusal as refusal:
            return refused(call, refusal)
        if answer.status_code < 300:
            asked = {name: value for name, value in call.parameters.items() if not hasattr(value, "read")}
            self.state.reached.append(Reached(self.run, str(call), asked))
            self._follow(call)
            self.after(call)
        return answer

    def unheard(self) -> None:
        """Note that nobody heard the last answer."""
        self.state.reached[-1].heard = False

    def _by_moto(self, call: Call, request: AWSPreparedRequest) -> AWSResponse:
        if call.service == "iot":
            asked = normalize_request(request)
            try:
                answered: Any = IoTResponse.dispatch(asked, asked.raw_url, asked.headers)
            except HTTPException as error:
                answered = error.code, dict(error.get_headers()), error.get_body()
        else:
            answered = self._moto.process_request(request)
        if answered is None:
            raise AssertionError(f"neither moto nor a stand-in knows {call}")
        status, headers, body = answered
        if status < 300 and call.service == "iot" and call.operation in PAGED:
            paged = corrected(call.service, call.operation, call.parameters, json.loads(body), page=PAGE)
            body = json.dumps(paged)
        given = body.encode() if isinstance(body, str) else bytes(body)
        return response(int(status), given, {str(name): str(value) for name, value in headers.items()})

    def _follow(self, call: Call) -> None:
        if call.operation == "CancelJobExecution":
            self.tell_of_job(call.parameters["jobId"], call.parameters["thingName"], "CANCELED")

    def move(self, job_id: str, thing: str, status: str) -> None:
        """Let a device move its execution; an end is told by an event, as AWS IoT does."""
        execution = self.iot.job_executions[job_id, thing]
        if execution.status not in ("QUEUED", "IN_PROGRESS"):
            return
        execution.status = status
        if status != "IN_PROGRESS":
            self.tell_of_job(job_id, thing, status)

    def tell_of_job(self, job_id: str, thing: str, status: str) -> None:
        """Put the event of an execution's end where the IoT rule puts it."""
        self.state.job_events += 1
        event = a_job_event(job_id, thing, status, number=self.state.job_events)
        self.state.queues["JobEventQueue"].send(json.dumps(event), self.state.clock())

    def snapshot(self, *also: Any) -> bytes:
        """Write down everything there is."""
        backends = {name: dict(_backend(name).__dict__) for name in _BACKENDS}
        return pickle.dumps((backends, self.state, also))

    def restore(self, snapshot: bytes) -> tuple[Any, ...]:
        """Make everything as it was; gives what was written down beside it."""
        backends, self.state, also = pickle.loads(snapshot)  # noqa: S301 - our own, of a moment ago
        for name, kept in backends.items():
            _backend(name).__dict__.clear()
            _backend(name).__dict__.update(kept)
        return tuple(also)


def _backend(name: Any) -> Any:
    return get_backend(name)[ACCOUNT][_BACKENDS[name]]


# --- what moto lacks ---------------------------------------------------------------------------------------------

type _StandIn = Callable[[MotoCloud, Mapping[str, Any]], dict[str, Any]]


@cache
def _authority() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _certificate_from_csr(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Certify the key in the request, anew each time: moto makes a key of its own, and the certificate ACTIVE."""
    csr = x509.load_pem_x509_csr(asked["certificateSigningRequest"].encode())
    cloud.state.certificates_made += 1
    certificate = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(csr.subject)
        .public_key(csr.public_key())
        .serial_number(1000 + cloud.state.certificates_made)
        .not_valid_before(NOON)
        .not_valid_after(NOON + timedelta(days=9000))
        .sign(_authority(), hashes.SHA256())
    )
    status = "ACTIVE" if asked.get("setAsActive") else "INACTIVE"
    made = FakeCertificate(certificate.public_bytes(Encoding.PEM).decode(), status, ACCOUNT, REGION)
    cloud.iot.certificates[made.certificate_id] = made
    return {
        "certificateArn": made.arn,
        "certificateId": made.certificate_id,
        "certificatePem": made.certificate_pem,
    }


def _delete_certificate(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Delete what the rules let be deleted: moto stumbles over groups that have policies."""
    del cloud.iot.certificates[asked["certificateId"]]
    return {}


def _effective_policies(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add up what a certificate and its thing's groups give."""
    groups = cloud.iot.list_thing_groups_for_thing(asked["thingName"])
    targets = [asked["principal"], *(group["groupArn"] for group in groups)]
    found = {policy.name: policy.arn for target in targets for policy in cloud.iot.list_attached_policies(target)}
    return {"effectivePolicies": [{"policyName": name, "policyArn": arn} for name, arn in found.items()]}


def _close_session(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    if asked["clientId"] not in cloud.state.sessions:
        raise Refusal("ResourceNotFoundException", "no such client is connected")
    cloud.state.sessions.remove(asked["clientId"])
    return {}


def _publish(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    cloud.state.replies.append((asked["topic"], json.loads(asked["payload"])))
    return {}


def _active_violations(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    found = cloud.state.violations.get(asked["thingName"], [])
    begin = int(asked.get("nextToken", "0"))
    following = {"nextToken": str(begin + PAGE)} if begin + PAGE < len(found) else {}
    return {"activeViolations": [{"violationId": each} for each in found[begin : begin + PAGE]], **following}


def _audit_finding(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    found = cloud.state.audit_findings.get(asked["findingId"])
    if found is None:
        raise Refusal("ResourceNotFoundException", "there is no such finding")
    return {"finding": found}


def _audit_findings(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    found = [
        each
        for each in cloud.state.audit_findings.values()
        if (each["taskId"], each["checkName"]) == (asked["taskId"], asked["checkName"])
    ]
    begin = int(asked.get("nextToken", "0"))
    following = {"nextToken": str(begin + PAGE)} if begin + PAGE < len(found) else {}
    return {"findings": found[begin : begin + PAGE], **following}


def _event_configurations(cloud: MotoCloud, _asked: Mapping[str, Any]) -> dict[str, Any]:
    return {"eventConfigurations": cloud.state.event_configurations}


def _enable_events(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    cloud.state.event_configurations = dict(asked["eventConfigurations"])
    return {}


def _put_events(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    cloud.state.announced.extend(json.loads(entry["Detail"]) for entry in asked["Entries"])
    return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(cloud.state.announced))} for _ in asked["Entries"]]}


def _import_findings(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    cloud.state.hub.update({finding["Id"]: finding for finding in asked["Findings"]})
    return {"FailedCount": 0, "SuccessCount": len(asked["Findings"])}


def _send_message(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    _queue(cloud, asked).send(asked["MessageBody"], cloud.state.clock())
    return {"MessageId": "1"}


def _send_messages(cloud: MotoCloud, asked: Mapping[str, Any]) -> dict[str, Any]:
    for entry in asked["Entries"]:
        group, once = entry["MessageGroupId"], entry["MessageDeduplicationId"]
        _queue(cloud, asked).send(entry["MessageBody"], cloud.state.clock(), group=group, once=once)
    return {"Successful": [{"Id": entry["Id"], "MessageId": entry["Id"]} for entry in asked["Entries"]], "Failed": []}


def _queue(cloud: MotoCloud, asked: Mapping[str, Any]) -> Queue:
    return cloud.state.queues[asked["QueueUrl"].rsplit("/", 1)[1]]


def _on_table(do: Callable[[table.Items, Mapping[str, Any]], dict[str, Any]]) -> _StandIn:
    return lambda cloud, asked: do(cloud.state.ledger, asked)


STAND_INS: dict[tuple[str, str], _StandIn] = {
    ("iot", "CreateCertificateFromCsr"): _certificate_from_csr,
    ("iot", "DeleteCertificate"): _delete_certificate,
    ("iot", "GetEffectivePolicies"): _effective_policies,
    ("iot", "ListActiveViolations"): _active_violations,
    ("iot", "DescribeAuditFinding"): _audit_finding,
    ("iot", "ListAuditFindings"): _audit_findings,
    ("iot", "DescribeEventConfigurations"): _event_configurations,
    ("iot", "UpdateEventConfigurations"): _enable_events,
    ("iot-data", "DeleteConnection"): _close_session,
    ("iot-data", "Publish"): _publish,
    ("dynamodb", "GetItem"): _on_table(table.get),
    ("dynamodb", "PutItem"): _on_table(table.put),
    ("dynamodb", "TransactWriteItems"): _on_table(table.transact),
    ("dynamodb", "Query"): _on_table(table.query),
    ("events", "PutEvents"): _put_events,
    ("securityhub", "BatchImportFindings"): _import_findings,
    ("sqs", "SendMessage"): _send_message,
    ("sqs", "SendMessageBatch"): _send_messages,
}


def on_clock(moment: Callable[[], datetime]) -> Callable[[], datetime]:
    """Give the time as moto keeps it: in UTC, without saying so."""
    return lambda: moment().replace(tzinfo=None)
