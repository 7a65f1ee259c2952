"""Release: restore the snapshot exactly, in an order that never leaves the device without a policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from warden.containment.desired import (
    Carried,
    Desired,
    desired_put,
    is_out_of_use,
    read_desired,
    reconcile,
    without_left,
)
from warden.containment.groups import changed_by_people, joined_directly
from warden.containment.snapshot import (
    Containment,
    ContainmentState,
    active_containment,
    first_look,
    read_containment,
    save_containment,
)
from warden.containment.wording import WORDS
from warden.context import Context
from warden.core.errors import ActionFailed, Conflict, NotYet, Refused
from warden.core.ledger import retry_on_conflict
from warden.core.ports import HasCertificates, HasConnections, HasLedger, HasRegistry


class _Ports(HasLedger, HasRegistry, HasCertificates, Protocol):
    """The ports that a restore uses."""


class _PortsToRelease(_Ports, HasConnections, Protocol):
    """The ports of a release."""


def drift_of(thing: str, context: Context[_Ports]) -> list[str]:
    """List in sentences how a contained thing differs from what its containment left; empty when it does not.

    While lists may not show yet what the containment changed, a missing item is no difference: the release gives it
    back in any case.

    Raises:
        NotYet: when lists may not show yet that it has a certificate.
    """
    containment = active_containment(context.ports.ledger, thing)
    if containment is None:
        return [f"{thing} is not contained"]
    if containment.state in (ContainmentState.RELEASING, ContainmentState.CONTAINING):
        return []  # the differences are ours: what was begun is not finished
    known = {each: read_desired(context.ports.ledger, each) for each in containment.policies}
    is_young = any(each is not None and each.is_young(context) for each in known.values())
    found = [*_certificate_drift(containment, context), *_group_drift(containment, context)]
    if not is_young:
        return [each.words for each in found]
    left = [each for each in found if not each.may_be_ours]
    if left and all(each.may_be_late for each in left):
        raise NotYet(f"{thing} does not show what was attached to it yet: {left[0].words}")
    return [each.words for each in left]


class _Difference(NamedTuple):
    """A difference in words; `may_be_ours` if a list from before our change would show the same. `may_be_late` if the
    release must wait to know: a certificate on no thing does not get its rights back.
    """

    words: str
    may_be_ours: bool = False
    may_be_late: bool = False


def _certificate_drift(containment: Containment, context: Context[_Ports]) -> Iterator[_Difference]:
    ports, ours = context.ports, context.settings.restricted_policy
    attached = ports.registry.certificates_of(containment.thing)
    more = [each for each in attached if each not in containment.policies]
    for certificate in without_left(containment.thing, more, context):
        yield _Difference(f"certificate {certificate[:12]} was attached meanwhile")
    for certificate, before in containment.policies.items():
        if certificate not in attached:
            yield _Difference(f"certificate {certificate[:12]} was detached from the thing meanwhile", may_be_late=True)
            continue
        policies = ports.certificates.policies_of(certificate)
        extra = [name for name in policies if name != ours]
        if extra:
            given = f"certificate {certificate[:12]} was given {', '.join(extra)} meanwhile"
            yield _Difference(given, may_be_ours={*extra} <= {*before})
        if ours not in policies and not is_out_of_use(certificate, context):
            yield _Difference(f"certificate {certificate[:12]} lost the restricted policy meanwhile", may_be_ours=True)


def _group_drift(containment: Containment, context: Context[_Ports]) -> Iterator[_Difference]:
    thing = context.ports.registry.thing(containment.thing, with_type=False)
    if thing is None:
        yield _Difference(f"{containment.thing} was deleted from the registry meanwhile")
        return
    for group in containment.groups:
        if group in thing.groups:
            yield _Difference(f"it was put back into {group} meanwhile", may_be_ours=True)
    joined, departed = changed_by_people(containment, thing.groups, context)
    yield from (_Difference(f"it was put into {group} meanwhile") for group in joined)
    yield from (_Difference(f"it was taken out of {group} meanwhile") for group in departed)
    if containment.in_restricted_group and context.settings.restricted_group not in thing.groups:
        left = f"it was taken out of {context.settings.restricted_group} meanwhile"
        yield _Difference(left, may_be_ours=True)


class Done(NamedTuple):
    """What a release did, in words, with a sentence on each part that could not be given back because it was gone."""

    words: str
    lost: Sequence[str] = ()


def release(thing: str, case_id: str, context: Context[_PortsToRelease], *, accept_changes: bool = False) -> Done:
    """Release a thing for a case, and restore it when no other case holds it.

    Parts that were deleted meanwhile (a policy, a group, a certificate) cannot be given back; the rest is.
    `accept_changes` accepts the changes that people made to the device, and gives back the rest.

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
    containment = retry_on_conflict(lambda: _mark_releasing(thing, case_id, accept_changes, context))
    restored, lost, is_shared = _restore(containment, context)
    session = WORDS[context.ports.connections.disconnect(thing)] if context.settings.disconnect else "not disconnected"
    _check(restored, context)
    done = replace(
        containment,
        state=ContainmentState.RELEASED,
        cases=(),
        released_at=context.now(),
        look_at=first_look(context),
    )
    save_containment(context.ports.ledger, done)
    return Done("; ".join((_restored(restored, shared=is_shared), *lost, session, "checked")), lost)


def require_unchanged(thing: str, context: Context[_Ports]) -> None:
    """Check that nobody changed a contained thing meanwhile.

    Raises:
        Refused: changed-meanwhile, with the differences.
        NotYet: when lists may not show yet what the thing has.
    """
    if drift := drift_of(thing, context):
        why = f"{thing} is not as its containment left it: {'; '.join(drift)}"
        raise Refused("changed-meanwhile", f"{why}. Undo that, or release with --accept-changes")


def _mark_releasing(thing: str, case_id: str, accept_changes: bool, context: Context[_Ports]) -> Containment:
    """Take the thing off every certificate's holders, in one commit with the containment. Nothing is given back before.

    A certificate that people took from the thing, and that nothing else uses, keeps the restricted policy.

    Raises:
        Conflict: when another case came to hold it meanwhile.
    """
    ledger = context.ports.ledger
    containment = read_containment(ledger, thing)
    if containment is None:
        raise Refused("not-contained", f"{thing} is not contained")
    if tuple(containment.cases) != (case_id,):
        raise Conflict(f"the containment of {thing} changed meanwhile")
    if containment.state is ContainmentState.RELEASING:
        return containment
    abandoned = _abandoned(containment, context) if accept_changes else ()
    writes = []
    for certificate, had in containment.policies.items():
        held = read_desired(ledger, certificate) or Desired(
            certificate=certificate, before=had, holders=(thing,), touched=True, changed_at=containment.began_at
        )
        released = held.without(thing, context)
        if certificate in abandoned:
            released = released.changed(context, before=())
        elif accept_changes:
            released = released.changed(context, before=tuple(sorted({*held.before, *held.drift})), drift=())
        writes.append(desired_put(released))
    kept = {certificate: names for certificate, names in containment.policies.items() if certificate not in abandoned}
    releasing = replace(
        containment,
        state=ContainmentState.RELEASING,
        policies=kept,
        look_at=first_look(context),
    )
    return save_containment(ledger, releasing, *writes)


def _abandoned(containment: Containment, context: Context[_Ports]) -> list[str]:
    """List the certificates of a containment that no thing uses any more."""
    registry = context.ports.registry
    attached = registry.certificates_of(containment.thing)
    return [each for each in containment.policies if each not in attached and not registry.things_of(each)]


def _restore(containment: Containment, context: Context[_Ports]) -> tuple[Containment, list[str], bool]:
    """Restore what still exists. Return it, a sentence on each part that does not, and whether others hold a part.

    A certificate of whose policies none is left keeps the restricted policy: it is never without one.
    """
    registry, ours, out = context.ports.registry, context.settings, list[str]()
    direct = joined_directly(containment.groups, context)
    groups = [group for group in direct if _joins(containment.thing, group, out, context)]
    carried = {certificate: reconcile(certificate, context) for certificate in containment.policies}
    registry.leave_group(containment.thing, ours.restricted_group)
    free = {certificate: each for certificate, each in carried.items() if not each.holders}
    lost = [why for certificate, each in free.items() for why in _not_given_back(certificate, each, context)]
    given = {certificate: each.given for certificate, each in free.items() if not each.keeps_ours}
    return replace(containment, policies=given, groups=groups), [*lost, *out], len(free) < len(carried)


def _not_given_back(certificate: str, carried: Carried, context: Context[_Ports]) -> Iterator[str]:
    yield from carried.gone.values()
    yield from (f"policy {name}, attached while it was contained, is not given back" for name in carried.drift)
    if carried.keeps_ours:
        ours = context.settings.restricted_policy
        yield f"certificate {certificate[:12]} has none of its policies left and keeps {ours}"


def _joins(thing: str, group: str, lost: list[str], context: Context[_Ports]) -> bool:
    try:
        context.ports.registry.join_group(thing, group)
    except ActionFailed as error:
        lost.append(str(error))
        return False
    return True


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
