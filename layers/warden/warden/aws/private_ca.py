"""The customer's certificate authority in AWS Private CA, which signs certificates instead of AWS IoT's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any, Protocol

from botocore.exceptions import ClientError

from warden.core import quotas
from warden.core.errors import ActionFailed, NotYet

_PAUSES = (0.5, 0.5, 1.0, 1.0, 1.0)
"""Seconds between polls for a certificate: four in all, as a batch has five requests and its function 30 seconds."""

_ALGORITHMS = {
    "RSA_2048": "SHA256WITHRSA",
    "RSA_3072": "SHA256WITHRSA",
    "RSA_4096": "SHA256WITHRSA",
    "EC_prime256v1": "SHA256WITHECDSA",
    "EC_secp384r1": "SHA384WITHECDSA",
    "EC_secp521r1": "SHA512WITHECDSA",
}
"""The signing algorithm by the authority's key; AWS IoT accepts only these (developer guide, x509-client-certs)."""

_WILL_NOT = {
    "InvalidArgsException",
    "InvalidStateException",
    "LimitExceededException",
    "MalformedCSRException",
    "RequestFailedException",
    "ResourceNotFoundException",
    "ValidationException",
}
"""Errors that a retry does not change: a person has to look at the authority or the request."""

# Only the key is taken from the request: without these, the template would copy the subject and other names too.
_EXTENSIONS: Mapping[str, Any] = {
    "KeyUsage": {"DigitalSignature": True},
    "ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CLIENT_AUTH"}],
}


class AuthorityClient(Protocol):
    """What is used of boto3's client for `acm-pca`, whose type stubs are not installed."""

    def describe_certificate_authority(self, **asked: Any) -> dict[str, Any]: ...

    def issue_certificate(self, **asked: Any) -> dict[str, Any]: ...

    def get_certificate(self, **asked: Any) -> dict[str, Any]: ...


class PrivateAuthority:
    """Certifies the keys of things. `days` is how long a certificate is valid; `sleep` waits seconds.

    A certificate is for `CN=<thing>` and the URI of the thing's ARN, which begins with `arn_prefix`. If the name is too
    long for a common name, the CN is its sha256 and only the URI has the name.
    """

    def __init__(
        self, client: AuthorityClient, arn: str, *, days: int, arn_prefix: str, sleep: Callable[[float], None]
    ) -> None:
        self._pca = client
        self._arn = arn
        self._days = days
        self._arn_prefix = arn_prefix
        self._sleep = sleep
        self._algorithm = ""

    def certify(self, csr: str, thing: str) -> str:
        """Issue a certificate; return its PEM without the chain. Repeated within five minutes, it is the same one.

        Raises:
            NotYet: when it is not issued within four seconds.
            ActionFailed: when the authority refuses, or issued a different certificate than requested.
        """
        subject, uri = common_name(thing), f"{self._arn_prefix}thing/{thing}"
        names = [{"UniformResourceIdentifier": uri}]
        try:
            issued = self._pca.issue_certificate(
                CertificateAuthorityArn=self._arn,
                Csr=csr.encode(),
                SigningAlgorithm=self._signing_algorithm(),
                TemplateArn=f"arn:{self._arn.split(':')[1]}:acm-pca:::template/BlankEndEntityCertificate_APIPassthrough/V1",
                Validity={"Type": "DAYS", "Value": self._days},
                # Two things that send one request must not be given one certificate.
                IdempotencyToken=sha256(f"{thing}\n{csr}".encode()).hexdigest()[: quotas.IDEMPOTENCY_TOKEN_CHARACTERS],
                ApiPassthrough={
                    "Subject": {"CommonName": subject},
                    "Extensions": {**_EXTENSIONS, "SubjectAlternativeNames": names},
                },
            )
            pem = self._fetch(issued["CertificateArn"])
        except ClientError as error:
            if (code := error.response["Error"]["Code"]) in _WILL_NOT:
                raise ActionFailed(f"the certificate authority did not issue it ({code})") from error
            raise
        _require_as_asked(pem, csr, subject, uri)
        return pem

    def _fetch(self, certificate_arn: str) -> str:
        for pause in (*_PAUSES, None):
            try:
                found = self._pca.get_certificate(CertificateAuthorityArn=self._arn, CertificateArn=certificate_arn)
                return str(found["Certificate"])
            except ClientError as error:
                if error.response["Error"]["Code"] != "RequestInProgressException":
                    raise
            if pause is not None:
                self._sleep(pause)
        raise NotYet(f"the certificate authority is still making {certificate_arn}")

    def _signing_algorithm(self) -> str:
        """Return the signing algorithm of the authority's key; asked once in each environment of the function."""
        if not self._algorithm:
            described = self._pca.describe_certificate_authority(CertificateAuthorityArn=self._arn)
            key = described["CertificateAuthority"]["CertificateAuthorityConfiguration"]["KeyAlgorithm"]
            if key not in _ALGORITHMS:
                raise ActionFailed(f"the certificate authority signs with {key}, which AWS IoT does not accept")
            self._algorithm = _ALGORITHMS[key]
        return self._algorithm


def common_name(thing: str) -> str:
    """Return the CN of a thing: its name, or the name's digest if it is too long."""
    return thing if len(thing) <= quotas.COMMON_NAME_CHARACTERS else sha256(thing.encode()).hexdigest()


def _require_as_asked(pem: str, csr: str, subject: str, uri: str) -> None:
    """Check that the device chose only its key: others who trust the authority rely on these names."""
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem.encode())
    wanted = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    names = [
        name
        for extension in certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
    ]
    is_authority = any(
        extension.value.ca for extension in certificate.extensions if isinstance(extension.value, x509.BasicConstraints)
    )
    faults = {
        "key": certificate.public_key() != x509.load_pem_x509_csr(csr.encode()).public_key(),
        "subject": certificate.subject != wanted,
        "alternative names": names != [x509.UniformResourceIdentifier(uri)],
        "right to issue certificates": is_authority,
    }
    if any(faults.values()):
        wrong = ", ".join(what for what, is_wrong in faults.items() if is_wrong)
        raise ActionFailed(f"the certificate authority issued a different certificate than requested: {wrong}")
