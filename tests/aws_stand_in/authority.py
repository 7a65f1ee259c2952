"""AWS Private CA: an authority that signs what it is asked to, and keeps to its tokens."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from tests.aws_stand_in.private_ca import TOKENS_LAST, certificate_as_asked
from tests.aws_stand_in.rules import Refusal


@dataclass
class Authority:
    """What it remembers: the certificates that it signed, and what each token was for, since when."""

    signed: dict[str, str] = field(default_factory=dict)
    tokens: dict[str, tuple[datetime, str]] = field(default_factory=dict)

    @staticmethod
    def described(asked: Mapping[str, Any]) -> dict[str, Any]:
        """Tell what it signs with."""
        about = {"KeyAlgorithm": "EC_prime256v1", "SigningAlgorithm": "SHA256WITHECDSA", "Subject": {}}
        return {
            "CertificateAuthority": {
                "Arn": asked["CertificateAuthorityArn"],
                "CertificateAuthorityConfiguration": about,
            }
        }

    def issue(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        """Sign a request; one that carries a token of the last five minutes is the same request."""
        began, known = self.tokens.get(asked["IdempotencyToken"], (now, ""))
        if known and now < began + TOKENS_LAST:
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
        return {"Certificate": self.signed[asked["CertificateArn"]], "CertificateChain": "the authority's own"}


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def _signed(asked: str, csr: bytes, _number: int) -> str:
    """Sign with a number that was drawn: kept, it is the same in every run, and another for each request."""
    return certificate_as_asked({**json.loads(asked), "Csr": csr}, _key())
