"""The cloud's side of the device contract, played on a real local AWS by the tests themselves.

It registers things and certificates with boto3 and answers devices over MQTT, as the service does, but only when a test
tells it to: so a test can let an answer wait, change it, or kill the device before it comes.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local_fleet.aws import LocalAws
from local_fleet.enrol import DEVICE_POLICY_NAME
from tests.conftest import ROOT
from tests.waiting import PATIENCE
from warden_agent.config import AgentConfig
from warden_agent.connection import SdkDialer, SdkSession
from warden_agent.identity import Identity, identity_of

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_s3 import S3Client

BUCKET = "evidence"
EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}


class Cloud:
    def __init__(self, aws: LocalAws, directory: Path) -> None:
        self.aws = aws
        self.iot: IoTClient = aws.session().client("iot")
        self.s3: S3Client = aws.session().client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self._policy("everything", json.dumps(EVERYTHING))
        self._policy("restricted", restricted_policy(aws))
        self._directory = directory
        self._session = self.dial("the-cloud", self._enrol("the-cloud", "everything"))
        self._session.subscribe(["warden/#", "telemetry/#"])
        self._heard: list[tuple[str, dict[str, Any]]] = []

    def close(self) -> None:
        self._session.close()

    def _enrol(self, thing_name: str, policy: str) -> Identity:
        self.iot.create_thing(thingName=thing_name)
        made = self.iot.create_keys_and_certificate(setAsActive=True)
        self._let_in(made["certificateArn"], thing_name, policy)
        return identity_of(made["certificatePem"], made["keyPair"]["PrivateKey"])

    def dial(self, thing_name: str, identity: Identity, **elsewhere: Any) -> SdkSession:
        """Connect as this thing, even if others do."""
        return SdkDialer(replace(self._config(thing_name), **elsewhere)).dial(identity)

    def certify(self, thing_name: str, csr: str, *, active: bool = True) -> tuple[str, str]:
        made = self.iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=active)
        self._let_in(made["certificateArn"], thing_name, DEVICE_POLICY_NAME)
        return made["certificateId"], made["certificatePem"]

    def switch_off(self, certificate_id: str) -> None:
        self.iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")

    def restrict(self, certificate_id: str) -> None:
        arn = self.iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]["certificateArn"]
        self.iot.attach_policy(policyName="restricted", target=arn)
        self.iot.detach_policy(policyName=DEVICE_POLICY_NAME, target=arn)

    def start_job(self, thing_name: str, job_id: str, operation: str, **more: str) -> None:
        arn = self.iot.describe_thing(thingName=thing_name)["thingArn"]
        document = {"version": "1.0", "warden": {"operation": operation, "jobId": job_id, **more}}
        self.iot.create_job(jobId=job_id, targets=[arn], document=json.dumps(document))

    def job(self, thing_name: str, job_id: str) -> tuple[str, dict[str, str]]:
        execution = self.iot.describe_job_execution(jobId=job_id, thingName=thing_name)["execution"]
        return execution["status"], execution.get("statusDetails", {}).get("detailsMap", {})

    def hear(self, topic: str) -> dict[str, Any]:
        """Return the next message on the topic, once it is there."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            for number, (heard_on, body) in enumerate(self._heard):
                if heard_on == topic:
                    del self._heard[number]
                    return body
            if (message := self._session.receive(1)) is not None:
                self._heard.append((message.topic, json.loads(message.payload)))
        raise AssertionError(f"nothing on {topic}")

    def accept(self, topic: str, request: Mapping[str, Any], **body: Any) -> None:
        self.say(f"{topic}/accepted", clientToken=request["clientToken"], **body)

    def reject(self, topic: str, request: Mapping[str, Any], code: str, message: str) -> None:
        self.say(f"{topic}/rejected", clientToken=request["clientToken"], code=code, message=message)

    def say(self, topic: str, **body: Any) -> None:
        self._session.publish(topic, json.dumps(body).encode())

    def upload_forms(self, thing_name: str, files: Sequence[Mapping[str, Any]], *, seconds: int = 60) -> list[Any]:
        return [
            {
                "name": file["name"],
                **self.s3.generate_presigned_post(
                    BUCKET,
                    f"{thing_name}/{file['name']}",
                    Conditions=[["content-length-range", file["bytes"], file["bytes"]]],
                    ExpiresIn=seconds,
                ),
            }
            for file in files
        ]

    def uploaded(self, thing_name: str, name: str) -> bytes:
        return self.s3.get_object(Bucket=BUCKET, Key=f"{thing_name}/{name}")["Body"].read()

    def _policy(self, name: str, document: str) -> None:
        self.iot.create_policy(policyName=name, policyDocument=document)

    def _let_in(self, certificate_arn: str, thing_name: str, policy: str) -> None:
        self.iot.attach_policy(policyName=policy, target=certificate_arn)
        self.iot.attach_thing_principal(thingName=thing_name, principal=certificate_arn)

    def _config(self, thing_name: str) -> AgentConfig:
        return AgentConfig(
            thing_name=thing_name,
            endpoint=self.aws.mqtt_host,
            port=self.aws.mqtt_port,
            ca_file=self.aws.ca_file,
            state_dir=self._directory,
            telemetry_topic=f"telemetry/{thing_name}",
            telemetry_interval_seconds=60,
            keep_alive=60,
            retry_min_seconds=1,
            retry_max_seconds=1,
            max_log_bytes=1,
            logs={},
        )


def restricted_policy(aws: LocalAws) -> str:
    """What a quarantine leaves: the device's policy without its telemetry."""
    template = (ROOT / "device" / "device-policy.json").read_text()
    document = json.loads(template.replace("${AWS::Region}", aws.region).replace("${AWS::AccountId}", aws.account_id))
    speak = next(statement for statement in document["Statement"] if statement["Sid"] == "Speak")
    speak["Resource"] = [resource for resource in speak["Resource"] if "topic/telemetry/" not in resource]
    return json.dumps(document)
