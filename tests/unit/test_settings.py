"""Settings: read from the environment or refused, naming the variable that is wrong."""

from datetime import timedelta

import pytest

from warden.core.mode import Mode
from warden.settings import arn_prefix_from, settings_from

LEAST = {
    "AWS_REGION": "eu-central-1",
    "WARDEN_ACCOUNT": "123456789012",
    "WARDEN_PARTITION": "aws",
    "WARDEN_LEDGER_TABLE": "ledger",
    "WARDEN_CASE_QUEUE_URL": "https://sqs.example/cases",
    "WARDEN_INBOX_URL": "https://sqs.example/inbox",
    "WARDEN_EVIDENCE_BUCKET": "evidence",
    "WARDEN_NOTICES_TOPIC": "arn:aws:sns:eu-central-1:123456789012:notices",
    "WARDEN_RENEWAL_QUEUE_URL": "https://sqs.example/renewals",
    "WARDEN_RESTRICTED_GROUP": "restricted-group",
    "WARDEN_RESTRICTED_POLICY": "restricted-policy",
}


def test_what_is_not_set_is_the_careful_choice() -> None:
    settings = settings_from(LEAST)

    assert settings.mode is Mode.OBSERVE
    assert (settings.security_hub, settings.verify_findings, settings.disconnect) == (False, True, True)
    assert settings.second_disconnect_after == timedelta(minutes=8)
    assert settings.rotation_deadline == timedelta(days=1)
    assert settings.rotate_after == timedelta(days=365)
    assert (settings.private_ca, settings.private_ca_validity) == ("", timedelta(days=730))
    assert settings.lookups_per_second == 9.5
    assert settings.certificate_grace == timedelta(days=7)
    assert settings.case_retention == timedelta(days=400)
    assert settings.arn_prefix == arn_prefix_from(LEAST) == "arn:aws:iot:eu-central-1:123456789012:"


def test_another_endpoint_is_a_local_aws() -> None:
    assert not settings_from(LEAST).on_local_aws
    assert settings_from({**LEAST, "AWS_ENDPOINT_URL": "http://localhost:4566"}).on_local_aws


def test_every_variable_that_is_missing_is_named() -> None:
    environment = {**LEAST, "WARDEN_LEDGER_TABLE": ""}
    del environment["WARDEN_ACCOUNT"]

    with pytest.raises(LookupError, match="lacks WARDEN_ACCOUNT, WARDEN_LEDGER_TABLE;"):
        settings_from(environment)


@pytest.mark.parametrize(("text", "flag"), [("true", True), ("True", True), ("false", False), ("FALSE", False)])
def test_a_flag_is_true_or_false_however_it_is_spelt(text: str, flag: bool) -> None:
    assert settings_from({**LEAST, "WARDEN_DISCONNECT": text}).disconnect is flag


@pytest.mark.parametrize(("word", "mends"), [("report", False), ("mend", True)])
def test_drift_is_changed_back_only_if_the_parameter_says_so(word: str, mends: bool) -> None:
    assert settings_from({**LEAST, "WARDEN_BASELINE_DRIFT": word}).mends_drift is mends
    assert not settings_from(LEAST).mends_drift


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("WARDEN_DISCONNECT", "yes", "WARDEN_DISCONNECT is 'yes'; it must be true or false"),
        ("WARDEN_BASELINE_DRIFT", "true", "WARDEN_BASELINE_DRIFT is 'true'; it must be report or mend"),
        ("WARDEN_CASE_RETENTION_DAYS", "-1", "WARDEN_CASE_RETENTION_DAYS is '-1'; it must be a whole number"),
        ("WARDEN_CASE_RETENTION_DAYS", "1.5", "WARDEN_CASE_RETENTION_DAYS is '1.5'; it must be a whole number"),
        ("WARDEN_MODE", "enforced", "'enforced' is not a valid Mode"),
    ],
)
def test_what_cannot_be_read_is_named(variable: str, text: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"^{said}$"):
        settings_from({**LEAST, variable: text})
