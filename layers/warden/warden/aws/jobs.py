"""IoT Jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from warden.errors import ActionFailed
from warden.ports import Execution

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class IotJobs:
    """Starts and reads jobs. `arn_prefix` is `arn:<partition>:iot:<region>:<account>:`."""

    def __init__(self, client: IoTClient, arn_prefix: str) -> None:
        self._iot = client
        self._arn_prefix = arn_prefix

    def start(self, job_id: str, thing: str, document: Mapping[str, Any], timeout: timedelta) -> None:
        """Make a job for one thing; a job of that id being there already is an earlier delivery's work."""
        try:
            self._iot.create_job(
                jobId=job_id,
                targets=[f"{self._arn_prefix}thing/{thing}"],
                document=json.dumps(document),
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": max(1, int(timeout.total_seconds() // 60))},
            )
        except self._iot.exceptions.ResourceAlreadyExistsException:
            return
        except self._iot.exceptions.ResourceNotFoundException as error:
            raise ActionFailed(f"cannot start {job_id}: {thing} is not in the registry any more") from error

    def execution(self, job_id: str, thing: str) -> Execution | None:
        """Read an execution as it is now."""
        try:
            execution = self._iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        details = execution.get("statusDetails", {}).get("detailsMap", {})
        return Execution(status=execution["status"], details=dict(details))

    def cancel(self, job_id: str) -> None:
        """Cancel a job by force: a device that works on it is told when it reports."""
        try:
            self._iot.cancel_job(jobId=job_id, force=True, reasonCode="WARDEN_DEADLINE")
        except (self._iot.exceptions.ResourceNotFoundException, self._iot.exceptions.InvalidRequestException):
            return  # ended or deleted meanwhile
