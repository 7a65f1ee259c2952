"""An AWS IoT policy and a sample of the devices that it reaches, read with the caller's credentials."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any

from warden.core import quotas
from warden.core.account_facts import Read
from warden_cli.errors import Refused
from warden_cli.iot_policy import listed
from warden_cli.narrow_comparison import Device
from warden_cli.reading import CONFIG, read
from warden_cli.terminal import shown

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_iot import IoTClient

SAMPLE = 25
"""Devices that are compared without --all."""

_ELEMENTS = frozenset(["Sid", "Effect", "Action", "Resource", "Condition"])
"""The elements of a statement of AWS IoT: it has no NotAction and no NotResource.

AWS IoT Core Developer Guide, "AWS IoT Core policies". A statement with any other element is not judged.
"""


@dataclass(frozen=True, kw_only=True)
class IotPolicy:
    """A policy: its default version, and which others there are."""

    name: str
    arn: str
    version: str
    document: Mapping[str, Any]
    others: Sequence[str]
    """The versions that are not the default, oldest first."""

    @property
    def prefix(self) -> str:
        """The beginning of every ARN of its account and region."""
        return self.arn.rpartition("policy/")[0]

    @property
    def is_full(self) -> bool:
        """Whether a version has to be deleted before another can be made."""
        return len(self.others) + 1 >= quotas.POLICY_VERSIONS


@dataclass
class Reach:
    """The devices of a sample, and what it leaves out."""

    devices: list[Device] = field(default_factory=list)
    targets: int = 0
    not_devices: list[str] = field(default_factory=list)
    """Targets that are neither certificates nor groups: Cognito identities, which do not connect as things."""
    is_all: bool = False


def policy_named(session: Session, name: str) -> Read[IotPolicy]:
    """Read a policy.

    Raises:
        Refused: when there is none of that name, or its document is not one of an AWS IoT policy.
    """
    iot = session.client("iot", config=CONFIG)
    return read("iot", lambda: _policy(iot, name, session.region_name))


def _policy(iot: IoTClient, name: str, region: str) -> IotPolicy:
    try:
        answer = iot.get_policy(policyName=name)
        versions = iot.list_policy_versions(policyName=name)["policyVersions"]  # at most five: there are no pages
    except iot.exceptions.ResourceNotFoundException as error:
        raise Refused(
            f"there is no policy {shown(name, 128)} in {region}; `aws iot list-policies` lists them"
        ) from error
    others = [each["versionId"] for each in versions if not each["isDefaultVersion"]]
    return IotPolicy(
        name=name,
        arn=answer["policyArn"],
        version=answer["defaultVersionId"],
        document=_checked(answer["policyDocument"], name),
        others=sorted(others, key=int),
    )


def _checked(text: str, name: str) -> Mapping[str, Any]:
    try:
        document = json.loads(text)
        statements = listed(document["Statement"])
        strange = sorted({element for each in statements for element in each} - _ELEMENTS)
        lacking = [each for each in statements if not {"Effect", "Action", "Resource"} <= set(each)]
        patterns = [part for each in statements for key in ("Action", "Resource") for part in listed(each.get(key, ""))]
        if not all(isinstance(each, str) for each in patterns):
            raise TypeError("a pattern that is not a string")  # noqa: TRY301 - as all else that is no policy
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"the document of {shown(name, 128)} is not a policy") from error
    if strange or lacking:
        what = f"has {', '.join(map(shown, strange))}" if strange else "lacks Effect, Action or Resource"
        raise Refused(
            f"a statement of {shown(name, 128)} {what}; AWS IoT's policies are not like that: nothing is judged"
        )
    return {**document, "Statement": statements}


def reach_of(session: Session, policy: str, pace: Callable[[], None], *, every: bool) -> Read[Reach]:
    """Read the devices of a policy's targets: the things of its certificates, and the certificates of its groups."""
    iot = session.client("iot", config=CONFIG)
    return read("iot", lambda: _reach(iot, policy, pace, every=every))


def _reach(iot: IoTClient, policy: str, pace: Callable[[], None], *, every: bool) -> Reach:
    reach = Reach()
    pairs = _distinct(_pairs(iot, policy, pace, reach))
    for thing, certificate in pairs if every else islice(pairs, SAMPLE):
        pace()
        with suppress(iot.exceptions.ResourceNotFoundException):  # deleted since it was listed
            reach.devices.append(_device(iot, thing, certificate))
    reach.is_all = every or next(pairs, None) is None
    return reach


def _distinct(pairs: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    seen = set[tuple[str, str]]()
    for each in pairs:
        if each not in seen:
            seen.add(each)
            yield each


def _pairs(iot: IoTClient, policy: str, pace: Callable[[], None], reach: Reach) -> Iterator[tuple[str, str]]:
    """List things with their certificates, target after target."""
    pages = iot.get_paginator("list_targets_for_policy").paginate(
        policyName=policy, PaginationConfig={"PageSize": quotas.LIST_PAGE}
    )
    for target in (each for page in pages for each in page["targets"]):
        reach.targets += 1
        with suppress(iot.exceptions.ResourceNotFoundException):  # deleted since it was listed
            if ":cert/" in target:
                yield from _of_certificate(iot, target, pace)
            elif ":thinggroup/" in target:
                yield from _of_group(iot, target.rpartition("thinggroup/")[2], pace)
            else:
                reach.not_devices.append(target)


def _of_certificate(iot: IoTClient, certificate: str, pace: Callable[[], None]) -> Iterator[tuple[str, str]]:
    """List the things of a certificate, or none: a page at a time, for one may be shared by a whole fleet."""
    has_none = True
    for page in iot.get_paginator("list_principal_things").paginate(principal=certificate):
        pace()
        for thing in page["things"]:
            has_none = False
            yield thing, certificate
    if has_none:
        yield "", certificate


def _of_group(iot: IoTClient, group: str, pace: Callable[[], None]) -> Iterator[tuple[str, str]]:
    pages = iot.get_paginator("list_things_in_thing_group").paginate(
        thingGroupName=group, recursive=True, PaginationConfig={"PageSize": quotas.LIST_PAGE}
    )
    for thing in (each for page in pages for each in page["things"]):
        pace()
        principals = iot.get_paginator("list_thing_principals").paginate(thingName=thing)
        with suppress(iot.exceptions.ResourceNotFoundException):
            yield from ((thing, each) for page in principals for each in page["principals"] if ":cert/" in each)


@lru_cache(maxsize=1024)
def _parsed(text: str) -> Mapping[str, Any]:
    """Parse a document, which many devices share."""
    document: Mapping[str, Any] = json.loads(text)
    return document


def _device(iot: IoTClient, thing: str, certificate: str) -> Device:
    asked = {"principal": certificate} | ({"thingName": thing} if thing else {})
    answer: Any = iot.get_effective_policies(**asked)
    documents = {each["policyName"]: _parsed(each["policyDocument"]) for each in answer["effectivePolicies"]}
    return Device(thing=thing, certificate=certificate, documents=documents)
