"""Ten thousand findings about as many devices at once: the limit is kept exactly, and nothing is touched past it."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    RESTRICTED_POLICY,
    FakeRegistry,
    World,
    a_finding,
    a_key,
    a_world,
)
from warden.cases.model import Case, CaseState
from warden.queues.messages import send_findings

DEVICES = 10_000
AN_HOUR = 20
"""The limit of the plan in tests/fakes.py."""


class IndexedRegistry(FakeRegistry):
    """The registry of a world, with an index of who has which certificate: scanning for each finding takes minutes."""

    def __init__(self, known: FakeRegistry) -> None:
        vars(self).update(vars(known))  # the same things and groups: the other fakes go on using theirs
        self._certificates: dict[str, list[str]] = defaultdict(list)
        self._things: dict[str, list[str]] = defaultdict(list)
        for certificate, thing in known.attached:
            self._certificates[thing].append(certificate)
            self._things[certificate].append(thing)

    def certificates_of(self, thing: str) -> list[str]:
        return list(self._certificates[thing])

    def things_of(self, certificate_id: str) -> list[str]:
        return list(self._things[certificate_id])


def certificate_of(name: str) -> str:
    return sha256(name.encode()).hexdigest()


def a_crowded_world(names: Sequence[str]) -> World:
    """Enrol devices that share one PEM: nothing here looks into it, and ten thousand key pairs take long to make."""
    world = a_world("gateway")
    for name in names:
        certificate = certificate_of(name)
        world.registry.add_thing(name)
        world.certificates.enrol(certificate, a_key(1).pem, [DEVICE_POLICY])
        world.registry.attached.append((certificate, name))
        world.connections.open.add(name)
    ports = replace(world.context.ports, registry=IndexedRegistry(world.registry))
    world.context = replace(world.context, ports=ports)
    return world


@dataclass(frozen=True)
class Storm:
    """What is left when it is over."""

    world: World
    cases: Sequence[Case]
    contained: set[str]


@pytest.fixture(scope="module")
def storm() -> Storm:
    names = [f"pump-{number}" for number in range(DEVICES)]
    world = a_crowded_world(names)
    send_findings(world.queue, [a_finding(name, id=f"violation-{name}") for name in names], verified=False)
    world.drain()
    cases = world.cases
    return Storm(world, cases, {case.thing for case in cases if case.state is CaseState.CONTAINED})


def test_as_many_are_contained_as_the_limit_allows_and_all_others_are_held(storm: Storm) -> None:
    assert Counter(case.state for case in storm.cases) == {
        CaseState.CONTAINED: AN_HOUR,
        CaseState.HELD: DEVICES - AN_HOUR,
    }
    assert len({case.thing for case in storm.cases}) == DEVICES


def test_whoever_is_contained_is_restricted_and_nobody_else(storm: Storm) -> None:
    registry, stored = storm.world.context.ports.registry, storm.world.certificates.stored
    restricted = {
        thing
        for certificate, kept in stored.items()
        if kept.policies == [RESTRICTED_POLICY]
        for thing in registry.things_of(certificate)
    }

    assert len(restricted) == AN_HOUR
    assert restricted == storm.contained


def test_nothing_past_the_limit_is_touched(storm: Storm) -> None:
    world = storm.world
    held = {case.thing for case in storm.cases if case.state is CaseState.HELD}
    kept = [world.certificates.stored[certificate_of(name)] for name in held]

    assert len(kept) == DEVICES - AN_HOUR
    assert all(each.policies == [DEVICE_POLICY] and each.status == "ACTIVE" for each in kept)
    assert {name for name in held if world.registry.groups[name]} == set()
    assert held <= world.connections.open
    assert set(world.connections.asked) <= storm.contained
    assert {job.thing for job in world.jobs.started.values()} == storm.contained


def test_no_finding_is_lost(storm: Storm) -> None:
    assert storm.world.queue.parked == []
    assert len(storm.world.queue) == 0
    assert storm.world.refusals == []


def test_one_notice_says_that_the_limit_holds_not_ten_thousand(storm: Storm) -> None:
    subjects = storm.world.notices.subjects

    assert sum("NOT TOUCHED" in subject for subject in subjects) == 1
    assert sum(": contained:" in subject for subject in subjects) == AN_HOUR
    assert len(subjects) == AN_HOUR + 1
