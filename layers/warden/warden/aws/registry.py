"""The registry on AWS IoT: things, groups, and which certificate belongs to which thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from warden.core import quotas
from warden.core.errors import ActionFailed
from warden.core.ports import Group, Thing

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class IotRegistry:
    """Reads and changes things and groups. `arn_prefix` is `arn:<partition>:iot:<region>:<account>:`."""

    def __init__(self, client: IoTClient, arn_prefix: str) -> None:
        self._iot = client
        self._arn_prefix = arn_prefix

    def thing(self, name: str, *, with_type: bool = True) -> Thing | None:
        """Read a thing with its groups, parents and dynamic ones too.

        ListThingGroupsForThing also fails for an absent thing.
        """
        try:
            thing_type = self._iot.describe_thing(thingName=name).get("thingTypeName", "") if with_type else ""
            groups = [
                group["groupName"]
                for page in self._iot.get_paginator("list_thing_groups_for_thing").paginate(
                    thingName=name, PaginationConfig={"PageSize": quotas.LIST_PAGE}
                )
                for group in page["thingGroups"]
            ]
        except (self._iot.exceptions.ResourceNotFoundException, self._iot.exceptions.InvalidRequestException):
            return None  # a name that AWS IoT does not accept is not a thing's name either
        return Thing(name=name, thing_type=thing_type, groups=tuple(groups))

    def group(self, name: str) -> Group | None:
        """Read a group; only a dynamic one has a query."""
        try:
            described = self._iot.describe_thing_group(thingGroupName=name)
        except self._iot.exceptions.ResourceNotFoundException:
            return None
        above = described.get("thingGroupMetadata", {}).get("rootToParentThingGroups", ())
        parents = tuple(parent["groupName"] for parent in above)
        return Group(name=name, parents=parents, is_dynamic=bool(described.get("queryString")))

    def certificates_of(self, thing: str) -> list[str]:
        """List the certificates of a thing; an absent thing has none."""
        try:
            principals = [
                principal
                for page in self._iot.get_paginator("list_thing_principals").paginate(
                    thingName=thing, PaginationConfig={"PageSize": quotas.LIST_PAGE}
                )
                for principal in page["principals"]
            ]
        except (self._iot.exceptions.ResourceNotFoundException, self._iot.exceptions.InvalidRequestException):
            return []
        marker = f"{self._arn_prefix}cert/"
        return [principal.removeprefix(marker) for principal in principals if principal.startswith(marker)]

    def things_of(self, certificate_id: str) -> list[str]:
        """List the things of a certificate; an absent certificate has none."""
        try:
            return [
                thing
                for page in self._iot.get_paginator("list_principal_things").paginate(
                    principal=f"{self._arn_prefix}cert/{certificate_id}",
                    PaginationConfig={"PageSize": quotas.LIST_PAGE},
                )
                for thing in page["things"]
            ]
        except self._iot.exceptions.ResourceNotFoundException:
            return []

    def policies_of_group(self, group: str) -> list[str]:
        """List a group's policies with its parents'; a group that is gone has none."""
        try:
            return [
                policy["policyName"]
                for page in self._iot.get_paginator("list_attached_policies").paginate(
                    target=f"{self._arn_prefix}thinggroup/{group}",
                    recursive=True,
                    PaginationConfig={"PageSize": quotas.LIST_PAGE},
                )
                for policy in page["policies"]
            ]
        except self._iot.exceptions.ResourceNotFoundException:
            return []

    def effective_policies(self, thing: str, certificate_id: str) -> list[str] | None:
        """List the policies in effect for a device with this certificate; None when AWS IoT does not answer.

        A local AWS may lack the call; in a storm it may be throttled, as its quota is five a second.
        """
        try:
            answer = self._iot.get_effective_policies(
                thingName=thing, principal=f"{self._arn_prefix}cert/{certificate_id}"
            )
        except (
            self._iot.exceptions.InvalidRequestException,
            self._iot.exceptions.ResourceNotFoundException,
            self._iot.exceptions.ThrottlingException,
        ):
            return None
        return [policy["policyName"] for policy in answer.get("effectivePolicies", ())]

    def change_groups(self, thing: str, *, join: str, leave: Sequence[str]) -> None:
        """Join one group and leave others in one call; if AWS IoT refuses, use one call for each."""
        try:
            self._iot.update_thing_groups_for_thing(
                thingName=thing, thingGroupsToAdd=[join], thingGroupsToRemove=[*leave], overrideDynamicGroups=True
            )
        except (self._iot.exceptions.InvalidRequestException, self._iot.exceptions.ResourceNotFoundException):
            self.join_group(thing, join)
            for group in leave:
                self.leave_group(thing, group)

    def join_group(self, thing: str, group: str) -> None:
        """Put a thing into a group; at ten groups, a dynamic group is dropped so that the call succeeds."""
        try:
            self._iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group, overrideDynamicGroups=True)
        except (self._iot.exceptions.InvalidRequestException, self._iot.exceptions.ResourceNotFoundException) as error:
            raise ActionFailed(f"cannot put {thing} into group {group}: {error}") from error

    def leave_group(self, thing: str, group: str) -> None:
        """Take a thing out of a group; AWS IoT may refuse that for a parent of its group."""
        try:
            self._iot.remove_thing_from_thing_group(thingName=thing, thingGroupName=group)
        except (self._iot.exceptions.ResourceNotFoundException, self._iot.exceptions.InvalidRequestException):
            return
