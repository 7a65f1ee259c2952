"""Keys in signing requests and certificates, as cryptography reads them. Imported late: see `devices.csr`."""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from warden.core import quotas
from warden.core.errors import Refused


class ReadRequest(NamedTuple):
    """A valid signing request: encoded again, with the fingerprint of its key."""

    pem: str
    key_sha256: str


def read_request(pem: str) -> ReadRequest:
    """Read a signing request, which must be signed with its own key, and the key strong.

    Raises:
        Refused: csr-unreadable, csr-signature, csr-weak-key.
    """
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        is_signed = request.is_signature_valid
        key = request.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature) as error:
        raise Refused("csr-unreadable", "`csr` is not a PKCS#10 signing request in PEM") from error
    if not is_signed:
        raise Refused("csr-signature", "the signing request is not signed with its own key")
    if not _is_strong(key):
        raise Refused("csr-weak-key", "the key must be RSA of at least 2048 bits, or on P-256, P-384 or P-521")
    return ReadRequest(request.public_bytes(Encoding.PEM).decode(), _fingerprint(key))


def fingerprint_of_certificate(pem: str) -> str:
    """Return the fingerprint of the key in a certificate."""
    return _fingerprint(x509.load_pem_x509_certificate(pem.encode()).public_key())


def _is_strong(key: PublicKeyTypes) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= quotas.LEAST_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in quotas.CURVES


def _fingerprint(key: PublicKeyTypes) -> str:
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
