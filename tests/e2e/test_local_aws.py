"""The local AWS behaves as AWS where we depend on it: each bridge is needed, and does what it says.

A test named `…_still_needs_its_bridge` fails when MiniStack has caught up. That is good news: delete the bridge.
"""

import io
import itertools
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from local_fleet.aws import ACCOUNT_ID, REGION, LocalAws
from tests.waiting import PATIENCE, until

ARN = f"arn:aws:iot:{REGION}:{ACCOUNT_ID}:"
CERTIFICATE = f"{ARN}cert/{'a' * 64}"
names = (f"user-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def bare_aws() -> Iterator[LocalAws]:
    """MiniStack as it is."""
    with LocalAws(bridged=False) as aws:
        yield aws


@dataclass(frozen=True)
class IotCall:
    action: str
    resources: Sequence[str]
    make: Callable[[boto3.Session], object]

    def __str__(self) -> str:
        return self.action.partition(":")[2]


IOT_CALLS = [
    IotCall(
        "iot:AttachPolicy", [CERTIFICATE], lambda s: s.client("iot").attach_policy(policyName="p", target=CERTIFICATE)
    ),
    IotCall(
        "iot:AttachPolicy",
        [f"{ARN}thinggroup/held"],
        lambda s: s.client("iot").attach_policy(policyName="p", target=f"{ARN}thinggroup/held"),
    ),
    IotCall(
        "iot:DetachPolicy", [CERTIFICATE], lambda s: s.client("iot").detach_policy(policyName="p", target=CERTIFICATE)
    ),
    IotCall(
        "iot:AttachThingPrincipal",
        [CERTIFICATE],
        lambda s: s.client("iot").attach_thing_principal(thingName="pump-3", principal=CERTIFICATE),
    ),
    IotCall(
        "iot:DetachThingPrincipal",
        [CERTIFICATE],
        lambda s: s.client("iot").detach_thing_principal(thingName="pump-3", principal=CERTIFICATE),
    ),
    IotCall(
        "iot:ListPrincipalThings", [CERTIFICATE], lambda s: s.client("iot").list_principal_things(principal=CERTIFICATE)
    ),
    IotCall(
        "iot:ListTargetsForPolicy",
        [f"{ARN}policy/p"],
        lambda s: s.client("iot").list_targets_for_policy(policyName="p"),
    ),
    IotCall(
        "iot:CreateJob",
        [f"{ARN}job/j", f"{ARN}thing/plant1:pump-3", f"{ARN}thinggroup/pumps"],
        lambda s: s.client("iot").create_job(
            jobId="j", targets=[f"{ARN}thing/plant1:pump-3", f"{ARN}thinggroup/pumps"], document="{}"
        ),
    ),
    IotCall(
        "iot:DeleteConnection",
        [f"{ARN}client/plant1:pump-3"],
        lambda s: s.client("iot-data").delete_connection(clientId="plant1:pump-3"),
    ),
]


class TestIotCallsAreAuthorisedOnWhatTheyName:
    @pytest.mark.parametrize("call", IOT_CALLS, ids=str)
    def test_the_exact_resources_are_enough_and_each_is_needed(self, local_aws: LocalAws, call: IotCall) -> None:
        assert authorised_as_on_aws(local_aws, call)

    @pytest.mark.parametrize("call", IOT_CALLS, ids=str)
    def test_still_needs_its_bridge(self, bare_aws: LocalAws, call: IotCall) -> None:
        assert not authorised_as_on_aws(bare_aws, call)

    def test_a_disconnect_is_still_unsupported(self, local_aws: LocalAws) -> None:
        iot_data = local_aws.session().client("iot-data")

        with pytest.raises(ClientError, match="Unsupported iot-data path"):
            iot_data.delete_connection(clientId="pump-3")


class TestFunctionUrlsSayWhoCalls:
    def test_the_event_names_the_verified_caller(self, local_aws: LocalAws) -> None:
        url = function_url(local_aws)
        ada = a_user(local_aws, "lambda:InvokeFunctionUrl", ["*"])

        context = signed_post(local_aws, ada, url).json()["requestContext"]

        caller = context["authorizer"]["iam"]
        assert caller["userArn"] == ada.client("sts").get_caller_identity()["Arn"]
        assert caller["userId"] == caller["callerId"] == ada.client("sts").get_caller_identity()["UserId"]
        assert caller["accountId"] == ACCOUNT_ID

    def test_nobody_else_gets_in(self, local_aws: LocalAws) -> None:
        url = function_url(local_aws)
        mallory = a_user(local_aws, "lambda:InvokeFunctionUrl", ["arn:aws:lambda:*:*:function:another"])

        assert requests.post(local_aws.function_url(url), timeout=PATIENCE).status_code == 403
        assert signed_post(local_aws, mallory, url).status_code == 403

    def test_still_needs_its_bridge(self, bare_aws: LocalAws) -> None:
        ada = a_user(bare_aws, "lambda:InvokeFunctionUrl", ["*"])

        context = signed_post(bare_aws, ada, function_url(bare_aws)).json()["requestContext"]

        assert "authorizer" not in context


class TestFunctionsSeeOnlyTheirLayers:
    def test_the_tools_of_development_are_not_there(self, local_aws: LocalAws) -> None:
        assert what_a_function_sees(local_aws) == {"moto": False, "json": True}

    def test_still_needs_its_bridge(self, bare_aws: LocalAws) -> None:
        assert what_a_function_sees(bare_aws) == {"moto": True, "json": True}


class TestLoopbackCountsAsSecureTransport:
    def test_a_queue_that_refuses_plain_http_can_be_used(self, local_aws: LocalAws) -> None:
        assert not refused(lambda: use_a_queue_that_refuses_plain_http(local_aws))

    def test_still_needs_its_bridge(self, bare_aws: LocalAws) -> None:
        assert refused(lambda: use_a_queue_that_refuses_plain_http(bare_aws))


class TestBatches:
    def test_the_permission_for_one_message_is_enough(self, local_aws: LocalAws) -> None:
        assert a_batch_goes_with_the_permission_of_one(local_aws)

    def test_still_needs_its_bridge(self, bare_aws: LocalAws) -> None:
        assert not a_batch_goes_with_the_permission_of_one(bare_aws)


def a_batch_goes_with_the_permission_of_one(aws: LocalAws) -> bool:
    sqs = aws.session().client("sqs")
    url = sqs.create_queue(QueueName=f"batches-{next(names)}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sender = a_user(aws, "sqs:SendMessage", [arn]).client("sqs")
    return not refused(lambda: sender.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "a"}]))


def authorised_as_on_aws(aws: LocalAws, call: IotCall) -> bool:
    """Whether exactly the resources that AWS looks at decide: all of them suffice, and none can be missing."""
    lesser = itertools.combinations([*call.resources, f"{ARN}*/another"], len(call.resources))
    sufficient = not refused(lambda: call.make(a_user(aws, call.action, call.resources)))
    return sufficient and all(
        refused(lambda granted=granted: call.make(a_user(aws, call.action, granted)))  # type: ignore[misc]
        for granted in lesser
        if set(granted) != set(call.resources)
    )


def a_user(aws: LocalAws, action: str, resources: Sequence[str]) -> boto3.Session:
    """Make a user who may do one thing, and return their session."""
    iam = aws.session().client("iam")
    name = next(names)
    iam.create_user(UserName=name)
    statement = {"Effect": "Allow", "Action": action, "Resource": list(resources)}
    iam.put_user_policy(
        UserName=name, PolicyName="it", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return aws.session(key["AccessKeyId"], key["SecretAccessKey"])


def refused(call: Callable[[], object]) -> bool:
    """Whether a call is refused for want of permission; any other answer, an error too, means that it got through."""
    try:
        call()
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"] == 403 or "denied" in str(error)
    return False


def a_function(aws: LocalAws, source: str) -> str:
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", source)
    role = f"role-{next(names)}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role_arn = aws.session().client("iam").create_role(RoleName=role, AssumeRolePolicyDocument=document)["Role"]["Arn"]
    name = f"function-{next(names)}"
    functions = aws.session().client("lambda")
    functions.create_function(
        FunctionName=name,
        Runtime="python3.13",
        Handler="app.handler",
        Role=role_arn,
        Code={"ZipFile": package.getvalue()},
    )
    until(
        lambda: functions.get_function_configuration(FunctionName=name)["State"] == "Active", what=f"{name} is active"
    )
    return name


def function_url(aws: LocalAws) -> str:
    """Make a function that answers with the event it gets, and return its URL."""
    name = a_function(aws, "def handler(event, context):\n    return event\n")
    return (
        aws.session().client("lambda").create_function_url_config(FunctionName=name, AuthType="AWS_IAM")["FunctionUrl"]
    )


def signed_post(aws: LocalAws, session: boto3.Session, url: str) -> requests.Response:
    request = AWSRequest("POST", aws.function_url(url), data=b"{}", headers={"content-type": "application/json"})
    credentials = session.get_credentials()
    assert credentials
    SigV4Auth(credentials, "lambda", REGION).add_auth(request)
    return requests.post(aws.function_url(url), data=b"{}", headers=dict(request.headers), timeout=PATIENCE)


def what_a_function_sees(aws: LocalAws) -> Any:
    source = """
from importlib.util import find_spec

def handler(event, context):
    return {name: find_spec(name) is not None for name in event}
"""
    answer = aws.session().client("lambda").invoke(FunctionName=a_function(aws, source), Payload=b'["moto", "json"]')
    return json.load(answer["Payload"])


def use_a_queue_that_refuses_plain_http(aws: LocalAws) -> None:
    sqs = aws.session().client("sqs")
    url = sqs.create_queue(QueueName=f"queue-{next(names)}")["QueueUrl"]
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    sqs.send_message(QueueUrl=url, MessageBody="hello")
