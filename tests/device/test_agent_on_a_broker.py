"""The agent as a real process against a real broker: what no fake can promise."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws
from local_fleet.enrol import AgentProcess, Device, enrol
from tests.device.cloud import Cloud
from tests.device.fakes import FakeAuthority
from tests.waiting import PATIENCE
from warden_agent.identity import Identity
from warden_agent.ports import ConnectError, ConnectionLostError
from warden_agent.storage import FileStore

pytestmark = pytest.mark.e2e

LOG = b"2026-11-22 pump started\n" * 100
NO_NEW_KEYS = "the only private key on the device is the one in use"


@pytest.fixture(name="cloud", scope="module")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with LocalAws(bridged=False) as aws:
        cloud = Cloud(aws, tmp_path_factory.mktemp("cloud"))
        yield cloud
        cloud.close()


@dataclass(frozen=True)
class OnTheShelf:
    """A device as the factory made it, ready to be switched on, and what the tests ask about it."""

    cloud: Cloud
    made: Device

    @property
    def thing_name(self) -> str:
        return self.made.thing_name

    @property
    def certificate_id(self) -> str:
        return FileStore(self.made.state_dir).load().identity.certificate_id

    def topic(self, rest: str) -> str:
        return f"warden/{self.thing_name}/{rest}"

    def switched_on(self) -> AgentProcess:
        return AgentProcess(self.cloud.aws, self.made)


@pytest.fixture(name="device")
def _device(cloud: Cloud, tmp_path: Path, request: pytest.FixtureRequest) -> OnTheShelf:
    # The colon is legal in a thing name, and what careless topic and path handling trips over.
    thing_name = "plant1:" + re.sub("[^a-zA-Z0-9_-]", "-", request.node.name)[:80]
    made = enrol(
        cloud.aws,
        thing_name,
        tmp_path,
        logs={"app": LOG, "gone": b""},
        settings={"retry_min_seconds": 0.1, "retry_max_seconds": 0.4},
    )
    (tmp_path / "logs" / "gone").unlink()
    return OnTheShelf(cloud, made)


def test_connects_under_the_certificate_id_that_aws_gave_and_publishes_telemetry(
    cloud: Cloud, device: OnTheShelf
) -> None:
    with device.switched_on() as agent:
        agent.await_event("connected", PATIENCE, certificateId=device.made.certificate_id)
        agent.await_event("telemetry-accepted", PATIENCE, sequence=2)
        heard = cloud.hear(f"telemetry/{device.thing_name}")

    assert heard["sequence"] == 1
    assert agent.events[-1]["event"] == "stopped", "SIGTERM ends it with manners"
    assert [path.name for path in device.made.state_dir.iterdir()] == ["state.json"]


def test_uploads_the_logs_it_may_and_names_those_it_could_not(cloud: Cloud, device: OnTheShelf) -> None:
    cloud.start_job(device.thing_name, "logs-1", "collect-logs")
    with device.switched_on() as agent:
        request = cloud.hear(device.topic("logs/create"))
        cloud.accept(
            device.topic("logs/create"), request, uploads=cloud.upload_forms(device.thing_name, request["files"])
        )
        agent.await_event("log-uploaded", PATIENCE, label="app")
        agent.await_event("job-ended", PATIENCE, jobId="logs-1", status="SUCCEEDED")

    status, details = cloud.job(device.thing_name, "logs-1")
    assert cloud.uploaded(device.thing_name, "app") == LOG
    assert (status, details) == ("SUCCEEDED", {"uploaded": "1", "bytes": str(len(LOG)), "missing": "gone"})


@pytest.mark.parametrize("algorithm", ["EC_P256", "RSA_2048"])
def test_rotates_through_a_power_cut_and_ends_with_the_new_certificate_alone(
    cloud: Cloud, device: OnTheShelf, algorithm: str
) -> None:
    create, confirm = device.topic("certificate/create"), device.topic("certificate/confirm")
    job_id = f"rotate-{algorithm}"
    with device.switched_on() as agent:
        agent.await_event("connected", PATIENCE)
        cloud.start_job(device.thing_name, job_id, "rotate-certificate", keyAlgorithm=algorithm)
        request = cloud.hear(create)
        agent.kill()

    with device.switched_on() as agent:
        again = cloud.hear(create)
        assert again == request, "asking again must be the same request"
        new_id, pem = cloud.certify(device.thing_name, again["csr"])
        cloud.accept(create, again, certificateId=new_id, certificatePem=pem)
        agent.await_event("connected", PATIENCE, certificateId=new_id)
        first_confirm = cloud.hear(confirm)
        agent.kill()

    with device.switched_on() as agent:
        agent.await_event("connected", PATIENCE, certificateId=new_id)
        assert cloud.hear(confirm) == first_confirm
        cloud.accept(confirm, first_confirm)
        agent.await_event("old-key-destroyed", PATIENCE, certificateId=device.made.certificate_id)
        agent.await_event("job-ended", PATIENCE, jobId=job_id, status="SUCCEEDED")
        cloud.switch_off(device.made.certificate_id)
        agent.kill()

    with device.switched_on() as agent:
        agent.await_event("connected", PATIENCE, certificateId=new_id)
        agent.await_event("telemetry-accepted", PATIENCE)

    assert cloud.job(device.thing_name, job_id)[0] == "SUCCEEDED"
    assert device.certificate_id == new_id
    assert (device.made.state_dir / "state.json").read_text().count("PRIVATE KEY-----\\n") == 2, (
        NO_NEW_KEYS
    )  # BEGIN and END


def test_goes_back_to_the_old_certificate_when_the_new_one_is_refused(cloud: Cloud, device: OnTheShelf) -> None:
    create = device.topic("certificate/create")
    cloud.start_job(device.thing_name, "rotate-refused", "rotate-certificate")
    with device.switched_on() as agent:
        request = cloud.hear(create)
        new_id, pem = cloud.certify(device.thing_name, request["csr"], active=False)
        cloud.accept(create, request, certificateId=new_id, certificatePem=pem)
        agent.await_event("connect-failed", PATIENCE, certificateId=new_id)
        agent.await_event("job-ended", PATIENCE, jobId="rotate-refused", status="FAILED")

    status, details = cloud.job(device.thing_name, "rotate-refused")
    assert status == "FAILED"
    assert "cannot connect" in details["reason"]
    assert device.certificate_id == device.made.certificate_id


def test_a_restricted_device_reports_its_refused_telemetry_and_still_runs_jobs(
    cloud: Cloud, device: OnTheShelf
) -> None:
    cloud.restrict(device.made.certificate_id)
    with device.switched_on() as agent:
        agent.await_event("telemetry-refused", PATIENCE)
        cloud.start_job(device.thing_name, "logs-restricted", "collect-logs")
        request = cloud.hear(device.topic("logs/create"))
        cloud.accept(
            device.topic("logs/create"), request, uploads=cloud.upload_forms(device.thing_name, request["files"])
        )
        agent.await_event("job-ended", PATIENCE, jobId="logs-restricted", status="SUCCEEDED")

    assert [event for event in agent.events if event["event"] == "telemetry-accepted"] == []


def test_rejects_a_job_that_is_not_one_of_ours(cloud: Cloud, device: OnTheShelf) -> None:
    arn = cloud.iot.describe_thing(thingName=device.thing_name)["thingArn"]
    document = {"version": "1.0", "steps": [], "warden": {"operation": "format-disk", "jobId": "strange"}}
    cloud.iot.create_job(jobId="strange", targets=[arn], document=json.dumps(document))
    with device.switched_on() as agent:
        agent.await_event("job-ended", PATIENCE, jobId="strange", status="REJECTED")

    assert cloud.job(device.thing_name, "strange") == ("REJECTED", {"reason": "unknown operation 'format-disk'"})


def test_a_connection_that_somebody_takes_over_is_told_and_made_again(cloud: Cloud, device: OnTheShelf) -> None:
    with device.switched_on() as agent:
        agent.await_event("connected", PATIENCE)
        cloud.dial(device.thing_name, FileStore(device.made.state_dir).load().identity).close()
        lost = agent.await_event("connection-lost", PATIENCE)
        agent.await_event("connected", PATIENCE, after=agent.events.index(lost))

    assert "SESSION_TAKEN_OVER" in lost["reason"]


def test_a_broker_that_is_away_is_waited_for(cloud: Cloud, device: OnTheShelf) -> None:
    config = device.made.config_file.read_text()
    device.made.config_file.write_text(config.replace(f"port = {cloud.aws.mqtt_port}", "port = 1"))
    with device.switched_on() as agent:
        first = agent.await_event("connect-failed", PATIENCE)
        agent.await_event("connect-failed", PATIENCE, after=agent.events.index(first) + 1)

        assert agent.running
    assert agent.events[-1]["event"] == "stopped"


class TestDialling:
    """The one thing the rotation must be told truly: was it we who were refused, or was nobody there?"""

    def test_a_certificate_that_nobody_registered_is_refused(self, cloud: Cloud) -> None:
        with pytest.raises(ConnectError) as error:
            cloud.dial("pump-1", FakeAuthority().identity())

        assert error.value.reached

    def test_a_certificate_that_was_switched_off_is_refused(self, cloud: Cloud, device: OnTheShelf) -> None:
        cloud.switch_off(device.made.certificate_id)
        with device.switched_on() as agent:
            agent.await_event("connect-failed", PATIENCE)
        with pytest.raises(ConnectError) as error:
            cloud.dial(device.thing_name, FileStore(device.made.state_dir).load().identity)

        assert error.value.reached

    def test_another_things_certificate_is_refused(self, cloud: Cloud, device: OnTheShelf) -> None:
        FileStore(device.made.state_dir).enrol()
        with pytest.raises(ConnectError, match="NOT_AUTHORIZED") as error:
            cloud.dial("somebody-else", FileStore(device.made.state_dir).load().identity)

        assert error.value.reached

    @pytest.mark.parametrize(("endpoint", "port"), [("127.0.0.1", 1), ("nowhere.invalid", 8883)])
    def test_where_nobody_is_nobody_is_refused(self, cloud: Cloud, endpoint: str, port: int) -> None:
        with pytest.raises(ConnectError) as error:
            cloud.dial("pump-1", FakeAuthority().identity(), endpoint=endpoint, port=port)

        assert not error.value.reached

    def test_a_key_that_does_not_fit_is_an_error_like_any_other(self, cloud: Cloud) -> None:
        one, other = FakeAuthority().identity(), FakeAuthority().identity()
        with pytest.raises(ConnectError, match="TLS client could not be made"):
            cloud.dial("pump-1", Identity(one.certificate_pem, other.key_pem))

    def test_closing_twice_costs_nothing_and_what_comes_later_is_told(self, cloud: Cloud, device: OnTheShelf) -> None:
        FileStore(device.made.state_dir).enrol()
        session = cloud.dial(device.thing_name, FileStore(device.made.state_dir).load().identity)
        session.close()
        session.close()

        with pytest.raises(ConnectionLostError, match="closed"):
            session.publish("telemetry/pump-1", b"{}")
