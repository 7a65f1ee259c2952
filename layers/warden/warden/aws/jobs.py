"""IoT Jobs."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TypedDict

from warden.core.errors import ActionFailed
from warden.core.ports import Execution, JobOrder

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.type_defs import AbortConfigTypeDef, JobExecutionsRolloutConfigTypeDef

    class _Optional(TypedDict, total=False):
        jobExecutionsRolloutConfig: JobExecutionsRolloutConfigTypeDef
        abortConfig: AbortConfigTypeDef


class IotJobs:
    """Starts and reads jobs. `arn_prefix` is `arn:<partition>:iot:<region>:<account>:`."""

    def __init__(self, client: IoTClient, arn_prefix: str) -> None:
        self._iot = client
        self._arn_prefix = arn_prefix

    def start(self, order: JobOrder) -> None:
        """Make a job; if one of that id exists, an earlier delivery made it."""
        optional: _Optional = {}
        if order.per_minute is not None:
            optional["jobExecutionsRolloutConfig"] = {"maximumPerMinute": order.per_minute}
        if order.abort_percent is not None:
            optional["abortConfig"] = {
                "criteriaList": [
                    {
                        "failureType": "ALL",
                        "action": "CANCEL",
                        "thresholdPercentage": order.abort_percent,
                        "minNumberOfExecutedThings": order.abort_after,
                    }
                ]
            }
        try:
            self._iot.create_job(
                jobId=order.id,
                targets=[f"{self._arn_prefix}thing/{thing}" for thing in order.things],
                document=json.dumps(order.document),
                targetSelection="SNAPSHOT",
                timeoutConfig={"inProgressTimeoutInMinutes": max(1, int(order.work_timeout.total_seconds() // 60))},
                schedulingConfig={
                    "endTime": _whole_minute(order.ends_at).strftime("%Y-%m-%dT%H:%M"),
                    "endBehavior": "FORCE_CANCEL",
                },
                **optional,
            )
        except self._iot.exceptions.ResourceAlreadyExistsException:
            return
        except self._iot.exceptions.ResourceNotFoundException as error:
            missing = f"{order.things[0]} is" if len(order.things) == 1 else f"one of its {len(order.things)} things is"
            raise ActionFailed(f"cannot start {order.id}: {missing} no longer in the registry") from error

    def execution(self, job_id: str, thing: str) -> Execution | None:
        """Read an execution as it is now."""
        try:
            execution = self._iot.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        details = execution.get("statusDetails", {}).get("detailsMap", {})
        return Execution(status=execution["status"], details=dict(details))

    def withdraw(self, job_id: str) -> None:
        """Cancel a job's QUEUED executions; without force IoT Jobs leaves those IN_PROGRESS alone."""
        try:
            self._iot.cancel_job(jobId=job_id, reasonCode="WARDEN_CAMPAIGN_CANCELLED")
        except (self._iot.exceptions.ResourceNotFoundException, self._iot.exceptions.InvalidRequestException):
            return  # ended or deleted meanwhile

    def cancel(self, job_id: str, thing: str) -> None:
        """Cancel an execution by force: a device at work learns of it when it reports."""
        gone = self._iot.exceptions
        try:
            self._iot.cancel_job_execution(jobId=job_id, thingName=thing, force=True)
        except (gone.ResourceNotFoundException, gone.InvalidRequestException, gone.InvalidStateTransitionException):
            return  # ended or deleted meanwhile


def _whole_minute(moment: datetime) -> datetime:
    """Round up to whole minutes in UTC, as IoT Jobs' schedule requires."""
    return (moment.astimezone(UTC) + timedelta(seconds=59, microseconds=999_999)).replace(second=0, microsecond=0)
