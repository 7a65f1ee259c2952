"""What can be said about a private key from outside: whose it is, who may read it, and where it has been."""

import base64
from collections.abc import Iterable

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

type PublicKey = bytes


def public_key_of_certificate(pem: str) -> PublicKey:
    """Take the public key out of a certificate."""
    return (
        x509.load_pem_x509_certificate(pem.encode())
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def public_key_of_private(pem: str) -> PublicKey:
    """Compute the public key that belongs to a private one."""
    return (
        load_pem_private_key(pem.encode(), None)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )


def traces_of(pem: str) -> list[bytes]:
    """Every form in which the secret part of an elliptic-curve key could lie somewhere."""
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the local fleet's devices have elliptic-curve keys")
    secret = key.private_numbers().private_value
    raw = secret.to_bytes((key.key_size + 7) // 8)
    forms = [raw, raw.hex().encode(), raw.hex().upper().encode(), str(secret).encode()]
    for format_ in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL):
        der = key.private_bytes(Encoding.DER, format_, NoEncryption())
        # The lines of its PEM text: also found where line breaks were escaped or taken out.
        forms += key.private_bytes(Encoding.PEM, format_, NoEncryption()).splitlines()[1:-1]
        forms.append(base64.b64encode(der))
    # Base64 of the bare secret, wherever in a run of three bytes it begins.
    forms += [base64.b64encode(bytes(shift) + raw)[4:-4] for shift in range(3)]
    # A PEM's last line can be a few signs only, which are everywhere.
    return [form for form in forms if len(form) >= 24]


def places_with(traces: Iterable[bytes], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Tell in which places one of these traces is."""
    known = list(traces)
    return [name for name, content in places if any(trace in content for trace in known)]
