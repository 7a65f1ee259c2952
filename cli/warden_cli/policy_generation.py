"""Policies that IAM Access Analyzer generates from CloudTrail: jobs that are started, found again and read.

AWS's own page: IAM User Guide, "IAM Access Analyzer policy generation". AWS alone keeps the jobs: the next run of the
command finds them by ListPolicyGenerations.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from warden.core import quotas
from warden_cli.reading import CONFIG
from warden_cli.terminal import shown

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_accessanalyzer.type_defs import TrailTypeDef

KEPT = timedelta(days=7)
"""How long IAM's console shows a result. It is unverified that the API keeps it as long; an older one is made again."""

_NEEDS = "cloudtrail:GetTrail, s3:GetObject and s3:ListBucket on the trail's bucket and kms:Decrypt on its key"

FIXES = {
    "AUTHORIZATION_ERROR": (
        f"The access role needs {_NEEDS}. A bucket in another account needs a policy of its own (baseline/README.md)."
    ),
    "RESOURCE_NOT_FOUND_ERROR": "Check that the trail and its bucket exist, or name another trail: --trail.",
    "SERVICE_QUOTA_EXCEEDED_ERROR": (
        "A generation reads at most 100,000 log files and 25 GB: look back for fewer days (--days 30), or look into "
        "the files of your fleet's regions alone (--in-region)."
    ),
    "SERVICE_ERROR": "AWS failed. Try again.",
}
"""By Access Analyzer's code of a failed job: what to do. Access Analyzer API reference, JobError."""


class Stage(StrEnum):
    """The progress of the report on one role."""

    READY = "ready"
    RUNNING = "running"
    WAITING = "waiting"
    FAILED = "failed"
    QUOTA = "quota-exceeded"
    CANNOT_START = "cannot-start"
    ROLE_GONE = "role-gone"
    NOT_KNOWN = "not-known"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A generation."""

    id: str
    role: str
    status: str
    started_at: datetime
    completed_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Generated:
    """The result of a generation."""

    documents: Sequence[Mapping[str, Any]]
    complete: bool
    since: datetime | None
    until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Progress:
    """The progress of one role's generation; `says` and `fix` if it does not end by itself."""

    stage: Stage
    job: Job | None = None
    generated: Generated | None = None
    says: str = ""
    fix: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """What a generation reads: the trail, by the role that Access Analyzer assumes; or why there is none."""

    trail: str = ""
    access_role: str = ""
    regions: Sequence[str] = ()
    days: int = quotas.GENERATION_DAYS
    missing: str = ""
    fix: str = ""

    def trails(self) -> list[TrailTypeDef]:
        """Return the trail as the API takes it; without regions, those of all."""
        if self.regions:
            return [{"cloudTrailArn": self.trail, "regions": [*self.regions]}]
        return [{"cloudTrailArn": self.trail, "allRegions": True}]


class Generations:
    """The generations of an account and region. There is one at a time: the others wait for it."""

    def __init__(self, session: Session) -> None:
        self._client = session.client("accessanalyzer", config=CONFIG)
        self._region = session.region_name
        self._started: dict[str, Job] = {}

    def jobs(self) -> Mapping[str, Sequence[Job]]:
        """List the jobs of each role, the latest first; one that was just started may not be listed yet."""
        found: dict[str, dict[str, Job]] = {job.role: {job.id: job} for job in self._started.values()}
        for page in self._client.get_paginator("list_policy_generations").paginate():
            for each in page["policyGenerations"]:
                job = Job(
                    id=each["jobId"],
                    role=each["principalArn"],
                    status=each["status"],
                    started_at=each["startedOn"],
                    completed_at=each.get("completedOn"),
                )
                found.setdefault(job.role, {})[job.id] = job
        return {
            role: sorted(jobs.values(), key=lambda job: job.started_at, reverse=True) for role, jobs in found.items()
        }

    def progress(self, job: Job) -> Progress:
        """Read the result of a job that will not be repeated."""
        if job.status == "IN_PROGRESS":
            return Progress(stage=Stage.RUNNING, job=job)
        answer: Any = self._client.get_generated_policy(
            jobId=job.id, includeResourcePlaceholders=True, includeServiceLevelTemplate=True
        )
        error = answer["jobDetails"].get("jobError")
        if job.status == "FAILED" or error:
            return _failed(job, error or {})
        return _read(job, answer["generatedPolicyResult"])

    def start(self, role: str, source: Source, after: Job | None, now: datetime) -> Progress:
        """Start a generation. The token is derived from the existing jobs, so that starting twice starts one."""
        token = hashlib.sha256(f"{role} after {after.id if after else 'none'}".encode()).hexdigest()[:32]
        try:
            answer = self._client.start_policy_generation(
                policyGenerationDetails={"principalArn": role},
                cloudTrailDetails={
                    "trails": source.trails(),
                    "accessRole": source.access_role,
                    "startTime": now - timedelta(days=source.days),
                    "endTime": now,
                },
                clientToken=token,
            )
        except ClientError as error:
            return _not_started(error, source, self._region)
        job = Job(id=answer["jobId"], role=role, status="IN_PROGRESS", started_at=now)
        self._started[job.id] = job
        return Progress(stage=Stage.RUNNING, job=job)

    def has_started(self, job: Job) -> bool:
        """Whether this run of the command started it, whatever AWS's clock says."""
        return job.id in self._started


def is_fresh(job: Job, now: datetime) -> bool:
    """Whether a job counts: it runs, or it has ended by itself and its result is still kept."""
    if job.status == "CANCELED":
        return False
    return job.status == "IN_PROGRESS" or now - (job.completed_at or job.started_at) < KEPT


def _failed(job: Job, error: Mapping[str, Any]) -> Progress:
    code = str(error.get("code", "SERVICE_ERROR"))
    says = f"the generation failed: {shown(code, 80)}, {shown(str(error.get('message', 'without a reason')), 300)}"
    again = f"Then: warden baseline roles --again {job.role.rpartition('/')[2]}"
    return Progress(stage=Stage.FAILED, job=job, says=says, fix=f"{FIXES.get(code, FIXES['SERVICE_ERROR'])} {again}")


def _read(job: Job, result: Mapping[str, Any]) -> Progress:
    properties = result["properties"]
    looked_at = properties.get("cloudTrailProperties", {})
    try:
        documents = [_document(each["policy"]) for each in result.get("generatedPolicies", [])]
    except ValueError:
        return Progress(
            stage=Stage.FAILED, job=job, says="the generated policy is not JSON", fix=FIXES["SERVICE_ERROR"]
        )
    generated = Generated(
        documents=documents,
        complete=properties.get("isComplete", False),
        since=looked_at.get("startTime"),
        until=looked_at.get("endTime"),
    )
    return Progress(stage=Stage.READY, job=job, generated=generated)


def _document(text: str) -> Mapping[str, Any]:
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("not an object")  # noqa: TRY004 - what json.loads raises as well
    return document


def _not_started(error: ClientError, source: Source, region: str) -> Progress:
    code = error.response["Error"]["Code"]
    if code == "ConflictException":
        return Progress(stage=Stage.WAITING, says="another generation has just begun; there is one at a time")
    if code == "ServiceQuotaExceededException":
        most = quotas.GENERATIONS_A_DAY_WHERE_FEW.get(region, quotas.GENERATIONS_A_DAY)
        says = f"Access Analyzer runs one at a time, and {most} a day in {region}, cancelled ones included"
        return Progress(stage=Stage.QUOTA, says=says, fix="Run the command again when one has ended, or tomorrow.")
    if code == "AccessDeniedException":
        says = (
            f"not known: the role lacks access-analyzer:StartPolicyGeneration, or iam:PassRole on {source.access_role}"
        )
        return Progress(stage=Stage.NOT_KNOWN, says=says, fix="Attach docs/baseline-roles-policy.json to your role.")
    message = shown(error.response["Error"].get("Message", ""), 300)
    says = f"AWS answered access-analyzer:StartPolicyGeneration with {shown(code, 80)}: {message}"
    fix = f"Check that {source.access_role} and {source.trail} exist."
    return Progress(stage=Stage.CANNOT_START, says=says, fix=fix)
