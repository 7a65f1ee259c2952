"""A device's identity: a private key and the certificate made for it."""

from dataclasses import dataclass, field
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

type PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class IdentityError(ValueError):
    """Raised when a certificate or key cannot be used."""


class KeyAlgorithm(StrEnum):
    """The kinds of key that a job may request (docs/device-contract.md)."""

    EC_P256 = "EC_P256"
    EC_P384 = "EC_P384"
    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"


CURVES: dict[KeyAlgorithm, ec.EllipticCurve] = {
    KeyAlgorithm.EC_P256: ec.SECP256R1(),
    KeyAlgorithm.EC_P384: ec.SECP384R1(),
}
RSA_BITS = {KeyAlgorithm.RSA_2048: 2048, KeyAlgorithm.RSA_3072: 3072, KeyAlgorithm.RSA_4096: 4096}


@dataclass(frozen=True)
class Identity:
    certificate_pem: str
    key_pem: str = field(repr=False)  # a key must not get into a log through a printed object

    @property
    def certificate_id(self) -> str:
        """The id AWS IoT gives this certificate: the SHA-256 of its DER form."""
        return _certificate(self.certificate_pem).fingerprint(hashes.SHA256()).hex()


def identity_of(certificate_pem: str, key_pem: str) -> Identity:
    """Return the identity of a certificate and a key. Raises IdentityError if they are not a pair."""
    try:
        key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise IdentityError("the private key is not an unencrypted PEM key") from error
    if _public(_certificate(certificate_pem).public_key()) != _public(key.public_key()):
        raise IdentityError("the certificate was not made for this private key")
    return Identity(certificate_pem, key_pem)


def new_key(algorithm: KeyAlgorithm) -> str:
    """Make a private key and return it as unencrypted PKCS #8 PEM."""
    key: PrivateKey
    if algorithm in CURVES:
        key = ec.generate_private_key(CURVES[algorithm])
    else:
        key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS[algorithm])
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def signing_request(key_pem: str, thing_name: str) -> str:
    """Make the certificate signing request. Its name is informal: the cloud uses the registry."""
    key = serialization.load_pem_private_key(key_pem.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise IdentityError("the private key is neither EC nor RSA")
    # X.509 limits a common name to 64 characters; a thing name may have 128.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, thing_name[:64])])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.PEM).decode()


def _certificate(pem: str) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise IdentityError("the certificate is not PEM") from error


def _public(key: object) -> bytes:
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise IdentityError("the key is neither EC nor RSA")
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
