"""Quarantine: the device keeps its connection, its own jobs and its own `warden/` topics, and nothing else.

A quick way is tried first, because AWS IoT's quotas limit how fast a storm is handled (decision 15). It does not read
again what this delivery has just read and what the ledger remembers of groups, and one call checks whether the result
is effective. When it is not, or the call has no answer, everything is read again and restricted item by item.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import NamedTuple, Protocol

from warden.cases.model import Case, Outcome, Progress
from warden.containment.desired import Desired, desired_or_new, desired_put, is_out_of_use, reconcile, without_left
from warden.containment.snapshot import (
    Containment,
    ContainmentState,
    active_containment,
    containment_key,
    first_look,
    read_containment,
    save_containment,
)
from warden.containment.wording import WORDS
from warden.context import Context
from warden.core.actions import QUARANTINE
from warden.core.clock import from_text, to_text
from warden.core.errors import ActionFailed, Conflict, NotYet
from warden.core.ledger import Key, Put, retry_on_conflict, version_of
from warden.core.ports import Disconnection, HasCertificates, HasConnections, HasJobs, HasLedger, HasRegistry
from warden.devices.device_view import DeviceView
from warden.devices.rotation import taking_back
from warden.devices.rotation_records import read_rotation
from warden.respond.actions.action import Action

_GROUPS_REMEMBERED = timedelta(hours=1)
"""How long the ledger's record of a group's policies is used; `_is_effective` finds what it misses."""


class _Ports(HasLedger, HasRegistry, HasCertificates, HasConnections, HasJobs, Protocol):
    """The ports of a containment."""


@dataclass(frozen=True, kw_only=True)
class _Device:
    """A device's rights: `policies` of each certificate, `groups` except ours, and `carrying`, the groups with
    policies. `held` are the certificates whose records name the device.
    """

    policies: Mapping[str, Sequence[str]]
    held: Sequence[str]
    groups: Sequence[str]
    carrying: Sequence[str]
    is_in_ours: bool


def quarantine(case: Case, context: Context[_Ports], view: DeviceView | None = None) -> Outcome:
    """Contain the case's thing: snapshot, restrict, strip, disconnect, check.

    Raises:
        ActionFailed: when the thing has neither a certificate nor a place in the restricted group.
        NotYet: when AWS IoT does not show the containment yet.
    """
    containment = retry_on_conflict(lambda: _hold(case, context))
    rotation = read_rotation(context.ports.ledger, containment.thing)
    if rotation and taking_back(rotation, containment.cases):  # its end, which IoT Jobs reports, rolls it back
        context.ports.jobs.cancel(rotation.job_id, containment.thing)
    is_stale = rotation is not None and rotation.may_be_missing_from((view and view.certificates) or ())
    made = rotation.new if rotation is not None and not rotation.is_over else ""
    device = _read_quickly(containment.thing, view, context, is_stale=is_stale, made=made)
    containment, session = _contain(containment, device, context)
    if containment.state is ContainmentState.CONTAINING:
        contained = replace(containment, state=ContainmentState.CONTAINED, look_at=first_look(context))
        save_containment(context.ports.ledger, contained)
    return Outcome(Progress.DONE, f"{_what_is_restricted(containment)}; {WORDS[session]}; checked")


def _contain(containment: Containment, device: _Device, context: Context[_Ports]) -> tuple[Containment, Disconnection]:
    containment = _restrict(containment, device, context)
    session = _disconnect(containment.thing, context)
    if not _is_effective(containment.thing, device.policies, context):
        device = _read_everything(containment.thing, context)
        if _has_rights(device, containment, context):
            containment = _restrict(containment, device, context)
            session = _disconnect(containment.thing, context)
        _check(containment, context)
    return containment, session


class Change(NamedTuple):
    """What a look found to restrict: certificates, policies and groups that the thing was given."""

    certificates: Sequence[str]
    policies: Sequence[str]
    groups: Sequence[str]


def restrict_again(containment: Containment, context: Context[_Ports]) -> Change | None:
    """Compare a contained thing with AWS IoT, and restrict what it was given meanwhile; None if that is nothing.

    A deleted thing can be given nothing; a new thing of its name is looked at when it exists.

    Raises:
        NotYet: when AWS IoT does not show the containment yet.
        ActionFailed: when it cannot be restricted.
    """
    thing = context.ports.registry.thing(containment.thing, with_type=False)
    if thing is None:
        return None
    device = _read_quickly(thing.name, DeviceView(thing, context.now()), context)
    if not _has_rights(device, containment, context):
        return None
    ours = context.settings.restricted_policy
    _contain(containment, device, context)
    return Change(
        certificates=_not_held(device, containment),
        policies=sorted({name for names in device.policies.values() for name in names if name != ours}),
        groups=device.carrying,
    )


def _hold(case: Case, context: Context[_Ports]) -> Containment:
    """Record the containment before anything is changed, and in the same commit take back a rotation under way.

    Raises:
        NotYet: when the case's own release was begun or made, which then counts.
    """
    ledger = context.ports.ledger
    containment = read_containment(ledger, case.thing)
    _require_unreleased(case, containment)
    if containment is None or not containment.is_active:
        containment = Containment(
            thing=case.thing,
            state=ContainmentState.CONTAINING,
            began_at=context.now(),
            released_at=containment.released_at if containment else None,
            version=containment.version if containment else 0,
        )
    if containment.state is ContainmentState.RELEASING:  # begun and not finished: what it gave back is taken again
        containment = replace(containment, state=ContainmentState.CONTAINING)
    elif case.id in containment.cases:
        return containment
    held = replace(
        containment,
        cases=tuple(dict.fromkeys((*containment.cases, case.id))),
        look_at=containment.look_at or first_look(context),
    )
    return save_containment(ledger, held, *taking_back(read_rotation(ledger, case.thing), held.cases))


def _require_unreleased(case: Case, containment: Containment | None) -> None:
    """Check that a case may hold its thing: one whose quarantine failed half way has held it, until it is released."""
    is_held = containment is not None and case.id in containment.cases
    is_released = case.progress(QUARANTINE) is Progress.FAILED and not is_held
    if is_released or (is_held and containment is not None and containment.state is ContainmentState.RELEASING):
        raise NotYet(f"the release of {case.thing} for case {case.id} was begun meanwhile")


def _read_quickly(
    thing: str, view: DeviceView | None, context: Context[_Ports], *, is_stale: bool = False, made: str = ""
) -> _Device:
    """Read a device, but not what was just read or is remembered.

    The view's certificates are stale where a rotation may have attached one before it could see the containment. A
    list may not show that one yet; the rotation has it on record as `made`.
    """
    if view is not None and not view.is_recent(context.now()):
        view = None
    groups = view.thing.groups if view else _groups_of(thing, context)
    certificates = view.certificates if view else None
    if certificates is None or is_stale:
        certificates = context.ports.registry.certificates_of(thing)
    if made not in ("", *certificates) and context.ports.certificates.read(made) is not None:
        certificates = [*certificates, made]
    carrying = [group for group in _others(groups, context) if _remembers_policies(group, context)]
    return _device(thing, certificates, groups, carrying, context)


def _read_everything(thing: str, context: Context[_Ports]) -> _Device:
    groups, certificates = _groups_of(thing, context), context.ports.registry.certificates_of(thing)
    carrying = [group for group in _others(groups, context) if _ask_for_policies(group, context)]
    return _device(thing, certificates, groups, carrying, context)


def _groups_of(thing: str, context: Context[_Ports]) -> Sequence[str]:
    registered = context.ports.registry.thing(thing, with_type=False)
    return registered.groups if registered else ()


def _device(
    thing: str, certificates: Iterable[str], groups: Sequence[str], carrying: Sequence[str], context: Context[_Ports]
) -> _Device:
    its = without_left(thing, certificates, context)
    return _Device(
        policies={each: context.ports.certificates.policies_of(each) for each in its},
        held=[each for each, desired in its.items() if desired is not None and thing in desired.holders],
        groups=_others(groups, context),
        carrying=carrying,
        is_in_ours=context.settings.restricted_group in groups,
    )


def _others(groups: Sequence[str], context: Context[_Ports]) -> list[str]:
    return [group for group in groups if group != context.settings.restricted_group]


def _remembers_policies(group: str, context: Context[_Ports]) -> bool:
    """Check whether a group has policies, by the ledger's record if it is recent enough."""
    record = context.ports.ledger.read(_group_key(group))
    if record is not None and context.now() - from_text(record["read_at"]) < _GROUPS_REMEMBERED:
        return bool(record["carries_policies"])
    return _ask_for_policies(group, context)


def _ask_for_policies(group: str, context: Context[_Ports]) -> bool:
    """Ask AWS IoT whether a group has policies, and record it for the next device of the group."""
    ledger = context.ports.ledger
    carries = bool(context.ports.registry.policies_of_group(group))
    record = {"type": "group", "group": group, "carries_policies": carries, "read_at": to_text(context.now())}
    with suppress(Conflict):  # somebody else has just read it too
        ledger.commit(Put(_group_key(group), record, version_of(ledger.read(_group_key(group)))))
    return carries


def _group_key(group: str) -> Key:
    return Key(f"GROUP#{group}", "POLICIES")


def _restrict(containment: Containment, device: _Device, context: Context[_Ports]) -> Containment:
    containment = retry_on_conflict(lambda: _remember(containment.thing, device, context))
    failed = [why for each in device.policies if (why := _why_not_restricted(each, device, context))]
    containment = _move(containment, device, context)
    if failed:
        raise ActionFailed("; ".join(failed))
    return containment


def _why_not_restricted(certificate: str, device: _Device, context: Context[_Ports]) -> str:
    """Restrict a certificate; return why it cannot be. One that is gone or out of use needs no restriction."""
    try:
        reconcile(certificate, context, device.policies[certificate])
    except ActionFailed as error:
        return "" if is_out_of_use(certificate, context) else str(error)
    return ""


def _remember(thing: str, device: _Device, context: Context[_Ports]) -> Containment:
    """Record what will be taken before anything is taken: on the containment, and for each certificate.

    Raises:
        NotYet: when a release was begun or made meanwhile.
    """
    ledger = context.ports.ledger
    containment = active_containment(ledger, thing)
    if containment is None or containment.state is ContainmentState.RELEASING:
        raise NotYet(f"the release of {thing} was begun meanwhile")
    known = {certificate: desired_or_new(ledger, certificate, context) for certificate in device.policies}
    held = {
        certificate: _held(known[certificate], thing, shown, context) for certificate, shown in device.policies.items()
    }
    grown = replace(
        containment,
        policies={**containment.policies, **{certificate: each.before for certificate, each in held.items()}},
        groups=tuple(sorted({*containment.groups, *device.carrying})),
        all_groups=tuple(sorted({*containment.all_groups, *device.groups})),
    )
    writes = [desired_put(each) for certificate, each in held.items() if each != known[certificate]]
    if grown == containment and not writes:
        return containment
    return save_containment(ledger, grown, *writes)


def _held(known: Desired, thing: str, shown: Sequence[str], context: Context[_Ports]) -> Desired:
    """Return what a certificate should carry, dated now if anything has to change: lists will not show that yet."""
    held = known.held_by(thing, shown, context)
    return held if list(shown) == [context.settings.restricted_policy] else replace(held, changed_at=context.now())


def _move(containment: Containment, device: _Device, context: Context[_Ports]) -> Containment:
    """Put the thing into our group and take it out of those with policies.

    Raises:
        Conflict: when its release was begun or made meanwhile; its groups are not ours to change then.
    """
    if version_of(context.ports.ledger.read(containment_key(containment.thing))) != containment.version:
        raise Conflict(f"the containment of {containment.thing} changed meanwhile")
    registry, ours, thing = context.ports.registry, context.settings.restricted_group, containment.thing
    if containment.in_restricted_group and not device.is_in_ours:
        try:
            if device.carrying:
                registry.change_groups(thing, join=ours, leave=device.carrying)
            else:
                registry.join_group(thing, ours)
        except ActionFailed:
            if not device.policies:
                raise
            # For example, ten groups already: the policy on the certificate is enough to hold the device.
            containment = save_containment(context.ports.ledger, replace(containment, in_restricted_group=False))
        else:
            return containment
    for group in device.carrying:
        registry.leave_group(thing, group)
    return containment


def _disconnect(thing: str, context: Context[_Ports]) -> Disconnection:
    if not context.settings.disconnect:
        return Disconnection.SWITCHED_OFF
    return context.ports.connections.disconnect(thing, forget=True)


def _is_effective(thing: str, certificates: Iterable[str], context: Context[_Ports]) -> bool:
    """Ask AWS IoT whether only our policy is in effect for the device, with each of its certificates.

    Return False also when it has no certificate, and where AWS IoT does not answer.
    """
    policies = [context.ports.registry.effective_policies(thing, certificate) for certificate in certificates]
    ours = {context.settings.restricted_policy}
    return bool(policies) and all(each is not None and {*each} == ours for each in policies)


def _has_rights(device: _Device, containment: Containment, context: Context[_Ports]) -> bool:
    """Check whether anything is left to detach, to attach or to write down."""
    only_ours = all(_has_only_ours(certificate, names, context) for certificate, names in device.policies.items())
    is_held = only_ours and not _not_held(device, containment)
    return not is_held or bool(device.carrying) or (containment.in_restricted_group and not device.is_in_ours)


def _not_held(device: _Device, containment: Containment) -> list[str]:
    """Return the certificates that are not recorded as held for this device. One that is restricted only for another
    device would get its rights back when that device is released.
    """
    return [each for each in device.policies if each not in containment.policies and each not in device.held]


def _has_only_ours(certificate: str, policies: Sequence[str], context: Context[_Ports]) -> bool:
    """Check whether a certificate has only our policy; one that is out of use needs no policy."""
    if policies:
        return list(policies) == [context.settings.restricted_policy]
    return is_out_of_use(certificate, context)


def _check(containment: Containment, context: Context[_Ports]) -> None:
    """Check that each certificate has only our policy and the thing is in no group that has policies."""
    ports, ours = context.ports, context.settings
    attached = ports.registry.certificates_of(containment.thing)
    for certificate in without_left(containment.thing, attached, context):
        policies = ports.certificates.policies_of(certificate)
        if not _has_only_ours(certificate, policies, context):
            raise NotYet(f"certificate {certificate} of {containment.thing} still shows policies {policies}")
    thing = ports.registry.thing(containment.thing, with_type=False)
    groups = set(thing.groups) if thing else set()
    if containment.in_restricted_group and ours.restricted_group not in groups:
        raise NotYet(f"{containment.thing} is not shown in {ours.restricted_group} yet")
    if still := groups & set(containment.groups):
        raise NotYet(f"{containment.thing} is still shown in {', '.join(sorted(still))}")


def _what_is_restricted(containment: Containment) -> str:
    certificates = len(containment.policies)
    if not certificates:
        parts = ["no certificate is attached to it; only the restricted group holds it"]
    else:
        parts = [f"{certificates} certificate{'' if certificates == 1 else 's'} restricted"]
    taken = sum(len(names) for names in containment.policies.values())
    if taken:
        parts.append(f"{taken} {'policy' if taken == 1 else 'policies'} detached")
    if containment.groups:
        parts.append(f"taken out of {', '.join(containment.groups)}")
    if not containment.in_restricted_group:
        parts.append("it could not join the restricted group; the certificate's policy holds it")
    return ", ".join(parts)


ACTION = Action(
    name=QUARANTINE,
    run=quarantine,
    permissions=(
        "iot:ListThingPrincipals",
        "iot:DescribeCertificate",
        "iot:ListAttachedPolicies",
        "iot:ListThingGroupsForThing",
        "iot:GetEffectivePolicies",
        "iot:AttachPolicy",
        "iot:DetachPolicy",
        "iot:UpdateThingGroupsForThing",
        "iot:AddThingToThingGroup",
        "iot:RemoveThingFromThingGroup",
        "iot:DeleteConnection",
        "iot:CancelJobExecution",
    ),
)
