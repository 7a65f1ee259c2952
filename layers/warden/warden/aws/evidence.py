"""The evidence bucket."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from warden.core.errors import NotSent
from warden.core.ports import UploadedFile, UploadForm

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_CHUNK = 1024 * 1024


def upload_config(*, on_local_aws: bool) -> Config:
    """Return the settings with which upload forms are signed: for the bucket's host in its region.

    botocore signs forms for the global host otherwise. S3 redirects an upload there while the bucket is young, which no
    device follows, and refuses it for a region opened since March 2019 (S3 user guide, VirtualHosting and Redirects).
    A local AWS has its own host, and the bucket in the path.
    """
    if on_local_aws:
        return Config(signature_version="s3v4")
    return Config(
        signature_version="s3v4", s3={"addressing_style": "virtual", "us_east_1_regional_endpoint": "regional"}
    )


class S3Reports:
    """Stores reports beside the evidence, encrypted by the bucket's default."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def keep(self, key: str, path: str) -> str:
        """Put a file into the bucket."""
        with Path(path).open("rb") as file:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=file,
                ContentType="text/csv; charset=utf-8",
                ContentDisposition="attachment",
            )
        return f"s3://{self._bucket}/{key}"

    def keep_page(self, key: str, text: str, content_type: str) -> None:
        """Put a page into the bucket; it is downloaded, not rendered from there."""
        try:
            self._s3.put_object(
                Bucket=self._bucket,
                Key=key,
                Body=text.encode(),
                ContentType=content_type,
                ContentDisposition="attachment",
            )
        except (ClientError, BotoCoreError) as error:
            raise NotSent(f"S3 did not take {key}: {error}") from error


class S3Evidence:
    """Signs upload forms and reads back what really arrived."""

    def __init__(self, client: S3Client, bucket: str) -> None:
        self._s3 = client
        self._bucket = bucket

    def upload_form(self, key: str, size: int, sha256: str, lifetime: timedelta) -> UploadForm:
        """Sign a POST form for exactly this size, this key, and (S3 checks it) this sha256."""
        checksum = {
            "x-amz-checksum-algorithm": "SHA256",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
        }
        # A device's file is served as a download, never rendered, even if it is HTML named .log.
        fields = {"Content-Type": "application/octet-stream", "Content-Disposition": "attachment", **checksum}
        form = self._s3.generate_presigned_post(
            Bucket=self._bucket,
            Key=key,
            Fields=dict(fields),
            Conditions=[["content-length-range", size, size], *({name: value} for name, value in fields.items())],
            ExpiresIn=int(lifetime.total_seconds()),
        )
        return UploadForm(form["url"], form["fields"])

    def uploaded(self, key: str) -> UploadedFile | None:
        """Read a whole file and digest the stored bytes, rather than trust a header."""
        try:
            body = self._s3.get_object(Bucket=self._bucket, Key=key)["Body"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        digest, size = hashlib.sha256(), 0
        for chunk in body.iter_chunks(_CHUNK):
            digest.update(chunk)
            size += len(chunk)
        return UploadedFile(size, digest.hexdigest())
