"""What is concluded about parts of a control, and how parts make a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from warden.core.account_facts import Unavailable, Unread
from warden.survey.facts import Facts, is_unread, may_pass, why
from warden.survey.model import Owner, State


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The state of a control or of a part of one."""

    state: State
    owner: Owner = Owner.NOBODY
    says: Sequence[str] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    closes: Sequence[str] = ()
    may_pass: bool = False
    """It is not known, and only because of a disturbance at AWS."""


def not_read(unread: Unread, **evidence: str) -> Verdict:
    """Return the verdict on what was not read: never off."""
    state = State.NOT_AVAILABLE_HERE if isinstance(unread, Unavailable) else State.NOT_KNOWN
    owner = Owner.NOBODY if isinstance(unread, Unavailable) else Owner.NOT_KNOWN
    return Verdict(state=state, owner=owner, says=(why(unread),), evidence=evidence, may_pass=may_pass(unread))


def together(*parts: Verdict) -> Verdict:
    """Return the verdict on a control from those on its parts; a part that is not available here does not count."""
    return Verdict(
        state=_state({part.state for part in parts}),
        owner=_owner({part.owner for part in parts}),
        says=tuple(sentence for part in parts for sentence in part.says),
        evidence={name: value for part in parts for name, value in part.evidence.items()},
        closes=tuple(dict.fromkeys(each for part in parts for each in part.closes)),
        may_pass=all(part.may_pass for part in parts if part.state is State.NOT_KNOWN),
    )


def _state(states: set[State]) -> State:
    counted = states - {State.NOT_AVAILABLE_HERE}
    if len(counted) == 1:
        return counted.pop()
    if not counted:
        return State.NOT_AVAILABLE_HERE
    # Not known beside on, or beside off, could be either. What is known to be missing makes it partly.
    if counted in ({State.ON, State.NOT_KNOWN}, {State.OFF, State.NOT_KNOWN}):
        return State.NOT_KNOWN
    return State.PARTLY


def _owner(owners: set[Owner]) -> Owner:
    counted = owners - {Owner.NOBODY}
    if not counted:
        return Owner.NOBODY
    if Owner.NOT_KNOWN in counted:
        return Owner.NOT_KNOWN
    return counted.pop() if len(counted) == 1 else Owner.BOTH


def owner_of(facts: Facts, resource_type: str, ids: Iterable[str]) -> Owner:
    """Return who made some resources: they are ours if the baseline's stack did."""
    if is_unread(facts.stack):
        return Owner.NOT_KNOWN
    made = {each.id for each in facts.stack if each.type == resource_type}
    return _owner({Owner.OURS if each in made else Owner.THEIRS for each in ids})
