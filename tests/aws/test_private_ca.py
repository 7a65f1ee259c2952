"""The customer's own authority: what is asked of AWS Private CA, what is taken from it, what AWS IoT then knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from moto.acmpca.models import CertificateAuthority, acmpca_backends

from tests.aws.backends import PREFIX, MotoGround
from tests.aws.conftest import REGION, Stubbed, a_client
from tests.aws_stand_in.authority import Authority
from tests.aws_stand_in.private_ca import AUTHORITY, certificate_as_asked
from tests.aws_stand_in.rules import ACCOUNT
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import a_key
from warden.aws.certificates import IotCertificates
from warden.aws.private_ca import PrivateAuthority, common_name
from warden.core.errors import ActionFailed, NotYet
from warden.devices.csr import key_of_certificate

ISSUED = f"{AUTHORITY}/certificate/0123456789abcdef0123456789abcdef"
LONG_NAME = "pump:3_" + "x" * 121
CSR = a_key(1).csr
ASKED_OF_IT = {"CertificateAuthorityArn": AUTHORITY}


def asked(csr: str = CSR, thing: str = "pump-3", algorithm: str = "SHA256WITHECDSA", token: str = "") -> dict[str, Any]:
    """Write down the whole request that is to be made."""
    return {
        "CertificateAuthorityArn": AUTHORITY,
        "Csr": csr.encode(),
        "SigningAlgorithm": algorithm,
        "TemplateArn": "arn:aws:acm-pca:::template/BlankEndEntityCertificate_APIPassthrough/V1",
        "Validity": {"Type": "DAYS", "Value": 400},
        "IdempotencyToken": token,
        "ApiPassthrough": {
            "Subject": {"CommonName": common_name(thing)},
            "Extensions": {
                "KeyUsage": {"DigitalSignature": True},
                "ExtendedKeyUsage": [{"ExtendedKeyUsageType": "CLIENT_AUTH"}],
                "SubjectAlternativeNames": [{"UniformResourceIdentifier": f"{PREFIX}thing/{thing}"}],
            },
        },
    }


def authority_over(client: Any, arn: str = AUTHORITY, sleep: Callable[[float], None] = lambda _: None) -> Any:
    return PrivateAuthority(client, arn, days=400, arn_prefix=PREFIX, sleep=sleep)


def a_request(*, subject: str = "pump-4", names: tuple[str, ...] = ()) -> str:
    """Make a signing request of a device that would choose its own names."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(name)
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), False)
    return builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


# --- on moto -------------------------------------------------------------------------------------------------------


@pytest.fixture
def arn(aws: None) -> str:  # noqa: ARG001 - moto has to be there
    """An ACTIVE authority on moto; its key is RSA, whatever is asked for."""
    client = boto3.client("acm-pca", region_name=REGION)
    made: str = client.create_certificate_authority(
        CertificateAuthorityConfiguration={
            "KeyAlgorithm": "RSA_2048",
            "SigningAlgorithm": "SHA256WITHRSA",
            "Subject": {"CommonName": "Example Devices"},
        },
        CertificateAuthorityType="ROOT",
    )["CertificateAuthorityArn"]
    return made


@pytest.fixture
def as_asked(arn: str, strict: StrictAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make moto's authority sign as requested: moto leaves out ApiPassthrough, Validity and IdempotencyToken."""
    tokens: dict[str, dict[str, Any]] = {}

    def call(client: BaseClient, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
        if operation != "IssueCertificate":
            return strict(client, operation, parameters)
        token = parameters["IdempotencyToken"]
        if token not in tokens:
            tokens[token] = strict(client, operation, parameters)
            authority = _on_moto(arn)
            pem = certificate_as_asked(parameters, authority.key)
            authority.issued_certificates[tokens[token]["CertificateArn"]] = pem.encode()
        return tokens[token]

    monkeypatch.setattr(BaseClient, "_make_api_call", call)


def _on_moto(arn: str) -> CertificateAuthority:
    return acmpca_backends[ACCOUNT][REGION].certificate_authorities[arn]


def certificates_of(arn: str) -> IotCertificates:
    authority = authority_over(boto3.client("acm-pca", region_name=REGION), arn)
    return IotCertificates(boto3.client("iot", region_name=REGION), PREFIX, authority)


@pytest.mark.usefixtures("as_asked")
class TestOnMoto:
    def test_a_certificate_is_signed_by_the_authority_and_inactive_in_aws_iot(self, arn: str) -> None:
        certificates = certificates_of(arn)

        issued = certificates.issue(CSR, "pump-3")

        known = certificates.read(issued.id)
        assert known is not None
        assert (known.status, known.pem) == ("INACTIVE", issued.pem)
        assert key_of_certificate(known.pem) == a_key(1).fingerprint
        signed = x509.load_pem_x509_certificate(known.pem.encode())
        _on_moto(arn).key.public_key().verify(
            signed.signature,
            signed.tbs_certificate_bytes,
            signed.signature_algorithm_parameters,  # type: ignore[arg-type]  # of RSA, as moto's key
            signed.signature_hash_algorithm,  # type: ignore[arg-type]  # it has one
        )

    def test_the_names_are_the_things_whatever_the_request_says(self, arn: str) -> None:
        issued = certificates_of(arn).issue(a_request(subject="pump-4", names=("pump-4.example",)), "pump-3")

        signed = x509.load_pem_x509_certificate(issued.pem.encode())
        names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert signed.subject.rfc4514_string() == "CN=pump-3"
        assert list(names) == [x509.UniformResourceIdentifier(f"{PREFIX}thing/pump-3")]

    def test_it_is_good_for_the_days_that_were_asked_for(self, arn: str) -> None:
        signed = x509.load_pem_x509_certificate(certificates_of(arn).issue(CSR, "pump-3").pem.encode())

        assert signed.not_valid_after_utc - signed.not_valid_before_utc == timedelta(days=400, hours=1)

    def test_it_is_found_again_by_its_key_after_a_crash(self, arn: str) -> None:
        certificates = certificates_of(arn)
        before = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
        issued = certificates.issue(CSR, "pump-3")

        found = certificates.issued_since(before)

        assert [(each.id, key_of_certificate(each.pem)) for each in found] == [(issued.id, a_key(1).fingerprint)]

    def test_the_same_request_again_is_the_same_certificate_in_the_state_it_is_in(self, arn: str) -> None:
        certificates = certificates_of(arn)
        first = certificates.issue(CSR, "pump-3")
        certificates.activate(first.id)

        again = certificates.issue(CSR, "pump-3")

        assert (again.id, again.status) == (first.id, "ACTIVE")
        assert len(certificates.oldest_page("").certificates) == 1

    def test_what_it_can_sign_with_is_asked_once(self, arn: str, strict: StrictAws) -> None:
        certificates = certificates_of(arn)

        certificates.issue(a_key(1).csr, "pump-3")
        certificates.issue(a_key(2).csr, "pump-3")

        assert len(strict.made("DescribeCertificateAuthority")) == 1
        assert {each["SigningAlgorithm"] for each in strict.made("IssueCertificate")} == {"SHA256WITHRSA"}

    def test_a_name_of_128_characters_is_in_the_alternative_name(self, arn: str) -> None:
        issued = certificates_of(arn).issue(CSR, LONG_NAME)

        signed = x509.load_pem_x509_certificate(issued.pem.encode())
        names = signed.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert list(names) == [x509.UniformResourceIdentifier(f"{PREFIX}thing/{LONG_NAME}")]
        assert len(signed.subject.rfc4514_string()) == len("CN=") + 64


def test_an_authority_that_takes_the_subject_from_the_request_is_found_out(arn: str) -> None:
    """moto as it is does that; nothing of it reaches AWS IoT."""
    certificates = certificates_of(arn)

    with pytest.raises(ActionFailed, match="a different certificate than requested: subject, alternative names"):
        certificates.issue(a_request(subject="pump-4"), "pump-3")

    assert certificates.oldest_page("").certificates == []


# --- on the authority of the stand-in: what moto's cannot be told to do ---------------------------------------------

TOKEN = sha256(f"pump-3\n{CSR}".encode()).hexdigest()[:36]


@pytest.fixture
def authority(strict: StrictAws, aws: None) -> Authority:  # noqa: ARG001 - moto has to be there
    """Return an authority that signs as requested; a test sets its properties."""
    return strict.state.authority


def ours(sleep: Callable[[float], None] = lambda _: None) -> Any:
    return authority_over(a_client("acm-pca"), sleep=sleep)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        ("RSA_2048", "SHA256WITHRSA"),
        ("RSA_3072", "SHA256WITHRSA"),
        ("RSA_4096", "SHA256WITHRSA"),
        ("EC_prime256v1", "SHA256WITHECDSA"),
        ("EC_secp384r1", "SHA384WITHECDSA"),
        ("EC_secp521r1", "SHA512WITHECDSA"),
    ],
)
def test_the_whole_request_and_an_algorithm_that_fits_the_authoritys_key(
    strict: StrictAws, authority: Authority, key: str, algorithm: str
) -> None:
    authority.key = key

    certified = ours().certify(CSR, "pump-3")

    [(arn, signed)] = authority.signed.items()
    assert certified == signed
    assert strict.made("DescribeCertificateAuthority") == [ASKED_OF_IT]
    assert strict.made("IssueCertificate") == [asked(algorithm=algorithm, token=TOKEN)]
    assert strict.made("GetCertificate") == [{**ASKED_OF_IT, "CertificateArn": arn}]


@pytest.mark.parametrize("key", ["ML_DSA_65", "SM2"])
def test_a_key_whose_signatures_aws_iot_does_not_take_is_said_so(authority: Authority, key: str) -> None:
    authority.key = key

    with pytest.raises(ActionFailed, match=f"signs with {key}, which AWS IoT does not accept"):
        ours().certify(CSR, "pump-3")
    assert authority.signed == {}


def test_a_certificate_that_is_being_made_is_waited_for(strict: StrictAws, authority: Authority) -> None:
    slept: list[float] = []
    authority.late = 5

    certified = ours(slept.append).certify(CSR, "pump-3")

    [(arn, signed)] = authority.signed.items()
    assert certified == signed
    assert slept == [0.5, 0.5, 1.0, 1.0, 1.0]
    assert strict.made("GetCertificate") == [{**ASKED_OF_IT, "CertificateArn": arn}] * 6


def test_after_four_seconds_the_request_is_left_to_be_delivered_again(authority: Authority) -> None:
    slept: list[float] = []
    authority.late = 6

    with pytest.raises(NotYet, match="still making"):
        ours(slept.append).certify(CSR, "pump-3")

    assert sum(slept) == 4


WILL_NOT = ["InvalidArgsException", "InvalidStateException", "LimitExceededException", "MalformedCSRException"]
WILL_NOT += ["ResourceNotFoundException", "ValidationException"]


@pytest.mark.parametrize("code", WILL_NOT)
@pytest.mark.usefixtures("authority")
def test_an_authority_that_will_not_is_an_action_that_failed(strict: StrictAws, code: str) -> None:
    strict.refuse("IssueCertificate", code)

    with pytest.raises(ActionFailed, match=rf"did not issue it \({code}\)$"):
        ours().certify(CSR, "pump-3")


@pytest.mark.usefixtures("authority")
def test_one_that_could_not_be_made_after_all_is_an_action_that_failed(strict: StrictAws) -> None:
    strict.refuse("GetCertificate", "RequestFailedException")

    with pytest.raises(ActionFailed, match="RequestFailedException"):
        ours().certify(CSR, "pump-3")


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException", "InternalFailure"])
@pytest.mark.parametrize("operation", ["IssueCertificate", "GetCertificate", "DescribeCertificateAuthority"])
@pytest.mark.usefixtures("authority")
def test_what_may_go_better_next_time_rises(strict: StrictAws, operation: str, code: str) -> None:
    strict.refuse(operation, code)

    with pytest.raises(ClientError, match=code):
        ours().certify(CSR, "pump-3")


def test_one_that_was_registered_and_is_gone_by_now_is_tried_again(strict: StrictAws, stand_in: MotoGround) -> None:
    known = stand_in.certificate(1)
    strict.refuse("DescribeCertificate", "ResourceNotFoundException")

    class Signed:
        def certify(self, _csr: str, _thing: str) -> str:
            return a_key(1).pem

    authority: Any = Signed()
    strict.forget()
    with pytest.raises(NotYet, match=f"certificate {known} was already registered and has been deleted"):
        IotCertificates(a_client("iot"), PREFIX, authority).issue(CSR, "pump-3")

    assert strict.made("RegisterCertificateWithoutCA") == [{"certificatePem": a_key(1).pem, "status": "INACTIVE"}]
    assert strict.made("DescribeCertificate") == [{"certificateId": known}]


# --- on stubs: an authority that makes another certificate than was asked for ---------------------------------------


def signs_with_ecdsa(stubber: Any) -> None:
    described = {
        "CertificateAuthority": {
            "CertificateAuthorityConfiguration": {
                "KeyAlgorithm": "EC_prime256v1",
                "SigningAlgorithm": "SHA256WITHECDSA",
                "Subject": {},
            }
        }
    }
    stubber.add_response("describe_certificate_authority", described, ASKED_OF_IT)


def a_signed_one(csr: str = CSR, thing: str = "pump-3", **how: Any) -> dict[str, str]:
    return {"Certificate": certificate_as_asked(asked(csr, thing), ec.generate_private_key(ec.SECP256R1()), **how)}


@pytest.mark.parametrize(
    ("made", "wrong"),
    [
        (lambda: a_signed_one(a_key(2).csr), "key"),
        (lambda: a_signed_one(thing="pump-4"), "subject, alternative names"),
        (lambda: a_signed_one(api_passthrough=False), "subject, alternative names"),
        (lambda: a_signed_one(is_authority=True), "right to issue certificates"),
    ],
    ids=["another key", "another thing's", "the request's names", "an authority"],
)
def test_another_certificate_than_was_asked_for_goes_no_further(
    stubbed: Stubbed, made: Callable[[], dict[str, str]], wrong: str
) -> None:
    client, stubber = stubbed("acm-pca")
    signs_with_ecdsa(stubber)
    stubber.add_response("issue_certificate", {"CertificateArn": ISSUED})
    stubber.add_response("get_certificate", made())

    with pytest.raises(ActionFailed, match=f"a different certificate than requested: {wrong}$"):
        authority_over(client).certify(CSR, "pump-3")


def test_a_thing_is_its_own_common_name_as_long_as_that_fits() -> None:
    assert common_name("pump-3") == "pump-3"
    assert common_name("x" * 64) == "x" * 64
    assert common_name("x" * 65) == sha256(b"x" * 65).hexdigest()
