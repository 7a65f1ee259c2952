"""What an action is. `warden.respond.actions` has them, one module each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warden.cases.model import Case, Outcome
from warden.context import Context
from warden.devices.device_view import DeviceView
from warden.devices.jobs import Job


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that can be done about a case.

    `run` is convergent: it compares what is with what should be and may be repeated after any crash. It is given
    what the decision has just read of the device, if anything, and raises `ActionFailed` when the device cannot be
    treated so. `permissions` are the IAM actions that the responder's role needs for it; a test holds the role in
    template.yaml against them. An action that is a job of the device has a `judge`: it is given the job and the status
    that it ended with, and looks at the world, not at the job's own word.
    """

    name: str
    run: Callable[[Case, Context, DeviceView | None], Outcome]
    permissions: Sequence[str]
    judge: Callable[[Job, str, Context], Outcome] | None = None

    @property
    def is_job(self) -> bool:
        """Whether a device carries it out."""
        return self.judge is not None
