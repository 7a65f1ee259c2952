"""Certificate signing requests: what is accepted from a device, and how a key is known again."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from warden.core.errors import Refused

_CHARACTERS = 4096
"""What AWS IoT reads (API reference, CreateCertificateFromCsr). A request for a 4096-bit RSA key is under 2 KB."""

_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
"""The keys AWS IoT signs for (API reference, CreateCertificateFromCsr)."""


@dataclass(frozen=True)
class SigningRequest:
    """A request that may be signed. Its subject is ignored: the certificate belongs to the thing that asked.

    `pem` is the request alone, written anew: whatever a device put around it goes nowhere. `sha256` is the digest of
    what it sent: the same text is the same request.
    """

    pem: str
    key_sha256: str
    sha256: str


def read_csr(pem: object) -> SigningRequest:
    """Read and check a device's signing request.

    Raises:
        Refused: with a code that the device is told: csr-missing, csr-too-large, csr-unreadable,
            csr-signature, csr-weak-key.
    """
    if not isinstance(pem, str) or not pem:
        raise Refused("csr-missing", "the payload has no `csr`, a PEM text")
    _require_short(pem)
    if pem.count("-----BEGIN") != 1:
        raise Refused("csr-unreadable", "`csr` must hold exactly one PEM block, a CERTIFICATE REQUEST")
    try:
        request = x509.load_pem_x509_csr(pem.encode())
        sound = request.is_signature_valid
        key = request.public_key()
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature) as error:
        raise Refused("csr-unreadable", "`csr` is no PKCS#10 signing request in PEM") from error
    if not sound:
        raise Refused("csr-signature", "the signing request is not signed with its own key")
    if not _is_strong(key):
        raise Refused("csr-weak-key", "the key must be RSA of at least 2048 bits, or on P-256, P-384 or P-521")
    written = request.public_bytes(Encoding.PEM).decode()
    _require_short(written)  # without its line breaks the same request may have been shorter
    return SigningRequest(written, _fingerprint(key), sha256(pem.encode()).hexdigest())


def _require_short(pem: str) -> None:
    if len(pem) > _CHARACTERS:
        raise Refused("csr-too-large", f"the signing request has {len(pem)} characters; at most {_CHARACTERS} are read")


def key_of_certificate(pem: str) -> str:
    """Tell the fingerprint of the key in a certificate, comparable with `SigningRequest.key_sha256`."""
    return _fingerprint(x509.load_pem_x509_certificate(pem.encode()).public_key())


def _is_strong(key: PublicKeyTypes) -> bool:
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= _RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES


def _fingerprint(key: PublicKeyTypes) -> str:
    return sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).hexdigest()
