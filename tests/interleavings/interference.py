"""Between any two calls of a flow somebody does something to the device: it comes to rest, and it can be given back.

What people do is done to the world itself, as at AWS's console. The flow's message is then delivered again as SQS would
deliver it, devices and sweeps continue for two days, and what is left is judged without knowing the flow or the act.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256

from tests.fakes import OPERATOR, RESTRICTED_GROUP, RESTRICTED_POLICY, World, a_key
from tests.interleavings.courses import Course
from tests.interleavings.play import Play, copy_of
from warden.cases.allowed import Decision, allowed
from warden.cases.model import Case, CaseState
from warden.containment.snapshot import ContainmentState, read_containment
from warden.core.errors import Refused
from warden.operate.commands import operate

type Act = Callable[[World, str], None]
"""Something that is done to a device."""


# --- what people do --------------------------------------------------------------------------------------------------


def _certificates(world: World, thing: str) -> list[str]:
    return world.registry.certificates_of(thing)


def _own_policies(world: World, thing: str) -> set[str]:
    """List the device's own policies, wherever they are attached or would be given back."""
    containment = read_containment(world.ledger, thing)
    before = {name for names in containment.policies.values() for name in names} if containment else set[str]()
    there = {name for each in _certificates(world, thing) for name in world.certificates.stored[each].policies}
    return (before | there) - {RESTRICTED_POLICY}


def delete_policies(world: World, thing: str) -> None:
    """Delete the device's own policies, after they are detached, as AWS IoT demands."""
    gone = _own_policies(world, thing)
    world.certificates.gone_policies |= gone
    for stored in world.certificates.stored.values():
        stored.policies[:] = [name for name in stored.policies if name not in gone]


def detach_policies(world: World, thing: str) -> None:
    """Detach all policies from the device's certificates, including ours."""
    for each in _certificates(world, thing):
        world.certificates.stored[each].policies.clear()


def attach_policy(world: World, thing: str) -> None:
    """Attach another policy to the device's certificates."""
    for each in _certificates(world, thing):
        if "console-policy" not in world.certificates.stored[each].policies:
            world.certificates.stored[each].policies.append("console-policy")


def delete_group(world: World, _thing: str) -> None:
    """Delete a group that gives rights, with all its members taken out."""
    world.registry.group_policies.pop("pumps", None)
    for groups in world.registry.groups.values():
        groups[:] = [group for group in groups if group != "pumps"]


def leave_groups(world: World, thing: str) -> None:
    """Take the device out of all its groups, including ours."""
    if thing in world.registry.groups:
        world.registry.groups[thing].clear()


def join_group(world: World, thing: str) -> None:
    """Put the device into another group that gives rights."""
    world.registry.group_policies["console"] = ["console-policy"]
    if thing in world.registry.groups:
        world.registry.groups[thing].append("console")


def detach_certificates(world: World, thing: str) -> None:
    """Detach the device's certificates."""
    world.registry.attached[:] = [pair for pair in world.registry.attached if pair[1] != thing]


def delete_certificates(world: World, thing: str) -> None:
    """Delete the device's certificates, set INACTIVE and detached before."""
    gone = _certificates(world, thing)
    world.registry.attached[:] = [pair for pair in world.registry.attached if pair[0] not in gone]
    for each in gone:
        del world.certificates.stored[each]


def _status(status: str) -> Act:
    def act(world: World, thing: str) -> None:
        for each in _certificates(world, thing):
            world.certificates.stored[each].status = status

    act.__name__ = f"set_{status.lower()}"
    return act


def transfer_certificates(world: World, thing: str) -> None:
    """Offer the device's certificates to another account, which takes them off their thing and their policies."""
    offered = _certificates(world, thing)
    world.registry.attached[:] = [pair for pair in world.registry.attached if pair[0] not in offered]
    for each in offered:
        world.certificates.transfer(each)


def delete_thing(world: World, thing: str) -> None:
    """Delete the device from the registry."""
    if thing in world.registry.types:
        world.registry.delete_thing(thing)


def make_another(world: World, thing: str) -> None:
    """Delete the device, and make one of the same name with a certificate of its own."""
    delete_thing(world, thing)
    world.registry.add_thing(thing, groups=["site-4"])
    provision(world, thing)


def provision(world: World, thing: str) -> None:
    """Provision the device again: another certificate with all rights."""
    certificate = sha256(b"provisioned").hexdigest()
    world.certificates.enrol(certificate, a_key(77).pem, ["device-policy"])
    if thing in world.registry.types:
        world.registry.attached.append((certificate, thing))


def cancel_jobs(world: World, thing: str) -> None:
    """Cancel the device's job executions."""
    for job, started in world.jobs.started.items():
        if thing in started.executions and started.executions[thing].status in ("QUEUED", "IN_PROGRESS"):
            world.jobs.move(job, "CANCELED", thing)


def delete_jobs(world: World, thing: str) -> None:
    """Delete the device's jobs with all that IoT Jobs knows of them."""
    for job in [job for job, started in world.jobs.started.items() if thing in started.executions]:
        del world.jobs.started[job]


ACTS: Sequence[Act] = (
    delete_policies,
    detach_policies,
    attach_policy,
    delete_group,
    leave_groups,
    join_group,
    detach_certificates,
    delete_certificates,
    _status("INACTIVE"),
    _status("REVOKED"),
    transfer_certificates,
    delete_thing,
    make_another,
    provision,
    cancel_jobs,
    delete_jobs,
)


# --- a run -----------------------------------------------------------------------------------------------------------


class _Moment:
    """Replaces the relay: somebody acts before one of the calls."""

    running = 0

    def __init__(self, at: int, act: Callable[[], None]) -> None:
        self._at, self._act = at, act
        self.calls = 0

    def point(self) -> None:
        """Act, if it is the call."""
        if self.calls == self._at:
            self._act()
        self.calls += 1


@cache
def calls_of(course: Course) -> int:
    """Count the calls of a course without interference."""
    return _run(Play(copy_of(course.scene().world)), course, -1, lambda _world, _thing: None)


def _run(play: Play, course: Course, at: int, act: Act) -> int:
    moment = _Moment(at, lambda: act(play.world, course.thing))
    play.wire.relay = moment  # type: ignore[assignment]  # as far as the wire asks
    course.run(play)
    play.wire.relay = None
    return moment.calls


@dataclass
class Interfered:
    """How many times somebody interfered, and which of them broke what."""

    moments: int = 0
    broken: dict[str, list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the figures, and the first moment that broke each promise."""
        shown: dict[str, str] = {}
        for moment, found in self.broken.items():
            shown.setdefault("; ".join(found), moment)
        lines = [f"{len(self.broken):,} of {self.moments:,} moments broken"]
        return "\n".join([*lines, *(f"  {moment}: {what}" for what, moment in shown.items())])


def interfere(course: Course, moments: Sequence[tuple[int, Act]]) -> Interfered:
    """Interfere at each of the moments, from the same world each time, and run to the end."""
    tried, world = Interfered(), course.scene().world
    for at, act in moments:
        tried.moments += 1
        play = Play(copy_of(world))
        _run(play, course, at, act)
        play.rest()
        found = [*_wrong(play), *_dead_ends(play, at)]
        if found:
            tried.broken[f"{act.__name__} before call {at + 1}"] = found
    return tried


def moments_of(course: Course) -> Sequence[tuple[int, Act]]:
    """List every call of a course with everything that people do before it."""
    return [(at, act) for at in range(calls_of(course)) for act in ACTS]


# --- what must be so -------------------------------------------------------------------------------------------------


def _wrong(play: Play) -> Iterator[str]:
    world = play.world
    yield from (f"parked: {each.body[:100]} after {each.failure}" for each in play.parked)
    yield from (f"{len(queue.waiting)} wait on {name}" for name, queue in play.queues.items() if queue.waiting)
    for case in world.cases:
        if case.state in (CaseState.RESPONDING, CaseState.RECOVERING):
            yield f"case {_name(case)} is left {case.state}"
    for thing in world.devices:
        if _state(world, thing) is ContainmentState.RELEASING:
            yield f"the containment of {thing} is left releasing"
        if not any(case.is_half_way and case.is_open and case.thing == thing for case in world.cases):
            yield from _rights(world, thing)
            yield from _groups(world, thing)


def _state(world: World, thing: str) -> ContainmentState | None:
    containment = read_containment(world.ledger, thing)
    return containment.state if containment else None


def _is_contained(world: World, thing: str) -> bool:
    return _state(world, thing) is ContainmentState.CONTAINED


def _rights(world: World, thing: str) -> Iterator[str]:
    """A usable certificate is restricted exactly while one of its things is contained. If all its own policies are
    gone, it keeps ours, so that it is never without one; the release says so.
    """
    for each in _certificates(world, thing):
        stored = world.certificates.stored[each]
        is_held = any(_is_contained(world, other) for other in world.registry.things_of(each))
        if stored.status != "ACTIVE":
            continue
        if is_held and stored.policies != [RESTRICTED_POLICY]:
            yield f"{thing} is contained, and {each[:6]} has {sorted(stored.policies)}"
        has_lost_all = stored.policies == [RESTRICTED_POLICY] and world.certificates.gone_policies
        if not is_held and RESTRICTED_POLICY in stored.policies and not has_lost_all:
            yield f"{thing} is not contained, and {each[:6]} has {sorted(stored.policies)}"


def _groups(world: World, thing: str) -> Iterator[str]:
    groups, is_held = world.registry.groups.get(thing, []), _is_contained(world, thing)
    giving = [group for group in groups if group != RESTRICTED_GROUP and world.registry.group_policies.get(group)]
    if is_held and thing in world.registry.types and (giving or RESTRICTED_GROUP not in groups):
        yield f"{thing} is contained, and in {groups}"
    if not is_held and RESTRICTED_GROUP in groups:
        yield f"{thing} is not contained, and in {groups}"


def _dead_ends(play: Play, turn: int) -> Iterator[str]:
    """Release the device as its case allows, each time in another way."""
    world = play.world
    held = [case for case in world.cases if case.state is CaseState.CONTAINED or (case.is_half_way and case.is_open)]
    for case in held:
        ways = [each for each in allowed(case, world.context.settings.mode) if each.startswith("release")]
        ended = [each for each in (*ways[turn % 2 :], *ways[: turn % 2]) if _is_given_back(play, case, each)]
        if not ended:
            tried = ", ".join(ways) or "no release"
            yield f"case {_name(case)} is {case.state}; {tried} ends in: {_last_words(world, case)}"
    if held:
        yield from (f"after the release: {each}" for each in _wrong(play))


def _is_given_back(play: Play, case: Case, decision: Decision) -> bool:
    """Order the release, and accept changes if the device was changed; return whether the case is over."""
    cases = play.world.context.cases
    for changes in ({}, {"acceptChanges": True}):
        if not cases.read(case.id).is_open:
            break
        command: Mapping[str, object] = {"command": decision, "case": case.id, **changes}
        try:
            operate(command, OPERATOR, f"{decision} {changes}", play.world.context)
        except Refused as refusal:
            play.failures.append(f"operate: {refusal}")
        play.rest()
    return not cases.read(case.id).is_open


def _last_words(world: World, case: Case) -> str:
    return [f"{entry.step.kind} {entry.step.why}" for entry in world.context.cases.timeline(case.id)][-1]


def _name(case: Case) -> str:
    return case.id[:4]
