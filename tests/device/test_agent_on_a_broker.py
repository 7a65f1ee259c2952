"""The agent as a real process against a real broker: what no fake can promise."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from local_fleet.aws import LocalAws
from tests.device.agent_process import AgentProcess
from tests.device.cloud import Cloud
from warden_agent.identity import Identity
from warden_agent.storage import FileStore

pytestmark = pytest.mark.e2e

NO_NEW_KEYS = "the only private key on the device is the one in use"


@pytest.fixture(name="cloud", scope="module")
def _cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with LocalAws(bridged=False) as aws:
        cloud = Cloud(aws, tmp_path_factory.mktemp("cloud"))
        yield cloud
        cloud.close()


class Device:
    """A device on a shelf: its files, ready to be switched on."""

    def __init__(self, cloud: Cloud, folder: Path, thing_name: str) -> None:
        self.thing_name = thing_name
        self.state = folder / "state"
        self.state.mkdir()
        self.first = cloud.enrol(thing_name)
        (self.state / "certificate.pem").write_text(self.first.certificate_pem)
        (self.state / "private.key").write_text(self.first.key_pem)
        (folder / "app.log").write_bytes(b"2026-11-22 pump started\n" * 100)
        self.config_file = folder / "agent.toml"
        self.config_file.write_text(
            f'thing_name = "{thing_name}"\nendpoint = "{cloud.aws.mqtt_host}"\nport = {cloud.aws.mqtt_port}\n'
            f'ca_file = "{cloud.aws.ca_file}"\nstate_dir = "state"\ntelemetry_interval_seconds = 0.3\nkeep_alive = 30\n'
            "retry_min_seconds = 0.1\nretry_max_seconds = 0.4\n"
            '[logs]\napp = "app.log"\ngone = "gone.log"\n'
        )

    @property
    def log(self) -> bytes:
        return (self.config_file.parent / "app.log").read_bytes()

    @property
    def identity(self) -> Identity:
        return FileStore(self.state).load().identity

    def topic(self, rest: str) -> str:
        return f"warden/{self.thing_name}/{rest}"

    def switched_on(self) -> AgentProcess:
        return AgentProcess(self.config_file)


@pytest.fixture(name="device")
def _device(cloud: Cloud, tmp_path: Path, request: pytest.FixtureRequest) -> Device:
    # The colon is legal in a thing name, and what careless topic and path handling trips over.
    return Device(cloud, tmp_path, "plant1:" + re.sub("[^a-zA-Z0-9_-]", "-", request.node.name)[:80])


def test_connects_under_the_certificate_id_that_aws_gave_and_publishes_telemetry(cloud: Cloud, device: Device) -> None:
    with device.switched_on() as agent:
        agent.wait_for("connected", certificateId=device.first.certificate_id)
        agent.wait_for("telemetry-accepted", sequence=2)
        heard = cloud.hear(f"telemetry/{device.thing_name}")
        code = agent.terminate()

    assert cloud.iot.describe_certificate(certificateId=device.first.certificate_id)
    assert heard["sequence"] == 1
    assert (code, agent.events[-1]["event"]) == (0, "stopped")
    assert sorted(path.name for path in device.state.iterdir()) == ["state.json"]


def test_uploads_the_logs_it_may_and_names_those_it_could_not(cloud: Cloud, device: Device) -> None:
    cloud.start_job(device.thing_name, "logs-1", "collect-logs")
    with device.switched_on() as agent:
        request = cloud.hear(device.topic("logs/create"))
        cloud.accept(
            device.topic("logs/create"), request, uploads=cloud.upload_forms(device.thing_name, request["files"])
        )
        agent.wait_for("log-uploaded", label="app")
        agent.wait_for("job-ended", jobId="logs-1", status="SUCCEEDED")

    status, details = cloud.job(device.thing_name, "logs-1")
    assert cloud.uploaded(device.thing_name, "app") == device.log
    assert (status, details) == ("SUCCEEDED", {"uploaded": "1", "bytes": str(len(device.log)), "missing": "gone"})


@pytest.mark.parametrize("algorithm", ["EC_P256", "RSA_2048"])
def test_rotates_through_a_power_cut_and_ends_with_the_new_certificate_alone(
    cloud: Cloud, device: Device, algorithm: str
) -> None:
    create, confirm = device.topic("certificate/create"), device.topic("certificate/confirm")
    job_id = f"rotate-{algorithm}"
    with device.switched_on() as agent:
        agent.wait_for("connected")
        cloud.start_job(device.thing_name, job_id, "rotate-certificate", keyAlgorithm=algorithm)
        request = cloud.hear(create)
        agent.kill()

    with device.switched_on() as agent:
        again = cloud.hear(create)
        assert again == request, "asking again must be the same request"
        new_id, pem = cloud.certify(device.thing_name, again["csr"])
        cloud.accept(create, again, certificateId=new_id, certificatePem=pem)
        agent.wait_for("connected", certificateId=new_id)
        first_confirm = cloud.hear(confirm)
        agent.kill()

    with device.switched_on() as agent:
        agent.wait_for("connected", certificateId=new_id)
        assert cloud.hear(confirm) == first_confirm
        cloud.accept(confirm, first_confirm)
        agent.wait_for("old-key-destroyed", certificateId=device.first.certificate_id)
        agent.wait_for("job-ended", jobId=job_id, status="SUCCEEDED")
        cloud.switch_off(device.first.certificate_id)
        agent.kill()

    with device.switched_on() as agent:
        agent.wait_for("connected", certificateId=new_id)
        agent.wait_for("telemetry-accepted")

    assert cloud.job(device.thing_name, job_id)[0] == "SUCCEEDED"
    assert device.identity.certificate_id == new_id
    assert (device.state / "state.json").read_text().count("PRIVATE KEY-----\\n") == 2, NO_NEW_KEYS  # BEGIN and END


def test_goes_back_to_the_old_certificate_when_the_new_one_is_refused(cloud: Cloud, device: Device) -> None:
    create = device.topic("certificate/create")
    cloud.start_job(device.thing_name, "rotate-refused", "rotate-certificate")
    with device.switched_on() as agent:
        request = cloud.hear(create)
        new_id, pem = cloud.certify(device.thing_name, request["csr"], active=False)
        cloud.accept(create, request, certificateId=new_id, certificatePem=pem)
        agent.wait_for("connect-failed", certificateId=new_id)
        agent.wait_for("job-ended", jobId="rotate-refused", status="FAILED")

    status, details = cloud.job(device.thing_name, "rotate-refused")
    assert status == "FAILED"
    assert "cannot connect" in details["reason"]
    assert device.identity == device.first


def test_a_restricted_device_reports_its_refused_telemetry_and_still_runs_jobs(cloud: Cloud, device: Device) -> None:
    cloud.restrict(device.first.certificate_id)
    with device.switched_on() as agent:
        agent.wait_for("telemetry-refused")
        cloud.start_job(device.thing_name, "logs-restricted", "collect-logs")
        request = cloud.hear(device.topic("logs/create"))
        cloud.accept(
            device.topic("logs/create"), request, uploads=cloud.upload_forms(device.thing_name, request["files"])
        )
        agent.wait_for("job-ended", jobId="logs-restricted", status="SUCCEEDED")

    assert agent.count("telemetry-accepted") == 0


def test_rejects_a_job_that_is_not_one_of_ours(cloud: Cloud, device: Device) -> None:
    arn = cloud.iot.describe_thing(thingName=device.thing_name)["thingArn"]
    document = {"version": "1.0", "steps": [], "warden": {"operation": "format-disk", "jobId": "strange"}}
    cloud.iot.create_job(jobId="strange", targets=[arn], document=json.dumps(document))
    with device.switched_on() as agent:
        agent.wait_for("job-ended", jobId="strange", status="REJECTED")

    assert cloud.job(device.thing_name, "strange") == ("REJECTED", {"reason": "unknown operation 'format-disk'"})
