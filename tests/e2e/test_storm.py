"""A storm through the deployed application: every device at once, each alarm three times, and messages nobody can read.

Small in every run; the big one, at night: WARDEN_NIGHTLY=1.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from local_fleet.aws import LocalAws
from local_fleet.deploy import deploy
from local_fleet.enrol import DEVICE_POLICY_NAME, enrol
from local_fleet.observe import mailbox
from tests.conftest import ROOT
from tests.e2e.rogue_clients import certificate_arn
from tests.waiting import until
from warden_agent.identity import KeyAlgorithm, new_key, signing_request

PATIENCE = 1500.0
POISON = '{"schema": 1, "type": "finding", "finding":'


@dataclass(frozen=True)
class Size:
    """How many devices are in alarm, and how many of them the plan lets be touched within the hour."""

    devices: int
    limit: int


SIZE = Size(1000, 600) if os.environ.get("WARDEN_NIGHTLY") == "1" else Size(100, 60)
POLLERS = 3
NOTICES_OF_A_STATE = 20
"""After these, people get a digest (decision 13); of what the limit holds, they get one."""


@dataclass(frozen=True, eq=False)
class Storm:
    """A local AWS with nothing on it but the application, whose plan has the storm's limit."""

    aws: LocalAws
    outputs: Mapping[str, str]
    certificates: Mapping[str, str]
    notices: str

    @cache  # noqa: B019 - as long as the storm; to make a client takes longer than most calls
    def client(self, name: Any) -> Any:
        return self.aws.session().client(name)

    def records(self, kind: str) -> list[dict[str, Any]]:
        """Read all the ledger's records of a type."""
        table = self.aws.session().resource("dynamodb").Table(self.outputs["LedgerTable"])
        page: dict[str, Any] = {}
        rows: list[dict[str, Any]] = []
        while not rows or "LastEvaluatedKey" in page:
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]} if page else {}
            page = dict(table.scan(**start))
            rows += page["Items"]
        return [row for row in rows if row["type"] == kind]

    def waiting_in(self, url: str) -> int:
        """Count what is in a queue or in somebody's hands."""
        found = self.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(found[f"ApproximateNumberOfMessages{which}"]) for which in ("", "NotVisible", "Delayed"))

    def is_over(self) -> bool:
        """Check whether all queues are empty, in the order in which messages pass through them."""
        queues = (self.outputs["InboxQueueUrl"], self.outputs["CaseQueueUrl"])
        return not any(self.waiting_in(url) for url in queues)

    def left_over(self) -> dict[str, int]:
        """Count the messages in every queue that is not empty, except the notices."""
        urls = [url for url in self.client("sqs").list_queues()["QueueUrls"] if url != self.notices]
        return {url: count for url in urls if (count := self.waiting_in(url))}

    def read(self, url: str) -> list[str]:
        """Take everything out of a queue."""
        sqs, bodies = self.client("sqs"), []
        while got := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            for message in got:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                bodies.append(message["Body"])
        return bodies


@pytest.fixture(scope="module")
def storm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Storm]:
    folder = tmp_path_factory.mktemp("storm")
    with LocalAws() as aws:
        outputs = deploy(aws, directory=application_with_limit(folder / "application", SIZE.limit))
        poll_with(aws, POLLERS)
        enrol(aws, "storm:bystander", folder / "bystander")  # makes the devices' policy too
        names = [f"storm:{number:04d}" for number in range(SIZE.devices)]
        yield Storm(aws, outputs, registered(aws, names), mailbox(aws, outputs["NoticesTopicArn"]))


def application_with_limit(folder: Path, limit: int) -> Path:
    """Write the application as it is, with other limits in its plan."""
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, folder)
    plan = folder / "layers" / "plan" / "python" / "warden_plan" / "response-plan.toml"
    text, changed = re.subn(r"(?m)^devices_per_hour = \d+", f"devices_per_hour = {limit}", plan.read_text(), count=1)
    text, also = re.subn(r"(?m)^percent_of_fleet_per_day = \d+", "percent_of_fleet_per_day = 100", text)
    assert (changed, also) == (1, 1)
    plan.write_text(text)
    return folder


def poll_with(aws: LocalAws, pollers: int) -> None:
    """Run fewer functions at once than the template allows: here each is a process with its layers unpacked."""
    functions = aws.session().client("lambda")
    for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
        functions.update_event_source_mapping(UUID=mapping["UUID"], ScalingConfig={"MaximumConcurrency": pollers})


def registered(aws: LocalAws, names: list[str]) -> dict[str, str]:
    """Register things, each with an active certificate of its own; return the certificates. They have one key."""
    csr, iot = signing_request(new_key(KeyAlgorithm.EC_P256), "storm"), aws.session().client("iot")

    def register(name: str) -> str:
        made = iot.create_certificate_from_csr(certificateSigningRequest=csr, setAsActive=True)
        iot.create_thing(thingName=name)
        iot.attach_policy(policyName=DEVICE_POLICY_NAME, target=made["certificateArn"])
        iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        return made["certificateId"]

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(names, pool.map(register, names), strict=True))


def alarms(things: list[str]) -> list[str]:
    """Write three messages for each device, in any order: an alarm, its exact copy, and the same alarm restated."""
    sample = json.loads((ROOT / "events" / "detect-violation-in-alarm.json").read_text())
    alarm = json.loads(sample["Records"][0]["Sns"]["Message"])
    messages = []
    for thing in things:
        said = alarm | {"thingName": thing, "violationId": f"violation-of-{thing}"}
        later = said | {"violationEventTime": said["violationEventTime"] + 1000, "metricValue": {"count": 1}}
        messages += [json.dumps(said), json.dumps(said), json.dumps(later)]
    random.Random(7).shuffle(messages)  # noqa: S311 - a fixed order, not a secret
    return messages


def publish(storm: Storm, messages: list[str]) -> None:
    """Publish as Device Defender does, ten at a time."""
    sns = storm.client("sns")

    def send(number: int) -> None:
        entries = [{"Id": str(at), "Message": text} for at, text in enumerate(messages[number : number + 10])]
        answer = sns.publish_batch(TopicArn=storm.outputs["AlertTopicArn"], PublishBatchRequestEntries=entries)
        assert not answer.get("Failed")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(send, range(0, len(messages), 10)))


def poison(storm: Storm, thing: str) -> None:
    """Put what cannot be read before everything else of a device, and see that it was tried."""
    sqs, queue = storm.client("sqs"), storm.outputs["CaseQueueUrl"]
    # In minutes it is tried again, five times; here in seconds.
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "2"})
    group = sha256(thing.encode()).hexdigest()
    sqs.send_message(QueueUrl=queue, MessageBody=POISON, MessageGroupId=group, MessageDeduplicationId="poison")

    def tried() -> bool:
        attributes = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
        return bool(attributes["ApproximateNumberOfMessagesNotVisible"] == "1")

    until(tried, what="the poisoned message is tried")


@pytest.mark.timeout(1800)
def test_nothing_is_lost_and_nothing_done_twice(storm: Storm, capsys: pytest.CaptureFixture[str]) -> None:
    things = sorted(storm.certificates)
    poison(storm, things[0])
    messages = [*alarms(things), "nobody can read this"]

    began = time.monotonic()
    publish(storm, messages)
    published = time.monotonic() - began
    until(storm.is_over, PATIENCE, what="everything is worked off")
    took = time.monotonic() - began
    with capsys.disabled():
        print(  # noqa: T201 - how fast it was is worth a line
            f"\n[storm: {len(messages)} messages about {len(things)} devices published in {published:.1f} s, all worked"
            f" off after {took:.1f} s ({len(messages) / took:.0f} messages/s); {SIZE.limit} may be touched]"
        )

    until(lambda: len(storm.left_over()) == 1, what=f"one queue has something left: {storm.left_over()}")
    everything_is_in_one_place(storm, things)
    contained = the_limit_is_kept(storm, things)
    nothing_was_done_twice(storm, contained)
    nobody_else_was_touched(storm, things, contained)
    people_were_told_once(storm, things)


def everything_is_in_one_place(storm: Storm, things: list[str]) -> None:
    """Hold that each device has one case, in a state to rest in; and that what nobody can read cost only itself."""
    cases = storm.records("case")
    assert sorted(case["case_thing"] for case in cases) == things
    assert all(case["findings"] == {f"violation-of-{case['case_thing']}": True} for case in cases)
    assert Counter(case["case_state"] for case in cases) == {
        "contained": SIZE.limit,
        "held": SIZE.devices - SIZE.limit,
    }
    assert storm.read(storm.outputs["ParkedCasesQueueUrl"]) == [POISON]
    [refusal] = storm.records("refusal")
    assert refusal["code"] == "not-json"


def the_limit_is_kept(storm: Storm, things: list[str]) -> set[str]:
    """Hold that as many devices as the plan allows are in the restricted group, and counted; return them."""
    pages = storm.client("iot").get_paginator("list_things_in_thing_group")
    group = storm.outputs["RestrictedGroupName"]
    contained = [thing for page in pages.paginate(thingGroupName=group) for thing in page["things"]]
    assert sorted(contained) == sorted(
        case["case_thing"] for case in storm.records("case") if case["case_state"] == "contained"
    )
    assert len(contained) == SIZE.limit
    counted = {row["window"]: sum(row["counts"].values()) for row in storm.records("counter")}
    assert counted == {"all#hour": SIZE.limit, "all#day": SIZE.limit}
    assert set(contained) <= set(things)
    return set(contained)


def nothing_was_done_twice(storm: Storm, contained: set[str]) -> None:
    """Hold that each contained device has one job, and no step of any case was taken a second time."""
    pages = storm.client("iot").get_paginator("list_jobs").paginate()
    jobs = [job["jobId"] for page in pages for job in page["jobs"]]
    recorded = storm.records("job")
    assert Counter(job["thing"] for job in recorded) == dict.fromkeys(contained, 1)
    assert sorted(jobs) == sorted(job["job_id"] for job in recorded)
    taken = Counter((step["pk"], step["kind"], step["facts"].get("action")) for step in storm.records("step"))
    assert set(taken.values()) == {1}
    assert Counter(step[1:] for step in taken)["action-done", "quarantine"] == SIZE.limit


def nobody_else_was_touched(storm: Storm, things: list[str], contained: set[str]) -> None:
    """Hold that a contained device has the restricted policy alone, and every other what it had."""
    iot = storm.client("iot")

    def policies(thing: str) -> list[str]:
        target = certificate_arn(storm.certificates[thing])
        attached = iot.list_attached_policies(target=target)["policies"]
        return [policy["policyName"] for policy in attached]

    with ThreadPoolExecutor(4) as pool:
        found = dict(zip(things, pool.map(policies, things), strict=True))
    restricted = storm.outputs["RestrictedPolicyName"]
    assert found == {thing: [restricted if thing in contained else DEVICE_POLICY_NAME] for thing in things}
    assert iot.list_thing_groups_for_thing(thingName="storm:bystander")["thingGroups"] == []


def people_were_told_once(storm: Storm, things: list[str]) -> None:
    """Hold that nobody gets more than can be read: the first ones, one for all that is held, and digests to come."""
    notices = Counter(json.loads(body)["Subject"] for body in storm.read(storm.notices))
    assert set(notices.values()) == {1}
    headlines = Counter(subject.split(": ")[1] for subject in notices)
    assert headlines == {"contained": NOTICES_OF_A_STATE, "NOT TOUCHED, decide": 1}
    digests = {row["state"] for row in storm.records("digest") if "due_at" in row}
    assert digests == {"contained", "held"}
    told = Counter(step["kind"] for step in storm.records("step"))
    assert told["notified"] + told["left-for-a-digest"] == len(things)
