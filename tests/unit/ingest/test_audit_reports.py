"""Audits: read to the last page over as many runs as it takes, and what they no longer find is over."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.fakes import World, a_finding, a_world
from warden.cases.model import CaseState, StepKind
from warden.core.errors import Refused
from warden.ingest import intake
from warden.ingest.detectors import Envelope

CHECK = "LOGGING_DISABLED_CHECK"
SHARED = "DEVICE_CERTIFICATE_SHARED_CHECK"
PLENTY, NONE_LEFT = timedelta(minutes=5), timedelta()


@pytest.fixture
def world() -> World:
    return a_world("pump-1", "pump-3")


def report(task: str, check: str = CHECK, *, compliant: bool = False) -> str:
    status = "COMPLETED_COMPLIANT" if compliant else "COMPLETED_NON_COMPLIANT"
    details = [{"checkName": check, "checkRunStatus": status, "totalResourcesCount": 3}]
    return json.dumps({"taskId": task, "taskStatus": "COMPLETED", "auditDetails": details})


def found(task: str, finding_id: str, check: str = CHECK, **resource: Any) -> dict[str, Any]:
    about = resource or {"resourceType": "ACCOUNT_SETTINGS", "resourceIdentifier": {"account": "000000000000"}}
    return {
        "findingId": finding_id,
        "taskId": task,
        "checkName": check,
        "severity": "LOW",
        "nonCompliantResource": about,
    }


def a_ca(number: int) -> dict[str, Any]:
    return {"resourceType": "CA_CERTIFICATE", "resourceIdentifier": {"caCertificateId": f"{number:064x}"}}


def send(world: World, body: str, left: timedelta = PLENTY) -> Refused | None:
    envelope = Envelope(message_id="m", received_at=world.clock(), account="000000000000", region="us-east-1")
    return intake.ingest(body, envelope, world.context, lambda: left).refused


def ingest_all(world: World, body: str, left: timedelta = PLENTY) -> int:
    """Ingest a message and whatever that puts back on the inbox; return the number of runs."""
    runs, waiting = 0, [body]
    while waiting:
        assert send(world, waiting.pop(0), left) is None
        runs += 1
        waiting += world.inbox.bodies
        world.inbox.bodies.clear()
    world.drain()
    return runs


def test_all_pages_of_a_check_become_cases(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [found("t-1", f"f-{n}", **a_ca(n)) for n in range(5)]

    ingest_all(world, report("t-1"))

    assert sorted(case.subject.name for case in world.cases) == [f"{n:064x}" for n in range(5)]


def test_what_one_run_cannot_read_the_next_goes_on_with(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [found("t-1", f"f-{n}", **a_ca(n)) for n in range(5)]

    runs = ingest_all(world, report("t-1"), NONE_LEFT)

    assert runs == 1 + 3, "the report, then one page of two in each run"
    assert len(world.cases) == 5


def test_a_finding_that_cannot_be_read_costs_only_itself(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [{"findingId": "f-0"}, found("t-1", "f-1")]

    ingest_all(world, report("t-1"))

    assert len(world.cases) == 1


def test_what_is_found_again_tomorrow_is_the_same_case(world: World) -> None:
    for day in ("t-1", "t-2", "t-3"):
        world.detectors.audits[day, CHECK] = [found(day, f"f-{day}")]
        ingest_all(world, report(day))
        world.clock.advance(timedelta(days=1))

    [case] = world.cases
    assert case.findings == {"f-t-3": True}
    assert [entry.step.kind for entry in world.context.cases.timeline(case.id)].count(StepKind.FINDING) == 1


def test_what_the_next_audit_does_not_find_is_closed(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [found("t-1", "f-1")]
    ingest_all(world, report("t-1"))
    world.clock.advance(timedelta(days=1))

    ingest_all(world, report("t-2", compliant=True))
    world.clock.advance(timedelta(minutes=31))
    world.sweep()

    [case] = world.cases
    assert (case.state, case.resolution) == (CaseState.CLOSED, "not-found-by-audit")


def test_what_only_waits_in_a_queue_is_not_closed(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [found("t-1", "f-1")]
    ingest_all(world, report("t-1"))
    world.clock.advance(timedelta(days=1))
    world.detectors.audits["t-2", CHECK] = [found("t-2", "f-2")]
    send(world, report("t-2", compliant=True))

    world.sweep(after=timedelta(minutes=31))

    assert world.case.is_open


def test_a_policys_case_is_closed_by_the_audit_too(world: World) -> None:
    version = {"policyVersionIdentifier": {"policyName": "wide-open", "policyVersionId": "1"}}
    resource: dict[str, Any] = {"resourceType": "IOT_POLICY", "resourceIdentifier": version}
    world.detectors.audits["t-1", CHECK] = [found("t-1", "f-1", **resource)]
    ingest_all(world, report("t-1"))
    world.clock.advance(timedelta(days=1))

    ingest_all(world, report("t-2", compliant=True))
    world.sweep(after=timedelta(minutes=31))

    assert not world.case.is_open


def test_a_finding_about_a_certificate_is_a_case_of_each_thing_that_uses_it(world: World) -> None:
    certificate = world.devices["pump-3"].certificate
    world.registry.attached.append((certificate, "pump-1"))
    resource = {"resourceType": "DEVICE_CERTIFICATE", "resourceIdentifier": {"deviceCertificateId": certificate}}
    world.detectors.audits["t-1", SHARED] = [found("t-1", "f-1", SHARED, **resource)]

    ingest_all(world, report("t-1", SHARED))

    assert sorted(case.thing for case in world.cases) == ["pump-1", "pump-3"]
    assert {case.attributes["certificate"] for case in world.cases} == {certificate}


def test_what_the_next_audit_finds_on_its_last_page_is_not_closed(world: World) -> None:
    world.detectors.audits["t-1", CHECK] = [found("t-1", "f-1")]
    ingest_all(world, report("t-1"))
    world.report(a_finding("pump-1", kind="of-another-detector"))
    world.clock.advance(timedelta(days=1))
    others = [found("t-2", f"f-2-{number}", **a_ca(number)) for number in range(2)]
    world.detectors.audits["t-2", CHECK] = [*others, found("t-2", "f-2")]
    send(world, report("t-2", compliant=True))

    world.sweep(after=timedelta(minutes=31))

    assert [case.is_open for case in world.cases] == [True, True]


@pytest.mark.parametrize(
    "changes", [{"fleetWardenAuditPage": 2}, {"taskId": None}, {"checkName": 7}, {"page": ["1"]}, {"page": None}]
)
def test_where_to_read_on_is_our_own_word_alone(world: World, changes: dict[str, Any]) -> None:
    written = {"fleetWardenAuditPage": 1, "taskId": "t-1", "checkName": CHECK, "page": "2"}

    refusal = send(world, json.dumps(written | changes))
    assert refusal
    assert refusal.code == "not-a-reading"
    assert send(world, json.dumps(written)) is None
    assert world.cases == []
