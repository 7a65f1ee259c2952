"""What the ports promise, held against the real adapters on moto and against the fakes that other tests believe."""

import ast
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from tests.aws.backends import CA, Ground
from tests.aws_stand_in.account import trail_of
from tests.aws_stand_in.groups import CONNECTED, VIOLATING
from tests.fakes import SETTINGS, a_finding, a_key, a_world
from tests.stack_model import Deployed, Stacks
from warden.core.account_facts import (
    Analyzer,
    AuditConfiguration,
    AuditTask,
    Bucket,
    CheckRun,
    Denied,
    Detector,
    IotLogging,
    LearningModel,
    LogGroup,
    ScheduledAudit,
    SecurityProfile,
    StackResource,
    Subscription,
    Suppression,
    Topic,
    TrailStatus,
    Unanswered,
    Unavailable,
)
from warden.core.drift import (
    Detection,
    PropertyDrift,
    ResourceDrift,
    ResourceStatus,
    Update,
    UpdateState,
)
from warden.core.errors import ActionFailed, NotYet, Refused
from warden.core.findings import Source
from warden.core.ports import Disconnection, Group, JobOrder, LevelRefused, Ports, QueueEntry, UploadedFile
from warden.devices.csr import key_of_certificate
from warden.notify.asff import finding_of

ABSENT = "f" * 64
LONG_NAME = "plant1:" + "x" * 121
DOCUMENT = {"version": "1.0", "steps": [], "warden": {"operation": "collect-logs", "jobId": "warden-1"}}
MINUTES = timedelta(minutes=15)


DENIABLE: Mapping[str, Sequence[str]] = {
    "audit_configuration": ["iot:DescribeAccountAuditConfiguration"],
    "scheduled_audits": ["iot:ListScheduledAudits", "iot:DescribeScheduledAudit"],
    "audits": ["iot:ListAuditTasks", "iot:DescribeAuditTask"],
    "suppressions": ["iot:ListAuditSuppressions"],
    "iot_logging": ["iot:GetV2LoggingOptions"],
    "log_group": ["logs:DescribeLogGroups"],
    "event_types": ["iot:DescribeEventConfigurations"],
    "security_profiles": [
        "iot:ListSecurityProfiles",
        "iot:DescribeSecurityProfile",
        "iot:ListTargetsForSecurityProfile",
    ],
    "learning_models": ["iot:GetBehaviorModelTrainingSummaries"],
    "custom_metrics": ["iot:ListCustomMetrics"],
    "undelivered_alerts": ["cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics"],
    "detector": ["guardduty:ListDetectors", "guardduty:GetDetector"],
    "guardduty_administrator": ["guardduty:GetAdministratorAccount"],
    "organization": ["organizations:DescribeOrganization"],
    "trails": ["cloudtrail:DescribeTrails"],
    "trail_status": ["cloudtrail:GetTrailStatus"],
    "trail_records_management": ["cloudtrail:GetEventSelectors"],
    "bucket": ["s3:GetBucketPublicAccessBlock", "s3:GetBucketVersioning"],
    "analyzers": ["access-analyzer:ListAnalyzers"],
    "topic": ["sns:GetTopicAttributes"],
    "subscription": ["sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"],
    "schedule_is_on": ["events:DescribeRule"],
    "stack_resources": ["cloudformation:ListStackResources"],
}
"""What each read of the account needs, and may be denied."""


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

    def test_a_thing_of_a_group_is_in_those_above_it(self, ground: Ground) -> None:
        ground.group("pumps", policies=["pumps-policy"])
        ground.group("pumps-north", parent="pumps")
        ground.group("pumps-north-1", policies=["north-policy"], parent="pumps-north")
        ground.thing("pump-1")

        ground.registry.join_group("pump-1", "pumps-north-1")

        assert sorted(_groups(ground, "pump-1")) == ["pumps", "pumps-north", "pumps-north-1"]
        assert sorted(ground.registry.policies_of_group("pumps-north-1")) == ["north-policy", "pumps-policy"]
        told = ground.registry.effective_policies("pump-1", ground.certificate(1, thing="pump-1"))
        assert sorted(told or ()) == ["north-policy", "pumps-policy"]

    def test_a_thing_is_put_into_one_group_of_a_hierarchy(self, ground: Ground) -> None:
        ground.group("pumps")
        for name in ("north", "south"):
            ground.group(name, parent="pumps")
        ground.thing("pump-1")
        ground.registry.join_group("pump-1", "north")

        for other in ("south", "pumps"):
            with pytest.raises(ActionFailed, match=r"pump-1.*hierarchy"):
                ground.registry.join_group("pump-1", other)
        ground.registry.leave_group("pump-1", "pumps")  # it is there only through north
        assert sorted(_groups(ground, "pump-1")) == ["north", "pumps"]

    def test_a_group_tells_what_is_above_it_and_whether_a_query_decides(self, ground: Ground) -> None:
        ground.group("pumps")
        ground.group("north", parent="pumps")
        ground.group("north-1", parent="north")
        ground.dynamic_group("online", CONNECTED)

        found = [ground.registry.group(name) for name in ("pumps", "north-1", "online", "gone")]

        assert found == [
            Group(name="pumps"),
            Group(name="north-1", parents=("pumps", "north")),
            Group(name="online", is_dynamic=True),
            None,
        ]

    def test_a_dynamic_group_follows_connections_and_violations(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.dynamic_group("online", CONNECTED)
        ground.dynamic_group("odd", VIOLATING)
        finding = a_finding("pump-1")
        assert list(_groups(ground, "pump-1")) == []

        ground.connect("pump-1")
        ground.lists(finding)
        assert sorted(_groups(ground, "pump-1")) == ["odd", "online"]
        ground.connections.disconnect("pump-1")
        ground.forgets(finding)
        assert list(_groups(ground, "pump-1")) == []

    def test_a_dynamic_group_is_neither_joined_nor_left(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.dynamic_group("online", CONNECTED)
        ground.connect("pump-1")

        with pytest.raises(ActionFailed, match="online"):
            ground.registry.join_group("pump-1", "online")
        ground.registry.leave_group("pump-1", "online")

        assert list(_groups(ground, "pump-1")) == ["online"]


class TestCertificates:
    def test_a_certificate_is_read_with_its_pem(self, ground: Ground) -> None:
        certificate = ground.certificates.read(made := ground.certificate(1))

        assert certificate is not None
        assert (certificate.id, certificate.status, certificate.is_active) == (made, "ACTIVE", True)
        assert key_of_certificate(certificate.pem) == a_key(1).fingerprint
        assert certificate.created_at is not None
        assert certificate.created_at.tzinfo is UTC

    def test_a_certificate_of_a_registered_ca_says_so(self, ground: Ground) -> None:
        theirs, ours = ground.certificate(1), ground.certificates.issue(a_key(2).csr, "pump-1").id
        ground.registered_under_a_ca(theirs)

        read = [ground.certificates.read(each) for each in (theirs, ours)]

        assert [(each.ca, each.may_register_itself) for each in read if each] == [(CA, True), ("", False)]

    def test_an_absent_certificate_is_none_and_needs_nothing(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.policies("pumps")

        assert ground.certificates.read(ABSENT) is None
        assert ground.certificates.policies_of(ABSENT) == []
        ground.certificates.detach_policy(ABSENT, "pumps")
        ground.certificates.detach_thing(ABSENT, "pump-1")
        assert ground.certificates.deactivate(ABSENT) == ""
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
        with pytest.raises(ActionFailed, match="already has ten"):
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

    def test_what_is_switched_off_is_said(self, ground: Ground) -> None:
        certificate = ground.certificate(1)

        assert [ground.certificates.deactivate(certificate) for _ in range(2)] == ["INACTIVE", "INACTIVE"]

    def test_one_that_is_revoked_is_not_set_back(self, ground: Ground) -> None:
        certificate = ground.certificate(1)
        ground.revoke(certificate)

        assert ground.certificates.deactivate(certificate) == "REVOKED"

        read = ground.certificates.read(certificate)
        assert read is not None
        assert (read.status, read.is_active, read.is_out_of_use) == ("REVOKED", False, True)
        ground.certificates.delete(certificate)
        assert ground.certificates.read(certificate) is None

    def test_one_under_transfer_is_left_as_it_is_and_takes_no_policy(self, ground: Ground) -> None:
        ground.thing("pump-1")
        ground.policies("restricted")
        certificate = ground.certificate(1, thing="pump-1")
        ground.transfer(certificate)

        assert ground.certificates.deactivate(certificate) == "PENDING_TRANSFER"
        with pytest.raises(ActionFailed, match="transfer"):
            ground.certificates.attach_policy(certificate, "restricted")
        ground.certificates.detach_policy(certificate, "restricted")
        ground.certificates.detach_thing(certificate, "pump-1")
        with pytest.raises(NotYet, match="CertificateState"):
            ground.certificates.delete(certificate)

        read = ground.certificates.read(certificate)
        assert read is not None
        assert (read.status, read.is_out_of_use) == ("PENDING_TRANSFER", True)

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

        with pytest.raises(NotYet, match="CertificateState"):
            ground.certificates.delete(certificate)
        assert ground.certificates.read(certificate) is not None

    def test_one_that_a_thing_has_is_not_deleted(self, ground: Ground) -> None:
        ground.thing("pump-1")
        certificate = ground.certificate(1, thing="pump-1")
        ground.certificates.deactivate(certificate)

        with pytest.raises(NotYet, match="DeleteConflict"):
            ground.certificates.delete(certificate)

    def test_a_detachment_takes_seconds_and_then_it_is_deleted(self, ground: Ground) -> None:
        ground.thing("pump-1")
        certificate = ground.certificate(1, thing="pump-1")
        ground.certificates.deactivate(certificate)
        ground.detaches_late()

        for _ in range(2):
            ground.certificates.detach_thing(certificate, "pump-1")
        assert ground.registry.things_of(certificate) == ["pump-1"]
        assert ground.registry.certificates_of("pump-1") == [certificate]
        with pytest.raises(NotYet, match="DeleteConflict"):
            ground.certificates.delete(certificate)

        ground.seconds_pass()
        assert ground.registry.things_of(certificate) == []
        ground.certificates.delete(certificate)
        assert ground.certificates.read(certificate) is None

    def test_it_is_given_to_a_thing_and_taken_again(self, ground: Ground) -> None:
        ground.thing(LONG_NAME)
        certificate = ground.certificate(1)

        for _ in range(2):
            ground.certificates.attach_thing(certificate, LONG_NAME)
        assert ground.registry.certificates_of(LONG_NAME) == [certificate]
        for _ in range(2):
            ground.certificates.detach_thing(certificate, LONG_NAME)
        assert ground.registry.certificates_of(LONG_NAME) == []

    def test_all_are_listed_page_by_page_the_oldest_first(self, ground: Ground) -> None:
        made = [ground.certificate(number) for number in range(1, 6)]
        ground.pages_of(2)

        page = ground.certificates.oldest_page("")
        listed = [*page.certificates]
        while page.next_page:
            page = ground.certificates.oldest_page(page.next_page)
            listed += page.certificates

        assert [(each.id, each.status, each.pem) for each in listed] == [(each, "ACTIVE", "") for each in made]
        assert all(each.created_at is not None for each in listed)

    def test_a_page_that_was_never_given_is_refused(self, ground: Ground) -> None:
        with pytest.raises(Refused) as caught:
            ground.certificates.oldest_page("bm8=")
        assert caught.value.code == "no-such-page"


class TestConnections:
    def test_a_session_is_closed_once(self, ground: Ground) -> None:
        ground.connect("pump-1")

        said = [ground.connections.disconnect("pump-1") for _ in range(2)]

        assert said == [Disconnection.DISCONNECTED, Disconnection.NOT_CONNECTED]


class TestEvidence:
    BODY = b"2026-11-22T11:59:58Z 7340032 bytes out\n"

    def test_what_was_uploaded_is_read_back(self, ground: Ground) -> None:
        digest = sha256(self.BODY).hexdigest()
        form = ground.evidence.upload_form("cases/c-1/j-1/00", len(self.BODY), digest, MINUTES)
        assert form.url.startswith("https://")
        assert form.fields["key"] == "cases/c-1/j-1/00"
        assert ground.evidence.uploaded("cases/c-1/j-1/00") is None

        ground.upload(form, self.BODY)

        assert ground.evidence.uploaded("cases/c-1/j-1/00") == UploadedFile(len(self.BODY), digest)


class TestReports:
    def test_a_report_is_kept_as_it_is_and_replaced(self, ground: Ground, tmp_path: Path) -> None:
        file = tmp_path / "report.csv"

        for text in ("thing\n", "thing,état\npump-1,offen\n"):
            file.write_text(text, encoding="utf-8")
            assert ground.reports.keep("reports/renewals.csv", str(file)) == "s3://evidence/reports/renewals.csv"

        assert ground.report("reports/renewals.csv") == ["thing,état", "pump-1,offen"]


class TestPages:
    def test_a_page_is_kept_under_its_key_and_replaced(self, ground: Ground) -> None:
        for text in ('{"a": 1}', '{"a": "ü"}'):
            ground.reports.keep_page("reports/baseline/latest.json", text, "application/json")

        assert ground.report("reports/baseline/latest.json") == ['{"a": "ü"}']


class TestNotices:
    def test_notices_are_sent_word_for_word(self, ground: Ground) -> None:
        ground.notices.send("pump-3 is contained", "What happened:\n…")

        assert ground.sent_notices() == [("pump-3 is contained", "What happened:\n…")]

    @pytest.mark.parametrize("subject", ["", "two\nlines", "ü", "x" * 100, "a\x1b[31m"])
    def test_a_subject_that_sns_would_not_take_is_refused(self, ground: Ground, subject: str) -> None:
        with pytest.raises(Exception, match=r"Subject|did not accept"):
            ground.notices.send(subject, "body")


class TestAnnouncements:
    def test_what_is_published_arrives(self, ground: Ground) -> None:
        details = [{"id": "c-1:2", "state": "contained"}, {"id": "c-1:3"}]

        for detail in details:
            ground.announcements.publish(detail)

        assert ground.announced() == details

    def test_what_a_survey_found_arrives(self, ground: Ground) -> None:
        ground.announcements.publish_survey({"id": "survey:1"})

        assert ground.announced() == [{"id": "survey:1"}]


class TestSecurityHub:
    def test_a_finding_is_brought_up_to_date(self, ground: Ground) -> None:
        world = a_world()
        world.report(a_finding())
        finding = finding_of(world.case, SETTINGS, datetime(2026, 11, 22, tzinfo=UTC))

        for title in ("pump-3 is suspected", "pump-3 is contained"):
            ground.security_hub.put({**finding, "Title": title})

        assert [(each, found["Title"]) for each, found in ground.imported().items()] == [
            (finding["Id"], "pump-3 is contained")
        ]


class TestReplies:
    def test_an_answer_is_published_on_its_topic(self, ground: Ground) -> None:
        ground.replies.publish("warden/pump-3/logs/create/accepted", {"clientToken": "t"})

        assert ground.replied() == [("warden/pump-3/logs/create/accepted", {"clientToken": "t"})]


class TestQueue:
    def test_a_group_keeps_its_order_and_a_repetition_is_one(self, ground: Ground) -> None:
        entries = [QueueEntry({"number": number}, group="g" * 64, once=f"{number}") for number in (1, 2, 3)]

        for _ in range(2):
            ground.queue.put_all(entries)

        assert ground.queued() == [{"number": 1}, {"number": 2}, {"number": 3}]

    def test_more_than_a_call_takes_are_all_queued(self, ground: Ground) -> None:
        ground.queue.put_all([QueueEntry({"number": each}, group=f"g{each}", once=f"o{each}") for each in range(23)])

        assert sorted(message["number"] for message in ground.queued()) == [*range(23)]


class TestInbox:
    def test_what_is_put_back_is_there_word_for_word(self, ground: Ground) -> None:
        ground.inbox.put('{"Message": "ü"}')

        assert ground.in_inbox() == ['{"Message": "ü"}']


class TestRenewalQueue:
    def test_a_run_is_named(self, ground: Ground) -> None:
        ground.renewal_queue.send_run("run-1")

        assert ground.runs() == ["run-1"]


class TestDetectors:
    @pytest.mark.parametrize("source", [Source.DETECT, Source.AUDIT])
    def test_a_finding_is_confirmed_while_its_detector_lists_it(self, ground: Ground, source: Source) -> None:
        finding = a_finding(source=source)
        ground.lists(finding)
        assert ground.detectors.confirms(finding)

        ground.forgets(finding)

        assert not ground.detectors.confirms(finding)

    def test_a_source_that_cannot_be_asked_is_believed(self, ground: Ground) -> None:
        assert ground.detectors.confirms(a_finding(source=Source.GUARDDUTY))

    def test_an_audits_findings_come_in_pages_without_what_was_suppressed(self, ground: Ground) -> None:
        found = [{"findingId": f"f-{number}", "isSuppressed": number == 2} for number in range(4)]
        ground.audited("task-1", "CHECK", found)
        ground.pages_of(2)

        first = ground.detectors.audit_page("task-1", "CHECK", "")
        second = ground.detectors.audit_page("task-1", "CHECK", first.next_page)

        assert [len(page.findings) for page in (first, second)] == [2, 1]
        listed = [each["findingId"] for page in (first, second) for each in page.findings]
        assert (listed, second.next_page) == (["f-0", "f-1", "f-3"], "")
        assert not ground.detectors.audit_page("task-2", "CHECK", "").findings


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
        with pytest.raises(ActionFailed, match="no longer in the registry"):
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

    def test_a_job_is_withdrawn_where_it_has_not_begun(self, ground: Ground) -> None:
        for number in (1, 2):
            ground.thing(f"pump-{number}")
        ground.jobs.start(an_order("pump-1", "pump-2"))
        ground.move("warden-1", "pump-2", "IN_PROGRESS")

        for _ in range(2):
            ground.jobs.withdraw("warden-1")

        first, second = (ground.jobs.execution("warden-1", f"pump-{number}") for number in (1, 2))
        assert first is not None
        assert second is not None
        assert (first.is_over, second.status) == (True, "IN_PROGRESS")

    def test_a_job_that_is_gone_needs_no_withdrawing(self, ground: Ground) -> None:
        ground.jobs.withdraw("warden-1")

    def test_a_timeout_beyond_what_iot_jobs_takes_is_refused(self, ground: Ground) -> None:
        ground.thing("pump-1")

        with pytest.raises(Exception, match="inProgressTimeoutInMinutes"):
            ground.jobs.start(an_order("pump-1", work_timeout=timedelta(days=8)))


CHECKS = frozenset({"LOGGING_DISABLED_CHECK", "DEVICE_CERTIFICATE_SHARED_CHECK"})
TOPIC = "arn:aws:sns:us-east-1:123456789012:alerts"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:inbox"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)


class TestLogLevels:
    def test_a_level_is_set_replaced_and_removed(self, ground: Ground) -> None:
        ground.account.logging = IotLogging(level="ERROR", disabled=False)
        ground.pages_of(1)
        for group in ("site-4", "restricted"):
            assert ground.log_levels.set_level(group, "INFO") is None

        assert ground.log_levels.set_level("restricted", "DEBUG") is None
        assert ground.log_levels.level_of("restricted") == "DEBUG"
        for _ in range(2):
            assert ground.log_levels.remove_level("restricted") is None
        assert ground.log_levels.level_of("restricted") == ""
        assert ground.account.group_levels == {"site-4": "INFO"}

    @pytest.mark.parametrize(
        ("logging", "is_on"),
        [
            (None, False),
            (IotLogging(level="ERROR", disabled=True), False),
            (IotLogging(level="DISABLED", disabled=False), True),
        ],
    )
    def test_logging_is_on_unless_it_was_never_set_or_is_all_disabled(
        self, ground: Ground, logging: IotLogging | None, is_on: bool
    ) -> None:
        ground.account.logging = logging

        assert ground.log_levels.logging_is_on() is is_on

    def test_where_logging_was_never_set_there_is_no_level(self, ground: Ground) -> None:
        assert ground.log_levels.level_of("restricted") == ""
        refused = ground.log_levels.set_level("restricted", "DEBUG")
        assert refused == LevelRefused("iot:SetV2LoggingLevel", "NotConfiguredException", is_denial=False)

    @pytest.mark.parametrize("denied", [True, False])
    def test_what_does_not_pass_by_itself_is_an_answer(self, ground: Ground, denied: bool) -> None:
        actions = [f"iot:{name}" for name in ("GetV2LoggingOptions", "ListV2LoggingLevels")]
        changes = [f"iot:{name}" for name in ("SetV2LoggingLevel", "DeleteV2LoggingLevel")]
        if denied:
            ground.account.denied |= {*actions, *changes}
        else:
            ground.account.refused |= dict.fromkeys((*actions, *changes), "LimitExceededException")

        answers = [
            ground.log_levels.logging_is_on(),
            ground.log_levels.level_of("restricted"),
            ground.log_levels.set_level("restricted", "DEBUG"),
            ground.log_levels.remove_level("restricted"),
        ]

        code = "AccessDeniedException" if denied else "LimitExceededException"
        assert answers == [LevelRefused(each, code, is_denial=denied) for each in actions + changes]


class TestAccountReader:
    """Every method, of an empty account and of one that has something."""

    def test_what_was_never_set_up_is_empty(self, ground: Ground) -> None:
        reader = ground.account_reader

        assert reader.audit_configuration() == AuditConfiguration()
        assert reader.scheduled_audits() == ()
        assert reader.audits(NOON - DAY, NOON) == ()
        assert reader.suppressions() == ()
        assert reader.iot_logging() is None
        assert reader.event_types() == {}
        assert reader.security_profiles() == ()
        assert reader.custom_metrics() == ()
        assert reader.undelivered_alerts(NOON - DAY, NOON) == 0
        assert reader.detector() is None
        assert reader.organization() == ""
        assert reader.trails() == ()
        assert reader.analyzers() == ()
        assert reader.topic(TOPIC) is None
        assert reader.schedule_is_on("rule") is False
        assert reader.stack_resources("iot-baseline") == frozenset()

    def test_the_audit_is_read_with_its_target(self, ground: Ground) -> None:
        ground.account.audit = AuditConfiguration(
            role="arn:r", checks=CHECKS, target=TOPIC, target_role="arn:t", target_enabled=True
        )

        assert ground.account_reader.audit_configuration() == ground.account.audit

    def test_scheduled_audits_come_with_their_checks(self, ground: Ground) -> None:
        ground.account.scheduled_audits = [
            ScheduledAudit(name=f"audit-{each}", frequency="DAILY", checks=CHECKS) for each in range(5)
        ]
        ground.pages_of(2)

        assert ground.account_reader.scheduled_audits() == tuple(ground.account.scheduled_audits)

    def test_audits_of_a_time_come_with_how_their_checks_ended(self, ground: Ground) -> None:
        runs = {"A": CheckRun("COMPLETED_COMPLIANT"), "B": CheckRun("FAILED", "INSUFFICIENT_PERMISSIONS")}
        ground.account.audits = [
            AuditTask(id=f"{each}", status="COMPLETED", started_at=NOON - each * DAY / 2, checks=runs)
            for each in range(5)
        ]
        ground.pages_of(2)

        found = ground.account_reader.audits(NOON - DAY, NOON)

        assert found == tuple(ground.account.audits[:3])

    def test_suppressions_have_an_end_or_none(self, ground: Ground) -> None:
        ground.account.suppressions = [Suppression(check="A", until=None), Suppression(check="B", until=NOON)]
        ground.pages_of(1)

        assert ground.account_reader.suppressions() == tuple(ground.account.suppressions)

    def test_logging_is_read_with_its_events(self, ground: Ground) -> None:
        events = {"Connect": "INFO", "Subscribe": "ERROR"}
        ground.account.logging = IotLogging(level="ERROR", disabled=False, events=events, groups=frozenset({"ours"}))

        assert ground.account_reader.iot_logging() == ground.account.logging

    def test_a_log_group_is_read_with_its_retention_and_its_key(self, ground: Ground) -> None:
        kept = LogGroup(name="logs", retention_days=365, key="arn:key")
        endless = LogGroup(name="logs-of-others")
        ground.account.log_groups = [endless, kept]

        assert [ground.account_reader.log_group(each.name) for each in (kept, endless)] == [kept, endless]

    def test_a_log_group_whose_name_only_begins_so_is_another(self, ground: Ground) -> None:
        ground.account.log_groups = [LogGroup(name="logs-of-others")]

        assert ground.account_reader.log_group("logs") is None

    def test_event_types_are_on_or_off(self, ground: Ground) -> None:
        ground.publishes({"THING": True, "JOB_EXECUTION": False})

        assert ground.account_reader.event_types() == {"THING": True, "JOB_EXECUTION": False}

    def test_profiles_come_with_what_they_watch_and_where(self, ground: Ground) -> None:
        ground.account.profiles = [
            SecurityProfile(
                name="rules", metrics=frozenset({"aws:num-disconnects"}), targets=frozenset({"all/things", "other"})
            ),
            SecurityProfile(
                name="learns",
                metrics=frozenset({"m"}),
                learns=True,
                alerts={TOPIC: "arn:aws:iam::123456789012:role/alerts"},
            ),
        ]
        ground.pages_of(1)

        assert ground.account_reader.security_profiles() == tuple(ground.account.profiles)

    def test_models_are_those_of_a_profile(self, ground: Ground) -> None:
        ground.account.models = [LearningModel("learns", "b-1", "ACTIVE"), LearningModel("other", "b-2", "EXPIRED")]

        assert ground.account_reader.learning_models("learns") == (LearningModel("learns", "b-1", "ACTIVE"),)

    def test_custom_metrics_are_listed_to_the_last_page(self, ground: Ground) -> None:
        ground.account.custom_metrics = [f"metric-{each}" for each in range(5)]
        ground.pages_of(2)

        assert ground.account_reader.custom_metrics() == tuple(ground.account.custom_metrics)

    def test_undelivered_alerts_are_added_up_over_a_time(self, ground: Ground) -> None:
        ground.account.undelivered = [(NOON - 2 * DAY, 7), (NOON - DAY / 2, 3), (NOON - DAY / 4, 2)]
        ground.pages_of(1)

        assert ground.account_reader.undelivered_alerts(NOON - DAY, NOON) == 5

    def test_a_detector_comes_with_the_plans_that_are_on(self, ground: Ground) -> None:
        ground.account.detector = Detector(id="d" * 32, enabled=True, plans=frozenset({"S3_DATA_EVENTS"}))

        assert ground.account_reader.detector() == ground.account.detector

    @pytest.mark.parametrize("administrator", ["", "111122223333"])
    def test_only_a_member_has_an_administrator(self, ground: Ground, administrator: str) -> None:
        ground.account.detector = Detector(id="d" * 32, enabled=True)
        ground.account.guardduty_administrator = administrator

        assert ground.account_reader.guardduty_administrator("d" * 32) == administrator

    def test_the_organization_is_named_by_its_management_account(self, ground: Ground) -> None:
        ground.account.management_account = "111122223333"

        assert ground.account_reader.organization() == "111122223333"

    def test_a_trail_is_read_with_its_status_and_its_events(self, ground: Ground) -> None:
        ours, theirs = (
            trail_of("ours"),
            trail_of("theirs", multi_region=False, validated=False, key="arn:aws:kms:us-east-1:123456789012:key/1"),
        )
        statuses = [TrailStatus(logging=True), TrailStatus(logging=False, error="AccessDenied")]
        ground.account.trails = [ours, theirs]
        ground.account.trail_statuses = {ours.arn: statuses[0], theirs.arn: statuses[1]}
        ground.account.trails_without_management = {theirs.arn}

        assert ground.account_reader.trails() == (ours, theirs)
        assert [ground.account_reader.trail_status(each.arn) for each in (ours, theirs)] == statuses
        assert [ground.account_reader.trail_records_management(each.arn) for each in (ours, theirs)] == [True, False]

    def test_a_trail_of_the_organization_may_not_be_readable_from_a_member(self, ground: Ground) -> None:
        arn = trail_of("theirs", account="111122223333", organization=True).arn

        status, records = ground.account_reader.trail_status(arn), ground.account_reader.trail_records_management(arn)

        assert status == Unanswered("cloudtrail:GetTrailStatus", "TrailNotFoundException")
        assert records == Unanswered("cloudtrail:GetEventSelectors", "TrailNotFoundException")

    def test_a_bucket_is_read_with_its_protection(self, ground: Ground) -> None:
        ground.account.buckets = {
            "open": Bucket(public_access_blocked=False, versioned=False),
            "kept": Bucket(public_access_blocked=True, versioned=True),
            "deleted": None,
        }

        assert [ground.account_reader.bucket(name) for name in ("open", "kept", "deleted")] == [
            *ground.account.buckets.values()
        ]
        assert ground.account_reader.bucket("another-accounts") == Denied("s3:GetBucketPublicAccessBlock")

    def test_analyzers_are_listed(self, ground: Ground) -> None:
        ground.account.analyzers = [
            Analyzer(name=each, arn=f"arn:{each}", type="ACCOUNT", status="ACTIVE") for each in "ab"
        ]
        ground.pages_of(1)

        assert ground.account_reader.analyzers() == tuple(ground.account.analyzers)

    def test_a_topics_subscriptions_are_counted(self, ground: Ground) -> None:
        ground.account.topics[TOPIC] = Topic(confirmed=2, pending=1)

        assert ground.account_reader.topic(TOPIC) == Topic(confirmed=2, pending=1)

    def test_a_queues_subscription_is_found_among_the_others(self, ground: Ground) -> None:
        ground.account.topics[TOPIC] = Topic(confirmed=2, pending=1, policy="{}")
        read = ground.account_reader.subscription
        assert read(TOPIC, QUEUE) is None
        assert read("arn:aws:sns:us-east-1:123456789012:gone", QUEUE) is None

        for subscription in (
            Subscription(arn=""),
            Subscription(arn=f"{TOPIC}:1"),
            Subscription(arn=f"{TOPIC}:1", raw=True, filtered=True),
        ):
            other = Subscription(arn="arn:2")
            ground.account.subscriptions = {(TOPIC, f"{QUEUE}-2"): other, (TOPIC, QUEUE): subscription}
            assert ground.account_reader.subscription(TOPIC, QUEUE) == subscription

    def test_a_schedule_is_on_or_not(self, ground: Ground) -> None:
        ground.account.schedules = {"on": True, "off": False}

        assert [ground.account_reader.schedule_is_on(rule) for rule in ("on", "off", "gone")] == [True, False, False]

    def test_a_stack_lists_what_it_made(self, ground: Ground) -> None:
        made = {StackResource("AWS::IoT::Logging", "123456789012"), StackResource("AWS::GuardDuty::Detector", "d-1")}
        ground.account.stacks["iot-baseline"] = made

        assert ground.account_reader.stack_resources("iot-baseline") == frozenset(made)

    @pytest.mark.parametrize("read", DENIABLE)
    def test_what_is_denied_is_named(self, ground: Ground, read: str) -> None:
        ask = something_of_everything(ground)[read]

        for action in DENIABLE[read]:
            ground.account.denied = {action}
            assert ask() == Denied(action)
            ground.account.denied = set()
            assert not isinstance(ask(), Denied)


def something_of_everything(ground: Ground) -> dict[str, Callable[[], object]]:
    """Make one of each in the account, and return how each is read."""
    trail, account, reader = trail_of("ours"), ground.account, ground.account_reader
    account.scheduled_audits = [ScheduledAudit(name="audit", frequency="DAILY", checks=CHECKS)]
    account.audits = [AuditTask(id="task", status="COMPLETED", started_at=NOON)]
    account.logging = IotLogging(level="ERROR", disabled=False)
    account.profiles = [SecurityProfile(name="learns", learns=True)]
    account.undelivered = [(NOON - DAY / 2, 1)]
    account.detector = Detector(id="d" * 32, enabled=True)
    account.trails, account.trail_statuses = [trail], {trail.arn: TrailStatus(logging=True)}
    account.buckets = {"logs": Bucket(public_access_blocked=True, versioned=True)}
    account.topics, account.schedules = {TOPIC: Topic(confirmed=1, pending=0)}, {"rule": True}
    account.subscriptions = {(TOPIC, QUEUE): Subscription(arn=f"{TOPIC}:1")}
    return {
        "audit_configuration": reader.audit_configuration,
        "scheduled_audits": reader.scheduled_audits,
        "audits": lambda: reader.audits(NOON - DAY, NOON),
        "suppressions": reader.suppressions,
        "iot_logging": reader.iot_logging,
        "log_group": lambda: reader.log_group("logs"),
        "event_types": reader.event_types,
        "security_profiles": reader.security_profiles,
        "learning_models": lambda: reader.learning_models("learns"),
        "custom_metrics": reader.custom_metrics,
        "undelivered_alerts": lambda: reader.undelivered_alerts(NOON - DAY, NOON),
        "detector": reader.detector,
        "guardduty_administrator": lambda: reader.guardduty_administrator("d" * 32),
        "organization": reader.organization,
        "trails": reader.trails,
        "trail_status": lambda: reader.trail_status(trail.arn),
        "trail_records_management": lambda: reader.trail_records_management(trail.arn),
        "bucket": lambda: reader.bucket("logs"),
        "analyzers": reader.analyzers,
        "topic": lambda: reader.topic(TOPIC),
        "subscription": lambda: reader.subscription(TOPIC, QUEUE),
        "schedule_is_on": lambda: reader.schedule_is_on("rule"),
        "stack_resources": lambda: reader.stack_resources("iot-baseline"),
    }


STACK = "iot-baseline"
LOGGING = Deployed(
    name="Logging",
    type="AWS::IoT::Logging",
    id="123456789012",
    expected={"DefaultLogLevel": "ERROR", "RoleArn": "arn:role"},
    actual={"DefaultLogLevel": "DISABLED", "RoleArn": "arn:role", "AccountId": "123456789012"},
)


def deployed(ground: Ground, *resources: Deployed) -> None:
    """Deploy the baseline's stack."""
    ground.account.stacks[STACK] = {StackResource(each.type, each.id) for each in resources}
    ground.account.deployed = Stacks({STACK: [replace(each) for each in resources]})


class TestStackDrift:
    def begin(self, ground: Ground) -> Detection:
        begun = ground.stack_drift.begin(STACK)
        assert isinstance(begun, str)
        found = ground.stack_drift.detection(begun)
        assert isinstance(found, Detection)
        return found

    def test_a_detection_is_begun_and_later_over(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        begun = ground.stack_drift.begin(STACK)
        assert isinstance(begun, str)

        answers = []
        for ground.account.deployed.comparing in (True, False):
            found = ground.stack_drift.detection(begun)
            assert isinstance(found, Detection)
            assert abs(datetime.now(UTC) - found.began) < timedelta(minutes=1)
            answers.append(found.is_over)

        assert answers == [False, True]

    def test_every_property_that_differs_is_named_and_no_other(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        began = self.begin(ground).began

        assert ground.stack_drift.resources(STACK, began) == (
            ResourceDrift(
                name="Logging",
                type="AWS::IoT::Logging",
                id="123456789012",
                status=ResourceStatus.MODIFIED,
                differences=(PropertyDrift(path="/DefaultLogLevel", expected="ERROR", found="DISABLED"),),
                expected=LOGGING.expected,
                actual=LOGGING.actual or {},
            ),
        )

    def test_what_was_not_compared_is_not_in_sync(self, ground: Ground) -> None:
        deployed(
            ground,
            replace(LOGGING, name="InSync", id="1", actual=LOGGING.expected),
            replace(LOGGING, name="Gone", id="2", actual=None),
            replace(LOGGING, name="Unsupported", id="3", unsupported=True),
            replace(LOGGING, name="Denied", id="4", unknown="not authorized to perform iot:GetV2LoggingOptions"),
            replace(LOGGING, name="Stale", id="5", stale=True),
        )
        ground.pages_of(2)

        found = ground.stack_drift.resources(STACK, self.begin(ground).began)

        assert not isinstance(found, Denied | Unavailable | Unanswered)
        assert {each.name: (each.status, each.reason) for each in found} == {
            "InSync": (ResourceStatus.IN_SYNC, ""),
            "Gone": (ResourceStatus.DELETED, ""),
            "Unsupported": (
                ResourceStatus.NOT_CHECKED,
                "CloudFormation does not compare resources of this type.",
            ),
            "Denied": (ResourceStatus.NOT_CHECKED, "not authorized to perform iot:GetV2LoggingOptions"),
            "Stale": (ResourceStatus.NOT_CHECKED, "CloudFormation did not compare it this time."),
        }

    def test_one_resource_is_compared_at_once(self, ground: Ground) -> None:
        deployed(ground, LOGGING, replace(LOGGING, name="Other", id="1"))

        found = ground.stack_drift.resource(STACK, "Logging")

        assert isinstance(found, ResourceDrift)
        assert (found.name, found.status, found.actual) == ("Logging", ResourceStatus.MODIFIED, LOGGING.actual)

    def test_a_stack_that_is_not_there_or_busy_is_not_compared(self, ground: Ground) -> None:
        refused = Unanswered("cloudformation:DetectStackDrift", "ValidationError")

        assert ground.stack_drift.begin(STACK) == refused
        deployed(ground, LOGGING)
        ground.account.deployed.busy = True
        assert ground.stack_drift.begin(STACK) == refused

    def test_what_is_denied_is_named(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        began = self.begin(ground).began
        asks: dict[str, Callable[[], object]] = {
            "DetectStackDrift": lambda: ground.stack_drift.begin(STACK),
            "DescribeStackDriftDetectionStatus": lambda: ground.stack_drift.detection("0a1b2c3d"),
            "DescribeStackResourceDrifts": lambda: ground.stack_drift.resources(STACK, began),
            "ListStackResources": lambda: ground.stack_drift.resources(STACK, began),
            "DetectStackResourceDrift": lambda: ground.stack_drift.resource(STACK, "Logging"),
        }

        for operation, ask in asks.items():
            ground.account.denied = {f"cloudformation:{operation}"}
            assert ask() == Denied(f"cloudformation:{operation}")


PATCH = (
    {"op": "test", "path": "/DefaultLogLevel", "value": "DISABLED"},
    {"op": "replace", "path": "/DefaultLogLevel", "value": "ERROR"},
)


class TestResourceUpdates:
    def begin(self, ground: Ground, once: str = "once", patch: Sequence[Mapping[str, Any]] = PATCH) -> object:
        return ground.resource_updates.begin(LOGGING.type, LOGGING.id, patch, once)

    def level(self, ground: Ground) -> object:
        [logging] = ground.account.deployed.resources[STACK]
        return (logging.actual or {})["DefaultLogLevel"]

    def test_a_patch_changes_one_property_in_its_time(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        begun = self.begin(ground)
        assert isinstance(begun, Update)
        ground.account.deployed.updating = True

        assert begun.state is UpdateState.RUNNING
        assert ground.resource_updates.progress(begun.request) == replace(begun, state=UpdateState.RUNNING)
        assert self.level(ground) == "DISABLED"
        ground.account.deployed.updating = False
        assert ground.resource_updates.progress(begun.request) == Update(begun.request, UpdateState.DONE)
        assert self.level(ground) == "ERROR"

    def test_the_same_once_again_is_the_same_change(self, ground: Ground) -> None:
        deployed(ground, LOGGING)

        assert self.begin(ground) == self.begin(ground)
        other = ({"op": "replace", "path": "/DefaultLogLevel", "value": "INFO"},)
        conflict = Unanswered("cloudformation:UpdateResource", "ClientTokenConflictException")
        assert self.begin(ground, patch=other) == conflict

    def test_a_test_that_fails_changes_nothing(self, ground: Ground) -> None:
        deployed(ground, replace(LOGGING, actual={**(LOGGING.actual or {}), "DefaultLogLevel": "WARN"}))

        refused = Unanswered("cloudformation:UpdateResource", "InvalidRequestException")
        assert self.begin(ground) == refused
        assert self.level(ground) == "WARN"

    def test_a_handler_that_refuses_says_why(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        begun = self.begin(ground)
        assert isinstance(begun, Update)
        ground.account.deployed.refuses = "not authorized to perform iot:SetV2LoggingOptions"

        assert ground.resource_updates.progress(begun.request) == Update(
            begun.request, UpdateState.FAILED, "AccessDenied: not authorized to perform iot:SetV2LoggingOptions"
        )

    def test_what_is_denied_is_named(self, ground: Ground) -> None:
        deployed(ground, LOGGING)
        ground.account.denied = {"cloudformation:UpdateResource", "cloudformation:GetResourceRequestStatus"}

        assert self.begin(ground) == Denied("cloudformation:UpdateResource")
        assert ground.resource_updates.progress("r") == Denied("cloudformation:GetResourceRequestStatus")


PORTS = get_type_hints(Ports)
_ON_BOTH = ("test_contracts.py", "test_containment_calls.py", "test_ledger.py")
"""The files whose tests run on the real adapter and on the fake: what is `ground` or `ledger` in them is either."""


def _tried() -> set[tuple[str, str]]:
    """List each port and method that those tests name, as `ground.<port>.<method>` or `ledger.<method>`."""
    found = set()
    for name in _ON_BOTH:
        for node in ast.walk(ast.parse((Path(__file__).parent / name).read_text(encoding="utf-8"))):
            match node:
                case ast.Attribute(attr=method, value=ast.Attribute(attr=port, value=ast.Name("ground"))):
                    found.add((port, method))
                case ast.Attribute(attr=method, value=ast.Name("ledger")):
                    found.add(("ledger", method))
    return found


@pytest.mark.parametrize("port", PORTS)
def test_every_method_of_a_port_has_a_contract(port: str) -> None:
    methods = {name for name, each in vars(PORTS[port]).items() if not name.startswith("_") and callable(each)}

    assert methods
    assert {(port, method) for method in methods} - _tried() == set(), (
        f"no scenario of {', '.join(_ON_BOTH)} calls these methods of core/ports.py"
    )


def an_order(*things: str, work_timeout: timedelta = MINUTES) -> JobOrder:
    ends_at = datetime.now(UTC) + timedelta(hours=2)
    return JobOrder(id="warden-1", things=things, document=DOCUMENT, work_timeout=work_timeout, ends_at=ends_at)


def _groups(ground: Ground, name: str) -> tuple[str, ...]:
    thing = ground.registry.thing(name)
    assert thing is not None
    return tuple(thing.groups)
