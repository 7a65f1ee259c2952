"""What AWS IoT lists of things and their certificates, at half the rate that it allows: devices need the quotas too."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from warden.core import quotas
from warden.core.throttle import RateLimiter
from warden_cli.errors import CommandFailed, NotReached
from warden_cli.identity_file import Attachment
from warden_cli.reading import CONFIG, is_denial
from warden_cli.regions import ended
from warden_cli.terminal import shown

if TYPE_CHECKING:
    from boto3 import Session

LIST_PACE = quotas.LISTS_PER_SECOND / 2
THING_PACE = quotas.THING_LOOKUPS_PER_SECOND / 2
CERTIFICATE_PACE = quotas.PRINCIPAL_LOOKUPS_PER_SECOND / 2
"""Calls a second; the last two for the things of a certificate and the certificates of a thing."""

_CONFIG = CONFIG.merge(Config(retries={"mode": "adaptive", "total_max_attempts": 10}))
"""A run of hours outlives a burst of throttling: the SDK slows down and tries again."""


class Denied(CommandFailed):
    """Raised when the caller may not make a call; `action` is what the role lacks."""

    def __init__(self, action: str) -> None:
        """Name the action."""
        super().__init__(f"not known: the role lacks {action}")
        self.action = action


class IdentityReader:
    """Reads things, their principals and the certificates, a page or a thing at a time.

    Every method raises `Denied` for a call that the role lacks, and `NotReached` where AWS does not answer.
    """

    def __init__(self, session: Session, account: str) -> None:
        region = session.region_name
        self._prefix = f"arn:{session.get_partition_for_region(region)}:iot:{region}:{account}:cert/"
        self._iot = session.client("iot", config=_CONFIG)
        # Each is made once: botocore makes a class for each, and a million of them would stay.
        self._paginators: Mapping[str, Any] = {
            operation: self._iot.get_paginator(operation)
            for operation in (
                "list_things",
                "list_certificates",
                "list_thing_principals_v2",
                "list_principal_things_v2",
            )
        }
        self._lists = RateLimiter(LIST_PACE, time.monotonic, time.sleep)
        self._things = RateLimiter(THING_PACE, time.monotonic, time.sleep)
        self._certificates = RateLimiter(CERTIFICATE_PACE, time.monotonic, time.sleep)

    def things(self) -> Iterator[list[str]]:
        """List the names of all things, page by page."""
        for page in self._pages("list_things", self._lists):
            yield [str(each["thingName"]) for each in page["things"]]

    def certificates(self) -> Iterator[Mapping[str, str]]:
        """List the statuses of all certificates, page by page. The list has no end of validity."""
        for page in self._pages("list_certificates", self._lists):
            yield {str(each["certificateId"]): str(each["status"]) for each in page["certificates"]}

    def certificates_of(self, thing: str) -> list[Attachment] | None:
        """List the certificates of a thing; None if the thing is gone. Other principals are not certificates."""
        found = list[Attachment]()
        try:
            for page in self._pages("list_thing_principals_v2", self._things, thingName=thing):
                for each in page["thingPrincipalObjects"]:
                    _, is_certificate, certificate = str(each["principal"]).rpartition(":cert/")
                    if is_certificate:
                        exclusive = each.get("thingPrincipalType") == "EXCLUSIVE_THING"
                        found.append(Attachment(certificate=certificate, exclusive=exclusive))
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        return found

    def things_of(self, certificate: str) -> int:
        """Count the things of a certificate, up to a page; a deleted one has none."""
        principal = f"{self._prefix}{certificate}"
        try:
            page = next(self._pages("list_principal_things_v2", self._certificates, principal=principal))
        except self._iot.exceptions.ResourceNotFoundException:
            return 0
        return len(page["principalThingObjects"])

    def _pages(self, operation: str, pace: RateLimiter, **asked: str) -> Iterator[Mapping[str, Any]]:
        pages = iter(self._paginators[operation].paginate(**asked, PaginationConfig={"PageSize": quotas.LIST_PAGE}))
        while True:
            pace()
            try:
                yield next(pages)
            except StopIteration:
                return
            except self._iot.exceptions.ResourceNotFoundException:
                raise
            except ClientError as error:
                raise _failure(error) from error
            except BotoCoreError as error:
                raise NotReached(f"AWS cannot be asked: {shown(str(error), 200)}") from error


def _failure(error: ClientError) -> CommandFailed:
    code = error.response["Error"]["Code"]
    if over := ended(code):
        return over
    if is_denial(error.response):
        return Denied(f"iot:{error.operation_name}")
    return NotReached(f"AWS answered iot:{error.operation_name} with {shown(code, 80)}; wait, and try again")
