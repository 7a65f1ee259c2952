"""Drift of the real template in the account's model: it is found by the right names, and little is changed back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.baseline.account import Account
from tests.baseline.drift import READERS, deployed
from tests.baseline.handlers import HANDLERS
from tests.baseline.stack import Stack
from tests.baseline.test_stack import EVERYTHING, TEMPLATE
from tests.stack_model import Deployed, patched
from warden.core.drift import ResourceStatus
from warden.survey.mending import returns_of

CHECK = "LOGGING_DISABLED_CHECK"


@pytest.fixture
def stack() -> Stack:
    made = Stack(Account())
    made.create(TEMPLATE, **EVERYTHING)
    return made


def _off_the_schedule(account: Account) -> None:
    for checks in account.scheduled.values():
        checks.remove(CHECK)


def _disabled(account: Account) -> None:
    account.audit.enabled.remove(CHECK)


def _target_off(account: Account) -> None:
    account.audit.target["Enabled"] = False


def _level_lowered(account: Account) -> None:
    assert account.logging is not None
    account.logging.level = "DISABLED"


def _target_moved(account: Account) -> None:
    account.audit.target["TargetArn"] = "arn:aws:sns:eu-central-1:123456789012:theirs"


def _role_changed(account: Account) -> None:
    assert account.logging is not None
    account.logging.role = "arn:aws:iam::123456789012:role/theirs"


def _event_removed(account: Account) -> None:
    assert account.logging is not None
    del account.logging.events["Connect"]


def drifted(stack: Stack) -> dict[str, Deployed]:
    return {name: each for name, each in deployed(stack).items() if each.drift().status is not ResourceStatus.IN_SYNC}


def test_a_stack_is_in_sync_when_it_is_made(stack: Stack) -> None:
    assert drifted(stack) == {}
    assert set(READERS) <= {each.kind for each in stack.resources.values()}


@pytest.mark.parametrize(
    ("change", "resource", "path"),
    [
        (_disabled, "AuditConfiguration", "/AuditCheckConfigurations/LoggingDisabledCheck/Enabled"),
        (_target_off, "AuditConfiguration", "/AuditNotificationTargetConfigurations/Sns/Enabled"),
        (_off_the_schedule, "DailyAudit", "/TargetCheckNames"),
        (_level_lowered, "Logging", "/DefaultLogLevel"),
    ],
)
def test_what_is_switched_off_is_changed_back_and_nothing_else(
    stack: Stack, change: Callable[[Account], None], resource: str, path: str
) -> None:
    before = stack.account.settings()
    change(stack.account)
    assert stack.account.settings() != before

    [(name, found)] = drifted(stack).items()
    [back] = returns_of(found.drift())
    assert (name, back.path) == (resource, path)
    # Cloud Control API applies the patch to what it reads, and gives the whole to the update handler.
    HANDLERS[found.type].update(stack.account, found.id, patched(found.actual or {}, back.patch))

    assert drifted(stack) == {}
    assert {**stack.account.settings(), "scheduled": {}} == {**before, "scheduled": {}}


@pytest.mark.parametrize("change", [_target_moved, _role_changed, _event_removed])
def test_what_people_decide_has_no_way_back(stack: Stack, change: Callable[[Account], None]) -> None:
    change(stack.account)

    [found] = drifted(stack).values()
    assert [*returns_of(found.drift())] == []


def test_only_three_types_of_the_template_have_a_way_back(stack: Stack) -> None:
    """Whatever else drifts in whatever way."""
    for each in deployed(stack).values():
        each.actual = {}
        if each.type not in READERS:
            assert [*returns_of(each.drift())] == []
