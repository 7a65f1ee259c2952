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
    """One question, for any device: may it do this, where `{thing}` is itself and `{another}` is not?"""

    action: str
    resource: str

    def for_(self, thing: str, another: str) -> str:
        """Return the resource for one device."""
        return self.resource.replace(OWN, thing).replace(OTHER, another)

    @property
    def is_about_others(self) -> bool:
        """Whether it is about another device, which no device has business with."""
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
    """What one device could do before, and what after."""

    device: Device
    answers: Sequence[Answer]

    @property
    def lost(self) -> list[Answer]:
        """What it could do before and not after."""
        return [each for each in self.answers if each.was and not each.is_now]

    @property
    def gained(self) -> list[Answer]:
        """What it could not do before; there has to be nothing."""
        return [each for each in self.answers if each.is_now and not each.was]


def compare(
    devices: Sequence[Device], policy: str, after: Mapping[str, Any], prefix: str, probes: Sequence[Probe]
) -> list[Comparison]:
    """Ask every probe of every device, with the policy as it is and with the proposal in its place."""
    things = [each.thing for each in devices if each.thing]
    return [
        Comparison(device=each, answers=[*_answers(each, policy, after, prefix, probes, _another(each.thing, things))])
        for each in devices
    ]


def _another(thing: str, things: Sequence[str]) -> str:
    """Return the name of a device that it is not."""
    return next((each for each in things if each != thing), "warden-another-thing")


def _answers(
    device: Device, policy: str, after: Mapping[str, Any], prefix: str, probes: Sequence[Probe], another: str
) -> Iterator[Answer]:
    had = [*device.documents.values()]
    has = [after if name == policy else document for name, document in device.documents.items()]
    name = device.thing or "any-client"
    for probe in probes:
        session, resource = _session(probe, device, name, another), f"{prefix}{probe.for_(name, another)}"
        was, is_now = (admits(each, probe.action, resource, session) for each in (had, has))
        yield Answer(probe=probe, resource=resource, was=was, is_now=is_now)


def _session(probe: Probe, device: Device, name: str, another: str) -> Session:
    """Connect as the client id that is asked for; everything else is asked as the device itself."""
    if probe.action != "iot:Connect":
        return Session(name, device.thing)
    return Session(probe.for_(name, another).partition("/")[2], device.thing)


def probes_for(documents: Iterable[Mapping[str, Any]], prefix: str, topics: Sequence[Topic]) -> list[Probe]:
    """Make questions of every resource that the documents name, of the topics, and of what is reserved."""
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
    """Fill a pattern in: its name and its wildcards with the device's, with another's, and those with anything."""
    for name, each in ((OWN, ANY), (OWN, OWN), (OWN, OTHER), (OTHER, ANY), (OTHER, OTHER)):
        filled = pattern.replace(THING, name).replace(CLIENT, name).replace("*", each).replace("?", "x")
        if filled and "${" not in filled:
            yield filled
