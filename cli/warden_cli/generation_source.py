"""Which trail policies are generated from, and by which role Access Analyzer reads it."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from warden.aws.account_reader import AwsAccountReader
from warden.core.account_facts import Trail
from warden_cli.baseline_account import clients_of
from warden_cli.baseline_proposal import is_unread, why_unread
from warden_cli.policy_generation import Source

if TYPE_CHECKING:
    from boto3 import Session

ROLE = "PolicyGenerationRole"
"""The role's name in baseline/template.yaml; CloudFormation puts it into the name that it makes up."""


def source_of(session: Session, account: str, arguments: Namespace) -> Source:
    """Find what the command line does not name: the trail from CloudTrail, the role from the baseline's stack."""
    reader = AwsAccountReader(clients_of(session), session.region_name, has_device_defender=False)
    trail = arguments.trail or _trail(reader)
    if isinstance(trail, Source):
        return trail
    role = arguments.access_role or _access_role(reader, session, account, arguments.stack)
    if isinstance(role, Source):
        return role
    return Source(trail=trail, access_role=role, regions=arguments.in_region, days=arguments.days)


def _trail(reader: AwsAccountReader) -> str | Source:
    trails = reader.trails()
    if is_unread(trails):
        return Source(missing=f"the trail is {why_unread(trails)}", fix="Name it: --trail ARN.")
    records = [each for each in trails if reader.trail_records_management(each.arn) is not False]
    logging = [each for each in records if _may_be_logging(reader, each)]
    if not logging:
        missing = "no trail records management events and is logging; CloudTrail's event history is not enough"
        fix = "Deploy the baseline with TrailMode=create, or start the trail (aws cloudtrail start-logging)."
        return Source(missing=missing, fix=fix)
    return max(logging, key=_worth).arn


def _may_be_logging(reader: AwsAccountReader, trail: Trail) -> bool:
    """Whether it is logging. In a member account this is often unknown, and then the job reports it."""
    status = reader.trail_status(trail.arn)
    return is_unread(status) or status.logging


def _worth(trail: Trail) -> tuple[bool, bool]:
    """Prefer all regions; then this account's own trail, whose bucket is likely here too."""
    return (trail.multi_region, not trail.organization)


def _access_role(reader: AwsAccountReader, session: Session, account: str, stack: str) -> str | Source:
    resources = reader.stack_resources(stack)
    if is_unread(resources):
        return Source(missing=f"the access role is {why_unread(resources)}", fix="Name it: --access-role ARN.")
    named = sorted(each.id for each in resources if each.type == "AWS::IAM::Role" and f"-{ROLE}-" in each.id)
    if not named:
        missing = f"the stack {stack} has no role that Access Analyzer could read the trail with"
        fix = (
            "Deploy the baseline with PolicyGenerationMode=create, or name a role: --access-role ARN (the output "
            "PolicyGenerationRoleArn of a stack in another region, or one of yours)."
        )
        return Source(missing=missing, fix=fix)
    partition = session.get_partition_for_region(session.region_name)
    return f"arn:{partition}:iam::{account}:role/{named[0]}"
