"""The strictness itself: what moto takes and AWS would not is turned down."""

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.aws.backends import PREFIX
from tests.aws.conftest import REGION
from tests.aws_stand_in.strict import StrictAws

pytestmark = pytest.mark.usefixtures("aws")

JOB: dict[str, Any] = {"jobId": "j-1", "targets": [f"{PREFIX}thing/pump-3"], "document": "{}"}


@pytest.fixture
def iot() -> Any:
    client: Any = boto3.client("iot", region_name=REGION)
    client.create_thing(thingName="pump-3")
    return client


@pytest.mark.parametrize("name", ["x" * 129, "a b", "a\r\nb", "a/b", "", "ü"])
def test_a_name_that_is_none(iot: Any, name: str) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="thingName"):
        iot.create_thing(thingName=name)


def test_a_job_id_with_a_colon(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="jobId"):
        iot.create_job(**JOB | {"jobId": "plant1:pump-3"})


def test_an_enumeration(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="targetSelection"):
        iot.create_job(**JOB, targetSelection="ONCE")


def test_the_same_job_id_twice(iot: Any) -> None:
    iot.create_job(**JOB)

    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_job(**JOB)


def test_a_job_for_a_thing_that_is_not_there(iot: Any) -> None:
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.create_job(**JOB | {"targets": [f"{PREFIX}thing/plant1:pump-9"]})


def test_a_large_document(iot: Any) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="document"):
        iot.create_job(**JOB | {"document": json.dumps("x" * 32769)})


def test_more_than_a_hundred_writes_in_one() -> None:
    client: Any = boto3.client("dynamodb", region_name=REGION)
    put = {"Put": {"TableName": "ledger", "Item": {"pk": {"S": "x"}}}}

    with pytest.raises(ClientError, match="TransactItems"):
        client.transact_write_items(TransactItems=[put] * 101)


OTHER = {"document": '{"other":1}', "targets": [f"{PREFIX}thing/pump-4"]}


@pytest.mark.parametrize("other", [{}, {"document": OTHER["document"]}, {"targets": OTHER["targets"]}])
def test_a_job_id_that_is_taken_whatever_the_rest_is(iot: Any, other: dict[str, Any]) -> None:
    iot.create_thing(thingName="pump-4")
    iot.create_job(**JOB)

    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        iot.create_job(**JOB | other)


def test_a_job_for_a_group_that_is_not_there(iot: Any) -> None:
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.create_job(**JOB | {"targets": [f"{PREFIX}thinggroup/pumps"]})


def test_a_job_for_more_than_a_hundred(iot: Any) -> None:
    with pytest.raises(iot.exceptions.LimitExceededException):
        iot.create_job(**JOB | {"targets": [f"{PREFIX}thing/pump-{number}" for number in range(101)]})


def test_an_execution_that_is_over_cannot_be_cancelled(iot: Any) -> None:
    iot.create_job(**JOB)
    iot.cancel_job_execution(jobId="j-1", thingName="pump-3")

    with pytest.raises(iot.exceptions.InvalidStateTransitionException):
        iot.cancel_job_execution(jobId="j-1", thingName="pump-3")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.cancel_job_execution(jobId="j-2", thingName="pump-3")


def test_an_eleventh_group(iot: Any) -> None:
    for number in range(11):
        iot.create_thing_group(thingGroupName=f"g-{number}")
    for number in range(10):
        iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName=f"g-{number}")

    with pytest.raises(iot.exceptions.InvalidRequestException, match="ten groups"):
        iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName="g-10")
    iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName="g-9")  # it is in that one


def test_two_groups_of_one_hierarchy(iot: Any) -> None:
    iot.create_thing_group(thingGroupName="root")
    for name in ("north", "south"):
        iot.create_thing_group(thingGroupName=name, parentGroupName="root")
    iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName="north")

    for another in ("south", "root"):
        with pytest.raises(iot.exceptions.InvalidRequestException, match="hierarchy"):
            iot.add_thing_to_thing_group(thingName="pump-3", thingGroupName=another)


def test_an_eleventh_policy_on_a_certificate_and_a_third_on_a_group(iot: Any) -> None:
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_thing_group(thingGroupName="pumps")
    for number in range(11):
        iot.create_policy(policyName=f"p-{number}", policyDocument="{}")

    for target, most in ((made["certificateArn"], 10), (f"{PREFIX}thinggroup/pumps", 2)):
        for number in range(most):
            iot.attach_policy(policyName=f"p-{number}", target=target)
        with pytest.raises(iot.exceptions.LimitExceededException):
            iot.attach_policy(policyName=f"p-{most}", target=target)


def test_lists_show_what_was_until_they_do_not(strict: StrictAws, iot: Any) -> None:
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="pumps", policyDocument="{}")
    strict.show_what_is_now("ListAttachedPolicies")

    iot.attach_policy(policyName="pumps", target=made["certificateArn"])
    iot.attach_thing_principal(thingName="pump-3", principal=made["certificateArn"])

    assert iot.list_attached_policies(target=made["certificateArn"])["policies"] == []
    assert iot.list_thing_principals(thingName="pump-3")["principals"] == [made["certificateArn"]]
    strict.show_what_is_now("ListAttachedPolicies")
    [listed] = iot.list_attached_policies(target=made["certificateArn"])["policies"]
    assert listed["policyName"] == "pumps"


def test_a_certificate_under_transfer_comes_back_inactive(iot: Any) -> None:
    made = iot.create_keys_and_certificate(setAsActive=True)
    certificate = made["certificateId"]
    iot.create_policy(policyName="pumps", policyDocument="{}")
    iot.attach_policy(policyName="pumps", target=made["certificateArn"])

    def offer(certificate_id: str = certificate) -> None:
        iot.transfer_certificate(certificateId=certificate_id, targetAwsAccount="111122223333")

    with pytest.raises(iot.exceptions.CertificateStateException):
        offer()
    iot.update_certificate(certificateId=certificate, newStatus="INACTIVE")
    with pytest.raises(iot.exceptions.TransferConflictException):
        offer()
    iot.detach_policy(policyName="pumps", target=made["certificateArn"])
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        offer("f" * 64)
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.cancel_certificate_transfer(certificateId=certificate)
    offer()

    with pytest.raises(iot.exceptions.CertificateStateException):
        iot.update_certificate(certificateId=certificate, newStatus="ACTIVE")
    iot.cancel_certificate_transfer(certificateId=certificate)
    described = iot.describe_certificate(certificateId=certificate)["certificateDescription"]
    assert described["status"] == "INACTIVE"


def test_a_certificate_is_deleted_only_when_nothing_uses_it(iot: Any) -> None:
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.create_policy(policyName="pumps", policyDocument="{}")
    iot.attach_policy(policyName="pumps", target=made["certificateArn"])
    iot.attach_thing_principal(thingName="pump-3", principal=made["certificateArn"])

    with pytest.raises(iot.exceptions.CertificateStateException):
        iot.delete_certificate(certificateId=made["certificateId"])
    iot.update_certificate(certificateId=made["certificateId"], newStatus="INACTIVE")
    with pytest.raises(iot.exceptions.DeleteConflictException, match=r"[Tt]hings"):
        iot.delete_certificate(certificateId=made["certificateId"])
    iot.detach_thing_principal(thingName="pump-3", principal=made["certificateArn"])
    with pytest.raises(iot.exceptions.DeleteConflictException, match="polic"):
        iot.delete_certificate(certificateId=made["certificateId"])
    iot.detach_policy(policyName="pumps", target=made["certificateArn"])
    iot.delete_certificate(certificateId=made["certificateId"])
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.delete_certificate(certificateId=made["certificateId"])


def test_a_status_that_nobody_may_set(iot: Any) -> None:
    made = iot.create_keys_and_certificate(setAsActive=True)

    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.update_certificate(certificateId=made["certificateId"], newStatus="PENDING_TRANSFER")


def test_a_certificate_that_belongs_to_one_thing_alone(iot: Any) -> None:
    iot.create_thing(thingName="pump-4")
    made = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.attach_thing_principal(thingName="pump-3", principal=made, thingPrincipalType="EXCLUSIVE_THING")

    with pytest.raises(iot.exceptions.InvalidRequestException):
        iot.attach_thing_principal(thingName="pump-4", principal=made)


def test_a_list_comes_in_pages_of_what_was_asked_for(iot: Any, strict: StrictAws) -> None:
    for _ in range(5):
        iot.create_keys_and_certificate(setAsActive=False)

    first = iot.list_certificates(pageSize=3)
    second = iot.list_certificates(pageSize=3, marker=first["nextMarker"])

    ids = [each["certificateId"] for page in (first, second) for each in page["certificates"]]
    assert (len(first["certificates"]), len(second["certificates"]), len(set(ids))) == (3, 2, 5)
    assert "nextMarker" not in second
    strict.page = 1
    assert len(iot.list_certificates(pageSize=3)["certificates"]) == 1


@pytest.mark.parametrize("marker", ["QUFB", "YXQgeA=="])
def test_a_marker_that_was_never_given(iot: Any, marker: str) -> None:
    with pytest.raises(iot.exceptions.InvalidRequestException, match="marker"):
        iot.list_certificates(marker=marker)
