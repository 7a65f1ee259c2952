"""The levels at which AWS IoT logs thing groups (its v2 logging)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from warden.aws.denials import DENIALS
from warden.core import quotas
from warden.core.ports import LevelRefused

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

_FOR_GOOD = frozenset(["InvalidRequestException", "LimitExceededException", "NotConfiguredException"])
"""The errors of SetV2LoggingLevel, as AWS lists them, that a retry does not change. All others are raised."""


class IotLogLevels:
    """Reads and writes the levels of groups."""

    def __init__(self, client: IoTClient) -> None:
        self._iot = client

    def logging_is_on(self) -> bool | LevelRefused:
        """Read the options; never set (NotConfiguredException) is off."""
        try:
            return not self._iot.get_v2_logging_options().get("disableAllLogs", False)
        except self._iot.exceptions.NotConfiguredException:
            return False
        except ClientError as error:
            return _refused(error)

    def level_of(self, group: str) -> str | LevelRefused:
        """Look for the group among the levels, to the last page; where logging was never set there are none."""
        pages = self._iot.get_paginator("list_v2_logging_levels").paginate(
            targetType="THING_GROUP", PaginationConfig={"PageSize": quotas.LIST_PAGE}
        )
        try:
            levels = (each for page in pages for each in page["logTargetConfigurations"])
            return next((each["logLevel"] for each in levels if each["logTarget"].get("targetName") == group), "")
        except self._iot.exceptions.NotConfiguredException:
            return ""
        except ClientError as error:
            return _refused(error)

    def set_level(self, group: str, level: str) -> LevelRefused | None:
        """Set the level; set already is success."""
        target = {"targetType": "THING_GROUP", "targetName": group}
        return _made(lambda: self._iot.set_v2_logging_level(logTarget=target, logLevel=level))  # type: ignore[arg-type]  # the stubs have literals

    def remove_level(self, group: str) -> LevelRefused | None:
        """Remove the level; the API has no error for one that is not there."""
        return _made(lambda: self._iot.delete_v2_logging_level(targetType="THING_GROUP", targetName=group))


def _made(call: Callable[[], object]) -> LevelRefused | None:
    try:
        call()
    except ClientError as error:
        return _refused(error)
    return None


def _refused(error: ClientError) -> LevelRefused:
    """Return why AWS refused, if that does not pass by itself.

    Raises:
        ClientError: if it may.
    """
    code = error.response["Error"]["Code"]
    if code not in DENIALS | _FOR_GOOD:
        raise error
    return LevelRefused(f"iot:{error.operation_name}", code, is_denial=code in DENIALS)
