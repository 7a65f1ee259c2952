"""The agent between jobs: connections, notices, telemetry, and what a job may look like."""

import io
import json
import random
from pathlib import Path

import pytest
from cryptography import x509

from tests.conftest import ROOT
from tests.device.fakes import (
    THING,
    FakeClock,
    FakeCloud,
    FakeJob,
    FakeJournal,
    FakeSession,
    Fate,
    Idle,
    PowerCut,
    World,
    a_token,
)
from warden_agent.exchange import Exchange, Topics
from warden_agent.identity import KeyAlgorithm, new_key, signing_request
from warden_agent.jobs import fit_for_job
from warden_agent.journal import LineJournal
from warden_agent.ports import ConnectionLostError, Message, NotAuthorizedError
from warden_agent.telemetry import LONGEST_PAUSE_SECONDS, Telemetry
from warden_agent.timing import Backoff


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestConnections:
    def test_without_a_network_it_tries_for_ever_and_slower(self, world: World) -> None:
        world.cloud.outage = 1000

        world.live()

        waits = [line["retrySeconds"] for line in world.journal.named("connect-failed")]
        assert len(waits) == 1000
        assert waits[0] <= 1
        assert 30 <= min(waits[10:]) <= max(waits) <= 60

    def test_a_refused_certificate_is_tried_for_ever_too(self, world: World) -> None:
        world.cloud.active.clear()

        with pytest.raises(PowerCut):
            world.live(Fate(when=lambda: len(world.dialled) >= 500))

        assert len(world.journal.named("connect-failed")) == 500

    def test_says_which_certificate_connected(self, world: World) -> None:
        world.live()

        assert world.journal.named("connected") == [
            {"event": "connected", "certificateId": world.cloud.first.certificate_id}
        ]

    def test_a_connection_that_never_lasts_is_not_made_in_a_hot_loop(self, world: World) -> None:
        world.cloud.kicks = 50

        world.live()

        waits = [line["retrySeconds"] for line in world.journal.named("connection-lost")]
        assert len(waits) == 50
        assert min(waits[10:]) >= 30


class TestJobs:
    @pytest.mark.parametrize(
        ("document", "reason"),
        [
            ({}, "no 'warden' block"),
            ({"warden": "rotate"}, "no 'warden' block"),
            ({"warden": {"operation": "format-disk", "jobId": "job-1"}}, "unknown operation 'format-disk'"),
            ({"warden": {"jobId": "job-1"}}, "unknown operation None"),
            ({"warden": {"operation": "collect-logs", "jobId": "job-2"}}, "written for another job"),
            ({"warden": {"operation": "rotate-certificate", "jobId": "job-1", "keyAlgorithm": "DSA"}}, "keyAlgorithm"),
            ({"warden": {"operation": ["x"], "jobId": "job-1"}}, "unknown operation"),
        ],
    )
    def test_rejects_what_it_does_not_know_and_says_why(
        self, world: World, document: dict[str, object], reason: str
    ) -> None:
        world.cloud.jobs.append(FakeJob("job-1", document))

        world.live()

        assert world.cloud.jobs[0].status == "REJECTED"
        assert reason in world.cloud.jobs[0].details["reason"]

    def test_runs_all_that_wait_one_after_the_other(self, world: World) -> None:
        jobs = [world.cloud.order("rotate-certificate", f"job-{number}") for number in range(3)]

        world.live()

        assert [job.status for job in jobs] == ["SUCCEEDED"] * 3
        assert len(world.cloud.issued) == 3

    def test_an_end_that_is_not_taken_is_told_and_forgotten(self, world: World) -> None:
        job = world.cloud.order("rotate-certificate")

        def cancelled_while_offline() -> BaseException:
            job.status = "CANCELED"
            return ConnectionLostError("the cable was pulled")

        world.live(Fate(when=lambda: bool(world.cloud.confirmed), ending=cancelled_while_offline))

        assert world.journal.named("job-ended")[0]["notTaken"] == "InvalidStateTransition: it has ended"
        assert world.disk.state.rotation is None

    def test_details_that_aws_refuses_do_not_keep_a_job_open(self, world: World) -> None:
        world.cloud.jobs.append(FakeJob("job-1", {}))
        world.cloud.instead["update"] = [("rejected", {"code": "InvalidRequest", "message": "details"})]

        world.live()

        assert (world.cloud.jobs[0].status, world.cloud.jobs[0].details) == ("REJECTED", {})

    def test_a_job_whose_end_is_never_taken_is_not_run_in_a_hot_loop(self, world: World) -> None:
        world.cloud.jobs.append(FakeJob("job-1", {}))
        world.cloud.instead["update"] = [("rejected", {"code": "VersionMismatch", "message": "no"})] * 20

        world.live()

        assert world.clock.seconds >= 20

    def test_a_notice_that_overtakes_the_answer_it_makes_stale_is_not_forgotten(self, world: World) -> None:
        session = FakeSession(world.cloud, world.cloud.first, Fate(), world.clock)
        exchange = Exchange(session, Topics(THING), world.clock, a_token)
        exchange.open()
        session.inbox.append(Message(Topics(THING).notify_next, b"{}"))
        exchange.ask(Topics(THING).jobs("start-next"), {})

        exchange.wait_for_notice(900)  # would be idle, and say so, had it forgotten

        with pytest.raises(Idle):
            exchange.wait_for_notice(900)

    @pytest.mark.parametrize("execution", [None, 3, {}, {"jobId": 3}, {"jobId": "job-1", "executionNumber": "x"}])
    def test_an_execution_that_makes_no_sense_is_none(self, world: World, execution: object) -> None:
        world.cloud.instead["start-next"] = [("accepted", {"execution": execution})]

        world.live()

        assert world.journal.named("job-started") == []

    def test_a_request_whose_job_is_gone_is_forgotten_with_its_key(self, world: World) -> None:
        job = world.cloud.order("rotate-certificate")
        world.cloud.lose = lambda topic: topic.endswith("/create")
        seen = Fate(when=lambda: bool(world.cloud.asked("/create")), ending=KeyboardInterrupt)
        with pytest.raises(KeyboardInterrupt):
            world.live(seen)
        assert world.disk.state.rotation is not None
        job.status = "CANCELED"

        world.live()

        assert world.disk.state.rotation is None

    def test_details_fit_what_aws_takes(self) -> None:
        details = fit_for_job({f"key{number}": "a\x00b\n\u200bc" + "x" * 2000 for number in range(20)})

        assert len(details) == 10
        assert details["key0"].startswith("a b  cx")
        assert {len(value) for value in details.values()} == {1024}
        assert fit_for_job({"empty": ""}) == {"empty": "-"}


class SessionThatAnswers(FakeSession):
    """A session whose publishes end as the test says."""

    def __init__(self, answers: list[Exception | None]) -> None:
        cloud = FakeCloud()
        super().__init__(cloud, cloud.first, Fate(), FakeClock())
        self.answers = answers
        self.published: list[dict[str, object]] = []

    def publish(self, topic: str, payload: bytes) -> None:
        self.published.append({"topic": topic, **json.loads(payload)})
        if (answer := self.answers.pop(0)) is not None:
            raise answer


class TestTelemetry:
    def test_counts_what_it_sends_and_says_when(self) -> None:
        session, journal = SessionThatAnswers([None, None]), FakeJournal()
        telemetry = Telemetry("telemetry/pump-3", 60, journal, FakeClock())
        telemetry.use(session)

        pauses = [telemetry.publish_once(), telemetry.publish_once()]

        assert pauses == [60, 60]
        assert session.published[1] == {
            "topic": "telemetry/pump-3",
            "sequence": 2,
            "time": "2026-11-23T00:00:00.000+00:00",
        }
        assert [line["sequence"] for line in journal.named("telemetry-accepted")] == [1, 2]

    def test_a_refusal_is_reported_and_tried_again_at_the_usual_time(self) -> None:
        journal = FakeJournal()
        telemetry = Telemetry("telemetry/pump-3", 60, journal, FakeClock())
        telemetry.use(SessionThatAnswers([NotAuthorizedError("Not authorized (135)")]))

        assert telemetry.publish_once() == 60
        assert journal.named("telemetry-refused")[0]["reason"] == "Not authorized (135)"

    def test_a_broker_that_hangs_up_on_telemetry_is_not_asked_at_the_usual_rate(self) -> None:
        """Else a restricted device's telemetry would cut off its own jobs, once a minute."""
        lost = ConnectionLostError("NOT_AUTHORIZED")
        telemetry = Telemetry("telemetry/pump-3", 60, FakeJournal(), FakeClock())
        telemetry.use(SessionThatAnswers([lost, lost, *[lost] * 60, None]))

        pauses = [telemetry.publish_once() for _ in range(63)]

        assert pauses[:2] == [120, 240]
        assert pauses[61] == LONGEST_PAUSE_SECONDS
        assert pauses[62] == 60, "once it is let again, the usual rate is back"

    def test_without_a_connection_it_waits(self) -> None:
        journal = FakeJournal()

        assert Telemetry("telemetry/pump-3", 60, journal, FakeClock()).publish_once() == 60
        assert journal.lines == []


class TestTheRest:
    def test_the_journal_writes_one_json_object_a_line(self) -> None:
        stream = io.StringIO()
        journal = LineJournal(stream, FakeClock(), "pump-3")
        journal.record("connected", certificateId="ab\ncd")

        assert stream.getvalue().count("\n") == 1
        assert json.loads(stream.getvalue()) == {
            "event": "connected",
            "at": "2026-11-23T00:00:00.000+00:00",
            "thing": "pump-3",
            "certificateId": "ab\ncd",
        }

    def test_back_off_doubles_up_to_its_bound_with_jitter(self) -> None:
        backoff = Backoff(1, 60, random.Random(1))  # noqa: S311  not for secrets
        delays = [backoff.next_delay() for _ in range(2000)]

        assert 0.5 <= delays[0] <= 1
        assert 4 <= delays[3] <= 8
        assert 30 <= min(delays[10:]) < max(delays) <= 60
        assert len(set(delays)) == 2000

    def test_a_subscription_has_no_more_filters_than_aws_takes(self) -> None:
        assert max(len(group) for group in Topics(THING).filters) <= 8

    @pytest.mark.parametrize("algorithm", list(KeyAlgorithm))
    def test_a_signing_request_is_signed_and_its_name_is_not_too_long(self, algorithm: KeyAlgorithm) -> None:
        request = x509.load_pem_x509_csr(signing_request(new_key(algorithm), "p" * 128).encode())

        assert request.is_signature_valid
        assert request.subject.rfc4514_string() == "CN=" + "p" * 64

    def test_the_policy_is_short_enough_and_speaks_of_the_thing_alone(self) -> None:
        document = json.loads((ROOT / "device" / "device-policy.json").read_text())
        resources = [
            resource
            for statement in document["Statement"]
            for resource in (
                statement["Resource"] if isinstance(statement["Resource"], list) else [statement["Resource"]]
            )
        ]

        assert len(json.dumps(document, separators=(",", ":"))) < 2048  # what AWS IoT takes, less white space
        assert all("${iot:Connection.Thing.ThingName}" in resource for resource in resources)
