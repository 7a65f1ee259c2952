"""A narrower document for an AWS IoT policy: the same statements, cut down to the device's own.

Every statement that is proposed comes from one of the policy and is within it, so nothing is allowed that was not
before; `narrow_proof.py` shows that independently. What cannot be narrowed is kept, and reported.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from warden_cli.iot_policy import CLIENT, IS_ATTACHED, THING, covers, listed

CLIENTS, TOPICS, FILTERS, THINGS = "client", "topic", "topicfilter", "thing"

KINDS: Mapping[str, str] = {
    "iot:Connect": CLIENTS,
    "iot:Publish": TOPICS,
    "iot:RetainPublish": TOPICS,
    "iot:Receive": TOPICS,
    "iot:Subscribe": FILTERS,
    "iot:GetThingShadow": THINGS,
    "iot:UpdateThingShadow": THINGS,
    "iot:DeleteThingShadow": THINGS,
    "iot:ListNamedShadowsForThing": THINGS,
    "iot:DescribeJobExecution": THINGS,
    "iot:GetPendingJobExecutions": THINGS,
    "iot:StartNextPendingJobExecution": THINGS,
    "iot:UpdateJobExecution": THINGS,
}
"""Actions that can be cut down to the device's own, with what they are on.

AWS IoT Core Developer Guide, "AWS IoT Core policy actions" and "AWS IoT Core action resources".
"""

OTHERS: Mapping[str, str] = {
    "iot:AssumeRoleWithCertificate": "rolealias",
    "iot:DeleteConnection": CLIENTS,
    "iot:GetRetainedMessage": TOPICS,
    "iot:ListRetainedMessages": "",
}
"""Actions of devices that are not about a thing of their own. The same pages."""

_OUT = frozenset(["iot:Publish", "iot:RetainPublish"])
_OF_ANY_THING = re.compile(r"^(\$aws/(?:commands/)?things/|warden/)\*(?=/)")

OWN_TOPICS = (f"$aws/things/{THING}/*", f"warden/{THING}/*")
"""Reserved topics of the device's own thing, and those of device/device-policy.json, which the service needs."""


class Verdict(StrEnum):
    """What becomes of a right."""

    STAYS = "stays"
    NARROWED = "narrowed"
    KEPT = "kept"
    GOES = "goes"


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A topic that devices use, as MQTT writes it; `{thing}` is the device's name."""

    text: str
    publishes: bool = True
    subscribes: bool = True

    def patterns(self) -> list[str]:
        """Return its patterns in a policy. MQTT's `#` is also the level above; `*` spans levels, as `+` does not."""
        text = self.text.replace("{thing}", THING).replace("+", "*")
        if text == "#":
            return ["*"]
        return [text[:-2], f"{text[:-1]}*"] if text.endswith("/#") else [text]


@dataclass(frozen=True, kw_only=True)
class Wishes:
    """The owner's options: topics that the devices use, and resources to keep as they are."""

    topics: Sequence[Topic] = ()
    keep: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """The fate of one action on one resource, and the reason."""

    action: str
    resource: str
    verdict: Verdict
    becomes: Sequence[str] = ()
    kept: Sequence[str] = ()
    """What the owner keeps beside that."""
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """The narrower document, and the fate of each right."""

    document: Mapping[str, Any]
    changes: Sequence[Change]
    unused: Sequence[str] = ()
    """Wishes without effect, because the policy does not allow them today."""
    literal_denials: Sequence[str] = ()
    """Denied resources with MQTT's `+` or `#`, plain characters in a policy: other filters get around them."""

    @property
    def is_narrower(self) -> bool:
        """Whether anything was narrowed or goes."""
        return any(each.verdict in (Verdict.NARROWED, Verdict.GOES) for each in self.changes)

    @property
    def characters(self) -> int:
        """The document's length as AWS IoT counts it."""
        return characters_of(self.document)


def characters_of(document: Mapping[str, Any]) -> int:
    """Count a document's characters without white space."""
    return len("".join(json.dumps(document, ensure_ascii=False).split()))


def propose(document: Mapping[str, Any], prefix: str, wishes: Wishes) -> Proposal:
    """Cut a policy down. `prefix` is that of the account's ARNs: `arn:aws:iot:eu-central-1:123456789012:`."""
    return _Narrowing(document, prefix, wishes).proposal()


@dataclass
class _Narrowing:
    document: Mapping[str, Any]
    prefix: str
    wishes: Wishes
    changes: list[Change] = field(default_factory=list)
    grants: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """By condition, as JSON: what each action is allowed on."""

    def proposal(self) -> Proposal:
        statements = listed(self.document["Statement"])
        denials = [each for each in statements if each["Effect"] != "Allow"]
        for statement in statements:
            if statement["Effect"] == "Allow":
                self._narrow(statement)
        return Proposal(
            document={
                "Version": self.document.get("Version", "2012-10-17"),
                "Statement": [*denials, *_statements(self.grants)],
            },
            changes=self.changes,
            unused=[*self._unused()],
            literal_denials=[
                each for statement in denials for each in listed(statement["Resource"]) if _has_mqtt(each)
            ],
        )

    def _unused(self) -> Iterator[str]:
        granted = {each for actions in self.grants.values() for several in actions.values() for each in several}
        for topic in self.wishes.topics:
            names = [f"{self.prefix}{kind}/{each}" for kind in (TOPICS, FILTERS) for each in topic.patterns()]
            if not any(covers(wide, each) for wide in granted for each in names):
                yield topic.text
        for each in self.wishes.keep:
            if not any(covers(wide, f"{self.prefix}{each}") for wide in granted):
                yield each

    def _narrow(self, statement: Mapping[str, Any]) -> None:
        condition = statement.get("Condition") or {}
        for pattern in listed(statement["Action"]):
            actions = _actions(pattern)
            for action in actions:
                for resource in listed(statement["Resource"]):
                    change = self._change(action, resource, is_named=action == pattern or not _is_wild(pattern))
                    if change is not None:
                        self._take(change, condition)
            if _is_wild(pattern) and actions != [pattern]:
                why = "it is written out; other actions of the wildcard are dropped, such as greengrass:Discover"
                self.changes.append(Change(action=pattern, resource="", verdict=Verdict.GOES, why=why))

    def _take(self, change: Change, condition: Mapping[str, Any]) -> None:
        self.changes.append(change)
        self._grant(condition, change.action, change.kept)
        if change.verdict is Verdict.NARROWED and change.action == "iot:Connect":
            condition = _when_attached(condition)
        self._grant(condition, change.action, change.becomes)

    def _grant(self, condition: Mapping[str, Any], action: str, resources: Sequence[str]) -> None:
        if resources:
            of_condition = self.grants.setdefault(json.dumps(condition, sort_keys=True), {})
            of_condition.setdefault(action, []).extend(resources)

    def _change(self, action: str, resource: str, *, is_named: bool) -> Change | None:
        """Return the fate of an action on a resource; None if AWS IoT never checks the two together."""
        kind = {**OTHERS, **KINDS}.get(action)
        local = _local(resource)
        if kind is not None and not _may_be(local, kind):
            return None
        kept = [*self._kept(kind or "", resource)]
        rule = _RULES.get(KINDS.get(action, ""))
        if rule is None:
            return _other(action, resource, kept, is_named=is_named)
        change = rule(self, action, resource, local)
        return change if change.verdict in (Verdict.STAYS, Verdict.KEPT) else replace(change, kept=kept)

    def _kept(self, kind: str, resource: str) -> Iterator[str]:
        for each in self.wishes.keep:
            if each.partition("/")[0] == kind and covers(resource, f"{self.prefix}{each}"):
                yield f"{self.prefix}{each}"

    def _client(self, action: str, resource: str, local: str) -> Change:
        own = f"{self.prefix}{CLIENTS}/{THING}"
        if CLIENT not in local and not _is_wild(local):
            return Change(action=action, resource=local, verdict=Verdict.STAYS, becomes=[resource])
        if covers(resource, own):
            why = "a device connects under its thing's name only"
            return Change(action=action, resource=local, verdict=Verdict.NARROWED, becomes=[own], why=why)
        why = "only under the name of a thing of its certificate"
        return Change(action=action, resource=local, verdict=Verdict.NARROWED, becomes=[resource], why=why)

    def _thing(self, action: str, resource: str, local: str) -> Change:
        own = f"{self.prefix}{THINGS}/{THING}"
        if not _is_wild(local):
            return Change(action=action, resource=local, verdict=Verdict.STAYS, becomes=[resource])
        if covers(resource, own):
            why = "its own thing; over HTTPS the thing's name has no value, keep 'thing/*' if devices use that"
            return Change(action=action, resource=local, verdict=Verdict.NARROWED, becomes=[own], why=why)
        why = "not every thing's name is within it, so its own thing cannot stand for it"
        return Change(action=action, resource=local, verdict=Verdict.KEPT, becomes=[resource], why=why)

    def _topic(self, action: str, resource: str, local: str) -> Change:
        kind = KINDS[action]
        name = local.partition("/")[2] if local.startswith(f"{kind}/") else "*"
        if why := _why_it_stays(kind, name):
            return Change(action=action, resource=local, verdict=Verdict.STAYS, becomes=[resource], why=why)
        if name in (each for topic in self._of_the_owner(action) for each in topic.patterns()):
            why = "you say that devices use all of it"
            return Change(action=action, resource=local, verdict=Verdict.KEPT, becomes=[resource], why=why)
        inside = [each for each in self._candidates(action, kind, name) if covers(resource, each)]
        if inside and (self._has_own_topics(action, resource, kind) or name.startswith(("$", "warden/"))):
            why = "the device's own topics, and those that you or the policy name"
            return Change(action=action, resource=local, verdict=Verdict.NARROWED, becomes=inside, why=why)
        why = _why_it_is_kept(kind, name)
        return Change(action=action, resource=local, verdict=Verdict.KEPT, becomes=[resource], why=why)

    def _candidates(self, action: str, kind: str, name: str) -> Iterator[str]:
        """List what may stand for a wildcard: reserved and warden topics of the thing, and the owner's."""
        names = [*OWN_TOPICS, _OF_ANY_THING.sub(lambda found: f"{found[1]}{THING}", name)]
        names += [each for topic in self._of_the_owner(action) for each in topic.patterns()]
        yield from dict.fromkeys(f"{self.prefix}{kind}/{each}" for each in names if each != name)

    def _has_own_topics(self, action: str, resource: str, kind: str) -> bool:
        """Whether it is known what the devices use: the owner has said it, or topics of theirs lie inside."""
        if self.wishes.topics and covers(resource, f"{self.prefix}{kind}/{OWN_TOPICS[0]}"):
            return True
        return any(
            covers(resource, f"{self.prefix}{kind}/{each}")
            for topic in self._of_the_owner(action)
            for each in topic.patterns()
        )

    def _of_the_owner(self, action: str) -> Iterator[Topic]:
        """List the topics of a direction: those that the owner says, or else that the policy itself names."""
        for topic in self.wishes.topics or _named_by(self.document):
            if topic.publishes if action in _OUT else topic.subscribes:
                yield topic


_RULES = {
    CLIENTS: _Narrowing._client,
    THINGS: _Narrowing._thing,
    TOPICS: _Narrowing._topic,
    FILTERS: _Narrowing._topic,
}


def _other(action: str, resource: str, kept: Sequence[str], *, is_named: bool) -> Change:
    """Return the fate of an action that is not about the thing itself: what is kept replaces a wildcard."""
    local = _local(resource)
    if not _is_wild(local):
        return Change(action=action, resource=local, verdict=Verdict.STAYS, becomes=[resource])
    if kept:
        why = "what you keep of it"
        return Change(action=action, resource=local, verdict=Verdict.NARROWED, kept=kept, why=why)
    if is_named:
        why = "nothing narrows it: name what the devices need, with --keep"
        return Change(action=action, resource=local, verdict=Verdict.KEPT, becomes=[resource], why=why)
    why = "only a wildcard allows it: name what the devices need of it, with --keep"
    return Change(action=action, resource=local, verdict=Verdict.GOES, why=why)


def _actions(pattern: str) -> list[str]:
    """Return the known actions that a pattern matches; without any, return the pattern."""
    return [each for each in (*KINDS, *OTHERS) if covers(pattern.lower(), each.lower())] or [pattern]


def _named_by(document: Mapping[str, Any]) -> Iterator[Topic]:
    """List the topics that a policy names without a wildcard, or as the device's own, with their direction."""
    for statement in listed(document["Statement"]):
        if statement["Effect"] == "Allow":
            actions = {each for pattern in listed(statement["Action"]) for each in _actions(pattern)}
            for resource in listed(statement["Resource"]):
                yield from _topic_named(actions, *_local(resource).partition("/")[::2])


def _topic_named(actions: Set[str], kind: str, name: str) -> Iterator[Topic]:
    """Read a topic of the owner's: neither a reserved one nor the service's, whose own are known anyway."""
    if kind not in (TOPICS, FILTERS) or not _why_it_stays(kind, name) or name.startswith(("$", "warden/")):
        return
    text = re.sub(r"/\*$", "/#", name.replace(THING, "{thing}").replace(CLIENT, "{thing}"))
    if _is_wild(text) or "${" in text or (kind == TOPICS and _has_mqtt(name)):
        return
    heard = "iot:Subscribe" if kind == FILTERS else "iot:Receive"
    yield Topic(text=text, publishes=kind == TOPICS and bool(actions & _OUT), subscribes=heard in actions)


def _why_it_stays(kind: str, name: str) -> str:
    """Return why a topic needs no narrowing; empty if it needs some."""
    before = _before_the_variable(name)
    scope = name if before is None else "/".join(before)
    if _is_wild(scope) or (kind == FILTERS and _has_mqtt(scope)):
        return ""
    if before is not None:
        return "it is the device's own"
    if _has_mqtt(name):
        return "+ and # are plain characters here, which no topic has: it allows nothing"
    return "it is one name"


def _has_mqtt(name: str) -> bool:
    """Whether one of its levels is a wildcard of MQTT."""
    return any(each in ("+", "#") for each in name.split("/"))


def _before_the_variable(name: str) -> list[str] | None:
    """Return the levels before the first that is a variable; None if none is."""
    levels = name.split("/")
    own = [number for number, each in enumerate(levels) if re.fullmatch(r"\$\{iot:[^}]*\}", each)]
    return levels[: own[0]] if own else None


def _why_it_is_kept(kind: str, name: str) -> str:
    if kind == FILTERS and _has_mqtt(name) and not _is_wild(name):
        return "an MQTT filter for more than its own; no narrower filter is allowed today: change it yourself"
    return f"nothing narrows it: say what the devices use, as --topic '{name.strip('*/') or 'telemetry'}/{{thing}}/#'"


def _local(resource: str) -> str:
    """Return a resource without the account's part of its ARN; `*` where a wildcard stands in that part."""
    parts = resource.split(":", 5)
    return parts[5] if len(parts) == 6 else "*"


def _may_be(local: str, kind: str) -> bool:
    """Whether a pattern may match a resource of a kind."""
    begin = re.split(r"[*?]", local, maxsplit=1)[0]
    if not kind:
        return local == "*"
    return begin.startswith(f"{kind}/") or (_is_wild(local) and f"{kind}/".startswith(begin))


def _is_wild(text: str) -> bool:
    return any(each in re.sub(r"\$\{[^}]*\}", "", text) for each in "*?")


def _when_attached(condition: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**condition, "Bool": {**condition.get("Bool", {}), IS_ATTACHED: "true"}}


def _statements(grants: Mapping[str, Mapping[str, Sequence[str]]]) -> Iterator[Mapping[str, Any]]:
    """Write the grants: actions with the same resources together, and no resource that another one covers."""
    for condition, actions in grants.items():
        together: dict[tuple[str, ...], list[str]] = {}
        for action, resources in actions.items():
            if least := _without_covered(resources):
                together.setdefault(least, []).append(action)
        for names, shared in together.items():
            statement = {"Effect": "Allow", "Action": _one(shared), "Resource": _one(names)}
            yield statement | ({"Condition": json.loads(condition)} if condition != "{}" else {})


def _without_covered(resources: Sequence[str]) -> tuple[str, ...]:
    distinct = [*dict.fromkeys(resources)]
    return tuple(
        each
        for number, each in enumerate(distinct)
        if not any(
            covers(other, each) and (not covers(each, other) or at < number)
            for at, other in enumerate(distinct)
            if at != number
        )
    )


def _one(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else [*values]
