"""The plan as it comes: every kind that the sources know has its answer, and the page says which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files

import pytest

from tests.conftest import ROOT
from tests.fakes import a_finding
from tests.sample_events import SAMPLE_EVENTS
from tests.unit.ingest.detectors.samples import findings_of
from warden.core.actions import QUARANTINE
from warden.core.findings import LOGS_WANTED, Finding, Severity, Source
from warden.core.mode import Mode
from warden.ingest.detectors.audit import CHECKS
from warden.ingest.detectors.detect import CLOUD_SIDE_METRICS
from warden.plan.actions import DEACTIVATE_CERTIFICATE, NOTIFY, RENEW_CERTIFICATE, ROTATE_CERTIFICATE
from warden.plan.model import Device, Plan
from warden.plan.parser import read_plan
from warden_cli.plan_table import BEGIN, Kind, kinds, rows, table, with_table

LEAVES = "data-leaves-the-device"
STRANGE = "strange-connections"
SILENT = "falls-silent-or-is-flooded"
ODD = "behaves-oddly"
RENEWAL = "certificate-needs-renewal"
SHARED = "certificate-is-shared"
REVOKED = "certificate-is-revoked"
PEOPLE = "people-must-mend-it"
MISUSED = "credentials-are-misused"
ANOTHER = "another-detector-is-alarmed"
WANTS_LOGS = "an-operator-wants-logs"
OPERATOR = "an-operator-says-so"
REST = "everything-else"

# Written down by hand, so that a glob that reaches further than it should, or not as far, is seen.
DETECT: Mapping[str, str] = {
    "aws:all-bytes-in": SILENT,
    "aws:all-bytes-out": LEAVES,
    "aws:all-packets-in": SILENT,
    "aws:all-packets-out": LEAVES,
    "aws:destination-ip-addresses": LEAVES,
    "aws:disconnect-duration": SILENT,
    "aws:listening-tcp-ports": STRANGE,
    "aws:listening-udp-ports": STRANGE,
    "aws:message-byte-size": LEAVES,
    "aws:num-authorization-failures": STRANGE,
    "aws:num-connection-attempts": STRANGE,
    "aws:num-disconnects": SILENT,
    "aws:num-established-tcp-connections": STRANGE,
    "aws:num-listening-tcp-ports": STRANGE,
    "aws:num-listening-udp-ports": STRANGE,
    "aws:num-messages-received": SILENT,
    "aws:num-messages-sent": LEAVES,
    "aws:source-ip-address": STRANGE,
    "your-own-metric": ODD,
}
"""What answers each metric of high severity; below that, only SILENT answers its own and ODD all others."""

AUDIT: Mapping[str, str] = {
    "AUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK": PEOPLE,
    "CA_CERTIFICATE_EXPIRING_CHECK": PEOPLE,
    "CA_CERTIFICATE_KEY_QUALITY_CHECK": PEOPLE,
    "CONFLICTING_CLIENT_IDS_CHECK": PEOPLE,
    "DEVICE_CERTIFICATE_AGE_CHECK": RENEWAL,
    "DEVICE_CERTIFICATE_EXPIRING_CHECK": RENEWAL,
    "DEVICE_CERTIFICATE_KEY_QUALITY_CHECK": RENEWAL,
    "DEVICE_CERTIFICATE_SHARED_CHECK": SHARED,
    "INTERMEDIATE_CA_REVOKED_FOR_ACTIVE_DEVICE_CERTIFICATES_CHECK": PEOPLE,
    "IOT_POLICY_OVERLY_PERMISSIVE_CHECK": PEOPLE,
    "IOT_POLICY_POTENTIAL_MISCONFIGURATION_CHECK": PEOPLE,
    "IOT_ROLE_ALIAS_ALLOWS_ACCESS_TO_UNUSED_SERVICES_CHECK": PEOPLE,
    "IOT_ROLE_ALIAS_OVERLY_PERMISSIVE_CHECK": PEOPLE,
    "LOGGING_DISABLED_CHECK": PEOPLE,
    "REVOKED_CA_CERTIFICATE_STILL_ACTIVE_CHECK": PEOPLE,
    "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK": REVOKED,
    "UNAUTHENTICATED_COGNITO_ROLE_OVERLY_PERMISSIVE_CHECK": PEOPLE,
}

TOUCHES: Mapping[str, tuple[Sequence[str], Mode]] = {
    LEAVES: (("quarantine", "collect-logs", "notify"), Mode.ENFORCE),
    STRANGE: (("quarantine", "collect-logs", "notify"), Mode.APPROVE),
    SILENT: (("collect-logs", "notify"), Mode.APPROVE),
    ODD: (("collect-logs", "notify"), Mode.APPROVE),
    RENEWAL: (("renew-certificate", "notify"), Mode.ENFORCE),
    SHARED: (("rotate-certificate", "notify"), Mode.APPROVE),
    REVOKED: (("deactivate-certificate", "notify"), Mode.APPROVE),
    PEOPLE: (("notify",), Mode.ENFORCE),
    MISUSED: (("quarantine", "collect-logs", "notify"), Mode.APPROVE),
    ANOTHER: (("quarantine", "collect-logs", "notify"), Mode.APPROVE),
    WANTS_LOGS: (("collect-logs", "notify"), Mode.ENFORCE),
    OPERATOR: (("quarantine", "collect-logs", "notify"), Mode.ENFORCE),
    REST: (("notify",), Mode.ENFORCE),
}


@pytest.fixture(scope="module")
def plan() -> Plan:
    return read_plan(files("warden_plan").joinpath("response-plan.toml").read_text(encoding="utf-8"))


def expected(kind: Kind, severity: Severity) -> str:
    serious = severity in (Severity.HIGH, Severity.CRITICAL)
    match kind.source:
        case Source.DETECT:
            rule = DETECT[kind.name]
            return rule if serious or rule == SILENT else ODD
        case Source.AUDIT:
            return AUDIT[kind.name]
        case Source.GUARDDUTY:
            return MISUSED
        case Source.GENERIC:
            return ANOTHER if serious else REST
        case Source.OPERATOR:
            if kind.name == LOGS_WANTED:
                return WANTS_LOGS
            return OPERATOR if serious else REST
        case _:
            return REST


def chosen(plan: Plan, finding: Finding) -> str:
    return plan.rule_for(finding, Device()).name


# --- every kind has its answer -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: f"{kind.source}-{kind.name}")
@pytest.mark.parametrize("severity", Severity)
def test_every_kind_ends_in_the_rule_that_was_meant_for_it(kind: Kind, severity: Severity, plan: Plan) -> None:
    finding = a_finding(source=kind.source, kind=kind.name, severity=severity, attributes=kind.attributes)

    assert chosen(plan, finding) == expected(kind, severity)


def test_nothing_that_the_sources_know_is_left_out() -> None:
    listed = {(kind.source, kind.name) for kind in kinds()}

    assert {name for source, name in listed if source is Source.DETECT} == set(DETECT)
    assert set(DETECT) >= CLOUD_SIDE_METRICS
    assert {name for source, name in listed if source is Source.AUDIT} == set(AUDIT) == set(CHECKS)
    # Security Hub's findings keep the source that made them; the schedule's are renewed as [rotation] says.
    assert {source for source, _ in listed} == set(Source) - {Source.SECURITY_HUB, Source.SCHEDULE}


def test_each_rule_does_what_its_name_promises(plan: Plan) -> None:
    assert {rule.name: (tuple(rule.actions), rule.mode) for rule in plan.rules} == TOUCHES


def test_no_rule_is_for_nothing_that_is_known(plan: Plan) -> None:
    assert {row.rule for row in rows(plan)} == {rule.name for rule in plan.rules}


@pytest.mark.parametrize("name", [each.name for each in SAMPLE_EVENTS.values() if each.rules])
def test_the_sample_events_are_answered_as_expected(name: str, plan: Plan) -> None:
    assert tuple(chosen(plan, finding) for finding in findings_of(name)) == SAMPLE_EVENTS[name].rules


@pytest.mark.parametrize(
    ("source", "rule"),
    [(Source.DETECT, ODD), (Source.AUDIT, REST), (Source.GUARDDUTY, MISUSED), (Source.SECURITY_HUB, REST)],
)
def test_a_kind_that_aws_adds_one_day_has_an_answer_that_cuts_nothing_off_unasked(
    source: Source, rule: str, plan: Plan
) -> None:
    added = a_finding(source=source, kind="NEW", severity=Severity.CRITICAL, attributes={"check": "NEW"})

    assert chosen(plan, added) == rule
    assert TOUCHES[rule][0] == (NOTIFY,) or TOUCHES[rule][1] is Mode.APPROVE


# --- what the plan must never say ----------------------------------------------------------------------------------


def test_only_two_detectors_words_cut_a_device_off_unasked(plan: Plan) -> None:
    cutting = {QUARANTINE, DEACTIVATE_CERTIFICATE}
    unasked = {rule.name for rule in plan.rules if rule.mode is Mode.ENFORCE and cutting & set(rule.actions)}

    assert unasked == {LEAVES, OPERATOR}


def test_no_suspected_device_is_rekeyed(plan: Plan) -> None:
    for rule in plan.rules:
        if {ROTATE_CERTIFICATE, RENEW_CERTIFICATE} & set(rule.actions):
            assert rule.source == (Source.AUDIT,)


def test_renewals_leave_room_for_containment(plan: Plan) -> None:
    unasked = [rule for rule in plan.rules if rule.mode is Mode.ENFORCE and ROTATE_CERTIFICATE in rule.actions]

    assert unasked == []


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_page_has_the_table_of_this_plan(plan: Plan) -> None:
    page = (ROOT / "docs/response-plan.md").read_text(encoding="utf-8")

    assert with_table(page, plan) == page, "run `make plan-table`"


def test_another_plan_makes_another_table(plan: Plan) -> None:
    least = read_plan('version = 1\n[limits]\ndevices_per_hour = 1\n[[rule]]\nname = "rest"\nactions = ["notify"]\n')

    assert table(least) != table(plan)
    assert table(least).count("`rest`") == len(list(kinds()))


def test_a_page_without_its_markers_is_refused(plan: Plan) -> None:
    with pytest.raises(ValueError, match="between"):
        with_table(f"{BEGIN}\n", plan)
