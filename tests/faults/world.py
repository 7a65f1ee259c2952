"""The world that a flow is played in: what delivers messages, the devices, the operator, CloudFormation, the clock.

Delivering is what AWS does: a failed message comes again after its queue's visibility timeout until it is parked; a
schedule's and CloudFormation's calls are made again twice; an operator whose command failed gives it again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import wraps
from hashlib import sha256
from typing import Any, cast

import boto3
from moto.backends import get_backend

from tests.aws_stand_in.rules import ACCOUNT, REGION
from tests.conftest import ROOT
from tests.fakes import LOG, OPERATOR, Crash, a_key, forwarded
from tests.faults.cloud import Snapshot
from tests.faults.environment import RESTRICTED, Ground
from tests.faults.queues import Message, functions_of_queues, name_of
from warden.core.account_facts import IotLogging

PREFIX = f"arn:aws:iot:{REGION}:{ACCOUNT}:"
THING, BYSTANDER = "pump-3", "pump-9"
_FUNCTIONS = {name_of(logical): folder for logical, folder in functions_of_queues().items()}
_INBOX, _REQUESTS = "InboxQueue", "DeviceRequestQueue"
_POLICY = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"iot:Connect","Resource":"*"}]}'
_SAMPLE_CERTIFICATE = "3c7d9f0a4b1e62858d0f7c2a91b6e4d3508f2c1a7be94d6603f5a8c2e719b4d0"
_ASYNCHRONOUS_TRIES = 3
_MOST_DELIVERIES = 500
_SAMPLES = {"update": "create"}
"""CloudFormation updates a resource with what it would create it with."""


@dataclass
class Enrolled:
    """How a device was before anything happened: what a release must bring back."""

    certificate: str
    policies: list[str]
    groups: list[str]


@dataclass
class DeviceState:
    """A device: the certificates whose keys it holds, those it has been seen using, and its next key."""

    thing: str
    held: list[str]
    used: list[str]
    next_key: int
    enrolled: Enrolled
    tokens: int = 0


@dataclass
class WorldState:
    """What the world remembers beside the cloud."""

    devices: dict[str, DeviceState] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    calls: int = 0
    runs: int = 0
    answers: list[dict[str, Any]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    strays: list[str] = field(default_factory=list)
    """Certificates of nobody that we know."""


@dataclass
class Activity:
    """What the world is in the middle of: what it was asked to do, and what came of each part of that so far."""

    asked: str
    ended: list[tuple[str, str]] = field(default_factory=list)


def activity[Play: Callable[..., Any]](play: Play) -> Play:
    """Put a part of the script on the trail while it is played, and what came of it once it has ended.

    What is left of a script depends on what the script was asked, on the answers it has had, and on the world; so a
    part that goes by anything else (a count, a list read at its beginning) takes it as an argument.
    """

    @wraps(play)
    def played(self: World | Device, *asked: Any, **named: Any) -> Any:
        under_way = Activity(f"{play.__qualname__} {self} {asked} {named}")
        self.trail.append(under_way)
        try:
            answer = play(self, *asked, **named)
        finally:
            self.trail.pop()
        if self.trail:
            self.trail[-1].ended.append((under_way.asked, repr(answer)))
        return answer

    return cast("Play", played)


class World:
    """Plays flows on the ground. `runner` runs the functions: in the place of `run`, the engine may know what comes.

    Everything it remembers is in its state and the cloud's, looked up again after each invocation: the engine may put
    another state in its place meanwhile.
    """

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.cloud = ground.cloud
        self.state = WorldState()
        self.runner: Callable[[str, Mapping[str, Any]], Any] = self.run
        self.trail: list[Activity] = []

    def __str__(self) -> str:
        return "the world"

    def place(self) -> object:
        """Return the world's position in the script."""
        return [(each.asked, each.ended) for each in self.trail]

    def begin(self, what: object) -> None:
        """Begin a step of the script: whatever comes of it begins with the world as it is now."""
        self.trail[:] = [Activity(repr(what))]

    @property
    def clock(self) -> Any:
        """The clock of everything here."""
        return self.cloud.state.clock

    # --- what AWS does -------------------------------------------------------------------------------------------

    def invoke(self, function: str, event: Mapping[str, Any]) -> Any:
        """Run a function once."""
        self.cloud.state.effects.clear()
        return self.runner(function, event)

    def run(self, function: str, event: Mapping[str, Any]) -> Any:
        """Run a function; a second delivery in between is the same event again."""
        self.state.runs += 1
        outer_run, outer_again = self.cloud.run, self.ground.wire.again
        self.cloud.run, self.ground.wire.again = f"{function}-{self.state.runs}", lambda: self.run(function, event)
        try:
            return self.ground.invoke(function, event)
        finally:
            self.cloud.run, self.ground.wire.again = outer_run, outer_again

    @activity
    def drain(self) -> None:
        """Deliver whatever waits, again and again where it fails, until nothing is left; time passes as it must.

        The number of deliveries is not on the trail: it only bounds the loop.
        """
        for _ in range(_MOST_DELIVERIES):
            if self._deliver_one():
                continue
            following = [moment for queue in self.cloud.state.queues.values() if (moment := queue.next_at())]
            if not following:
                return
            self.clock.time = max(self.clock.time, min(following))
        raise AssertionError(f"after {_MOST_DELIVERIES} deliveries there is still something to do")

    def _deliver_one(self) -> bool:
        for name, queue in self.cloud.state.queues.items():
            message = queue.receivable(self.clock())
            if message is None:
                continue
            self._hand_out(name, message)
            return True
        return False

    def deliver(self, name: str) -> None:
        """Deliver the next message of a queue, and nothing else."""
        message = self.cloud.state.queues[name].receivable(self.clock())
        assert message, f"nothing waits on {name}"
        self._hand_out(name, message)

    def _hand_out(self, name: str, message: Message) -> None:
        self.cloud.state.queues[name].take(message, self.clock())
        try:
            answer = self.invoke(_FUNCTIONS[name], _batch(message.id, message.body, message.group))
            why = self.ground.errors[-1] if answer["batchItemFailures"] else ""
        except (Exception, Crash) as error:  # noqa: BLE001 - a queue does not care what went wrong
            why = repr(error)
        self._delivered(name, message.id, why)

    def _delivered(self, name: str, message_id: str, why: str) -> None:
        queue = self.cloud.state.queues[name]
        message = next(each for each in queue.waiting if each.id == message_id)
        if why:
            queue.failed(message, why)
        else:
            queue.done(message)

    def advance(self, by: timedelta) -> None:
        """Let time pass."""
        self.clock.advance(by)

    @activity
    def sweep(self, after: timedelta = timedelta()) -> None:
        """Let time pass and the sweep run once: EventBridge asks Lambda, which tries twice more."""
        self.advance(after)
        self._asynchronously("sweep_cases", json.loads((ROOT / "events/sweep-cases.json").read_text()))
        self.drain()

    @activity
    def find_what_is_due(self) -> None:
        """Send the scheduled event of the sweep of certificates."""
        self._asynchronously("sweep_certificates", json.loads((ROOT / "events/sweep-certificates.json").read_text()))
        self.drain()

    @activity
    def _asynchronously(self, function: str, event: Mapping[str, Any]) -> None:
        if not any(self._succeeds(function, event, tried) for tried in range(_ASYNCHRONOUS_TRIES)):
            self.state.given_up.append(function)  # its failures and errors are alarmed

    @activity
    def _succeeds(self, function: str, event: Mapping[str, Any], tried: int) -> bool:
        try:
            self.invoke(function, event)
        except (Exception, Crash):  # noqa: BLE001 - Lambda does not care what went wrong
            self.advance(timedelta(minutes=1 + tried))  # longer before the second time, as Lambda does
            return False
        return True

    # --- where findings come from --------------------------------------------------------------------------------

    @activity
    def report(self, body: str) -> None:
        """Put a message from outside into the inbox, and have it dealt with."""
        self.state.sources.append(body)
        self.cloud.state.queues[_INBOX].send(body, self.clock())
        self.drain()

    @activity
    def replay(self) -> None:
        """Deliver every message from outside again, as SNS may for 23 days."""
        for body in self.state.sources:
            self.cloud.state.queues[_INBOX].send(body, self.clock())
        self.drain()

    # --- people --------------------------------------------------------------------------------------------------

    @activity
    def order(self, command: str, **arguments: str) -> None:
        """Send an operator's command, and run what follows from it."""
        self.command(command, **arguments)
        self.drain()

    @activity
    def command(self, command: str, **arguments: str) -> None:
        """Send an operator's command; one that failed is sent again, as another call."""
        body = json.dumps({"command": command, **arguments})
        any(self._answers(command, body, tried) for tried in range(_ASYNCHRONOUS_TRIES))

    @activity
    def _answers(self, command: str, body: str, _tried: int) -> bool:
        self.state.calls += 1
        identity = {"requestId": f"request-{self.state.calls}", "authorizer": {"iam": {"userArn": OPERATOR}}}
        try:
            answer = self.invoke("operate", {"requestContext": identity, "body": body})
        except (Exception, Crash):  # noqa: BLE001 - the operator sees an error and tries again
            self.advance(timedelta(minutes=1))
            return False
        self.state.answers.append({"command": command, **answer})
        return True

    @activity
    def deploy(self, request: str) -> None:
        """Set up the account as CloudFormation asks; a deployment that failed is made again."""
        event = json.loads((ROOT / f"events/set-up-account-{_SAMPLES.get(request, request)}.json").read_text())
        event["RequestType"] = request.capitalize()
        for _tried in range(_ASYNCHRONOUS_TRIES):
            self._asynchronously("set_up_account", event)
            if self.cloud.state.stack_answers[-1:] == ["SUCCESS"]:
                return

    # --- devices -------------------------------------------------------------------------------------------------

    def device(self, thing: str = THING) -> Device:
        """Return a simulated device."""
        return Device(self, thing)

    @activity
    def work(self) -> None:
        """Run the jobs that wait for each device."""
        for thing in list(self.state.devices):
            self.device(thing).work()
        self.drain()

    def snapshot(self) -> Snapshot:
        """Write down everything."""
        return self.cloud.snapshot(self.state)

    def restore(self, snapshot: Snapshot) -> None:
        """Make everything as it was."""
        (self.state,) = self.cloud.restore(snapshot)


def _batch(message_id: str, body: str, group: str) -> dict[str, Any]:
    return {
        "Records": [
            {
                "messageId": message_id,
                "receiptHandle": "handle",
                "body": body,
                "attributes": {"MessageGroupId": group},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
                "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:queue",
                "awsRegion": REGION,
            }
        ]
    }


class Device:
    """A well-behaved device, as the contract has it: asks again when no answer comes, and proves what it was given."""

    def __init__(self, world: World, thing: str) -> None:
        self._world = world
        self._thing = thing

    def __str__(self) -> str:
        return self._thing

    @property
    def trail(self) -> list[Activity]:
        """What the world is in the middle of."""
        return self._world.trail

    @property
    def _state(self) -> DeviceState:
        return self._world.state.devices[self._thing]

    def connect(self) -> None:
        """Open its session, which it can with any certificate that AWS IoT lets in."""
        self._world.cloud.state.sessions.add(self._state.thing)

    @activity
    def work(self) -> None:
        """Run every job that waits for it."""
        self.connect()
        self._run_all([job for job, thing in self._world.cloud.iot.job_executions if thing == self._thing])

    @activity
    def _run_all(self, jobs: list[str]) -> None:
        for job in jobs:
            if self._world.cloud.iot.job_executions[job, self._thing].status == "QUEUED":
                self.run(job)

    @activity
    def begin_rotation(self) -> str:
        """Take up the last job it was asked to run; there is none where the request was denied."""
        executions = reversed(self._world.cloud.iot.job_executions)
        job = next((job for job, thing in executions if thing == self._thing), "")
        if job:
            self._world.cloud.move(job, self._thing, "IN_PROGRESS")
        return str(job)

    @activity
    def run(self, job: str) -> None:
        """Run one job, and tell how it ended."""
        document = json.loads(self._world.cloud.iot.jobs[job].document)
        self._world.cloud.move(job, self._state.thing, "IN_PROGRESS")
        done = self.upload(job) if document["warden"]["operation"] == "collect-logs" else self.rotate()
        self._world.cloud.move(job, self._state.thing, "SUCCEEDED" if done else "FAILED")

    @activity
    def rotate(self) -> bool:
        """Take a new certificate, use it, and say so over it."""
        return self.create() and self.confirm()

    @activity
    def create(self) -> bool:
        """Ask for a certificate for its next key."""
        answer = self._ask("certificate/create", {"csr": a_key(self._state.next_key).csr}, self.certificate)
        if answer is None:
            return False
        if answer["certificateId"] not in self._state.held:
            self._state.held.append(answer["certificateId"])
        return True

    @activity
    def confirm(self) -> bool:
        """Confirm over the new certificate that it works."""
        new = self._state.held[-1]
        if not self.is_let_in(new):
            self._world.state.broken.append(f"{self._state.thing} was given {new[:12]}, which lets it in nowhere")
            return False
        self._state.used.append(new)
        if self._ask("certificate/confirm", {}, new) is None:
            return False
        self._state.next_key += 1
        return True

    @activity
    def upload(self, job: str) -> bool:
        """Announce its logs and send them."""
        file = {"name": "syslog", "bytes": len(LOG), "sha256": sha256(LOG).hexdigest()}
        answer = self._ask("logs/create", {"jobId": job, "files": [file]}, self.certificate)
        if answer is None:
            return False
        for form in answer["uploads"]:
            get_backend("s3")[ACCOUNT]["aws"].put_object("evidence", form["fields"]["key"], LOG)
        return True

    @property
    def certificate(self) -> str:
        """The certificate it connects with: the newest that lets it in."""
        return next((each for each in reversed(self._state.used) if self.is_let_in(each)), self._state.used[-1])

    def is_let_in(self, certificate: str) -> bool:
        """Check whether it can connect with a certificate."""
        known = self._world.cloud.iot.certificates.get(certificate)
        return known is not None and known.status == "ACTIVE"

    @activity
    def _ask(self, what: str, payload: Mapping[str, Any], over: str) -> dict[str, Any] | None:
        """Send a request, again when no answer comes; return the accepted answer's payload, None when refused.

        Its token tells the first time from the second: it is in the device's state.
        """
        for _asked in range(2):
            self._state.tokens += 1
            token = f"{self._state.thing}-{self._state.tokens}"
            body = json.dumps({"clientToken": token, **payload}).encode()
            message = forwarded(self._state.thing, what, over, body)
            self._world.cloud.state.queues[_REQUESTS].send(json.dumps(message), self._world.clock())
            self._world.drain()
            for topic, answer in self._world.cloud.state.replies:
                if answer["clientToken"] == token:
                    return answer if topic == f"warden/{self._state.thing}/{what}/accepted" else None
        return None


def furnish(world: World) -> None:
    """Make the stack's resources and two devices: one that things happen to, and one that nothing may happen to."""
    clients: Any = boto3.client
    clients("s3").create_bucket(Bucket="evidence")
    iot = clients("iot")
    for policy in (RESTRICTED, "pump-policy", "telemetry-policy", "pumps-policy"):
        iot.create_policy(policyName=policy, policyDocument=_POLICY)
    for group in (RESTRICTED, "pumps", "site-4"):
        iot.create_thing_group(thingGroupName=group)
    world.cloud.state.account.logging = IotLogging(level="ERROR", disabled=False)
    iot.attach_policy(policyName=RESTRICTED, target=f"{PREFIX}thinggroup/{RESTRICTED}")
    iot.attach_policy(policyName="pumps-policy", target=f"{PREFIX}thinggroup/pumps")
    for number, thing in ((100, THING), (200, BYSTANDER)):
        enrol(world, thing, number)
    world.cloud.state.reached.clear()


def enrol(world: World, thing: str, number: int) -> None:
    """Enrol a device, as every one is, whose first key has a number; the next keys have the next numbers."""
    iot: Any = boto3.client("iot")
    made = iot.register_certificate_without_ca(certificatePem=a_key(number).pem, status="ACTIVE")
    iot.create_thing(thingName=thing)
    policies, groups = ["pump-policy", "telemetry-policy"], ["pumps", "site-4"]
    for policy in policies:
        iot.attach_policy(policyName=policy, target=made["certificateArn"])
    iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
    for group in groups:
        iot.add_thing_to_thing_group(thingName=thing, thingGroupName=group)
    certificate = str(made["certificateId"])
    enrolled = Enrolled(certificate, policies, groups)
    world.state.devices[thing] = DeviceState(thing, [certificate], [certificate], number + 1, enrolled)
    world.device(thing).connect()


def sample(name: str, world: World) -> str:
    """Read a sample event as the inbox gets it, about the device that things happen to."""
    text = (ROOT / "events" / f"{name}.json").read_text().replace("000000000000", ACCOUNT)
    event = json.loads(text.replace(_SAMPLE_CERTIFICATE, world.state.devices[THING].enrolled.certificate))
    if "Records" in event:
        return json.dumps({"Type": "Notification", **event["Records"][0]["Sns"]})
    return json.dumps(event)
