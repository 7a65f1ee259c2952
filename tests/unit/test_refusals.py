"""Refusals are on record, in the same way for every queue."""

from __future__ import annotations

import pytest

from tests.conftest import ROOT
from tests.fakes import a_world
from warden.core.errors import ActionFailed, Refused
from warden.refusals import record_if_refused

CODE = [*(ROOT / "layers/warden/warden").rglob("*.py"), *(ROOT / "functions").glob("*/app.py")]


def test_the_result_of_what_is_not_refused_is_returned() -> None:
    world = a_world()

    assert record_if_refused(lambda: 7, world.context, what="a message") == 7
    assert world.refusals == []


def test_a_refusal_is_returned_and_put_on_record_once() -> None:
    world, refusal = a_world(), Refused("not-a-run", "the message names no run")

    def refuse() -> int:
        raise refusal

    for _ in range(2):
        assert record_if_refused(refuse, world.context, what="a message", about="pump-3") is refusal

    [record] = world.ledger.of_type("refusal")
    assert (record["code"], record["reason"], record["about"]) == (refusal.code, refusal.reason, "pump-3")


def test_what_may_succeed_when_it_is_delivered_again_is_not_a_refusal() -> None:
    world = a_world()

    def fail() -> None:
        raise ActionFailed("not now")

    with pytest.raises(ActionFailed):
        record_if_refused(fail, world.context, what="a message")
    assert world.refusals == []


def test_nobody_else_puts_refusals_on_record() -> None:
    """The router does: it answers the device and notes the refusal on the case as well."""
    by_themselves = {path.name for path in CODE if "record_refusal" in path.read_text()}

    assert by_themselves == {"refusals.py", "router.py"}
