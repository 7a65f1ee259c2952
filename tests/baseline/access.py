"""The access that an account has: role aliases with their roles, generated policies, policies of devices.

The rules are those of AWS's pages: one generation at a time and 50 a day, a token that starts a job once, IAM's
documents encoded for URLs, five versions of a policy. `TestAuthorization` answers by the evaluator of tests/template,
not by that of the command.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from tests.template.iot_policy import admits

type Document = Mapping[str, Any]
type Asked = Mapping[str, Any]

REGION, ACCOUNT = "eu-central-1", "123456789012"
IOT = f"arn:aws:iot:{REGION}:{ACCOUNT}:"


class RefusedError(Exception):
    """Raised where AWS answers with an error."""

    def __init__(self, code: str, status: int = 400) -> None:
        """Take AWS's code and the status of its answer."""
        super().__init__(code)
        self.code, self.status = code, status


@dataclass
class RoleModel:
    """A role in IAM."""

    inline: dict[str, Document] = field(default_factory=dict)
    attached: dict[str, Document] = field(default_factory=dict)
    path: str = "/"
    boundary: str = ""
    last_used: datetime | None = None


@dataclass
class JobModel:
    """A generation. `polls` is how often it is listed before it ends."""

    id: str
    role: str
    token: str
    started: datetime
    asked: Asked
    status: str = "IN_PROGRESS"
    completed: datetime | None = None
    polls: int | None = None


@dataclass
class PolicyModel:
    """A policy of AWS IoT with its versions."""

    versions: dict[str, Document | str]
    default: str

    @property
    def text(self) -> str:
        """The default version as AWS IoT keeps it."""
        document = self.versions[self.default]
        return document if isinstance(document, str) else json.dumps(document)


@dataclass
class AccessModel:
    """The account's part of this. `roles` is by name; aliases map to ARNs."""

    aliases: dict[str, str] = field(default_factory=dict)
    roles: dict[str, RoleModel] = field(default_factory=dict)
    jobs: list[JobModel] = field(default_factory=list)
    seen: dict[str, list[Document]] = field(default_factory=dict)
    """By role: the policies that a generation finds."""
    failures: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By role: code and message of a generation that fails."""
    complete: bool = True
    polls: int | None = None
    """How many times a new job is listed before it ends; None: the test ends it."""
    most_a_day: int = 50
    start_fails: tuple[str, int] | None = None
    raw_policy: str = ""
    """A generated policy that is not JSON."""
    policies: dict[str, PolicyModel] = field(default_factory=dict)
    attached: dict[str, list[str]] = field(default_factory=dict)
    """By target: the policies that are attached to it."""
    certificates: dict[str, list[str]] = field(default_factory=dict)
    """By the ARN of a certificate: its things."""
    groups: dict[str, list[str]] = field(default_factory=dict)
    """By thing group: its things."""
    takes_names: bool = True
    """Whether TestAuthorization heeds the names of policies to add and to skip."""
    made: list[str] = field(default_factory=list)
    """The policies that were created, in order."""
    asked_to_judge: int = 0

    def alias(self, name: str, role: str, **model: Any) -> RoleModel:
        """Add an alias and its role."""
        path = model.get("path", "/")
        self.aliases[name] = f"arn:aws:iam::{ACCOUNT}:role{path}{role}"
        return self.roles.setdefault(role, RoleModel(**model))

    def end(self, *, status: str = "SUCCEEDED", when: datetime | None = None) -> None:
        """End the job that runs."""
        for job in self.jobs:
            if job.status == "IN_PROGRESS":
                job.status = "FAILED" if job.role.rpartition("/")[2] in self.failures else status
                job.completed = when or datetime.now(UTC)

    def policy(self, name: str, document: Document | str, *, versions: int = 1) -> None:
        """Add a policy whose default is its last version."""
        older: dict[str, Document | str] = {str(number): {"Statement": []} for number in range(1, versions)}
        self.policies[name] = PolicyModel({**older, str(versions): document}, str(versions))

    def device(self, *things: str, policies: tuple[str, ...] = ()) -> str:
        """Add a certificate with its things, and attach policies to it."""
        arn = f"{IOT}cert/{len(self.certificates):064x}"
        self.certificates[arn] = [*things]
        self.attached[arn] = [*policies]
        return arn

    def group(self, name: str, *things: str, policies: tuple[str, ...] = ()) -> None:
        """Add a group of things, and attach policies to it."""
        self.groups[name] = [*things]
        self.attached[f"{IOT}thinggroup/{name}"] = [*policies]

    def effective(self, principal: str, thing: str) -> list[str]:
        """Name the policies of a certificate, and of the groups of its thing."""
        groups = [f"{IOT}thinggroup/{name}" for name, things in self.groups.items() if thing in things]
        return [*dict.fromkeys(name for target in (principal, *groups) for name in self.attached.get(target, []))]


def _list_aliases(here: AccessModel, asked: Asked) -> dict[str, Any]:
    begin = int(asked.get("marker", 0))
    end = begin + int(asked.get("pageSize", 25))
    names = sorted(here.aliases)
    return {"roleAliases": names[begin:end]} | ({"nextMarker": str(end)} if end < len(names) else {})


def _alias(here: AccessModel, asked: Asked) -> dict[str, Any]:
    name = asked["roleAlias"]
    return {"roleAliasDescription": {"roleAlias": name, "roleArn": here.aliases[name]}}


def _role(here: AccessModel, asked: Asked) -> dict[str, Any]:
    name = asked["RoleName"]
    role = _found(here, name)
    described: dict[str, Any] = {"Arn": f"arn:aws:iam::{ACCOUNT}:role{role.path}{name}", "RoleName": name}
    described |= {"Path": role.path, "RoleId": "AROA", "CreateDate": 0}
    if role.boundary:
        described["PermissionsBoundary"] = {"PermissionsBoundaryArn": role.boundary}
    if role.last_used:
        described["RoleLastUsed"] = {"LastUsedDate": role.last_used, "Region": REGION}
    return {"Role": described}


def _found(here: AccessModel, name: str) -> RoleModel:
    if name not in here.roles:
        raise RefusedError("NoSuchEntity", 404)
    return here.roles[name]


def _inline_policy(here: AccessModel, asked: Asked) -> dict[str, Any]:
    role, policy = asked["RoleName"], asked["PolicyName"]
    document = quote(json.dumps(_found(here, role).inline[policy]))
    return {"RoleName": role, "PolicyName": policy, "PolicyDocument": document}


def _attached(here: AccessModel, asked: Asked) -> dict[str, Any]:
    arns = _found(here, asked["RoleName"]).attached
    return {"AttachedPolicies": [{"PolicyArn": arn, "PolicyName": arn.rpartition("/")[2]} for arn in arns]}


def _policy_version(here: AccessModel, asked: Asked) -> dict[str, Any]:
    assert asked["VersionId"] == "v3"
    [document] = [
        role.attached[asked["PolicyArn"]] for role in here.roles.values() if asked["PolicyArn"] in role.attached
    ]
    return {"PolicyVersion": {"VersionId": "v3", "Document": quote(json.dumps(document))}}


def _list_generations(here: AccessModel, asked: Asked) -> dict[str, Any]:
    assert set(asked) <= {"nextToken", "maxResults"}, "all are listed: somebody else's keeps ours from starting"
    rows = [
        {"jobId": job.id, "principalArn": job.role, "status": job.status, "startedOn": job.started}
        | ({"completedOn": job.completed} if job.completed else {})
        for job in here.jobs
    ]
    for job in here.jobs:
        if job.status == "IN_PROGRESS" and job.polls is not None:
            job.polls -= 1
            if job.polls <= 0:
                here.end()
    begin = int(asked.get("nextToken", 0))
    return {"policyGenerations": rows[begin : begin + 2]} | (
        {"nextToken": str(begin + 2)} if begin + 2 < len(rows) else {}
    )


def _start(here: AccessModel, asked: Asked) -> dict[str, Any]:
    if here.start_fails:
        raise RefusedError(*here.start_fails)
    token = asked["clientToken"]
    for job in here.jobs:
        if job.token == token:
            return {"jobId": job.id}
    if any(job.status == "IN_PROGRESS" for job in here.jobs):
        raise RefusedError("ConflictException", 409)
    if len(here.jobs) >= here.most_a_day:
        raise RefusedError("ServiceQuotaExceededException", 402)
    job = JobModel(
        id=f"job-{len(here.jobs)}",
        role=asked["policyGenerationDetails"]["principalArn"],
        token=token,
        started=datetime.now(UTC),
        asked=asked,
        polls=here.polls,
    )
    here.jobs.append(job)
    return {"jobId": job.id}


def _generated(here: AccessModel, asked: Asked) -> dict[str, Any]:
    assert asked["includeResourcePlaceholders"] is True
    assert asked["includeServiceLevelTemplate"] is True
    [job] = [each for each in here.jobs if each.id == asked["jobId"]]
    details: dict[str, Any] = {"jobId": job.id, "status": job.status, "startedOn": job.started}
    name = job.role.rpartition("/")[2]
    if job.status == "FAILED":
        code, message = here.failures[name]
        details["jobError"] = {"code": code, "message": message}
        return {"jobDetails": details, "generatedPolicyResult": {"properties": {"principalArn": job.role}}}
    trails = job.asked.get("cloudTrailDetails", {})
    properties = {
        "principalArn": job.role,
        "isComplete": here.complete,
        "cloudTrailProperties": {
            "trailProperties": trails.get("trails", []),
            "startTime": trails.get("startTime", job.started),
            "endTime": trails.get("endTime", job.started),
        },
    }
    policies = [{"policy": here.raw_policy or json.dumps(each)} for each in here.seen.get(name, [])]
    return {"jobDetails": details, "generatedPolicyResult": {"properties": properties, "generatedPolicies": policies}}


def _policy(here: AccessModel, asked: Asked) -> dict[str, Any]:
    policy = here.policies.get(asked["policyName"])
    if policy is None:
        raise RefusedError("ResourceNotFoundException", 404)
    name = asked["policyName"]
    return {
        "policyName": name,
        "policyArn": f"{IOT}policy/{name}",
        "policyDocument": policy.text,
        "defaultVersionId": policy.default,
    }


def _versions(here: AccessModel, asked: Asked) -> dict[str, Any]:
    policy = here.policies[asked["policyName"]]
    rows = [{"versionId": each, "isDefaultVersion": each == policy.default} for each in policy.versions]
    return {"policyVersions": [*reversed(rows)]}


def _targets(here: AccessModel, asked: Asked) -> dict[str, Any]:
    targets = [target for target, names in here.attached.items() if asked["policyName"] in names]
    begin = len(asked.get("marker", ""))
    return {"targets": targets[begin : begin + 3]} | (
        {"nextMarker": "A" * (begin + 3)} if len(targets) > begin + 3 else {}
    )


def _principals(here: AccessModel, asked: Asked) -> dict[str, Any]:
    principals = [arn for arn, things in here.certificates.items() if asked["thingName"] in things]
    return {"principals": [*principals, "eu-central-1:cognito-identity"]}


def _effective(here: AccessModel, asked: Asked) -> dict[str, Any]:
    names = here.effective(asked["principal"], asked.get("thingName", ""))
    return {"effectivePolicies": [{"policyName": name, "policyDocument": here.policies[name].text} for name in names]}


def _create_policy(here: AccessModel, asked: Asked) -> dict[str, Any]:
    name = asked["policyName"]
    if name in here.policies:
        raise RefusedError("ResourceAlreadyExistsException", 409)
    if len("".join(asked["policyDocument"].split())) > 2048:
        raise RefusedError("MalformedPolicyException")
    here.policies[name] = PolicyModel({"1": asked["policyDocument"]}, "1")
    here.made.append(name)
    return {"policyName": name}


def _delete_policy(here: AccessModel, asked: Asked) -> dict[str, Any]:
    if any(asked["policyName"] in names for names in here.attached.values()):
        raise RefusedError("DeleteConflictException", 409)
    if here.policies.pop(asked["policyName"], None) is None:
        raise RefusedError("ResourceNotFoundException", 404)
    return {}


def _judge(here: AccessModel, asked: Asked) -> dict[str, Any]:
    here.asked_to_judge += 1
    thing, names = asked["clientId"], here.effective(asked["principal"], asked["clientId"])
    if here.takes_names:
        names = [*(each for each in names if each not in asked["policyNamesToSkip"]), *asked["policyNamesToAdd"]]
    documents = [json.loads(here.policies[name].text) for name in names]
    results = []
    for info in asked["authInfos"]:
        [resource] = info["resources"]
        allowed = admits(documents, f"iot:{info['actionType'].title()}", resource, thing)
        results.append({"authInfo": info, "authDecision": "ALLOWED" if allowed else "IMPLICIT_DENY"})
    return {"authResults": results}


ANSWERS: Mapping[str, Callable[[AccessModel, Asked], dict[str, Any]]] = {
    "iot:ListRoleAliases": _list_aliases,
    "iot:DescribeRoleAlias": _alias,
    "iam:GetRole": _role,
    "iam:ListRolePolicies": lambda here, asked: {"PolicyNames": [*_found(here, asked["RoleName"]).inline]},
    "iam:GetRolePolicy": _inline_policy,
    "iam:ListAttachedRolePolicies": _attached,
    "iam:GetPolicy": lambda _here, asked: {"Policy": {"Arn": asked["PolicyArn"], "DefaultVersionId": "v3"}},
    "iam:GetPolicyVersion": _policy_version,
    "access-analyzer:ListPolicyGenerations": _list_generations,
    "access-analyzer:StartPolicyGeneration": _start,
    "access-analyzer:GetGeneratedPolicy": _generated,
    "iot:GetPolicy": _policy,
    "iot:ListPolicyVersions": _versions,
    "iot:ListTargetsForPolicy": _targets,
    "iot:ListPrincipalThings": lambda here, asked: {"things": here.certificates[asked["principal"]]},
    "iot:ListThingsInThingGroup": lambda here, asked: {"things": here.groups[asked["thingGroupName"]]},
    "iot:ListThingPrincipals": _principals,
    "iot:GetEffectivePolicies": _effective,
    "iot:CreatePolicy": _create_policy,
    "iot:DeletePolicy": _delete_policy,
    "iot:TestAuthorization": _judge,
}
