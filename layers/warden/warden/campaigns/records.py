"""Campaigns renew old certificates, a hundred devices a job, and never faster than the owner allows.

awaiting-approval ─▶ running ─▶ finished
                       │  ▲
                paused ◀┘  └─ stopped (too many failed: a person decides)        cancelled, from any of them

A campaign goes in steps: one device, then a percent, then the rest. The next begins when enough of the step before
succeeded. Devices wait in the order of their certificates' age; one that was not reached goes to the end.
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
    """The state of a campaign."""

    AWAITING_APPROVAL = "awaiting-approval"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"
    FINISHED = "finished"
    CANCELLED = "cancelled"


OVER = (CampaignState.FINISHED, CampaignState.CANCELLED)


class MemberResult(StrEnum):
    """The result for a device in one batch.

    An absent device was not reached and waits again. An unreachable one was not reached in its last attempt. A skipped
    one was gone, contained or in another rotation.
    """

    DONE = "done"
    FAILED = "failed"
    ABSENT = "absent"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """The number of devices for each `MemberResult`."""

    done: int = 0
    failed: int = 0
    absent: int = 0
    unreachable: int = 0
    skipped: int = 0

    def __add__(self, other: Tally) -> Tally:
        """Return the sum of two tallies."""
        return Tally(**{name: count + vars(other)[name] for name, count in vars(self).items()})

    @property
    def judged(self) -> int:
        """How many devices show whether renewal works: the others were never asked."""
        return self.done + self.failed


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """The one campaign of the account: the last one, whether over or not.

    `size` is how many devices were enrolled, `batches` how many jobs were begun. `step` is the
    current step and `of_step` its tally; `in_all` is the tally of all steps. `out` are the devices in batches that
    are not counted yet. `announced_states` are the values of `standing` that people were notified of. `quiet_since`
    is the time from which no device has been waiting. It is due again at `next_at`; None while it waits for a person.
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
        """Whether the campaign has ended."""
        return self.state in OVER

    @property
    def standing(self) -> str:
        """A name for the current state that changes each time an operator resumes the campaign."""
        return f"{self.state}:{len(self.requests)}"

    @property
    def waiting(self) -> int:
        """How many devices have not had their turn."""
        ended = self.in_all.judged + self.in_all.unreachable + self.in_all.skipped
        return max(0, self.size - ended - self.out)

    def step_size(self, terms: RotationTerms) -> int | None:
        """Return how many devices the step has; None for the last one, which takes all."""
        sizes = (1, max(1, ceil(self.size * terms.canary_percent / 100)), None)
        return sizes[self.step]

    def fails(self, terms: RotationTerms) -> bool:
        """Check whether too many of the step's devices failed."""
        ended, failed = self.of_step.judged, self.of_step.failed
        planned = self.step_size(terms)
        if planned is None:
            return ended >= _ENOUGH_TO_JUDGE and _share(ended - failed, ended) < terms.success_percent
        return _share(planned - failed, planned) < terms.success_percent

    def has_step_done(self, terms: RotationTerms) -> bool:
        """Check whether enough of the step's devices have ended."""
        planned = self.step_size(terms)
        return planned is not None and self.of_step.judged >= planned


def _share(part: int, whole: int) -> float:
    return 100 * part / whole


class MemberState(StrEnum):
    """The state of a device in its campaign."""

    WAITING = "waiting"
    SENT = "sent"
    DONE = "done"
    FAILED = "failed"
    UNREACHABLE = "unreachable"
    SKIPPED = "skipped"


@dataclass(frozen=True, kw_only=True)
class Member:
    """A device enrolled in a campaign, for its oldest certificate or the one that a finding named.

    `enrolled_by` is the run of the sweep, or the case, that enrolled it; `waits_since` orders those that wait.
    `case_id` is the case that asked for it; if none did, it is empty until the device's turn comes.
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
    """The devices of one job. `outcomes` has the result of each that has ended.

    `sent` means that the job was sent, `counted` that the campaign has counted the outcomes.
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
        """Whether all its devices have ended."""
        return len(self.outcomes) == len(self.things)

    @property
    def tally(self) -> Tally:
        """Return the tally of its outcomes."""
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
    """Write a campaign, with other writes of the same commit.

    Raises:
        Conflict: when it was changed since it was read.
    """
    ledger.commit(campaign_put(campaign), *also)
    return replace(campaign, version=campaign.version + 1)


def waiting_in(campaign_id: str) -> str:
    """Return the name of the list of waiting devices in the ledger's index of due records."""
    return f"waiting:{campaign_id}"


def open_batches_of(campaign_id: str) -> str:
    """Return the name of the list of batches that are not counted yet."""
    return f"batches:{campaign_id}"


def member_key(thing: str) -> Key:
    """Return where a device's place in its last campaign is stored."""
    return Key(f"THING#{thing}", "RENEWAL")


def read_member(ledger: Ledger, thing: str) -> Member | None:
    """Read a device's place in its last campaign; None when it never had one."""
    record = ledger.read(member_key(thing))
    return member_from(record) if record else None


_MEMBER = RecordType(name="member", of=Member)


def member_put(member: Member) -> Put:
    """Return the write of a device's place, for a commit; while it waits, it is listed by how long."""
    record = _MEMBER.record(member)
    if member.state is MemberState.WAITING:
        record |= {"due": waiting_in(member.campaign), "due_at": record["waits_since"]}
    return Put(member_key(member.thing), record, member.version)


member_from = _MEMBER.value


def batch_key(campaign_id: str, number: int) -> Key:
    """Return where a batch is stored."""
    return Key(f"CAMPAIGN#{campaign_id}", f"BATCH#{number:06d}")


_BATCH = RecordType(name="batch", of=Batch)


def batch_put(batch: Batch) -> Put:
    """Return the write of a batch, for a commit. A counted batch is no longer listed, and expires."""
    expires_at = int((batch.began_at + _KEPT).timestamp())
    record = _BATCH.record(batch) | {"thing": "campaign", EXPIRY: expires_at}
    if not batch.counted:
        record |= {"due": open_batches_of(batch.campaign), "due_at": record["began_at"]}
    return Put(batch_key(batch.campaign, batch.number), record, batch.version)


batch_from = _BATCH.value


def read_batch(ledger: Ledger, campaign_id: str, number: int) -> Batch | None:
    """Read a batch; None when no batch has that number."""
    record = ledger.read(batch_key(campaign_id, number))
    return batch_from(record) if record else None
