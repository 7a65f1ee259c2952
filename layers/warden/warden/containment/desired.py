"""Desired state: the policies that each certificate should have, on record, and the one place that applies them.

A certificate may belong to several things, whose messages are handled at the same time. A quarantine or a release only
changes the certificate's record, in one commit with the record of the thing. `reconcile` then closes the difference.
Its calls may take effect late, and lists may be out of date. Four mechanisms correct this (decision 26): the fence, the
recheck, unconditional calls while a change is young, and the later look.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from warden.context import Context
from warden.core import quotas
from warden.core.errors import ActionFailed, Conflict, NotYet
from warden.core.ledger import ATTEMPTS, EXPIRY, Key, Ledger, Put, retry_on_conflict, version_of
from warden.core.ports import HasCertificates, HasLedger
from warden.core.records import RecordType

_KEPT_FOR = timedelta(days=30)
"""How long the record of a certificate that nothing holds is kept after its last change."""


class PortsToReconcile(HasLedger, HasCertificates, Protocol):
    """The ports of the reconciler."""


@dataclass(frozen=True, kw_only=True)
class Desired:
    """What a certificate should carry: while `holders` has an entry, the restricted policy alone; else `before`.

    `holders` are the contained things that use it. `drift` are policies that people attached meanwhile. `leaving`
    are things that a rotation took off it: a list may show them for a while. It is `touched` once it was restricted.
    """

    certificate: str
    holders: Sequence[str] = ()
    before: Sequence[str] = ()
    drift: Sequence[str] = ()
    leaving: Sequence[str] = ()
    touched: bool = False
    changed_at: datetime
    version: int = 0

    @property
    def is_held(self) -> bool:
        """Whether a contained thing uses it."""
        return bool(self.holders)

    def is_young(self, context: Context[HasLedger]) -> bool:
        """Whether lists may not show its last change yet, nor every call of an earlier invocation have ended."""
        return context.now() - self.changed_at < context.settings.second_disconnect_after

    def has_left(self, thing: str, context: Context[HasLedger]) -> bool:
        """Whether a thing has just left it, whatever a list shows."""
        return thing in self.leaving and self.is_young(context)

    def held_by(self, thing: str, shown: Sequence[str], context: Context[HasLedger]) -> Desired:
        """Add a thing to the holders, and what a list shows to what will be given back; return the result.

        While our own change is young, a list may be older than it and proves no change by others. Later, the
        certificate should have what a list shows.
        """
        others = {name for name in shown if name != context.settings.restricted_policy}
        before, drift = {*self.before}, {*self.drift}
        if self.is_young(context):
            before |= others
        elif self.is_held:
            drift |= others - before
        else:
            before = others or before
        return self.changed(
            context,
            holders=(*self.holders, *({thing} - {*self.holders})),
            before=tuple(sorted(before)),
            drift=tuple(sorted(drift)),
            leaving=tuple(each for each in self.leaving if each != thing),
            touched=True,
        )

    def without(self, thing: str, context: Context[HasLedger], *, leaves: bool = False) -> Desired:
        """Return it without a thing among its holders; `leaves` if a rotation takes the thing off it for good.

        A thing that leaves a second time leaves now: the rotation's first attempt may have ended before it detached
        the thing, and lists show it for a while after that.
        """
        leaving = self.leaving if self.is_young(context) else ()
        without = self.changed(
            context,
            holders=tuple(each for each in self.holders if each != thing),
            leaving=(*leaving, *({thing} - {*leaving} if leaves else ())),
        )
        return replace(without, changed_at=context.now()) if leaves else without

    def changed(self, context: Context[HasLedger], **changes: Any) -> Desired:
        """Return a copy with these changes, dated now if there are any."""
        new = replace(self, **changes)
        return self if new == self and self.version else replace(new, changed_at=context.now())


def leave(certificate: str, thing: str, context: Context[HasLedger]) -> None:
    """Take a thing off a certificate that it shares: a rotation has given it one of its own."""

    def write() -> None:
        known = desired_or_new(context.ports.ledger, certificate, context)
        context.ports.ledger.commit(desired_put(known.without(thing, context, leaves=True)))

    retry_on_conflict(write)


_DESIRED = RecordType(name="desired", of=Desired)


def read_desired(ledger: Ledger, certificate: str) -> Desired | None:
    """Read what a certificate should carry; None if it was never on record, or only long ago."""
    record = ledger.read(_key(certificate))
    return _DESIRED.value(record) if record else None


def desired_or_new(ledger: Ledger, certificate: str, context: Context[HasLedger]) -> Desired:
    """Read what a certificate should carry, or return a record that is not written yet."""
    return read_desired(ledger, certificate) or Desired(certificate=certificate, changed_at=context.now())


def without_left(thing: str, certificates: Iterable[str], context: Context[HasLedger]) -> Mapping[str, Desired | None]:
    """Read the records of certificates, without those that a rotation has just taken off the thing.

    A list may show these for a while.
    """
    known = {each: read_desired(context.ports.ledger, each) for each in certificates}
    return {each: desired for each, desired in known.items() if desired is None or not desired.has_left(thing, context)}


def desired_put(desired: Desired) -> Put:
    """Return the write of a certificate's record, for a commit with the record of the thing."""
    record = _DESIRED.record(desired)
    if not desired.is_held:
        record[EXPIRY] = int((desired.changed_at + _KEPT_FOR).timestamp())
    return Put(_key(desired.certificate), record, desired.version)


def _key(certificate: str) -> Key:
    return Key(f"CERTIFICATE#{certificate}", "DESIRED")


@dataclass(frozen=True, kw_only=True)
class Carried:
    """What a certificate carries now: ours alone while there are `holders`, else `given`.

    `gone` are policies that cannot be given back, each with the reason; if no policy is left, it `keeps_ours`.
    """

    holders: Sequence[str] = ()
    given: Sequence[str] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    drift: Sequence[str] = ()
    keeps_ours: bool = False


def reconcile(certificate: str, context: Context[PortsToReconcile], shown: Sequence[str] | None = None) -> Carried:
    """Change a certificate in AWS IoT until it has what its record wants; return the record.

    `shown` are its policies, if they were listed just now.

    Raises:
        NotYet: when the record was changed again and again meanwhile.
        ActionFailed: when the certificate or the restricted policy is gone.
    """
    for _ in range(ATTEMPTS):
        wanted = desired_or_new(context.ports.ledger, certificate, context)
        listed = [*(context.ports.certificates.policies_of(certificate) if shown is None else shown)]
        try:
            carried = _Pass(wanted, listed, context).run()
            _fence(wanted, context)  # again, after the last call: a change that came meanwhile is wanted now
        except Conflict:
            shown = None
        else:
            return carried
    raise NotYet(f"the record of certificate {certificate} was changed {ATTEMPTS} times meanwhile")


def is_out_of_use(certificate: str, context: Context[HasCertificates]) -> bool:
    """Check whether a certificate is gone, or somebody else put it out of use: it needs no restriction then."""
    read = context.ports.certificates.read(certificate)
    return read is None or read.is_out_of_use


def _fence(wanted: Desired, context: Context[HasLedger]) -> None:
    """Read the record again.

    Raises:
        Conflict: when it is no longer the one that is being carried out.
    """
    if version_of(context.ports.ledger.read(_key(wanted.certificate))) != wanted.version:
        raise Conflict(f"the record of certificate {wanted.certificate} was changed meanwhile")


@dataclass
class _Pass:
    """One pass over a certificate: calls that attach come first, and a fence comes before each call that detaches.

    A pass that detaches attaches first, even if the list shows the policy: the list may be old, and no policy be left.
    """

    wanted: Desired
    shown: list[str]
    context: Context[PortsToReconcile]

    def __post_init__(self) -> None:
        self.ours = self.context.settings.restricted_policy
        self.is_young = self.wanted.is_young(self.context)

    def run(self) -> Carried:
        return self._restrict() if self.wanted.is_held else self._give_back()

    def _restrict(self) -> Carried:
        others = [name for name in self.shown if name != self.ours]
        if self.is_young:
            others += [name for name in self.wanted.before if name not in others]
        if len(self.shown) >= quotas.POLICIES_PER_CERTIFICATE and self.ours not in self.shown:
            self._detach(others.pop(0))  # makes room for ours; nine remain
        if self.is_young or others or self.ours not in self.shown:
            self._attach(self.ours)
        for policy in others:
            self._detach(policy)
        return Carried(holders=self.wanted.holders)

    def _give_back(self) -> Carried:
        given, gone = list[str](), dict[str, str]()
        takes = self._may_carry_ours()
        for policy in self.wanted.before:
            is_needed = self.is_young or takes or policy not in self.shown
            if is_needed and (why := self._why_not_attached(policy)):
                gone[policy] = why
                continue
            given.append(policy)
        keeps_ours = bool(gone) and not given
        if not keeps_ours and self._may_carry_ours():
            self._detach(self.ours)
        return Carried(given=given, gone=gone, drift=self.wanted.drift, keeps_ours=keeps_ours)

    def _may_carry_ours(self) -> bool:
        return self.ours in self.shown or (self.is_young and self.wanted.touched)

    def _why_not_attached(self, policy: str) -> str:
        if len(self.shown) >= quotas.POLICIES_PER_CERTIFICATE and self.ours in self.shown and policy not in self.shown:
            self._detach(self.ours)  # nine of its own are back, so it is never without one
        try:
            self._attach(policy)
        except ActionFailed as error:
            return str(error)
        return ""

    def _attach(self, policy: str) -> None:
        self.context.ports.certificates.attach_policy(self.wanted.certificate, policy)
        if policy not in self.shown:
            self.shown.append(policy)

    def _detach(self, policy: str) -> None:
        _fence(self.wanted, self.context)
        self.context.ports.certificates.detach_policy(self.wanted.certificate, policy)
        if policy in self.shown:
            self.shown.remove(policy)
