"""Anything that may happen to a small fleet, in any order: the promises of design section 11 hold at every instant.

Findings of several sources, their ends, duplicates and replays of old messages; devices that obey, refuse, lie and
ask on others' topics; operators; things, policies, certificates and jobs that somebody deletes; the clock and the
sweep; and a function that is gone at any call, whose message is delivered again.

`make test` plays the same few runs each time; WARDEN_MODEL=big (the nightly one) many more, others every time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from tests.fakes import OPERATOR, RESTRICTED_POLICY, AwsError, Crash, FakeDevice, a_key, forwarded
from tests.model.fleet import FLEET, PUMPS, SHARING, Book, BrokenPromiseError, Member, keys_of
from tests.port_wire import Fate
from warden.campaigns.records import CampaignState, MemberState, open_campaign, read_campaign
from warden.cases.allowed import Decision
from warden.cases.model import Case, CaseState
from warden.core.errors import Refused
from warden.core.findings import Ending, Finding, Severity, Source, Subject, SubjectType
from warden.devices.job_events import track
from warden.devices.requests import request_from
from warden.devices.router import serve
from warden.operate.commands import operate
from warden.plan.actions import COLLECT_LOGS
from warden.queues.messages import send_finding

KINDS = (
    (Source.DETECT, "aws:all-bytes-out"),
    (Source.DETECT, "aws:message-byte-size"),
    (Source.GUARDDUTY, "UnauthorizedAccess"),
    (Source.AUDIT, "certificate-age"),
    (Source.AUDIT, "certificate-expires"),
    (Source.AUDIT, "certificate-shared"),
    (Source.GENERIC, "noise"),
)
ENDS = ("SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED", "REMOVED")
WAITS = tuple(timedelta(minutes=minutes) for minutes in (0, 6, 6, 20, 70, 25 * 60))
FITTING = {
    CaseState.AWAITING_APPROVAL: (Decision.APPROVE, Decision.APPROVE, Decision.DISMISS),
    CaseState.HELD: (Decision.APPROVE, Decision.DISMISS),
    CaseState.CONTAINED: (Decision.RELEASE, Decision.RELEASE, Decision.RELEASE_KEEPING_CERTIFICATE),
}
"""What an operator would decide about a case in a state."""

CAMPAIGN = ("start",) * 6 + ("resume",) * 3 + ("pause", "cancel")
"""The decisions of an operator about a campaign: most of them have an effect."""

BEGINS = {
    CampaignState.AWAITING_APPROVAL: "start",
    CampaignState.PAUSED: "resume",
    CampaignState.STOPPED: "resume",
}
"""The decisions that continue a campaign that waits for a person."""

HOW = ("obeys",) * 8 + ("loses its key", "misses the answer", "ends it")
"""How a device does the next step of its job. It, or AWS IoT, may end the job instead."""

CAMPAIGN_DAYS = 20
"""More than any campaign here takes: six devices, two a day, each asked twice."""

BUSY = 3
"""With so many jobs waiting nothing new is found for a while: what has begun is to come to an end, too."""

SOUND_STEPS = 12
"""Before this many steps nobody deletes anything: a ruined fleet shows little about the ordinary course."""

BIG = os.environ.get("WARDEN_MODEL") == "big"

IN_FOCUS = "the device in focus"
"""Most things happen to one device: many things on one device find more than one thing on each of many."""

things = st.sampled_from((*(IN_FOCUS,) * 8, *FLEET))
devices = st.sampled_from((*(IN_FOCUS,) * 8, *PUMPS, *SHARING))
whole = st.integers(min_value=0, max_value=1_000)


class Fleet(RuleBasedStateMachine):
    """The rules: each is something that happens, played to its end."""

    @initialize(focus=st.sampled_from((*PUMPS, *SHARING)))
    def begin(self, focus: str) -> None:
        """Build the fleet."""
        self.focus = focus
        self.book = Book()
        self.world = self.book.world
        self.findings: list[Finding] = []
        self.said: list[tuple[Member, dict[str, Any]]] = []
        self.events: list[dict[str, Any]] = []
        self.handled_request_ids: list[tuple[dict[str, Any], str]] = []
        self.calls = 0
        self.steps = 0
        self.cases: list[Case] = []

    def named(self, thing: str) -> str:
        """Return the device that is meant."""
        return self.focus if thing == IN_FOCUS else thing

    # --- playing something, and judging it ------------------------------------------------------------------------

    def play(self, what: Callable[[], object], *, jobs: int = 0, about: str = "") -> None:
        """Let something happen, delivered again after a crash, and all that follows; judge when all is quiet."""
        self.steps += 1
        self.book.begin()
        before = self.book.jobs_begun.copy()
        notices = len(self.world.notices.sent)
        crashed = self.book.wire.struck
        self.events += self.world.jobs.events
        try:
            self.world.redeliver(lambda: self.answered(what))
        except (AwsError, Crash) as error:
            if not about or self.book.members[about].intact:
                raise BrokenPromiseError(f"1: given up after five deliveries: {error!r}") from error
        self.world.drain()
        begun = self.book.jobs_begun - before
        if any(count > jobs for count in begun.values()):
            raise BrokenPromiseError(f"2: jobs begun: {dict(begun)}; at most {jobs} of a kind were asked for")
        new = [(each.subject, each.body) for each in self.world.notices.sent[notices:]]
        if self.book.wire.struck == crashed and len(set(new)) != len(new):
            raise BrokenPromiseError(f"2: the same notice twice: {new}")
        self.judge()

    def answered(self, what: Callable[[], object]) -> None:
        """Do something; a refusal is an answer, and nobody asks again for that."""
        with suppress(Refused):
            what()

    def judge(self) -> None:
        """Check what must hold whenever nothing is under way."""
        self.cases = self.world.cases
        if self.book.broken:
            raise BrokenPromiseError("; ".join(self.book.broken))
        self.book.nobody_is_locked_out()
        self.judge_queue()
        for case in self.cases:
            if case.state is CaseState.CONTAINED and self.book.members[case.thing].intact:
                self.judge_containment(case.thing)
        for thing, member in self.book.members.items():
            if not self.is_held(thing):
                self.judge_freedom(thing, member)
        twice = [key for key, count in keys_of(self.world).items() if count > 1]
        if twice:
            raise BrokenPromiseError(f"2: two certificates for one key: {twice}")

    def judge_queue(self) -> None:
        """Every message has ended; given up are only those about devices that somebody interfered with."""
        if len(self.world.queue):
            raise BrokenPromiseError("1: messages are left on the queue")
        for parked in self.world.queue.parked:
            if not self.is_disturbed(parked.message):
                raise BrokenPromiseError(f"1: parked: {parked.message}, {parked.error!r}") from parked.error
        self.world.queue.parked.clear()

    def is_disturbed(self, message: object) -> bool:
        """Check whether somebody interfered with any of the devices that a message may be about."""
        text = json.dumps(message)
        cases = {case.id: case.thing for case in self.cases}
        about = [thing for thing in FLEET if thing in text] + [cases[each] for each in cases if each in text]
        return any(not self.book.members[thing].intact for thing in about if thing)

    def is_held(self, thing: str) -> bool:
        """Check whether a case may hold a thing now: one that is contained, being contained or being released."""
        states = (CaseState.CONTAINED, CaseState.RECOVERING, CaseState.RESPONDING)
        return any(case.thing == thing and case.state in states for case in self.cases)

    def judge_containment(self, thing: str) -> None:
        """A case that says contained has a device to which nothing but the restricted policy is left."""
        policies = self.world.policies(thing)
        groups = self.world.registry.groups[thing]
        carrying = [
            group for group in groups if self.world.registry.group_policies[group] not in ([], [RESTRICTED_POLICY])
        ]
        if any(names != {RESTRICTED_POLICY} for names in policies.values()) or carrying:
            raise BrokenPromiseError(f"5: {thing} is said to be contained, but has {policies} and is in {carrying}")

    def judge_freedom(self, thing: str, member: Member) -> None:
        """A device that no case holds has the rights it had before anything was done."""
        if not member.intact:
            return
        shared = any(
            self.is_held(other)
            for certificate in self.world.registry.certificates_of(thing)
            for other in self.world.registry.things_of(certificate)
        )
        if not shared and self.book.rights_of(thing) != member.rights:
            raise BrokenPromiseError(f"5: {thing} had {member.rights} and now has {self.book.rights_of(thing)}")

    # --- detectors ------------------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.waiting) < BUSY)
    @rule(thing=things, kind=st.sampled_from(KINDS), age=st.sampled_from((0, 1, 30, 600)))
    def finding(self, thing: str, kind: tuple[Source, str], age: int) -> None:
        """A detector finds something, some of it long ago."""
        self.found(self.named(thing), kind, self.world.clock() - timedelta(minutes=age))

    def found(self, thing: str, kind: tuple[Source, str], observed_at: datetime) -> None:
        """Let a detector find something."""
        source, word = kind
        found = Finding(
            id=f"finding-{len(self.findings)}",
            source=source,
            kind=word,
            subject=Subject(SubjectType.THING, thing),
            severity=Severity.HIGH,
            observed_at=observed_at,
            title=f"{word} on {thing}",
            supersedes=source is Source.AUDIT,
        )
        self.findings.append(found)
        self.report(found)

    @precondition(lambda self: self.findings)
    @rule(which=whole, over=st.booleans())
    def told_again(self, which: int, over: bool) -> None:
        """A detector reports the end, or one of its old messages is delivered again."""
        found = self.findings[which % len(self.findings)]
        if over:
            found = replace(found, is_open=False, ending=Ending.ALARM_CLEARED, observed_at=self.world.clock())
            self.findings.append(found)
        self.report(found)

    def report(self, found: Finding) -> None:
        """Let a finding come in; judge what it, and nothing else, brought about."""
        released = {thing: member.released_at for thing, member in self.book.members.items()}
        began_at = self.world.clock()
        self.play(
            lambda: send_finding(self.world.context.ports.queue, found),
            jobs=1,
        )
        self.book.judge_finding(began_at, found.observed_at, released)

    # --- operators ------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.undecided)
    @rule(which=whole, what=whole)
    def decide(self, which: int, what: int) -> None:
        """An operator decides about a case that waits for somebody."""
        self.decide_about(which, what)

    def decide_about(self, which: int, what: int) -> None:
        """Decide what fits."""
        case = self.undecided[which % len(self.undecided)]
        fitting = FITTING[case.state]
        self.order({"command": fitting[what % len(fitting)], "case": case.id})

    @property
    def undecided(self) -> list[Case]:
        """List the cases that wait for somebody, newest first."""
        return [case for case in reversed(self.cases) if case.state in FITTING]

    @precondition(lambda self: self.cases)
    @rule(which=whole, decision=st.sampled_from(Decision), again=st.booleans())
    def decide_oddly(self, which: int, decision: Decision, again: bool) -> None:
        """An operator decides about any case, whether or not it makes sense; or a call arrives twice."""
        if again and self.handled_request_ids:
            self.order(*self.handled_request_ids[which % len(self.handled_request_ids)])
            return
        case = self.cases[which % len(self.cases)]
        self.order({"command": decision, "case": case.id})

    @rule(thing=things, switch=st.booleans())
    def interfere(self, thing: str, switch: bool) -> None:
        """An operator pulls the switch, puts it back, or reports a device."""
        if switch or self.book.stopped:
            self.order({"command": "resume" if self.book.stopped else "stop", "why": "a drill"})
            return
        released = {each: member.released_at for each, member in self.book.members.items()}
        began_at = self.world.clock()
        self.order({"command": "find", "thing": self.named(thing)})
        self.book.judge_finding(began_at, began_at, released)

    def order(self, command: dict[str, Any], request: str = "") -> None:
        """Let an operator call."""
        self.calls += 1
        request = request or f"call-{self.calls}"
        self.handled_request_ids.append((command, request))
        if command["command"] in ("stop", "resume"):
            self.book.stopped = command["command"] == "stop"
        self.play(lambda: operate(command, OPERATOR, request, self.world.context), jobs=1)

    @rule(during=st.booleans())
    def find_what_is_due(self, during: bool) -> None:
        """The schedule has the certificates swept: every month, or each day while a campaign is open."""
        self.play(lambda: self.world.find_what_is_due(only_during_campaign=during))

    @precondition(lambda self: read_campaign(self.world.ledger) is not None)
    @rule(command=st.sampled_from(CAMPAIGN))
    def steer(self, command: str) -> None:
        """An operator says something about the campaign, whether or not it makes sense."""
        self.order({"command": f"campaign-{command}"})

    @rule(turns=st.integers(min_value=2, max_value=8))
    def renew(self, turns: int) -> None:
        """A part of a campaign: an operator opens and starts it, and the devices that are asked obey."""
        for _ in range(turns):
            campaign = open_campaign(self.world.ledger)
            if campaign is None:
                self.find_what_is_due(during=False)
            elif campaign.state in BEGINS:
                self.steer(BEGINS[campaign.state])
            else:
                self.sweep(timedelta(minutes=6))
                for thing, job in self.waiting * 4:
                    if job in self.book.asked and (thing, job) in self.waiting:
                        self.work(thing, job, "obeys", told=True)

    # --- devices --------------------------------------------------------------------------------------------------

    def say(self, member: Member, what: str, payload: dict[str, Any], *, over: str, thing: str = "") -> tuple[str, Any]:
        """Let a device send a request over a certificate, if the broker accepts the certificate."""
        stored = self.world.certificates.stored.get(over)
        if stored is None or stored.status != "ACTIVE":
            return "", {}
        member.device.tokens += 1
        body = json.dumps({"clientToken": str(member.device.tokens), **payload}).encode()
        message = forwarded(thing or member.device.thing, what, over, body, client=member.device.thing)
        if what == "certificate/confirm":
            member.said.add(over)
        self.said.append((member, message))
        return self.deliver(message)

    def deliver(self, message: dict[str, Any]) -> tuple[str, Any]:
        """Hand a device's message to the service, again after a crash; return the last answer."""
        before = len(self.world.replies.published)
        self.play(lambda: serve(request_from(message), self.world.context), about=message["thing"])
        if len(self.world.replies.published) == before:
            return "", {}
        topic, answer = self.world.replies.published[-1]
        if not topic.startswith(f"warden/{message['thing']}/{message['resource']}/{message['verb']}/"):
            raise BrokenPromiseError(f"8: a request on {message} was answered on {topic}")
        return topic.rsplit("/", 1)[1], answer

    @property
    def waiting(self) -> list[tuple[str, str]]:
        """List every job that is not over, with the device it is for."""
        return [
            (thing, job)
            for job, started in self.world.jobs.started.items()
            for thing, execution in started.executions.items()
            if execution.status in ("QUEUED", "IN_PROGRESS")
        ]

    @precondition(lambda self: self.waiting or self.undecided)
    @rule(which=whole, hows=st.lists(st.sampled_from(HOW), min_size=2, max_size=8), end=st.sampled_from(ENDS))
    def goes_on(self, which: int, hows: list[str], end: str) -> None:
        """Work continues: a device does some steps of a job, well or badly, or an operator decides."""
        self.go_on(which, hows, end, told=True)

    @precondition(lambda self: self.waiting or self.undecided)
    @rule(which=whole, hows=st.lists(st.sampled_from(HOW), min_size=2, max_size=8), end=st.sampled_from(ENDS))
    def goes_on_untold(self, which: int, hows: list[str], end: str) -> None:
        """The same, and AWS IoT does not publish the end of the job."""
        self.go_on(which, hows, end, told=False)

    def go_on(self, which: int, hows: list[str], end: str, *, told: bool) -> None:
        """Take some steps of a job, or a decision where no job waits."""
        if not self.waiting:
            self.decide_about(which, which // 7)
            return
        thing, job = self.waiting[which % len(self.waiting)]
        for how in hows:
            if (thing, job) in self.waiting:
                self.work(thing, job, end if how == "ends it" else how, told)

    def work(self, thing: str, job: str, how: str, told: bool) -> None:
        """Do the next step of a job; AWS IoT may not publish its end."""
        started = self.world.jobs.started[job]
        if how in ENDS:
            self.end_job(thing, job, how, told)
        elif started.executions[thing].status == "QUEUED":
            self.world.jobs.move(job, "IN_PROGRESS", thing)
        elif started.document["warden"]["operation"] == COLLECT_LOGS:
            self.upload(thing, job)
            self.end_job(thing, job, "SUCCEEDED", told)
        else:
            self.rotate(thing, job, how, told)

    def rotate(self, thing: str, job: str, how: str, told: bool) -> None:
        """Do the next step of a rotation."""
        member = self.book.members[thing]
        if not member.device.candidate or how == "loses its key":
            self.ask(member, loses_key=how == "loses its key", hears=how != "misses the answer")
        elif member.device.candidate not in member.said:
            self.confirm(member, hears=how != "misses the answer")
        else:
            self.end_job(thing, job, "SUCCEEDED", told)
        if member.device.certificate in member.said and not member.device.candidate and how == "obeys":
            self.end_job(thing, job, "SUCCEEDED", told)

    def end_job(self, thing: str, job: str, status: str, told: bool) -> None:
        """Let a job end; its event may be lost."""
        if job not in self.world.jobs.started or (thing, job) not in self.waiting:
            return
        self.world.jobs.loses_events = not told
        self.world.jobs.move(job, status, thing)
        self.play(lambda: None)
        self.world.jobs.loses_events = False

    def ask(self, member: Member, *, loses_key: bool, hears: bool) -> None:
        """Ask for a certificate; the device may have lost the key it asked with before, and may miss the answer."""
        device = member.device
        if loses_key and device.candidate not in member.said:
            device.keys, device.candidate = device.keys + 1, ""
        verdict, answer = self.say(member, "certificate/create", {"csr": device.next_key.csr}, over=device.certificate)
        if verdict != "accepted":
            return
        self.judge_certificate(device, answer)
        member.had.add(answer["certificateId"])
        if hears:
            device.candidate = answer["certificateId"]

    def judge_certificate(self, device: FakeDevice, answer: dict[str, Any]) -> None:
        """An issued certificate is for the key that was sent, and belongs to this device alone."""
        made = answer["certificateId"]
        if self.world.registry.things_of(made) not in ([device.thing], []):
            raise BrokenPromiseError(f"8: {device.thing} was given {made} of {self.world.registry.things_of(made)}")
        if a_key(device.keys).pem != answer["certificatePem"] and made != device.certificate:
            raise BrokenPromiseError(f"8: {device.thing} was given a certificate for another key than it sent")

    def confirm(self, member: Member, *, hears: bool) -> None:
        """Confirm over the new certificate that it works; the device may miss the answer."""
        device, thing = member.device, member.device.thing
        verdict, _ = self.say(member, "certificate/confirm", {}, over=device.candidate)
        if not hears:
            return
        if verdict == "accepted" or not self.book.usable(device.certificate, thing):
            if self.book.usable(device.candidate, thing):
                device.certificate = device.candidate
                device.keys, device.candidate = device.keys + 1, ""
        elif not self.book.usable(device.candidate, thing):
            device.keys, device.candidate = device.keys + 1, ""

    @precondition(lambda self: self.said)
    @rule(thing=devices)
    def confirm_unasked(self, thing: str) -> None:
        """A device with two certificates tries the new one again; a device with one lies, and confirms over it."""
        thing = self.named(thing)
        member = self.book.members[thing]
        if member.device.candidate:
            self.confirm(member, hears=True)
            return
        old = member.device.certificate
        verdict, _ = self.say(member, "certificate/confirm", {}, over=old)
        was_new = any(record["new"] == old for record in self.world.ledger.of_type("rotation"))
        if verdict == "accepted" and not was_new:
            raise BrokenPromiseError(f"4: {thing} confirmed over the certificate that is to be replaced")

    @precondition(lambda self: self.said)
    @rule(thing=devices, other=things, what=st.sampled_from(("certificate/create", "certificate/confirm")))
    def ask_for_another(self, thing: str, other: str, what: str) -> None:
        """A device speaks on another's topics, over its own certificate."""
        thing, other = self.named(thing), self.named(other)
        member = self.book.members[thing]
        own = member.device.certificate
        if thing == other or (own, other) in self.world.registry.attached:
            return
        said, jobs = set(member.said), len(self.world.jobs.started)
        verdict, answer = self.say(member, what, {"csr": member.device.next_key.csr}, over=own, thing=other)
        member.said = said
        if verdict == "accepted" or len(self.world.jobs.started) != jobs:
            raise BrokenPromiseError(f"8: {thing} was answered as {other}: {answer}")

    def upload(self, thing: str, job: str) -> None:
        """Announce the logs of a device and send them."""
        member = self.book.members[thing]
        body = member.device.logs["syslog"]
        payload = {"jobId": job, "files": [{"name": "syslog", "bytes": len(body), "sha256": sha256(body).hexdigest()}]}
        verdict, answer = self.say(member, "logs/create", payload, over=member.device.certificate)
        if verdict == "accepted":
            for form in answer["uploads"]:
                self.world.evidence.post(form["fields"], body)

    @precondition(lambda self: self.said or self.events)
    @rule(which=whole, device=st.booleans())
    def heard_again(self, which: int, device: bool) -> None:
        """A device's message or an event of IoT Jobs, of any age, is delivered again."""
        if self.said and (device or not self.events):
            self.deliver(self.said[which % len(self.said)][1])
        else:
            event = self.events[which % len(self.events)]
            self.play(lambda: track(event, self.world.context))

    # --- people who delete things ---------------------------------------------------------------------------------

    @precondition(lambda self: self.steps > SOUND_STEPS)
    @rule(thing=st.sampled_from(PUMPS), what=st.sampled_from(("policy", "certificate", "thing", "stolen")))
    def misfortune(self, thing: str, what: str) -> None:
        """Somebody deletes a device's policy, its certificate or the device itself; or it is stolen."""
        member, world = self.book.members[thing], self.world
        member.honest = member.intact = False
        if what == "stolen":
            self.found(thing, (Source.GENERIC, "stolen"), world.clock())
        elif what == "policy":
            world.certificates.gone_policies.add(f"{thing}-policy")
            for stored in world.certificates.stored.values():
                stored.policies[:] = [name for name in stored.policies if name != f"{thing}-policy"]
        elif what == "certificate":
            certificate = member.device.certificate
            world.certificates.stored.pop(certificate, None)
            world.registry.attached[:] = [pair for pair in world.registry.attached if pair[0] != certificate]
        elif thing in world.registry.types:
            world.registry.delete_thing(thing)

    @precondition(lambda self: self.world.jobs.started)
    @rule(which=whole)
    def delete_job(self, which: int) -> None:
        """Somebody deletes a job. Everything is promised all the same."""
        started = list(self.world.jobs.started)
        self.world.jobs.delete(started[which % len(started)])
        self.play(lambda: None)

    # --- time and crashes -----------------------------------------------------------------------------------------

    @rule(wait=st.sampled_from(WAITS))
    def sweep(self, wait: timedelta) -> None:
        """Time passes, and the sweep runs."""
        self.play(lambda: self.world.sweep(after=wait))

    @rule(in_calls=st.integers(min_value=1, max_value=60), made_first=st.booleans())
    def crash_soon(self, in_calls: int, made_first: bool) -> None:
        """Let the running function die at one of the next calls; its message is delivered again."""
        self.book.wire.arm(in_calls, Fate.AFTER if made_first else Fate.BEFORE)

    # --- the end --------------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """Let all time pass, then check that everything has ended: no crash is left, nobody asks for anything more."""
        if not hasattr(self, "book"):
            return
        self.book.wire.disarm()
        self.let_the_campaign_end()
        for wait in (timedelta(hours=25), timedelta(hours=25), timedelta(days=8), timedelta(minutes=6)):
            self.sweep(wait)
        self.judge_campaigns()
        for thing, member in self.book.members.items():
            if member.honest:
                self.judge_rest(thing, member)
        for job in self.world.ledger.of_type("job"):
            if "due" in job:
                raise BrokenPromiseError(f"1: {job['job_id']} waits for ever")

    def let_the_campaign_end(self) -> None:
        """Let time pass until the devices asked have answered or are overdue; never wait without end."""
        if self.book.stopped:
            self.order({"command": "resume"})
        campaign = read_campaign(self.world.ledger)
        for _ in range(CAMPAIGN_DAYS):
            if campaign is None or (campaign.state is not CampaignState.RUNNING and campaign.out == 0):
                break
            self.sweep(timedelta(hours=25))
            self.sweep(timedelta(minutes=6))
            campaign = read_campaign(self.world.ledger)
        else:
            raise BrokenPromiseError(f"1: the campaign never ends: {campaign}")

    def judge_campaigns(self) -> None:
        """Nobody is left with a job that nobody ends, nor waiting in a campaign that is over."""
        campaign = read_campaign(self.world.ledger)
        finished = campaign.id if campaign is not None and campaign.state is CampaignState.FINISHED else ""
        for member in self.world.ledger.of_type("member"):
            waits = member["state"] == MemberState.WAITING and member["campaign"] == finished
            if waits or member["state"] == MemberState.SENT:
                raise BrokenPromiseError(f"1: {member['thing']} is {member['state']} for ever: {campaign}")

    def judge_rest(self, thing: str, member: Member) -> None:
        """After the grace a device has exactly one ACTIVE certificate, and one that it can use."""
        active = self.world.active_certificates(thing)
        if len(active) != 1 or active[0] not in (member.device.certificate, member.device.candidate):
            raise BrokenPromiseError(f"3: {thing} is left with {active}, uses {member.device.certificate}")
        excused = {name for each in self.book.members.values() if not each.intact for name in each.had}
        for certificate, stored in self.world.certificates.stored.items():
            alone = not self.world.registry.things_of(certificate)
            if stored.status == "ACTIVE" and alone and certificate not in excused:
                raise BrokenPromiseError(f"3: {certificate} is ACTIVE and belongs to no thing")


def test_an_older_finding_of_another_kind_after_a_release() -> None:
    """A course that is rare by chance: the kinds differ, so only the release itself excludes the old finding."""
    fleet = Fleet()
    fleet.begin("pump-1")
    before = fleet.world.clock()
    fleet.found("pump-1", (Source.GUARDDUTY, "UnauthorizedAccess"), before)
    fleet.order({"command": Decision.APPROVE, "case": fleet.cases[0].id})
    fleet.order({"command": Decision.RELEASE_KEEPING_CERTIFICATE, "case": fleet.cases[0].id})

    fleet.found("pump-1", (Source.DETECT, "aws:all-bytes-out"), before)

    assert fleet.cases[0].resolution == "released"
    assert fleet.world.refusals == ["before-release"]
    fleet.teardown()


TestFleet = Fleet.TestCase
TestFleet.settings = settings(
    max_examples=4000 if BIG else 75,
    stateful_step_count=80 if BIG else 40,
    deadline=None,
    derandomize=not BIG,
    database=None,
    print_blob=BIG,
    suppress_health_check=list(HealthCheck),
)
