"""The account as its deployer sees it: read with their own credentials, by calls that change nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from warden.aws.account_reader import AwsAccountReader, Clients
from warden.core.account_facts import AuditConfiguration, Detector, Read, Unavailable
from warden.survey.controls import controls_data
from warden_cli.account_size import Size, size_of
from warden_cli.baseline_proposal import Facts, is_unread
from warden_cli.reading import CONFIG, account_of, impatient, read, session_of

if TYPE_CHECKING:
    from boto3 import Session


@dataclass(frozen=True)
class Account:
    """What was read of the account, and how large it is."""

    facts: Facts
    size: Size


def read_account(*, region: str, profile: str, stack: str) -> Account:
    """Read what the baseline's parameters depend on.

    Raises:
        BadUsage: when the region or the profile is not known.
        NotReached: when AWS cannot be asked, or does not know the caller.
    """
    session = impatient(session_of(region, profile))
    facts = _facts(session, account_of(session), stack)
    return Account(facts, size_of(session, datetime.now(UTC), has_iot=facts.has_iot))


def _facts(session: Session, account: str, stack: str) -> Facts:
    regions, region = controls_data()["regions"], session.region_name
    has_iot = region not in regions["no_iot"]
    has_device_defender = has_iot and region not in regions["no_audit"]
    reader = AwsAccountReader(clients_of(session), region, has_device_defender=has_device_defender)
    audit, detector, trails = reader.audit_configuration(), reader.detector(), reader.trails()
    arns = [] if is_unread(trails) else [each.arn for each in trails]
    return Facts(
        account=account,
        region=region,
        has_iot=has_iot,
        has_device_defender=has_device_defender,
        stack=reader.stack_resources(stack),
        audit=audit,
        schedules=reader.scheduled_audits(),
        logging=reader.iot_logging() if has_iot else Unavailable(region),
        detector=detector,
        administrator=reader.guardduty_administrator(detector.id) if isinstance(detector, Detector) else "",
        analyzers=reader.analyzers(),
        trails=trails,
        trail_status={arn: reader.trail_status(arn) for arn in arns},
        trail_records_management={arn: reader.trail_records_management(arn) for arn in arns},
        profiles=reader.security_profiles(),
        topic_key=_topic_key(session, audit),
    )


def clients_of(session: Session) -> Clients:
    """Make a client for each service that the account is read by."""
    return Clients(
        iot=session.client("iot", config=CONFIG),
        guardduty=session.client("guardduty", config=CONFIG),
        organizations=session.client("organizations", config=CONFIG),
        cloudtrail=session.client("cloudtrail", config=CONFIG),
        s3=session.client("s3", config=CONFIG),
        accessanalyzer=session.client("accessanalyzer", config=CONFIG),
        sns=session.client("sns", config=CONFIG),
        events=session.client("events", config=CONFIG),
        cloudformation=session.client("cloudformation", config=CONFIG),
        logs=session.client("logs", config=CONFIG),
        cloudwatch=session.client("cloudwatch", config=CONFIG),
    )


def _topic_key(session: Session, audit: Read[AuditConfiguration]) -> Read[str]:
    """Read the customer key of the topic that the audit reports to; AWS's own key is none."""
    if is_unread(audit) or not audit.target:
        return ""
    sns, kms, topic = session.client("sns", config=CONFIG), session.client("kms", config=CONFIG), audit.target
    key = read("sns", lambda: sns.get_topic_attributes(TopicArn=topic)["Attributes"].get("KmsMasterKeyId", ""))
    if is_unread(key) or not key or key.endswith("alias/aws/sns"):
        return key if is_unread(key) else ""
    return read("kms", lambda: kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])
