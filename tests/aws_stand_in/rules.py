"""What AWS refuses in a state in which moto does not: rules that are asked of moto's own state before a request."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.iot.models import FakeThingGroup, IoTBackend

from tests.aws_stand_in.refusal import Refusal
from warden.core.quotas import POLICIES_PER_CERTIFICATE, SUBJECT_CHARACTERS, TARGETS_PER_JOB

ACCOUNT = "123456789012"
"""The account that moto plays."""
REGION = "us-east-1"

_GROUPS_PER_THING = 10
_POLICIES_PER_GROUP = 2
_TIMEOUT_MINUTES = 10080
_SETTABLE = ("ACTIVE", "INACTIVE", "REVOKED")
_OPEN = ("QUEUED", "IN_PROGRESS")

UNDER_TRANSFER = "PENDING_TRANSFER"

type Rule = Callable[[IoTBackend, Mapping[str, Any]], None]


# --- jobs --------------------------------------------------------------------------------------------------------


def new_job(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a job id that is taken, a timeout out of range, too many targets and targets that are not there."""
    if asked["jobId"] in backend.jobs:
        raise Refusal("ResourceAlreadyExistsException", "the job exists, whatever its document and targets are")
    minutes = asked.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes", 1)
    if not 1 <= minutes <= _TIMEOUT_MINUTES:
        raise Refusal("InvalidRequestException", "inProgressTimeoutInMinutes is out of range")
    if len(asked["targets"]) > TARGETS_PER_JOB:
        raise Refusal("LimitExceededException", f"a job has {TARGETS_PER_JOB} targets at most")
    known = {*backend.things, *backend.thing_groups}
    if unknown := [target for target in asked["targets"] if target not in known]:
        raise Refusal("ResourceNotFoundException", f"there is no {unknown[0]}")


def known_job(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a job that is not there."""
    if asked["jobId"] not in backend.jobs:
        raise Refusal("ResourceNotFoundException", "there is no such job")


def open_execution(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse an execution that is not there or has ended."""
    execution = backend.job_executions.get((asked["jobId"], asked["thingName"]))
    if execution is None:
        raise Refusal("ResourceNotFoundException", "there is no such execution")
    if execution.status not in _OPEN:
        raise Refusal("InvalidStateTransitionException", f"the execution is {execution.status} already")


# --- groups ------------------------------------------------------------------------------------------------------


def room_in_groups(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse an eleventh group, and a second one of a hierarchy."""
    arn = _arn_of_thing(backend, asked["thingName"])
    leaves = asked.get("thingGroupsToRemove", [])
    joins = asked.get("thingGroupsToAdd", [asked["thingGroupName"]] if "thingGroupName" in asked else ())
    _none_dynamic(backend, [*joins, *leaves])
    groups = {named(group): group for group in backend.thing_groups.values()}
    joined = [group for name, group in groups.items() if arn in group.things and name not in leaves]
    for wanted in (groups[name] for name in joins if name in groups):
        if wanted in joined:
            continue
        if len(joined) >= _GROUPS_PER_THING:
            raise Refusal("InvalidRequestException", "a thing is in ten groups at most")
        if any(_root(group) == _root(wanted) for group in joined):
            raise Refusal("InvalidRequestException", f"the thing is in another group below {_root(wanted)}: hierarchy")
        joined.append(wanted)


def joinable(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse to take a thing out of a dynamic group."""
    _none_dynamic(backend, [asked["thingGroupName"]])


def _none_dynamic(backend: IoTBackend, names: Iterable[str]) -> None:
    if dynamic := [name for name in names if name in dynamic_groups(backend)]:
        raise Refusal("InvalidRequestException", f"{dynamic[0]} is dynamic: its query decides who is in it")


def dynamic_groups(backend: IoTBackend) -> dict[str, str]:
    """Remember, beside moto's state, the query of each dynamic group by its name."""
    kept: dict[str, str] = backend.__dict__.setdefault("dynamic_groups", {})
    return kept


def _arn_of_thing(backend: IoTBackend, name: str) -> str:
    return next((str(thing.arn) for thing in backend.things.values() if thing.thing_name == name), "")


def named(group: FakeThingGroup) -> str:
    """Name a group."""
    return str(group.thing_group_name)


def _root(group: FakeThingGroup) -> str:
    above = group.metadata.get("rootToParentThingGroups", [])
    return str(above[0]["groupName"]) if above else named(group)


# --- policies and certificates -----------------------------------------------------------------------------------


def room_for_policy(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a policy more than a certificate or a group carries."""
    attached = [policy for target, policy in backend.principal_policies if target == asked["target"]]
    if asked["target"].rpartition("/")[2] in dynamic_groups(backend):
        raise Refusal("InvalidRequestException", "a dynamic group carries no policies")
    certificate = backend.certificates.get(asked["target"].rpartition("/")[2])
    if certificate is not None and certificate.status == UNDER_TRANSFER:
        raise Refusal("InvalidRequestException", "a certificate under transfer has no policies")
    most = _POLICIES_PER_GROUP if ":thinggroup/" in asked["target"] else POLICIES_PER_CERTIFICATE
    if asked["policyName"] not in attached and len(attached) >= most:
        raise Refusal("LimitExceededException", f"{asked['target']} carries {most} policies already")


def settable_status(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a status that only AWS IoT sets, and any for a certificate that it has set under transfer."""
    if asked["newStatus"] not in _SETTABLE:
        raise Refusal("InvalidRequestException", f"a certificate cannot be set {asked['newStatus']}")
    certificate = backend.certificates.get(asked["certificateId"])
    if certificate is not None and certificate.status == UNDER_TRANSFER:
        raise Refusal("CertificateStateException", "the transfer is accepted, rejected or cancelled first")


def transferable(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse to transfer a certificate that is ACTIVE or has policies."""
    certificate = backend.certificates.get(asked["certificateId"])
    if certificate is None:
        raise Refusal("ResourceNotFoundException", "there is no such certificate")
    if certificate.status == "ACTIVE":
        raise Refusal("CertificateStateException", "an ACTIVE certificate is not transferred")
    if any(target == certificate.arn for target, _ in backend.principal_policies):
        raise Refusal("TransferConflictException", "policies must be detached before")


def deletable(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse to delete a certificate that is ACTIVE or in use."""
    certificate = backend.certificates.get(asked["certificateId"])
    if certificate is None:
        raise Refusal("ResourceNotFoundException", "there is no such certificate")
    if certificate.status in ("ACTIVE", UNDER_TRANSFER):
        raise Refusal("CertificateStateException", f"a certificate that is {certificate.status} is not deleted")
    if any(principal == certificate.arn for principal, _ in backend.principal_things):
        raise Refusal("DeleteConflictException", "things must be detached before")
    if not asked.get("forceDelete") and any(target == certificate.arn for target, _ in backend.principal_policies):
        raise Refusal("DeleteConflictException", "policies must be detached before")


def for_this_thing_alone(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a second thing for a principal that is attached to one exclusively."""
    others = [
        thing
        for principal, thing in backend.principal_things
        if principal == asked["principal"] and thing != asked["thingName"]
    ]
    exclusive = asked.get("thingPrincipalType") == "EXCLUSIVE_THING" or asked["principal"] in _exclusive(backend)
    if exclusive and others:
        raise Refusal("InvalidRequestException", f"the principal is attached to {others[0]}")
    if asked.get("thingPrincipalType") == "EXCLUSIVE_THING":
        _exclusive(backend).add(asked["principal"])


def _exclusive(backend: IoTBackend) -> set[str]:
    """Remember, beside moto's state, the principals that are attached to one thing alone."""
    kept: set[str] = backend.__dict__.setdefault("exclusive_principals", set())
    return kept


def sendable_subject(_backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """Refuse a subject that is not a line of printable ASCII under 100 characters."""
    subject = asked.get("Subject", "a subject")
    fits = subject.isascii() and subject.isprintable() and not subject.startswith(" ")
    if not fits or not 0 < len(subject) <= SUBJECT_CHARACTERS:
        raise Refusal("InvalidParameter", "Invalid parameter: Subject")


# --- uploads -----------------------------------------------------------------------------------------------------

_BEFORE_MARCH_2019 = (
    *("us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2"),
    *("eu-west-3", "eu-central-1", "eu-north-1", "ap-south-1", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3"),
    *("ap-southeast-1", "ap-southeast-2"),
)


def upload_status(host: str, bucket: str, region: str, *, is_young: bool) -> int:
    """Return what S3 answers to an upload to a host (S3 user guide, VirtualHosting and Redirects).

    The global host is us-east-1's. It redirects until its name server knows a young bucket, and never knows one of a
    region opened after 20 March 2019.
    """
    if host == f"{bucket}.s3.{region}.amazonaws.com":
        return 204
    if host != f"{bucket}.s3.amazonaws.com":
        return 404
    if region == "us-east-1":
        return 204
    if region not in _BEFORE_MARCH_2019:
        return 400
    return 307 if is_young else 204
