"""The rotation, with the power, the network and the answers failing at every single point of it."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from tests.device.fakes import THING, Fate, PowerCut, World, a_token
from warden.plan.renewal_terms import KEY_ALGORITHMS
from warden_agent.identity import KeyAlgorithm
from warden_agent.ports import ConnectionLostError
from warden_agent.rotation import MAX_ASKS, MAX_REFUSED_DIALS

CREATE = f"warden/{THING}/certificate/create"
# As many as one undisturbed rotation passes; the first test fails when this is no longer so.
INSTANTS = 34


@pytest.fixture(name="world")
def _world(tmp_path: Path) -> World:
    return World(tmp_path)


def a_lost_connection() -> ConnectionLostError:
    return ConnectionLostError("the cable was pulled")


def requested(world: World) -> Fate:
    return Fate(when=lambda: bool(world.cloud.issued) and world.disk.state.candidate is None)


def installed(world: World) -> Fate:
    return Fate(when=lambda: world.disk.state.candidate is not None)


def assert_rotated(world: World) -> None:
    identity = world.disk.state.identity
    assert [job.status for job in world.cloud.jobs] == ["SUCCEEDED"]
    assert world.cloud.active == {identity.certificate_id}, "exactly one certificate is active, the device's"
    assert identity != world.cloud.first
    assert len(world.cloud.issued) == 1, "no certificate was made in vain"
    assert len({str(request) for request in world.cloud.asked("/confirm")}) == 1, "asking again is the same request"
    assert (world.disk.state.fallback, world.disk.state.rotation) == (None, None), "no other key is left"


def assert_as_before(world: World) -> None:
    assert world.cloud.active == {world.cloud.first.certificate_id}
    assert world.disk.state.identity == world.cloud.first
    assert world.disk.state.rotation is None


def test_an_undisturbed_rotation_has_as_many_instants_as_the_tests_below_disturb(world: World) -> None:
    world.cloud.order("rotate-certificate")

    assert world.live().passed == INSTANTS
    assert_rotated(world)


@pytest.mark.parametrize("instant", range(1, INSTANTS + 1))
def test_a_power_cut_at_any_instant_changes_nothing_in_the_end(world: World, instant: int) -> None:
    world.cloud.order("rotate-certificate")

    with pytest.raises(PowerCut):
        world.live(Fate(at=instant))
    world.live()

    assert_rotated(world)


@pytest.mark.parametrize("instant", range(1, INSTANTS + 1))
@pytest.mark.parametrize("second", range(1, INSTANTS + 1, 4))
def test_a_power_cut_in_the_life_after_a_power_cut_changes_nothing_either(
    world: World, instant: int, second: int
) -> None:
    world.cloud.order("rotate-certificate")

    with pytest.raises(PowerCut):
        world.live(Fate(at=instant))
    world.live_through(Fate(at=second))

    assert_rotated(world)


@pytest.mark.parametrize("instant", range(1, 12))
def test_dying_again_and_again_at_the_same_point_ends_with_one_identity_that_works(world: World, instant: int) -> None:
    world.cloud.order("rotate-certificate")

    for _ in range(3 * MAX_ASKS):
        try:
            world.live(Fate(at=instant))
        except PowerCut:
            continue
    world.live()

    assert world.cloud.active == {world.disk.state.identity.certificate_id}
    assert not world.cloud.jobs[0].open


@pytest.mark.parametrize("instant", range(1, INSTANTS + 1))
def test_a_connection_lost_at_any_instant_changes_nothing_in_the_end(world: World, instant: int) -> None:
    world.cloud.order("rotate-certificate")

    world.live_through(Fate(at=instant, ending=a_lost_connection))

    assert_rotated(world)


@pytest.mark.parametrize("request_topic", ["start-next", "create", "confirm", "update"])
def test_an_answer_that_is_lost_is_asked_for_again(world: World, request_topic: str) -> None:
    world.cloud.order("rotate-certificate")
    lost: list[str] = []

    def lose_the_first(topic: str) -> bool:
        if topic.endswith(f"/{request_topic}") and not lost:
            lost.append(topic)
            return True
        return False

    world.cloud.lose = lose_the_first
    world.live()

    assert lost
    assert_rotated(world)


def test_every_answer_may_come_three_times(world: World) -> None:
    world.cloud.copies = 3
    world.cloud.order("rotate-certificate")

    world.live()

    assert_rotated(world)
    assert len(world.cloud.asked("/update")) == 1


def test_the_same_request_is_sent_after_a_restart(world: World) -> None:
    world.cloud.order("rotate-certificate")
    world.cloud.lose = lambda topic: topic == CREATE

    with pytest.raises(PowerCut):
        world.live(requested(world))
    world.cloud.lose = lambda _topic: False
    world.live()

    first, *others = world.cloud.asked("/certificate/create")
    assert others
    assert all(other == first for other in others)


KINDS_OF_KEYS = {
    "EC_P256": "secp256r1",
    "EC_P384": "secp384r1",
    "RSA_2048": "RSA 2048",
    "RSA_3072": "RSA 3072",
    "RSA_4096": "RSA 4096",
}


@pytest.mark.parametrize("algorithm", [None, *KINDS_OF_KEYS])
def test_the_request_is_for_a_key_of_the_kind_the_job_names(world: World, algorithm: str | None) -> None:
    world.cloud.order("rotate-certificate", **({"keyAlgorithm": algorithm} if algorithm else {}))

    world.live()

    assert_rotated(world)
    assert kind_of_key(world.cloud.asked("/create")[0]["csr"]) == KINDS_OF_KEYS[algorithm or "EC_P256"]


def test_every_kind_of_key_that_a_plan_may_ask_for_is_made() -> None:
    assert list(KINDS_OF_KEYS) == list(KeyAlgorithm) == list(KEY_ALGORITHMS)


@pytest.mark.parametrize("algorithm", ["EC_P521", "RSA_1024", "ec_p256", "", 2048, None, ["EC_P256"], {}])
def test_a_kind_of_key_that_it_does_not_make_is_rejected_and_nothing_changes(world: World, algorithm: object) -> None:
    job = world.cloud.order("rotate-certificate")
    job.document["warden"]["keyAlgorithm"] = algorithm

    world.live()

    assert_as_before(world)
    assert (job.status, job.details) == ("REJECTED", {"reason": f"unknown keyAlgorithm {algorithm!r}"})
    assert world.cloud.asked("/create") == []


def kind_of_key(csr: str) -> str:
    key = x509.load_pem_x509_csr(csr.encode()).public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.curve.name


class TestGoingBack:
    def test_a_certificate_that_cannot_connect_is_tried_a_bounded_number_of_times(self, world: World) -> None:
        world.cloud.activate_new = False
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert job.status == "FAILED"
        assert "cannot connect" in job.details["reason"]
        assert len(world.journal.named("connect-failed")) == MAX_REFUSED_DIALS

    def test_a_power_cut_at_every_try_does_not_make_it_try_for_ever(self, world: World) -> None:
        world.cloud.activate_new = False
        job = world.cloud.order("rotate-certificate")

        for _ in range(5 * MAX_REFUSED_DIALS):
            try:
                world.live(Fate(when=lambda: "connect-failed" in str(world.journal.lines[-1:])))
            except PowerCut:
                continue
        world.live()

        assert_as_before(world)
        assert job.status == "FAILED"

    def test_a_dead_network_is_no_reason_to_give_up_the_new_certificate(self, world: World) -> None:
        world.cloud.order("rotate-certificate")
        with pytest.raises(PowerCut):
            world.live(installed(world))
        world.cloud.outage = 3 * MAX_REFUSED_DIALS

        world.live()

        assert world.cloud.outage == 0
        assert_rotated(world)

    @pytest.mark.parametrize("code", ["csr-refused", "rotation-over"])
    def test_a_refusal_fails_the_job_with_its_code(self, world: World, code: str) -> None:
        world.cloud.instead["create"] = [("rejected", {"code": code, "message": "no"})]
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert (job.status, job.details) == ("FAILED", {"reason": f"no certificate: {code}: no"})
        assert len(world.cloud.asked("/create")) == 1

    @pytest.mark.parametrize("request_topic", ["create", "confirm"])
    @pytest.mark.parametrize("code", ["try-again", "internal", "no-job", "not-yours", "not-active"])
    def test_a_refusal_that_may_pass_is_asked_again(self, world: World, request_topic: str, code: str) -> None:
        world.cloud.instead[request_topic] = [("rejected", {"code": code, "message": "busy"})] * 3
        world.cloud.order("rotate-certificate")

        world.live()

        assert_rotated(world)

    @pytest.mark.parametrize("code", ["try-again", "no-job", "not-yours", "not-active"])
    def test_a_cloud_that_always_says_so_fails_the_job_in_the_end(self, world: World, code: str) -> None:
        world.cloud.instead["create"] = [("rejected", {"code": code, "message": "busy"})] * 100
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert job.status == "FAILED"
        assert len(world.cloud.asked("/create")) == MAX_ASKS

    def test_a_policy_that_forbids_the_request_fails_the_job(self, world: World) -> None:
        world.cloud.refused_topics = {CREATE}
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert "Not authorized" in job.details["reason"]

    def test_a_broker_that_hangs_up_on_the_request_is_asked_a_few_times_with_growing_pauses(self, world: World) -> None:
        world.cloud.refused_topics, world.cloud.hang_ups = {CREATE}, 100
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert job.status == "FAILED"
        pauses = [line["retrySeconds"] for line in world.journal.named("connection-lost")]
        assert len(pauses) == MAX_ASKS
        assert max(pauses[:2]) < 5 < 20 < max(pauses[-4:])

    def test_a_refused_confirmation_goes_back_to_the_old_certificate(self, world: World) -> None:
        world.cloud.instead["confirm"] = [("rejected", {"code": "wrong", "message": "no"})]
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert (job.status, job.details["reason"]) == ("FAILED", "not confirmed: wrong: no")

    def test_a_confirmation_that_was_obeyed_but_never_answered_locks_nobody_out(self, world: World) -> None:
        world.cloud.lose = lambda topic: topic.endswith("/confirm")
        world.cloud.order("rotate-certificate")

        world.live()

        assert world.cloud.active == {world.disk.state.identity.certificate_id}
        assert world.disk.state.identity != world.cloud.first, "the cloud went forward, and the device followed"
        assert world.journal.named("identity-fell-back")

    def test_the_next_rotation_removes_what_a_doubtful_one_kept(self, world: World) -> None:
        world.cloud.instead["confirm"] = [("rejected", {"code": "wrong", "message": "no"})]
        world.cloud.order("rotate-certificate", "job-1")
        world.live()
        assert world.disk.state.fallback is not None

        job = world.cloud.order("rotate-certificate", "job-2")
        world.live()

        assert job.status == "SUCCEEDED"
        assert world.disk.state.fallback is None

    def test_a_job_cancelled_after_the_request_leaves_the_old_certificate(self, world: World) -> None:
        job = world.cloud.order("rotate-certificate")
        with pytest.raises(PowerCut):
            world.live(requested(world))
        job.status = "CANCELED"
        world.cloud.settle()

        world.live()

        assert world.cloud.active == {world.disk.state.identity.certificate_id}
        assert world.disk.state.identity == world.cloud.first


A_FOREIGN_TOKEN = {"clientToken": "somebody-elses"}


class TestHostileAnswers:
    def test_an_answer_to_somebody_else_is_not_ours(self, world: World) -> None:
        other = world.cloud.authority.identity().certificate_pem
        world.cloud.instead["create"] = [("accepted", {"certificatePem": other, **A_FOREIGN_TOKEN})]
        world.cloud.order("rotate-certificate")

        world.live()

        assert_rotated(world)

    def test_a_refusal_of_somebody_else_is_not_ours(self, world: World) -> None:
        world.cloud.instead["create"] = [("rejected", {"code": "no", "message": "no", **A_FOREIGN_TOKEN})]
        world.cloud.order("rotate-certificate")

        world.live()

        assert_rotated(world)

    @pytest.mark.parametrize(
        "pem",
        [
            "",
            "garbage",
            "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            None,
            {"not": "text"},
            "\x00" * 100,
            "\ud800",
        ],
    )
    def test_a_certificate_that_is_none_fails_the_job(self, world: World, pem: object) -> None:
        world.cloud.instead["create"] = [("accepted", {"certificatePem": pem})]
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert job.status == "FAILED"

    def test_a_certificate_for_another_key_fails_the_job(self, world: World) -> None:
        other = world.cloud.authority.identity().certificate_pem
        world.cloud.instead["create"] = [("accepted", {"certificatePem": other})]
        job = world.cloud.order("rotate-certificate")

        world.live()

        assert_as_before(world)
        assert "was not made for this private key" in job.details["reason"]

    def test_an_answer_larger_than_any_message_is_not_read(self, world: World) -> None:
        world.cloud.instead["create"] = [("accepted", {"certificatePem": "A" * 200_000})]
        world.cloud.order("rotate-certificate")

        world.live()

        assert_rotated(world)


def test_no_event_and_no_printed_state_holds_a_private_key(world: World) -> None:
    world.cloud.order("rotate-certificate")
    with pytest.raises(PowerCut):
        world.live(installed(world))
    told = repr(world.disk.state)

    world.live()

    assert "PRIVATE" not in told + str(world.journal.lines) + str(world.cloud.heard)


def test_a_rotation_that_has_ended_holds_no_key_while_it_waits_to_be_reported(world: World) -> None:
    world.cloud.order("rotate-certificate")
    with pytest.raises(PowerCut):
        world.live(Fate(when=lambda: world.disk.state.identity != world.cloud.first))

    assert world.disk.state.rotation is not None
    assert world.disk.state.rotation.key_pem == ""


def test_tokens_differ() -> None:
    assert a_token() != a_token()
