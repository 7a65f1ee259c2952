"""The promises (design, section 11), checked on what is left of any flow and on every request that AWS carried out.

This module knows no flow: all it knows of what was to happen is in the ledger. `instant` is asked after every request
that changed AWS IoT, `broken` in the end, `state_of` gives what must be as after a run without a fault.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from moto.backends import get_backend

from tests.aws_stand_in.rules import ACCOUNT
from tests.fakes import a_key
from tests.faults.environment import RESTRICTED
from tests.faults.fault_transport import Call
from tests.faults.world import BYSTANDER, PREFIX, DeviceState, World
from warden.core.clock import from_text
from warden.devices.csr import key_of_certificate
from warden.plan.actions import DEACTIVATE_CERTIFICATE
from warden.plan.parser import read_plan

_TRANSIENT = ("responding", "recovering")
_WRITES = ("dynamodb.PutItem", "dynamodb.TransactWriteItems")
_CHANGING = ("Attach", "Detach", "Update", "Delete", "Add", "Remove", "Create")


class Ledger:
    """The ledger's records, as they are."""

    def __init__(self, world: World) -> None:
        plain = TypeDeserializer()
        items = world.cloud.state.ledger.values()
        self.records = [{name: plain.deserialize(value) for name, value in item.items()} for item in items]

    def of(self, kind: str) -> list[dict[str, Any]]:
        """List the records of a type, in the order of their keys."""
        found = [record for record in self.records if record["type"] == kind]
        return sorted(found, key=lambda record: (record["pk"], record["sk"]))


# --- at every instant --------------------------------------------------------------------------------------------


def instant(world: World, call: Call, *, overtaken: bool = False) -> None:
    """Note what is broken at this very moment, just after AWS carried out a call.

    A call that another function's changes have overtaken may leave a certificate without a policy until the next calls.
    """
    if call.service != "iot" or not call.operation.startswith(_CHANGING):
        return
    for thing, device in world.state.devices.items():
        found = list(_without_certificate(world, device)) or ([] if overtaken else list(_without_policy(world, device)))
        if found and thing not in _given_up(world):
            world.state.broken += [f"after {call}: {why}" for why in found]


def _given_up(world: World) -> set[str]:
    """List the devices that somebody decided to lock out."""
    cases = [case for case in Ledger(world).of("case") if DEACTIVATE_CERTIFICATE in case["outcomes"]]
    return {case["case_thing"] for case in cases if "case_thing" in case}


def _without_certificate(world: World, device: DeviceState) -> Iterator[str]:
    lets_in = _lets_in(world, device)
    if not lets_in:
        yield f"3: {device.thing} holds no ACTIVE attached certificate"
    if not any(each in device.used for each in lets_in):
        yield f"4: {device.thing} was left with a certificate it was never seen using"


def _without_policy(world: World, device: DeviceState) -> Iterator[str]:
    if not any(policies_of(world, each) for each in _lets_in(world, device)):
        yield f"3: no certificate that lets {device.thing} in has a policy"


def _lets_in(world: World, device: DeviceState) -> list[str]:
    return [each for each in device.held if _is_active(world, each) and device.thing in _things_of(world, each)]


def _is_active(world: World, certificate: str) -> bool:
    known = world.cloud.iot.certificates.get(certificate)
    return known is not None and known.status == "ACTIVE"


def _things_of(world: World, certificate: str) -> list[str]:
    return list(world.cloud.iot.list_principal_things(f"{PREFIX}cert/{certificate}"))


def certificates_of(world: World, thing: str) -> list[str]:
    """List the certificates attached to a thing."""
    return [each.rsplit("/", 1)[1] for each in world.cloud.iot.list_thing_principals(thing)]


def policies_of(world: World, certificate: str) -> list[str]:
    """List the policies of a certificate, by name."""
    found = world.cloud.iot.list_attached_policies(f"{PREFIX}cert/{certificate}")
    return sorted(policy.name for policy in found)


def groups_of(world: World, thing: str) -> list[str]:
    """List the groups of a thing, by name."""
    return sorted(group["groupName"] for group in world.cloud.iot.list_thing_groups_for_thing(thing))


# --- in the end --------------------------------------------------------------------------------------------------


def broken(world: World, plan: str, *, may_park: bool) -> list[str]:
    """List every promise that does not hold; `may_park` is true only if something was refused for good."""
    ledger = Ledger(world)
    parked = [message for queue in world.cloud.state.queues.values() for message in queue.parked]
    found = [*world.state.broken]
    if not may_park:
        found += [f"1: parked after {message.failure}: {message.body[:200]}" for message in parked]
        found += [f"1: given up: {call}" for call in world.state.given_up]
        found += _levels(world, ledger)
    if not parked and not world.state.given_up:
        found += _left_over(world, ledger)
        found += _certificates(world, ledger)
        found += _quarantines(world, ledger)
    return [
        *found,
        *_waiting(world),
        *_made_twice(world, ledger),
        *_limits(world, ledger, plan),
        *_escaped(world, ledger),
    ]


def _waiting(world: World) -> Iterator[str]:
    for queue in world.cloud.state.queues.values():
        if queue.waiting:
            yield f"1: {len(queue.waiting)} messages still wait on {queue.name}"


def _left_over(world: World, ledger: Ledger) -> Iterator[str]:
    """1: nothing is half done, and nothing that is due is left lying."""
    under_way = {record["job_id"] for record in ledger.of("job") if "due" in record}
    for case in ledger.of("case"):
        waits = any(outcome["job_id"] in under_way for outcome in case["outcomes"].values())
        if case["case_state"] in _TRANSIENT and not waits:
            yield f"1: case {case['case_id']} stays {case['case_state']} and waits for nothing"
        for action, outcome in case["outcomes"].items():
            if outcome["progress"] == "planned" and case["case_state"] in ("contained", *_TRANSIENT):
                yield f"1: {action} of case {case['case_id']} was never begun"
    for record in ledger.records:
        # Under other names than `due` the index lists what a campaign has found, and has out.
        if record.get("due") == "due" and from_text(record["due_at"]) < world.clock():
            yield f"1: a {record['type']} was due at {record['due_at']} and is left lying: {record['pk']}"


def _levels(world: World, ledger: Ledger) -> Iterator[str]:
    """1: the restricted group is logged at DEBUG if it has members, and at no level of ours if it has none."""
    levels = world.cloud.state.account.group_levels
    is_anybody = any(case["case_state"] == "contained" for case in ledger.of("case"))
    if levels != ({RESTRICTED: "DEBUG"} if is_anybody else {}):
        yield f"1: the levels of groups are {levels}, and somebody is contained: {is_anybody}"


def _made_twice(world: World, ledger: Ledger) -> Iterator[str]:
    """2: each job is one that a case asked for, once; what people were told, they were told once."""
    wanted = {record["job_id"] for record in ledger.of("job")}
    wanted |= {outcome["job_id"] for case in ledger.of("case") for outcome in case["outcomes"].values()}
    yield from (f"2: job {job} was made and nobody knows of it" for job in world.cloud.iot.jobs if job not in wanted)
    yield from _told_twice(world, {})


def history_of(world: World) -> list[object]:
    """List the effects that still matter: notices on record, and calls that touched a device."""
    marked: dict[tuple[str, str], int] = {}
    wrong = list(_told_twice(world, marked))
    published = {str(each.asked["Subject"]) for each in world.cloud.state.reached if each.call == "sns.Publish"}
    touching = {(each.call, each.text) for each in world.cloud.state.reached if _touches(each.call)}
    return [wrong, sorted(marked), sorted(published), sorted(touching), _overlapped(world)]


def _told_twice(world: World, marked: dict[tuple[str, str], int]) -> Iterator[str]:
    """2: a notice comes again only from a run that began before it was written down (decision 6 has that window).

    Fills `marked` with the notices that are on record; what comes later may not tell them again.
    """
    begun: dict[str, int] = {}
    told: dict[tuple[str, str], str] = {}
    for number, each in enumerate(world.cloud.state.reached):
        begun.setdefault(each.run, number)
        if each.call == "sns.Publish":
            notice = (str(each.asked["Subject"]), str(each.asked["Message"]))
            if marked.get(notice, number) < begun[each.run]:
                yield f"2: told again, after it was written down that it was told: {notice[0]}"
            if each.heard:
                told[notice] = each.run
        elif each.call in _WRITES:
            for notice in [notice for notice, run in told.items() if run == each.run]:
                marked.setdefault(notice, number)


def _certificates(world: World, ledger: Ledger) -> Iterator[str]:
    """2, 3: one ACTIVE certificate for each device, and none that we made and nobody uses."""
    given_up = _given_up(world)
    for thing, device in world.state.devices.items():
        attached = certificates_of(world, thing)
        active = [each for each in attached if _is_active(world, each)]
        if len(active) != 1 and thing not in given_up:
            yield f"3: {thing} has {len(active)} ACTIVE certificates"
        if attached != active and thing not in given_up:
            yield f"3: {thing} has certificates that are not ACTIVE attached to it"
        if active and thing not in given_up and active[0] not in device.used:
            yield f"4: {thing} is left with a certificate it was never seen using"
    enrolled = {device.enrolled.certificate for device in world.state.devices.values()}
    for certificate in world.cloud.iot.certificates:
        if (
            certificate not in enrolled
            and certificate not in world.state.strays
            and not _things_of(world, certificate)
            and not _retires(ledger, certificate)
        ):
            yield f"2: certificate {certificate[:12]} was made, and nobody has it or will delete it"


def _retires(ledger: Ledger, certificate: str) -> bool:
    return any(record["certificate"] == certificate and "due" in record for record in ledger.of("retirement"))


def _quarantines(world: World, ledger: Ledger) -> Iterator[str]:
    """5: who is contained is restricted, and who is not has exactly what it had."""
    states = {record["thing"]: record["state"] for record in ledger.of("containment")}
    for thing, device in world.state.devices.items():
        state = states.get(thing, "never contained")
        for certificate in certificates_of(world, thing):
            policies = policies_of(world, certificate)
            is_held = any(states.get(each) == "contained" for each in _things_of(world, certificate))
            wanted = [RESTRICTED] if is_held else sorted(device.enrolled.policies)
            if policies != wanted:
                yield f"5: {thing} is {state}, and certificate {certificate[:12]} has {policies}"
        groups = groups_of(world, thing)
        if state == "contained" and groups != sorted({"site-4", RESTRICTED}):
            yield f"5: {thing} is contained in {groups}"
        if state != "contained" and groups != sorted(device.enrolled.groups):
            yield f"5: {thing} is {state}, in {groups}"
        if state not in ("contained", "released", "never contained"):
            yield f"5: {thing} is left {state}"


def _limits(world: World, ledger: Ledger, plan: str) -> Iterator[str]:
    """6: only devices that the governor let be touched were touched, and no more of them than it may."""
    admitted = {thing for case in ledger.of("case") if case["admitted"] for thing in case["affected"]}
    touched = set()
    for each in world.cloud.state.reached:
        if _touches(each.call):
            touched |= _things_in(world, each.asked)
    yield from (f"6: {thing} was touched, and no case was admitted for it" for thing in touched - admitted)
    most = read_plan(plan).limits.devices_per_hour
    if most is not None and len(touched) > most:
        yield f"6: {len(touched)} devices were touched within the hour"
    bystander = world.state.devices[BYSTANDER]
    if policies_of(world, bystander.enrolled.certificate) != sorted(bystander.enrolled.policies):
        yield f"6: {BYSTANDER} does not have its policies any more"


@cache
def _touches(call: str) -> bool:
    service, operation = call.split(".")
    return service in ("iot", "iot-data") and operation.startswith((*_CHANGING, "Cancel"))


def _things_in(world: World, asked: Mapping[str, Any]) -> set[str]:
    named = {str(asked[name]) for name in ("thingName", "clientId") if name in asked}
    named |= {target.partition(":thing/")[2] for target in asked.get("targets", ())}
    said = " ".join(str(value) for value in asked.values())
    named |= {device.thing for device in world.state.devices.values() if any(each in said for each in device.held)}
    return named & set(world.state.devices)


def _escaped(world: World, ledger: Ledger) -> Iterator[str]:
    """8: what is answered goes to who asked, what is kept is kept under our own names, what is told is plain."""
    for topic, answer in world.cloud.state.replies:
        if not topic.startswith(f"warden/{answer['clientToken'].rsplit('-', 1)[0]}/"):
            yield f"8: {topic} was told what was for {answer['clientToken']}"
    verdicts: dict[str, set[str]] = {}
    for topic, answer in world.cloud.state.replies:
        verdicts.setdefault(answer["clientToken"], set()).add(f"{topic.rsplit('/', 1)[1]} {answer.get('code', '')}")
    yield from (f"2: {token} was told both {both}" for token, both in verdicts.items() if len(both) > 1)
    cases = {case["case_id"] for case in ledger.of("case")}
    for key in get_backend("s3")[ACCOUNT]["aws"].buckets["evidence"].keys:
        if not str(key).startswith("reports/") and str(key).split("/")[1] not in cases:
            yield f"8: {key} is kept for no case"
    for each in world.cloud.state.reached:
        if each.call == "sns.Publish" and not each.asked["Subject"].isprintable():
            yield f"8: a notice has the subject {each.asked['Subject']!r}"


# --- what must be as after a clean run ---------------------------------------------------------------------------


@cache
def _key_names() -> dict[str, str]:
    numbers = [*range(100, 110), *range(200, 210), *range(300, 310), *range(400, 410), *range(500, 510)]
    return {a_key(number).fingerprint: f"key {number}" for number in numbers}


def state_of(world: World) -> dict[str, Any]:
    """Write down what is left; certificates are told by their keys, and what carries a time or a count is left out.

    A sweep of certificates, its campaign and what comes of them are named after the time at which it began; so are they
    here, but by the order of those times. What cannot be compared is None.
    """
    ledger = Ledger(world)
    iot = world.cloud.iot
    names = {each.certificate_id: _name(each.certificate_pem) for each in iot.certificates.values()}
    state = {
        "certificates": sorted(
            (names[each], iot.certificates[each].status, policies_of(world, each), _things_of(world, each))
            for each in iot.certificates
        ),
        "groups": {thing: groups_of(world, thing) for thing in world.state.devices},
        "jobs": sorted((job, thing, execution.status) for (job, thing), execution in iot.job_executions.items()),
        "cases": [
            (
                case["case_id"],
                case["case_state"],
                case["resolution"],
                {action: outcome["progress"] for action, outcome in case["outcomes"].items()},
            )
            for case in ledger.of("case")
        ],
        "containments": [
            (each["thing"], each["state"], sorted(map(str, each["policies"].values())), each["cases"], "due" in each)
            for each in ledger.of("containment")
        ],
        "rotations": [(each["thing"], each["state"], names.get(each["new"], "none")) for each in ledger.of("rotation")],
        "due": sorted((record["type"], record["pk"]) for record in ledger.records if "due" in record),
        "notices": sorted({each.asked["Subject"] for each in world.cloud.state.reached if each.call == "sns.Publish"}),
        "hub": hub_of(world),
        "evidence": len(list(get_backend("s3")[ACCOUNT]["aws"].buckets["evidence"].keys)),
        "events": world.cloud.state.event_configurations,
        "levels": dict(world.cloud.state.account.group_levels),
        "level": [(each["state"], each["ours"]) for each in ledger.of("group-level")],
        "restricted": sorted(world.cloud.iot.list_targets_for_policy(RESTRICTED)),
        "timelines": sorted({(step["pk"], _said(step)) for step in ledger.of("step")}),
        "lines": sorted((step["pk"], _said(step)) for step in ledger.of("step") if step["kind"] != "notified"),
        "refused": sorted(refusal["code"] for refusal in ledger.of("refusal")),
        "members": [(each["thing"], each["state"], each["attempts"]) for each in ledger.of("member")],
        "campaigns": [tuple(each[name] for name in _OF_CAMPAIGN) for each in ledger.of("campaign")],
        "batches": [(each["number"], each["outcomes"], _is_sent(each)) for each in ledger.of("batch")],
        "signed": len(world.cloud.state.authority.signed),
        "reports": _reports(),
    }
    moments = sorted(set(_MOMENT.findall(repr(state))) | {each["campaign"] for each in ledger.of("batch")})
    given = {moment: f"moment {place}" for place, moment in enumerate(moments)}
    given |= {each["job_id"]: f"job {each['number']} of {given[each['campaign']]}" for each in ledger.of("batch")}
    named: dict[str, Any] = _renamed(state, given)
    return named | dict.fromkeys(("lines", "refused")) if _came_twice(world) else named


_OF_CAMPAIGN = ("state", "size", "step", "batches", "out", "of_step", "in_all")


def _is_sent(batch: Mapping[str, Any]) -> bool:
    """Check whether all of a batch was sent that had to be: nothing goes to a device that was skipped before."""
    return bool(batch["sent"]) or set(batch["outcomes"].values()) == {"skipped"}


def _said(step: Mapping[str, Any]) -> str:
    """Name a line of a timeline by what was done, or decided, in it."""
    facts = step["facts"]
    return str(facts["decision"]) if "decision" in facts else f"{step['kind']} {facts.get('action', '')}".strip()


def _came_twice(world: World) -> bool:
    """Check whether two runs overlapped, or an operator who heard of no answer gave a command again.

    Then both may note what came of an action that both carried out, and one may be refused what the other has done.
    """
    return _overlapped(world) or world.state.calls != len(world.state.answers)


def _overlapped(world: World) -> bool:
    """Check whether anything was carried out for one run while another one was under way."""
    order = [each.run for each in world.cloud.state.reached]
    return len(set(order)) < sum(1 for before, run in zip(["", *order], order, strict=False) if run != before)


def _reports() -> list[str]:
    kept = get_backend("s3")[ACCOUNT]["aws"].buckets["evidence"].keys
    return [kept[key].value.decode() for key in sorted(map(str, kept)) if key.startswith("reports/")]


_MOMENT = re.compile(r"\b\d{8}T\d{6}Z\b")


def _renamed(value: Any, given: Mapping[str, str]) -> Any:
    """Put the names that were given in the place of the others, wherever they are."""
    if isinstance(value, str):
        for name, other in given.items():
            value = value.replace(name, other)
        return value
    if isinstance(value, dict):
        return {_renamed(name, given): _renamed(each, given) for name, each in value.items()}
    return type(value)(_renamed(each, given) for each in value) if isinstance(value, list | tuple) else value


def hub_of(world: World) -> list[tuple[str, str]]:
    """List what stands in Security Hub, which nobody reads again."""
    return sorted((finding["Id"], finding["RecordState"]) for finding in world.cloud.state.hub.values())


@cache
def _name(pem: str) -> str:
    return _key_names()[key_of_certificate(pem)]
