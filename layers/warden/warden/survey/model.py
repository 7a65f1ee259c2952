"""A survey: a state for each control, and for each way in which the account could fall silent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class State(StrEnum):
    """How much of a control the account has."""

    ON = "on"
    PARTLY = "partly"
    OFF = "off"
    NOT_AVAILABLE_HERE = "not-available-here"
    """AWS does not offer it in this region."""
    NOT_KNOWN = "not-known"
    """It could not be read: never the same as off."""


class Owner(StrEnum):
    """Who set a control up."""

    OURS = "ours"
    """A resource of the baseline's stack or of the service's."""
    THEIRS = "theirs"
    """It is in neither stack."""
    BOTH = "both"
    NOBODY = "nobody"
    """There is none."""
    NOT_KNOWN = "not-known"


class Pulse(StrEnum):
    """Whether a way in which findings arrive is alive."""

    OK = "ok"
    WRONG = "wrong"
    NOT_YET = "not-yet"
    """Too soon to judge: AWS takes up to a day for the first audit."""
    NOT_AVAILABLE_HERE = "not-available-here"
    NOT_KNOWN = "not-known"


@dataclass(frozen=True, kw_only=True)
class Control:
    """The state of one of the eleven controls.

    `says` are sentences for people, the most important first. `evidence` are the values that were read. `closes` are
    the parameters and commands that close it; there are none if it is on or not available here.
    """

    number: int
    key: str
    title: str
    state: State
    owner: Owner
    since: datetime
    says: Sequence[str] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    closes: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Liveness:
    """The state of one thing without which findings do not arrive. `fix` is what to do if it is wrong."""

    key: str
    title: str
    pulse: Pulse
    since: datetime
    says: Sequence[str] = ()
    evidence: Mapping[str, str] = field(default_factory=dict)
    fix: str = ""


class DriftState(StrEnum):
    """Whether what the baseline's stack made is as it was deployed."""

    IN_SYNC = "in-sync"
    """Every property that CloudFormation compares; `not_checked` are the resources that it does not."""
    DRIFTED = "drifted"
    NO_STACK = "no-stack"
    NOT_YET = "not-yet"
    """CloudFormation is still comparing."""
    NOT_KNOWN = "not-known"


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A property of a resource that is not as it was deployed; without a `path` it is the resource that is gone.

    Text from AWS is escaped and cut. `controls` are the numbers of the controls that the resource belongs to.
    """

    resource: str
    type: str
    path: str
    expected: str
    found: str
    since: datetime
    controls: Sequence[int] = ()
    mend: str = ""
    """The property that the service may change back; empty if people decide."""
    says: Sequence[str] = ()
    closes: Sequence[str] = ()

    @property
    def key(self) -> str:
        """The name of the property in the stack, without spaces."""
        return f"{self.resource}{self.path}".replace(" ", "\\u0020")


@dataclass(frozen=True, kw_only=True)
class NotChecked:
    """A resource of the stack that CloudFormation did not compare, and why."""

    resource: str
    type: str
    why: str


@dataclass(frozen=True, kw_only=True)
class Drift:
    """The differences between the baseline's stack and its deployment that CloudFormation found at `at`.

    `left_out` counts the differences beyond those that are kept.
    """

    state: DriftState = DriftState.NOT_YET
    at: datetime | None = None
    says: Sequence[str] = ()
    differences: Sequence[Difference] = ()
    left_out: int = 0
    not_checked: Sequence[NotChecked] = ()


class MendState(StrEnum):
    """What became of a property that the service changes back."""

    BEGUN = "begun"
    DONE = "changed-back"
    FAILED = "not-changed-back"


@dataclass(frozen=True, kw_only=True)
class Mend:
    """A drifted property that the service changes back to what was deployed.

    `patch` is what Cloud Control API applies. `once` makes it the same change however often it is sent, and `request`
    is its name from then on.
    """

    resource: str
    type: str
    id: str
    path: str
    found: str
    back_to: str
    at: datetime
    patch: str
    once: str
    request: str = ""
    state: MendState = MendState.BEGUN
    why: str = ""

    @property
    def key(self) -> str:
        """The name of the property in the stack."""
        return f"{self.resource}{self.path}"


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What the account had at a moment. `lacking` are the actions that our role was denied."""

    at: datetime
    account: str
    region: str
    stack: str
    baseline_stack: str
    controls: Sequence[Control]
    liveness: Sequence[Liveness]
    lacking: Sequence[str] = ()
    drift: Drift = field(default_factory=Drift)
    mends: Sequence[Mend] = ()
    """The last drifted properties that the service changed back, the newest last."""

    @property
    def states(self) -> Mapping[State, int]:
        """How many controls are in each state; every state has a number."""
        counted = Counter(control.state for control in self.controls)
        return {state: counted[state] for state in State}

    @property
    def wrong(self) -> Sequence[Liveness]:
        """The lines of liveness that are wrong."""
        return [each for each in self.liveness if each.pulse is Pulse.WRONG]

    @property
    def not_known(self) -> Sequence[Liveness]:
        """The lines of liveness that could not be judged."""
        return [each for each in self.liveness if each.pulse is Pulse.NOT_KNOWN]


@dataclass(frozen=True, kw_only=True)
class Change:
    """A control or a line of liveness that became worse."""

    key: str
    title: str
    before: str
    after: str
    says: Sequence[str] = ()
    todo: Sequence[str] = ()
