"""MQTT sessions, by AWS IoT's data plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient

_CANNOT_HERE = (
    "InvalidRequestException",
    "ForbiddenException",
    "MethodNotAllowedException",
    "UnsupportedOperationException",
)


class IotConnections:
    """Closes sessions by `DeleteConnection` (in AWS IoT since August 2025)."""

    def __init__(self, client: IoTDataPlaneClient) -> None:
        self._data = client

    def disconnect(self, client_id: str) -> str:
        """Close a session; keeps it on the broker, so that messages queued for the device are not lost."""
        try:
            self._data.delete_connection(clientId=client_id, cleanSession=False, preventWillMessage=False)
        except self._data.exceptions.ResourceNotFoundException:
            return "was not connected"
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in _CANNOT_HERE:
                raise
            return f"could not be disconnected ({code}), its session goes on under the policies of now"
        return "disconnected"
