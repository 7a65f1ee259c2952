"""The answers of AWS for operations that moto lacks or treats differently, and the memory behind them.

Each answer takes that memory and the request's parameters. A list is answered whole: its pages are cut where the table
says how (behaviour.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from moto.acmpca.models import acmpca_backends
from moto.iot.models import FakeCertificate, IoTBackend, iot_backends

from tests.account_model import AccountModel
from tests.aws_stand_in import groups
from tests.aws_stand_in.authority import Authority
from tests.aws_stand_in.refusal import Refusal
from tests.aws_stand_in.rules import ACCOUNT, REGION, UNDER_TRANSFER

_SIGNED_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(kw_only=True)
class AwsState:
    """The state that moto has no place for. A test sets it up, and checks it afterwards."""

    violations: dict[str, list[str]] = field(default_factory=dict)
    """By thing: the ids of the violations that Device Defender lists as active."""
    audit_findings: dict[str, dict[str, Any]] = field(default_factory=dict)
    sessions: set[str] = field(default_factory=set)
    """The ids of the clients that are connected."""
    event_configurations: dict[str, Any] = field(default_factory=dict)
    replies: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    announced: list[dict[str, Any]] = field(default_factory=list)
    hub: dict[str, Any] = field(default_factory=dict)
    certificates_made: int = 0
    cancelled: list[tuple[str, str]] = field(default_factory=list)
    """Job and thing of each execution that ended because its job was cancelled, until an event has told of it."""
    authority: Authority = field(default_factory=Authority)
    account: AccountModel = field(default_factory=AccountModel)
    """The settings that a survey reads."""

    detaches_late: bool = False
    """Whether a detachment from a thing takes until `propagate`."""
    detached: list[tuple[str, str]] = field(default_factory=list)
    """Thing and principal of each detachment that is not effective yet."""

    def now(self) -> datetime:
        """Return the time."""
        return datetime.now(UTC)

    def propagate(self) -> None:
        """Make every detachment effective."""
        for thing, principal in self.detached:
            _iot().detach_thing_principal(thing, principal)
        self.detached.clear()


def _iot() -> IoTBackend:
    backend: IoTBackend = iot_backends[ACCOUNT][REGION]
    return backend


@cache
def _signing_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _certified(request: str, number: int) -> str:
    """Certify a key. A signature contains a random number: it is stored, so that it is the same in every run."""
    try:
        csr = x509.load_pem_x509_csr(request.encode())
    except ValueError as error:
        raise Refusal("InvalidRequestException", "the CSR cannot be read") from error
    certificate = (
        x509.CertificateBuilder()
        .subject_name(csr.subject)
        .issuer_name(csr.subject)
        .public_key(csr.public_key())
        .serial_number(1000 + number)
        .not_valid_before(_SIGNED_AT)
        .not_valid_after(_SIGNED_AT + timedelta(days=9000))
        .sign(_signing_key(), hashes.SHA256())
    )
    return certificate.public_bytes(Encoding.PEM).decode()


def certificate_from_csr(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Certify the key in the request, a new certificate each time."""
    pem = _certified(asked["certificateSigningRequest"], state.certificates_made + 1)
    state.certificates_made += 1
    made = FakeCertificate(pem, "ACTIVE" if asked.get("setAsActive") else "INACTIVE", ACCOUNT, REGION)
    _iot().certificates[made.certificate_id] = made
    return {
        "certificateArn": made.arn,
        "certificateId": made.certificate_id,
        "certificatePem": made.certificate_pem,
    }


def describe_certificate(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Describe a certificate with the CA under which it is registered, which moto leaves out."""
    certificate = _iot().certificates.get(asked["certificateId"])
    if certificate is None or not certificate.ca_certificate_id:
        return None
    described = {**certificate.to_description_dict(), "caCertificateId": certificate.ca_certificate_id}
    return {"certificateDescription": described}


def detach_thing(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Take a detachment that is effective later; moto's own are at once."""
    pair = (asked["principal"], asked["thingName"])
    if not state.detaches_late or pair not in _iot().principal_things:
        return None
    if pair[::-1] not in state.detached:
        state.detached.append((asked["thingName"], asked["principal"]))
    return {}


def delete_certificate(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Delete what the rules let be deleted."""
    del _iot().certificates[asked["certificateId"]]
    return {}


def transfer_certificate(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Offer a certificate to another account, which does not answer."""
    certificate = _iot().certificates[asked["certificateId"]]
    certificate.status = UNDER_TRANSFER
    return {"transferredCertificateArn": certificate.arn}


def cancel_transfer(_state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take the offer back: the certificate is INACTIVE, whatever it was."""
    certificate = _iot().certificates.get(asked["certificateId"])
    if certificate is None or certificate.status != UNDER_TRANSFER:
        raise Refusal("ResourceNotFoundException", "there is no such certificate under transfer")
    certificate.status = "INACTIVE"
    return {}


def cancel_job(state: AwsState, asked: Mapping[str, Any]) -> None:
    """Cancel the executions that have not begun, with `force` those under way as well; moto cancels the job alone."""
    open_ones = ("QUEUED", "IN_PROGRESS") if asked.get("force") else ("QUEUED",)
    for (job, thing), execution in _iot().job_executions.items():
        if job == asked["jobId"] and execution.status in open_ones:
            execution.status = "CANCELED"
            state.cancelled.append((job, thing))


def effective_policies(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Add up what a certificate and its thing's groups give, those above them included."""
    of_groups = groups.inherited(groups.groups_of(state, asked["thingName"]))
    found = {policy.name: policy.arn for policy in (*_iot().list_attached_policies(asked["principal"]), *of_groups)}
    return {"effectivePolicies": [{"policyName": name, "policyArn": arn} for name, arn in found.items()]}


def close_session(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Close a client's session."""
    if asked["clientId"] not in state.sessions:
        raise Refusal("ResourceNotFoundException", "no such client is connected")
    state.sessions.remove(asked["clientId"])
    return {}


def publish(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take a message for a device."""
    state.replies.append((asked["topic"], json.loads(asked["payload"])))
    return {}


def active_violations(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List a thing's active violations."""
    thing = asked["thingName"]
    return {"activeViolations": [{"violationId": each, "thingName": thing} for each in state.violations.get(thing, [])]}


def audit_finding(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Read a finding of an audit."""
    found = state.audit_findings.get(asked["findingId"])
    if found is None:
        raise Refusal("ResourceNotFoundException", "there is no such finding")
    return {"finding": found}


def audit_findings(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """List what a check of an audit found; what was suppressed only when it is asked for."""
    wanted = (asked["taskId"], asked["checkName"])
    found = [each for each in state.audit_findings.values() if (each.get("taskId"), each.get("checkName")) == wanted]
    if not asked.get("listSuppressedFindings"):
        found = [each for each in found if not each.get("isSuppressed")]
    return {"findings": found}


def event_configurations(state: AwsState, _asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return which events AWS IoT publishes."""
    if "iot:DescribeEventConfigurations" in state.account.denied:
        raise Refusal("AccessDeniedException", "User is not authorized")
    return {"eventConfigurations": state.event_configurations}


def enable_events(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the configurations as one: the new ones are all there are."""
    state.event_configurations = dict(asked["eventConfigurations"])
    return {}


def put_events(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Take events for the bus."""
    state.announced.extend(json.loads(entry["Detail"]) for entry in asked["Entries"])
    return {"FailedEntryCount": 0, "Entries": [{"EventId": str(len(state.announced))} for _ in asked["Entries"]]}


def import_findings(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Keep each finding as it is now, by its id."""
    state.hub.update({finding["Id"]: finding for finding in asked["Findings"]})
    return {"FailedCount": 0, "SuccessCount": len(asked["Findings"])}


def describe_authority(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Describe an authority."""
    return None if _is_motos(asked) else state.authority.described(asked)


def sign(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Sign a request by an authority."""
    return None if _is_motos(asked) else state.authority.issue(asked, state.now())


def signed(state: AwsState, asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Hand out what an authority signed."""
    return None if _is_motos(asked) else state.authority.get(asked)


def _is_motos(asked: Mapping[str, Any]) -> bool:
    """Check whether a test had moto make this authority, which then signs as moto does."""
    return asked["CertificateAuthorityArn"] in acmpca_backends[ACCOUNT][REGION].certificate_authorities
