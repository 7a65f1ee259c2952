"""Quarantine: restricted, not blind. Connect, own jobs and own `warden/` topics remain; nothing else does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from warden.action import Action
from warden.cases import Case, Outcome, Progress
from warden.containment import Containment, ContainmentState, read_containment, save_containment
from warden.errors import ActionFailed, NotYet
from warden.ledger import decide_anew
from warden.plan import QUARANTINE
from warden.service import Service

_POLICIES_PER_CERTIFICATE = 10
"""AWS IoT's quota of policies attached to one certificate."""


def quarantine(case: Case, service: Service) -> Outcome:
    """Contain the case's thing: snapshot, restrict, strip, disconnect, check.

    Raises:
        ActionFailed: when the thing has neither a certificate nor a place in the restricted group.
        NotYet: when AWS IoT does not show the containment yet.
    """
    containment = decide_anew(lambda: _hold(case, service))
    containment = _restrict(containment, service)
    said = _disconnect(containment.thing, service)
    _check(containment, service)
    if containment.state is ContainmentState.CONTAINING:
        again = service.now() + service.settings.second_disconnect_after
        contained = replace(containment, state=ContainmentState.CONTAINED, disconnect_at=again)
        save_containment(service.ports.ledger, contained)
    return Outcome(Progress.DONE, f"{_what_is_restricted(containment)}; {said}; checked")


def _hold(case: Case, service: Service) -> Containment:
    """Write down that this thing is being contained, before anything is changed: a new certificate sees it."""
    ledger = service.ports.ledger
    containment = read_containment(ledger, case.thing)
    if containment is None or not containment.is_active:
        containment = Containment(
            thing=case.thing,
            state=ContainmentState.CONTAINING,
            began_at=service.now(),
            released_at=containment.released_at if containment else None,
            version=containment.version if containment else 0,
        )
    if containment.state is ContainmentState.RELEASING:
        raise ActionFailed(f"{case.thing} is just being released; finish or repeat the release first")
    if case.id in containment.cases:
        return containment
    return save_containment(ledger, replace(containment, cases=(*containment.cases, case.id)))


def _restrict(containment: Containment, service: Service) -> Containment:
    ports, ours = service.ports, service.settings
    certificates = ports.registry.certificates_of(containment.thing)
    found = {certificate: ports.certificates.policies_of(certificate) for certificate in certificates}
    thing = ports.registry.thing(containment.thing)
    groups = [group for group in thing.groups if group != ours.restricted_group] if thing else []
    carrying = [group for group in groups if ports.registry.policies_of_group(group)]
    containment = _remember(containment, found, groups, carrying, service)

    for certificate, policies in found.items():
        others = [policy for policy in policies if policy != ours.restricted_policy]
        if len(policies) >= _POLICIES_PER_CERTIFICATE and len(others) == len(policies):
            ports.certificates.detach_policy(certificate, others.pop())  # makes room; nine remain until ours is there
        if ours.restricted_policy not in policies:
            ports.certificates.attach_policy(certificate, ours.restricted_policy)
        for policy in others:
            ports.certificates.detach_policy(certificate, policy)
    if containment.in_restricted_group and not (thing and ours.restricted_group in thing.groups):
        containment = _join(containment, bool(certificates), service)
    for group in carrying:
        ports.registry.leave_group(containment.thing, group)
    return containment


def _remember(
    containment: Containment,
    found: dict[str, list[str]],
    groups: Sequence[str],
    carrying: Sequence[str],
    service: Service,
) -> Containment:
    """Add to the snapshot what is about to be taken and is not in it yet, and write it down first."""
    ours = service.settings.restricted_policy
    policies = {
        certificate: tuple(sorted({*containment.policies.get(certificate, ()), *names} - {ours}))
        for certificate, names in found.items()
    }
    grown = replace(
        containment,
        policies={**containment.policies, **policies},
        groups=tuple(sorted({*containment.groups, *carrying})),
        all_groups=tuple(sorted({*containment.all_groups, *groups})),
    )
    return containment if grown == containment else save_containment(service.ports.ledger, grown)


def _join(containment: Containment, has_certificate: bool, service: Service) -> Containment:
    try:
        service.ports.registry.join_group(containment.thing, service.settings.restricted_group)
    except ActionFailed:
        if not has_certificate:
            raise
        # Ten groups already, for one: the policy on the certificate holds the device by itself.
        return save_containment(service.ports.ledger, replace(containment, in_restricted_group=False))
    return containment


def _disconnect(thing: str, service: Service) -> str:
    if not service.settings.disconnect:
        return "disconnecting is switched off in this deployment"
    return service.ports.connections.disconnect(thing)


def _check(containment: Containment, service: Service) -> None:
    """See that it worked: nothing but our policy on any certificate, no group left that grants anything."""
    ports, ours = service.ports, service.settings
    for certificate in ports.registry.certificates_of(containment.thing):
        policies = ports.certificates.policies_of(certificate)
        if policies != [ours.restricted_policy]:
            raise NotYet(f"certificate {certificate} of {containment.thing} still shows policies {policies}")
    thing = ports.registry.thing(containment.thing)
    groups = set(thing.groups) if thing else set()
    if containment.in_restricted_group and ours.restricted_group not in groups:
        raise NotYet(f"{containment.thing} is not shown in {ours.restricted_group} yet")
    if still := groups & set(containment.groups):
        raise NotYet(f"{containment.thing} is still shown in {', '.join(sorted(still))}")


def _what_is_restricted(containment: Containment) -> str:
    certificates = len(containment.policies)
    if not certificates:
        parts = ["no certificate is attached to it, the restricted group alone holds it"]
    else:
        parts = [f"{certificates} certificate{'' if certificates == 1 else 's'} restricted"]
    taken = sum(len(names) for names in containment.policies.values())
    if taken:
        parts.append(f"{taken} {'policy' if taken == 1 else 'policies'} detached")
    if containment.groups:
        parts.append(f"taken out of {', '.join(containment.groups)}")
    if not containment.in_restricted_group:
        parts.append("the restricted group would not take it, the certificate's policy holds it")
    return ", ".join(parts)


ACTION = Action(
    name=QUARANTINE,
    run=quarantine,
    permissions=(
        "iot:ListThingPrincipals",
        "iot:ListAttachedPolicies",
        "iot:DescribeThing",
        "iot:ListThingGroupsForThing",
        "iot:AttachPolicy",
        "iot:DetachPolicy",
        "iot:AddThingToThingGroup",
        "iot:RemoveThingFromThingGroup",
        "iot:DeleteConnection",
    ),
)
