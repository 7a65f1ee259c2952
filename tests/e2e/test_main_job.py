"""The main job, once through, on the deployed application and real devices: contained, examined, re-keyed, released."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from local_fleet.enrol import DEVICE_POLICY_NAME, AgentProcess, enrol
from tests.e2e.stack_driver import Around, Stack
from tests.waiting import PATIENCE, until

THING, BYSTANDER = "main:pump-3", "main:pump-4"
VIOLATION = "main-job-violation"
LOG = b"2026-11-22T10:00:00Z 7340032 bytes out to 203.0.113.9\n" * 40


def test_the_main_job(stack: Stack, tmp_path: Path) -> None:
    around = Around(stack)
    device = enrol(stack.aws, THING, tmp_path / "pump-3", logs={"system": LOG})
    bystander = enrol(stack.aws, BYSTANDER, tmp_path / "pump-4")
    around.iot.create_thing_group(thingGroupName="pumps")
    around.iot.add_thing_to_thing_group(thingName=THING, thingGroupName="pumps")
    restricted = stack.outputs["RestrictedPolicyName"]

    with AgentProcess(stack.aws, device) as agent, AgentProcess(stack.aws, bystander) as other:
        agent.await_event("telemetry-accepted", PATIENCE)
        other.await_event("telemetry-accepted", PATIENCE)

        # A violation comes in: the device is contained, its telemetry refused, its logs collected all the same.
        message = around.violate(THING, VIOLATION)
        case = around.case_in(THING, "contained")
        agent.await_event("telemetry-refused", PATIENCE)
        assert around.policies_of(device.certificate_id) == [restricted]
        assert sorted(around.groups_of(THING)) == sorted([stack.outputs["RestrictedGroupName"], "pumps"])
        until(lambda: _progress(around, "collect-logs") == "done", PATIENCE, what="the logs are collected")
        [announced] = [step for step in around.timeline(case["id"]) if step["kind"] == "logs-announced"]
        [file] = announced["facts"]["files"]
        assert (file["name"], file["sha256"]) == ("system", sha256(LOG).hexdigest())
        assert around.object(file["key"]) == LOG

        # The same message again changes nothing.
        jobs, steps = around.records("job", thing=THING), len(around.timeline(case["id"]))
        around.violate(THING, VIOLATION, violationEventTime=message["violationEventTime"])
        around.violate(THING, "main-job-marker", violationEventType="alarm-cleared")  # behind it, in the same group
        until(
            lambda: any("main-job-marker" in row["ended"] for row in around.records("problem")),
            PATIENCE,
            what="what was sent after it is on record",
        )
        assert around.records("job", thing=THING) == jobs
        assert len(around.timeline(case["id"])) == steps

        # An operator releases it: it comes back on a new certificate, with everything that it had.
        before = len(agent.events)
        around.ask(command="release", case=case["id"], why="the pump was checked on site")
        closed = around.case_in(THING, "closed")
        agent.await_event("telemetry-accepted", PATIENCE, after=before)
        assert closed["resolution"] == "released"
        [(new, status)] = around.certificates_of(THING).items()
        assert (status, new != device.certificate_id) == ("ACTIVE", True)
        assert around.status_of(device.certificate_id) == "INACTIVE"
        assert around.policies_of(new) == [DEVICE_POLICY_NAME]
        assert around.groups_of(THING) == ["pumps"]

        # The alarm it came from ends, and an end opens nothing.
        around.violate(THING, VIOLATION, violationEventType="alarm-cleared")
        # Late and old: the release is newer. (Word for word the same would be taken for a copy, and dropped.)
        around.violate(THING, VIOLATION, metricValue={"count": 7340033})
        until(
            lambda: around.records("refusal", code="before-release"),
            PATIENCE,
            what="the late message is refused on record",
        )
        assert [each["state"] for each in around.cases_of(THING)] == ["closed"]

        # Nobody else was touched, and nothing was parked.
        assert around.certificates_of(BYSTANDER) == {bystander.certificate_id: "ACTIVE"}
        assert around.policies_of(bystander.certificate_id) == [DEVICE_POLICY_NAME]
        assert around.groups_of(BYSTANDER) == []
        assert other.running
        assert around.parked() == 0


def _progress(around: Around, action: str) -> str:
    [case] = around.cases_of(THING)
    return str(case["actions"][action]["progress"])
