"""The demo's scenes: each does one thing to the fleet, then checks the effect."""

import contextlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from local_fleet import observe
from local_fleet.aws import LocalAws
from local_fleet.deploy import ROOT
from local_fleet.enrol import AgentProcess, enrol
from local_fleet.narrator import Lane, NotSeen, Story

SUSPECT = "pump-3"
FLEET = ("pump-1", "pump-2", SUSPECT, "pump-4", "plant1:pump-9")
ALERT = ROOT / "events" / "detect-violation-in-alarm.json"
EXPIRING = ROOT / "events" / "audit-finding-certificate.json"
EXPIRES = "plant1:pump-9"
SCHEDULE = ROOT / "events" / "sweep-certificates.json"
_LOG = b"".join(
    b"2026-11-23T03:%02d:00Z pump: sent %d bytes to 198.51.100.23\n" % (minute, minute * 7919) for minute in range(60)
)


@dataclass
class Stage:
    """The fleet, the stack and the people of the demo."""

    aws: LocalAws
    outputs: Mapping[str, str]
    story: Story
    agents: dict[str, AgentProcess] = field(default_factory=dict)
    operator: dict[str, str] = field(default_factory=dict)
    mailbox: str = ""
    case_id: str = ""

    @property
    def url(self) -> str:
        """The URL that the warden command calls."""
        return self.aws.function_url(self.outputs["OperateUrl"])

    @property
    def suspect(self) -> AgentProcess:
        """The device that is contained."""
        return self.agents[SUSPECT]

    @classmethod
    @contextlib.contextmanager
    def set(cls, aws: LocalAws, outputs: Mapping[str, str], folder: Path, story: Story) -> Iterator[Self]:
        """Set up the fleet's folders, an operator and a mailbox. Stop every agent at the end."""
        stage = cls(aws, outputs, story)
        stage.operator = observe.user(aws, "operator", outputs["OperatorPolicyArn"])
        stage.mailbox = observe.mailbox(aws, outputs["NoticesTopicArn"])
        try:
            for name in FLEET:
                settings = {"telemetry_topic": f"telemetry/{name}"}
                device = enrol(aws, name, folder / name.replace(":", "_"), logs={"pump.log": _LOG}, settings=settings)
                stage.agents[name] = AgentProcess(aws, device)
                stage.agents[name].start()
            yield stage
        finally:
            for agent in stage.agents.values():
                agent.stop()

    def warden(self, *arguments: str, who: Mapping[str, str] | None = None) -> tuple[int, str]:
        """Run the operator's command; return its exit code and its output."""
        environment = {**self.aws.environment(), **(who or self.operator), "WARDEN_URL": self.url}
        environment["PYTHONPATH"] = os.pathsep.join(
            str(ROOT / each) for each in ("cli", "layers/warden", "layers/plan/python")
        )
        ended = subprocess.run(  # noqa: S603 # nosec B603 # our own module, our own arguments
            [sys.executable, "-m", "warden_cli", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        return ended.returncode, ended.stdout or ended.stderr

    def case(self) -> dict[str, Any]:
        """Read the case as the operator does."""
        code, said = self.warden("show", self.case_id, "--json")
        if code:
            raise NotSeen(f"`warden show {self.case_id}` ended with {code}: {said}")
        return dict(json.loads(said))


def play(stage: Stage) -> None:
    """Play all scenes, in order."""
    telemetry_flows(stage)
    before = observe.fleet(stage.aws, FLEET)
    contained(stage)
    logs_collected(stage)
    told(stage)
    same_again(stage)
    released(stage)
    rekeyed(stage, before)
    others_untouched(stage, before)
    renewed(stage)


def telemetry_flows(stage: Stage) -> None:
    """Five devices connect and send telemetry."""
    story = stage.story
    for agent in stage.agents.values():
        agent.await_event("connected", story.patience)
        agent.await_event("telemetry-accepted", story.patience)
    story.tell(Lane.DEVICE, f"{', '.join(FLEET)} connected over mutual TLS")
    story.prove("telemetry flows from all five", "the broker acknowledged each")


def contained(stage: Stage) -> None:
    """The suspect violates its security profile and is contained."""
    story, suspect = stage.story, stage.suspect
    story.chapter(f"{SUSPECT} violates its security profile")
    heard = len(suspect.events)
    message = json.loads(ALERT.read_text())["Records"][0]["Sns"]["Message"]
    published = datetime.now(UTC)
    observe.publish(stage.aws, stage.outputs["AlertTopicArn"], message)
    story.tell(
        Lane.DETECTOR,
        "Device Defender: aws:all-bytes-out of pump-3 is in alarm (events/detect-violation-in-alarm.json)",
    )
    refused = _await(stage, "telemetry-refused", heard, f"{SUSPECT}'s telemetry is refused")
    took = (datetime.fromisoformat(refused["at"]) - published).total_seconds()
    story.tell(Lane.BROKER, str(refused["reason"]))
    stage.case_id = story.until(
        lambda: _contained_case(stage), "a contained case", lambda: stage.warden("cases", "--all")[1]
    )
    quarantine = stage.case()["case"]["actions"]["quarantine"]
    story.tell(Lane.WARDEN, f"case {stage.case_id}: {quarantine['detail']}")
    story.prove("its telemetry is refused by the broker", f"{took:.1f} s after the alarm was published")


def _contained_case(stage: Stage) -> str:
    code, said = stage.warden("cases", "--json", "--thing", SUSPECT)
    cases = json.loads(said)["cases"] if code == 0 else []
    return next((str(case["id"]) for case in cases if case["state"] == "contained"), "")


def logs_collected(stage: Stage) -> None:
    """The contained device still runs jobs: its logs arrive, byte for byte."""
    story, suspect = stage.story, stage.suspect
    suspect.await_event("job-started", story.patience)
    story.tell(Lane.DEVICE, f"{SUSPECT} took the job although it is restricted")
    story.until(
        lambda: _progress(stage, "collect-logs") == "done",
        "the logs in the bucket",
        lambda: stage.case()["case"]["actions"],
    )
    [evidence] = observe.evidence(stage.aws, stage.outputs["EvidenceBucketName"], stage.case_id)
    on_disk = (suspect.device.directory / "logs" / "pump.log").read_bytes()
    if evidence != on_disk:
        raise NotSeen("the log in the bucket differs from the file on the device")
    digest = observe.digest(on_disk)
    story.tell(Lane.WARDEN, f"pump.log: {len(on_disk)} bytes in the evidence bucket, sha256 {digest[:16]}…")
    story.prove(
        "its jobs still arrive, and its logs land in the bucket",
        f"{len(on_disk)} bytes, sha256 equal to the device's file",
    )


def _progress(stage: Stage, action: str) -> str:
    return str(stage.case()["case"]["actions"].get(action, {}).get("progress", ""))


def told(stage: Stage) -> None:
    """One notice is sent."""
    story = stage.story
    story.chapter("3 a.m.: the notice")
    notice = story.until(lambda: observe.read_notice(stage.aws, stage.mailbox), "a notice", lambda: "an empty mailbox")
    subject, body = notice or ("", "")
    story.quote(f"Subject: {subject}\n\n{body}")
    if SUSPECT not in body or f"warden release {stage.case_id}" not in body:
        raise NotSeen(f"the notice names neither device nor command: {body}")
    story.prove("one notice says what happened and what to do next", subject)


def same_again(stage: Stage) -> None:
    """The same message, delivered again, changes nothing."""
    story = stage.story
    story.chapter("The same message again")
    before = (stage.case(), observe.fleet(stage.aws, FLEET), observe.jobs(stage.aws))
    taken_in = observe.taken_in(stage.aws)
    message = json.loads(ALERT.read_text())["Records"][0]["Sns"]["Message"]
    observe.publish(stage.aws, stage.outputs["AlertTopicArn"], message)
    story.tell(Lane.DETECTOR, "the same alarm, delivered again")
    story.until(lambda: observe.taken_in(stage.aws) > taken_in, "the message read", lambda: observe.taken_in(stage.aws))
    queues = (stage.outputs["InboxQueueUrl"], stage.outputs["CaseQueueUrl"])
    story.until(
        lambda: not observe.waiting(stage.aws, *queues), "empty queues", lambda: observe.waiting(stage.aws, *queues)
    )
    after = (stage.case(), observe.fleet(stage.aws, FLEET), observe.jobs(stage.aws))
    if before != after:
        raise NotSeen(f"a second delivery changed something: {before} became {after}")
    if observe.read_notice(stage.aws, stage.mailbox):
        raise NotSeen("a second delivery sent a second notice")
    story.prove("the same message again changes nothing", "case, timeline, devices, jobs and notices compared")


def released(stage: Stage) -> None:
    """Only an operator can release the device, with a new certificate."""
    story = stage.story
    story.chapter("The operator decides")
    visitor = observe.user(stage.aws, "visitor", "")
    code, said = stage.warden("release", stage.case_id, who=visitor)
    if code == 0:
        raise NotSeen("somebody without the operator policy could release the device")
    story.tell(Lane.OPERATOR, f"a user without the operator policy tries: {_first_line(said)}")
    story.tell(Lane.OPERATOR, f"$ warden release {stage.case_id} --why 'log read, firmware fixed'")
    code, said = stage.warden("release", stage.case_id, "--why", "log read, firmware fixed")
    if code:
        raise NotSeen(f"`warden release` ended with {code}: {said}")
    story.until(
        lambda: stage.case()["case"]["state"] == "closed", "the case closed", lambda: stage.case()["timeline"][-3:]
    )
    case = stage.case()
    who = case["case"]["releasedBy"]
    if not who.endswith(":user/operator"):
        raise NotSeen(f"the release is recorded as {who}'s")
    story.prove("only an operator releases it, and the record says who", who)


def rekeyed(stage: Stage, before: Mapping[str, observe.Sight]) -> None:
    """The device is back with a new certificate, whose key never left it; the old one is INACTIVE."""
    story, suspect = stage.story, stage.suspect
    heard = len(suspect.events)
    actions = stage.case()["case"]["actions"]
    story.tell(Lane.DEVICE, f"{SUSPECT} made a new key, confirmed over it, and destroyed the old one")
    story.tell(Lane.WARDEN, f"rotation: {actions['rotate-certificate']['detail']}")
    _await(stage, "telemetry-accepted", heard, f"{SUSPECT}'s telemetry is accepted again")
    story.prove("it reconnects and its telemetry flows again", "telemetry accepted after the release")

    now, was = observe.fleet(stage.aws, [SUSPECT])[SUSPECT], before[SUSPECT]
    [old], [new] = was.certificates, now.certificates
    if new == old or now.policies != {new: was.policies[old]} or now.groups != was.groups:
        raise NotSeen(f"it was {was} and is {now}")
    if (
        observe.certificate_status(stage.aws, old) != "INACTIVE"
        or observe.certificate_status(stage.aws, new) != "ACTIVE"
    ):
        raise NotSeen("the old certificate is not INACTIVE, or the new one not ACTIVE")
    story.prove("the old certificate is INACTIVE, the new one is its only one", f"{new[:12]}… replaced {old[:12]}…")

    key = observe.private_key(suspect.device.state_dir)
    if not key.made(observe.certificate_pem(stage.aws, new)):
        raise NotSeen("the key on the device is not the key of its certificate")
    places = observe.everything_kept(stage.aws, stage.outputs)
    if any(secret in text for text in places.values() for secret in key.lines):
        raise NotSeen("the private key was found outside the device")
    story.prove("its private key never left it", f"matches the certificate; not in {', '.join(places)}")


def others_untouched(stage: Stage, before: Mapping[str, observe.Sight]) -> None:
    """No other device was disturbed, and no message was left over."""
    story = stage.story
    others = [name for name in FLEET if name != SUSPECT]
    after = observe.fleet(stage.aws, others)
    changed = [name for name in others if after[name] != before[name]]
    disturbed = [name for name in others if any(event["event"] not in _CALM for event in stage.agents[name].events)]
    if changed or disturbed:
        raise NotSeen(f"others were touched: {changed} changed, {disturbed} were disturbed")
    accepted = sum(event["event"] == "telemetry-accepted" for name in others for event in stage.agents[name].events)
    story.prove("the other four were never touched", f"{accepted} messages accepted, none refused, no reconnect")
    parked = (stage.outputs["ParkedQueueUrl"], stage.outputs["ParkedCasesQueueUrl"])
    if count := observe.waiting(stage.aws, *parked):
        raise NotSeen(f"{count} messages are in the dead-letter queues")
    story.prove("no message was lost", "both dead-letter queues are empty")


def renewed(stage: Stage) -> None:
    """Certificates are due: an audit and a sweep find them, an operator starts, and every device gets a new one."""
    story, before = stage.story, observe.fleet(stage.aws, FLEET)
    story.chapter("A year later: certificates are due for renewal")
    case_id = _expires(stage, before[EXPIRES].certificates[0])
    observe.invoke(stage.aws, "fleet-warden-sweep_certificates", SCHEDULE.read_text())
    subject, body = story.until(lambda: _report(stage), "the report of the sweep", lambda: "an empty mailbox") or (
        "",
        "",
    )
    story.quote(f"Subject: {subject}\n\n{body}")
    story.tell(Lane.OPERATOR, "$ warden campaign start")
    code, said = stage.warden("campaign", "start", "--why", "a quiet Tuesday")
    if code:
        raise NotSeen(f"`warden campaign start` ended with {code}: {said}")
    story.until(lambda: _campaign(stage)["done"] == len(FLEET), "all of them renewed", lambda: _campaign(stage))
    after, jobs = observe.fleet(stage.aws, FLEET), [job for job in observe.jobs(stage.aws) if "rotate" in job]
    for name, sight in after.items():
        [old], [new] = before[name].certificates, sight.certificates
        if new == old or sight.policies != {new: before[name].policies[old]}:
            raise NotSeen(f"{name} was {before[name]} and is {sight}")
        if (observe.certificate_status(stage.aws, old), observe.certificate_status(stage.aws, new)) != (
            "INACTIVE",
            "ACTIVE",
        ):
            raise NotSeen(f"{name}'s old certificate is not INACTIVE, or its new one not ACTIVE")
    story.prove(
        "certificates that are due are renewed, one device first, then the rest",
        f"{len(after)} devices, {len(jobs) - 1} jobs, one ACTIVE certificate each, the old ones INACTIVE",
    )
    shown = story.until(
        lambda: _closed(stage, case_id), f"case {case_id} closed", lambda: stage.warden("show", case_id)
    )
    asked = [step["facts"] for step in (shown or {})["timeline"] if step["kind"] == "action-started"]
    if [facts.get("batch") for facts in asked] != [1]:
        raise NotSeen(f"{EXPIRES}, which the audit named, was not asked first: {asked}")
    story.prove(
        "certificates that expire come before those that are only old", f"{EXPIRES} was first, case {case_id} is closed"
    )


def _expires(stage: Stage, certificate: str) -> str:
    """Let an audit find that a certificate expires; return its device's case, which waits for the campaign."""
    story, message = stage.story, json.loads(EXPIRING.read_text())["Records"][0]["Sns"]["Message"]
    finding = json.loads(message)
    finding["nonCompliantResource"]["resourceIdentifier"]["deviceCertificateId"] = certificate
    story.tell(Lane.DETECTOR, f"Device Defender: an audit finds that {EXPIRES}'s certificate expires")
    observe.publish(stage.aws, stage.outputs["AlertTopicArn"], json.dumps(finding))
    case = story.until(lambda: _enrolled(stage), f"{EXPIRES} enrolled", lambda: stage.warden("cases", "--all")) or {}
    story.tell(Lane.WARDEN, f"case {case['id']}: {case['actions']['renew-certificate']['detail']}")
    return str(case["id"])


def _enrolled(stage: Stage) -> dict[str, Any] | None:
    _, said = stage.warden("cases", "--thing", EXPIRES, "--json")
    cases = [dict(case) for case in json.loads(said)["cases"]]
    return next((case for case in cases if "done" in str(case["actions"].get("renew-certificate"))), None)


def _closed(stage: Stage, case_id: str) -> dict[str, Any] | None:
    _, said = stage.warden("show", case_id, "--json")
    shown = dict(json.loads(said))
    return shown if shown["case"]["state"] == "closed" else None


def _report(stage: Stage) -> tuple[str, str] | None:
    notice = observe.read_notice(stage.aws, stage.mailbox)
    return notice if notice and notice[0].startswith("Fleet Warden: certificates: ") else None


def _campaign(stage: Stage) -> Mapping[str, Any]:
    code, said = stage.warden("campaign", "--json")
    if code:
        raise NotSeen(f"`warden campaign` ended with {code}: {said}")
    return dict(json.loads(said)["campaign"])


_CALM = ("started", "connected", "telemetry-accepted")


def _await(stage: Stage, event: str, after: int, claim: str) -> dict[str, Any]:
    seen = stage.suspect
    found = stage.story.until(
        lambda: next((each for each in seen.events[after:] if each["event"] == event), None),
        claim,
        lambda: [each["event"] for each in seen.events[-5:]],
    )
    return found or {}


def _first_line(text: str) -> str:
    return re.split(r": attach|[;\n]", text.strip())[0].removeprefix("warden: ")
