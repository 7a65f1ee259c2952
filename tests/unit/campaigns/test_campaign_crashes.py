"""The sweep of certificates and its campaign, dying before, after and within the answer of every call.

As in test_crashes.py, with a fleet: a function that dies is delivered again or found by the sweep, and what becomes
of every device, job, certificate and notice is what one clean run makes of it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from tests.fakes import World, a_finding
from tests.unit.campaigns.test_campaigns import ENFORCED, TURN, active, asked, campaign, fail, obey
from tests.unit.campaigns.test_enrolment import RENEW, it_expires
from tests.unit.campaigns.test_inventory import a_fleet
from tests.unit.respond.test_crashes import RECEIVES, Fate, Flow, Tripwire, wired
from warden.campaigns.records import CampaignState
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.plan.parser import read_plan


def found(world: World) -> None:
    world.find_what_is_due()


def found_and_picked_up(world: World) -> None:
    """A sweep whose function died is resumed when it wrote nothing for twenty minutes."""
    world.find_what_is_due()
    world.sweep(after=timedelta(minutes=25))


def left_half_way(world: World) -> None:
    """Have a batch written down and its first device prepared, and nobody left to send the job."""
    found(world)
    start = world.jobs.start
    world.jobs.start = None  # type: ignore[assignment,method-assign]
    with suppress(TypeError):
        world.sweep(after=TURN)
    world.jobs.start = start  # type: ignore[method-assign]
    world.queue.parked.clear()


def until(world: World, reached: Callable[[World], bool], after: timedelta = TURN) -> None:
    """Let the sweep come by until something is so; a function that died makes it take a little longer."""
    for _ in range(12):
        if reached(world):
            return
        world.sweep(after=after)


def is_over(world: World) -> bool:
    return campaign(world).is_over


def rolled_out(world: World) -> None:
    for _ in range(16):
        if not is_over(world):
            world.sweep(after=TURN)
            obey(world)


def one_is_gone(world: World) -> None:
    world.registry.delete_thing("pump-2")
    rolled_out(world)


def nobody_answers(world: World) -> None:
    until(world, is_over, after=timedelta(hours=25))


def the_canary_fails(world: World) -> None:
    until(world, lambda world: bool(asked(world)))
    fail(world, "pump-1")
    until(world, lambda world: campaign(world).state is CampaignState.STOPPED)
    until(world, lambda world: "STOPPED" in world.notices.sent[-1].subject)
    world.order("campaign-resume", request="request-1")
    rolled_out(world)


def cancelled(world: World) -> None:
    until(world, lambda world: bool(asked(world)))
    world.order("campaign-cancel", request="request-1")
    until(world, lambda world: campaign(world).out == 0)


def cancelled_before_it_is_sent(world: World) -> None:
    world.order("campaign-cancel", request="request-1")
    until(world, lambda world: campaign(world).out == 0)


def contained_meanwhile(world: World) -> None:
    world.report(a_finding("pump-2"))
    rolled_out(world)


def renewed_by_findings(world: World) -> None:
    """Have the plan answer an audit's finding with a place in the campaign."""
    world.context = replace(world.context, plan=read_plan(RENEW))


def found_and_renewed_by_findings(world: World) -> None:
    renewed_by_findings(world)
    found(world)


def findings_ask(world: World) -> None:
    for thing in ("pump-3", "pump-2"):
        world.report(it_expires(thing))
    rolled_out(world)


def one_asks_whom_the_sweep_found(world: World) -> None:
    world.report(it_expires("pump-3"))
    rolled_out(world)


def one_asks_and_is_contained(world: World) -> None:
    world.report(it_expires("pump-1"))
    world.report(a_finding("pump-1"))
    until(world, is_over)


NIGHTLY = os.environ.get("WARDEN_NIGHTLY") == "1"
"""Every point at night; in every run each fourth, begun at another one for each fate."""

FLOWS = {
    "find-what-is-due": Flow(found_and_picked_up),
    "roll-out": Flow(rolled_out, set_up=found),
    "one-is-gone": Flow(one_is_gone, set_up=found),
    "nobody-answers": Flow(nobody_answers, set_up=found),
    "the-canary-fails": Flow(the_canary_fails, set_up=found),
    "cancelled": Flow(cancelled, set_up=found),
    "cancelled-half-way": Flow(cancelled_before_it_is_sent, set_up=left_half_way),
    "contained-meanwhile": Flow(contained_meanwhile, set_up=found),
    "findings-ask": Flow(findings_ask, set_up=renewed_by_findings),
    "one-asks-whom-the-sweep-found": Flow(one_asks_whom_the_sweep_found, set_up=found_and_renewed_by_findings),
    "one-asks-and-is-contained": Flow(one_asks_and_is_contained, set_up=renewed_by_findings),
}


def play(flow: Flow, wire: Tripwire) -> World:
    world = a_fleet(900, 800, 700, rotation=f"{ENFORCED}attempts = 2\n", receives=RECEIVES)
    wired(world, wire)
    flow.set_up(world)
    wire.armed = True
    flow.play(world)
    for _ in range(4):  # what died is made up for by the sweeps that come anyway
        world.sweep(after=TURN)
        obey(world)
    world.sweep(after=timedelta(hours=1))
    wire.armed = False
    return world


def state_of(world: World) -> dict[str, Any]:
    """Write down what became of the fleet; ids of certificates are left out, they differ from run to run."""
    last = campaign(world)
    return {
        "active": {name: len(active(world, name)) for name in world.registry.types},
        "on": {name: active(world, name) == [device.certificate] for name, device in world.devices.items()},
        "unused": sorted(
            stored.status for each, stored in world.certificates.stored.items() if not world.registry.things_of(each)
        ),
        "asked": [sorted(world.jobs.started[job].executions) for job in world.jobs.of(ROTATE_CERTIFICATE)],
        "members": sorted((each["thing"], each["state"], each["attempts"]) for each in world.ledger.of_type("member")),
        "campaign": (last.state, last.size, last.step, last.batches, last.out, last.of_step, last.in_all),
        "cases": sorted((case.thing, case.state, case.resolution) for case in world.cases),
        "reports": list(world.reports.kept.values()),
        "notices": sorted({notice.subject for notice in world.notices.sent}),
        "clocks": [each["thing"] for each in world.ledger.of_type("job") if "due" in each],
        "parked": world.queue.parked,
        "refused": world.refusals,
    }


@cache
def clean(name: str) -> tuple[dict[str, Any], int, int]:
    wire = Tripwire()
    world = play(FLOWS[name], wire)
    return state_of(world), wire.calls, wire.commits


@pytest.mark.parametrize("fate", Fate)
@pytest.mark.parametrize("name", FLOWS)
def test_a_failure_at_any_call_ends_as_one_clean_run(
    name: str, fate: Fate, record_property: Callable[[str, object], None]
) -> None:
    expected, calls, commits = clean(name)
    points = commits if fate is Fate.ANSWER_LOST else calls
    record_property("points", points)
    wrong = {}

    for nth in range(1 + list(Fate).index(fate), points + 1, 1 if NIGHTLY else 4):
        wire = Tripwire(strikes_at=nth, fate=fate)
        state = state_of(play(FLOWS[name], wire))
        if state != expected:
            different = {key: (value, expected[key]) for key, value in state.items() if value != expected[key]}
            wrong[f"call {nth}, {wire.struck}"] = different

    assert wrong == {}


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_by_itself_parks_and_refuses_nothing(name: str) -> None:
    state, _, _ = clean(name)

    assert (state["parked"], state["refused"], state["clocks"]) == ([], [], [])
    assert set(state["active"].values()) == {1}
