"""What an action is. `warden.respond.actions` has them, one module each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from warden.cases.model import Case, Outcome
from warden.context import Context


@dataclass(frozen=True, kw_only=True)
class Action:
    """Something that can be done about a case.

    `run` is convergent: it compares what is with what should be and may be repeated after any crash. It
    raises `ActionFailed` when the device cannot be treated so. `permissions` are the IAM actions that the
    responder's role needs for it; a test holds the role in template.yaml against them. One that is not counted
    touches no device itself, and uses up nothing of the governor's limits.
    """

    name: str
    run: Callable[[Case, Context], Outcome]
    permissions: Sequence[str]
    is_counted: bool = True
    is_job: bool = False
