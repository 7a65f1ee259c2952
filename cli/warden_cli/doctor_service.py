"""The checks of the service and what is around it: the survey, the clock, parked messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING

from warden_cli.baseline_proposal import is_unread
from warden_cli.doctor_model import Finding, Health, Patient, unknown
from warden_cli.errors import CommandFailed
from warden_cli.reading import CONFIG, read

if TYPE_CHECKING:
    from boto3 import Session

_MOST_SKEW = timedelta(seconds=60)
"""AWS refuses signatures from five minutes on."""

_PULSES = {"ok": Health.OK, "wrong": Health.WRONG, "not-known": Health.NOT_KNOWN}


def liveness(patient: Patient) -> Iterator[Finding]:
    """Copy the lines of liveness from the last survey."""
    try:
        survey = patient.service().ask("survey").get("survey")
    except CommandFailed as failure:
        yield Finding(check="survey", health=Health.NOT_KNOWN, says=str(failure), fix="Set WARDEN_URL, or use --url.")
        return
    if survey is None:
        fix = "It is made within a quarter of an hour of the deployment: read the log of <stack>-survey_account."
        yield Finding(check="survey", health=Health.WRONG, says="there is no survey yet", fix=fix)
        return
    for row in survey["liveness"]:
        yield Finding(
            check=row["key"],
            health=_PULSES.get(row["pulse"], Health.OK),
            says=f"{row['title']}: {' '.join(row['says']) or row['pulse']}",
            fix=row["fix"] if row["pulse"] in ("wrong", "not-known") else "",
        )


def clock(patient: Patient) -> Iterator[Finding]:
    """Compare this machine's clock with AWS's."""
    answer = read("sts", lambda: patient.session.client("sts", config=CONFIG).get_caller_identity())
    if is_unread(answer):
        yield unknown("clock", answer)
        return
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date", "")
    if not date:
        yield Finding(check="clock", health=Health.NOT_KNOWN, says="AWS's answer has no date")
        return
    skew = datetime.now(UTC) - parsedate_to_datetime(date)
    seconds = round(abs(skew).total_seconds())
    if abs(skew) <= _MOST_SKEW:
        yield Finding(check="clock", health=Health.OK, says=f"this machine's clock is within {seconds} s of AWS's")
        return
    side = "ahead of" if skew > timedelta() else "behind"
    fix = "Set the clock (NTP): AWS refuses calls that are five minutes off."
    yield Finding(check="clock", health=Health.WRONG, says=f"this machine's clock is {seconds} s {side} AWS's", fix=fix)


def parked(patient: Patient) -> Iterator[Finding]:
    """Count the messages that could not be processed."""
    queues = read("cloudformation", lambda: _parked_queues(patient))
    if is_unread(queues):
        yield unknown("parked", queues)
        return
    for name, url in queues.items():
        waiting = read("sqs", partial(_waiting, patient.session, url))
        if is_unread(waiting):
            yield unknown("parked", waiting)
        elif waiting:
            fix = 'docs/operations.md, "Parked messages": mend the cause, then send them again.'
            says = f"{name} holds {waiting} messages that could not be processed"
            yield Finding(check="parked", health=Health.WRONG, says=says, fix=fix)
        else:
            yield Finding(check="parked", health=Health.OK, says=f"{name} is empty")


def _parked_queues(patient: Patient) -> Mapping[str, str]:
    pages = patient.session.client("cloudformation", config=CONFIG).get_paginator("list_stack_resources")
    return {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for page in pages.paginate(StackName=patient.stack)
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::SQS::Queue" and each["LogicalResourceId"].startswith("Parked")
    }


def _waiting(session: Session, url: str) -> int:
    sqs = session.client("sqs", config=CONFIG)
    answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    return int(answer["Attributes"]["ApproximateNumberOfMessages"])
