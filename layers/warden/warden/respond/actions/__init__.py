"""The actions: one module each, named as in `plan/actions.py`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from warden.cases.model import Outcome
from warden.context import Context
from warden.devices.jobs import Job
from warden.respond.actions.action import Action


def action_named(name: str) -> Action:
    """Return an action. Its module is imported at its first use; a test checks that each row has one."""
    action: Action = import_module(f"{__name__}.{name.replace('-', '_')}").ACTION
    return action


def judge_of(name: str) -> Callable[[Job, str, Context], Outcome]:
    """Return the function that judges the jobs of an action.

    Raises:
        LookupError: when the action is not a job.
    """
    judge = action_named(name).judge
    if judge is None:
        raise LookupError(f"{name} is not a job")
    return judge
