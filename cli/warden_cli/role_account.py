"""The roles behind the role aliases of AWS IoT, with the policies that they have: read, and never changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from warden.core import quotas
from warden.core.account_facts import Read
from warden_cli.reading import CONFIG, read
from warden_cli.role_rights import RolePolicy

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_iam import IAMClient


@dataclass(frozen=True, kw_only=True)
class Role:
    """A role as IAM describes it."""

    arn: str
    policies: Sequence[RolePolicy]
    boundary: str = ""
    last_used: datetime | None = None


@dataclass(frozen=True)
class Behind:
    """A role's ARN, the aliases that lead to it, and what IAM says; None if the role is gone."""

    arn: str
    aliases: Sequence[str]
    role: Read[Role | None] = field(default=None)

    @property
    def name(self) -> str:
        """The name of the role, without its path."""
        return self.arn.rpartition("/")[2]


def roles_behind_aliases(session: Session) -> Read[list[Behind]]:
    """List the roles of all role aliases of the region, each once."""
    aliases = read("iot", lambda: _aliases(session))
    if not isinstance(aliases, Mapping):
        return aliases
    iam = session.client("iam", config=CONFIG)
    return [Behind(arn, names, read("iam", partial(_role, iam, arn))) for arn, names in aliases.items()]


def _aliases(session: Session) -> Mapping[str, list[str]]:
    iot = session.client("iot", config=CONFIG)
    pages = iot.get_paginator("list_role_aliases").paginate(PaginationConfig={"PageSize": quotas.LIST_PAGE})
    found: dict[str, list[str]] = {}
    for name in sorted(each for page in pages for each in page["roleAliases"]):
        with suppress(iot.exceptions.ResourceNotFoundException):  # deleted since it was listed
            arn = iot.describe_role_alias(roleAlias=name)["roleAliasDescription"]["roleArn"]
            found.setdefault(arn, []).append(name)
    return found


def _role(iam: IAMClient, arn: str) -> Role | None:
    name = arn.rpartition("/")[2]
    try:
        described: Any = iam.get_role(RoleName=name)["Role"]
        policies = [*_inline(iam, name), *_attached(iam, name)]
    except iam.exceptions.NoSuchEntityException:
        return None
    return Role(
        arn=described["Arn"],
        policies=policies,
        boundary=described.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", ""),
        last_used=described.get("RoleLastUsed", {}).get("LastUsedDate"),
    )


def _inline(iam: IAMClient, role: str) -> Iterator[RolePolicy]:
    pages = iam.get_paginator("list_role_policies").paginate(RoleName=role)
    for name in [each for page in pages for each in page["PolicyNames"]]:
        with suppress(iam.exceptions.NoSuchEntityException):  # deleted since it was listed
            answer = iam.get_role_policy(RoleName=role, PolicyName=name)
            yield RolePolicy(name=name, attached=False, document=_document(answer))


def _attached(iam: IAMClient, role: str) -> Iterator[RolePolicy]:
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role)
    for arn in [each["PolicyArn"] for page in pages for each in page["AttachedPolicies"]]:
        with suppress(iam.exceptions.NoSuchEntityException):
            version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]
            yield RolePolicy(name=arn.rpartition("/")[2], attached=True, document=_document(answer, "Document"))


def _document(answer: Any, key: str = "PolicyDocument") -> Mapping[str, Any]:
    """Return the document, which boto3 has parsed."""
    return dict(answer[key])
