"""The interface of an action. `warden.respond.actions` has one module for each."""

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

    `run` is convergent: it compares the actual with the intended state and may be repeated after any crash. It is given
    what the decision has just read of the device, if anything. It raises `ActionFailed` when the device cannot be
    treated in this way. `permissions` are the IAM actions that the responder's role needs for it; a test compares them
    with the role in template.yaml. An action that is a job on the device has a `judge`. It is given the job and its
    final status, and checks the result itself rather than trust the status.
    """

    name: str
    run: Callable[[Case, Context, DeviceView | None], Outcome]
    permissions: Sequence[str]
    judge: Callable[[Job, str, Context], Outcome] | None = None

    @property
    def is_job(self) -> bool:
        """Whether a device runs it."""
        return self.judge is not None
