"""Actions that are one call: the sessions that are closed, the certificates that are set INACTIVE."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_protocol_members, get_type_hints

import pytest

from tests.conftest import ROOT
from tests.fakes import THING, World, a_finding, a_key, a_world
from warden.cases.model import Case, Outcome, Progress
from warden.core.errors import ActionFailed
from warden.core.findings import Source, Subject, SubjectType
from warden.devices.jobs import Job
from warden.plan.actions import DISCONNECT, TOUCHING
from warden.respond.actions import action_named, judge_of
from warden.respond.actions.deactivate_certificate import deactivate_certificate
from warden.respond.actions.disconnect import disconnect

SECOND = "b" * 64
FOLDER = ROOT / "layers/warden/warden/respond/actions"


@pytest.fixture(name="world")
def _world() -> World:
    world = a_world()
    world.certificates.enrol(SECOND, a_key(900).pem, [])
    world.registry.attached.append((SECOND, THING))
    return world


def a_case(world: World) -> Case:
    world.report(a_finding(id="stolen-1", source=Source.GENERIC, kind="aside"))
    return replace(world.case, thing=THING)


def test_every_certificate_of_a_thing_is_deactivated(world: World) -> None:
    outcome = deactivate_certificate(a_case(world), world.context)

    first = world.device.certificate
    assert outcome == Outcome(Progress.DONE, f"INACTIVE: {first[:12]}, {SECOND[:12]}")
    assert world.active_certificates() == []


def test_a_finding_about_one_certificate_of_a_thing_deactivates_that_one(world: World) -> None:
    case = replace(a_case(world), attributes={"certificate": SECOND})

    assert deactivate_certificate(case, world.context) == Outcome(Progress.DONE, f"INACTIVE: {SECOND[:12]}")
    assert world.active_certificates() == [world.device.certificate]


def test_a_case_about_a_certificate_deactivates_it(world: World) -> None:
    case = replace(a_case(world), thing="", subject=Subject(SubjectType.CERTIFICATE, SECOND))

    assert deactivate_certificate(case, world.context) == Outcome(Progress.DONE, f"INACTIVE: {SECOND[:12]}")
    assert world.active_certificates() == [world.device.certificate]


def test_a_thing_without_a_certificate_has_none_to_deactivate(world: World) -> None:
    world.registry.attached.clear()

    with pytest.raises(ActionFailed, match=f"^{THING} has no certificate$"):
        deactivate_certificate(a_case(world), world.context)


def test_a_session_is_closed(world: World) -> None:
    assert disconnect(a_case(world), world.context) == Outcome(Progress.DONE, "disconnected")
    assert THING not in world.connections.open


def test_where_disconnecting_is_switched_off_the_session_stays() -> None:
    world = a_world(disconnect=False)

    outcome = disconnect(a_case(world), world.context)

    assert outcome == Outcome(Progress.DONE, "disconnecting is switched off in this deployment")
    assert THING in world.connections.open


@pytest.mark.parametrize("name", TOUCHING)
def test_each_row_of_the_table_has_its_module(name: str) -> None:
    module = f"respond/actions/{name.replace('-', '_')}.py"

    assert (FOLDER / Path(module).name).is_file(), f"plan/actions.py names {name}: there is no {module}"
    assert action_named(name).name == name, f"{module} calls its action {action_named(name).name}"


def test_each_module_has_its_row_in_the_table() -> None:
    modules = {path.stem.replace("_", "-") for path in FOLDER.glob("[a-z]*.py")} - {"action"}

    assert modules - {*TOUCHING} == set(), "no row in plan/actions.py names these modules of respond/actions"


def declared(function: Any) -> set[str]:
    """Name the ports that the context of a function has by its annotation."""
    ports = get_args(get_type_hints(function)["context"])

    assert ports, f"{function.__module__}.{function.__name__} takes the whole context: declare the ports it touches"
    return set(get_protocol_members(ports[0]))


@pytest.mark.parametrize("name", TOUCHING)
def test_an_action_touches_the_ports_that_it_declares_and_no_other(world: World, name: str) -> None:
    """The type checker holds every line to it; here it is seen to be so on one way through."""
    action = action_named(name)
    case = a_case(world).with_outcome(name, Outcome(Progress.PLANNED, job_id="warden-1"))
    ports: Any = SimpleNamespace(**{port: getattr(world.context.ports, port) for port in declared(action.run)})

    outcome = action.run(case, replace(world.context, ports=ports), None)

    assert outcome.progress in (Progress.DONE, Progress.STARTED)


def test_a_judge_touches_the_ports_that_it_declares_and_no_other(world: World) -> None:
    for name in [name for name in TOUCHING if action_named(name).is_job]:
        job = Job(id="warden-1", action=name, case_id="c-1", thing=THING, began_at=world.clock(), deadline=None)
        ports: Any = SimpleNamespace(**{port: getattr(world.context.ports, port) for port in declared(judge_of(name))})

        outcome = judge_of(name)(job, "SUCCEEDED", replace(world.context, ports=ports))

        assert outcome.progress is Progress.FAILED


def test_only_a_job_has_a_judge() -> None:
    with pytest.raises(LookupError, match=r"^disconnect is not a job$"):
        judge_of(DISCONNECT)
