"""The drift of a stack as CloudFormation finds it, and changes to a resource by Cloud Control API.

As in the reader of the account, a denial or an error is a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from warden.aws.account_reader import answered
from warden.core.drift import (
    Detection,
    PropertyDrift,
    ResourceDrift,
    ResourceStatus,
    Update,
    UpdateState,
)

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient

_STATUSES = {
    "IN_SYNC": ResourceStatus.IN_SYNC,
    "MODIFIED": ResourceStatus.MODIFIED,
    "DELETED": ResourceStatus.DELETED,
}
"""Every other status (UNKNOWN, NOT_CHECKED, UNSUPPORTED) says that nothing was compared.

https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_StackResourceDrift.html
"""

_NO_SUCH_TYPE = "CloudFormation does not compare resources of this type."
_NOT_THIS_TIME = "CloudFormation did not compare it this time."


class CloudFormationDrift:
    """Detects drift with the rights of our role: what it may not read of a resource is not checked.

    https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-stack-drift.html
    """

    def __init__(self, client: CloudFormationClient) -> None:
        self._cloudformation = client

    @answered
    def begin(self, stack: str) -> str:
        """Begin a detection of the whole stack."""
        return self._cloudformation.detect_stack_drift(StackName=stack)["StackDriftDetectionId"]

    @answered
    def detection(self, detection: str) -> Detection:
        """Read its status. A failed one failed for at least one resource; those that were compared have an answer."""
        answer = self._cloudformation.describe_stack_drift_detection_status(StackDriftDetectionId=detection)
        return Detection(answer["Timestamp"], is_over=answer["DetectionStatus"] != "DETECTION_IN_PROGRESS")

    @answered
    def resources(self, stack: str, since: datetime) -> Sequence[ResourceDrift]:
        """List the stack's resources. Types that support no drift detection are not among the answers about drift."""
        compared = {each.name: each for each in self._compared(stack, since)}
        pages = self._cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack)
        return tuple(
            compared.get(each["LogicalResourceId"]) or _unsupported(each)
            for page in pages
            for each in page["StackResourceSummaries"]
            if each.get("PhysicalResourceId") and each["ResourceStatus"] != "DELETE_COMPLETE"
        )

    def _compared(self, stack: str, since: datetime) -> Iterator[ResourceDrift]:
        asked: dict[str, Any] = {"StackName": stack}
        while True:  # botocore has no paginator for it
            answer = self._cloudformation.describe_stack_resource_drifts(**asked)
            for each in answer["StackResourceDrifts"]:
                yield _drift(each) if each["Timestamp"] >= since else _unchecked(each, _NOT_THIS_TIME)
            if not (token := answer.get("NextToken")):
                return
            asked["NextToken"] = token

    @answered
    def resource(self, stack: str, name: str) -> ResourceDrift:
        """Compare one resource; CloudFormation answers when it has compared it."""
        answer = self._cloudformation.detect_stack_resource_drift(StackName=stack, LogicalResourceId=name)
        return _drift(answer["StackResourceDrift"])


def _drift(each: Mapping[str, Any]) -> ResourceDrift:
    status = _STATUSES.get(each["StackResourceDriftStatus"])
    if status is None:
        return _unchecked(each, each.get("DriftStatusReason", "") or _NOT_THIS_TIME)
    return ResourceDrift(
        name=each["LogicalResourceId"],
        type=each["ResourceType"],
        id=each.get("PhysicalResourceId", ""),
        status=status,
        differences=tuple(
            PropertyDrift(path=one["PropertyPath"], expected=one["ExpectedValue"], found=one["ActualValue"])
            for one in each.get("PropertyDifferences", [])
        ),
        expected=_properties(each, "ExpectedProperties"),
        actual=_properties(each, "ActualProperties"),
    )


def _properties(each: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Read the JSON of a resource's properties; if it is not an object, nothing is changed back."""
    try:
        properties = json.loads(each.get(name, "{}"))
    except ValueError:
        return {}
    return properties if isinstance(properties, dict) else {}


def _unsupported(summary: Mapping[str, Any]) -> ResourceDrift:
    return _unchecked(summary, _NO_SUCH_TYPE)


def _unchecked(each: Mapping[str, Any], reason: str) -> ResourceDrift:
    return ResourceDrift(
        name=each["LogicalResourceId"],
        type=each["ResourceType"],
        id=each.get("PhysicalResourceId", ""),
        status=ResourceStatus.NOT_CHECKED,
        reason=reason,
    )


_STATES = {"SUCCESS": UpdateState.DONE, "FAILED": UpdateState.FAILED, "CANCEL_COMPLETE": UpdateState.FAILED}


class CloudControlUpdates:
    """Changes resources by the same handlers that CloudFormation uses, with the rights of our role.

    https://docs.aws.amazon.com/cloudcontrolapi/latest/userguide/resource-operations-update.html
    """

    def __init__(self, client: Any) -> None:
        self._cloudcontrol = client

    @answered
    def begin(self, kind: str, name: str, patch: Sequence[Mapping[str, Any]], once: str) -> Update:
        """Send the patch; Cloud Control API remembers `once` for 36 hours."""
        answer = self._cloudcontrol.update_resource(
            TypeName=kind, Identifier=name, PatchDocument=json.dumps(patch), ClientToken=once
        )
        return _update(answer["ProgressEvent"])

    @answered
    def progress(self, request: str) -> Update:
        """Read the request."""
        return _update(self._cloudcontrol.get_resource_request_status(RequestToken=request)["ProgressEvent"])


def _update(event: Mapping[str, Any]) -> Update:
    why = ": ".join(filter(None, (event.get("ErrorCode", ""), event.get("StatusMessage", ""))))
    state = _STATES.get(event["OperationStatus"], UpdateState.RUNNING)
    return Update(event["RequestToken"], state, why if state is UpdateState.FAILED else "")
