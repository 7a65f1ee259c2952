"""What must be true once everything has come to rest. This module knows no flow: only the world and the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import NamedTuple

from tests.fakes import RESTRICTED_GROUP, RESTRICTED_POLICY, World
from tests.interleavings.play import Play
from warden.cases.model import Case, CaseState, Progress, StepKind
from warden.containment.snapshot import Containment, ContainmentState, read_containment
from warden.core.actions import QUARANTINE
from warden.core.clock import from_text
from warden.devices.rotation_records import read_rotation, retirement_key

_QUEUED_FOR = timedelta(hours=1)
"""How long something may be due: its message fails five times, twelve minutes apart, and is then parked."""


class Rights(NamedTuple):
    """What a thing could do before anything happened."""

    policies: frozenset[str]
    groups: frozenset[str]


def rights_of(world: World) -> Mapping[str, Rights]:
    """Write down what each thing may do."""
    return {
        thing: Rights(
            frozenset(policy for names in world.policies(thing).values() for policy in names),
            frozenset(world.registry.groups[thing]),
        )
        for thing in world.devices
    }


def broken(play: Play, had: Mapping[str, Rights]) -> list[str]:
    """List every promise that does not hold."""
    return [
        *play.broken,
        *(f"parked: {each.body[:120]} after {each.failure}" for each in play.parked),
        *_certificates(play, had),
        *_groups(play.world, had),
        *_nobody_left_out(play),
        *_at_rest(play),
        *_words(play.world),
    ]


def said_too_early(play: Play) -> list[str]:
    """List what the ledger says falsely just after the invocations; one that failed has not ended yet."""
    if play.failures:
        return []
    found = []
    for thing in play.agents:
        containment = read_containment(play.world.ledger, thing)
        if containment is None or containment.state is not ContainmentState.CONTAINED:
            continue
        for certificate in play.world.active_certificates(thing):
            policies = play.world.certificates.stored[certificate].policies
            if policies != [RESTRICTED_POLICY]:
                found.append(f"{thing} is said to be contained, and {certificate[:6]} has {policies}")
    return found


def _containment(world: World, thing: str) -> Containment | None:
    containment = read_containment(world.ledger, thing)
    return containment if containment is not None and containment.is_active else None


def _certificates(play: Play, had: Mapping[str, Rights]) -> Iterator[str]:
    """A certificate is restricted exactly while one of its things is contained; one on no thing is not ACTIVE."""
    world = play.world
    for certificate, stored in world.certificates.stored.items():
        things = world.registry.things_of(certificate)
        holders = [thing for thing in things if _containment(world, thing)]
        if not things:
            yield from _of_nobody(world, certificate)
            continue
        if stored.status != "ACTIVE":
            yield f"{certificate[:6]} of {', '.join(things)} is {stored.status}"
        wanted = {RESTRICTED_POLICY} if holders else set(had[things[0]].policies)
        if set(stored.policies) != wanted:
            yield (
                f"{certificate[:6]} of {', '.join(things)} has {sorted(stored.policies)}, "
                f"and contained is {', '.join(holders) or 'nobody'}"
            )


def _of_nobody(world: World, certificate: str) -> Iterator[str]:
    if world.certificates.stored[certificate].status == "ACTIVE":
        yield f"{certificate[:6]} is ACTIVE and nobody's"
    record = world.ledger.read(retirement_key(certificate))
    if record is None or "due_at" not in record:
        yield f"{certificate[:6]} is nobody's, and nothing will delete it"


def _groups(world: World, had: Mapping[str, Rights]) -> Iterator[str]:
    for thing, rights in had.items():
        groups, containment = set(world.registry.groups[thing]), _containment(world, thing)
        if containment is None:
            if groups != rights.groups:
                yield f"{thing} is not contained, and in {sorted(groups)}"
            continue
        carrying = {group for group in rights.groups if world.registry.group_policies[group]}
        if groups != (rights.groups - carrying) | {RESTRICTED_GROUP}:
            yield f"{thing} is contained, and in {sorted(groups)}"
        if containment.state is not ContainmentState.CONTAINED:
            yield f"{thing} is left {containment.state}"


def _nobody_left_out(play: Play) -> Iterator[str]:
    for thing, agent in play.agents.items():
        if not play.is_let_in(thing, agent.device.certificate):
            yield f"{thing} cannot connect with {agent.device.certificate[:6]}"
        if others := [each for each in play.world.active_certificates(thing) if each != agent.device.certificate]:
            yield f"{thing} has {', '.join(each[:6] for each in others)} besides"


def _at_rest(play: Play) -> Iterator[str]:
    """Nothing is under way any more, and nothing is left over."""
    world = play.world
    for job_id, job in world.jobs.started.items():
        for thing, execution in job.executions.items():
            if execution.status in ("QUEUED", "IN_PROGRESS"):
                yield f"job {job_id} is {execution.status} on {thing}"
    for thing in play.agents:
        rotation = read_rotation(world.ledger, thing)
        if rotation is not None and not rotation.is_over:
            yield f"the rotation of {thing} is left {rotation.state}"
    for record in map(world.ledger.read, world.ledger.records):
        if record and record.get("due") == "due" and from_text(record["due_at"]) < world.clock() - _QUEUED_FOR:
            yield f"a {record['type']} was due at {record['due_at']}"
    yield from (f"{len(queue.waiting)} wait on {name}" for name, queue in play.queues.items() if queue.waiting)


def _words(world: World) -> Iterator[str]:
    """Each case describes the actual state."""
    for case in world.cases:
        containment = _containment(world, case.thing)
        holds = containment is not None and case.id in containment.cases
        if case.state in (CaseState.RESPONDING, CaseState.RECOVERING):
            yield f"case {_name(case)} is left {case.state}"
        if (case.state is CaseState.CONTAINED) != holds:
            yield f"case {_name(case)} is {case.state}, and holds its thing: {holds}"
        yield from _quarantined(case, world)


def _quarantined(case: Case, world: World) -> Iterator[str]:
    """A quarantine that the plan wants is made, or one that failed is given up; only a release ends it."""
    outcome = case.outcomes.get(QUARANTINE)
    if outcome is None or not case.admitted:
        return
    kinds = [entry.step.kind for entry in world.context.cases.timeline(case.id)]
    if outcome.progress is not Progress.DONE and not (
        outcome.progress is Progress.FAILED and StepKind.RELEASED in kinds
    ):
        yield f"the quarantine of case {_name(case)} is {outcome.progress}: {outcome.detail}"
    said = [entry.step.why for entry in world.context.cases.timeline(case.id)]
    for refused in [why for why in said if why.startswith("changed-meanwhile")]:
        yield f"case {_name(case)} was not released, though nobody changed the device: {refused}"
    if case.state is CaseState.CLOSED and StepKind.RELEASED not in kinds:
        yield f"case {_name(case)} was closed without a release"


def _name(case: Case) -> str:
    return f"{case.id[:4]} of {case.thing}"
