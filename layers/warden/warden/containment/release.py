"""Release: restore the snapshot exactly, in an order that never leaves the device without a policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from warden.containment.groups import changed_by_people, joined_directly
from warden.containment.snapshot import (
    Containment,
    ContainmentState,
    active_containment,
    read_containment,
    save_containment,
)
from warden.containment.wording import WORDS
from warden.context import Context
from warden.core import quotas
from warden.core.errors import ActionFailed, NotYet, Refused
from warden.core.ledger import retry_on_conflict
from warden.core.ports import HasCertificates, HasConnections, HasLedger, HasRegistry


class _Ports(HasLedger, HasRegistry, HasCertificates, Protocol):
    """The ports that a restore uses."""


class _PortsToRelease(_Ports, HasConnections, Protocol):
    """The ports of a release."""


def drift_of(thing: str, context: Context[_Ports]) -> list[str]:
    """List in sentences how a contained thing differs from what its containment left; empty when it does not."""
    containment = active_containment(context.ports.ledger, thing)
    if containment is None:
        return [f"{thing} is not contained"]
    if containment.state is ContainmentState.RELEASING:
        return []  # the differences are ours: this release was begun and not finished
    return [*_certificate_drift(containment, context), *_group_drift(containment, context)]


def _certificate_drift(containment: Containment, context: Context[_Ports]) -> list[str]:
    ports, ours = context.ports, context.settings.restricted_policy
    attached = ports.registry.certificates_of(containment.thing)
    drift = [f"certificate {each[:12]} was attached meanwhile" for each in attached if each not in containment.policies]
    for certificate in containment.policies:
        if certificate not in attached:
            drift.append(f"certificate {certificate[:12]} was detached from the thing meanwhile")
            continue
        policies = ports.certificates.policies_of(certificate)
        extra = [name for name in policies if name != ours]
        if extra:
            drift.append(f"certificate {certificate[:12]} was given {', '.join(extra)} meanwhile")
        if ours not in policies:
            drift.append(f"certificate {certificate[:12]} lost the restricted policy meanwhile")
    return drift


def _group_drift(containment: Containment, context: Context[_Ports]) -> list[str]:
    thing = context.ports.registry.thing(containment.thing, with_type=False)
    if thing is None:
        return [f"{containment.thing} was deleted from the registry meanwhile"]
    drift = [f"it was put back into {group} meanwhile" for group in containment.groups if group in thing.groups]
    joined, departed = changed_by_people(containment, thing.groups, context)
    drift += [f"it was put into {group} meanwhile" for group in joined]
    drift += [f"it was taken out of {group} meanwhile" for group in departed]
    if containment.in_restricted_group and context.settings.restricted_group not in thing.groups:
        drift.append(f"it was taken out of {context.settings.restricted_group} meanwhile")
    return drift


class Done(NamedTuple):
    """What a release has done, in words, with a sentence on each part that was gone and could not be given back."""

    words: str
    lost: Sequence[str] = ()


def release(thing: str, case_id: str, context: Context[_PortsToRelease], *, accept_changes: bool = False) -> Done:
    """Release a thing for a case, and restore it when no other case holds it.

    What was deleted meanwhile (a policy, a group, a certificate) cannot be given back; the rest is.
    `accept_changes` takes the device as people have made it meanwhile, and gives back the rest.

    Raises:
        Refused: when somebody changed the device meanwhile; the reason lists the differences.
        NotYet: when AWS IoT does not show the restored state yet.
    """
    containment = active_containment(context.ports.ledger, thing)
    if containment is None or case_id not in containment.cases:
        return Done("was no longer contained")
    others = [case for case in containment.cases if case != case_id]
    if others:
        save_containment(context.ports.ledger, replace(containment, cases=others))
        return Done(f"stays contained for {', '.join(others)}")
    if not accept_changes:
        require_unchanged(thing, context)
    containment = retry_on_conflict(lambda: _mark_releasing(thing, context))
    remaining = _leave_shared_to_others(containment, context)
    if accept_changes:
        remaining = _without_detached(remaining, context)
    restored, lost = _restore(remaining, context)
    session = WORDS[context.ports.connections.disconnect(thing)] if context.settings.disconnect else "not disconnected"
    _check(restored, context)
    done = replace(
        containment, state=ContainmentState.RELEASED, cases=(), released_at=context.now(), disconnect_at=None
    )
    save_containment(context.ports.ledger, done)
    is_shared = len(remaining.policies) < len(containment.policies)
    words = (_restored(restored, shared=is_shared and not accept_changes), *lost, session, "checked")
    return Done("; ".join(words), lost)


def require_unchanged(thing: str, context: Context[_Ports]) -> None:
    """Check that nobody changed a contained thing meanwhile.

    Raises:
        Refused: changed-meanwhile, with the differences.
    """
    if drift := drift_of(thing, context):
        why = f"{thing} is not as its containment left it: {'; '.join(drift)}"
        raise Refused("changed-meanwhile", f"{why}. Undo that, or release with --accept-changes")


def _without_detached(containment: Containment, context: Context[_Ports]) -> Containment:
    """Leave out certificates that people have detached from the thing: they keep the restricted policy."""
    attached = context.ports.registry.certificates_of(containment.thing)
    kept = {certificate: names for certificate, names in containment.policies.items() if certificate in attached}
    return replace(containment, policies=kept)


def _mark_releasing(thing: str, context: Context[_Ports]) -> Containment:
    containment = read_containment(context.ports.ledger, thing)
    if containment is None:
        raise Refused("not-contained", f"{thing} is not contained")
    if containment.state is ContainmentState.RELEASING:
        return containment
    releasing = replace(containment, state=ContainmentState.RELEASING, disconnect_at=None)
    return save_containment(context.ports.ledger, releasing)


def _leave_shared_to_others(containment: Containment, context: Context[_Ports]) -> Containment:
    """Hand over each certificate that another contained thing uses too; return what is left to restore here."""
    policies = {
        certificate: names
        for certificate, names in containment.policies.items()
        if not _hand_over(certificate, containment, context)
    }
    return replace(containment, policies=policies)


def return_shared_policies(certificate: str, thing: str, context: Context[_Ports]) -> None:
    """Return its policies to a shared certificate that other things still use, when its contained thing leaves it."""
    containment = active_containment(context.ports.ledger, thing)
    if containment is None or certificate not in containment.policies:
        return
    if _hand_over(certificate, containment, context):
        return
    policies = containment.policies[certificate]
    if len(_give_back(certificate, policies, context)) < len(policies):
        context.ports.certificates.detach_policy(certificate, context.settings.restricted_policy)


def _hand_over(certificate: str, containment: Containment, context: Context[_Ports]) -> bool:
    """Move a certificate's policies to the containment of another thing that uses it; False when there is none.

    Raises:
        NotYet: when that thing is being released too, and is first in order.
    """
    ledger = context.ports.ledger
    for thing in sorted(context.ports.registry.things_of(certificate)):
        holder = active_containment(ledger, thing) if thing != containment.thing else None
        if holder is None:
            continue
        if holder.state is containment.state is ContainmentState.RELEASING and thing < containment.thing:
            raise NotYet(f"{thing}, on the same certificate as {containment.thing}, is being released")
        kept = tuple(sorted({*holder.policies.get(certificate, ()), *containment.policies[certificate]}))
        if holder.policies.get(certificate) != kept:
            save_containment(ledger, replace(holder, policies={**holder.policies, certificate: kept}))
        return True
    return False


def _restore(containment: Containment, context: Context[_Ports]) -> tuple[Containment, list[str]]:
    """Restore what is still there. Return that, and a sentence on each part that is not.

    A certificate of whose policies none is left keeps the restricted policy: it is never without one.
    """
    ports, ours, lost = context.ports, context.settings, list[str]()
    given: dict[str, Sequence[str]] = {}
    for certificate, policies in containment.policies.items():
        gone = _give_back(certificate, policies, context)
        lost += gone.values()
        given[certificate] = [name for name in policies if name not in gone]
    direct = joined_directly(containment.groups, context)
    groups = [group for group in direct if _joins(containment.thing, group, lost, context)]
    for certificate, policies in containment.policies.items():
        if given[certificate] or not policies:
            ports.certificates.detach_policy(certificate, ours.restricted_policy)
            continue
        lost.append(f"certificate {certificate[:12]} has none of its policies left and keeps {ours.restricted_policy}")
        del given[certificate]
    ports.registry.leave_group(containment.thing, ours.restricted_group)
    return replace(containment, policies=given, groups=groups), lost


def _joins(thing: str, group: str, lost: list[str], context: Context[_Ports]) -> bool:
    try:
        context.ports.registry.join_group(thing, group)
    except ActionFailed as error:
        lost.append(str(error))
        return False
    return True


def _give_back(certificate: str, policies: Sequence[str], context: Context[_Ports]) -> dict[str, str]:
    """Attach a certificate's policies again; return those that cannot be, each with the reason."""
    certificates, ours = context.ports.certificates, context.settings.restricted_policy
    has, gone = certificates.policies_of(certificate), dict[str, str]()
    for policy in policies:
        if policy in has:
            continue
        if len(has) >= quotas.POLICIES_PER_CERTIFICATE and ours in has:
            certificates.detach_policy(certificate, ours)  # nine of its own are back, so it is never without one
            has.remove(ours)
        try:
            certificates.attach_policy(certificate, policy)
        except ActionFailed as error:
            gone[policy] = str(error)
        else:
            has.append(policy)
    return gone


def _check(restored: Containment, context: Context[_Ports]) -> None:
    thing = context.ports.registry.thing(restored.thing, with_type=False)
    groups = set(thing.groups) if thing else set()
    if thing and (set(restored.groups) - groups or context.settings.restricted_group in groups):
        raise NotYet(f"{restored.thing} does not show its restored groups yet")
    for certificate, policies in restored.policies.items():
        shown = context.ports.certificates.policies_of(certificate)
        if set(policies) - {*shown} or context.settings.restricted_policy in shown:
            raise NotYet(f"certificate {certificate} of {restored.thing} does not show its restored policies yet")


def _restored(containment: Containment, *, shared: bool) -> str:
    policies = sorted({name for names in containment.policies.values() for name in names})
    parts = [f"policies {', '.join(policies)} given back" if policies else "no policies to give back"]
    if containment.groups:
        parts.append(f"groups {', '.join(containment.groups)} joined again")
    if shared:
        parts.append("a certificate shared with another contained thing stays restricted")
    return ", ".join(parts)
