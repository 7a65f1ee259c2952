"""The worlds in which invocations meet, each at the moment when both are about to run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from tests.fakes import PLAN, RESTRICTED_POLICY, THING, World, a_finding, a_world, an_old_certificate
from tests.interleavings.play import find
from tests.interleavings.promises import Rights, rights_of
from warden.cases.model import CaseState
from warden.core.actions import QUARANTINE
from warden.core.findings import Finding
from warden.core.mode import Mode
from warden.devices.job_events import track
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.queues.messages import send_decision
from warden.respond.due import sweep

V1, V2, V3 = "valve-1", "valve-2", "valve-3"
"""Things on one certificate, in different groups."""

KEEPING = "release-keeping-certificate"
_GROUPS = {"pumps": ["pumps-policy"], "valves": ["valves-policy"], "site-4": []}
_PLAN = PLAN.replace('"collect-logs", ', "")
_CAMPAIGN = '[rotation]\nmode = "enforce"\n\n[[rule]]'


@dataclass(frozen=True)
class Scene:
    """A world, and what its things had before anything happened."""

    world: World
    had: Mapping[str, Rights]


# --- fleets ----------------------------------------------------------------------------------------------------------


def _one(plan: str = _PLAN) -> Scene:
    world = a_world(THING, plan=plan)
    world.registry.group_policies |= _GROUPS
    world.registry.groups[THING] = ["pumps", "site-4"]
    return Scene(world, rights_of(world))


def _sharing(*others: str) -> Scene:
    """Build two things on one certificate, in different groups, and others that share it with them."""
    world = a_world(V1, V2, *others, plan=_PLAN)
    world.registry.group_policies |= _GROUPS
    world.registry.groups |= {thing: ["valves", "site-4"] for thing in world.devices} | {V1: ["pumps", "site-4"]}
    shared = world.device.certificate
    for thing, device in list(world.devices.items())[1:]:
        world.registry.attached.remove((device.certificate, thing))
        del world.certificates.stored[device.certificate]
        device.certificate = shared
        world.registry.attached.append((shared, thing))
    return Scene(world, rights_of(world))


def _enrolled() -> Scene:
    """Build a device whose certificate is old and that a running campaign has in its list."""
    scene = _one(_PLAN.replace("[[rule]]", _CAMPAIGN, 1))
    world = scene.world
    world.certificates.stored[world.device.certificate].created_at = world.clock() - timedelta(days=900)
    world.find_what_is_due()
    return scene


# --- what has happened ----------------------------------------------------------------------------------------------


def _violation(thing: str, kind: str = "aws:num-messages-sent") -> Finding:
    return a_finding(thing, id=f"{kind} of {thing}", kind=kind)


def _contain(scene: Scene, *things: str) -> None:
    for thing in things:
        scene.world.report(_violation(thing))
        assert case_of(scene.world, thing)


def case_of(world: World, thing: str) -> str:
    """Return the case that contains a thing."""
    (case,) = [case for case in world.cases if case.thing == thing and case.state is CaseState.CONTAINED]
    return case.id


def _found(scene: Scene, *things: str) -> Scene:
    """Queue a finding about each thing, whose answer is a quarantine."""
    for thing in things:
        find(scene.world, _violation(thing))
    return scene


def _found_again(scene: Scene, thing: str) -> Scene:
    """Queue a finding of another kind about a thing that is contained already."""
    find(scene.world, _violation(thing, "aws:all-bytes-out"))
    return scene


def _decided(scene: Scene, *things: str, decision: str = KEEPING, case: str = "") -> Scene:
    """Queue a decision about each thing's containment, or about another case."""
    for thing in things:
        send_decision(
            scene.world.context.ports.queue,
            thing=thing,
            decision=decision,
            case_id=case or case_of(scene.world, thing),
            who="dana",
            why="",
            request=f"{decision} of {thing}",
        )
    return scene


def _swept(scene: Scene, after: timedelta) -> Scene:
    """Let time pass and the sweep queue what is due by then."""
    scene.world.clock.advance(after)
    sweep(scene.world.context)
    return scene


def _begun(scene: Scene, *things: str) -> Scene:
    """Let devices begin with the job of their rotation."""
    for thing in things:
        scene.world.jobs.move(_job(scene, thing), "IN_PROGRESS", thing)
    return scene


def _job(scene: Scene, thing: str) -> str:
    jobs = scene.world.jobs
    return [job for job in jobs.of(ROTATE_CERTIFICATE) if thing in jobs.started[job].executions][-1]


def _renewing(scene: Scene, *things: str) -> Scene:
    """Let an audit find the certificates of things too old, and the devices begin with their jobs."""
    for number, thing in enumerate(things):
        scene.world.report(an_old_certificate(thing, id=f"audit-{number}"))
    return _begun(scene, *things)


def _releasing(scene: Scene, *things: str) -> Scene:
    """Let an operator release contained things with new certificates, and the devices begin with their jobs."""
    for thing in things:
        scene.world.order("release", case_of(scene.world, thing))
    return _begun(scene, *things)


def _issued(scene: Scene, *things: str) -> Scene:
    """Let devices ask for their new certificates and get them."""
    for thing in things:
        assert scene.world.devices[thing].create()[0] == "accepted"
    return scene


def _confirmed(scene: Scene, *things: str) -> Scene:
    for thing in things:
        assert scene.world.devices[thing].confirm()[0] == "accepted"
    return scene


def _ended(scene: Scene, *things: str, status: str = "SUCCEEDED") -> Scene:
    """Let jobs end; IoT Jobs has yet to report it."""
    for thing in things:
        scene.world.jobs.move(_job(scene, thing), status, thing)
    return scene


def _reported(scene: Scene) -> Scene:
    """Let IoT Jobs report what has ended; the responder has yet to follow up."""
    for event in scene.world.jobs.events:
        track(event, scene.world.context)
    scene.world.jobs.events.clear()
    return scene


def _re_keyed(scene: Scene, *things: str) -> Scene:
    """Let devices end their jobs; the responder has not followed up yet."""
    return _reported(_ended(_confirmed(_issued(scene, *things), *things), *things))


def _half_way(scene: Scene, thing: str) -> Scene:
    """Let a thing's quarantine fail half way because our policy is gone; then restore the policy."""
    gone = scene.world.certificates.gone_policies
    gone.add(RESTRICTED_POLICY)
    scene.world.report(_violation(thing))
    gone.clear()
    assert scene.world.case.state is CaseState.OPEN
    return scene


def _contained(scene: Scene, *things: str) -> Scene:
    _contain(scene, *things)
    return scene


# --- two things on one certificate -----------------------------------------------------------------------------------


def release_and_quarantine() -> Scene:
    """V1 is about to be released, V2 is about to be contained."""
    return _found(_decided(_contained(_sharing(), V1), V1), V2)


def release_and_release() -> Scene:
    """Both are to be released."""
    return _decided(_contained(_sharing(), V1, V2), V1, V2)


def quarantine_and_quarantine() -> Scene:
    """Both are to be contained."""
    return _found(_sharing(), V1, V2)


def rotation_end_and_quarantine() -> Scene:
    """V1 is released and has its new certificate; V2 is about to be contained."""
    return _found(_re_keyed(_releasing(_contained(_sharing(), V1), V1), V1), V2)


def rotation_end_and_release() -> Scene:
    """V1 is released and has its new certificate; V2 is about to be released."""
    return _decided(_re_keyed(_releasing(_contained(_sharing(), V1, V2), V1), V1), V2)


def rotation_end_and_rotation_end() -> Scene:
    """Both are released with new certificates, which they have."""
    return _re_keyed(_releasing(_contained(_sharing(), V1, V2), V1, V2), V1, V2)


def create_and_quarantine() -> Scene:
    """V1 is being renewed, and V2 is about to be contained."""
    return _found(_renewing(_sharing(), V1), V2)


def confirm_and_quarantine() -> Scene:
    """V1 has its new certificate, V2 is about to be contained."""
    return _found(_issued(_renewing(_sharing(), V1), V1), V2)


def renewal_end_and_quarantine() -> Scene:
    """V1 was renewed, V2 is about to be contained."""
    return _found(_re_keyed(_renewing(_sharing(), V1), V1), V2)


def renewal_end_and_renewal_end() -> Scene:
    """Both were renewed, and leave the certificate that they shared."""
    return _re_keyed(_renewing(_sharing(), V1, V2), V1, V2)


def releasing_create_and_quarantine() -> Scene:
    """V1 is being released with a new certificate, V2 is about to be contained."""
    return _found(_releasing(_contained(_sharing(), V1), V1), V2)


def releasing_create_and_release() -> Scene:
    """V1 is being released with a new certificate, V2 is about to be released."""
    return _decided(_releasing(_contained(_sharing(), V1, V2), V1), V2)


def found_again_and_release() -> Scene:
    """V1 is contained and found again, V2 is about to be released."""
    return _found_again(_decided(_contained(_sharing(), V1, V2), V2), V1)


def full_release_and_quarantine() -> Scene:
    """V1 is about to be released with a new certificate, V2 is about to be contained."""
    return _found(_decided(_contained(_sharing(), V1), V1, decision="release"), V2)


def half_way_release_and_quarantine() -> Scene:
    """V1's quarantine failed half way, and it is about to be released; V2 is about to be contained."""
    scene = _half_way(_sharing(), V1)
    return _found(_decided(scene, V1, case=scene.world.case.id), V2)


# --- one thing -------------------------------------------------------------------------------------------------------


def renewing() -> Scene:
    """The device is being renewed."""
    return _renewing(_one(), THING)


def issued() -> Scene:
    """The device has its new certificate."""
    return _issued(renewing(), THING)


def renewing_and_quarantine() -> Scene:
    """The device is being renewed, and about to be contained."""
    return _found(renewing(), THING)


def issued_and_quarantine() -> Scene:
    """The device has its new certificate, and is about to be contained."""
    return _found(issued(), THING)


def ended_and_quarantine() -> Scene:
    """The device was renewed, not yet reported by IoT Jobs, and is about to be contained."""
    return _found(_ended(_confirmed(issued(), THING), THING), THING)


def over_before_create() -> Scene:
    """The job timed out, and the device asks all the same."""
    return _reported(_ended(renewing(), THING, status="TIMED_OUT"))


def over_before_confirm() -> Scene:
    """The job timed out, and the device comes back over its new certificate."""
    return _reported(_ended(issued(), THING, status="TIMED_OUT"))


def due_before_create() -> Scene:
    """The deadline is over, and the device asks all the same."""
    return _swept(renewing(), timedelta(hours=25))


def due_before_confirm() -> Scene:
    """The deadline is over, and the device comes back over its new certificate."""
    return _swept(issued(), timedelta(hours=25))


def past_deadline() -> Scene:
    """The deadline is over, which no sweep has seen."""
    scene = issued()
    scene.world.clock.advance(timedelta(hours=25))
    return scene


def ended_past_deadline() -> Scene:
    """The device was renewed when the deadline was over; nobody has seen either."""
    scene = _ended(_confirmed(issued(), THING), THING)
    scene.world.clock.advance(timedelta(hours=25))
    return scene


def releasing_and_second_disconnect() -> Scene:
    """The device is being released with a new certificate, and its second disconnect is due."""
    return _swept(_releasing(_contained(_one(), THING), THING), timedelta(minutes=10))


def released_issued_and_second_disconnect() -> Scene:
    """The same, and the device has its new certificate."""
    return _swept(_issued(_releasing(_contained(_one(), THING), THING), THING), timedelta(minutes=10))


def quarantine() -> Scene:
    """The device is about to be contained."""
    return _found(_one(), THING)


def look() -> Scene:
    """The device is contained, and about to be compared with AWS IoT again."""
    return _swept(_swept(_contained(_one(), THING), timedelta(minutes=10)), timedelta(minutes=70))


def cancelled() -> Scene:
    """The device is being released with a new certificate, which an operator takes back."""
    scene = releasing()
    return _decided(scene, THING, decision="cancel", case=scene.world.case.id)


def renewal_ends() -> Scene:
    """The device was renewed, and the responder has yet to follow up."""
    return _re_keyed(renewing(), THING)


def release_after_renewal() -> Scene:
    """The device was being renewed when it was contained; it is about to be released, and asks for its certificate."""
    return _decided(_contained(renewing(), THING), THING)


def release() -> Scene:
    """The device is about to be released with a new certificate."""
    return _decided(_contained(_one(), THING), THING, decision="release")


def release_keeping() -> Scene:
    """The device is about to be released with the certificate that it has."""
    return _decided(_contained(_one(), THING), THING)


def releasing() -> Scene:
    """The device is being released with a new certificate."""
    return _releasing(_contained(_one(), THING), THING)


def released_issued() -> Scene:
    """The device is being released and has its new certificate."""
    return _issued(releasing(), THING)


def release_ends() -> Scene:
    """The device has confirmed, and the responder has yet to follow up."""
    return _re_keyed(releasing(), THING)


def release_fails() -> Scene:
    """The job of the release timed out, and the device comes back over its new certificate."""
    return _reported(_ended(released_issued(), THING, status="TIMED_OUT"))


def released_and_found_again() -> Scene:
    """The device is being released with a new certificate, and is found again."""
    return _found_again(releasing(), THING)


def released_issued_and_found_again() -> Scene:
    """The device is being released and has its new certificate, and is found again."""
    return _found_again(released_issued(), THING)


def second_disconnect() -> Scene:
    """The device is contained, and its second disconnect is due."""
    return _swept(_contained(_one(), THING), timedelta(minutes=10))


def half_way() -> Scene:
    """The device's quarantine failed half way, and is due to be tried again."""
    return _swept(_half_way(_one(), THING), timedelta(minutes=10))


def to_approve() -> Scene:
    """The device waits for an operator, who approves."""
    scene = _one()
    world = scene.world
    world.context = replace(world.context, settings=replace(world.context.settings, mode=Mode.APPROVE))
    world.report(_violation(THING))
    assert world.case.state is CaseState.AWAITING_APPROVAL
    assert QUARANTINE in world.case.outcomes
    return _decided(scene, THING, decision="approve", case=world.case.id)


# --- a campaign ------------------------------------------------------------------------------------------------------


def turn_and_quarantine() -> Scene:
    """The campaign's turn has come, and a device in its list is to be contained."""
    return _found(_swept(_enrolled(), timedelta(minutes=5)), THING)


def turn_and_release() -> Scene:
    """The campaign's turn has come, and a device in its list is to be released."""
    return _decided(_swept(_contained(_enrolled(), THING), timedelta(minutes=5)), THING)


def asked() -> Scene:
    """The campaign has asked the device, which has begun."""
    scene = _enrolled()
    scene.world.sweep(after=timedelta(minutes=5))
    return _begun(scene, THING)


def asked_and_quarantine() -> Scene:
    """The campaign has asked the device, which is about to be contained."""
    return _found(asked(), THING)


def asked_issued_and_quarantine() -> Scene:
    """The campaign has asked the device, which has its new certificate and is about to be contained."""
    return _found(_issued(asked(), THING), THING)


def turn_and_create() -> Scene:
    """The campaign looks again, and the device that it asked has begun."""
    return _swept(asked(), timedelta(minutes=5))


def turn_and_confirm() -> Scene:
    """The campaign looks again, and the device that it asked has its new certificate."""
    return _swept(_issued(asked(), THING), timedelta(minutes=5))


def turn_and_end() -> Scene:
    """The campaign looks again, and the device that it asked is done."""
    return _swept(_re_keyed(asked(), THING), timedelta(minutes=5))


# --- three at a time -------------------------------------------------------------------------------------------------


def quarantine_release_and_create() -> Scene:
    """Three things on one certificate: V1 is being renewed, V2 is about to be released, V3 is about to be contained."""
    scene = _contained(_renewing(_sharing(V3), V1), V2)
    return _found(_decided(scene, V2), V3)


def quarantine_release_and_sweep() -> Scene:
    """V1 is about to be released and V2 to be contained when the sweep finds a second disconnect due."""
    scene = release_and_quarantine()
    scene.world.clock.advance(timedelta(minutes=10))
    return scene


def turn_quarantine_and_confirm() -> Scene:
    """The campaign looks again; the device that it asked has its new certificate, and is about to be contained."""
    return _found(turn_and_confirm(), THING)
