"""What can be said about a private key from outside: whose it is, who may read it, and where it has been."""

import base64
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

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


def self_signed(name: str) -> str:
    """Make a certificate in somebody's name, and its key, as anybody can (PEM, one after the other)."""
    key = ec.generate_private_key(ec.SECP256R1())
    whose = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(whose, whose, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return (certificate.public_bytes(Encoding.PEM) + private).decode()


def traces_of(pem: str) -> list[bytes]:
    """Every form in which the secret part of an elliptic-curve key could lie somewhere."""
    key = load_pem_private_key(pem.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the local fleet's devices have elliptic-curve keys")
    secret = key.private_numbers().private_value
    raw = secret.to_bytes((key.key_size + 7) // 8)
    forms = [raw, raw.hex().encode(), raw.hex().upper().encode(), str(secret).encode()]
    # The lines of a PEM text that hold some of the secret (the others hold the public key only), and all of it at once.
    for format_, lines in ((PrivateFormat.PKCS8, 2), (PrivateFormat.TraditionalOpenSSL, 1)):
        forms += key.private_bytes(Encoding.PEM, format_, NoEncryption()).splitlines()[1 : 1 + lines]
        forms.append(base64.b64encode(key.private_bytes(Encoding.DER, format_, NoEncryption())))
    # Base64 of the bare secret, wherever in a run of three bytes it begins.
    return forms + [base64.b64encode(bytes(shift) + raw)[4:-4] for shift in range(3)]


def places_with(traces: Iterable[bytes], places: Iterable[tuple[str, bytes]]) -> list[str]:
    """Tell in which places one of these traces is."""
    known = list(traces)
    return [name for name, content in places if any(trace in content for trace in known)]
