"""What the reader of drift makes of answers that no state of the stand-in leads to."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

import pytest

from warden.aws.stack_drift import CloudFormationDrift
from warden.core.drift import ResourceDrift, ResourceStatus


class Answers:
    """Answers a comparison of one resource."""

    def __init__(self, **fields: Any) -> None:
        self.fields = fields

    def detect_stack_resource_drift(self, **_: str) -> dict[str, Any]:
        return {
            "StackResourceDrift": {
                "LogicalResourceId": "Logging",
                "ResourceType": "AWS::IoT::Logging",
                "StackResourceDriftStatus": "MODIFIED",
                "Timestamp": datetime.now(UTC),
                **self.fields,
            }
        }


def compared(**fields: Any) -> ResourceDrift:
    found = CloudFormationDrift(cast("Any", Answers(**fields))).resource("iot-baseline", "Logging")
    assert isinstance(found, ResourceDrift)
    return found


@pytest.mark.parametrize("written", ["", "{", "[]", "null", '"a"'])
def test_properties_that_cannot_be_read_are_none(written: str) -> None:
    found = compared(ActualProperties=written, ExpectedProperties='{"DefaultLogLevel": "ERROR"}')

    assert (found.actual, found.expected) == ({}, {"DefaultLogLevel": "ERROR"})
    assert found.status is ResourceStatus.MODIFIED


@pytest.mark.parametrize("status", ["UNKNOWN", "NOT_CHECKED", "UNSUPPORTED", "A_NEW_WORD"])
def test_a_status_that_says_nothing_is_not_in_sync(status: str) -> None:
    found = compared(StackResourceDriftStatus=status)

    assert (found.status, found.reason) == (
        ResourceStatus.NOT_CHECKED,
        "CloudFormation did not compare it this time.",
    )
