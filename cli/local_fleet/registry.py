"""What the cloud holds about things and cases, read anew each time it is asked."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from local_fleet.aws import LocalAws


@dataclass(frozen=True, order=True)
class Certificate:
    """One certificate as the registry has it now."""

    id: str
    status: str
    policies: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.id[:12]} {self.status} [{', '.join(self.policies) or 'no policy'}]"


@dataclass(frozen=True)
class Standing:
    """Everything in the registry that decides what a thing may do."""

    groups: tuple[str, ...]
    certificates: tuple[Certificate, ...]

    def __str__(self) -> str:
        return f"groups {', '.join(self.groups) or 'none'}; certificates {', '.join(map(str, self.certificates))}"


def standing(aws: LocalAws, thing: str) -> Standing:
    """Read where a thing stands."""
    iot = aws.session().client("iot")
    groups = iot.get_paginator("list_thing_groups_for_thing").paginate(thingName=thing)
    principals = iot.get_paginator("list_thing_principals").paginate(thingName=thing)
    return Standing(
        groups=tuple(sorted(group["groupName"] for page in groups for group in page["thingGroups"])),
        certificates=tuple(sorted(certificate(aws, arn) for page in principals for arn in page["principals"])),
    )


def certificate(aws: LocalAws, arn: str) -> Certificate:
    """Read one certificate."""
    iot = aws.session().client("iot")
    id_ = arn.rpartition("/")[2]
    policies = iot.get_paginator("list_attached_policies").paginate(target=arn)
    return Certificate(
        id=id_,
        status=iot.describe_certificate(certificateId=id_)["certificateDescription"]["status"],
        policies=tuple(sorted(policy["policyName"] for page in policies for policy in page["policies"])),
    )


def all_certificates(aws: LocalAws) -> dict[str, str]:
    """List every certificate of the account with its status."""
    pages = aws.session().client("iot").get_paginator("list_certificates").paginate()
    return {each["certificateId"]: each["status"] for page in pages for each in page["certificates"]}


def all_jobs(aws: LocalAws, things: Iterable[str]) -> dict[str, str]:
    """List every execution of every job on these things with its status."""
    pages = aws.session().client("iot").get_paginator("list_job_executions_for_thing")
    return {
        f"{each['jobId']} on {thing}": each["jobExecutionSummary"]["status"]
        for thing in things
        for page in pages.paginate(thingName=thing)
        for each in page["executionSummaries"]
    }


def all_records(aws: LocalAws, table: str) -> list[str]:
    """Read the whole ledger: every record as one line, the versions and times in it included."""
    pages = aws.session().client("dynamodb").get_paginator("scan").paginate(TableName=table)
    return sorted(json.dumps(record, sort_keys=True, default=str) for page in pages for record in page["Items"])


def all_objects(aws: LocalAws, bucket: str) -> dict[str, bytes]:
    """Read the whole bucket, every version of every object."""
    s3 = aws.session().client("s3")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    versions = [each for page in pages for each in page.get("Versions", [])]
    return {
        f"{each['Key']}@{each['VersionId']}": s3.get_object(
            Bucket=bucket, Key=each["Key"], VersionId=each["VersionId"]
        )["Body"].read()
        for each in versions
    }


def waiting(aws: LocalAws, queue_url: str) -> int:
    """Count what is in a queue, what somebody is working on included."""
    names = (
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )
    sqs = aws.session().client("sqs")
    attributes = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["All"])["Attributes"]
    return sum(int(attributes.get(name, 0)) for name in names)  # type: ignore[call-overload]  # a literal, to its stubs


def function_logs(aws: LocalAws) -> Iterator[tuple[str, str]]:
    """Read what the functions logged: the function's name and the line."""
    logs = aws.session().client("logs")
    groups = logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix="/aws/lambda/")
    for group in [each["logGroupName"] for page in groups for each in page["logGroups"]]:
        for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
            for event in page["events"]:
                yield group.rpartition("/")[2], event["message"].rstrip()


def records_logged(aws: LocalAws, message: str) -> list[dict[str, Any]]:
    """Find the functions' own log records that say this."""
    found = []
    for _, line in function_logs(aws):
        if line.startswith("{") and f'"{message}"' in line:
            record = json.loads(line)
            if record.get("message") == message:
                found.append(record)
    return found
