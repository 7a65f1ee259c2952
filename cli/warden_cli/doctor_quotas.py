"""The check of the quotas that the service was made for, as far as Service Quotas can be asked about them."""

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


CALLS_PER_SECOND = (
    Assumed("ListCertificates", 10, "L-97DA2C60"),
    Assumed("DescribeCertificate", 10, "L-FC864907"),
    Assumed("UpdateCertificate", 10, "L-77B523DC"),
    Assumed("AttachPolicy", 15, "L-CA7D4E3E"),
    Assumed("DetachPolicy", 15, "L-EC88D510"),
    Assumed("ListAttachedPolicies", 15, "L-B2DA2A45"),
    Assumed("GetEffectivePolicies", 5, "L-CE45290D"),
    Assumed("ListThingPrincipals", 20, "L-FC3EF4D9"),
    Assumed("ListPrincipalThings", quotas.PRINCIPAL_LOOKUPS_PER_SECOND, "L-C481616A"),
    Assumed("AddThingToThingGroup", 100, "L-2904683A"),
    Assumed("RemoveThingFromThingGroup", 100, "L-2A81A394"),
    Assumed("UpdateThingGroupsForThing", 10, "L-638916DB"),
    Assumed("ListThingGroupsForThing", 100, "L-75F129AD"),
    Assumed("DescribeThing", 350, "L-0EF0F5EE"),
    Assumed("CreateJob", 10),
    Assumed("DescribeJobExecution", 10),
    Assumed("CancelJobExecution", 10),
    Assumed("DeleteConnection", 100),
    Assumed("ListActiveViolations", 10),
)
"""The calls that the service makes for devices. A test holds them to the fleet that it is measured against.

The codes are from public listings of Service Quotas (`iotcore`, "<operation> API TPS") and were not seen live; the
listings have none for AWS IoT Jobs, Device Defender and the data plane. One that Service Quotas does not know is said
to be not known.
"""

OTHERS = (
    Assumed("policies of a certificate", quotas.POLICIES_PER_CERTIFICATE, "L-BC2638B3"),
    Assumed("bytes of a client id", quotas.CLIENT_ID_BYTES, "L-E2D9C89C"),
    Assumed("targets of a job", quotas.TARGETS_PER_JOB),
    Assumed("devices that get a job a minute", quotas.NOTIFIED_PER_MINUTE),
    Assumed("security profiles of a target", quotas.PROFILES_PER_TARGET),
)
"""What else of `core/quotas.py` an account could have less of. The rest are forms of names and sizes of messages."""


def service_quotas(patient: Patient) -> Iterator[Finding]:
    """Compare each quota that Service Quotas lists, and name those that it does not."""
    found = read("servicequotas", lambda: _values(patient.session))
    if is_unread(found):
        yield unknown("quotas", found)
        return
    assumed = [*CALLS_PER_SECOND, *OTHERS]
    compared = [each for each in assumed if each.code in found]
    unlisted = ", ".join(str(each) for each in assumed if not each.code)
    yield about(
        "quotas",
        [f"{each.name} {found[each.code]:g} of {each.value:g}" for each in compared if found[each.code] < each.value],
        "quotas are smaller than the service assumes",
        "Ask for an increase in Service Quotas (iotcore); until then the service is throttled and takes longer.",
        f"{len(compared)} quotas are at least what the service assumes. Not known, as Service Quotas does not list "
        f"them: {unlisted}; compare these with AWS's pages on quotas",
    )
    if missing := [str(each) for each in assumed if each.code and each.code not in found]:
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
