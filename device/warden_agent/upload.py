"""Uploads over HTTP: an S3 presigned POST."""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import requests

from warden_agent.ports import UploadExpiredError, UploadFailedError, UploadRefusedError

CONNECT_SECONDS = 10
READ_SECONDS = 60


class FormUploader:
    def upload(self, url: str, fields: Mapping[str, str], name: str, file: Path) -> None:
        if not _may_carry_logs(url):
            raise UploadRefusedError("the upload address is not https")
        try:
            with file.open("rb") as content:
                response = requests.post(
                    url,
                    data=list(fields.items()),
                    files={"file": (name, content)},  # S3 ignores everything after the file, so the file goes last
                    timeout=(CONNECT_SECONDS, READ_SECONDS),
                    allow_redirects=False,  # do not follow a redirect: the form and the logs are for this address only
                )
        except requests.RequestException as error:
            raise UploadFailedError(f"upload failed: {type(error).__name__}") from error
        _judge(response.status_code)


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status in (401, 403):
        raise UploadExpiredError(f"the store answered {status}")
    if status >= 500 or status in (408, 429):
        raise UploadFailedError(f"the store answered {status}")
    raise UploadRefusedError(f"the store answered {status}")


def _may_carry_logs(url: str) -> bool:
    """Allow https only, so that logs leave the device encrypted; plain http is for a local AWS on this machine."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and _is_here(parts.hostname or ""))
    )


def _is_here(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
