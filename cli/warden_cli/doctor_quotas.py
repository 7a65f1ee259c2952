"""The check of the quotas that the service assumes, as far as Service Quotas lists them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from warden.core import quotas
from warden_cli.baseline_proposal import is_unread
from warden_cli.doctor_model import Finding, Health, Patient, about, unknown
from warden_cli.reading import CONFIG, read

if TYPE_CHECKING:
    from boto3 import Session


@dataclass(frozen=True)
class Assumed:
    """A quota by AWS's name for it, what the service assumes, and its code in Service Quotas; empty if it has none."""

    name: str
    value: float
    code: str = ""

    def __str__(self) -> str:
        """Return what is assumed."""
        return f"{self.name} {self.value:g}"


# Service Quotas calls these "<operation> API TPS" of `iotcore`. The codes, also those below, are from public listings
# and were not seen live. The listings have none for AWS IoT Jobs, Device Defender and the data plane. One that Service
# Quotas does not know is reported as not known.
_CODES = {
    "ListCertificates": "L-97DA2C60",
    "DescribeCertificate": "L-FC864907",
    "UpdateCertificate": "L-77B523DC",
    "AttachPolicy": "L-CA7D4E3E",
    "DetachPolicy": "L-EC88D510",
    "ListAttachedPolicies": "L-B2DA2A45",
    "GetEffectivePolicies": "L-CE45290D",
    "ListThingPrincipals": "L-FC3EF4D9",
    "ListPrincipalThings": "L-C481616A",
    "AddThingToThingGroup": "L-2904683A",
    "RemoveThingFromThingGroup": "L-2A81A394",
    "UpdateThingGroupsForThing": "L-638916DB",
    "ListThingGroupsForThing": "L-75F129AD",
    "DescribeThing": "L-0EF0F5EE",
}

ASSUMED = (
    *(Assumed(name, calls, _CODES.get(name, "")) for name, calls in quotas.CALLS_PER_SECOND.items()),
    Assumed("policies of a certificate", quotas.POLICIES_PER_CERTIFICATE, "L-BC2638B3"),
    Assumed("bytes of a client id", quotas.CLIENT_ID_BYTES, "L-E2D9C89C"),
    Assumed("targets of a job", quotas.TARGETS_PER_JOB),
    Assumed("devices that get a job a minute", quotas.NOTIFIED_PER_MINUTE),
    Assumed("security profiles of a target", quotas.PROFILES_PER_TARGET),
)
"""Numbers of `warden.core` of which an account may have less. The rest are forms of names and sizes of messages."""


def service_quotas(patient: Patient) -> Iterator[Finding]:
    """Compare each quota that Service Quotas lists, and name those that it does not."""
    found = read("servicequotas", lambda: _values(patient.session))
    if is_unread(found):
        yield unknown("quotas", found)
        return
    compared = [each for each in ASSUMED if each.code in found]
    unlisted = ", ".join(str(each) for each in ASSUMED if not each.code)
    yield about(
        "quotas",
        [f"{each.name} {found[each.code]:g} of {each.value:g}" for each in compared if found[each.code] < each.value],
        "quotas are smaller than the service assumes",
        "Ask for an increase in Service Quotas (iotcore); until then the service is throttled and takes longer.",
        f"{len(compared)} quotas are at least what the service assumes. Not known, as Service Quotas does not list "
        f"them: {unlisted}; compare these with AWS's pages on quotas",
    )
    if missing := [str(each) for each in ASSUMED if each.code and each.code not in found]:
        yield Finding(
            check="quotas",
            health=Health.NOT_KNOWN,
            says=f"Service Quotas does not list what it was known to list: {', '.join(missing)}",
            fix="Compare them with AWS's page on the quotas of AWS IoT Core.",
        )


def _values(session: Session) -> Mapping[str, float]:
    pages = session.client("service-quotas", config=CONFIG).get_paginator("list_service_quotas")
    return {
        each["QuotaCode"]: each["Value"] for page in pages.paginate(ServiceCode="iotcore") for each in page["Quotas"]
    }
