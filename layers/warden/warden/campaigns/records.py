"""Campaigns: certificates renewed because of their age, a hundred devices a job, and never faster than the owner says.

awaiting-approval ─▶ running ─▶ finished
                       │  ▲
                paused ◀┘  └─ stopped (too many failed: a person decides)        cancelled, from any of them

A campaign goes in steps: one device, then a percent, then the rest. The next begins when enough of the one before
came through. Devices wait oldest certificate first; one that was not reached goes to the end and is asked again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from math import ceil

from warden.core.ledger import EXPIRY, Key, Ledger, Put
from warden.core.records import RecordType
from warden.plan.renewal_terms import RotationTerms

_KEPT = timedelta(days=400)
CANARY = 0
REST = 2
"""The steps are numbered 0 (one device), 1 (a percent) and 2 (the rest)."""

_ENOUGH_TO_JUDGE = 20
"""How many devices of the last step must have ended before their share of failures stops the campaign."""


class CampaignState(StrEnum):
    """Where a campaign stands."""

    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"


OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


class MemberResult(StrEnum):
    """What came of a device in one batch.

    An absent one was not reached and waits again, an unreachable one was not reached for the last time, a skipped one
    was gone or in other hands.
    """

    DONE = "done"
    FAILED = "failed"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """How many devices came to each `MemberResult`."""

    done: int = 0
    failed: int = 0
    absent: int = 0
    unreachable: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Count both."""
        return Tally(**{name: count + vars(other)[name] for name, count in vars(self).items()})

    @property
    def judged(self) -> int:
        """How many say something about whether renewal works: the others were never asked."""
        return self.done + self.failed


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The one campaign of the account: the last one, whether over or not.

    `size` is how many devices were enrolled, `batches` how many jobs were begun. `step` and `of_step` are where it
    stands; `in_all` counts what came of everything, `out` are the devices of batches that are not counted yet.
    `announced_states` lists where it stood when people were told (`standing`). `quiet_since` is when nobody was found
    waiting any more. It is looked at again at `next_at`; None while it waits for a person.
    """

    id: str
    state: CampaignState
    size: int
    began_at: datetime
    step: int = CANARY
    batches: int = 0
    out: int = 0
    of_step: Tally = field(default_factory=Tally)
    in_all: Tally = field(default_factory=Tally)
    why: str = ""
    who: str = ""
    requests: Sequence[str] = ()
    announced_states: Sequence[str] = ()
    quiet_since: datetime | None = None
    next_at: datetime | None = None
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in OVER

    @property
    def standing(self) -> str:
        """Name where it has come to stand, another name each time that a person has moved it on."""
        return f"{self.state}:{len(self.requests)}"

    @property
    def waiting(self) -> int:
        """How many devices have not had their turn."""
        ended = self.in_all.judged + self.in_all.unreachable + self.in_all.skipped
        return max(0, self.size - ended - self.out)

    def step_size(self, terms: RotationTerms) -> int | None:
        """Tell how many devices the step is to judge by; None for the last one, which takes all."""
        sizes = (1, max(1, ceil(self.size * terms.canary_percent / 100)), None)
        return sizes[self.step]

    def fails(self, terms: RotationTerms) -> bool:
        """Tell whether too many of the step's devices failed to go on."""
        ended, failed = self.of_step.judged, self.of_step.failed
        planned = self.step_size(terms)
        if planned is None:
            return ended >= _ENOUGH_TO_JUDGE and _share(ended - failed, ended) < terms.success_percent
        return _share(planned - failed, planned) < terms.success_percent

    def has_step_done(self, terms: RotationTerms) -> bool:
        """Tell whether the step has judged as many as it was to."""
        planned = self.step_size(terms)
        return planned is not None and self.of_step.judged >= planned


def _share(part: int, whole: int) -> float:
    return 100 * part / whole


class MemberState(StrEnum):
    """How far a device is in its campaign."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device enrolled in a campaign, for its oldest certificate or the one that a finding named.

    `enrolled_by` is the run of the sweep that did it, or the case; `waits_since` orders those that wait. `case_id` is
    the case that asked for it, empty where none did: it gets one when its turn comes.
    """

    thing: str
    campaign: str
    certificate: str
    created_at: datetime
    state: MemberState
    waits_since: datetime
    enrolled_by: str
    attempts: int = 0
    batch: int = 0
    job_id: str = ""
    note: str = ""
    case_id: str = ""
    version: int = 0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The devices of one job. `outcomes` says of each that has ended what came of it.

    `sent` says that the job is out, `counted` that the campaign has counted the outcomes.
    """

    campaign: str
    number: int
    job_id: str
    step: int
    things: Sequence[str]
    began_at: datetime
    sent: bool = False
    outcomes: Mapping[str, MemberResult] = field(default_factory=dict)
    counted: bool = False
    version: int = 0

    @property
    def is_over(self) -> bool:
        """Whether every device of it has ended."""
        return len(self.outcomes) == len(self.things)

    @property
    def tally(self) -> Tally:
        """Count what came of it."""
        results = list(self.outcomes.values())
        return Tally(**{result.value: results.count(result) for result in MemberResult})


CAMPAIGN_KEY = Key("CAMPAIGN", "CURRENT")


def read_campaign(ledger: Ledger) -> Campaign | None:
    """Read the account's last campaign; None when there never was one."""
    record = ledger.read(CAMPAIGN_KEY)
    return campaign_from(record) if record else None


def open_campaign(ledger: Ledger) -> Campaign | None:
    """Read the campaign that is not over; None when there is none."""
    campaign = read_campaign(ledger)
    return campaign if campaign is not None and not campaign.is_over else None


_CAMPAIGN = RecordType(
    name="campaign", of=Campaign, attributes={"id": "campaign", "next_at": "due_at"}, sparse=("next_at",)
)


def campaign_put(campaign: Campaign) -> Put:
    """Return the write of a campaign, for a commit."""
    record = _CAMPAIGN.record(campaign) | {"thing": "campaign"} | ({"due": "due"} if campaign.next_at else {})
    return Put(CAMPAIGN_KEY, record, campaign.version)


campaign_from = _CAMPAIGN.value


def save_campaign(ledger: Ledger, campaign: Campaign, *also: Put) -> Campaign:
    """Write a campaign, and what must be true together with it.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(campaign_put(campaign), *also)
    return replace(campaign, version=campaign.version + 1)


def waiting_in(campaign_id: str) -> str:
    """Name the list of the devices that wait, in the ledger's index of what is due."""
    return f"waiting:{campaign_id}"


def open_batches_of(campaign_id: str) -> str:
    """Name the list of the batches that are not counted yet."""
    return f"batches:{campaign_id}"


def member_key(thing: str) -> Key:
    """Tell where a device's place in its last campaign is kept."""
    return Key(f"THING#{thing}", "RENEWAL")


def read_member(ledger: Ledger, thing: str) -> Member | None:
    """Read a device's place in its last campaign; None when it was in none."""
    record = ledger.read(member_key(thing))
    return member_from(record) if record else None


_MEMBER = RecordType(name="member", of=Member)


def member_put(member: Member) -> Put:
    """Return the write of a device's place, for a commit; one that waits is listed by how long it does."""
    record = _MEMBER.record(member)
    if member.state is MemberState.WAITING:
        record |= {"due": waiting_in(member.campaign), "due_at": record["waits_since"]}
    return Put(member_key(member.thing), record, member.version)


member_from = _MEMBER.value


def batch_key(campaign_id: str, number: int) -> Key:
    """Tell where a batch is kept."""
    return Key(f"CAMPAIGN#{campaign_id}", f"BATCH#{number:06d}")


_BATCH = RecordType(name="batch", of=Batch)


def batch_put(batch: Batch) -> Put:
    """Return the write of a batch, for a commit. One that is counted is listed no more, and expires."""
    expires_at = int((batch.began_at + _KEPT).timestamp())
    record = _BATCH.record(batch) | {"thing": "campaign", EXPIRY: expires_at}
    if not batch.counted:
        record |= {"due": open_batches_of(batch.campaign), "due_at": record["began_at"]}
    return Put(batch_key(batch.campaign, batch.number), record, batch.version)


batch_from = _BATCH.value


def read_batch(ledger: Ledger, campaign_id: str, number: int) -> Batch | None:
    """Read a batch; None when there is none of that number."""
    record = ledger.read(batch_key(campaign_id, number))
    return batch_from(record) if record else None
