"""A device that is enrolled has what it needs, and its agent can be watched."""

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws
from local_fleet.enrol import AgentError, AgentProcess, Device, enrol


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


@pytest.fixture
def device(aws: LocalAws, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
    name = f"plant1:{request.node.name[:80]}"
    return enrol(aws, name, tmp_path / "device", logs={"system": b"all is well\n"}, settings={"keep_alive": 30})


def test_the_registry_knows_it_by_an_active_certificate_with_one_policy(aws: LocalAws, device: Device) -> None:
    iot = aws.session().client("iot")

    certificate = iot.describe_certificate(certificateId=device.certificate_id)["certificateDescription"]

    assert certificate["status"] == "ACTIVE"
    assert iot.list_thing_principals(thingName=device.thing_name)["principals"] == [device.certificate_arn]
    assert len(iot.list_attached_policies(target=device.certificate_arn)["policies"]) == 1


def test_its_key_is_for_its_owner_only(device: Device) -> None:
    assert stat.S_IMODE((device.state_dir / "private.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(device.state_dir.stat().st_mode) == 0o700


def test_its_agent_connects_and_goes_on_after_being_killed(aws: LocalAws, device: Device) -> None:
    with AgentProcess(aws, device) as agent:
        agent.await_event("telemetry-accepted", 30)
        before = len(agent.events)

        agent.kill()
        agent.start()

        assert agent.await_event("telemetry-accepted", 30, after=before)["thing"] == device.thing_name


def test_waiting_in_vain_tells_what_happened_instead(aws: LocalAws, device: Device) -> None:
    with AgentProcess(aws, device) as agent:
        agent.await_event("telemetry-accepted", 30)

        with pytest.raises(AgentError, match=r'(?s)did not report \{"event": "never", "why": 1\}.*"event": "started"'):
            agent.await_event("never", 0.1, why=1)


def test_waiting_ends_when_the_agent_does(aws: LocalAws, device: Device) -> None:
    device.config_file.write_text("thing_name = 1\n")

    with AgentProcess(aws, device) as agent, pytest.raises(AgentError, match="ended with 2"):
        agent.await_event("started", 30)
