"""AWS Private CA: an authority that signs what it is asked to, and keeps to its tokens."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.aws_stand_in.private_ca import AUTHORITY, TOKENS_LAST, certificate_as_asked, says
from tests.aws_stand_in.refusal import Refusal


@dataclass
class Authority:
    """What it remembers: the certificates that it signed, and what each token was for, since when."""

    signed: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    tokens_last: timedelta = TOKENS_LAST
    """For so long a token tells one request sent twice from two; at zero every request is one of its own."""
    late: int = 0
    """How many times each certificate is not ready yet when it is asked for."""
    looks: dict[str, int] = field(default_factory=dict)
    key: str = "EC_prime256v1"
    """Which kind it says its own is; what it signs is signed with P-256, as only the signer would notice."""

    def described(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Describe the key that it signs with."""
        about = {"KeyAlgorithm": self.key, "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {}}
        return {
            "CertificateAuthority": {
                "Arn": asked["CertificateAuthorityArn"],
                "CertificateAuthorityConfiguration": about,
            }
        }

    def issue(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Sign a request; one that carries a token that is still known is the same request."""
        began, known = self.tokens.get(asked["IdempotencyToken"], (now, ""))
        if known and now < began + self.tokens_last:
            return {"CertificateArn": known}
        number = len(self.signed) + 1
        arn = f"{asked['CertificateAuthorityArn']}/certificate/{number:032x}"
        self.signed[arn] = _signed(json.dumps(asked, default=lambda csr: b64encode(csr).decode()), asked["Csr"], number)
        self.tokens[asked["IdempotencyToken"]] = now, arn
        return {"CertificateArn": arn}

    def get(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Hand out what was signed."""
        if asked["CertificateArn"] not in self.signed:
            raise Refusal("ResourceNotFoundException", "there is no such certificate")
        if self.looks.get(asked["CertificateArn"], 0) < self.late:
            self.looks[asked["CertificateArn"]] = self.looks.get(asked["CertificateArn"], 0) + 1
            raise Refusal("RequestInProgressException", "the certificate is not ready")
        return {"Certificate": self.signed[asked["CertificateArn"]], "CertificateChain": "the authority's own"}


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _signed(asked: str, csr: bytes, _number: int) -> str:
    """Sign with a number that was drawn: kept, it is the same in every run, and another for each request."""
    return certificate_as_asked({**json.loads(asked), "Csr": csr}, _key())


class AuthorityClient:
    """A client of `acm-pca` whose one authority answers at once, for tests that have no wire."""

    def __init__(self, now: Callable[[], datetime], *, late: int = 0, tokens_last: timedelta = TOKENS_LAST) -> None:
        self._now = now
        self._authority = Authority(late=late, tokens_last=tokens_last)

    @property
    def issued(self) -> Mapping[str, str]:
        """What was signed, by its ARN."""
        return self._authority.signed

    def describe_certificate_authority(self, **asked: Any) -> dict[str, Any]:
        assert asked == {"CertificateAuthorityArn": AUTHORITY}
        return self._authority.described(asked)

    def issue_certificate(self, **asked: Any) -> dict[str, Any]:
        return self._authority.issue(asked, self._now())

    def get_certificate(self, **asked: Any) -> dict[str, Any]:
        try:
            return self._authority.get(asked)
        except Refusal as refusal:
            raise says(refusal.code, "GetCertificate") from refusal
