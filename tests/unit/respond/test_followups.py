"""Every ending of a rotation, as the tables of docs/rotation.md say: each cell is played, however its event comes.

The words are the page's, not the code's: an unknown word or a missing cell fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

import pytest

from tests.conftest import ROOT
from tests.fakes import (
    DEVICE_POLICY,
    PLAN,
    RESTRICTED_POLICY,
    FakeDevice,
    World,
    a_finding,
    a_job_event,
    a_world,
    an_old_certificate,
)
from warden.campaigns.inventory import Turn, sweep_certificates
from warden.campaigns.records import MemberState, read_batch, read_member
from warden.cases.model import Case, CaseState, Progress
from warden.devices.jobs import read_job
from warden.devices.rotation_records import Rotation, RotationState, read_rotation, retirement_key
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.due import sweep

PAGE = (ROOT / "docs" / "rotation.md").read_text()
MOMENTS = ("before the CSR", "between issue and confirm", "after confirm")
CAMPAIGN = PLAN.replace("[[rule]]", '[rotation]\nmode = "enforce"\ncanary_percent = 100\n\n[[rule]]', 1)
A_DAY_AND_MORE = timedelta(hours=25)
"""Past the deadline of a job, alone or of a campaign's first two steps."""

type Cells = dict[tuple[str, str], str]


def tables() -> tuple[Cells, Cells]:
    """Read the page's two tables: what becomes of the device, and what a campaign makes of it."""
    read: list[Cells] = []
    for table in re.findall(r"^\| the job ends as .*?(?=^[^|])", PAGE, re.DOTALL | re.MULTILINE):
        head, _, *rows = [[cell.strip() for cell in line.strip("|\n").split("|")] for line in table.splitlines()]
        assert tuple(head[1:]) == MOMENTS
        read.append({(row[0], moment): cell for row in rows for moment, cell in zip(MOMENTS, row[1:], strict=True)})
    of_device, of_campaign = read
    return of_device, of_campaign


OF_DEVICE, OF_CAMPAIGN = tables()


# --- the scene -----------------------------------------------------------------------------------------------------


@dataclass
class Scene:
    """A device that was renewed once before and whose next rotation is under way, as far as the moment says."""

    world: World
    device: FakeDevice
    job: str
    before: str
    """The old certificate."""

    enrolled: frozenset[str]
    """What was there when the rotation began."""

    earlier: list[dict[str, object]]
    """The earlier events of IoT Jobs: of this job, and of the jobs before it."""

    @property
    def thing(self) -> str:
        return self.device.thing

    @property
    def rotation(self) -> Rotation:
        rotation = read_rotation(self.world.ledger, self.thing)
        assert rotation is not None
        assert rotation.job_id == self.job
        return rotation

    @property
    def case(self) -> Case:
        return self.world.context.cases.read(self.rotation.case_id)


def of_a_finding() -> Scene:
    world = a_world("pump-1", "pump-2")
    renewed_once(world)
    world.report(an_old_certificate("pump-2", id="audit-2", observed_at=world.clock()))
    return scene(world)


def of_a_campaign() -> Scene:
    """The device is one of a batch of three; the canary came through."""
    world = a_world("pump-1", "pump-2", "pump-3", "pump-4", plan=CAMPAIGN)
    renewed_once(world)
    for thing, age in (("pump-1", 900), ("pump-2", 600), ("pump-3", 500), ("pump-4", 400)):
        world.certificates.stored[world.devices[thing].certificate].created_at = world.clock() - timedelta(days=age)
    assert sweep_certificates(Turn(world.context, lambda: timedelta(minutes=10), lambda: None)) == "reported"
    world.sweep(after=timedelta(minutes=5))
    world.devices["pump-1"].work()
    world.drain()
    world.sweep(after=timedelta(minutes=5))
    world.order("campaign-pause", why="nobody is asked again while we look")
    assert set(world.jobs.started[world.jobs.of(ROTATE_CERTIFICATE)[-1]].executions) == {"pump-2", "pump-3", "pump-4"}
    return scene(world)


def renewed_once(world: World) -> None:
    world.report(an_old_certificate("pump-2"))
    world.devices["pump-2"].work()
    world.drain()
    world.sweep(after=timedelta(days=30))
    assert world.case.resolution == "rotated"


def scene(world: World) -> Scene:
    device, job = world.devices["pump-2"], world.jobs.of(ROTATE_CERTIFICATE)[-1]
    earlier = [
        a_job_event(each, thing, execution.status, number=number)
        for number, (each, thing, execution) in enumerate(
            (each, thing, execution)
            for each, started in world.jobs.started.items()
            for thing, execution in started.executions.items()
            if each != job
        )
    ]
    earlier += [
        a_job_event(job, device.thing, status, number=800 + len(status)) for status in ("QUEUED", "IN_PROGRESS")
    ]
    return Scene(world, device, job, device.certificate, frozenset(world.certificates.stored), earlier)


def nothing(_scene: Scene) -> None:
    """The device never asked."""


def create(scene: Scene) -> None:
    scene.world.jobs.move(scene.job, "IN_PROGRESS", scene.thing)
    assert scene.device.create()[0] == "accepted"


def create_and_confirm(scene: Scene) -> None:
    create(scene)
    assert scene.device.confirm()[0] == "accepted"


GETS_AS_FAR_AS = dict(zip(MOMENTS, (nothing, create, create_and_confirm), strict=True))


# --- the endings ---------------------------------------------------------------------------------------------------


def with_status(status: str) -> Callable[[Scene], None]:
    return lambda scene: scene.world.jobs.move(scene.job, status, scene.thing)


def execution_deleted(scene: Scene) -> None:
    del scene.world.jobs.started[scene.job].executions[scene.thing]
    tell(scene, a_job_event(scene.job, scene.thing, "", operation="deleted", number=900))


def job_deleted(scene: Scene) -> None:
    before = list(scene.world.jobs.events)
    scene.world.jobs.delete(scene.job)
    if scene.world.jobs.loses_events:
        scene.world.jobs.events[:] = before


def thing_deleted(scene: Scene) -> None:
    scene.world.registry.delete_thing(scene.thing)
    del scene.world.jobs.started[scene.job].executions[scene.thing]
    tell(scene, a_job_event(scene.job, scene.thing, "REMOVED", number=901))


def silence(scene: Scene) -> None:
    """Its event is lost; at the deadline the sweep cancels it, which is an event."""
    scene.world.sweep(after=A_DAY_AND_MORE)


def tell(scene: Scene, event: dict[str, object]) -> None:
    if not scene.world.jobs.loses_events:
        scene.world.jobs.events.append(event)


ENDS_AS: dict[str, Callable[[Scene], None]] = {
    **{status: with_status(status) for status in ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT")},
    **{status: with_status(status) for status in ("CANCELED", "REMOVED")},
    "execution deleted": execution_deleted,
    "job deleted": job_deleted,
    "thing deleted": thing_deleted,
    "silence": silence,
}


# --- how the event comes -------------------------------------------------------------------------------------------


def once(scene: Scene, ending: Callable[[Scene], None]) -> None:
    ending(scene)
    scene.world.drain()


def duplicated(scene: Scene, ending: Callable[[Scene], None]) -> None:
    """Three times, each after the queue's deduplication interval."""
    ending(scene)
    events = list(scene.world.jobs.events)
    for _ in range(3):
        scene.world.jobs.events[:] = events
        scene.world.drain()
        scene.world.clock.advance(timedelta(minutes=6))


def reordered(scene: Scene, ending: Callable[[Scene], None]) -> None:
    """The earlier events arrive after it: those of this job, and the ends of the jobs before."""
    ending(scene)
    scene.world.drain()
    scene.world.clock.advance(timedelta(minutes=6))
    scene.world.jobs.events[:] = scene.earlier
    scene.world.drain()


def lost(scene: Scene, ending: Callable[[Scene], None]) -> None:
    """No event at all: the sweep finds it at the deadline."""
    scene.world.jobs.loses_events = True
    ending(scene)
    scene.world.drain()
    scene.world.sweep(after=A_DAY_AND_MORE)


DELIVERIES = (once, duplicated, reordered, lost)


# --- what the words mean -------------------------------------------------------------------------------------------


def back_on_the_old_one(scene: Scene) -> None:
    assert scene.rotation.state is RotationState.ROLLED_BACK
    assert scene.world.policies(scene.thing) == {scene.before: {DEVICE_POLICY}}
    assert scene.world.active_certificates(scene.thing) == [scene.before]


def on_the_new_one(scene: Scene) -> None:
    new = scene.device.certificate
    assert new != scene.before
    assert scene.rotation.state is RotationState.FINISHED
    assert scene.world.policies(scene.thing) == {new: {DEVICE_POLICY}}
    assert scene.world.active_certificates(scene.thing) == [new]


def on_none(scene: Scene) -> None:
    assert scene.rotation.state in (RotationState.ROLLED_BACK, RotationState.STRANDED)
    assert scene.world.policies(scene.thing) == {}
    assert scene.world.certificates.stored[scene.before].status == "ACTIVE", "as it was left when the thing was deleted"
    assert scene.world.certificates.stored[scene.before].policies == [DEVICE_POLICY]


def the_new_one_deleted(scene: Scene) -> None:
    assert scene.world.certificates.issued > 0
    assert scene.rotation.new != ""
    assert scene.rotation.new not in scene.world.certificates.stored


def the_new_one_inactive(scene: Scene) -> None:
    assert scene.rotation.state is RotationState.STRANDED
    assert scene.world.certificates.stored[scene.rotation.new].status == "INACTIVE"
    retirement = scene.world.ledger.read(retirement_key(scene.rotation.new))
    assert retirement is not None
    assert retirement["due"] == "due"


def the_old_one_inactive(scene: Scene) -> None:
    assert scene.world.certificates.stored[scene.before].status == "INACTIVE"
    assert scene.world.registry.things_of(scene.before) == []


def case_open(scene: Scene) -> None:
    outcome = scene.case.outcomes[ROTATE_CERTIFICATE]
    assert scene.case.state is CaseState.OPEN
    assert (outcome.progress, outcome.job_id) == (Progress.FAILED, scene.job)
    assert scene.world.steps(scene.case).count("rotate-certificate-failed") == 1


def case_closed(scene: Scene) -> None:
    outcome = scene.case.outcomes[ROTATE_CERTIFICATE]
    assert (scene.case.state, scene.case.resolution) == (CaseState.CLOSED, "rotated")
    assert (outcome.progress, outcome.job_id) == (Progress.DONE, scene.job)
    assert scene.world.steps(scene.case).count("rotate-certificate-done") == 1


WORDS: dict[str, Callable[[Scene], None]] = {
    "back on the old one": back_on_the_old_one,
    "on the new one": on_the_new_one,
    "on none": on_none,
    "the new one deleted": the_new_one_deleted,
    "the new one INACTIVE": the_new_one_inactive,
    "the old one INACTIVE": the_old_one_inactive,
    "case open": case_open,
    "case closed": case_closed,
}
COUNTED_AS = {
    "done": ("done", MemberState.DONE),
    "failed": ("failed", MemberState.FAILED),
    "waits again": ("absent", MemberState.WAITING),
    "skipped": ("skipped", MemberState.SKIPPED),
}


def holds_whatever_the_ending(scene: Scene) -> None:
    world, stored = scene.world, scene.world.certificates.stored
    made = {certificate for certificate in stored if certificate not in scene.enrolled}
    confirmed = {each.certificate for each in world.devices.values()}
    unused = [each for each in made - confirmed if stored[each].status == "ACTIVE"]
    assert unused == [], "nothing that we made stays ACTIVE unused"
    assert stored[scene.before].status == "ACTIVE" or scene.rotation.state is RotationState.FINISHED
    job = read_job(world.ledger, scene.job, scene.thing)
    assert job is not None
    assert job.deadline is None, "the job's clock has stopped"
    assert (world.queue.parked, world.refusals) == ([], [])


# --- the cells -----------------------------------------------------------------------------------------------------


def test_the_tables_have_every_cell_and_every_cell_says_enough() -> None:
    assert set(OF_DEVICE) == set(OF_CAMPAIGN) == {(ending, moment) for ending in ENDS_AS for moment in MOMENTS}
    assert len(OF_DEVICE) == 30
    for cell in OF_DEVICE.values():
        words = re.split("[;,] ", cell)
        assert words[0] in ("back on the old one", "on the new one", "on none")
        assert words[-1] in ("case open", "case closed")


@pytest.mark.parametrize("deliver", DELIVERIES)
@pytest.mark.parametrize("begun", [of_a_finding, of_a_campaign])
@pytest.mark.parametrize(("ending", "moment"), OF_DEVICE)
def test_a_rotation_ends_as_the_page_says(
    ending: str, moment: str, begun: Callable[[], Scene], deliver: Callable[[Scene, Callable[[Scene], None]], None]
) -> None:
    scene = begun()
    GETS_AS_FAR_AS[moment](scene)

    deliver(scene, ENDS_AS[ending])

    for word in re.split("[;,] ", OF_DEVICE[ending, moment]):
        WORDS[word](scene)
    holds_whatever_the_ending(scene)
    if begun is of_a_campaign:
        word = OF_CAMPAIGN[ending, moment]
        counted_as(scene, "waits again" if (word, deliver) == ("skipped", lost) else word)
        the_others_are_left(scene, job_is_gone=ending == "job deleted" or deliver is lost or ending == "silence")


def counted_as(scene: Scene, word: str) -> None:
    member = read_member(scene.world.ledger, scene.thing)
    assert member is not None
    batch = read_batch(scene.world.ledger, member.campaign, member.batch)
    assert batch is not None
    assert (batch.outcomes[scene.thing], member.state) == COUNTED_AS[word]


def the_others_are_left(scene: Scene, *, job_is_gone: bool) -> None:
    """The rest of the batch keeps waiting, or is back on its own certificate if the job is over for all."""
    for thing in ("pump-3", "pump-4"):
        rotation = read_rotation(scene.world.ledger, thing)
        assert rotation is not None
        assert rotation.state is (RotationState.ROLLED_BACK if job_is_gone else RotationState.REQUESTED)
        assert scene.world.active_certificates(thing) == [scene.world.devices[thing].certificate]


# --- a release, whose rotation is a step of it -----------------------------------------------------------------------


def of_a_release() -> Scene:
    world = a_world("pump-1", "pump-2")
    renewed_once(world)
    world.report(a_finding("pump-2", observed_at=world.clock()))
    world.devices["pump-2"].work()
    world.drain()
    world.order("release", world.cases[-1].id)
    assert world.cases[-1].state is CaseState.RECOVERING
    return scene(world)


@pytest.mark.parametrize("deliver", [once, duplicated, lost])
@pytest.mark.parametrize(("ending", "moment"), OF_DEVICE)
def test_a_release_follows_the_ending_of_its_rotation(
    ending: str, moment: str, deliver: Callable[[Scene, Callable[[Scene], None]], None]
) -> None:
    scene = of_a_release()
    GETS_AS_FAR_AS[moment](scene)

    deliver(scene, ENDS_AS[ending])

    cell = OF_DEVICE[ending, moment]
    certificate, policy, state = {
        "back on the old one": (scene.before, RESTRICTED_POLICY, CaseState.CONTAINED),
        "on the new one": (scene.device.certificate, DEVICE_POLICY, CaseState.CLOSED),
        "on none": ("", "", CaseState.CONTAINED),
    }[re.split("[;,] ", cell)[0]]
    assert scene.world.policies(scene.thing) == ({certificate: {policy}} if certificate else {})
    assert scene.world.active_certificates(scene.thing) == ([certificate] if certificate else [])
    assert (scene.case.state, scene.case.resolution) == (state, "released" if state is CaseState.CLOSED else None)
    holds_whatever_the_ending(scene)


# --- and after it ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ending", "moment"), [key for key, word in OF_CAMPAIGN.items() if word == "waits again"])
def test_a_device_that_waits_again_is_asked_again_and_comes_through(ending: str, moment: str) -> None:
    scene = of_a_campaign()
    world = scene.world
    GETS_AS_FAR_AS[moment](scene)
    once(scene, ENDS_AS[ending])
    for thing in ("pump-3", "pump-4"):
        world.devices[thing].work()
    world.drain()

    world.order("campaign-resume", why="go on")
    for _ in range(3):
        world.sweep(after=timedelta(minutes=6))
    scene.device.work()
    world.drain()

    rotation = read_rotation(world.ledger, scene.thing)
    assert rotation is not None
    assert (rotation.state, rotation.job_id != scene.job) == (RotationState.FINISHED, True)
    assert world.active_certificates(scene.thing) == [scene.device.certificate]
    assert scene.device.certificate != scene.before
    counted_as(scene, "done")


@pytest.mark.parametrize(("ending", "moment"), [key for key, cell in OF_DEVICE.items() if "back on the old" in cell])
def test_a_device_that_went_back_can_be_renewed_by_the_next_rotation(ending: str, moment: str) -> None:
    scene = of_a_finding()
    GETS_AS_FAR_AS[moment](scene)
    once(scene, ENDS_AS[ending])
    scene.device.keys += 1  # it makes a new key for each rotation

    scene.world.order("dismiss", scene.case.id)
    scene.world.clock.advance(timedelta(days=1))
    scene.world.report(an_old_certificate("pump-2", id="audit-3", observed_at=scene.world.clock()))
    scene.device.work()
    scene.world.drain()

    assert scene.world.active_certificates("pump-2") == [scene.device.certificate]
    assert scene.device.certificate != scene.before
    assert scene.world.cases[-1].resolution == "rotated"


def test_what_the_sweeps_clock_says_is_due_is_due() -> None:
    world = a_world()
    world.report(a_finding())
    world.clock.advance(timedelta(minutes=8))
    sweep(world.context)
    world.clock.advance(timedelta(seconds=-9))  # that of the function which is to do it

    world.drain()

    assert "second-disconnect" in world.steps()
