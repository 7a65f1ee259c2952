"""The detectors' own APIs, which verify a message before anything is done."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from warden.core import quotas
from warden.core.findings import Finding, Source
from warden.core.ports import AuditPage

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class AwsDetectors:
    """Asks Device Defender. Other sources are believed: their topic or rule guards them."""

    def __init__(self, client: IoTClient) -> None:
        self._iot = client
        self._ask: dict[Source, Callable[[Finding], bool]] = {
            Source.DETECT: self._violation_is_active,
            Source.AUDIT: self._audit_finding_is_there,
        }

    def confirms(self, finding: Finding) -> bool:
        """Check whether the detector itself lists this finding as open."""
        ask = self._ask.get(finding.source)
        return ask is None or ask(finding)

    def _violation_is_active(self, finding: Finding) -> bool:
        pages = self._iot.get_paginator("list_active_violations").paginate(
            thingName=finding.subject.name, PaginationConfig={"PageSize": quotas.LIST_PAGE}
        )
        return any(violation["violationId"] == finding.id for page in pages for violation in page["activeViolations"])

    def _audit_finding_is_there(self, finding: Finding) -> bool:
        try:
            described = self._iot.describe_audit_finding(findingId=finding.id)["finding"]
        except self._iot.exceptions.ResourceNotFoundException:
            return False
        return not described.get("isSuppressed", False)

    def audit_page(self, task_id: str, check: str, page: str) -> AuditPage:
        """Read a page of an audit's findings, of the largest size allowed."""
        asked: dict[str, Any] = {"taskId": task_id, "checkName": check, "maxResults": quotas.LIST_PAGE}
        if page:
            asked["nextToken"] = page
        answer = self._iot.list_audit_findings(**asked)
        return AuditPage(tuple(answer["findings"]), answer.get("nextToken", ""))
