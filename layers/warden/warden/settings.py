"""The deployment's settings. Only this module reads the environment."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from warden.core import quotas
from warden.core.mode import Mode

_LOOKUPS_PER_MINUTE = 57 * quotas.PRINCIPAL_LOOKUPS_PER_SECOND
"""95 % of what AWS IoT allows, as in the template: the rest is for others in the account."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The deployment's names and settings; template.yaml sets all of them."""

    region: str
    account: str
    partition: str
    ledger_table: str
    case_queue_url: str
    inbox_url: str
    evidence_bucket: str
    notices_topic: str
    renewal_queue_url: str
    restricted_group: str
    restricted_policy: str
    event_source: str = "fleet-warden"
    """The EventBridge source of the service's own events."""
    security_hub: bool = False
    """Whether every case is also a finding in Security Hub."""
    mode: Mode = Mode.OBSERVE
    verify_findings: bool = True
    disconnect: bool = True
    second_disconnect_after: timedelta = timedelta(minutes=8)
    """AWS IoT caches policies: a change takes effect after six to eight minutes.

    By then its lists show the change too, and no earlier invocation is still running.
    """
    look_every: timedelta = timedelta(hours=1)
    """How often a contained device is compared with AWS IoT again; zero for once only."""
    rotation_deadline: timedelta = timedelta(hours=24)
    collection_deadline: timedelta = timedelta(hours=24)
    work_timeout: timedelta = timedelta(minutes=15)
    """How long a device may work on a job once it has begun."""
    rotate_after: timedelta = timedelta(days=365)
    """The age at which a certificate is due for renewal, unless the plan sets another for its thing's type."""
    lookups_per_second: float = _LOOKUPS_PER_MINUTE / 60
    """The number of certificates a second whose things the sweep looks up."""
    private_ca: str = ""
    """The ARN of the authority in AWS Private CA that signs new certificates; empty for AWS IoT's own."""
    private_ca_validity: timedelta = timedelta(days=730)
    """How long a certificate of that authority is valid: longer than `rotate_after`, or devices are locked out."""
    certificate_grace: timedelta = timedelta(days=7)
    """How long a retired certificate is kept, INACTIVE, before it is deleted."""
    case_retention: timedelta = timedelta(days=400)
    log_contained: bool = True
    """Whether AWS IoT logs contained devices at DEBUG."""
    alert_topic: str = ""
    """The topic that Device Defender should report to; only the survey uses it."""
    schedules: Sequence[str] = ()
    """The names of the service's EventBridge rules; only the survey uses them."""
    baseline_stack: str = "iot-baseline"
    """The stack of the account's baseline: what it made is ours."""
    mends_drift: bool = False
    """Whether the survey changes a drifted property of that stack back; otherwise it only reports it."""
    on_local_aws: bool = False
    """Whether the SDK is sent to another endpoint than AWS's."""
    evidence_file_bytes: int = 10 * 1024 * 1024
    evidence_files: int = 10

    @property
    def inbox_arn(self) -> str:
        """The ARN of the inbox queue, which has the name at the end of its URL."""
        return f"arn:{self.partition}:sqs:{self.region}:{self.account}:{self.inbox_url.rpartition('/')[2]}"

    @property
    def arn_prefix(self) -> str:
        """The part before the resource in every ARN of AWS IoT in this account and region."""
        return f"arn:{self.partition}:iot:{self.region}:{self.account}:"


_REQUIRED = (
    "AWS_REGION",
    "WARDEN_ACCOUNT",
    "WARDEN_PARTITION",
    "WARDEN_LEDGER_TABLE",
    "WARDEN_CASE_QUEUE_URL",
    "WARDEN_INBOX_URL",
    "WARDEN_EVIDENCE_BUCKET",
    "WARDEN_NOTICES_TOPIC",
    "WARDEN_RENEWAL_QUEUE_URL",
    "WARDEN_RESTRICTED_GROUP",
    "WARDEN_RESTRICTED_POLICY",
)


def settings_from(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings.

    Raises:
        LookupError: naming every variable that is missing.
        ValueError: naming the variable that cannot be read.
    """
    missing = sorted(variable for variable in _REQUIRED if not environment.get(variable))
    if missing:
        raise LookupError(f"the environment lacks {', '.join(missing)}; template.yaml sets them for every function")
    return Settings(
        region=environment["AWS_REGION"],
        account=environment["WARDEN_ACCOUNT"],
        partition=environment["WARDEN_PARTITION"],
        ledger_table=environment["WARDEN_LEDGER_TABLE"],
        case_queue_url=environment["WARDEN_CASE_QUEUE_URL"],
        inbox_url=environment["WARDEN_INBOX_URL"],
        evidence_bucket=environment["WARDEN_EVIDENCE_BUCKET"],
        notices_topic=environment["WARDEN_NOTICES_TOPIC"],
        renewal_queue_url=environment["WARDEN_RENEWAL_QUEUE_URL"],
        restricted_group=environment["WARDEN_RESTRICTED_GROUP"],
        restricted_policy=environment["WARDEN_RESTRICTED_POLICY"],
        event_source=environment.get("WARDEN_EVENT_SOURCE", "fleet-warden"),
        mode=Mode(environment.get("WARDEN_MODE", Mode.OBSERVE)),
        security_hub=_flag(environment, "WARDEN_SECURITY_HUB", default=False),
        verify_findings=_flag(environment, "WARDEN_VERIFY_FINDINGS", default=True),
        disconnect=_flag(environment, "WARDEN_DISCONNECT", default=True),
        second_disconnect_after=timedelta(seconds=_number(environment, "WARDEN_SECOND_DISCONNECT_SECONDS", 480)),
        look_every=timedelta(minutes=_number(environment, "WARDEN_LOOK_MINUTES", 60)),
        rotation_deadline=timedelta(hours=_number(environment, "WARDEN_ROTATION_DEADLINE_HOURS", 24)),
        rotate_after=timedelta(days=_number(environment, "WARDEN_ROTATE_AFTER_DAYS", 365)),
        lookups_per_second=_number(environment, "WARDEN_LOOKUPS_PER_MINUTE", _LOOKUPS_PER_MINUTE) / 60,
        private_ca=environment.get("WARDEN_PRIVATE_CA", ""),
        private_ca_validity=timedelta(days=_number(environment, "WARDEN_PRIVATE_CA_VALIDITY_DAYS", 730)),
        certificate_grace=timedelta(hours=_number(environment, "WARDEN_CERTIFICATE_GRACE_HOURS", 168)),
        case_retention=timedelta(days=_number(environment, "WARDEN_CASE_RETENTION_DAYS", 400)),
        log_contained=_flag(environment, "WARDEN_LOG_CONTAINED", default=True),
        alert_topic=environment.get("WARDEN_ALERT_TOPIC", ""),
        schedules=tuple(filter(None, environment.get("WARDEN_SCHEDULES", "").split(","))),
        baseline_stack=environment.get("WARDEN_BASELINE_STACK", "iot-baseline"),
        mends_drift=_mends(environment),
        on_local_aws="AWS_ENDPOINT_URL" in environment,
    )


def arn_prefix_from(environment: Mapping[str, str] = os.environ) -> str:
    """Return `Settings.arn_prefix` for a function that needs no other setting."""
    return f"arn:{environment['WARDEN_PARTITION']}:iot:{environment['AWS_REGION']}:{environment['WARDEN_ACCOUNT']}:"


def _mends(environment: Mapping[str, str]) -> bool:
    word = environment.get("WARDEN_BASELINE_DRIFT", "report")
    if word not in ("report", "mend"):
        raise ValueError(f"WARDEN_BASELINE_DRIFT is {word!r}; it must be report or mend")
    return word == "mend"


def _flag(environment: Mapping[str, str], variable: str, *, default: bool) -> bool:
    text = environment.get(variable, str(default)).lower()
    if text not in ("true", "false"):
        raise ValueError(f"{variable} is {text!r}; it must be true or false")
    return text == "true"


def _number(environment: Mapping[str, str], variable: str, default: int) -> int:
    text = environment.get(variable, str(default))
    if not text.isdecimal():
        raise ValueError(f"{variable} is {text!r}; it must be a whole number")
    return int(text)
