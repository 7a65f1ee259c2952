"""Every list of AWS IoT is read to its last page, and asked for by the largest that there are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from moto.iot.models import iot_backends

from tests.aws.backends import PREFIX, MotoGround
from tests.aws.conftest import REGION, a_client
from tests.aws_stand_in.rules import ACCOUNT
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import a_finding, a_key
from warden.aws.account import IotAccountSettings
from warden.core.findings import Source

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
_PLACES = ("marker", "nextToken")


@pytest.fixture(autouse=True)
def _pages_of_one(strict: StrictAws) -> None:
    strict.page = 1


def pages_asked_for(strict: StrictAws, operation: str) -> list[dict[str, Any]]:
    """List what was asked for, page by page; the first page has no place to begin at, each other has one."""
    made = strict.made(operation)
    assert [any(place in each for place in _PLACES) for each in made] == [page > 0 for page in range(len(made))]
    return [{name: value for name, value in each.items() if name not in _PLACES} for each in made]


def test_groups_of_a_thing(strict: StrictAws, stand_in: MotoGround) -> None:
    iot = a_client("iot")
    iot.create_thing_type(thingTypeName="pump")
    iot.create_thing(thingName="pump-3", thingTypeName="pump")
    for group in ("pumps", "site-4"):
        stand_in.group(group)
        stand_in.registry.join_group("pump-3", group)

    thing = stand_in.registry.thing("pump-3")

    assert thing is not None
    assert (thing.thing_type, thing.groups) == ("pump", ("pumps", "site-4"))
    asked = {"thingName": "pump-3", "maxResults": 250}
    assert pages_asked_for(strict, "ListThingGroupsForThing") == [asked] * 2


def test_certificates_of_a_thing_and_nothing_else_that_is_attached(strict: StrictAws, stand_in: MotoGround) -> None:
    stand_in.thing("pump-3")
    one = stand_in.certificate(1, thing="pump-3")
    cognito = f"arn:aws:cognito-identity:{REGION}:{ACCOUNT}:x"
    moto = iot_backends[ACCOUNT][REGION]
    moto.principal_things[cognito, "pump-3"] = cognito, moto.things[f"{PREFIX}thing/pump-3"]
    two = stand_in.certificate(2, thing="pump-3")

    assert stand_in.registry.certificates_of("pump-3") == [one, two]
    assert pages_asked_for(strict, "ListThingPrincipals") == [{"thingName": "pump-3", "maxResults": 250}] * 3


def test_things_of_a_certificate(strict: StrictAws, stand_in: MotoGround) -> None:
    certificate = stand_in.certificate(1)
    for thing in ("pump-1", "pump-2"):
        stand_in.thing(thing)
        a_client("iot").attach_thing_principal(thingName=thing, principal=f"{PREFIX}cert/{certificate}")

    assert stand_in.registry.things_of(certificate) == ["pump-1", "pump-2"]
    asked = {"principal": f"{PREFIX}cert/{certificate}", "maxResults": 250}
    assert pages_asked_for(strict, "ListPrincipalThings") == [asked] * 2


def test_policies_of_a_group_with_its_parents(strict: StrictAws, stand_in: MotoGround) -> None:
    stand_in.group("pumps", policies=["a", "b"])

    assert stand_in.registry.policies_of_group("pumps") == ["a", "b"]
    asked = {"target": f"{PREFIX}thinggroup/pumps", "recursive": True, "pageSize": 250}
    assert pages_asked_for(strict, "ListAttachedPolicies") == [asked] * 2


def test_policies_of_a_certificate(strict: StrictAws, stand_in: MotoGround) -> None:
    certificate = stand_in.certificate(1)
    stand_in.policies("a", "b")
    for policy in ("a", "b"):
        stand_in.certificates.attach_policy(certificate, policy)

    assert stand_in.certificates.policies_of(certificate) == ["a", "b"]
    asked = {"target": f"{PREFIX}cert/{certificate}", "pageSize": 250}
    assert pages_asked_for(strict, "ListAttachedPolicies") == [asked] * 2


def inactive(stand_in: MotoGround, number: int, age: timedelta) -> str:
    """Issue a certificate that long before noon."""
    return aged(stand_in.certificates.issue(a_key(number).csr, "pump-3").id, age)


def aged(certificate: str, age: timedelta) -> str:
    """Make a certificate this old at noon."""
    iot_backends[ACCOUNT][REGION].certificates[certificate].creation_date = NOON - age
    return certificate


def test_certificates_issued_since_a_moment(strict: StrictAws, stand_in: MotoGround) -> None:
    inactive(stand_in, 5, timedelta(days=2))  # on a third page, which is never asked for
    inactive(stand_in, 4, timedelta(days=1))
    two = inactive(stand_in, 3, timedelta(seconds=5))
    aged(stand_in.certificate(2), timedelta(seconds=1))
    one = inactive(stand_in, 1, timedelta())
    strict.page = 2

    found = stand_in.certificates.issued_since(NOON - timedelta(seconds=5))

    assert [each.id for each in found] == [one, two]
    assert pages_asked_for(strict, "ListCertificates") == [{"ascendingOrder": False, "pageSize": 250}] * 2
    assert strict.made("DescribeCertificate") == [{"certificateId": each} for each in (one, two)]


def test_one_that_is_deleted_while_it_is_listed_is_left_out(strict: StrictAws, stand_in: MotoGround) -> None:
    inactive(stand_in, 1, timedelta())
    strict.refuse("DescribeCertificate", "ResourceNotFoundException")

    assert stand_in.certificates.issued_since(NOON) == []
    assert len(strict.made("DescribeCertificate")) == 1


def test_targets_of_a_policy(strict: StrictAws, stand_in: MotoGround) -> None:
    stand_in.group("restricted", policies=["restricted"])
    certificate = stand_in.certificate(1)
    stand_in.certificates.attach_policy(certificate, "restricted")

    targets = list(IotAccountSettings(a_client("iot"), PREFIX).targets_of("restricted"))

    assert targets == [f"{PREFIX}thinggroup/restricted", f"{PREFIX}cert/{certificate}"]
    assert pages_asked_for(strict, "ListTargetsForPolicy") == [{"policyName": "restricted"}] * 2


@pytest.mark.parametrize(("wanted", "confirmed"), [("v-2", True), ("v-3", False)])
def test_active_violations_of_a_thing(strict: StrictAws, stand_in: MotoGround, wanted: str, confirmed: bool) -> None:
    strict.state.violations["pump-3"] = ["v-1", "v-2"]

    assert stand_in.detectors.confirms(a_finding(id=wanted, source=Source.DETECT)) is confirmed
    assert pages_asked_for(strict, "ListActiveViolations") == [{"thingName": "pump-3", "maxResults": 250}] * 2


@pytest.mark.parametrize("source", [source for source in Source if source not in (Source.DETECT, Source.AUDIT)])
def test_a_source_that_cannot_be_asked_is_believed(strict: StrictAws, stand_in: MotoGround, source: Source) -> None:
    assert stand_in.detectors.confirms(a_finding(source=source))
    assert strict.calls == []


def test_an_audits_finding_is_confirmed_unless_it_is_gone_or_suppressed(
    strict: StrictAws, stand_in: MotoGround
) -> None:
    strict.state.audit_findings["f-1"] = {"findingId": "f-1"}
    strict.state.audit_findings["f-2"] = {"findingId": "f-2", "isSuppressed": True}
    asked = ("f-1", "f-2", "f-3")

    confirmed = [stand_in.detectors.confirms(a_finding(id=each, source=Source.AUDIT)) for each in asked]

    assert confirmed == [True, False, False]
    assert strict.made("DescribeAuditFinding") == [{"findingId": each} for each in asked]


def test_an_audits_findings_come_page_by_page(strict: StrictAws, stand_in: MotoGround) -> None:
    task, check = "a" * 32, "DEVICE_CERTIFICATE_AGE_CHECK"
    stand_in.audited(task, check, [{"findingId": "f-1"}, {"findingId": "f-2"}])

    first = stand_in.detectors.audit_page(task, check, "")
    second = stand_in.detectors.audit_page(task, check, first.next_page)

    assert [[each["findingId"] for each in page.findings] for page in (first, second)] == [["f-1"], ["f-2"]]
    assert second.next_page == ""
    asked = {"taskId": task, "checkName": check, "maxResults": 250}
    assert pages_asked_for(strict, "ListAuditFindings") == [asked] * 2
