"""Things that vanish or change between two reads: refused, waited for or left alone, and never guessed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.fakes import (
    DEVICE_POLICY,
    OPERATOR,
    PLAN,
    RESTRICTED_GROUP,
    RESTRICTED_POLICY,
    THING,
    World,
    a_finding,
    a_world,
    an_old_certificate,
    contained,
    its_end,
)
from warden.cases.allowed import Decision
from warden.cases.model import CaseState, Progress
from warden.containment.desired import leave, reconcile
from warden.containment.release import drift_of, release
from warden.containment.snapshot import ContainmentState, containment_key, read_containment, save_containment
from warden.core.actions import QUARANTINE
from warden.core.errors import ActionFailed, Conflict, NotSent, NotYet, Refused
from warden.core.findings import Subject, SubjectType
from warden.core.ledger import Key, Put
from warden.core.mode import Mode
from warden.core.ports import Certificate, Thing
from warden.devices.rotation import begin_rotation, end_rotation
from warden.devices.rotation_records import RotationState, read_rotation, rotation_key, save_rotation
from warden.notify.digests import send_digest
from warden.plan.actions import COLLECT_LOGS, ROTATE_CERTIFICATE
from warden.respond.decisions import Order, carry_out
from warden.respond.followups import due, job_ended

KEEP = "release-keeping-certificate"


@pytest.fixture(name="world")
def _world() -> World:
    return a_world()


@pytest.fixture(name="rotating")
def _rotating() -> World:
    """A device whose job to rotate is IN_PROGRESS."""
    world = a_world()
    world.report(an_old_certificate())
    world.jobs.move(world.jobs.of(ROTATE_CERTIFICATE)[0], "IN_PROGRESS")
    return world


def after(world: World, of_our_write: Callable[[Put], bool], act: Callable[[], object]) -> None:
    """Let somebody act once, right after a write of ours."""
    real = world.ledger.commit
    acted: list[bool] = []

    def commit(*puts: Put) -> None:
        real(*puts)
        if not acted and any(of_our_write(put) for put in puts):
            acted.append(True)
            act()

    world.ledger.commit = commit  # type: ignore[method-assign]  # somebody else, just then


# --- rotations and jobs --------------------------------------------------------------------------------------------


def test_the_end_of_a_job_that_is_not_on_record_changes_nothing(world: World) -> None:
    job_ended("warden-unknown", THING, world.context)

    assert world.ledger.records == {}


def test_a_job_without_its_rotation_has_failed(rotating: World) -> None:
    del rotating.ledger.records[rotation_key(THING)]

    rotating.jobs.move(rotating.jobs.of(ROTATE_CERTIFICATE)[0], "SUCCEEDED")
    rotating.drain()

    outcome = rotating.case.outcomes[ROTATE_CERTIFICATE]
    assert (outcome.progress, outcome.detail) == (
        Progress.FAILED,
        "no rotation is on record; the job is SUCCEEDED",
    )


def test_a_rotation_that_is_gone_cannot_be_ended(rotating: World) -> None:
    rotation = read_rotation(rotating.ledger, THING)
    assert rotation is not None
    del rotating.ledger.records[rotation_key(THING)]

    with pytest.raises(ActionFailed, match=f"^{THING} has no rotation to end$"):
        end_rotation(rotation, rotating.context)


def test_a_rotation_whose_job_is_gone_sends_no_other(rotating: World) -> None:
    [job_id] = rotating.jobs.started
    for key in [key for key in rotating.ledger.records if job_id in key.partition]:
        del rotating.ledger.records[key]
    rotating.jobs.started.clear()

    begin_rotation(rotating.case, job_id, rotating.context)

    assert rotating.jobs.started == {}


def test_a_certificate_deleted_after_its_confirmation_is_not_made_again(rotating: World) -> None:
    csr, old = rotating.device.next_key.csr, rotating.device.certificate
    rotating.device.create(csr)
    rotating.device.confirm()
    rotating.registry.attached.remove((rotating.device.certificate, THING))
    del rotating.certificates.stored[rotating.device.certificate]
    rotating.device.certificate = old

    verdict, answer = rotating.device.create(csr)

    assert (verdict, answer["code"]) == ("rejected", "rotation-over")
    assert rotating.certificates.issued == 1


def test_an_old_certificate_that_was_deleted_meanwhile_has_no_key_to_remember(rotating: World) -> None:
    rotation = read_rotation(rotating.ledger, THING)
    assert rotation is not None
    save_rotation(rotating.ledger, replace(rotation, old=("d" * 64, *rotation.old)))

    verdict, _ = rotating.device.create()

    assert verdict == "accepted"
    assert "d" * 64 not in [record["certificate"] for record in rotating.ledger.of_type("key")]


@pytest.mark.parametrize("reads_before", [0, 1])
def test_a_request_that_its_own_copy_overtakes_is_no_second_use_of_its_key(rotating: World, reads_before: int) -> None:
    real, csr = rotating.certificates.read, rotating.device.next_key.csr
    answers: list[str] = []
    reads = iter(range(reads_before))

    def read_and_be_overtaken(certificate_id: str) -> Certificate | None:
        if next(reads, None) is None:
            rotating.certificates.read = real  # type: ignore[method-assign]  # once
            answers.append(rotating.device.create(csr)[0])
        return real(certificate_id)

    rotating.certificates.read = read_and_be_overtaken  # type: ignore[method-assign]  # the other copy
    answers.append(rotating.device.create(csr)[0])

    assert answers == ["accepted", "accepted"]
    assert rotating.certificates.issued == 1


@pytest.mark.parametrize("what", ["certificate/create", "certificate/confirm"])
def test_a_rotation_that_is_being_rolled_back_is_over_for_the_device(rotating: World, what: str) -> None:
    rotation = read_rotation(rotating.ledger, THING)
    assert rotation is not None
    save_rotation(rotating.ledger, replace(rotation, state=RotationState.ROLLING_BACK))

    verdict, answer = rotating.device.ask(what, {"csr": rotating.device.next_key.csr})

    assert (verdict, answer["code"]) == ("rejected", "rotation-over")
    assert rotating.certificates.issued == 0


def test_a_policy_that_is_gone_leaves_the_new_certificate_unused(rotating: World) -> None:
    rotating.certificates.gone_policies.add(DEVICE_POLICY)

    verdict, answer = rotating.device.create()

    assert (verdict, answer["code"]) == ("rejected", "policy-gone")
    assert rotating.active_certificates() == [rotating.device.certificate]


def test_what_is_not_due_any_more_is_left_alone(rotating: World) -> None:
    [(key, text)] = [(key, text) for key, text in rotating.ledger.records.items() if '"type": "job"' in text]

    due(key, rotating.context)
    due(Key("nothing", "here"), rotating.context)
    due(rotation_key(THING), rotating.context)

    assert rotating.ledger.records[key] == text
    assert rotating.case.outcomes[ROTATE_CERTIFICATE].progress is Progress.STARTED


# --- containments --------------------------------------------------------------------------------------------------


def test_what_is_not_contained_has_no_drift_and_needs_no_release(world: World) -> None:
    assert drift_of(THING, world.context) == [f"{THING} is not contained"]
    assert release(THING, "case-1", world.context).words == "was no longer contained"


def test_a_containment_that_is_gone_when_its_release_begins_is_refused(world: World) -> None:
    case = contained(world)
    real = world.registry.thing

    def look_and_lose(name: str, *, with_type: bool = True) -> Thing | None:
        world.ledger.records.pop(containment_key(THING), None)
        return real(name, with_type=with_type)

    world.registry.thing = look_and_lose  # type: ignore[method-assign]  # somebody deletes the record

    with pytest.raises(Refused, match=f"{THING} is not contained") as caught:
        release(THING, case.id, world.context)
    assert caught.value.code == "not-contained"
    assert world.is_restricted()


def test_a_case_that_comes_to_hold_a_thing_while_its_release_begins_is_not_passed_over(world: World) -> None:
    case = contained(world)
    real = world.registry.thing

    def look_and_be_joined(name: str, *, with_type: bool = True) -> Thing | None:
        containment = read_containment(world.ledger, THING)
        assert containment is not None
        if len(containment.cases) == 1:
            save_containment(world.ledger, replace(containment, cases=(case.id, "case-2")))
        return real(name, with_type=with_type)

    world.registry.thing = look_and_be_joined  # type: ignore[method-assign]  # another responder

    with pytest.raises(Conflict, match=f"the containment of {THING} changed meanwhile"):
        release(THING, case.id, world.context)

    assert world.is_restricted()
    assert release(THING, case.id, world.context).words == "stays contained for case-2"


def test_a_quarantine_takes_nothing_from_a_thing_whose_release_was_begun_meanwhile(world: World) -> None:
    real = world.certificates.policies_of

    def read_and_be_released(certificate_id: str) -> list[str]:
        containment = read_containment(world.ledger, THING)
        assert containment is not None
        if containment.state is ContainmentState.CONTAINING:
            save_containment(world.ledger, replace(containment, state=ContainmentState.RELEASING))
        return real(certificate_id)

    world.certificates.policies_of = read_and_be_released  # type: ignore[method-assign]  # another responder

    with pytest.raises(NotYet, match=f"the release of {THING} was begun meanwhile"):
        world.report(a_finding())

    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


def test_a_certificate_that_another_contained_thing_uses_stays_restricted_when_one_moves_off_it() -> None:
    world = a_world("pump-3", "pump-4")
    common = world.device.certificate
    world.registry.attached = [(common, "pump-3"), (common, "pump-4")]
    world.devices["pump-4"].certificate = common
    world.report(a_finding("pump-3"))
    world.report(a_finding("pump-4", id="violation-2"))

    leave(common, "pump-3", world.context)
    reconcile(common, world.context)

    assert world.policies("pump-4") == {common: {RESTRICTED_POLICY}}


def test_what_a_later_containment_took_from_a_shared_certificate_is_given_back_by_the_last_release() -> None:
    world = a_world("pump-3", "pump-4")
    common = world.device.certificate
    world.registry.attached = [(common, "pump-3"), (common, "pump-4")]
    world.devices["pump-4"].certificate = common
    world.report(a_finding("pump-3"))
    world.certificates.attach_policy(common, "slipped-in")
    world.clock.advance(timedelta(seconds=1))
    world.report(a_finding("pump-4", id="violation-2"))
    first, second = world.cases

    world.order(KEEP, second.id)
    assert world.policies("pump-4") == {common: {RESTRICTED_POLICY}}

    world.order(KEEP, first.id)
    assert world.policies("pump-3") == {common: {DEVICE_POLICY, "slipped-in"}}


def test_a_release_is_not_done_before_aws_iot_shows_the_policies(world: World) -> None:
    case = contained(world)
    real = world.certificates.policies_of
    outdated: list[list[str]] = []

    def outdated_after_the_release(certificate_id: str) -> list[str]:
        shown = real(certificate_id)
        if world.registry.groups[THING] != [RESTRICTED_GROUP]:  # it has left ours: only the check is to come
            outdated.append(shown)
            return [RESTRICTED_POLICY]
        return shown

    world.certificates.policies_of = outdated_after_the_release  # type: ignore[method-assign]  # read too early

    with pytest.raises(NotYet, match="does not show its restored policies yet"):
        release(THING, case.id, world.context)
    world.certificates.policies_of = real  # type: ignore[method-assign]  # a moment later
    assert outdated == [[DEVICE_POLICY]]
    world.order(KEEP, case.id)
    assert world.case.resolution == "released"


def test_a_release_is_not_done_before_aws_iot_shows_the_groups(world: World) -> None:
    case = contained(world)
    real = world.registry.thing
    held = real(THING, with_type=True)
    world.registry.thing = lambda _name, **_: held  # type: ignore[method-assign]  # as it was before the release

    with pytest.raises(NotYet, match=f"{THING} does not show its restored groups yet"):
        release(THING, case.id, world.context)
    world.registry.thing = real  # type: ignore[method-assign]  # a moment later
    world.order(KEEP, case.id)
    assert world.case.resolution == "released"


def test_a_finding_during_a_release_turns_it_into_a_containment(world: World) -> None:
    first = contained(world)
    containment = read_containment(world.ledger, THING)
    assert containment is not None
    save_containment(world.ledger, replace(containment, state=ContainmentState.RELEASING))
    world.certificates.attach_policy(world.device.certificate, DEVICE_POLICY)  # as far as the release had come

    world.report(a_finding(id="violation-2", kind="aws:num-messages-sent"))

    second = world.cases[-1]
    assert second.state is CaseState.CONTAINED
    assert world.is_restricted()
    world.order(KEEP, first.id)
    assert world.is_restricted()
    world.order(KEEP, second.id)
    assert world.policies() == {world.device.certificate: {DEVICE_POLICY}}


@pytest.mark.parametrize(
    ("shown", "said"),
    [
        (["pumps"], f"^{THING} is not shown in {RESTRICTED_GROUP} yet$"),
        (["pumps", RESTRICTED_GROUP], f"^{THING} is still shown in pumps$"),
    ],
)
def test_a_quarantine_is_not_done_before_aws_iot_shows_the_groups(world: World, shown: list[str], said: str) -> None:
    world.registry.group_policies["pumps"] = ["pumps-policy"]
    world.registry.groups[THING] = ["pumps"]
    world.registry.tells_what_is_effective = False
    real = world.registry.thing

    def outdated_after_the_move(name: str, *, with_type: bool = True) -> Thing | None:
        thing = real(name, with_type=with_type)
        return replace(thing, groups=tuple(shown)) if thing and "pumps" not in thing.groups else thing

    world.registry.thing = outdated_after_the_move  # type: ignore[method-assign]  # read too early

    with pytest.raises(NotYet, match=said):
        world.report(a_finding())
    assert world.case.outcomes[QUARANTINE].progress is Progress.PLANNED


# --- cases and decisions -------------------------------------------------------------------------------------------


def test_a_case_that_an_operator_closes_as_its_finding_ends_is_closed_once() -> None:
    world = a_world(mode=Mode.APPROVE)
    world.report(a_finding())
    case = world.case

    def is_the_end(put: Put) -> bool:
        return put.record["type"] == "case" and not any(put.record["findings"].values())

    dismissal = Order(decision=Decision.DISMISS, case_id=case.id, who=OPERATOR, request="request-1")
    after(world, is_the_end, lambda: carry_out(dismissal, world.context))
    world.report(its_end(a_finding()))

    assert (world.case.state, world.case.resolution) == (CaseState.CLOSED, "dismissed")
    assert "closed" not in world.steps()


def test_logs_are_not_asked_for_where_there_is_no_device(world: World) -> None:
    world.report(a_finding(subject=Subject(SubjectType.ACCOUNT, "000000000000"), kind="account-wide"))
    order = Order(decision=Decision.COLLECT_LOGS, case_id=world.case.id, who=OPERATOR, request="request-1")
    world.context.cases.save(replace(world.case, state=CaseState.OPEN), world.clock())

    with pytest.raises(Refused) as caught:
        carry_out(order, world.context)
    assert caught.value.code == "no-device"
    assert COLLECT_LOGS not in world.case.outcomes


def test_no_logs_are_collected_from_a_device_that_is_never_touched() -> None:
    world = a_world(plan=PLAN + '\n[never_touch]\nthings = ["pump-*"]\n')
    world.report(a_finding())
    world.context.cases.save(replace(world.case, state=CaseState.OPEN), world.clock())
    order = Order(decision=Decision.COLLECT_LOGS, case_id=world.case.id, who=OPERATOR, request="request-1")

    with pytest.raises(Refused) as caught:
        carry_out(order, world.context)
    assert caught.value.code == "never-touch"
    assert world.jobs.started == {}


# --- what could not be told ----------------------------------------------------------------------------------------


def test_a_notice_that_still_cannot_be_sent_is_owed_on(world: World) -> None:
    world.notices.down = True
    world.report(a_finding())
    first = world.outbox.renotify_at
    assert first is not None

    world.sweep(after=timedelta(minutes=6))

    assert world.outbox.renotify_at is not None
    assert world.outbox.renotify_at > first
    assert world.notices.sent == []


def test_a_digest_about_cases_that_are_all_settled_is_not_sent(world: World) -> None:
    key = Key("DIGEST#held", "DIGEST")
    since = "2026-11-22T11:00:00.000000Z"
    record = {
        "type": "digest",
        "thing": "digest:held",
        "state": "held",
        "since": since,
        "told": [f"case-{n}" for n in range(20)],
    }
    record |= {"due": "due", "due_at": since}
    world.ledger.commit(Put(key, record, 0))

    world.sweep()

    kept = world.ledger.read(key)
    assert kept is not None
    assert "due_at" not in kept
    assert world.notices.sent == []


def test_a_digest_leaves_out_what_came_before_its_hour(world: World) -> None:
    world.order("stop", why="maintenance")
    world.report(a_finding())
    world.clock.advance(timedelta(hours=2))
    world.enrol("pump-4")
    world.report(a_finding("pump-4", id="violation-2", observed_at=world.clock()))
    key = Key("DIGEST#held", "DIGEST")
    since = "2026-11-22T13:00:00.000000Z"
    record = {
        "type": "digest",
        "thing": "digest:held",
        "state": "held",
        "since": since,
        "told": [f"case-{n}" for n in range(20)],
    }
    record |= {"due": "due", "due_at": since}
    world.ledger.commit(Put(key, record, 0))
    world.notices.down = True
    with pytest.raises(NotSent):
        send_digest(key, {**record, "version": 1}, world.context)
    assert "due_at" in (world.ledger.read(key) or {}), "it stays due"

    world.notices.down = False
    send_digest(key, {**record, "version": 1}, world.context)

    assert world.notices.sent[-1].subject == "Fleet Warden: digest: 1 cases held"
    assert "pump-4" in world.notices.sent[-1].body
    assert "pump-3" not in world.notices.sent[-1].body


def test_a_shared_certificate_without_any_policy_left_keeps_ours_when_one_moves_off_it() -> None:
    world = a_world("pump-3", "pump-4")
    common = world.device.certificate
    world.registry.attached = [(common, "pump-3"), (common, "pump-4")]
    world.report(a_finding("pump-3"))
    world.certificates.gone_policies.add(DEVICE_POLICY)

    leave(common, "pump-3", world.context)
    reconcile(common, world.context)

    assert world.policies("pump-4") == {common: {RESTRICTED_POLICY}}
