"""The collect-logs job: copy the logs on the device's own list, announce them, upload them."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from warden_agent.exchange import PASSING, Exchange
from warden_agent.ports import (
    Clock,
    Journal,
    NoAnswerError,
    NotAuthorizedError,
    Uploader,
    UploadExpiredError,
    UploadFailedError,
    UploadRefusedError,
)
from warden_agent.state import JobStatus, Outcome
from warden_agent.storage import write_durably

ASK_TIMES = 6
UPLOAD_TIMES = 4
FRESH_FORMS = 3
CHUNK = 1024 * 1024
MANIFEST = "manifest.json"


class CollectionFailedError(Exception):
    """Raised when no upload could be arranged."""


@dataclass(frozen=True)
class Copy:
    """A copy of a log at one moment: a growing file has no fixed size and hash."""

    label: str
    file: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Form:
    url: str
    fields: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class LogCollection:
    allowed: Mapping[str, Path]
    scratch: Path
    max_bytes: int
    uploader: Uploader
    journal: Journal
    clock: Clock
    delay: Callable[[], float]

    def expect(self, job_id: str | None) -> None:
        """Remove the copies made for a job that no longer exists."""
        if self.scratch.exists() and (job_id is None or _remembered(self.scratch, job_id) is None):
            shutil.rmtree(self.scratch, ignore_errors=True)

    def run(self, job_id: str, exchange: Exchange) -> Outcome:
        """Upload the logs. The copies stay until the job is gone: a repeated request must announce the same files."""
        copies, missing = _remembered(self.scratch, job_id) or self._copies(job_id)
        if not copies:
            return _outcome(JobStatus.FAILED, (), missing, {}, "none of the device's logs can be read")
        try:
            failed = self._uploaded(job_id, copies, exchange)
        except CollectionFailedError as error:
            return _outcome(JobStatus.FAILED, (), missing, {}, str(error))
        if failed:
            reason = "; ".join(f"{label}: {why}" for label, why in sorted(failed.items()))
            return _outcome(JobStatus.FAILED, copies, missing, failed, reason)
        return _outcome(JobStatus.SUCCEEDED, copies, missing, failed, None)

    def _copies(self, job_id: str) -> tuple[list[Copy], list[str]]:
        shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(mode=0o700, parents=True)
        copies, missing = [], []
        for number, (label, path) in enumerate(sorted(self.allowed.items())):
            try:
                # Numbered, because a label such as '..' must not become a path.
                copies.append(_copy(label, path, self.scratch / f"{number}.log", self.max_bytes))
            except OSError as error:
                missing.append(label)
                self.journal.record("log-missing", jobId=job_id, label=label, reason=error.strerror)
        _remember(self.scratch, job_id, copies, missing)
        return copies, missing

    def _uploaded(self, job_id: str, copies: Sequence[Copy], exchange: Exchange) -> dict[str, str]:
        """Upload all files, and return those that failed, each with the reason."""
        left, failed = list(copies), dict[str, str]()
        for _ in range(FRESH_FORMS):
            forms = self._forms(job_id, copies, exchange)
            expired = []
            for copy in left:
                try:
                    self._upload(job_id, copy, forms)
                except UploadExpiredError as error:
                    failed[copy.label] = str(error)
                    expired.append(copy)
                except (UploadFailedError, UploadRefusedError) as error:
                    failed[copy.label] = str(error)
                else:
                    failed.pop(copy.label, None)
            left = expired
            if not left:
                break
        return failed

    def _forms(self, job_id: str, copies: Sequence[Copy], exchange: Exchange) -> dict[str, Form]:
        body = {
            "jobId": job_id,
            "files": [{"name": copy.label, "bytes": copy.size, "sha256": copy.sha256} for copy in copies],
        }
        problem = ""
        for _ in range(ASK_TIMES):
            try:
                answer = exchange.ask(exchange.topics.warden("logs/create"), body)
            except (NoAnswerError, NotAuthorizedError) as error:
                problem = str(error)
            else:
                if answer.accepted:
                    return _forms_in(answer.body)
                problem = answer.refusal
                if answer.code not in PASSING:
                    break
            self.clock.sleep(self.delay())
        raise CollectionFailedError(f"no upload was allowed: {problem}")

    def _upload(self, job_id: str, copy: Copy, forms: Mapping[str, Form]) -> None:
        if (form := forms.get(copy.label)) is None:
            raise UploadRefusedError("the cloud gave no upload form for it")
        for left in reversed(range(UPLOAD_TIMES)):
            try:
                self.uploader.upload(form.url, form.fields, copy.label, copy.file)
            except UploadFailedError:
                if not left:
                    raise
                self.clock.sleep(self.delay())
            else:
                break
        self.journal.record("log-uploaded", jobId=job_id, label=copy.label, bytes=copy.size, sha256=copy.sha256)


def _outcome(
    status: JobStatus, copies: Sequence[Copy], missing: Sequence[str], failed: Mapping[str, str], reason: str | None
) -> Outcome:
    sent = [copy for copy in copies if copy.label not in failed]
    details = {"uploaded": str(len(sent)), "bytes": str(sum(copy.size for copy in sent))}
    if missing:
        details["missing"] = ", ".join(missing)
    if reason:
        details["reason"] = reason
    return Outcome(status, details)


def _copy(label: str, source: Path, target: Path, max_bytes: int) -> Copy:
    """Copy the last max_bytes of the file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    # Without O_NONBLOCK a pipe instead of a log would block for ever; for a file it changes nothing.
    with os.fdopen(os.open(source, os.O_RDONLY | os.O_NONBLOCK), "rb") as log, target.open("wb") as copy:
        if not source.is_file():
            raise OSError(0, "not a regular file")
        left = min(os.fstat(log.fileno()).st_size, max_bytes)
        log.seek(-left, os.SEEK_END)
        while left and (chunk := log.read(min(left, CHUNK))):
            copy.write(chunk)
            digest.update(chunk)
            size += len(chunk)
            left -= len(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return Copy(label, target, size, digest.hexdigest())


def _forms_in(body: Mapping[str, Any]) -> dict[str, Form]:
    uploads = body.get("uploads")
    forms = {}
    for upload in uploads if isinstance(uploads, list) else []:
        match upload:
            case {"name": str(name), "url": str(url), "fields": dict(fields)}:
                forms[name] = Form(url, {str(key): str(value) for key, value in fields.items()})
    return forms


def _remember(scratch: Path, job_id: str, copies: Sequence[Copy], missing: Sequence[str]) -> None:
    listed = [
        {"label": copy.label, "file": copy.file.name, "size": copy.size, "sha256": copy.sha256} for copy in copies
    ]
    content = {"jobId": job_id, "copies": listed, "missing": list(missing)}
    write_durably(scratch / MANIFEST, json.dumps(content).encode())


def _remembered(scratch: Path, job_id: str) -> tuple[list[Copy], list[str]] | None:
    """Find the copies made for this job before the device died. They are complete: the manifest is written last."""
    try:
        content = json.loads((scratch / MANIFEST).read_text())
        if content["jobId"] != job_id:
            return None
        copies = [Copy(raw["label"], scratch / raw["file"], raw["size"], raw["sha256"]) for raw in content["copies"]]
        return copies, content["missing"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
