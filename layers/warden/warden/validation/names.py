"""Names in messages: which are possible for each type of subject."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from warden.core import quotas
from warden.core.errors import Refused
from warden.core.findings import Subject, SubjectType

# The form of each type's names, from the service model of its API. A client id can be any string.
_PATTERNS: Mapping[SubjectType, str] = MappingProxyType(
    {
        SubjectType.THING: quotas.THING_NAME,
        SubjectType.CERTIFICATE: r"[0-9a-f]{64}",
        # A CA that is not registered with AWS IoT is known by its issuer id or serial number.
        SubjectType.CA_CERTIFICATE: r"(0x)?[0-9a-fA-F:]{1,64}",
        SubjectType.POLICY: quotas.POLICY_NAME,
        SubjectType.ROLE_ALIAS: quotas.ROLE_ALIAS_NAME,
        SubjectType.IAM_ROLE: quotas.ROLE_NAME,
        SubjectType.IDENTITY_POOL: r"[A-Za-z0-9_-]{1,55}:[0-9a-fA-F-]{1,64}",
        SubjectType.ACCOUNT: r"[0-9]{12}",
    }
)


def subject(kind: SubjectType, name: str, path: str) -> Subject:
    """Return a subject, if its type can have such a name.

    Raises:
        Refused: when it is not; the reason names the field.
    """
    if not _is_possible(kind, name):
        raise Refused(
            "bad-name", f"'{path}' is not a valid name for a subject of type {kind}; send it as AWS IoT shows it"
        )
    return Subject(kind, name)


def device(name: str, path: str) -> Subject:
    """Return a device as a thing, or as a client id when the registry could not hold that name.

    Device Defender reports a client that is not a registered thing under its client id, which can be any string. Such
    a finding is kept, about the client id, and never treated as one about a thing.

    Raises:
        Refused: when it can be neither of the two.
    """
    kind = SubjectType.THING if _is_possible(SubjectType.THING, name) else SubjectType.CLIENT_ID
    return subject(kind, name, path)


def without_arn(name: str) -> str:
    """Return the name in an ARN; a bare name is returned as it is."""
    return name.rpartition("/")[2] if name.startswith("arn:") else name


def _is_possible(kind: SubjectType, name: str) -> bool:
    if kind is SubjectType.CLIENT_ID:
        return 0 < len(name.encode()) <= quotas.CLIENT_ID_BYTES
    return re.fullmatch(_PATTERNS[kind], name) is not None
