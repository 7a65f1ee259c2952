"""The stage of the demo: the stack on the local AWS, five devices, two people, and taps on what the cloud hears."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local_fleet.aws import LocalAws
from local_fleet.enrol import AgentProcess, Device, enrol
from local_fleet.people import Person, new_person
from local_fleet.tap import Tap

SUSPECT = "pump-3"
OTHERS = ("pump-1", "pump-2", "pump-4", "plant1:pump-9")
FLEET = ("pump-1", "pump-2", SUSPECT, "pump-4", "plant1:pump-9")
GROUP = "pumps"


@dataclass(frozen=True, kw_only=True)
class Stage:
    """Everybody and everything that plays."""

    aws: LocalAws
    outputs: Mapping[str, str]
    fleet: Mapping[str, AgentProcess]
    operator: Person
    bystander: Person
    telemetry: Tap
    """What the broker let through of the devices' telemetry, as the fleet's own back end would hear it."""
    requests: Tap
    """Everything that devices and the service said to each other."""
    notices: Tap

    @property
    def suspect(self) -> AgentProcess:
        return self.fleet[SUSPECT]


@contextmanager
def on_stage(aws: LocalAws, outputs: Mapping[str, str], directory: Path) -> Iterator[Stage]:
    """Put everybody on the stage, the devices switched off, and see all of them off at the end."""
    with ExitStack() as leaving:
        telemetry = Tap(aws, "demo-telemetry").on_messages(
            "SELECT topic(2) AS thing, sequence AS sequence FROM 'telemetry/+'"
        )
        requests = Tap(aws, "demo-requests").on_messages(
            "SELECT topic() AS topic, encode(*, 'base64') AS payload FROM 'warden/#'"
        )
        notices = Tap(aws, "demo-notices").on_topic(outputs["NoticesTopicArn"])
        for tap in (telemetry, requests, notices):
            leaving.enter_context(tap)
        _group(aws)
        fleet = {thing: AgentProcess(aws, _device(aws, thing, directory)) for thing in FLEET}
        for agent in fleet.values():
            leaving.callback(agent.stop)
        yield Stage(
            aws=aws,
            outputs=outputs,
            fleet=fleet,
            operator=new_person(aws, "operator", outputs["OperateUrl"], [outputs["OperatorPolicyArn"]]),
            bystander=new_person(aws, "bystander", outputs["OperateUrl"]),
            telemetry=telemetry,
            requests=requests,
            notices=notices,
        )


def _group(aws: LocalAws) -> None:
    """Make a thing group with a policy of its own: one that a contained device has to leave, and gets back."""
    iot = aws.session().client("iot")
    iot.create_thing_group(thingGroupName=GROUP)
    allowed = {
        "Effect": "Allow",
        "Action": "iot:Publish",
        "Resource": f"arn:aws:iot:{aws.region}:{aws.account_id}:topic/telemetry/all",
    }
    iot.create_policy(policyName=GROUP, policyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))
    group = iot.describe_thing_group(thingGroupName=GROUP)["thingGroupArn"]
    iot.attach_policy(policyName=GROUP, target=group)


def _device(aws: LocalAws, thing: str, directory: Path) -> Device:
    logs = {"app.log": _app_log(thing), "network.log": _network_log(thing)}
    device = enrol(aws, thing, directory / thing.replace(":", "_"), logs=logs)
    aws.session().client("iot").add_thing_to_thing_group(thingGroupName=GROUP, thingName=thing)
    return device


def _app_log(thing: str) -> bytes:
    lines = (
        f"2026-11-22T09:{n // 60:02}:{n % 60:02}Z INFO {thing} pressure={402 + n % 7} kPa flow={n % 11}.{n % 9} l/s"
        for n in range(400)
    )
    return "\n".join([*lines, ""]).encode()


def _network_log(thing: str) -> bytes:
    lines = (
        f"2026-11-22T09:5{n // 60}:{n % 60:02}Z WARN {thing} 203.0.113.{n % 32}:4444 out={104857 + n * 37} bytes"
        for n in range(300)
    )
    return "\n".join([*lines, ""]).encode()
