"""The pairs of invocations that meet, each on a world in which both are about to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from tests.fakes import PLAN, World, a_finding, a_world
from tests.interleavings.play import Invocation, find, respond
from tests.interleavings.promises import Rights, rights_of
from warden.cases.model import CaseState
from warden.core.findings import Finding
from warden.devices.job_events import track
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.queues.messages import send_decision

V1, V2 = "valve-1", "valve-2"
"""Two things on one certificate, in different groups."""

KEEPING = "release-keeping-certificate"


@dataclass(frozen=True)
class Scene:
    """A world as it is when the invocations begin, and what its things had before anything happened."""

    world: World
    had: Mapping[str, Rights]


@dataclass(frozen=True)
class Pair:
    """Invocations that meet."""

    name: str
    scene: Callable[[], Scene]
    invocations: Sequence[Invocation]


def _sharing() -> Scene:
    world = a_world(V1, V2)
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "valves": ["valves-policy"], "site-4": []}
    world.registry.groups |= {V1: ["pumps", "site-4"], V2: ["valves", "site-4"]}
    first, second = world.devices[V1], world.devices[V2]
    world.registry.attached.remove((second.certificate, V2))
    del world.certificates.stored[second.certificate]
    second.certificate = first.certificate
    world.registry.attached.append((second.certificate, V2))
    return Scene(world, rights_of(world))


def _violation(thing: str) -> Finding:
    return a_finding(thing, id=f"violation of {thing}", kind="aws:num-messages-sent")


def _contain(scene: Scene, *things: str) -> None:
    for thing in things:
        scene.world.report(_violation(thing))
        assert case_of(scene.world, thing) is not None


def case_of(world: World, thing: str) -> str:
    """Return the case that contains a thing."""
    (case,) = [case for case in world.cases if case.thing == thing and case.state is CaseState.CONTAINED]
    return case.id


def _decide(scene: Scene, thing: str, decision: str) -> None:
    case = case_of(scene.world, thing)
    send_decision(
        scene.world.context.ports.queue,
        thing=thing,
        decision=decision,
        case_id=case,
        who="dana",
        why="",
        request=f"{decision} of {thing}",
    )


def _re_keyed(scene: Scene, *things: str) -> None:
    """Let contained things be released with new certificates, as far as the ends of their jobs, which wait."""
    world = scene.world
    for thing in things:
        world.order("release", case_of(world, thing))
    for job in world.jobs.of(ROTATE_CERTIFICATE):
        thing = world.jobs.started[job].thing
        device = world.devices[thing]
        world.jobs.move(job, "IN_PROGRESS", thing)
        assert device.create()[0] == "accepted"
        assert device.confirm()[0] == "accepted"
        world.jobs.move(job, "SUCCEEDED", thing)
    for event in world.jobs.events:
        track(event, world.context)
    world.jobs.events.clear()


def _release_and_quarantine() -> Scene:
    scene = _sharing()
    _contain(scene, V1)
    _decide(scene, V1, KEEPING)
    find(scene.world, _violation(V2))
    return scene


def _release_and_release() -> Scene:
    scene = _sharing()
    _contain(scene, V1, V2)
    _decide(scene, V1, KEEPING)
    _decide(scene, V2, KEEPING)
    return scene


def _quarantine_and_quarantine() -> Scene:
    scene = _sharing()
    find(scene.world, _violation(V1))
    find(scene.world, _violation(V2))
    return scene


def _rotation_end_and_quarantine() -> Scene:
    scene = _sharing()
    _contain(scene, V1)
    _re_keyed(scene, V1)
    find(scene.world, _violation(V2))
    return scene


def _rotation_end_and_release() -> Scene:
    scene = _sharing()
    _contain(scene, V1, V2)
    _re_keyed(scene, V1)
    _decide(scene, V2, KEEPING)
    return scene


def _rotation_end_twice() -> Scene:
    scene = _sharing()
    _contain(scene, V1, V2)
    _re_keyed(scene, V1, V2)
    return scene


PAIRS = (
    Pair("release x quarantine of the other", _release_and_quarantine, (respond(V1), respond(V2))),
    Pair("release x release of the other", _release_and_release, (respond(V1), respond(V2))),
    Pair("quarantine x quarantine of the other", _quarantine_and_quarantine, (respond(V1), respond(V2))),
    Pair("end of rotation x quarantine of the other", _rotation_end_and_quarantine, (respond(V1), respond(V2))),
    Pair("end of rotation x release of the other", _rotation_end_and_release, (respond(V1), respond(V2))),
    Pair("end of rotation x end of the other", _rotation_end_twice, (respond(V1), respond(V2))),
)


@cache
def scene_of(pair: Pair) -> Scene:
    """Build a pair's scene, once."""
    return pair.scene()
