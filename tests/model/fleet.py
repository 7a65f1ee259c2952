"""A small fleet around the service, and a book of what must be true of it, kept without asking the service.

The book knows only what the world shows (the fakes' own state and every call that reaches them) and what people and
devices did. It judges at every single call, not only when a function has ended.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from tests.fakes import RESTRICTED_GROUP, FakeDevice, World, a_world
from tests.port_wire import Wire, wired
from warden.core.ports import JobOrder
from warden.devices.csr import key_of_certificate

PUMPS = ("pump-1", "pump-2", "pump-3")
SHARING = ("valve-1", "valve-2")
"""Two devices that were given one certificate."""

PROTECTED = "gateway-1"
FLEET = (*PUMPS, *SHARING, PROTECTED)
AN_HOUR = 4
"""Devices that findings may touch within an hour."""

A_DAY = 2
"""Devices that a campaign may ask within a day."""

OF_AGE = timedelta(days=2)
"""Certificates are renewed so young here that they and their successors fall due within one run."""

PLAN = f"""
version = 1

[limits]
devices_per_hour = {AN_HOUR}

[rotation]
mode = "approve"
devices_per_day = {A_DAY}
canary_percent = 34
attempts = 2
days_to_answer = 1

[never_touch]
things = ["gateway-*"]

[[rule]]
name = "data-leaves-the-device"
kind = ["aws:all-bytes-out", "suspicion"]
actions = ["quarantine", "collect-logs", "notify"]
mode = "enforce"

[[rule]]
name = "looks-strange"
source = "guardduty"
actions = ["quarantine", "notify"]
mode = "approve"

[[rule]]
name = "behaves-oddly"
kind = "aws:message-byte-size"
actions = ["disconnect", "collect-logs", "notify"]
mode = "enforce"

[[rule]]
name = "certificate-expires"
source = "device-defender-audit"
kind = "certificate-expires"
actions = ["renew-certificate", "notify"]
mode = "enforce"

[[rule]]
name = "certificate-is-old"
source = "device-defender-audit"
actions = ["rotate-certificate", "notify"]
mode = "enforce"

[[rule]]
name = "stolen"
kind = "stolen"
actions = ["deactivate-certificate", "notify"]
mode = "enforce"

[[rule]]
name = "everything-else"
actions = ["notify"]
"""

_ON_THING = ("registry.join_group", "registry.leave_group", "registry.change_groups", "connections.disconnect")
_ON_CERTIFICATE = ("certificates.attach_policy", "certificates.detach_policy", "certificates.deactivate")
_CHANGING = (
    *_ON_THING,
    *_ON_CERTIFICATE,
    "certificates.attach_thing",
    "certificates.detach_thing",
    "certificates.activate",
    "certificates.delete",
)


class BrokenPromiseError(AssertionError):
    """A promise of design section 11 does not hold."""


@dataclass
class Member:
    """What the book knows of a device. `honest`: it obeys its contract and nobody made its certificate useless.

    `intact` says that nobody but the service changed its things, certificates or rights. `had` are the
    certificates it was ever given, `said` those it has sent a confirmation over, `rights` what it could do when it
    was last not restricted.
    """

    device: FakeDevice
    honest: bool = True
    intact: bool = True
    said: set[str] = field(default_factory=set)
    had: set[str] = field(default_factory=set)
    released_at: datetime | None = None
    rights: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())


class Book:
    """Keeps watch over a world. One per run."""

    def __init__(self) -> None:
        self.wire = Wire(after=self._seen)
        self.world = wired(_a_fleet(), self.wire)
        self.members = {thing: Member(device) for thing, device in self.world.devices.items()}
        self.stopped = False
        self.touched: set[str] = set()
        self.touched_at: datetime | None = None
        self.jobs_begun: Counter[tuple[str, str]] = Counter()
        self.restrictions: list[str] = []
        self._restricted: set[str] = set()
        self._admitted: list[tuple[datetime, int]] = []
        self.asked: dict[str, tuple[datetime, tuple[str, ...]]] = {}
        self.broken: list[str] = []
        """What was wrong with a job when it was sent: raising there would have the message delivered again."""
        for thing, member in self.members.items():
            member.rights = self.rights_of(thing)
            member.had.add(member.device.certificate)

    # --- what the world shows -------------------------------------------------------------------------------------

    def usable(self, certificate: str, thing: str) -> bool:
        """Check whether a device can connect with a certificate as this thing, and do anything at all."""
        stored = self.world.certificates.stored.get(certificate)
        return (
            stored is not None
            and stored.status == "ACTIVE"
            and bool(stored.policies)
            and (certificate, thing) in self.world.registry.attached
        )

    def is_restricted(self, thing: str) -> bool:
        """Check whether any part of a quarantine is on a thing itself; a shared certificate's may be another's."""
        return RESTRICTED_GROUP in self.world.registry.groups.get(thing, ())

    def rights_of(self, thing: str) -> tuple[frozenset[str], frozenset[str]]:
        """List the policies of a thing's certificates, and its groups."""
        policies = self.world.policies(thing).values()
        return frozenset().union(*policies), frozenset(self.world.registry.groups.get(thing, ()))

    # --- watching -------------------------------------------------------------------------------------------------

    def _seen(self, name: str, args: tuple[Any, ...]) -> None:
        if name == "jobs.start":
            self._job_begun(args[0])
        if name not in _CHANGING:
            return
        touched = {args[0]} if name in _ON_THING else set(self.world.registry.things_of(args[0]))
        self._touch(touched, name)
        self._note_restrictions()
        if name == "certificates.deactivate":
            self._disabled(args[0])
        if name == "certificates.activate":
            self._let_in(args[0])
        self.nobody_is_locked_out(name)

    def _touch(self, things: set[str], name: str) -> None:
        if PROTECTED in things:
            raise BrokenPromiseError(f"6: {name} touched {PROTECTED}, which is on the never-touch list")
        self.touched |= things
        self.touched_at = self.touched_at or self.world.clock()

    def _job_begun(self, order: JobOrder) -> None:
        if order.per_minute is not None:  # only a campaign's jobs are told at a rate
            self._campaign_asks(order)
            return
        self._touch(set(order.things), "jobs.start")
        operation = order.document["warden"]["operation"]
        for thing in order.things:
            self.jobs_begun[thing, operation] = len(
                {
                    each
                    for each in self.world.jobs.of(operation)
                    if thing in self.world.jobs.started[each].executions and each not in self.asked
                }
            )

    def _campaign_asks(self, order: JobOrder) -> None:
        """Judge a campaign's job: within the day's budget, for nobody it may not ask, and not while stopped."""
        if order.id in self.asked:
            return
        now = self.world.clock()
        self.asked[order.id] = now, tuple(order.things)
        within = [thing for at, asked in self.asked.values() if at > now - timedelta(days=1) for thing in asked]
        if self.stopped:
            self.broken.append(f"6: {order.things} were asked although an operator has stopped the service")
        if len(within) > A_DAY:
            self.broken.append(f"6: a campaign asked {within} within a day; {A_DAY} devices are allowed")
        for thing in order.things:
            if thing == PROTECTED or self.is_restricted(thing):
                self.broken.append(f"6: a campaign asked {thing}, which is protected or contained")

    def _note_restrictions(self) -> None:
        """Note who has come into the restricted group and who has left it, by whichever call."""
        before, self._restricted = self._restricted, {thing for thing in FLEET if self.is_restricted(thing)}
        self.restrictions += self._restricted - before
        for thing in before - self._restricted:
            self.members[thing].released_at = self.world.clock()

    def _disabled(self, certificate: str) -> None:
        for thing, member in self.members.items():
            if not member.honest or certificate != member.device.certificate:
                continue
            if member.device.candidate not in member.said:
                raise BrokenPromiseError(f"4: {thing}'s certificate was disabled before a new one was seen in use")

    def _let_in(self, certificate: str) -> None:
        stored = self.world.certificates.stored[certificate]
        things = self.world.registry.things_of(certificate)
        intact = all(self.members[thing].intact for thing in things)  # otherwise there may be no rights to give on
        if len(things) != 1 or (intact and not stored.policies):
            raise BrokenPromiseError(f"3: a certificate was let in with things {things}, policies {stored.policies}")

    def nobody_is_locked_out(self, when: str = "now") -> None:
        """At no instant is a healthy device without an ACTIVE attached certificate that it has the key of."""
        for thing, member in self.members.items():
            if member.honest and not any(
                self.usable(each, thing) for each in (member.device.certificate, member.device.candidate)
            ):
                raise BrokenPromiseError(f"3: {thing} has no certificate that works ({when})")

    # --- judging what a finding did -------------------------------------------------------------------------------

    def begin(self) -> None:
        """Start to note what one thing that happens brings about."""
        self.touched, self.touched_at, self.restrictions = set(), None, []

    def judge_finding(self, began_at: datetime, observed_at: datetime, released: dict[str, datetime | None]) -> None:
        """Check that a finding touched no more than it may."""
        if self.stopped and self.touched:
            raise BrokenPromiseError(f"6: {self.touched} touched although an operator has stopped the service")
        for thing in self.restrictions:
            before = released[thing]
            if before is not None and observed_at <= before:
                raise BrokenPromiseError(f"5: {thing} restricted by a finding of {observed_at}, released at {before}")
        if not self.touched or self.touched_at is None:
            return
        self._admitted.append((began_at, len(self.touched)))
        within = sum(count for at, count in self._admitted if at > self.touched_at - timedelta(hours=1))
        if within > AN_HOUR:
            raise BrokenPromiseError(f"6: findings touched {within} devices within an hour; {AN_HOUR} are allowed")


def _a_fleet() -> World:
    world = a_world("pump-1", plan=PLAN, receives=5, rotate_after=OF_AGE)
    for thing in FLEET[1:]:
        world.enrol(thing, policies=[f"{thing}-policy"])
    first = world.devices["pump-1"]
    world.certificates.stored[first.certificate].policies[:] = ["pump-1-policy"]
    world.registry.group_policies |= {"pumps": ["pumps-policy"], "site-4": []}
    for thing in PUMPS:
        world.registry.groups[thing] = ["pumps", "site-4"]
    shared, own = (world.devices[thing] for thing in SHARING)
    world.registry.attached.remove((own.certificate, own.thing))
    del world.certificates.stored[own.certificate]
    own.certificate = shared.certificate
    world.registry.attached.append((shared.certificate, own.thing))
    return world


def keys_of(world: World) -> Counter[str]:
    """Count the certificates of each key, by its fingerprint."""
    return Counter(_key_of(stored.pem) for stored in world.certificates.stored.values())


_key_of = cache(key_of_certificate)
"""Reading certificates is most of the work here, and there are few."""
