"""The composition root: the only place that knows which port is what on AWS. All is made once, when first asked for."""

from __future__ import annotations

import time
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from warden.aws.account import IotAccountSettings
from warden.aws.certificates import IotCertificates
from warden.aws.connections import IotConnections
from warden.aws.detectors import AwsDetectors
from warden.aws.evidence import S3Evidence, S3Reports
from warden.aws.jobs import IotJobs
from warden.aws.ledger import DynamoLedger
from warden.aws.messaging import (
    AwsSecurityHub,
    EventBridgeAnnouncements,
    IotReplies,
    SnsNotices,
    SqsCaseQueue,
    SqsInbox,
    SqsRenewalQueue,
)
from warden.aws.private_ca import PrivateAuthority
from warden.aws.registry import IotRegistry
from warden.context import Context
from warden.core.clock import utc_now
from warden.core.ports import Ports
from warden.core.throttle import RateLimiter
from warden.plan.model import Plan
from warden.plan.parser import read_plan
from warden.settings import Settings, arn_prefix_from, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=3,
    read_timeout=15,
)


@cache
def context() -> Context:
    """Put the service together from the environment and the plan layer."""
    settings = settings_from()
    return Context(ports=_ports(settings), settings=settings, plan=deployed_plan(), clock=utc_now)


@cache
def account_settings() -> IotAccountSettings:
    """Give `set_up_account` the account's settings; it needs nothing else of the service."""
    return IotAccountSettings(boto3.client("iot", config=_CONFIG), arn_prefix_from())


def rate_limiter() -> RateLimiter:
    """Give the sweep of certificates its pace."""
    return RateLimiter(context().settings.lookups_per_second, time.monotonic, time.sleep)


def deployed_plan() -> Plan:
    """Read the plan that was deployed with us."""
    return read_plan(files("warden_plan").joinpath("response-plan.toml").read_text(encoding="utf-8"))


class _Lazy[T]:
    """Stands in for a port until it is first used: a function pays only for the clients it needs."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


def _ports(settings: Settings) -> Ports:
    @cache
    def client(name: Any) -> Any:
        config = _CONFIG.merge(Config(signature_version="s3v4")) if name == "s3" else _CONFIG
        return boto3.client(name, config=config)

    def authority() -> PrivateAuthority | None:
        arn, days = settings.private_ca, settings.private_ca_validity.days
        if not arn:
            return None
        return PrivateAuthority(client("acm-pca"), arn, days=days, arn_prefix=prefix, sleep=time.sleep)

    prefix = settings.arn_prefix
    lazy: Any = _Lazy
    return Ports(
        ledger=lazy(lambda: DynamoLedger(client("dynamodb"), settings.ledger_table)),
        registry=lazy(lambda: IotRegistry(client("iot"), prefix)),
        certificates=lazy(lambda: IotCertificates(client("iot"), prefix, authority())),
        connections=lazy(lambda: IotConnections(client("iot-data"))),
        jobs=lazy(lambda: IotJobs(client("iot"), prefix)),
        evidence=lazy(lambda: S3Evidence(client("s3"), settings.evidence_bucket)),
        reports=lazy(lambda: S3Reports(client("s3"), settings.evidence_bucket)),
        notices=lazy(lambda: SnsNotices(client("sns"), settings.notices_topic)),
        announcements=lazy(lambda: EventBridgeAnnouncements(client("events"), settings.event_source)),
        security_hub=lazy(lambda: AwsSecurityHub(client("securityhub"))),
        replies=lazy(lambda: IotReplies(client("iot-data"))),
        queue=lazy(lambda: SqsCaseQueue(client("sqs"), settings.case_queue_url)),
        inbox=lazy(lambda: SqsInbox(client("sqs"), settings.inbox_url)),
        renewal_queue=lazy(lambda: SqsRenewalQueue(client("sqs"), settings.renewal_queue_url)),
        detectors=lazy(lambda: AwsDetectors(client("iot"))),
    )
