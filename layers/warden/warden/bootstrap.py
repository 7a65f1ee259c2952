"""The composition root: the only place that binds ports to AWS. Each is made once, at its first use."""

from __future__ import annotations

import time
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Protocol, cast

import boto3
from botocore.config import Config

from warden.aws.account import IotAccountSettings
from warden.aws.certificates import IotCertificates
from warden.aws.connections import IotConnections
from warden.aws.detectors import AwsDetectors
from warden.aws.evidence import S3Evidence, S3Reports, upload_config
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
from warden.core.errors import PlanError
from warden.core.ports import Ports
from warden.core.throttle import RateLimiter
from warden.plan.model import Plan
from warden.plan.parser import read_plan
from warden.settings import Settings, arn_prefix_from, settings_from

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_iot import IoTClient

    from warden.account import AccountSettings
    from warden.aws.patience import Patience
    from warden.core.ports import AccountReader, LogLevels, ResourceUpdates, StackDrift
    from warden.logs.group_level import LevelKeeper
    from warden.survey.model import Drift, Survey
    from warden.survey.surveys import Page, Surveying

_CONFIG = Config(
    retries={"mode": "standard", "total_max_attempts": 6},
    connect_timeout=3,
    read_timeout=15,
)

_CONFIG_TO_READ = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=3,
    read_timeout=10,
)
_TIME_TO_READ = timedelta(seconds=120)
"""After this a survey asks nothing more: what was not read is recorded as not known while there is time."""
_TIME_TO_WRITE = timedelta(seconds=220)
"""After this a run of the survey begins no call: the next run does what is owed."""


@cache
def context() -> Context:
    """Put the service together from the environment and the plan layer."""
    settings = settings_from()
    return Context(ports=_ports(settings), settings=settings, plan=deployed_plan(), clock=utc_now)


@cache
def account_settings() -> AccountSettings:
    """Return the account's settings for `set_up_account`, which needs nothing else of the service."""
    return IotAccountSettings(boto3.client("iot", config=_CONFIG), arn_prefix_from())


@cache
def level_keeper() -> LevelKeeper:
    """Return what is needed to keep the level at which contained devices are logged."""
    from warden.logs.group_level import LevelKeeper

    settings = settings_from()
    ports = _ports(settings)
    return LevelKeeper(
        ledger=ports.ledger,
        levels=ports.log_levels,
        group=settings.restricted_group,
        is_asked_for=settings.log_contained,
        clock=utc_now,
    )


@cache
def surveying(page: Page, count: Callable[[Survey], None], count_drift: Callable[[Drift], None]) -> Surveying:
    """Return everything for `survey_account` except the plan: a plan that cannot be read is a result of the survey.

    `page` makes the survey's page. The function passes it and its metrics, because no other function has the layer of
    templates.
    """
    from warden.survey.controls import baseline
    from warden.survey.surveys import Surveying

    settings = settings_from()
    return Surveying(
        ports=_ports(settings, _to_write),
        settings=settings,
        baseline=baseline(),
        clock=utc_now,
        plan_fault=_plan_fault,
        page=page,
        count=count,
        count_drift=count_drift,
    )


@cache
def patience() -> Patience:
    """Return how long a run of the survey waits for AWS; the run begins it."""
    from warden.aws.patience import Patience

    return Patience(time.monotonic)


def _to_read[T](client: T) -> T:
    return patience().watch(client, _TIME_TO_READ)


def _to_write[T](client: T) -> T:
    return patience().watch(client, _TIME_TO_WRITE)


def _unwatched[T](client: T) -> T:
    return client


def _plan_fault() -> str:
    try:
        deployed_plan()
    except PlanError as error:
        return str(error)
    return ""


def rate_limiter() -> RateLimiter:
    """Return the rate at which the sweep of certificates looks things up."""
    return RateLimiter(context().settings.lookups_per_second, time.monotonic, time.sleep)


def deployed_plan() -> Plan:
    """Read the plan that was deployed with the service."""
    return read_plan(files("warden_plan").joinpath("response-plan.toml").read_text(encoding="utf-8"))


class _Lazy[T]:
    """Stands in for a port until its first use, so that a function makes only the clients it needs."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: T | None = None

    def __getattr__(self, name: str) -> object:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


def _lazy[T](make: Callable[[], T]) -> T:
    """Return a port that is made at its first use; mypy checks `make` against the port's Protocol."""
    return cast("T", _Lazy(make))


class _Watch(Protocol):
    def __call__[T](self, client: T, /) -> T: ...


def _ports(settings: Settings, watched: _Watch = _unwatched) -> Ports:
    iot = cache(lambda: boto3.client("iot", config=_CONFIG))
    iot_data = cache(lambda: boto3.client("iot-data", config=_CONFIG))
    sqs = cache(lambda: boto3.client("sqs", config=_CONFIG))
    s3 = cache(
        lambda: watched(boto3.client("s3", config=_CONFIG.merge(upload_config(on_local_aws=settings.on_local_aws))))
    )
    prefix, bucket = settings.arn_prefix, settings.evidence_bucket
    return Ports(
        ledger=_lazy(lambda: DynamoLedger(watched(boto3.client("dynamodb", config=_CONFIG)), settings.ledger_table)),
        registry=_lazy(lambda: IotRegistry(iot(), prefix)),
        certificates=_lazy(lambda: IotCertificates(iot(), prefix, _private_authority(settings))),
        connections=_lazy(lambda: IotConnections(iot_data())),
        jobs=_lazy(lambda: IotJobs(iot(), prefix)),
        evidence=_lazy(lambda: S3Evidence(s3(), bucket)),
        reports=_lazy(lambda: S3Reports(s3(), bucket)),
        notices=_lazy(lambda: SnsNotices(watched(boto3.client("sns", config=_CONFIG)), settings.notices_topic)),
        announcements=_lazy(
            lambda: EventBridgeAnnouncements(watched(boto3.client("events", config=_CONFIG)), settings.event_source)
        ),
        security_hub=_lazy(lambda: AwsSecurityHub(boto3.client("securityhub", config=_CONFIG))),
        replies=_lazy(lambda: IotReplies(iot_data())),
        queue=_lazy(lambda: SqsCaseQueue(sqs(), settings.case_queue_url)),
        inbox=_lazy(lambda: SqsInbox(sqs(), settings.inbox_url)),
        renewal_queue=_lazy(lambda: SqsRenewalQueue(sqs(), settings.renewal_queue_url)),
        detectors=_lazy(lambda: AwsDetectors(iot())),
        account_reader=_lazy(lambda: _account_reader(settings)),
        log_levels=_lazy(lambda: _log_levels(iot())),
        stack_drift=_lazy(_stack_drift),
        resource_updates=_lazy(_resource_updates),
    )


def _log_levels(client: IoTClient) -> LogLevels:
    """Build what few functions use, and few runs of those."""
    from warden.aws.log_levels import IotLogLevels

    return IotLogLevels(client)


def _account_reader(settings: Settings) -> AccountReader:
    """Build what only the survey uses, so that no other function has to import it."""
    from warden.aws.account_reader import AwsAccountReader, Clients
    from warden.survey.controls import baseline

    clients = Clients(
        iot=_to_read(boto3.client("iot", config=_CONFIG_TO_READ)),
        guardduty=_to_read(boto3.client("guardduty", config=_CONFIG_TO_READ)),
        organizations=_to_read(boto3.client("organizations", config=_CONFIG_TO_READ)),
        cloudtrail=_to_read(boto3.client("cloudtrail", config=_CONFIG_TO_READ)),
        s3=_to_read(boto3.client("s3", config=_CONFIG_TO_READ)),
        accessanalyzer=_to_read(boto3.client("accessanalyzer", config=_CONFIG_TO_READ)),
        sns=_to_read(boto3.client("sns", config=_CONFIG_TO_READ)),
        events=_to_read(boto3.client("events", config=_CONFIG_TO_READ)),
        cloudformation=_to_read(boto3.client("cloudformation", config=_CONFIG_TO_READ)),
        logs=_to_read(boto3.client("logs", config=_CONFIG_TO_READ)),
        cloudwatch=_to_read(boto3.client("cloudwatch", config=_CONFIG_TO_READ)),
    )
    has_device_defender = settings.region not in baseline().regions_without_audit
    return AwsAccountReader(clients, settings.region, has_device_defender=has_device_defender)


def _stack_drift() -> StackDrift:
    from warden.aws.stack_drift import CloudFormationDrift

    return CloudFormationDrift(_to_write(boto3.client("cloudformation", config=_CONFIG)))


def _resource_updates() -> ResourceUpdates:
    from warden.aws.stack_drift import CloudControlUpdates

    return CloudControlUpdates(_to_write(boto3.client("cloudcontrol", config=_CONFIG)))


def _private_authority(settings: Settings) -> PrivateAuthority | None:
    if not settings.private_ca:
        return None
    return PrivateAuthority(
        boto3.client("acm-pca", config=_CONFIG),
        settings.private_ca,
        days=settings.private_ca_validity.days,
        arn_prefix=settings.arn_prefix,
        sleep=time.sleep,
    )
