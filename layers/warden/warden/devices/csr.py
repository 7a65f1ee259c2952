"""Certificate signing requests: which are accepted from a device, and how a key is recognised later."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from warden.core import quotas
from warden.core.errors import Refused

# cryptography takes 40 ms to import, and only a device that asks for a certificate needs it: `devices.keys` is imported
# in the two functions that read keys, and nowhere else.


@dataclass(frozen=True)
class SigningRequest:
    """A request that may be signed. Its subject is ignored: the certificate belongs to the thing that asked.

    `pem` is the request alone, encoded again: anything around it is dropped. `sha256` is the digest of the string that
    the device sent: the same string is the same request.
    """

    pem: str
    key_sha256: str
    sha256: str


def read_csr(pem: object) -> SigningRequest:
    """Read and check a device's signing request.

    Raises:
        Refused: with a code that the answer carries: csr-missing, csr-too-large, csr-unreadable,
            csr-signature, csr-weak-key.
    """
    if not isinstance(pem, str) or not pem:
        raise Refused("csr-missing", "the payload has no `csr`, a PEM string")
    _require_short(pem)
    if pem.count("-----BEGIN") != 1:
        raise Refused("csr-unreadable", "`csr` must hold exactly one PEM block, a CERTIFICATE REQUEST")
    from warden.devices.keys import read_request

    request = read_request(pem)
    _require_short(request.pem)  # without its line breaks the same request may have been shorter
    return SigningRequest(request.pem, request.key_sha256, sha256(pem.encode()).hexdigest())


def key_of_certificate(pem: str) -> str:
    """Return the fingerprint of the key in a certificate, comparable with `SigningRequest.key_sha256`."""
    from warden.devices.keys import fingerprint_of_certificate

    return fingerprint_of_certificate(pem)


def _require_short(pem: str) -> None:
    if len(pem) > quotas.CSR_CHARACTERS:
        raise Refused(
            "csr-too-large",
            f"the signing request has {len(pem)} characters; at most {quotas.CSR_CHARACTERS} are accepted",
        )
