"""The checks of devices and their groups: read from a sample, or from all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from warden.core import quotas
from warden_cli.baseline_proposal import is_unread
from warden_cli.doctor_model import Finding, Health, Patient, about, unknown
from warden_cli.iot_policy import Session as DeviceSession
from warden_cli.iot_policy import admits
from warden_cli.reading import CONFIG, read
from warden_cli.terminal import shown

if TYPE_CHECKING:
    from boto3 import Session
    from mypy_boto3_iot import IoTClient

_ANOTHER_CLIENT = "warden-doctor-another-client"

NEEDS = (
    ("iot:Publish", "topic/warden/{thing}/certificate/create"),
    ("iot:Publish", "topic/warden/{thing}/logs/create"),
    ("iot:Subscribe", "topicfilter/warden/{thing}/certificate/create/accepted"),
    ("iot:Receive", "topic/warden/{thing}/certificate/create/accepted"),
    ("iot:Publish", "topic/$aws/things/{thing}/jobs/start-next"),
    ("iot:Subscribe", "topicfilter/$aws/things/{thing}/jobs/notify-next"),
)
"""What the device contract needs, one of each kind. A test holds device/device-policy.json to it."""


def devices(patient: Patient) -> Iterator[Finding]:
    """Check what the policies of things let them do."""
    things = read("iot", lambda: patient.some(_things(patient.session)))
    if is_unread(things):
        yield unknown("devices", things)
        return
    free, mute, bare, gone = [], [], [], 0
    for thing in things:
        of_each = read("iot", partial(_documents, patient, thing))
        if is_unread(of_each):
            yield unknown("devices", of_each)
            return
        if of_each is None:
            gone += 1
            continue
        if not any(of_each):
            bare.append(thing)
        elif missing := [each for documents in of_each if (each := _missing(documents, thing))]:
            mute.append(f"{thing} ({missing[0]})")
        if any(_connects_as_another(documents, thing) for documents in of_each):
            free.append(thing)
    looked = _looked_at("things", len(things), gone, every=patient.every)
    yield about(
        "client-ids",
        free,
        f"{looked} may connect under another client id than their name; the service disconnects by the name",
        "Allow iot:Connect only on client/${iot:Connection.Thing.ThingName} (device/device-policy.json).",
        f"{looked} none may connect under another client id than its name",
    )
    yield about(
        "device-policies",
        mute,
        f"{looked} lack what the device contract needs",
        "Add the statements of device/device-policy.json to their policies.",
        f"{looked} all that have a certificate may use the topics of the device contract",
    )
    yield about(
        "certificates",
        bare,
        f"{looked} have no certificate with a policy",
        "Attach their certificates to them (aws iot attach-thing-principal), or delete what is no device.",
        f"{looked} all have a certificate with a policy",
    )


def _things(session: Session) -> Iterator[str]:
    pages = session.client("iot", config=CONFIG).get_paginator("list_things")
    for page in pages.paginate(PaginationConfig={"PageSize": quotas.LIST_PAGE}):
        yield from (each["thingName"] for each in page["things"])


def _looked_at(what: str, listed: int, gone: int, *, every: bool) -> str:
    """Return how many items a check covers. Items deleted after they were listed are left out."""
    looked = f"of all {listed - gone} {what}" if every else f"of {listed - gone} {what} looked at"
    return f"{looked} ({gone} deleted meanwhile)" if gone else looked


def _documents(patient: Patient, thing: str) -> Sequence[Sequence[Mapping[str, Any]]] | None:
    """Read the policies of a thing with each of its certificates; None if the thing is gone.

    A certificate that was deleted after it was listed is not listed again.
    """
    iot = patient.session.client("iot", config=CONFIG)
    for _ in range(2):
        with suppress(iot.exceptions.ResourceNotFoundException):
            return [*_of_each(patient, iot, thing)]
    return None


def _of_each(patient: Patient, iot: IoTClient, thing: str) -> Iterator[Sequence[Mapping[str, Any]]]:
    patient.pace()
    for page in iot.get_paginator("list_thing_principals").paginate(thingName=thing):
        for principal in page["principals"]:
            if ":cert/" in principal:
                patient.pace()
                answer = iot.get_effective_policies(thingName=thing, principal=principal)
                yield [json.loads(each["policyDocument"]) for each in answer["effectivePolicies"]]


def _connects_as_another(documents: Sequence[Mapping[str, Any]], thing: str) -> bool:
    return _may(documents, "iot:Connect", f"client/{_ANOTHER_CLIENT}", DeviceSession(_ANOTHER_CLIENT, thing))


def _missing(documents: Sequence[Mapping[str, Any]], thing: str) -> str:
    session = DeviceSession(thing, thing)
    lacks = [
        f"{action} on {resource.format(thing=thing)}"
        for action, resource in NEEDS
        if not _may(documents, action, resource.format(thing=thing), session)
    ]
    return "" if not lacks else f"no {lacks[0]}" + (f" and {len(lacks) - 1} more" if len(lacks) > 1 else "")


def _may(documents: Sequence[Mapping[str, Any]], action: str, resource: str, session: DeviceSession) -> bool:
    return admits([_without_arns(each) for each in documents], action, resource, session)


def _without_arns(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Cut account and region off the resources: only the device's own account is asked about."""
    statements = document["Statement"] if isinstance(document["Statement"], list) else [document["Statement"]]
    return {"Statement": [{**each, "Resource": _resources(each.get("Resource", []))} for each in statements]}


def _resources(value: str | Sequence[str]) -> Sequence[str]:
    return [each if each == "*" else each.split(":", 5)[-1] for each in ([value] if isinstance(value, str) else value)]


def sessions(patient: Patient) -> Iterator[Finding]:
    """Compare the client ids of open sessions with the names of their things, where fleet indexing has them."""
    found = read("iot", lambda: _client_ids(patient))
    if is_unread(found):
        yield unknown("sessions", found)
        return
    if found is None:
        says = (
            "not seen: fleet indexing has no connectivity (thingConnectivityIndexingMode is OFF), and AWS IoT lists "
            "sessions nowhere else; client-ids judges the policies"
        )
        yield Finding(check="sessions", health=Health.OK, says=says)
        return
    looked = f"of {len(found)} sessions in the index"
    yield about(
        "sessions",
        [f"{thing} as {shown(client, 60)}" for thing, client in found if client not in ("", thing)],
        f"{looked} are open under another client id than the thing's name; the service disconnects by the name",
        "Let the device connect with its thing's name as client id.",
        f"{looked} none is open under another client id than its thing's name. The index has only sessions that AWS "
        "IoT ties to a thing",
    )


def _client_ids(patient: Patient) -> Sequence[tuple[str, str]] | None:
    """Read the names and client ids of connected things; None where fleet indexing lacks them."""
    iot = patient.session.client("iot", config=CONFIG)
    indexed = iot.get_indexing_configuration().get("thingIndexingConfiguration", {})
    if indexed.get("thingConnectivityIndexingMode", "OFF") == "OFF":
        return None
    return patient.some(_connected(patient))


def _connected(patient: Patient) -> Iterator[tuple[str, str]]:
    """Search page by page. A thing without a client id in the index is returned without one."""
    iot = patient.session.client("iot", config=CONFIG)
    more: dict[str, Any] = {}
    while True:
        patient.pace()
        page = iot.search_index(queryString="connectivity.connected:true", **more)
        for each in page.get("things", ()):
            yield each["thingName"], each.get("connectivity", {}).get("clientId", "")
        if not page.get("nextToken"):
            return
        more = {"nextToken": page["nextToken"]}


def groups(patient: Patient) -> Iterator[Finding]:
    """Check for policies on groups that a quarantine cannot take a thing out of."""
    found = read("iot", lambda: _dynamic_with_policies(patient))
    if is_unread(found):
        yield unknown("groups", found)
        return
    looked, dynamic = found
    yield about(
        "dynamic-groups",
        dynamic,
        "dynamic groups carry policies, which a quarantine cannot take away: no thing can be taken out of such a group",
        "Move their policies to certificates or static groups (aws iot detach-policy).",
        f"{looked} no dynamic group carries a policy",
    )


def _dynamic_with_policies(patient: Patient) -> tuple[str, Sequence[str]]:
    """Return how many groups were looked at, and the dynamic ones that carry policies."""
    iot = patient.session.client("iot", config=CONFIG)
    pages = iot.get_paginator("list_thing_groups").paginate(recursive=True)
    groups = patient.some(each for page in pages for each in page["thingGroups"])
    dynamic, gone = [], 0
    for each in groups:
        try:
            described = iot.describe_thing_group(thingGroupName=each["groupName"])
            attached = iot.list_attached_policies(target=each["groupArn"], pageSize=1)["policies"]
        except iot.exceptions.ResourceNotFoundException:
            gone += 1
            continue
        if described.get("queryString") and attached:
            dynamic.append(each["groupName"])
    return _looked_at("groups", len(groups), gone, every=patient.every), dynamic
