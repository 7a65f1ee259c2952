"""The model's own rules, where the template never meets them: what a changed template would run into."""

from __future__ import annotations

from typing import Any

import pytest

from tests.baseline.account import Account, Audit, HandlerError, LoggingOptions
from tests.baseline.evaluation import ACCOUNT
from tests.baseline.handlers import HANDLERS, MOST_AUDITS, MOST_TRAILS, PLANS

AUDIT: dict[str, Any] = {
    "AccountId": ACCOUNT,
    "RoleArn": "ours",
    "AuditCheckConfigurations": {"LoggingDisabledCheck": {"Enabled": True}},
}
LOGGING: dict[str, Any] = {
    "AccountId": ACCOUNT,
    "RoleArn": "ours",
    "DefaultLogLevel": "ERROR",
    "EventConfigurations": [],
}


def create(account: Account, kind: str, properties: dict[str, Any]) -> str:
    return HANDLERS[kind].create(account, "new", properties).ref


class TestAuditConfiguration:
    KIND = "AWS::IoT::AccountAuditConfiguration"

    def test_another_accounts_id_is_refused(self) -> None:
        with pytest.raises(HandlerError, match="doesn't match actual"):
            create(Account(), self.KIND, AUDIT | {"AccountId": "999999999999"})

    def test_a_role_without_a_check_is_refused(self) -> None:
        with pytest.raises(HandlerError, match="at least one enabled check"):
            create(Account(), self.KIND, AUDIT | {"AuditCheckConfigurations": {}})

    def test_checks_that_others_enabled_without_a_role_count_for_nothing(self) -> None:
        account = Account(audit=Audit(enabled={"LOGGING_DISABLED_CHECK"}))

        create(account, self.KIND, AUDIT)

        assert account.audit.role == "ours"

    def test_an_update_disables_what_it_does_not_name_and_switches_the_target_off(self) -> None:
        account = Account()
        create(account, self.KIND, AUDIT)
        account.audit.enabled.add("CONFLICTING_CLIENT_IDS_CHECK")
        account.audit.target = {"TargetArn": "theirs", "Enabled": True}

        HANDLERS[self.KIND].update(account, ACCOUNT, AUDIT)

        assert account.audit.enabled == {"LOGGING_DISABLED_CHECK"}
        assert account.audit.target == {"TargetArn": "theirs", "Enabled": False}

    def test_a_threshold_is_a_string(self) -> None:
        check = {"Enabled": True, "Configuration": {"CertAgeThresholdInDays": 365}}

        with pytest.raises(HandlerError, match="must be strings"):
            create(Account(), self.KIND, AUDIT | {"AuditCheckConfigurations": {"DeviceCertificateAgeCheck": check}})

    def test_deletion_ends_the_audit(self) -> None:
        account = Account()
        create(account, self.KIND, AUDIT)

        HANDLERS[self.KIND].delete(account, ACCOUNT)

        assert account.audit == Audit()

    @pytest.mark.parametrize("call", ["update", "delete"])
    def test_what_is_not_there_is_not_found(self, call: str) -> None:
        arguments = (Account(), ACCOUNT, AUDIT)[: 3 if call == "update" else 2]

        with pytest.raises(HandlerError, match="NotFound"):
            getattr(HANDLERS[self.KIND], call)(*arguments)


class TestScheduledAudit:
    KIND = "AWS::IoT::ScheduledAudit"

    def test_a_check_that_is_not_enabled_is_refused(self) -> None:
        with pytest.raises(HandlerError, match="not enabled"):
            create(Account(), self.KIND, {"TargetCheckNames": ["LOGGING_DISABLED_CHECK"]})

    def test_a_sixth_is_refused(self) -> None:
        account = Account(audit=Audit("ours", {"LOGGING_DISABLED_CHECK"}))
        account.scheduled = {str(number): [] for number in range(MOST_AUDITS)}

        with pytest.raises(HandlerError, match="LimitExceeded"):
            create(account, self.KIND, {"TargetCheckNames": ["LOGGING_DISABLED_CHECK"]})


class TestLogging:
    KIND = "AWS::IoT::Logging"

    def test_deletion_disables_all_logs_and_an_update_then_finds_none(self) -> None:
        account = Account()
        create(account, self.KIND, LOGGING)
        HANDLERS[self.KIND].delete(account, ACCOUNT)
        assert account.logging is not None

        assert account.logging.disabled
        with pytest.raises(HandlerError, match="NotFound"):
            HANDLERS[self.KIND].update(account, ACCOUNT, LOGGING)

    def test_what_is_disabled_is_overwritten(self) -> None:
        account = Account(logging=LoggingOptions("theirs", "DEBUG", disabled=True))

        create(account, self.KIND, LOGGING)

        assert account.logging == LoggingOptions("ours", "ERROR")


class TestDetector:
    KIND = "AWS::GuardDuty::Detector"

    def test_plans_that_are_not_named_are_enabled_but_runtime_monitoring(self) -> None:
        account = Account()

        detector = create(account, self.KIND, {"Enable": True})

        assert account.detectors[detector] == dict.fromkeys(PLANS, "ENABLED") | {"RUNTIME_MONITORING": "DISABLED"}

    @pytest.mark.parametrize(
        "wrong",
        [
            {"DataSources": {}, "Features": [{"Name": "S3_DATA_EVENTS", "Status": "ENABLED"}]},
            {
                "Features": [
                    {"Name": name, "Status": "DISABLED"} for name in ("RUNTIME_MONITORING", "EKS_RUNTIME_MONITORING")
                ]
            },
        ],
    )
    def test_what_excludes_each_other_is_refused_and_leaves_no_detector(self, wrong: dict[str, Any]) -> None:
        account = Account()

        with pytest.raises(HandlerError):
            create(account, self.KIND, wrong)

        assert account.detectors == {}


class TestTrail:
    KIND = "AWS::CloudTrail::Trail"

    def test_a_bucket_without_the_policy_is_refused(self) -> None:
        with pytest.raises(HandlerError, match="Incorrect S3 bucket policy"):
            create(Account(), self.KIND, {"S3BucketName": "logs"})

    def test_a_sixth_is_refused(self) -> None:
        account = Account(trails={str(number): {} for number in range(MOST_TRAILS)})

        with pytest.raises(HandlerError, match="MaximumNumberOfTrailsExceeded"):
            create(account, self.KIND, {"S3BucketName": "logs"})


def test_a_bucket_that_holds_something_is_not_deleted() -> None:
    account = Account()
    bucket = create(account, "AWS::S3::Bucket", {})
    account.files[bucket] = 1

    with pytest.raises(HandlerError, match="not empty"):
        HANDLERS["AWS::S3::Bucket"].delete(account, bucket)


def test_a_metric_that_a_profile_uses_is_not_deleted() -> None:
    account = Account()
    metric = create(account, "AWS::IoT::CustomMetric", {})
    create(account, "AWS::IoT::SecurityProfile", {"TargetArns": [], "Behaviors": [{"Metric": metric}]})

    with pytest.raises(HandlerError, match="uses the metric"):
        HANDLERS["AWS::IoT::CustomMetric"].delete(account, metric)
