"""Requests for uploads: where a device may put the files that it announced for a log collection."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from warden.cases.model import Step, StepKind
from warden.context import Context
from warden.core import quotas
from warden.core.errors import Refused
from warden.devices.jobs import Job, Upload, job_put, read_job
from warden.devices.requests import DeviceRequest, require_in_progress, require_own
from warden.plan.actions import COLLECT_LOGS

_FILE_NAME_CHARACTERS = 128
_UPLOAD_LIFETIME = timedelta(minutes=5)

PERMISSIONS = ("iot:ListThingPrincipals", "iot:DescribeCertificate", "iot:DescribeJobExecution", "s3:PutObject")
"""What the answers need from AWS."""


def create_uploads(request: DeviceRequest, body: Mapping[str, Any], context: Context) -> dict[str, Any]:
    """Answer logs/create: sign an upload form for each file; announced files cannot change later.

    Raises:
        Refused: not-yours, not-active, no-job, files-invalid, files-changed.
    """
    require_own(request, context)
    job_id = body.get("jobId")
    named = isinstance(job_id, str) and re.fullmatch(quotas.JOB_ID, job_id)
    job = read_job(context.ports.ledger, str(job_id), request.thing) if named else None
    if job is None or job.action != COLLECT_LOGS:
        raise Refused("no-job", "`jobId` does not name a log collection of this thing")
    require_in_progress(job.id, request.thing, context)
    uploads = _announced(body.get("files"), job, context)
    if job.uploads and uploads != job.uploads:
        raise Refused("files-changed", "other files were announced for this job before; announce the same ones")
    if not job.uploads:
        _remember_uploads(job, uploads, context)
    forms = [
        context.ports.evidence.upload_form(each.key, each.bytes, each.sha256, _UPLOAD_LIFETIME) for each in uploads
    ]
    return {
        "uploads": [
            {"name": upload.name, "url": form.url, "fields": dict(form.fields)}
            for upload, form in zip(uploads, forms, strict=True)
        ]
    }


def _remember_uploads(job: Job, uploads: tuple[Upload, ...], context: Context) -> None:
    facts = {
        "files": [{"name": each.name, "bytes": each.bytes, "sha256": each.sha256, "key": each.key} for each in uploads]
    }
    step = Step(StepKind.LOGS_ANNOUNCED, f"thing {job.thing}", "", facts)
    announced = job_put(replace(job, uploads=uploads))
    context.cases.save(context.cases.read(job.case_id), context.now(), step, also=(announced,))


def _announced(files: object, job: Job, context: Context) -> tuple[Upload, ...]:
    most = context.settings.evidence_files
    if not isinstance(files, list) or not 1 <= len(files) <= most:
        raise Refused("files-invalid", f"`files` must list 1 to {most} files")
    uploads = tuple(_upload(file, number, job, context) for number, file in enumerate(files))
    if len({upload.name for upload in uploads}) != len(uploads):
        raise Refused("files-invalid", "two files have the same name")
    return uploads


def _upload(file: object, number: int, job: Job, context: Context) -> Upload:
    if not isinstance(file, dict):
        raise Refused("files-invalid", f"file {number} is not an object with name, bytes and sha256")
    name, size, digest = file.get("name"), file.get("bytes"), file.get("sha256")
    if not isinstance(name, str) or not 1 <= len(name) <= _FILE_NAME_CHARACTERS or not name.isprintable():
        raise Refused(
            "files-invalid", f"file {number}: `name` must be 1 to {_FILE_NAME_CHARACTERS} printable characters"
        )
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= context.settings.evidence_file_bytes:
        raise Refused(
            "files-invalid", f"file {number}: `bytes` must be a number up to {context.settings.evidence_file_bytes}"
        )
    if not isinstance(digest, str) or len(digest) != 64 or set(digest) - set("0123456789abcdef"):
        raise Refused("files-invalid", f"file {number}: `sha256` must be 64 lower-case hex digits")
    # The key has nothing of the file's name, which is only data.
    return Upload(name, size, digest, f"cases/{job.case_id}/{job.id}/{number:02d}-{digest[:16]}")
