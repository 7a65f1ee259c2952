"""Device certificates on AWS IoT."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from warden.core import quotas
from warden.core.errors import ActionFailed, NotYet, Refused
from warden.core.ports import Certificate, CertificatePage

if TYPE_CHECKING:
    from botocore.awsrequest import AWSResponse
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.type_defs import CertificateDescriptionTypeDef

    from warden.aws.private_ca import PrivateAuthority

_SERVER_ERROR = 500


class IotCertificates:
    """Reads, makes and changes certificates. `arn_prefix` is `arn:<partition>:iot:<region>:<account>:`.

    `authority` signs them; without one, AWS IoT's own authority does.
    """

    def __init__(self, client: IoTClient, arn_prefix: str, authority: PrivateAuthority | None = None) -> None:
        self._iot = client
        self._arn_prefix = arn_prefix
        unless: Any = _never_repeat  # the stubs have no handler that returns a value
        client.meta.events.register("needs-retry.iot.CreateCertificateFromCsr", unless)
        self._authority = authority

    def read(self, certificate_id: str) -> Certificate | None:
        """Read a certificate with its PEM."""
        try:
            return _certificate(self._iot.describe_certificate(certificateId=certificate_id)["certificateDescription"])
        except self._iot.exceptions.ResourceNotFoundException:
            return None

    def policies_of(self, certificate_id: str) -> list[str]:
        """List a certificate's own policies; an absent certificate has none."""
        try:
            return [
                policy["policyName"]
                for page in self._iot.get_paginator("list_attached_policies").paginate(
                    target=self._arn(certificate_id), PaginationConfig={"PageSize": quotas.LIST_PAGE}
                )
                for policy in page["policies"]
            ]
        except self._iot.exceptions.ResourceNotFoundException:
            return []

    def attach_policy(self, certificate_id: str, policy: str) -> None:
        """Attach a policy; attached already is success in AWS IoT as well."""
        try:
            self._iot.attach_policy(policyName=policy, target=self._arn(certificate_id))
        except self._iot.exceptions.ResourceNotFoundException as error:
            raise ActionFailed(
                f"cannot attach policy {policy} to certificate {certificate_id}: one of them is gone"
            ) from error
        except self._iot.exceptions.LimitExceededException as error:
            raise ActionFailed(
                f"cannot attach policy {policy} to certificate {certificate_id}: it already has ten"
            ) from error
        except self._iot.exceptions.InvalidRequestException as error:  # unverified: for one under transfer
            raise ActionFailed(f"cannot attach policy {policy} to certificate {certificate_id}: {error}") from error

    def detach_policy(self, certificate_id: str, policy: str) -> None:
        """Detach a policy; not attached is success."""
        try:
            self._iot.detach_policy(policyName=policy, target=self._arn(certificate_id))
        except self._iot.exceptions.ResourceNotFoundException:
            return

    def attach_thing(self, certificate_id: str, thing: str) -> None:
        """Attach a certificate to a thing and to no other, ever (EXCLUSIVE_THING)."""
        self._iot.attach_thing_principal(
            thingName=thing, principal=self._arn(certificate_id), thingPrincipalType="EXCLUSIVE_THING"
        )

    def detach_thing(self, certificate_id: str, thing: str) -> None:
        """Detach a certificate from a thing."""
        try:
            self._iot.detach_thing_principal(thingName=thing, principal=self._arn(certificate_id))
        except self._iot.exceptions.ResourceNotFoundException:
            return

    def activate(self, certificate_id: str) -> None:
        """Set a certificate ACTIVE."""
        self._iot.update_certificate(certificateId=certificate_id, newStatus="ACTIVE")

    def deactivate(self, certificate_id: str) -> str:
        """Set a certificate INACTIVE, unless it is REVOKED or under transfer.

        UpdateCertificate would set REVOKED back to INACTIVE: its API reference does not forbid it (unverified). It
        refuses a certificate under transfer (CertificateStateException, unverified).
        """
        known = self.read(certificate_id)
        if known is None:
            return ""
        if known.is_out_of_use:
            return known.status
        try:
            self._iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
        except self._iot.exceptions.ResourceNotFoundException:
            return ""
        return "INACTIVE"

    def issue(self, csr: str, thing: str) -> Certificate:
        """Make an inactive certificate."""
        if self._authority is not None:
            return self._registered(self._authority.certify(csr, thing))
        try:
            response = self._iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=False)
        except self._iot.exceptions.InvalidRequestException as error:
            raise ActionFailed(f"AWS IoT does not sign the request for {thing}: {error}") from error
        return Certificate(id=response["certificateId"], status="INACTIVE", pem=response["certificatePem"])

    def _registered(self, pem: str) -> Certificate:
        """Register a certificate with AWS IoT; if another delivery has registered it, leave it as it is."""
        try:
            response = self._iot.register_certificate_without_ca(certificatePem=pem, status="INACTIVE")
        except self._iot.exceptions.ResourceAlreadyExistsException as error:
            known = str(error.response["resourceId"])  # type: ignore[typeddict-item]  # AWS IoT's model has it
            if (certificate := self.read(known)) is None:
                raise NotYet(f"certificate {known} was already registered and has been deleted since") from error
            return certificate
        return Certificate(id=response["certificateId"], status="INACTIVE", pem=pem)

    def issued_since(self, since: datetime) -> list[Certificate]:
        """List inactive certificates newest first, and stop at the first one that is older."""
        found: list[Certificate] = []
        pages = self._iot.get_paginator("list_certificates").paginate(
            ascendingOrder=False, PaginationConfig={"PageSize": quotas.LIST_PAGE}
        )
        for page in pages:
            for listed in page["certificates"]:
                if listed["creationDate"].astimezone(UTC) < since:
                    return found
                if listed["status"] == "INACTIVE" and (certificate := self.read(listed["certificateId"])):
                    found.append(certificate)
        return found

    def oldest_page(self, page: str) -> CertificatePage:
        """List one page by creation date, ascending."""
        marker = {"marker": page} if page else {}
        try:
            listed = self._iot.list_certificates(ascendingOrder=True, pageSize=quotas.LIST_PAGE, **marker)
        except self._iot.exceptions.InvalidRequestException as error:
            if not page:
                raise
            raise Refused("no-such-page", f"AWS IoT no longer knows the page: {error}") from error
        certificates = [
            Certificate(
                id=each["certificateId"], status=each["status"], created_at=each["creationDate"].astimezone(UTC)
            )
            for each in listed["certificates"]
        ]
        return CertificatePage(certificates, listed.get("nextMarker", ""))

    def delete(self, certificate_id: str) -> None:
        """Detach every policy that is shown from a certificate, and delete it.

        A detachment takes seconds to propagate (AWS IoT API reference, DetachThingPrincipal), and a request that is
        being answered may have set the certificate ACTIVE again.
        """
        for policy in self.policies_of(certificate_id):
            self.detach_policy(certificate_id, policy)
        try:
            self._iot.delete_certificate(certificateId=certificate_id)
        except self._iot.exceptions.ResourceNotFoundException:
            return
        except (
            self._iot.exceptions.DeleteConflictException,
            self._iot.exceptions.CertificateStateException,
        ) as error:
            raise NotYet(f"certificate {certificate_id} is not deleted yet: {error}") from error

    def _arn(self, certificate_id: str) -> str:
        return f"{self._arn_prefix}cert/{certificate_id}"


def _never_repeat(response: tuple[AWSResponse, Any] | None = None, **_: Any) -> bool | None:
    """Keep the SDK from repeating a request for a certificate when its answer was lost.

    The call is not idempotent. The next delivery of the device's message searches for the certificate made.
    """
    return False if response is None or response[0].status_code >= _SERVER_ERROR else None


def _certificate(described: CertificateDescriptionTypeDef) -> Certificate:
    # The local AWS does not return it. Callers treat a certificate of unknown age as a young one.
    changed_at = described["lastModifiedDate"].astimezone(UTC) if "lastModifiedDate" in described else None
    return Certificate(
        id=described["certificateId"],
        status=described["status"],
        pem=described["certificatePem"],
        created_at=described["creationDate"].astimezone(UTC),
        changed_at=changed_at,
        ca=described.get("caCertificateId") or "",
    )
