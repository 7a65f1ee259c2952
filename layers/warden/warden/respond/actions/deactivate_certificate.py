"""Deactivate the certificates: the last resort, for a device that must not connect again."""

from __future__ import annotations

from typing import Protocol

from warden.cases.model import Case, Outcome, Progress
from warden.context import Context
from warden.core.errors import ActionFailed
from warden.core.findings import SubjectType
from warden.core.ports import HasCertificates, HasRegistry
from warden.devices.device_view import DeviceView
from warden.plan.actions import DEACTIVATE_CERTIFICATE
from warden.respond.actions.action import Action


class _Ports(HasRegistry, HasCertificates, Protocol):
    """The ports of this action."""


def deactivate_certificate(case: Case, context: Context[_Ports], _view: DeviceView | None = None) -> Outcome:
    """Set the case's certificate, or every certificate of its thing, to INACTIVE; one that is REVOKED stays so.

    Raises:
        ActionFailed: when there is no certificate to deactivate.
    """
    if case.subject.type is SubjectType.CERTIFICATE:
        certificates = [case.subject.name]
    else:
        certificates = context.ports.registry.certificates_of(case.thing)
        named = case.attributes.get("certificate")
        if named:  # the finding was about this one; the thing may have others
            if named not in certificates:
                raise ActionFailed(f"certificate {named[:12]} is not attached to {case.thing}")
            certificates = [named]
    if not certificates:
        raise ActionFailed(f"{case.thing} has no certificate")
    status = {certificate: context.ports.certificates.deactivate(certificate) or "gone" for certificate in certificates}
    said = [f"{each}: {', '.join(name[:12] for name in status if status[name] == each)}" for each in {*status.values()}]
    return Outcome(Progress.DONE, "; ".join(sorted(said)))


ACTION = Action(
    name=DEACTIVATE_CERTIFICATE,
    run=deactivate_certificate,
    permissions=("iot:ListThingPrincipals", "iot:DescribeCertificate", "iot:UpdateCertificate"),
)
