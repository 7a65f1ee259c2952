"""What stands around the stack in an end-to-end test: detectors, operators, and devices that misbehave."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from local_fleet.aws import REGION, LocalAws
from local_fleet.enrol import Device
from tests.conftest import ROOT
from tests.waiting import PATIENCE, until
from warden_agent.config import AgentConfig
from warden_agent.connection import SdkDialer, SdkSession
from warden_agent.identity import identity_of
from warden_agent.storage import ENROLMENT_CERTIFICATE, ENROLMENT_KEY

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient


class Stack(Protocol):
    """Fleet Warden as deployed (the `stack` fixture)."""

    @property
    def aws(self) -> LocalAws: ...

    @property
    def outputs(self) -> Mapping[str, str]: ...


class Around:
    """Everything that is outside the stack, and what can be seen of it from there."""

    def __init__(self, stack: Stack) -> None:
        self.aws = stack.aws
        self.outputs = stack.outputs
        self.iot: IoTClient = stack.aws.session().client("iot")
        self._session = stack.aws.session()

    # --- detectors ---------------------------------------------------------------------------------------------

    def publish(self, message: str) -> None:
        """Publish on the alert topic, as Device Defender does."""
        self._session.client("sns").publish(TopicArn=self.outputs["AlertTopicArn"], Message=message)

    def violate(self, thing: str, violation: str, **changes: Any) -> dict[str, Any]:
        """Publish the main sample about a thing; return the message."""
        sample = json.loads((ROOT / "events" / "detect-violation-in-alarm.json").read_text())
        message: dict[str, Any] = json.loads(sample["Records"][0]["Sns"]["Message"])
        message |= {"thingName": thing, "violationId": violation, **changes}
        self.publish(json.dumps(message))
        return message

    # --- operators ---------------------------------------------------------------------------------------------

    def ask(self, **command: Any) -> dict[str, Any]:
        """Ask as the command line does: a signed POST to the function URL."""
        url = self.aws.function_url(self.outputs["OperateUrl"])
        body = json.dumps(command)
        request = AWSRequest("POST", url, data=body, headers={"content-type": "application/json"})
        credentials = self._session.get_credentials()
        assert credentials
        SigV4Auth(credentials, "lambda", REGION).add_auth(request)
        answer = requests.post(url, data=body, headers=dict(request.headers), timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def cases_of(self, thing: str) -> list[dict[str, Any]]:
        return list(self.ask(command="cases", thing=thing)["cases"])

    def case_in(self, thing: str, state: str) -> dict[str, Any]:
        """Wait until the thing's only case is in a state; return it."""

        def reached() -> dict[str, Any] | None:
            return next((case for case in self.cases_of(thing) if case["state"] == state), None)

        case = until(reached, PATIENCE, what=f"a case of {thing} that is {state}, not {self.cases_of(thing)}")
        assert case
        assert len(self.cases_of(thing)) == 1
        return case

    def timeline(self, case: str) -> list[dict[str, Any]]:
        return list(self.ask(command="show", case=case)["timeline"])

    # --- what there is -----------------------------------------------------------------------------------------

    def records(self, kind: str, **attributes: Any) -> list[dict[str, Any]]:
        """Read the ledger's records of a type that have these attributes."""
        table = self._session.resource("dynamodb").Table(self.outputs["LedgerTable"])
        rows: list[dict[str, Any]] = [dict(row) for row in table.scan()["Items"]]
        return [row for row in rows if row["type"] == kind and attributes.items() <= row.items()]

    def policies_of(self, certificate: str) -> list[str]:
        arn = f"arn:aws:iot:{REGION}:{self.aws.account_id}:cert/{certificate}"
        return sorted(policy["policyName"] for policy in self.iot.list_attached_policies(target=arn)["policies"])

    def groups_of(self, thing: str) -> list[str]:
        return [group["groupName"] for group in self.iot.list_thing_groups_for_thing(thingName=thing)["thingGroups"]]

    def certificates_of(self, thing: str) -> dict[str, str]:
        """Return the status of each certificate of a thing, by id."""
        principals = self.iot.list_thing_principals(thingName=thing)["principals"]
        return {each: self.status_of(each) for each in (principal.rpartition("/")[2] for principal in principals)}

    def status_of(self, certificate: str) -> str:
        return str(self.iot.describe_certificate(certificateId=certificate)["certificateDescription"]["status"])

    def object(self, key: str) -> bytes:
        body = self._session.client("s3").get_object(Bucket=self.outputs["EvidenceBucketName"], Key=key)["Body"]
        return body.read()

    def parked(self) -> int:
        """Count what could not be read, delivered or finished."""
        sqs = self._session.client("sqs")
        waiting = 0
        for url in ("ParkedQueueUrl", "ParkedCasesQueueUrl"):
            counts = sqs.get_queue_attributes(
                QueueUrl=self.outputs[url],
                AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
            )["Attributes"]
            waiting += sum(int(count) for count in counts.values())
        return waiting

    @contextmanager
    def impostor(self, device: Device) -> Iterator[Impostor]:
        """Connect with a device's own certificate after giving it a policy that lets it say anything."""
        document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
        name = f"anything-{device.certificate_id[:12]}"
        self.iot.create_policy(policyName=name, policyDocument=json.dumps(document))
        self.iot.attach_policy(policyName=name, target=device.certificate_arn)
        with closing(SdkDialer(_config(self.aws, device)).dial(_identity(device))) as session:
            yield Impostor(session)


class Impostor:
    """A device that asks for what is not its own."""

    def __init__(self, session: SdkSession) -> None:
        self._session = session

    def ask(self, topic: str, payload: object) -> tuple[str, dict[str, Any]]:
        """Publish on any device's topic, and hear the answer there; return accepted or rejected, and the answer."""
        self._session.subscribe([f"{topic}/accepted", f"{topic}/rejected"])
        self._session.publish(topic, payload if isinstance(payload, bytes) else json.dumps(payload).encode())
        message = self._session.receive(PATIENCE)
        assert message, f"no answer on {topic}"
        return message.topic.rpartition("/")[2], dict(json.loads(message.payload))


def _identity(device: Device) -> Any:
    key, certificate = (device.state_dir / name for name in (ENROLMENT_KEY, ENROLMENT_CERTIFICATE))
    return identity_of(certificate.read_text(), key.read_text())


def _config(aws: LocalAws, device: Device) -> AgentConfig:
    return AgentConfig(
        thing_name=device.thing_name,
        endpoint=aws.mqtt_host,
        port=aws.mqtt_port,
        ca_file=aws.ca_file,
        state_dir=Path(device.state_dir),
        telemetry_topic=f"telemetry/{device.thing_name}",
        telemetry_interval_seconds=60,
        keep_alive=60,
        retry_min_seconds=1,
        retry_max_seconds=1,
        max_log_bytes=1,
        logs={},
    )
