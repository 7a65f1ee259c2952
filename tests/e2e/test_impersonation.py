"""A client that asks for what is not its own gets nothing, on a real broker with mutual TLS.

Two lines hold: the broker keeps a device to its own topics as long as its policy does, and the service asks the
registry, whatever a policy lets through. Each attack here says what it was answered, that its victim has what it had,
and what is on record.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from local_fleet.enrol import DEVICE_POLICY_NAME, AgentProcess, Device, enrol
from tests.e2e.rogue_clients import (
    Answer,
    Speaker,
    broker_keeps_from_listening,
    broker_refuses,
    enrolled_identity,
    evidence_of,
    fresh_request,
    let,
    speaking,
    upload,
    what_it_has,
)
from tests.e2e.stack_driver import Around, Stack
from tests.waiting import PATIENCE, until
from warden_agent.identity import Identity, identity_of, signing_request
from warden_agent.ports import ConnectError

REQUESTS = ("certificate/create", "certificate/confirm", "logs/create")
ANYTHING = {
    "iot:Connect": "client/*",
    "iot:Publish": "topic/*",
    "iot:Subscribe": "topicfilter/*",
    "iot:Receive": "topic/*",
}
MISLED_AT_MOST = 5
LOG = b"2026-11-22T10:00:00Z 7340032 bytes out to 203.0.113.9\n" * 20


@dataclass(frozen=True)
class Victim:
    """A device with a case, its own sessions, and the ids an impostor might know of it."""

    around: Around
    device: Device
    case: str

    @property
    def thing(self) -> str:
        return self.device.thing_name

    @property
    def has(self) -> dict[str, Any]:
        return what_it_has(self.around, self.thing)

    def job(self, action: str) -> str:
        """Wait for the case's job; return its id."""

        def sent() -> str:
            [case] = [case for case in self.around.cases_of(self.thing) if case["id"] == self.case]
            done = case["actions"].get(action, {})
            return str(done["job"]) if done.get("progress") == "started" else ""

        return until(sent, PATIENCE, what=f"the {action} job of {self.thing}")

    def begin(self, job: str) -> None:
        """Begin a job, as the victim itself does."""
        with session(self.device, self.around) as speaker:
            report(speaker, self.thing, job, "IN_PROGRESS")

    def complaints(self, code: str) -> list[dict[str, Any]]:
        return [step for step in self.around.timeline(self.case) if step["facts"].get("code") == code]

    def payload(self, request: str) -> dict[str, Any]:
        """What the device itself would ask with."""
        if request == "certificate/create":
            return {"csr": fresh_request(self.thing)[1]}
        return {"jobId": self.job("collect-logs"), "files": [announced(LOG)]} if request == "logs/create" else {}


def announced(content: bytes) -> dict[str, Any]:
    return {"name": "system", "bytes": len(content), "sha256": sha256(content).hexdigest()}


def topic_of(thing: str, request: str) -> str:
    return f"warden/{thing}/{request}"


def contain(around: Around, device: Device, kind: str = "impersonation") -> Victim:
    """Send an operator's finding about a device, which contains it."""
    before = {case["id"] for case in around.cases_of(device.thing_name)}
    around.ask(command="find", thing=device.thing_name, kind=kind, severity="high")

    def contained() -> str:
        cases = [case for case in around.cases_of(device.thing_name) if case["id"] not in before]
        return next((str(case["id"]) for case in cases if case["state"] == "contained"), "")

    return Victim(around, device, until(contained, PATIENCE, what=f"{device.thing_name} is contained"))


def released(victim: Victim) -> str:
    """Begin the victim's release; return the job of its rotation."""
    victim.around.ask(command="release", case=victim.case, why="checked on site")
    return victim.job("rotate-certificate")


def session(device: Device, around: Around, *, client: str = "") -> AbstractContextManager[Speaker]:
    """Connect with the certificate that a device was enrolled with, under its own name or another client id."""
    return speaking(around.aws, enrolled_identity(device), client or device.thing_name)


def mislead(around: Around, folder: Path, thief: Device, thing: str) -> tuple[Victim, dict[str, Any]] | None:
    """Answer a device's request in the service's place, and return the device and the end of its job.

    Returns nothing where the service's own answer reached the device first.
    """
    device = enrol(around.aws, thing, folder / thing.rpartition(":")[2], logs={"system": LOG})
    victim = contain(around, device)
    create, first = topic_of(thing, "certificate/create"), []
    with session(thief, around) as speaker:
        speaker.listen(create)
        speaker.listen(f"{create}/accepted")

        def forge() -> None:
            asked = speaker.hear(create)
            said = {"certificateId": thief.certificate_id, "certificatePem": enrolled_identity(thief).certificate_pem}
            speaker.say(f"{create}/accepted", {"clientToken": asked["clientToken"], **said})
            first.append(speaker.hear(f"{create}/accepted")["certificateId"])

        forger = Thread(target=forge)
        forger.start()
        with AgentProcess(around.aws, device) as agent:
            agent.await_event("connected", PATIENCE)
            ended = agent.await_event("job-ended", PATIENCE, jobId=released(victim))
        forger.join(PATIENCE)
    return (victim, ended) if first == [thief.certificate_id] else None


def report(speaker: Speaker, thing: str, job: str, status: str) -> None:
    """Report the status of a thing's job."""
    assert speaker.ask(f"$aws/things/{thing}/jobs/{job}/update", status=status).verdict == "accepted"


def refusals(around: Around, victim: str, code: str) -> int:
    """Count what is on record about a thing, refused for a reason."""
    return len(around.records("refusal", code=code, about=victim))


@pytest.fixture(scope="module")
def around(stack: Stack) -> Around:
    return Around(stack)


@pytest.fixture(autouse=True)
def _nothing_is_parked(around: Around) -> Iterator[None]:
    yield
    assert around.parked() == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("impersonation")


@pytest.fixture(scope="module")
def victim(around: Around, folder: Path) -> Victim:
    """A contained device that has begun to hand over its logs and to rotate its certificate: all there is to steal."""
    victim = contain(around, enrol(around.aws, "imp:dev10", folder / "dev10"))
    victim.begin(victim.job("collect-logs"))
    victim.begin(released(victim))
    return victim


@pytest.fixture(scope="module")
def waiting(around: Around, folder: Path) -> Victim:
    """A contained device that has not begun its job."""
    return contain(around, enrol(around.aws, "imp:waiting", folder / "waiting"))


@pytest.fixture(scope="module")
def neighbour(around: Around, folder: Path) -> Device:
    """An ordinary device of the fleet, whose name is the beginning of the victim's."""
    return enrol(around.aws, "imp:dev1", folder / "dev1")


@pytest.fixture(scope="module")
def thief(around: Around, folder: Path) -> Device:
    """A device whose policy, by its owner's carelessness, allows anything."""
    device = enrol(around.aws, "imp:thief", folder / "thief")
    let(around, device.certificate_id, name="imp-anything", resources=ANYTHING)
    return device


def refused_on_record(answer: Answer, code: str, certificate: str, victim: Victim, before: int) -> None:
    """Hold that the answer says why, and that it is on record and on the case, with the certificate that was used."""
    assert (answer.verdict, answer.code) == ("rejected", code)
    assert refusals(victim.around, victim.thing, code) == before + 1
    assert certificate[:12] in {step["who"].removeprefix("certificate ") for step in victim.complaints(code)}


class TestAnotherDevicesTopics:
    @pytest.mark.parametrize("request_", REQUESTS)
    def test_the_broker_keeps_a_device_to_its_own(
        self, around: Around, victim: Victim, neighbour: Device, request_: str
    ) -> None:
        before, topic = victim.has, topic_of(victim.thing, request_)

        with session(neighbour, around) as speaker:
            assert broker_refuses(speaker, topic, **victim.payload(request_))
        with session(neighbour, around) as speaker:
            assert broker_keeps_from_listening(speaker, f"{topic}/accepted")

        assert victim.has == before

    @pytest.mark.parametrize("request_", REQUESTS)
    def test_the_service_does_where_a_policy_does_not(
        self, around: Around, victim: Victim, thief: Device, request_: str
    ) -> None:
        before, known = victim.has, refusals(around, victim.thing, "not-yours")

        with session(thief, around) as speaker:
            answer = speaker.ask(topic_of(victim.thing, request_), **victim.payload(request_))

        refused_on_record(answer, "not-yours", thief.certificate_id, victim, known)
        assert victim.has == before


class TestTheNameOfOneBeginsTheNameOfAnother:
    def test_the_broker_takes_dev1_for_dev1_only(self, around: Around, victim: Victim, neighbour: Device) -> None:
        before = victim.has

        with pytest.raises(ConnectError, match="NOT_AUTHORIZED"), session(neighbour, around, client=victim.thing):
            pass

        assert victim.thing.startswith(neighbour.thing_name)
        assert victim.has == before

    @pytest.mark.parametrize("client", ["imp:dev1", "imp:dev10"])
    def test_the_service_does_where_a_policy_ends_in_a_star(
        self, around: Around, victim: Victim, neighbour: Device, client: str
    ) -> None:
        mine = {
            "iot:Connect": "client/imp:dev1*",
            "iot:Publish": "topic/warden/imp:dev1*",
            "iot:Subscribe": "topicfilter/warden/imp:dev1*",
            "iot:Receive": "topic/warden/imp:dev1*",
        }
        let(around, neighbour.certificate_id, name=f"star-{client.replace(':', '-')}", resources=mine)
        before = victim.has

        with session(neighbour, around, client=client) as speaker:
            for request in REQUESTS:
                known = refusals(around, victim.thing, "not-yours")
                answer = speaker.ask(topic_of(victim.thing, request), **victim.payload(request))
                refused_on_record(answer, "not-yours", neighbour.certificate_id, victim, known)

        assert victim.has == before


class TestCertificatesThatAreNotInUse:
    @pytest.fixture
    def other(self, around: Around, victim: Victim, folder: Path, request: pytest.FixtureRequest) -> Device:
        """A certificate of the victim's besides the one that it uses, with a key that a thief holds."""
        name = request.node.name.removeprefix("test_")
        device = enrol(around.aws, f"imp:{name}"[:40], folder / name)
        around.iot.detach_thing_principal(thingName=device.thing_name, principal=device.certificate_arn)
        around.iot.attach_thing_principal(thingName=victim.thing, principal=device.certificate_arn)
        return device

    def test_a_detached_one_opens_nothing(self, around: Around, victim: Victim, other: Device) -> None:
        around.iot.detach_thing_principal(thingName=victim.thing, principal=other.certificate_arn)
        before = victim.has

        with pytest.raises(ConnectError, match="NOT_AUTHORIZED"), session(other, around, client=victim.thing):
            pass
        let(around, other.certificate_id, name="imp-detached", resources=ANYTHING)
        with session(other, around, client=victim.thing) as speaker:
            for request in REQUESTS:
                known = refusals(around, victim.thing, "not-yours")
                answer = speaker.ask(topic_of(victim.thing, request), **victim.payload(request))
                refused_on_record(answer, "not-yours", other.certificate_id, victim, known)

        assert victim.has == before

    def test_an_inactive_one_connects_nowhere(self, around: Around, victim: Victim, other: Device) -> None:
        around.iot.update_certificate(certificateId=other.certificate_id, newStatus="INACTIVE")
        before = victim.has

        with pytest.raises(ConnectError), session(other, around, client=victim.thing):
            pass

        assert before["certificates"][other.certificate_id] == "INACTIVE"
        assert victim.has == before
        around.iot.detach_thing_principal(thingName=victim.thing, principal=other.certificate_arn)

    def test_one_set_inactive_while_it_is_connected_is_given_nothing_more(self, around: Around, victim: Victim) -> None:
        device, codes = victim.device, []
        with session(device, around) as speaker:
            payloads = {request: victim.payload(request) for request in REQUESTS}
            around.iot.update_certificate(certificateId=device.certificate_id, newStatus="INACTIVE")
            before = victim.has
            try:
                for request in REQUESTS:
                    answer = speaker.ask(topic_of(victim.thing, request), **payloads[request])
                    codes.append(answer.code)
            finally:
                around.iot.update_certificate(certificateId=device.certificate_id, newStatus="ACTIVE")

        assert codes == ["not-active"] * 3
        assert len(victim.complaints("not-active")) == 3
        assert refusals(around, victim.thing, "not-active") == 3
        before["certificates"][device.certificate_id] = "ACTIVE"
        assert victim.has == before


class TestRequestsWithoutAJob:
    @pytest.mark.parametrize("request_", REQUESTS)
    def test_a_device_of_no_case_is_given_nothing(
        self, around: Around, victim: Victim, folder: Path, request_: str
    ) -> None:
        device = enrol(around.aws, f"imp:idle-{request_.replace('/', '-')}", folder / request_)
        payload = victim.payload(request_)
        before, theirs = what_it_has(around, device.thing_name), victim.has

        with session(device, around) as speaker:
            answer = speaker.ask(topic_of(device.thing_name, request_), **payload)

        assert (answer.verdict, answer.code) == ("rejected", "no-job")
        assert refusals(around, device.thing_name, "no-job") == 1
        assert what_it_has(around, device.thing_name) == before
        assert (before["cases"], victim.has) == ([], theirs)

    def test_a_job_that_has_not_begun_gives_nothing(self, around: Around, waiting: Victim) -> None:
        def asks(request: str) -> None:
            before, known = waiting.has, refusals(around, waiting.thing, "no-job")
            with session(waiting.device, around) as speaker:
                answer = speaker.ask(topic_of(waiting.thing, request), **waiting.payload(request))
            refused_on_record(answer, "no-job", waiting.device.certificate_id, waiting, known)
            assert waiting.has == before

        asks("logs/create")
        job = released(waiting)
        assert waiting.has["jobs"][job] == "QUEUED"
        asks("certificate/create")

    def test_another_devices_job_gives_no_upload(self, around: Around, victim: Victim, waiting: Victim) -> None:
        before, theirs, known = waiting.has, victim.has, refusals(around, waiting.thing, "no-job")

        with session(waiting.device, around) as speaker:
            job = victim.job("collect-logs")
            answer = speaker.ask(topic_of(waiting.thing, "logs/create"), jobId=job, files=[announced(LOG)])

        refused_on_record(answer, "no-job", waiting.device.certificate_id, waiting, known)
        assert (waiting.has, victim.has) == (before, theirs)


class TestConfirmations:
    def test_only_over_the_new_certificate(self, around: Around, victim: Victim, thief: Device) -> None:
        topic = topic_of(victim.thing, "certificate/confirm")
        with session(victim.device, around) as speaker:
            issued = speaker.ask(topic_of(victim.thing, "certificate/create"), **victim.payload("certificate/create"))
            assert issued.verdict == "accepted"
            before, known = victim.has, refusals(around, victim.thing, "not-the-new-certificate")
            over_the_old = speaker.ask(topic)
        refused_on_record(over_the_old, "not-the-new-certificate", victim.device.certificate_id, victim, known)
        with session(thief, around) as speaker:
            known = refusals(around, victim.thing, "not-yours")
            over_anothers = speaker.ask(topic)
        refused_on_record(over_anothers, "not-yours", thief.certificate_id, victim, known)

        assert before["certificates"] == {
            victim.device.certificate_id: "ACTIVE",
            issued.body["certificateId"]: "ACTIVE",
        }
        assert before["rotation"][0]["state"] == "issued"
        assert victim.has == before


@dataclass(frozen=True)
class Renewed:
    """A device that has rotated once: what it asked with then, and both its identities."""

    victim: Victim
    csr: str
    answers: list[Answer]
    retired: Identity
    now: Identity

    def asks(self, request: str, **payload: Any) -> Answer:
        with speaking(self.victim.around.aws, self.now, self.victim.thing) as speaker:
            return speaker.ask(topic_of(self.victim.thing, request), **payload)


@pytest.fixture(scope="module")
def renewed(around: Around, folder: Path) -> Renewed:
    device = enrol(around.aws, "imp:renewed", folder / "renewed")
    victim, thing = contain(around, device), device.thing_name
    job = released(victim)
    key, csr = fresh_request(thing)
    with session(device, around) as speaker:
        report(speaker, thing, job, "IN_PROGRESS")
        answers = [speaker.ask(topic_of(thing, "certificate/create"), csr=csr) for _ in range(2)]
    now = identity_of(answers[0].body["certificatePem"], key)
    with speaking(around.aws, now, thing) as speaker:
        answers.append(speaker.ask(topic_of(thing, "certificate/confirm")))
        report(speaker, thing, job, "SUCCEEDED")
    until(lambda: around.cases_of(thing)[0]["state"] == "closed", PATIENCE, what="it is released")
    return Renewed(victim, csr, answers, enrolled_identity(device), now)


@pytest.fixture(scope="module")
def rotating_again(around: Around, renewed: Renewed) -> Victim:
    """The same device, contained again and in its second rotation."""
    again = contain(around, renewed.victim.device, kind="again")
    job = released(again)
    with speaking(around.aws, renewed.now, again.thing) as speaker:
        report(speaker, again.thing, job, "IN_PROGRESS")
    return again


class TestReplays:
    def test_within_its_rotation_a_request_has_one_answer_and_after_its_end_none(
        self, around: Around, renewed: Renewed
    ) -> None:
        victim, before = renewed.victim, renewed.victim.has

        assert [answer.verdict for answer in renewed.answers] == ["accepted"] * 3
        assert renewed.answers[1].body["certificateId"] == renewed.now.certificate_id
        again = renewed.asks("certificate/create", csr=renewed.csr)
        refused_on_record(again, "no-job", renewed.now.certificate_id, victim, 0)
        assert renewed.asks("certificate/confirm").verdict == "accepted"
        with pytest.raises(ConnectError), session(victim.device, around):
            pass

        assert before["certificates"] == {renewed.now.certificate_id: "ACTIVE"}
        assert (victim.has, before["rotation"][0]["state"]) == (before, "finished")

    def test_the_request_of_the_rotation_before_is_refused(self, renewed: Renewed, rotating_again: Victim) -> None:
        before = rotating_again.has

        answer = renewed.asks("certificate/create", csr=renewed.csr)

        refused_on_record(answer, "csr-known-key", renewed.now.certificate_id, rotating_again, 0)
        assert rotating_again.has == before

    def test_the_key_of_a_certificate_retired_before_is_refused(self, renewed: Renewed, rotating_again: Victim) -> None:
        before, known = rotating_again.has, refusals(rotating_again.around, rotating_again.thing, "csr-known-key")

        answer = renewed.asks("certificate/create", csr=signing_request(renewed.retired.key_pem, rotating_again.thing))

        refused_on_record(answer, "csr-known-key", renewed.now.certificate_id, rotating_again, known)
        assert rotating_again.has == before

    def test_an_answer_made_up_by_another_gives_a_device_no_certificate_of_theirs(
        self, around: Around, folder: Path, thief: Device
    ) -> None:
        # Where the service was faster, as it may be on a loaded machine, nothing was forged: another device is misled.
        tries = (mislead(around, folder, thief, f"imp:misled-{number}") for number in range(MISLED_AT_MOST))
        victim, ended = next(each for each in tries if each is not None)
        device = victim.device

        assert ended["status"] == "FAILED"
        assert "the certificate was not made for this private key" in ended["details"]["reason"]
        until(
            lambda: [step for step in around.timeline(victim.case) if step["kind"] == "release-not-made"],
            what="the release is not made",
        )
        until(  # the end of the job may overtake the request, which is then refused
            lambda: (
                around.records("rotation", thing=device.thing_name, state="rolled-back")
                or refusals(around, device.thing_name, "no-job")
            ),
            what="the request is answered and taken back, or refused",
        )
        assert around.certificates_of(device.thing_name) == {device.certificate_id: "ACTIVE"}
        assert around.policies_of(device.certificate_id) == [around.outputs["RestrictedPolicyName"]]
        assert around.certificates_of(thief.thing_name) == {thief.certificate_id: "ACTIVE"}


class TestASharedCertificate:
    def test_one_of_its_things_moves_off_it_and_the_other_keeps_what_it_had(self, around: Around, folder: Path) -> None:
        device, other = enrol(around.aws, "imp:shared-1", folder / "shared-1"), "imp:shared-2"
        shared = device.certificate_id
        around.iot.create_thing(thingName=other)
        around.iot.attach_thing_principal(thingName=other, principal=device.certificate_arn)
        free = what_it_has(around, other)
        victim = contain(around, device)
        job = released(victim)
        victim.begin(job)
        before = what_it_has(around, other)
        key, csr = fresh_request(device.thing_name)

        # The other thing has no job: over the same certificate, but on its own topic, nothing is to be had.
        with session(device, around, client=other) as speaker:
            answer = speaker.ask(topic_of(other, "certificate/create"), csr=csr)
            assert (answer.verdict, answer.code) == ("rejected", "no-job")
        assert refusals(around, other, "no-job") == 1
        # Under the other's name, the broker keeps it from the topic of the one that has.
        with session(device, around, client=other) as speaker:
            assert broker_refuses(speaker, topic_of(device.thing_name, "certificate/create"), csr=csr)
        assert what_it_has(around, other) == before

        with session(device, around) as speaker:
            issued = speaker.ask(topic_of(device.thing_name, "certificate/create"), csr=csr)
        renewed = identity_of(issued.body["certificatePem"], key)
        assert what_it_has(around, other) == before
        # The new certificate is for one thing only.
        with pytest.raises(ConnectError, match="NOT_AUTHORIZED"), speaking(around.aws, renewed, other):
            pass
        with speaking(around.aws, renewed, device.thing_name) as speaker:
            assert speaker.ask(topic_of(device.thing_name, "certificate/confirm")).verdict == "accepted"
            report(speaker, device.thing_name, job, "SUCCEEDED")
        until(lambda: around.cases_of(device.thing_name)[0]["state"] == "closed", PATIENCE, what="it is released")

        assert around.certificates_of(device.thing_name) == {renewed.certificate_id: "ACTIVE"}
        assert what_it_has(around, other) == free
        assert free["policies"] == {shared: [DEVICE_POLICY_NAME]}


class TestUploads:
    @pytest.fixture
    def form(self, around: Around, victim: Victim) -> dict[str, Any]:
        """The form for the victim's own log."""
        with session(victim.device, around) as speaker:
            answer = speaker.ask(topic_of(victim.thing, "logs/create"), **victim.payload("logs/create"))
        assert answer.verdict == "accepted"
        [form] = answer.body["uploads"]
        return dict(form)

    def test_a_form_is_for_its_own_case_and_name(self, around: Around, victim: Victim, form: dict[str, Any]) -> None:
        before, key = victim.has, form["fields"]["key"]

        for other in (key.replace(victim.case, "000000000000-1"), f"{key}x", f"../{key}", "cases/evil"):
            assert upload(form, LOG, key=other).status_code == 403

        assert key.startswith(f"cases/{victim.case}/")
        assert evidence_of(around, "") == evidence_of(around, victim.case) == []
        assert victim.has == before

    @pytest.mark.parametrize("content", [LOG + b"!", LOG[:-1], b""], ids=["larger", "smaller", "empty"])
    def test_a_form_is_for_the_declared_size(
        self, around: Around, victim: Victim, form: dict[str, Any], content: bytes
    ) -> None:
        before = victim.has

        answer = upload(form, content)

        assert (answer.status_code, "EntityToo" in answer.text) == (400, True)
        assert evidence_of(around, victim.case) == []
        assert victim.has == before

    def test_other_files_than_announced_are_not_announced_again(
        self, around: Around, victim: Victim, form: dict[str, Any]
    ) -> None:
        assert form["name"] == "system"
        before, known = victim.has, refusals(around, victim.thing, "files-changed")

        with session(victim.device, around) as speaker:
            files = [announced(b"something more pleasant")]
            answer = speaker.ask(topic_of(victim.thing, "logs/create"), jobId=victim.job("collect-logs"), files=files)

        refused_on_record(answer, "files-changed", victim.device.certificate_id, victim, known)
        assert victim.has == before

    def test_another_file_than_declared_is_no_evidence(
        self, around: Around, victim: Victim, form: dict[str, Any]
    ) -> None:
        job, lie = victim.job("collect-logs"), LOG.replace(b"203.0.113.9", b"198.51.100.")
        assert len(lie) == len(LOG)

        # The form names the sha256 that was declared. S3 refuses another file; MiniStack takes it.
        answer = upload(form, lie)
        assert (answer.status_code, len(evidence_of(around, victim.case))) in ((400, 0), (204, 1))
        with session(victim.device, around) as speaker:
            report(speaker, victim.thing, job, "SUCCEEDED")

        def judged() -> dict[str, Any] | None:
            [case] = around.cases_of(victim.thing)
            action = dict(case["actions"]["collect-logs"])
            return action if action["progress"] in ("done", "failed") else None

        judgement = until(judged, PATIENCE, what="the collection is judged")
        assert judgement is not None
        assert judgement["progress"] == "failed"
        assert "not in the bucket as announced: system" in judgement["detail"]
