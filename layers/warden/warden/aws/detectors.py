"""The detectors' own APIs, asked before anything is done on a message's word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from warden.findings import Finding, Source

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class AwsDetectors:
    """Asks Device Defender. A source that cannot be asked is believed: its topic or rule is what guards it."""

    def __init__(self, client: IoTClient) -> None:
        self._iot = client
        self._ask: dict[Source, Callable[[Finding], bool]] = {Source.DETECT: self._violation_is_active}

    def confirms(self, finding: Finding) -> bool:
        """Tell whether the detector itself lists this finding as open."""
        ask = self._ask.get(finding.source)
        return ask is None or ask(finding)

    def _violation_is_active(self, finding: Finding) -> bool:
        pages = self._iot.get_paginator("list_active_violations").paginate(
            thingName=finding.subject.name, PaginationConfig={"PageSize": 250}
        )
        return any(violation["violationId"] == finding.id for page in pages for violation in page["activeViolations"])
