"""The account settings on AWS IoT."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class IotAccountSettings:
    """Reads and writes settings of the whole account and region. `arn_prefix` as in the registry."""

    def __init__(self, client: IoTClient, arn_prefix: str) -> None:
        self._iot = client
        self._arn_prefix = arn_prefix

    def attach_group_policy(self, group: str, policy: str) -> None:
        """Attach a policy to a group; attached already is success."""
        self._iot.attach_policy(policyName=policy, target=f"{self._arn_prefix}thinggroup/{group}")

    def detach_group_policy(self, group: str, policy: str) -> None:
        """Detach a policy from a group."""
        try:
            self._iot.detach_policy(policyName=policy, target=f"{self._arn_prefix}thinggroup/{group}")
        except self._iot.exceptions.ResourceNotFoundException:
            return

    def event_configurations(self) -> dict[str, bool]:
        """Return for each event type whether it is on."""
        configurations: dict[Any, Any] = dict(self._iot.describe_event_configurations()["eventConfigurations"])
        return {event: bool(configuration.get("Enabled")) for event, configuration in configurations.items()}

    def enable_events(self, configurations: dict[str, bool]) -> None:
        """Write the event types."""
        wanted: Any = {event: {"Enabled": enabled} for event, enabled in configurations.items()}
        self._iot.update_event_configurations(eventConfigurations=wanted)

    def targets_of(self, policy: str) -> Iterator[str]:
        """List what a policy is attached to; a policy that is gone is attached to nothing."""
        try:
            for page in self._iot.get_paginator("list_targets_for_policy").paginate(policyName=policy):
                yield from page["targets"]
        except self._iot.exceptions.ResourceNotFoundException:
            return
