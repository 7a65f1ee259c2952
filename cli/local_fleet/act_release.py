"""Second half of the story: an operator lets the suspect go, and it comes back as somebody nobody else can be."""

import base64
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from local_fleet.door import knock
from local_fleet.keys import places_with, public_key_of_certificate, public_key_of_private, traces_of
from local_fleet.looking import require, require_same
from local_fleet.registry import all_certificates, all_objects, all_records, function_logs, standing, waiting
from local_fleet.stage import OTHERS, SUSPECT
from local_fleet.story import Story, of_agent, short, when
from local_fleet.timeline import Lane, Moment

_SOON, _LATER = 20, 60  # seconds; what takes longer does not happen
_NOT_REACHED = 3  # how `warden` ends when it is not let in
_WHY = "pump inspected on site, firmware is genuine"
_LONGEST_SILENCE = 5.0  # seconds; a device that speaks twice a second and was cut off is silent for longer


def an_operator_approves(story: Story) -> None:
    """Whoever lacks the operator's policy is refused; the operator's release is taken."""
    stage, timeline = story.stage, story.timeline
    before = stage.fleet[SUSPECT].events
    timeline.waiting_for("the answer to the bystander")
    refusal = stage.bystander.warden("release", story.case)
    require(refusal.code == _NOT_REACHED and "403" in refusal.complained, "the bystander to be refused (403)", refusal)
    timeline.say(Lane.OPERATOR, "a user without the operator's policy is refused", "403, by IAM")
    require_same("the state of the case after that", "contained", story.show()["case"]["state"])
    timeline.waiting_for("the answer to the operator")
    timeline.say(Lane.OPERATOR, f"warden release {story.case}", f'--why "{_WHY}"')
    released_at = time.time()
    answer = stage.operator.warden("release", story.case, "--why", _WHY)
    require_same("the exit code of warden release", 0, answer.code if answer.code == 0 else answer)
    story.until(
        "the case to be closed", lambda: story.show()["case"]["state"] == "closed", _LATER, lambda: _where(story)
    )
    installed = of_agent(story, "certificate-installed", _SOON)
    destroyed = of_agent(story, "old-key-destroyed", _SOON)
    of_device = (
        Moment(
            when(installed),
            Lane.DEVICE,
            "made a key of its own, got a certificate for it",
            short(installed["certificateId"]),
        ),
        Moment(when(destroyed), Lane.DEVICE, "destroyed its old key"),
    )
    lines = story.new_lines()
    timeline.tell(*lines, *of_device)
    who = [line["who"] for line in story.show()["timeline"] if line["what"] == "release"]
    require_same("who released, on the case", [stage.operator.arn], who)
    resumed = of_agent(
        story, "telemetry-accepted", _SOON, after=len(before) + _index(story, "old-key-destroyed", len(before))
    )
    timeline.tell(Moment(when(resumed), Lane.BROKER, f"lets the telemetry of {SUSPECT} through again"))
    story.resumed_after = when(resumed) - released_at
    timeline.proved(
        "Only an operator releases",
        f"{stage.operator.arn.rpartition(':')[2]} with OperatorPolicyArn alone; a user without it: 403",
    )


def on_a_new_certificate(story: Story) -> None:
    """The new key is the device's own; the old certificate opens nothing any more."""
    stage, timeline = story.stage, story.timeline
    [old] = story.standings[SUSPECT].certificates
    [new] = standing(stage.aws, SUSPECT).certificates
    require(new.id != old.id, "another certificate", new)
    state = _state(story)
    require_same("the certificate on the device's disk", new.id, _certificate_id(story, state["certificate_pem"]))
    key = state["key_pem"]
    of_certificate = public_key_of_certificate(_certificate_pem(story, new.id))
    require(public_key_of_private(key) == of_certificate, "the key on the disk to be the new certificate's", new)
    require(public_key_of_private(story.key) != of_certificate, "another key than before", new)
    where = places_with(traces_of(key), _all_that_left(story))
    require_same("places outside the device with its private key in them", [], where)
    mode = (stage.suspect.device.state_dir / "state.json").stat().st_mode & 0o777
    require_same("the mode of the key's file", "0600", f"{mode:04o}")
    files = [(str(path), path.read_bytes()) for path in stage.suspect.device.directory.rglob("*") if path.is_file()]
    require_same("files of the device with its old key in them", [], places_with(traces_of(story.key), files))
    places = sum(1 for _ in _all_that_left(story))
    timeline.proved(
        "It is back on a new certificate; the private key never left it",
        f"public keys match, file mode 0600; not in {places} objects, records, messages and log lines searched",
    )

    certificates = all_certificates(stage.aws)
    require_same("the status of the old certificate", "INACTIVE", certificates.get(old.id, "deleted"))
    require_same("the status of the new one", "ACTIVE", new.status)
    active = [id_ for id_, status in certificates.items() if status == "ACTIVE"]
    require_same("ACTIVE certificates of five devices", len(story.standings), len(active))
    answer = knock(stage.aws, SUSPECT, _certificate_pem(story, old.id) + story.key)
    require(answer != "let in", "the broker to turn away who kept a copy of the old key", answer)
    timeline.say(Lane.BROKER, "turns away a copy of the old key and certificate")
    timeline.proved(
        "The old certificate is INACTIVE",
        f"{short(old.id)}; {SUSPECT} has exactly one ACTIVE, {short(new.id)}; a copy of the old key is turned away",
    )

    now = standing(stage.aws, SUSPECT)
    require_same("its groups", story.standings[SUSPECT].groups, now.groups)
    require_same("the policies of its certificate", old.policies, new.policies)
    heard = [each for each in stage.telemetry.heard if each.body["thing"] == SUSPECT and each.at > story.published_at]
    require(bool(heard), "the back end to hear it again", "nothing")
    timeline.proved(
        "It works again, as before",
        f"groups and policies restored; telemetry accepted {story.resumed_after:.1f} s after the release",
    )


def the_others_never_noticed(story: Story) -> None:
    """The rest of the fleet: the same registry, one session, and telemetry without a gap."""
    stage, timeline = story.stage, story.timeline
    longest = 0.0
    for thing in OTHERS:
        require_same(
            f"groups, policies and certificates of {thing}", story.standings[thing], standing(stage.aws, thing)
        )
        seen = {event["event"] for event in stage.fleet[thing].events}
        require_same(f"what {thing} reported", {"started", "connected", "telemetry-accepted"}, seen)
        connects = sum(event["event"] == "connected" for event in stage.fleet[thing].events)
        require_same(f"how often {thing} connected", 1, connects)
        longest = max(longest, _require_no_gap(story, thing))
    count = sum(len(sequences) for thing, sequences in _sequences(story).items() if thing in OTHERS)
    timeline.say(
        Lane.BROKER,
        f"let {count} messages of the other four through",
        f"no number missing, at most {longest:.1f} s apart",
    )
    timeline.proved(
        "The other four were never touched",
        f"groups, policies, certificates unchanged; {count} messages, none missing, none refused",
    )


def nothing_is_left_over(story: Story) -> None:
    """No message waits, none was parked, no function complained."""
    stage, outputs = story.stage, story.stage.outputs
    queues = {name: url for name, url in outputs.items() if name.endswith("QueueUrl")}

    def left() -> dict[str, int]:
        return {name: count for name, url in queues.items() if (count := waiting(stage.aws, url))}

    story.until("the queues to be empty", lambda: not left(), _SOON, lambda: str(left()))
    errors = [f"{function}: {line[:300]}" for function, line in function_logs(stage.aws) if '"level":"ERROR"' in line]
    require_same("errors in the functions' logs", [], errors)
    story.timeline.proved(
        "Nothing is parked, lost or left over",
        f"{len(queues)} queues empty, dead-letter queues included; no error logged",
    )


def _where(story: Story) -> str:
    shown = story.show()
    return f"the case is {shown['case']['state']}; last on it: {shown['timeline'][-1]}"


def _index(story: Story, event: str, after: int) -> int:
    return next(n for n, each in enumerate(story.stage.suspect.events[after:]) if each["event"] == event)


def _state(story: Story) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((story.stage.suspect.device.state_dir / "state.json").read_text())
    return dict(state["identity"])


def _certificate_pem(story: Story, certificate_id: str) -> str:
    iot = story.stage.aws.session().client("iot")
    return iot.describe_certificate(certificateId=certificate_id)["certificateDescription"]["certificatePem"]


def _certificate_id(story: Story, pem: str) -> str:
    known = all_certificates(story.stage.aws)
    return next((id_ for id_ in known if _certificate_pem(story, id_).strip() == pem.strip()), "unknown")


def _all_that_left(story: Story) -> Iterator[tuple[str, bytes]]:
    """Everything outside the device that could hold what it sent: bucket, ledger, messages, notices, logs."""
    stage = story.stage
    for name, content in all_objects(stage.aws, stage.outputs["EvidenceBucketName"]).items():
        yield f"object {name}", content
    for record in all_records(stage.aws, stage.outputs["LedgerTable"]):
        yield "a record of the ledger", record.encode()
    for request in stage.requests.heard:
        yield f"a message on {request.body['topic']}", base64.b64decode(request.body["payload"])
    for notice in stage.notices.heard:
        yield "a notice", json.dumps(notice.body).encode()
    for function, line in function_logs(stage.aws):
        yield f"a log line of {function}", line.encode()


def _sequences(story: Story) -> dict[str, list[int]]:
    sequences = defaultdict[str, list[int]](list)
    for each in story.stage.telemetry.heard:
        sequences[str(each.body["thing"])].append(int(each.body["sequence"]))
    return sequences


def _require_no_gap(story: Story, thing: str) -> float:
    """Every number from the first to the last was heard; gives the longest silence between two, in seconds."""
    numbers = sorted(_sequences(story)[thing])
    require_same(f"the numbers heard of {thing}", list(range(1, len(numbers) + 1)), numbers)
    times = [when(event) for event in story.stage.fleet[thing].events if event["event"] == "telemetry-accepted"]
    longest = max(later - earlier for earlier, later in pairwise(times))
    require(longest < _LONGEST_SILENCE, f"{thing} never to be silent for {_LONGEST_SILENCE:g} s", f"{longest:.1f} s")
    return longest
