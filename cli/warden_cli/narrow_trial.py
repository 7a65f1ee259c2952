"""A proposal as AWS IoT itself judges it: a policy is made for the test, asked about, and deleted again.

TestAuthorization takes names of policies, not documents, so the proposal has to exist. It is attached to nothing.
It is unverified that `policyNamesToAdd` and `policyNamesToSkip` count for certificates: the page says "when testing
custom authorization". So a control question comes first: without any policy, AWS IoT has to deny.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from warden.core import quotas
from warden_cli.errors import Refused
from warden_cli.narrow_comparison import Answer, Comparer, Comparison, Device, Probe
from warden_cli.reading import CONFIG, is_denial
from warden_cli.terminal import shown

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.literals import ActionTypeType
    from mypy_boto3_iot.type_defs import AuthInfoTypeDef

NAME = "warden-narrow-"
"""How the policy's name begins; the rest follows from the document, so that a second trial finds the first's."""

MOST_DEVICES = 5
"""Devices that are asked about. How often TestAuthorization may be called is not documented, so the calls are few."""

_ACTIONS: Mapping[str, ActionTypeType] = {
    "iot:Connect": "CONNECT",
    "iot:Publish": "PUBLISH",
    "iot:Receive": "RECEIVE",
    "iot:Subscribe": "SUBSCRIBE",
}
"""What TestAuthorization can be asked. AWS IoT API reference, AuthInfo."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """What AWS IoT said."""

    policy: str
    devices: int
    questions: int
    gained: Sequence[str]
    disagreements: Sequence[str]
    """The answers of AWS IoT that differ from the comparison here."""


def tried(session: Session, comparer: Comparer, comparisons: Sequence[Comparison], pace: Callable[[], None]) -> Trial:
    """Make the policy, ask, and delete it again, whatever happens in between.

    Raises:
        Refused: when AWS does not let it be made, asked about or deleted.
    """
    iot = session.client("iot", config=CONFIG)
    text = json.dumps(comparer.after)
    name = f"{NAME}{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    try:
        with suppress(iot.exceptions.ResourceAlreadyExistsException):  # a trial that was cut off left it: the same text
            iot.create_policy(policyName=name, policyDocument=text)
        return _asked(iot, comparer, name, comparisons, pace)
    except (ClientError, BotoCoreError) as error:
        raise Refused(f"the proposal could not be tried: {_why(error)}") from error
    finally:
        _deleted(iot, name)


def _deleted(iot: IoTClient, name: str) -> None:
    try:
        iot.delete_policy(policyName=name)
    except iot.exceptions.ResourceNotFoundException:
        return
    except (ClientError, BotoCoreError) as error:
        by_hand = f"aws iot delete-policy --policy-name {name}"
        raise Refused(
            f"the policy {name}, attached to nothing, could not be deleted: {_why(error)}; {by_hand}"
        ) from error


def _why(error: ClientError | BotoCoreError) -> str:
    if not isinstance(error, ClientError):
        return type(error).__name__
    if is_denial(error.response):
        return f"the role lacks iot:{error.operation_name} (docs/baseline-narrow-policy.json)"
    return f"AWS answered iot:{error.operation_name} with {shown(error.response['Error']['Code'], 80)}"


def _asked(
    iot: IoTClient, comparer: Comparer, name: str, comparisons: Sequence[Comparison], pace: Callable[[], None]
) -> Trial:
    gained, disagreements, count = [], [], 0
    asked = [each for each in comparisons if each.device.thing][:MOST_DEVICES]
    for comparison in asked:
        device = comparison.device
        questions = [each for each in comparer.answers(device, comparison.another) if _can_be_asked(each.probe)]
        _check_control(iot, device, questions, pace)
        was = [*_answers(iot, device, questions, pace)]
        is_now = [*_answers(iot, device, questions, pace, add=[name], skip=[comparer.policy])]
        for question, before, after in zip(questions, was, is_now, strict=True):
            count += 1
            about = f"{device.thing}: {question.probe.action} on {question.resource}"
            if after and not before:
                gained.append(about)
            if (before, after) != (question.was, question.is_now):
                judged = f"AWS {_words(before, after)}, here {_words(question.was, question.is_now)}"
                disagreements.append(f"{about}: {judged}")
    return Trial(policy=name, devices=len(asked), questions=count, gained=gained, disagreements=disagreements)


def _words(before: bool, after: bool) -> str:
    return " then ".join("allows" if each else "denies" for each in (before, after))


def _check_control(iot: IoTClient, device: Device, questions: Sequence[Answer], pace: Callable[[], None]) -> None:
    allowed = [each for each in questions if each.was][:1]
    if allowed and any(_answers(iot, device, allowed, pace, skip=[*device.documents])):
        raise Refused("for certificates, AWS IoT does not leave out policies on request: the proposal cannot be tried")


def _answers(
    iot: IoTClient,
    device: Device,
    questions: Sequence[Answer],
    pace: Callable[[], None],
    *,
    add: Sequence[str] = (),
    skip: Sequence[str] = (),
) -> Iterator[bool]:
    for begin in range(0, len(questions), quotas.AUTHORIZATIONS_PER_CALL):
        infos: list[AuthInfoTypeDef] = [
            {"actionType": _ACTIONS[each.probe.action], "resources": [each.resource]}
            for each in questions[begin : begin + quotas.AUTHORIZATIONS_PER_CALL]
        ]
        pace()
        answer = iot.test_authorization(
            principal=device.certificate,
            clientId=device.thing,
            authInfos=infos,
            policyNamesToAdd=[*add],
            policyNamesToSkip=[*skip],
        )
        yield from (each.get("authDecision") == "ALLOWED" for each in answer["authResults"])


def _can_be_asked(probe: Probe) -> bool:
    """Whether TestAuthorization knows the action, and the client id is the device's own."""
    return probe.action in _ACTIONS and (probe.action != "iot:Connect" or probe.resource == "client/{thing}")
