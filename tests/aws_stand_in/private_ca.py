"""What AWS Private CA signs for a request, as its documentation has it; moto leaves half of it out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

AUTHORITY = "arn:aws:acm-pca:us-east-1:123456789012:certificate-authority/5a8f2f5c-0000-4000-8000-1234567890ab"
TOKENS_LAST = timedelta(minutes=5)
"""API reference, IssueCertificate: for so long the same token is the same certificate."""

_NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def certificate_as_asked(
    asked: Mapping[str, Any],
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey,
    *,
    api_passthrough: bool = True,
    is_authority: bool = False,
) -> str:
    """Sign what IssueCertificate was asked for: names by the API before those of the request (user guide, templates).

    Without `api_passthrough` all names are the request's, as with a template that has no names of its own.
    """
    request = x509.load_pem_x509_csr(asked["Csr"])
    given = asked.get("ApiPassthrough", {}) if api_passthrough else {}
    subject, names = request.subject, _alternative_names(request)
    if "Subject" in given:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, given["Subject"]["CommonName"])])
    if "SubjectAlternativeNames" in given.get("Extensions", {}):
        uris = [each["UniformResourceIdentifier"] for each in given["Extensions"]["SubjectAlternativeNames"]]
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
    assert asked["Validity"]["Type"] == "DAYS"
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Example Devices")]))
        .public_key(request.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_NOON - timedelta(hours=1))
        .not_valid_after(_NOON + timedelta(days=asked["Validity"]["Value"]))
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def _alternative_names(request: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    return [
        name
        for extension in request.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for name in extension.value
    ]


def says(code: str, operation: str) -> ClientError:
    """Make the error that boto3 raises for a code."""
    return ClientError({"Error": {"Code": code, "Message": "as AWS would put it"}}, operation)
