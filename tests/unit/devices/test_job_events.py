"""Tracking: only the end of an execution that our own records know goes to a device's queue."""

import json
from typing import Any

import pytest

from tests.fakes import THING, World, a_finding, a_world
from warden.core.errors import Refused
from warden.devices.job_events import track

ARN = "arn:aws:iot:us-east-1:000000000000:thing/"


@pytest.fixture(name="world")
def _world() -> World:
    world = a_world()
    world.report(a_finding())
    world.jobs.events.clear()
    return world


def job_of(world: World) -> str:
    (job_id,) = world.jobs.started
    return job_id


def an_event(world: World, **changes: Any) -> dict[str, Any]:
    event = {"jobId": job_of(world), "thingArn": f"{ARN}{THING}", "status": "SUCCEEDED", "eventId": "event-1"}
    return {name: value for name, value in (event | changes).items() if value is not None}


def queued(world: World) -> list[dict[str, Any]]:
    return [json.loads(message.body) for messages in world.queue.groups.values() for message in messages]


@pytest.mark.parametrize(
    "status", ["SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED", "DELETED", "deleted"]
)
def test_every_end_is_handed_on_to_the_devices_queue(world: World, status: str) -> None:
    key = "operation" if status == "deleted" else "status"

    assert track(an_event(world, **{"status": None, key: status}), world.context) == "handed-on"
    [message] = queued(world)
    assert (message["job"], message["thing"]) == (job_of(world), THING)


@pytest.mark.parametrize("status", ["QUEUED", "IN_PROGRESS", "", None])
def test_what_is_no_end_is_left_alone(world: World, status: str | None) -> None:
    assert track(an_event(world, status=status), world.context) == "not-an-end"
    assert queued(world) == []


def test_somebody_elses_job_is_theirs(world: World) -> None:
    assert track(an_event(world, jobId="AFR_OTA-firmware-7"), world.context) == "not-ours"
    assert queued(world) == []


@pytest.mark.parametrize("changes", [{"jobId": "warden-none"}, {"thingArn": f"{ARN}pump-4"}])
def test_an_execution_that_is_not_on_record_is_not_followed(world: World, changes: dict[str, str]) -> None:
    assert track(an_event(world, **changes), world.context) == "not-on-record"
    assert queued(world) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"jobId": None}, "the event has no `jobId` that IoT Jobs could have made"),
        ({"jobId": 7}, "the event has no `jobId` that IoT Jobs could have made"),
        ({"jobId": "warden-\n"}, "the event has no `jobId` that IoT Jobs could have made"),
        ({"jobId": "w" * 65}, "the event has no `jobId` that IoT Jobs could have made"),
        ({"thingArn": None}, "the event has no `thingArn` of a thing"),
        ({"thingArn": "arn:aws:iot:us-east-1:000000000000:thinggroup/pumps"}, "the event has no `thingArn` of a thing"),
        ({"thingArn": f"{ARN}pump-3\n"}, "the event has no `thingArn` of a thing"),
    ],
)
def test_what_iot_jobs_cannot_have_written_is_refused(world: World, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(Refused) as caught:
        track(an_event(world, **changes), world.context)

    assert (caught.value.code, caught.value.reason) == ("not-a-job-event", said)
    assert queued(world) == []
