"""What the ports promise, held against the real adapters on moto and against the fakes that other tests believe."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.aws.backends import FakeGround, Ground, MotoGround
from tests.fakes import a_key
from warden.core.errors import ActionFailed
from warden.core.ports import JobOrder
from warden.devices.csr import key_of_certificate

ABSENT = "f" * 64
LONG_NAME = "plant1:" + "x" * 121
DOCUMENT = {"version": "1.0", "steps": [], "warden": {"operation": "collect-logs", "jobId": "warden-1"}}
MINUTES = timedelta(minutes=15)


@pytest.fixture(params=["moto", "fakes"])
def ground(request: pytest.FixtureRequest) -> Ground:
    if request.param == "fakes":
        return FakeGround()
    request.getfixturevalue("aws")
    return MotoGround()


class TestRegistry:
    def test_a_thing_is_read_with_its_groups(self, ground: Ground) -> None:
        ground.thing(LONG_NAME, groups=["pumps", "site-4"])

        thing = ground.registry.thing(LONG_NAME)

        assert thing is not None
        assert (thing.name, thing.thing_type, sorted(thing.groups)) == (LONG_NAME, "", ["pumps", "site-4"])

    @pytest.mark.parametrize("name", ["nobody", "../x", "a/b", "x" * 129, "${iot:ClientId}", "a\nb", "*"])
    def test_what_is_no_thing_is_none(self, ground: Ground, name: str) -> None:
        assert ground.registry.thing(name) is None
        assert ground.registry.certificates_of(name) == []

    def test_certificates_and_things_are_listed_both_ways(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.thing("pump-2")
        one, two = ground.certificate(1, thing="pump-1"), ground.certificate(2, thing="pump-1")

        assert sorted(ground.registry.certificates_of("pump-1")) == sorted([one, two])
        assert ground.registry.certificates_of("pump-2") == []
        assert ground.registry.things_of(one) == ["pump-1"]
        assert ground.registry.things_of(ABSENT) == []

    def test_joining_and_leaving_can_be_repeated(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.group("restricted")

        for _ in range(2):
            ground.registry.join_group("pump-1", "restricted")
        assert list(_groups(ground, "pump-1")) == ["restricted"]
        for _ in range(2):
            ground.registry.leave_group("pump-1", "restricted")
        assert list(_groups(ground, "pump-1")) == []

    def test_leaving_a_group_that_is_gone_is_success(self, ground: Ground) -> None:
        ground.thing("pump-1")

        ground.registry.leave_group("pump-1", "gone")

    def test_an_eleventh_group_is_an_action_that_failed(self, ground: Ground) -> None:
        ground.thing("pump-1", groups=[f"group-{number}" for number in range(10)])
        ground.group("restricted")

        with pytest.raises(ActionFailed, match="pump-1"):
            ground.registry.join_group("pump-1", "restricted")

    def test_joining_a_group_that_is_gone_is_an_action_that_failed(self, ground: Ground) -> None:
        ground.thing("pump-1")

        with pytest.raises(ActionFailed, match="gone-group"):
            ground.registry.join_group("pump-1", "gone-group")

    def test_a_groups_policies_are_listed(self, ground: Ground) -> None:
        ground.group("pumps", policies=["pumps-policy"])
        ground.group("site-4")

        assert ground.registry.policies_of_group("pumps") == ["pumps-policy"]
        assert ground.registry.policies_of_group("site-4") == []


class TestCertificates:
    def test_a_certificate_is_read_with_its_pem(self, ground: Ground) -> None:
        certificate = ground.certificates.read(made := ground.certificate(1))

        assert certificate is not None
        assert (certificate.id, certificate.status, certificate.is_active) == (made, "ACTIVE", True)
        assert key_of_certificate(certificate.pem) == a_key(1).fingerprint
        assert certificate.created_at is not None
        assert certificate.created_at.tzinfo is UTC

    def test_an_absent_certificate_is_none_and_needs_nothing(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.policies("pumps")

        assert ground.certificates.read(ABSENT) is None
        assert ground.certificates.policies_of(ABSENT) == []
        ground.certificates.detach_policy(ABSENT, "pumps")
        ground.certificates.detach_thing(ABSENT, "pump-1")
        ground.certificates.deactivate(ABSENT)
        ground.certificates.delete(ABSENT)

    def test_policies_come_and_go_and_may_be_asked_for_twice(self, ground: Ground) -> None:
        certificate = ground.certificate(1)
        ground.policies("pumps", "restricted")

        for policy in ("pumps", "restricted", "restricted"):
            ground.certificates.attach_policy(certificate, policy)
        assert sorted(ground.certificates.policies_of(certificate)) == ["pumps", "restricted"]
        for _ in range(2):
            ground.certificates.detach_policy(certificate, "pumps")
        assert ground.certificates.policies_of(certificate) == ["restricted"]

    def test_an_eleventh_policy_is_an_action_that_failed(self, ground: Ground) -> None:
        certificate = ground.certificate(1)
        names = [f"policy-{number}" for number in range(11)]
        ground.policies(*names)
        for policy in names[:10]:
            ground.certificates.attach_policy(certificate, policy)

        ground.certificates.attach_policy(certificate, names[9])  # the tenth again is none more
        with pytest.raises(ActionFailed, match="ten already"):
            ground.certificates.attach_policy(certificate, names[10])

    def test_a_policy_for_an_absent_certificate_is_an_action_that_failed(self, ground: Ground) -> None:
        ground.policies("pumps")

        with pytest.raises(ActionFailed, match="gone"):
            ground.certificates.attach_policy(ABSENT, "pumps")

    def test_it_is_switched_off_and_on(self, ground: Ground) -> None:
        certificate = ground.certificate(1)

        for switch, active in (
            (ground.certificates.deactivate, False),
            (ground.certificates.deactivate, False),
            (ground.certificates.activate, True),
            (ground.certificates.activate, True),
        ):
            switch(certificate)
            read = ground.certificates.read(certificate)
            assert read is not None
            assert read.is_active is active

    def test_one_that_is_issued_is_inactive_and_of_the_key_that_was_sent(self, ground: Ground) -> None:
        before = datetime(2026, 1, 1, tzinfo=UTC)

        issued = ground.certificates.issue(a_key(1).csr, "pump-1")

        read = ground.certificates.read(issued.id)
        assert read is not None
        assert not read.is_active
        assert [each.id for each in ground.certificates.issued_since(before)] == [issued.id]

    def test_asking_for_one_twice_makes_two(self, ground: Ground) -> None:
        one, two = ground.certificates.issue(a_key(1).csr, "pump-1"), ground.certificates.issue(a_key(1).csr, "pump-1")

        assert one.id != two.id

    def test_the_newest_issued_come_first_and_active_ones_are_left_out(self, ground: Ground) -> None:
        ground.certificate(7)
        first = ground.certificates.issue(a_key(1).csr, "pump-1")
        second = ground.certificates.issue(a_key(2).csr, "pump-1")

        listed = ground.certificates.issued_since(datetime(2026, 1, 1, tzinfo=UTC))

        assert [each.id for each in listed] == [second.id, first.id]

    def test_the_ones_made_before_are_left_out(self, ground: Ground) -> None:
        ground.certificates.issue(a_key(1).csr, "pump-1")

        assert ground.certificates.issued_since(datetime(2100, 1, 1, tzinfo=UTC)) == []

    def test_an_inactive_one_is_deleted_with_its_policies_on_it(self, ground: Ground) -> None:
        certificate = ground.certificate(1)
        ground.policies("pumps")
        ground.certificates.attach_policy(certificate, "pumps")
        ground.certificates.deactivate(certificate)

        ground.certificates.delete(certificate)

        assert ground.certificates.read(certificate) is None

    def test_an_active_one_is_not_deleted(self, ground: Ground) -> None:
        certificate = ground.certificate(1)

        with pytest.raises(Exception, match="CertificateState"):
            ground.certificates.delete(certificate)
        assert ground.certificates.read(certificate) is not None

    def test_one_that_a_thing_has_is_not_deleted(self, ground: Ground) -> None:
        ground.thing("pump-1")
        certificate = ground.certificate(1, thing="pump-1")
        ground.certificates.deactivate(certificate)

        with pytest.raises(Exception, match="DeleteConflict"):
            ground.certificates.delete(certificate)

    def test_it_is_given_to_a_thing_and_taken_again(self, ground: Ground) -> None:
        ground.thing(LONG_NAME)
        certificate = ground.certificate(1)

        for _ in range(2):
            ground.certificates.attach_thing(certificate, LONG_NAME)
        assert ground.registry.certificates_of(LONG_NAME) == [certificate]
        for _ in range(2):
            ground.certificates.detach_thing(certificate, LONG_NAME)
        assert ground.registry.certificates_of(LONG_NAME) == []


class TestJobs:
    def test_a_job_for_a_thing_waits_there(self, ground: Ground) -> None:
        ground.thing("pump-1")

        ground.jobs.start(an_order("pump-1"))

        execution = ground.jobs.execution("warden-1", "pump-1")
        assert execution is not None
        assert (execution.status, execution.is_over) == ("QUEUED", False)

    def test_the_same_job_twice_is_one_job(self, ground: Ground) -> None:
        ground.thing("pump-1")

        for _ in range(2):
            ground.jobs.start(an_order("pump-1"))

        assert ground.jobs.execution("warden-1", "pump-1") is not None

    def test_a_job_for_many_things_waits_on_each(self, ground: Ground) -> None:
        for number in range(1, 4):
            ground.thing(f"pump-{number}")

        ground.jobs.start(an_order("pump-1", "pump-3"))

        assert [ground.jobs.execution("warden-1", f"pump-{number}") is None for number in range(1, 4)] == [
            *(False, True, False)
        ]

    def test_a_job_is_cancelled_on_one_thing_alone(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.thing("pump-2")
        ground.jobs.start(an_order("pump-1", "pump-2"))

        ground.jobs.cancel("warden-1", "pump-1")

        first, second = (ground.jobs.execution("warden-1", thing) for thing in ("pump-1", "pump-2"))
        assert first is not None
        assert second is not None
        assert (first.is_over, second.is_over) == (True, False)

    def test_a_job_for_no_thing_is_refused(self, ground: Ground) -> None:
        with pytest.raises(ActionFailed, match="not in the registry"):
            ground.jobs.start(an_order("nobody"))

    def test_no_job_no_execution(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.thing("pump-2")
        ground.jobs.start(an_order("pump-1"))

        assert ground.jobs.execution("warden-2", "pump-1") is None
        assert ground.jobs.execution("warden-1", "pump-2") is None

    def test_cancelling_is_done_once_and_may_be_asked_for_again(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.jobs.start(an_order("pump-1"))

        for _ in range(2):
            ground.jobs.cancel("warden-1", "pump-1")
        execution = ground.jobs.execution("warden-1", "pump-1")
        assert execution is not None
        assert execution.is_over

    def test_a_timeout_beyond_what_iot_jobs_takes_is_refused(self, ground: Ground) -> None:
        ground.thing("pump-1")

        with pytest.raises(Exception, match="inProgressTimeoutInMinutes"):
            ground.jobs.start(an_order("pump-1", work_timeout=timedelta(days=8)))


def an_order(*things: str, work_timeout: timedelta = MINUTES) -> JobOrder:
    ends_at = datetime.now(UTC) + timedelta(hours=2)
    return JobOrder(id="warden-1", things=things, document=DOCUMENT, work_timeout=work_timeout, ends_at=ends_at)


def _groups(ground: Ground, name: str) -> tuple[str, ...]:
    thing = ground.registry.thing(name)
    assert thing is not None
    return tuple(thing.groups)
