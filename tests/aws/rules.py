"""The stateful rules of AWS that moto lacks, asked of its own state: what AWS would refuse, and how it would answer.

`check` is asked before a request reaches moto, `corrected` after; both know nothing of how the request got there, so
that they hold for clients (strict.py) and on the wire (tests/faults). Facts are AWS's API reference and quotas.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from moto.iot.models import FakeThingGroup, IoTBackend, iot_backends

ACCOUNT = "123456789012"
"""The account that moto plays."""

_GROUPS_PER_THING = 10
_POLICIES_PER_CERTIFICATE = 10
_POLICIES_PER_GROUP = 2
_TARGETS_PER_JOB = 100
_TIMEOUT_MINUTES = 10080
_SUBJECT_CHARACTERS = 100
_DEFAULT_PAGE = 25
_SETTABLE = ("ACTIVE", "INACTIVE", "REVOKED")
_OPEN = ("QUEUED", "IN_PROGRESS")

type Rule = Callable[[IoTBackend, Mapping[str, Any]], None]


class Refusal(Exception):  # noqa: N818 - what AWS answers, not a fault of the program
    """What AWS answers instead of doing it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


class Pages(NamedTuple):
    """How a list is paged: the key of its entries, and the names of the size, of the place asked for, of the next."""

    entries: str
    size: str
    place: str
    following: str


PAGED = {
    "ListCertificates": Pages("certificates", "pageSize", "marker", "nextMarker"),
    "ListAttachedPolicies": Pages("policies", "pageSize", "marker", "nextMarker"),
    "ListTargetsForPolicy": Pages("targets", "pageSize", "marker", "nextMarker"),
    "ListThingPrincipals": Pages("principals", "maxResults", "nextToken", "nextToken"),
    "ListPrincipalThings": Pages("things", "maxResults", "nextToken", "nextToken"),
    "ListThingGroupsForThing": Pages("thingGroups", "maxResults", "nextToken", "nextToken"),
}
"""The lists of AWS IoT that moto gives whole, whatever is asked for."""


def check(service: str, operation: str, parameters: Mapping[str, Any], region: str = "us-east-1") -> None:
    """Refuse what AWS would refuse in the state that moto is in.

    Raises:
        Refusal: with AWS's own code.
    """
    backend = iot_backends[ACCOUNT][region]
    if service == "iot" and operation in PAGED:
        _place(parameters.get(PAGED[operation].place, ""))
    for rule in _RULES.get((service, operation), ()):
        rule(backend, parameters)


def corrected(
    service: str, operation: str, parameters: Mapping[str, Any], answer: dict[str, Any], *, page: int = 250
) -> dict[str, Any]:
    """Give moto's answer as AWS would: in pages of what was asked for, `page` at most, certificates in their order."""
    if service != "iot" or operation not in PAGED:
        return answer
    names = PAGED[operation]
    entries = list(answer[names.entries])
    if operation == "ListCertificates" and not parameters.get("ascendingOrder"):
        entries.reverse()  # moto lists them in the order they were made
    begin = _place(parameters.get(names.place, ""))
    end = begin + min(int(parameters.get(names.size, _DEFAULT_PAGE)), page)
    kept = {key: value for key, value in answer.items() if key not in (names.entries, names.following)}
    following = {names.following: b64encode(f"at {end}".encode()).decode()} if end < len(entries) else {}
    return {**kept, names.entries: entries[begin:end], **following}


def _place(marker: str) -> int:
    if not marker:
        return 0
    try:
        word, number = b64decode(marker, validate=True).decode().split(" ")
        if word == "at":
            return int(number)
    except (Error, ValueError):
        pass
    raise Refusal("InvalidRequestException", "the marker is none that was given")


# --- jobs --------------------------------------------------------------------------------------------------------


def _new_job(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    if asked["jobId"] in backend.jobs:
        raise Refusal("ResourceAlreadyExistsException", "the job exists, whatever its document and targets are")
    minutes = asked.get("timeoutConfig", {}).get("inProgressTimeoutInMinutes", 1)
    if not 1 <= minutes <= _TIMEOUT_MINUTES:
        raise Refusal("InvalidRequestException", "inProgressTimeoutInMinutes is out of range")
    if len(asked["targets"]) > _TARGETS_PER_JOB:
        raise Refusal("LimitExceededException", "a job has a hundred targets at most")
    known = {*backend.things, *backend.thing_groups}
    if unknown := [target for target in asked["targets"] if target not in known]:
        raise Refusal("ResourceNotFoundException", f"there is no {unknown[0]}")


def _known_job(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    if asked["jobId"] not in backend.jobs:
        raise Refusal("ResourceNotFoundException", "there is no such job")


def _open_execution(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    execution = backend.job_executions.get((asked["jobId"], asked["thingName"]))
    if execution is None:
        raise Refusal("ResourceNotFoundException", "there is no such execution")
    if execution.status not in _OPEN:
        raise Refusal("InvalidStateTransitionException", f"the execution is {execution.status} already")


# --- groups ------------------------------------------------------------------------------------------------------


def _room_in_groups(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    """See that a thing may join groups: one by AddThingToThingGroup, or many while it leaves others."""
    arn = _arn_of_thing(backend, asked["thingName"])
    leaves = asked.get("thingGroupsToRemove", ())
    joins = asked.get("thingGroupsToAdd", [asked["thingGroupName"]] if "thingGroupName" in asked else ())
    groups = {_named(group): group for group in backend.thing_groups.values()}
    joined = [group for name, group in groups.items() if arn in group.things and name not in leaves]
    for wanted in (groups[name] for name in joins if name in groups):
        if wanted in joined:
            continue
        if len(joined) >= _GROUPS_PER_THING:
            raise Refusal("InvalidRequestException", "a thing is in ten groups at most")
        if any(_root(group) == _root(wanted) for group in joined):
            raise Refusal("InvalidRequestException", f"the thing is in another group below {_root(wanted)}: hierarchy")
        joined.append(wanted)


def _arn_of_thing(backend: IoTBackend, name: str) -> str:
    return next((str(thing.arn) for thing in backend.things.values() if thing.thing_name == name), "")


def _named(group: FakeThingGroup) -> str:
    return str(group.thing_group_name)


def _root(group: FakeThingGroup) -> str:
    above = group.metadata.get("rootToParentThingGroups", [])
    return str(above[0]["groupName"]) if above else _named(group)


# --- policies and certificates -----------------------------------------------------------------------------------


def _room_for_policy(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    attached = [policy for target, policy in backend.principal_policies if target == asked["target"]]
    most = _POLICIES_PER_GROUP if ":thinggroup/" in asked["target"] else _POLICIES_PER_CERTIFICATE
    if asked["policyName"] not in attached and len(attached) >= most:
        raise Refusal("LimitExceededException", f"{asked['target']} carries {most} policies already")


def _settable_status(_backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    if asked["newStatus"] not in _SETTABLE:
        raise Refusal("InvalidRequestException", f"a certificate cannot be set {asked['newStatus']}")


def _deletable(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    certificate = backend.certificates.get(asked["certificateId"])
    if certificate is None:
        raise Refusal("ResourceNotFoundException", "there is no such certificate")
    if certificate.status == "ACTIVE":
        raise Refusal("CertificateStateException", "an ACTIVE certificate is not deleted")
    if any(principal == certificate.arn for principal, _ in backend.principal_things):
        raise Refusal("DeleteConflictException", "things must be detached before")
    if not asked.get("forceDelete") and any(target == certificate.arn for target, _ in backend.principal_policies):
        raise Refusal("DeleteConflictException", "policies must be detached before")


def _for_this_thing_alone(backend: IoTBackend, asked: Mapping[str, Any]) -> None:
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


def _sendable_subject(_backend: IoTBackend, asked: Mapping[str, Any]) -> None:
    subject = asked.get("Subject", "a subject")
    fits = subject.isascii() and subject.isprintable() and not subject.startswith(" ")
    if not fits or not 0 < len(subject) < _SUBJECT_CHARACTERS:
        raise Refusal("InvalidParameter", "Invalid parameter: Subject")


_RULES: Mapping[tuple[str, str], tuple[Rule, ...]] = {
    ("iot", "CreateJob"): (_new_job,),
    ("iot", "CancelJob"): (_known_job,),
    ("iot", "CancelJobExecution"): (_open_execution,),
    ("iot", "AddThingToThingGroup"): (_room_in_groups,),
    ("iot", "UpdateThingGroupsForThing"): (_room_in_groups,),
    ("iot", "AttachPolicy"): (_room_for_policy,),
    ("iot", "UpdateCertificate"): (_settable_status,),
    ("iot", "DeleteCertificate"): (_deletable,),
    ("iot", "AttachThingPrincipal"): (_for_this_thing_alone,),
    ("sns", "Publish"): (_sendable_subject,),
}
