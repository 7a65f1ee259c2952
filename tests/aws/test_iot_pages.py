"""Every list of AWS IoT is read to its last page. moto gives all of them on one, so the pages are stubbed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.aws.backends import PREFIX
from tests.fakes import a_finding, a_key
from warden.aws.account import IotAccountSettings
from warden.aws.certificates import IotCertificates
from warden.aws.detectors import AwsDetectors
from warden.aws.registry import IotRegistry
from warden.core.findings import Source

type Stubbed = Callable[[str], tuple[Any, Any]]

ONE, TWO = "1" * 64, "2" * 64
CERTIFICATE = f"{PREFIX}cert/{ONE}"
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
NEXT = "QUFB"  # markers are Base64


def two_pages(
    stubber: Any, operation: str, asked: dict[str, Any], key: str, pages: tuple[list[Any], list[Any]]
) -> None:
    """Answer an operation in two pages, the second only for the first one's marker."""
    by_marker = operation in ("list_attached_policies", "list_targets_for_policy", "list_certificates")
    into, out_of = ("marker", "nextMarker") if by_marker else ("nextToken", "nextToken")
    stubber.add_response(operation, {key: pages[0], out_of: NEXT}, asked)
    stubber.add_response(operation, {key: pages[1]}, {**asked, into: NEXT})


def test_groups_of_a_thing(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_response("describe_thing", {"thingName": "pump-3", "thingTypeName": "pump"}, {"thingName": "pump-3"})
    pages = ([{"groupName": "pumps"}], [{"groupName": "site-4"}])
    two_pages(stubber, "list_thing_groups_for_thing", {"thingName": "pump-3", "maxResults": 250}, "thingGroups", pages)

    thing = IotRegistry(client, PREFIX).thing("pump-3")

    assert thing is not None
    assert (thing.thing_type, thing.groups) == ("pump", ("pumps", "site-4"))


def test_certificates_of_a_thing_and_nothing_else_that_is_attached(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    cognito = f"{PREFIX.split(':iot:')[0]}:cognito-identity:us-east-1:x"
    pages = ([CERTIFICATE, cognito], [f"{PREFIX}cert/{TWO}"])
    two_pages(stubber, "list_thing_principals", {"thingName": "pump-3", "maxResults": 250}, "principals", pages)

    assert IotRegistry(client, PREFIX).certificates_of("pump-3") == [ONE, TWO]


def test_things_of_a_certificate(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    asked = {"principal": CERTIFICATE, "maxResults": 250}
    two_pages(stubber, "list_principal_things", asked, "things", (["pump-1"], ["pump-2"]))

    assert IotRegistry(client, PREFIX).things_of(ONE) == ["pump-1", "pump-2"]


def test_policies_of_a_group_with_its_parents(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    asked = {"target": f"{PREFIX}thinggroup/pumps", "recursive": True, "pageSize": 250}
    two_pages(stubber, "list_attached_policies", asked, "policies", ([{"policyName": "a"}], [{"policyName": "b"}]))

    assert IotRegistry(client, PREFIX).policies_of_group("pumps") == ["a", "b"]


def test_policies_of_a_certificate(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    asked = {"target": CERTIFICATE, "pageSize": 250}
    two_pages(stubber, "list_attached_policies", asked, "policies", ([{"policyName": "a"}], [{"policyName": "b"}]))

    assert IotCertificates(client, PREFIX).policies_of(ONE) == ["a", "b"]


def listed(certificate: str, status: str, age: timedelta) -> dict[str, Any]:
    return {"certificateId": certificate, "status": status, "creationDate": NOON - age}


def described(certificate: str) -> dict[str, Any]:
    return {"certificateDescription": listed(certificate, "INACTIVE", timedelta()) | {"certificatePem": a_key(1).pem}}


def test_certificates_issued_since_a_moment(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    asked = {"ascendingOrder": False, "pageSize": 250}
    active = listed("a" * 64, "ACTIVE", timedelta(seconds=1))
    first_page = [listed(ONE, "INACTIVE", timedelta()), active]
    stubber.add_response("list_certificates", {"certificates": first_page, "nextMarker": NEXT}, asked)
    stubber.add_response("describe_certificate", described(ONE), {"certificateId": ONE})
    last_page = [listed(TWO, "INACTIVE", timedelta(seconds=5)), listed("3" * 64, "INACTIVE", timedelta(days=1))]
    # A third page there may be, but the certificates on it are older still: it is never asked for.
    answer = {"certificates": last_page, "nextMarker": "QUJC"}
    stubber.add_response("list_certificates", answer, {**asked, "marker": NEXT})
    stubber.add_response("describe_certificate", described(TWO), {"certificateId": TWO})

    found = IotCertificates(client, PREFIX).issued_since(NOON - timedelta(seconds=5))

    assert [each.id for each in found] == [ONE, TWO]


def test_one_that_is_deleted_while_it_is_listed_is_left_out(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_response("list_certificates", {"certificates": [listed(ONE, "INACTIVE", timedelta())]})
    stubber.add_client_error("describe_certificate", "ResourceNotFoundException")

    assert IotCertificates(client, PREFIX).issued_since(NOON) == []


def test_targets_of_a_policy(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    group = f"{PREFIX}thinggroup/restricted"
    two_pages(stubber, "list_targets_for_policy", {"policyName": "restricted"}, "targets", ([group], [CERTIFICATE]))

    assert list(IotAccountSettings(client, PREFIX).targets_of("restricted")) == [group, CERTIFICATE]


@pytest.mark.parametrize(("wanted", "confirmed"), [("v-2", True), ("v-3", False)])
def test_active_violations_of_a_thing(stubbed: Stubbed, wanted: str, confirmed: bool) -> None:
    client, stubber = stubbed("iot")
    asked = {"thingName": "pump-3", "maxResults": 250}
    pages = ([{"violationId": "v-1"}], [{"violationId": "v-2"}])
    two_pages(stubber, "list_active_violations", asked, "activeViolations", pages)

    assert AwsDetectors(client).confirms(a_finding(id=wanted, source=Source.DETECT)) is confirmed


@pytest.mark.parametrize("source", [source for source in Source if source not in (Source.DETECT, Source.AUDIT)])
def test_a_source_that_cannot_be_asked_is_believed(stubbed: Stubbed, source: Source) -> None:
    client, _ = stubbed("iot")

    assert AwsDetectors(client).confirms(a_finding(source=source))


def test_an_audits_finding_is_confirmed_unless_it_is_gone_or_suppressed(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_response("describe_audit_finding", {"finding": {"findingId": "f-1"}}, {"findingId": "f-1"})
    stubber.add_response("describe_audit_finding", {"finding": {"isSuppressed": True}}, {"findingId": "f-2"})
    stubber.add_client_error("describe_audit_finding", "ResourceNotFoundException")
    detectors = AwsDetectors(client)

    confirmed = [detectors.confirms(a_finding(id=each, source=Source.AUDIT)) for each in ("f-1", "f-2", "f-3")]

    assert confirmed == [True, False, False]


def test_an_audits_findings_come_page_by_page(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    asked = {"taskId": "a" * 32, "checkName": "DEVICE_CERTIFICATE_AGE_CHECK", "maxResults": 250}
    stubber.add_response("list_audit_findings", {"findings": [{"findingId": "f-1"}], "nextToken": "more"}, asked)
    stubber.add_response("list_audit_findings", {"findings": [{"findingId": "f-2"}]}, {**asked, "nextToken": "more"})
    detectors = AwsDetectors(client)

    first = detectors.audit_page("a" * 32, "DEVICE_CERTIFICATE_AGE_CHECK", "")
    second = detectors.audit_page("a" * 32, "DEVICE_CERTIFICATE_AGE_CHECK", first.next_page)

    assert [first.findings[0]["findingId"], second.findings[0]["findingId"]] == ["f-1", "f-2"]
    assert second.next_page == ""
