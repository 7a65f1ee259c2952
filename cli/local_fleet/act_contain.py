"""First half of the story: from a fleet at work to a contained suspect whose logs are evidence."""

import hashlib
import json
import time
from collections import Counter

from local_fleet.door import knock
from local_fleet.keys import self_signed
from local_fleet.looking import NotSeen, require, require_same
from local_fleet.registry import all_certificates, all_objects, records_logged, standing, waiting
from local_fleet.stage import FLEET, SUSPECT
from local_fleet.story import Story, of_agent, sample_message, short, when
from local_fleet.timeline import Lane, Moment

_SOON, _LATER = 20, 45  # seconds; what takes longer does not happen
_REFUSALS = 2


def telemetry_flows(story: Story) -> None:
    """Five devices connect over mutual TLS, and the fleet's back end hears them all."""
    stage, timeline = story.stage, story.timeline
    for agent in stage.fleet.values():
        agent.start()
    connected = {}
    for thing, agent in stage.fleet.items():
        timeline.waiting_for(f"{thing} to connect")
        connected[thing] = agent.await_event("connected", _SOON)
        require_same(
            f"the certificate {thing} connects with", agent.device.certificate_id, connected[thing]["certificateId"]
        )
    timeline.tell(
        *(
            Moment(when(event), Lane.DEVICE, f"{thing} connects", f"certificate {short(event['certificateId'])}")
            for thing, event in connected.items()
        )
    )
    heard = story.until(
        "telemetry of all five",
        lambda: found if len(found := _heard(story)) == len(FLEET) and min(found.values()) > 1 else None,
        _SOON,
        lambda: f"telemetry of {dict(_heard(story))}",
    )
    timeline.say(Lane.BROKER, "lets their telemetry through", f"{sum(heard.values())} messages so far")
    answer = knock(stage.aws, SUSPECT, self_signed(SUSPECT))
    require(answer != "let in", "the broker to turn away a certificate that somebody made", answer)
    timeline.say(Lane.BROKER, f"turns away a stranger who made a certificate in the name of {SUSPECT}")
    certificates = all_certificates(stage.aws)
    require_same("the statuses of all certificates", ["ACTIVE"] * len(FLEET), list(certificates.values()))
    story.standings = {thing: standing(stage.aws, thing) for thing in FLEET}
    story.key = _private_key_on_disk(story)
    timeline.proved(
        "Telemetry of five devices flows", "the back end hears every one of them; each came in over mutual TLS"
    )


def a_violation_comes_in(story: Story) -> None:
    """The sample is published, to the byte; then the suspect may no longer say anything but what helps to examine it."""
    stage, timeline = story.stage, story.timeline
    text, said = sample_message()
    require_same("the thing that the sample names", SUSPECT, said["thingName"])
    before = len(stage.suspect.events)
    stage.aws.session().client("sns").publish(TopicArn=stage.outputs["AlertTopicArn"], Message=text)
    story.published_at = time.time()
    timeline.say(
        Lane.DETECTOR,
        f"{SUSPECT} violates its security profile",
        f"{said['behavior']['metric']} {said['metricValue']['count']:,} ({said['securityProfileName']})",
    )
    story.case = story.until("a case to be opened", lambda: _case(story), _SOON, lambda: f"no case; {_inbox(story)}")
    _await_rest(story)
    refused = of_agent(story, "telemetry-refused", _SOON, after=before)
    at_broker = Moment(when(refused), Lane.BROKER, f"refuses the telemetry of {SUSPECT}", str(refused["reason"]))
    timeline.tell(*story.new_lines(), at_broker)
    _await_taken_in(story, 1)

    case = story.show()["case"]
    require_same("the thing that the case is about", SUSPECT, case["thing"])
    restricted = stage.outputs["RestrictedPolicyName"]
    now = standing(stage.aws, SUSPECT)
    policies = {certificate.policies for certificate in now.certificates}
    require_same(f"the only policy of {SUSPECT}", {(restricted,)}, policies)
    require_same(f"the groups of {SUSPECT}", (stage.outputs["RestrictedGroupName"],), now.groups)
    took = when(refused) - story.published_at
    timeline.proved(
        f"{SUSPECT} is contained, and its telemetry refused by the broker",
        f"{took:.1f} s after the message; {restricted} is its only policy",
    )


def jobs_still_arrive(story: Story) -> None:
    """The contained device runs the log job; what lands in the bucket is what lies on its disk, to the byte."""
    stage, timeline = story.stage, story.timeline
    refused_at = when(of_agent(story, "telemetry-refused", _SOON))
    started = of_agent(story, "job-started", _SOON, operation="collect-logs")
    timeline.tell(Moment(when(started), Lane.DEVICE, "gets the job collect-logs", "over its own jobs topic"))
    story.until(
        "the logs to arrive",
        lambda: _progress(story, "collect-logs") == "done",
        _LATER,
        lambda: _progress(story, "collect-logs"),
    )
    timeline.tell(*story.new_lines())
    contents = list(all_objects(stage.aws, stage.outputs["EvidenceBucketName"]).values())
    on_disk = sorted((stage.suspect.device.directory / "logs").iterdir())
    digests = {hashlib.sha256(file.read_bytes()).hexdigest(): file for file in on_disk}
    landed = Counter(hashlib.sha256(content).hexdigest() for content in contents)
    require_same("the sha256 of what is in the bucket", sorted(digests), sorted(landed.elements()))
    announced = [file["sha256"] for line in story.show()["timeline"] for file in line["facts"].get("files", [])]
    require_same("the sha256 that the case has on record", sorted(digests), sorted(announced))
    for digest, file in digests.items():
        timeline.say(
            Lane.CLOUD, f"{file.name} is in the bucket", f"{file.stat().st_size:,} bytes, sha256 {digest[:16]}…"
        )
    _require_still_refused(story)
    timeline.proved(
        "Its jobs still arrive while its telemetry is refused",
        f"job {when(started) - refused_at:+.1f} s after the first refusal; {_refusals(story)} refusals so far, nothing let through",
    )
    timeline.proved(
        "Its logs are in the bucket",
        f"{len(digests)} files, {sum(map(len, contents)):,} bytes, sha256 on disk = in the bucket = on the case",
    )


def a_person_is_told(story: Story) -> None:
    """The notice is shown as it would be read."""
    notices = story.until("the notice", lambda: story.stage.notices.heard, _SOON, lambda: "no notice")
    [notice] = [each.body for each in notices]
    require(SUSPECT in notice["Subject"] and story.case in notice["Message"], "a notice about the case", notice)
    story.timeline.letter(notice["Subject"], notice["Message"])
    story.timeline.proved("A person is told what happened and what to do next", f"one notice: {notice['Subject']}")


def the_same_again(story: Story) -> None:
    """The same message once more is taken in, handled, and changes nothing at all."""
    stage, timeline = story.stage, story.timeline
    before = story.everything()
    handled = len(records_logged(stage.aws, "message handled"))
    text, _ = sample_message()
    stage.aws.session().client("sns").publish(TopicArn=stage.outputs["AlertTopicArn"], Message=text)
    timeline.say(Lane.DETECTOR, "publishes the same message again")
    _await_taken_in(story, 2)
    story.until("the queues to be empty", lambda: _left(story) == 0, _SOON, lambda: _inbox(story))
    again = len(records_logged(stage.aws, "message handled")) - handled
    how = "was asked, and found nothing left to do" if again else "was not even asked: the case queue knew the finding"
    timeline.say(Lane.CLOUD, "takes it in; both queues are empty again", f"the responder {how}")
    after = story.everything()
    for what, was in before.items():
        require(was == after[what], f"{what} to be as before", _difference(was, after[what]))
    timeline.proved(
        "The same message again changes nothing",
        f"compared before and after: {', '.join(what.removeprefix('the ') for what in before)}",
    )


def _heard(story: Story) -> Counter[str]:
    return Counter(str(each.body["thing"]) for each in story.stage.telemetry.heard)


def _private_key_on_disk(story: Story) -> str:
    state = json.loads((story.stage.suspect.device.state_dir / "state.json").read_text())
    return str(state["identity"]["key_pem"])


def _case(story: Story) -> str | None:
    cases = story.stage.operator.ask("cases", thing=SUSPECT)["cases"]
    return cases[0]["id"] if cases else None


def _await_rest(story: Story) -> None:
    """Wait until the service has done what it will do by itself; then the suspect must be contained."""

    def rests() -> bool:
        shown = story.show()
        return any(line["what"] == "notified" for line in shown["timeline"]) or shown["case"]["state"] == "contained"

    story.until("the suspect to be contained", rests, _LATER, lambda: _last_words(story))
    case = story.show()["case"]
    if case["state"] != "contained":
        story.timeline.tell(*story.new_lines())
        raise NotSeen(
            f"{SUSPECT} to be contained", f"the case is {case['state']}, mode {case['mode']}; {_last_words(story)}"
        )


def _last_words(story: Story) -> str:
    shown = story.show()
    lines = "; ".join(f"{line['what']}: {line['why']}" for line in shown["timeline"][-3:])
    return f"the case, {shown['case']['state']}, says {lines}"


def _progress(story: Story, action: str) -> str:
    return str(story.show()["case"]["actions"].get(action, {}).get("progress", "not planned"))


def _refusals(story: Story) -> int:
    return sum(event["event"] == "telemetry-refused" for event in story.stage.suspect.events)


def _require_still_refused(story: Story) -> None:
    """Between the first refusal and now, nothing was let through: neither says the device, nor does the back end."""
    story.until("more refusals", lambda: _refusals(story) >= _REFUSALS, _SOON, lambda: f"{_refusals(story)} refusals")
    events = story.stage.suspect.events
    first = next(n for n, event in enumerate(events) if event["event"] == "telemetry-refused")
    accepted = [event for event in events[first:] if event["event"] == "telemetry-accepted"]
    require_same("telemetry that was accepted after the first refusal", [], accepted)
    heard = [each.body["sequence"] for each in story.stage.telemetry.heard if each.body["thing"] == SUSPECT]
    require(max(heard) < events[first]["sequence"], "the back end to hear nothing after the first refusal", heard[-3:])


def _await_taken_in(story: Story, times: int) -> None:
    """Wait until ingest has taken in so many messages with a finding; only the demo publishes any."""

    def taken_in() -> int:
        records = records_logged(story.stage.aws, "message taken in")
        return sum(record["findings"] for record in records)

    story.until(
        f"{times} messages to be taken in", lambda: taken_in() == times, _SOON, lambda: f"{taken_in()}; {_inbox(story)}"
    )


def _left(story: Story) -> int:
    outputs = story.stage.outputs
    return sum(waiting(story.stage.aws, outputs[queue]) for queue in ("InboxQueueUrl", "CaseQueueUrl"))


def _inbox(story: Story) -> str:
    names = {
        "InboxQueueUrl": "inbox",
        "CaseQueueUrl": "case queue",
        "ParkedQueueUrl": "parked",
        "ParkedCasesQueueUrl": "parked cases",
    }
    counts = (f"{words} {waiting(story.stage.aws, story.stage.outputs[name])}" for name, words in names.items())
    return f"messages waiting: {', '.join(counts)}"


def _difference(before: object, after: object) -> str:
    if isinstance(before, list) and isinstance(after, list):
        return f"new {[each for each in after if each not in before]}, gone {[each for each in before if each not in after]}"
    return f"{before} became {after}"
