"""What AWS says when a thing is gone or a batch was not taken whole: nothing is there, or the whole is sent again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.aws.backends import PREFIX
from tests.fakes import a_key
from warden.aws.certificates import IotCertificates
from warden.aws.jobs import IotJobs
from warden.aws.messaging import SqsCaseQueue
from warden.aws.registry import IotRegistry
from warden.core.errors import ActionFailed, NotYet, Refused
from warden.core.ports import QueueEntry

type Stubbed = Callable[[str], tuple[Any, Any]]

GONE = "ResourceNotFoundException"
CERTIFICATE = "a" * 64


def test_a_certificate_that_is_gone_has_no_policies_and_no_things(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("list_attached_policies", GONE)
    stubber.add_client_error("list_principal_things", GONE)

    assert IotCertificates(client, PREFIX).policies_of(CERTIFICATE) == []
    assert IotRegistry(client, PREFIX).things_of(CERTIFICATE) == []


def test_a_group_that_is_gone_has_no_policies(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("list_attached_policies", GONE)

    assert IotRegistry(client, PREFIX).policies_of_group("pumps") == []


@pytest.mark.parametrize("code", [GONE, "InvalidRequestException"])
def test_a_job_that_has_ended_needs_no_withdrawing(stubbed: Stubbed, code: str) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("cancel_job", code)

    IotJobs(client, PREFIX).withdraw("warden-1")

    stubber.assert_no_pending_responses()


def test_a_page_that_aws_iot_has_forgotten_is_refused_and_any_other_fault_rises(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("list_certificates", "InvalidRequestException")
    stubber.add_client_error("list_certificates", "InvalidRequestException")

    with pytest.raises(Refused) as caught:
        IotCertificates(client, PREFIX).oldest_page("cGFnZTI=")
    assert caught.value.code == "no-such-page"
    with pytest.raises(client.exceptions.InvalidRequestException):
        IotCertificates(client, PREFIX).oldest_page("")


def test_messages_that_sqs_did_not_take_are_sent_again_by_whoever_runs_this_again(stubbed: Stubbed) -> None:
    client, stubber = stubbed("sqs")
    taken = {"Id": "0", "MessageId": "m-0", "MD5OfMessageBody": "d" * 32}
    left = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "try again"}
    stubber.add_response("send_message_batch", {"Successful": [taken], "Failed": [left]})
    entries = [QueueEntry(group="g", once=f"once{number}", message={}) for number in range(2)]

    with pytest.raises(NotYet, match="did not accept 1 of 2 messages: try again"):
        SqsCaseQueue(client, "https://sqs.us-east-1.amazonaws.com/000000000000/cases.fifo").put_all(entries)


def test_a_request_that_aws_iot_does_not_sign_is_an_end_and_not_a_fault(stubbed: Stubbed) -> None:
    client, stubber = stubbed("iot")
    stubber.add_client_error("create_certificate_from_csr", "InvalidRequestException", "unsupported signature")

    with pytest.raises(ActionFailed, match=r"does not sign the request for pump-3.*unsupported signature"):
        IotCertificates(client, PREFIX).issue(a_key(1).csr, "pump-3")
