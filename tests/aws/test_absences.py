"""AWS's answers when a thing is gone or a batch is accepted in part: nothing, or the whole batch is sent again."""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.aws.backends import MotoGround
from tests.aws.conftest import Stubbed
from tests.aws_stand_in.strict import StrictAws
from tests.fakes import a_key
from warden.aws.messaging import SqsCaseQueue
from warden.core.errors import ActionFailed, NotYet, Refused
from warden.core.ports import QueueEntry

GONE = "ResourceNotFoundException"
CERTIFICATE = "a" * 64


def test_a_certificate_that_is_gone_has_no_policies_and_no_things(strict: StrictAws, stand_in: MotoGround) -> None:
    strict.refuse("ListAttachedPolicies", GONE)
    strict.refuse("ListPrincipalThings", GONE)

    assert stand_in.certificates.policies_of(CERTIFICATE) == []
    assert stand_in.registry.things_of(CERTIFICATE) == []


def test_a_certificate_that_is_deleted_while_it_is_switched_off_is_gone(
    strict: StrictAws, stand_in: MotoGround
) -> None:
    certificate = stand_in.certificate(1)
    strict.refuse("UpdateCertificate", GONE)

    assert stand_in.certificates.deactivate(certificate) == ""


def test_a_group_that_is_gone_has_no_policies(strict: StrictAws, stand_in: MotoGround) -> None:
    strict.refuse("ListAttachedPolicies", GONE)

    assert stand_in.registry.policies_of_group("pumps") == []


@pytest.mark.parametrize("code", [GONE, "InvalidRequestException"])
def test_a_job_that_has_ended_needs_no_withdrawing(strict: StrictAws, stand_in: MotoGround, code: str) -> None:
    strict.refuse("CancelJob", code)

    stand_in.jobs.withdraw("warden-1")

    assert len(strict.made("CancelJob")) == 1


def test_a_page_that_aws_iot_has_forgotten_is_refused_and_any_other_fault_rises(
    strict: StrictAws, stand_in: MotoGround
) -> None:
    strict.refuse("ListCertificates", "InvalidRequestException")
    strict.refuse("ListCertificates", "InvalidRequestException")

    with pytest.raises(Refused) as caught:
        stand_in.certificates.oldest_page("cGFnZTI=")
    assert caught.value.code == "no-such-page"
    with pytest.raises(ClientError, match="InvalidRequestException"):
        stand_in.certificates.oldest_page("")


def test_messages_that_sqs_did_not_take_are_sent_again_by_whoever_runs_this_again(stubbed: Stubbed) -> None:
    client, stubber = stubbed("sqs")
    taken = {"Id": "0", "MessageId": "m-0", "MD5OfMessageBody": "d" * 32}
    left = {"Id": "1", "SenderFault": False, "Code": "InternalError", "Message": "try again"}
    stubber.add_response("send_message_batch", {"Successful": [taken], "Failed": [left]})
    entries = [QueueEntry(group="g", once=f"once{number}", message={}) for number in range(2)]

    with pytest.raises(NotYet, match="did not accept 1 of 2 messages: try again"):
        SqsCaseQueue(client, "https://sqs.us-east-1.amazonaws.com/000000000000/cases.fifo").put_all(entries)


def test_a_request_that_aws_iot_does_not_sign_is_an_end_and_not_a_fault(
    strict: StrictAws, stand_in: MotoGround
) -> None:
    strict.refuse("CreateCertificateFromCsr", "InvalidRequestException", "unsupported signature")

    with pytest.raises(ActionFailed, match=r"does not sign the request for pump-3.*unsupported signature"):
        stand_in.certificates.issue(a_key(1).csr, "pump-3")
