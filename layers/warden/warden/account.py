"""The account settings that the service needs and CloudFormation has no resource for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from warden.core.errors import Refused

JOB_EVENTS = ("JOB_EXECUTION",)
"""The event types of AWS IoT that must be on for `$aws/events/jobExecution/...` to be published; off by default."""


class AccountSettings(Protocol):
    """What `set_up_account` needs from AWS IoT."""

    def attach_group_policy(self, group: str, policy: str) -> None:
        """Attach a policy to a thing group (AWS::IoT::PolicyPrincipalAttachment takes certificates only)."""
        ...

    def detach_group_policy(self, group: str, policy: str) -> None:
        """Detach it; not attached is success."""
        ...

    def event_configurations(self) -> dict[str, bool]:
        """Return for each event type whether it is on."""
        ...

    def enable_events(self, configurations: dict[str, bool]) -> None:
        """Write all event types at once: AWS IoT replaces the whole set."""
        ...

    def targets_of(self, policy: str) -> Iterator[str]:
        """List the ARNs a policy is attached to."""
        ...


def set_up(account: AccountSettings, group: str, policy: str) -> None:
    """Attach the policy to the restricted group and turn job execution events on; leave other event types alone."""
    account.attach_group_policy(group, policy)
    current = account.event_configurations()
    if not all(current.get(event) for event in JOB_EVENTS):
        account.enable_events({**current, **dict.fromkeys(JOB_EVENTS, True)})


def tear_down(account: AccountSettings, group: str, policy: str) -> None:
    """Detach the policy from the group. Event settings stay: others may rely on them by now.

    Raises:
        Refused: while devices are contained, as nobody could release them without the service.
    """
    contained = [target for target in account.targets_of(policy) if ":cert/" in target]
    if contained:
        raise Refused(
            "devices-contained",
            f"{len(contained)} certificate(s) still have {policy}; release their devices "
            "(`warden cases --state contained` lists them), then delete again",
        )
    account.detach_group_policy(group, policy)
