"""Rogue clients on the broker, with any certificate, client id and topic, and what they can see of a victim."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from local_fleet.aws import REGION, LocalAws
from local_fleet.enrol import DEVICE_POLICY_NAME, Device
from tests.e2e.stack_driver import Around
from tests.waiting import PATIENCE
from warden_agent.config import AgentConfig
from warden_agent.connection import SdkDialer, SdkSession
from warden_agent.identity import Identity, KeyAlgorithm, identity_of, new_key, signing_request
from warden_agent.ports import ConnectionLostError, NotAuthorizedError
from warden_agent.storage import ENROLMENT_CERTIFICATE, ENROLMENT_KEY

_tokens = (f"t-{number}" for number in itertools.count(1))


@dataclass(frozen=True)
class Answer:
    """What came back on `.../accepted` or `.../rejected`."""

    verdict: str
    body: Mapping[str, Any]

    @property
    def code(self) -> str:
        """The code of a refusal; empty when it was accepted."""
        return str(self.body["code"]) if self.verdict == "rejected" else ""


class Speaker:
    """One session on the broker."""

    def __init__(self, session: SdkSession) -> None:
        self._session = session

    def listen(self, topic: str) -> None:
        """Subscribe to a topic or a filter."""
        self._session.subscribe([topic])

    def say(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish without waiting for an answer."""
        self._session.publish(topic, json.dumps(payload).encode())

    def hear(self, topic: str) -> dict[str, Any]:
        """Wait for the next message on a topic."""
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            message = self._session.receive(left)
            if message is not None and message.topic == topic:
                return dict(json.loads(message.payload))
        raise TimeoutError(f"nothing on {topic} within {PATIENCE:g} s")

    def ask(self, topic: str, **payload: Any) -> Answer:
        """Ask on any device's topic, and hear the answer to this very question there."""
        token = next(_tokens)
        for verdict in ("accepted", "rejected"):
            self.listen(f"{topic}/{verdict}")
        self.say(topic, {"clientToken": token, **payload})
        deadline = time.monotonic() + PATIENCE
        while (left := deadline - time.monotonic()) > 0:
            message = self._session.receive(left)
            if message is None or not message.topic.startswith(f"{topic}/"):
                continue
            body = json.loads(message.payload)
            if body.get("clientToken") == token:
                return Answer(message.topic.rpartition("/")[2], body)
        raise TimeoutError(f"no answer on {topic} within {PATIENCE:g} s")


def broker_refuses(speaker: Speaker, topic: str, **payload: Any) -> bool:
    """Check whether the broker refuses a publication, by its acknowledgement or by ending the session."""
    try:
        speaker.say(topic, {"clientToken": next(_tokens), **payload})
    except (NotAuthorizedError, ConnectionLostError) as error:
        return "Not authorized" in str(error) or "NOT_AUTHORIZED" in str(error)
    return False


def broker_keeps_from_listening(speaker: Speaker, topic: str) -> bool:
    """Check whether the broker refuses a subscription."""
    try:
        speaker.listen(topic)
    except (NotAuthorizedError, ConnectionLostError) as error:
        return "was refused" in str(error) or "NOT_AUTHORIZED" in str(error)
    return False


def enrolled_identity(device: Device) -> Identity:
    """The certificate and key that a device was enrolled with."""
    key, certificate = (device.state_dir / name for name in (ENROLMENT_KEY, ENROLMENT_CERTIFICATE))
    return identity_of(certificate.read_text(), key.read_text())


@contextmanager
def speaking(aws: LocalAws, identity: Identity, client: str) -> Iterator[Speaker]:
    """Connect over mutual TLS with a certificate, under any client id.

    Raises:
        ConnectError: when the broker refuses.
    """
    config = AgentConfig(
        thing_name=client,
        endpoint=aws.mqtt_host,
        port=aws.mqtt_port,
        ca_file=aws.ca_file,
        state_dir=Path(),
        telemetry_topic=f"telemetry/{client}",
        telemetry_interval_seconds=60,
        keep_alive=60,
        retry_min_seconds=1,
        retry_max_seconds=1,
        max_log_bytes=1,
        logs={},
    )
    with closing(SdkDialer(config).dial(identity)) as session:
        yield Speaker(session)


def let(around: Around, certificate: str, *, name: str, resources: Mapping[str, str]) -> None:
    """Replace a certificate's policies with one that allows each action on its resource, as careless fleets do."""
    arn = certificate_arn(certificate)
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": f"arn:aws:iot:{REGION}:{around.aws.account_id}:{resource}"}
        for action, resource in resources.items()
    ]
    around.iot.create_policy(
        policyName=name, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements})
    )
    around.iot.attach_policy(policyName=name, target=arn)
    around.iot.detach_policy(policyName=DEVICE_POLICY_NAME, target=arn)


def certificate_arn(certificate: str) -> str:
    """The ARN of a certificate of this account."""
    return f"arn:aws:iot:{REGION}:{LocalAws.account_id}:cert/{certificate}"


def fresh_request(thing: str) -> tuple[str, str]:
    """Make a key and a signing request for it; return both as PEM."""
    key = new_key(KeyAlgorithm.EC_P256)
    return key, signing_request(key, thing)


def what_it_has(around: Around, thing: str) -> dict[str, Any]:
    """Everything an impostor could be after: certificates, policies, groups, jobs, the cases, and what we keep of them.

    Complaints are left out: a refusal is to be noted.
    """
    jobs = around.iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"]
    return {
        "certificates": around.certificates_of(thing),
        "policies": {each: around.policies_of(each) for each in around.certificates_of(thing)},
        "groups": sorted(around.groups_of(thing)),
        "jobs": {job["jobId"]: job["jobExecutionSummary"]["status"] for job in jobs},
        "cases": around.cases_of(thing),
        "rotation": around.records("rotation", thing=thing),
        "uploads": {row["job_id"]: row["uploads"] for row in around.records("job", thing=thing)},
        "evidence": [evidence_of(around, case["id"]) for case in around.cases_of(thing)],
    }


def evidence_of(around: Around, case: str) -> list[tuple[str, str]]:
    """List what is in the bucket for a case: key and ETag."""
    s3 = around.aws.session().client("s3")
    listed = s3.list_objects_v2(Bucket=around.outputs["EvidenceBucketName"], Prefix=f"cases/{case}/")
    return [(each["Key"], each["ETag"]) for each in listed.get("Contents", [])]


def upload(form: Mapping[str, Any], content: bytes, **fields: str) -> requests.Response:
    """Post a file with an upload form, some of its fields exchanged."""
    data = {**form["fields"], **fields}
    return requests.post(form["url"], data=list(data.items()), files={"file": ("log", content)}, timeout=PATIENCE)
