"""MQTT sessions, by AWS IoT's data plane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from warden.core.ports import Disconnection

if TYPE_CHECKING:
    from mypy_boto3_iot_data import IoTDataPlaneClient

_CANNOT_HERE = {
    "InvalidRequestException": Disconnection.INVALID_REQUEST,
    "ForbiddenException": Disconnection.FORBIDDEN,
    "MethodNotAllowedException": Disconnection.NO_SUCH_METHOD,
    "UnsupportedOperationException": Disconnection.UNSUPPORTED,
}


class IotConnections:
    """Closes sessions by `DeleteConnection` (in AWS IoT since August 2025)."""

    def __init__(self, client: IoTDataPlaneClient) -> None:
        self._data = client

    def disconnect(self, client_id: str, *, forget: bool = False) -> Disconnection:
        """Close a connection. Waiting messages are kept, unless the broker has to forget the session."""
        try:
            self._data.delete_connection(clientId=client_id, cleanSession=forget, preventWillMessage=forget)
        except self._data.exceptions.ResourceNotFoundException:
            return Disconnection.NOT_CONNECTED
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code not in _CANNOT_HERE:
                raise
            return _CANNOT_HERE[code]
        return Disconnection.DISCONNECTED
