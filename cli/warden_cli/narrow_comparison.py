"""What a device could do before and could not after: asked of the evaluator, with all policies of the device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from warden_cli.iot_policy import CLIENT, THING, Session, admits, listed
from warden_cli.narrow_proposal import FILTERS, KINDS, OTHERS, THINGS, TOPICS, Topic

OWN, OTHER, ANY = "{thing}", "{another}", "any"

_RESERVED = (
    "$aws/things/{}/shadow/update",
    "$aws/things/{}/shadow/get",
    "$aws/things/{}/shadow/update/delta",
    "$aws/things/{}/jobs/start-next",
    "$aws/things/{}/jobs/notify-next",
    "$aws/things/{}/defender/metrics/json",
    "$aws/things/{}/streams/s/get/json",
    "$aws/things/{}/tunnels/notify",
    "$aws/commands/things/{}/executions/e/response/json",
    "warden/{}/certificate/create",
    "warden/{}/logs/create",
)
_ELSEWHERE = (
    "$aws/rules/any/telemetry",
    "$aws/certificates/create/json",
    "$aws/provisioning-templates/any/provision/json",
    "$aws/events/presence/connected/any",
)


@dataclass(frozen=True, order=True)
class Probe:
    """One question, for any device: may it do this? `{thing}` is its own name, `{another}` another device's."""

    action: str
    resource: str

    def for_(self, thing: str, another: str) -> str:
        """Return the resource for one device."""
        return self.resource.replace(OWN, thing).replace(OTHER, another)

    @property
    def is_about_others(self) -> bool:
        """Whether it is about another device."""
        return OTHER in self.resource


@dataclass(frozen=True, kw_only=True)
class Device:
    """A thing with one of its certificates, and its policies by name; without a thing it can use any client id."""

    thing: str
    certificate: str
    documents: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A probe's answers for one device: whether it could before, and can after."""

    probe: Probe
    resource: str
    was: bool
    is_now: bool


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What one device could do before and not after, and what it can do only after, which has to be nothing."""

    device: Device
    lost: Sequence[Probe]
    gained: Sequence[Probe]
    another: str
    """The device that `{another}` stands for."""

    def resource(self, probe: Probe) -> str:
        """Return a probe's resource for this device."""
        return probe.for_(_name_of(self.device), self.another)


@dataclass(frozen=True, kw_only=True)
class Comparer:
    """Compares a policy with its replacement."""

    policy: str
    after: Mapping[str, Any]
    prefix: str
    probes: Sequence[Probe]

    def compare(self, devices: Sequence[Device]) -> list[Comparison]:
        """Ask every probe for every device; only differences are kept, as there may be many."""
        things = [each.thing for each in devices if each.thing][:2]
        return [self._compared(each, _another(each.thing, things)) for each in devices]

    def _compared(self, device: Device, another: str) -> Comparison:
        differing = [each for each in self.answers(device, another) if each.was != each.is_now]
        return Comparison(
            device=device,
            lost=[each.probe for each in differing if each.was],
            gained=[each.probe for each in differing if each.is_now],
            another=another,
        )

    def answers(self, device: Device, another: str) -> Iterator[Answer]:
        """Answer every probe for one device, with all its policies."""
        had = [*device.documents.values()]
        has = [self.after if name == self.policy else document for name, document in device.documents.items()]
        name = _name_of(device)
        for probe in self.probes:
            session, resource = _session(probe, device, another), f"{self.prefix}{probe.for_(name, another)}"
            was, is_now = (admits(each, probe.action, resource, session) for each in (had, has))
            yield Answer(probe=probe, resource=resource, was=was, is_now=is_now)


def _another(thing: str, things: Sequence[str]) -> str:
    """Return the name of another device."""
    return next((each for each in things if each != thing), "warden-another-thing")


def _name_of(device: Device) -> str:
    return device.thing or "any-client"


def _session(probe: Probe, device: Device, another: str) -> Session:
    """Connect as the client id in question; ask everything else as the device itself."""
    name = _name_of(device)
    if probe.action != "iot:Connect":
        return Session(name, device.thing)
    return Session(probe.for_(name, another).partition("/")[2], device.thing)


def probes_for(documents: Iterable[Mapping[str, Any]], prefix: str, topics: Sequence[Topic]) -> list[Probe]:
    """Make questions about every resource that the documents name, the topics, and the reserved topics."""
    known = {**KINDS, **OTHERS}
    names = {kind: {*_ELSEWHERE, *(each.format(who) for each in _RESERVED for who in (OWN, OTHER))} for kind in _MQTT}
    for kind in _MQTT:
        names[kind] |= {each for topic in topics for pattern in topic.patterns() for each in _examples(pattern)}
    found = {Probe("iot:Connect", f"client/{each}") for each in (OWN, OTHER, ANY)}
    found |= {
        Probe(action, f"{kind}/{each}") for action, kind in known.items() if kind in names for each in names[kind]
    }
    found |= {
        Probe(action, f"thing/{each}") for action, kind in known.items() if kind == THINGS for each in (OWN, OTHER)
    }
    found |= {Probe(action, kind and f"{kind}/any") for action, kind in OTHERS.items() if kind not in _MQTT}
    found |= {each for document in documents for each in _of_document(document, prefix)}
    return sorted(found)


_MQTT = (TOPICS, FILTERS)


def _of_document(document: Mapping[str, Any], prefix: str) -> Iterator[Probe]:
    known = {**KINDS, **OTHERS}
    for statement in listed(document["Statement"]):
        for resource in listed(statement["Resource"]):
            for local in _examples(resource.split(":", 5)[5] if resource.startswith(prefix) else ""):
                for action, kind in known.items():
                    if kind and local.startswith(f"{kind}/"):
                        yield Probe(action, local)


def _examples(pattern: str) -> Iterator[str]:
    """Fill in a pattern: its name with the device's or another's, its wildcards with a name or with anything."""
    for name, each in ((OWN, ANY), (OWN, OWN), (OWN, OTHER), (OTHER, ANY), (OTHER, OTHER)):
        filled = pattern.replace(THING, name).replace(CLIENT, name).replace("*", each).replace("?", "x")
        if filled and "${" not in filled:
            yield filled
