"""The report of a sweep of certificates: which are due, when they will be renewed, and which will not be and why."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil
from tempfile import NamedTemporaryFile
from typing import IO

from warden.campaigns.allowed import CampaignDecision, allowed, mode_of_campaigns
from warden.campaigns.enrolment import new_campaign
from warden.campaigns.inventory_runs import ON_NOTHING, InventoryResult, Run, read_run, run_put
from warden.campaigns.records import Campaign, campaign_put, open_campaign
from warden.context import Context
from warden.core.clock import from_text
from warden.core.errors import Conflict
from warden.core.ledger import Index, retry_on_conflict
from warden.core.mode import Mode
from warden.notify.case_notices import plain

_INDEX_LAG = timedelta(minutes=10)
"""DynamoDB's indexes usually show a write within a second, and have no bound (developer guide, GSI)."""

_COLUMNS = ("certificate", "created_at", "age_days", "thing", "verdict", "day_of_campaign")


@dataclass(frozen=True)
class Line:
    """The run's result for one certificate on one thing; `thing` is empty when it is on none."""

    certificate: str
    created_at: datetime
    thing: str
    verdict: InventoryResult


@dataclass
class Summary:
    """The counts of a run's lines."""

    verdicts: Counter[InventoryResult] = field(default_factory=Counter)
    oldest: Line | None = None
    certificates: int = 0
    latest: str = ""

    def add(self, line: Line) -> None:
        """Count a line; lines come oldest first, those of a certificate together."""
        self.certificates += line.certificate != self.latest
        self.latest = line.certificate
        self.verdicts[line.verdict] += 1
        self.oldest = self.oldest or line

    @property
    def due(self) -> int:
        """How many certificates of things are past their age."""
        return (
            self.verdicts.total()
            - self.verdicts[InventoryResult.DELETED]
            - self.verdicts[InventoryResult.LONG_INACTIVE]
        )


def report(run: Run, context: Context) -> bool:
    """Write the report, open the campaign or let it grow, and tell the owner; return whether all results are shown.

    If not, nothing was done, and the caller has to try again: the last results may not be in the index yet. After
    `_INDEX_LAG` the index is believed. A run that dies here is resumed here: the file is written again, and the owner
    may get two notices.
    """
    with NamedTemporaryFile("w", encoding="utf-8", newline="", suffix=".csv") as file:
        summary = _write(run, file, context)
        if summary.certificates < run.recorded and context.now() - (run.ended_at or run.began_at) < _INDEX_LAG:
            return False
        file.flush()
        where = context.ports.reports.keep(f"reports/certificates/{run.id}.csv", file.name)
    campaign = retry_on_conflict(lambda: _enlarge(run, summary, context))
    context.ports.notices.send(_subject(summary), _body(run, summary, campaign, where, context))
    ended = replace(read_run(context.ports.ledger) or run, reported=True)
    context.ports.ledger.commit(run_put(ended))
    return True


def _write(run: Run, file: IO[str], context: Context) -> Summary:
    """Write a line for each certificate and thing, oldest first, holding none of them in memory."""
    summary, writer, turn = Summary(), csv.writer(file), 0
    writer.writerow(_COLUMNS)
    for line in _lines(run, context):
        summary.add(line)
        day = ""
        if line.verdict in (InventoryResult.ENROLLED, InventoryResult.WAITING):
            day = str(1 + turn // context.plan.rotation.devices_per_day)
            turn += 1
        age = (run.began_at - line.created_at).days
        writer.writerow([line.certificate, f"{line.created_at:%FT%TZ}", age, _as_text(line.thing), line.verdict, day])
    return summary


def _as_text(name: str) -> str:
    """Quote a name that a spreadsheet would take for a formula; in names only a leading dash can begin one."""
    return f"'{name}" if name.startswith("-") else name


def _lines(run: Run, context: Context) -> Iterator[Line]:
    for _, record in context.ports.ledger.find(Index.DUE, run.findings):
        for thing, verdict in record["things"].items():
            name = "" if thing == ON_NOTHING else thing
            yield Line(record["certificate"], from_text(record["created_at"]), name, InventoryResult(verdict))


def _enlarge(run: Run, summary: Summary, context: Context) -> Campaign | None:
    """Open the campaign that the devices were enrolled in, or add them to it; once for each run.

    Raises:
        Conflict: when another campaign was opened meanwhile; the run is then restarted for that one.
    """
    ledger, enrolled = context.ports.ledger, summary.verdicts[InventoryResult.ENROLLED]
    campaign = open_campaign(ledger)
    current = read_run(ledger) or run
    if current.enlarged or not enrolled:
        return campaign
    if campaign is None:
        campaign = new_campaign(run.campaign, context, is_told=True)
    elif campaign.id != run.campaign:
        raise Conflict(f"campaign {campaign.id} was opened while the sweep enrolled devices in {run.campaign}")
    grown = replace(campaign, size=campaign.size + enrolled)
    ledger.commit(campaign_put(grown), run_put(replace(current, enlarged=True)))
    return replace(grown, version=grown.version + 1)


# --- what the owner reads ----------------------------------------------------------------------------------------

_WHY = {
    InventoryResult.ANOTHER: "are further old certificates of things that wait; the rotation retires them too",
    InventoryResult.IN_HAND: "have a rotation under way",
    InventoryResult.TOO_OLD: "are only reported: nothing is touched in mode observe",
    InventoryResult.PROTECTED: "are on the never-touch list",
    InventoryResult.CONTAINED: "are contained; releasing them renews the certificate",
    InventoryResult.GIVEN_UP: "were not renewed in this campaign; `warden cases --state open` says why",
    InventoryResult.GONE: "are gone from the registry",
    InventoryResult.ON_NO_THING: "are on no thing, but carry a policy: somebody may connect with them",
    InventoryResult.ORPHAN: "are on no thing and carry no policy",
    InventoryResult.DEACTIVATED: "were on no thing and are INACTIVE now",
    InventoryResult.LONG_INACTIVE: "are long INACTIVE, but attached to a thing",
    InventoryResult.DELETED: "were long INACTIVE and are deleted",
}


def _subject(summary: Summary) -> str:
    return f"Fleet Warden: certificates: {summary.due} due, {_to_renew(summary)} to be renewed"


def _to_renew(summary: Summary) -> int:
    return summary.verdicts[InventoryResult.ENROLLED] + summary.verdicts[InventoryResult.WAITING]


def _body(run: Run, summary: Summary, campaign: Campaign | None, where: str, context: Context) -> str:
    counted = _counted(summary)
    paragraphs = [
        _overview(run, summary, context),
        _schedule(summary, context),
        ["Not to be renewed now", *counted] if counted else [],
        [f"Every one of them: {where}"],
        ["What to do next", *(f"  {line}" for line in _next(campaign, mode_of_campaigns(context)))],
    ]
    return "\n\n".join("\n".join(lines) for lines in paragraphs if lines) + "\n"


def _overview(run: Run, summary: Summary, context: Context) -> list[str]:
    age = context.settings.rotate_after.days
    lines = [
        f"{_certificates(summary.due)} in use past the rotation age ({age} days, where the plan says no other).",
        f"Swept     {run.began_at:%Y-%m-%d %H:%M} UTC, {_certificates(run.inactive)} passed over: INACTIVE",
    ]
    if summary.oldest is not None:
        days = (run.began_at - summary.oldest.created_at).days
        on = plain(summary.oldest.thing) or "no thing"
        lines.append(f"Oldest    {days:,} days: {summary.oldest.certificate[:12]} on {on}")
    return lines


def _certificates(count: int) -> str:
    return f"{count:,} certificate{'' if count == 1 else 's'}"


def _schedule(summary: Summary, context: Context) -> list[str]:
    waiting, terms = _to_renew(summary), context.plan.rotation
    if not waiting:
        return []
    days = ceil(waiting / terms.devices_per_day)
    lines = [
        "To be renewed",
        f"  {waiting:>9,}  in turn: what a detector named, then the oldest",
        f"  {'':>9}  {days:,} {'day' if days == 1 else 'days'} at {terms.devices_per_day:,} devices a day, "
        "after the first device and the first percent",
    ]
    if terms.window is not None:
        opens = terms.window.next_opening(context.now())
        lines.append(
            f"  {'':>9}  jobs are sent in the window {terms.window.cron} (UTC), next at {opens:%Y-%m-%d %H:%M}"
        )
    return lines


def _counted(summary: Summary) -> list[str]:
    return [f"  {summary.verdicts[verdict]:>9,}  {why}" for verdict, why in _WHY.items() if summary.verdicts[verdict]]


def _next(campaign: Campaign | None, mode: Mode) -> list[str]:
    if campaign is not None and CampaignDecision.START in allowed(campaign, mode):
        return ["Begin it:    warden campaign start", "Look at it:  warden campaign"]
    if campaign is not None:
        return ["Watch it:  warden campaign"]
    return ["Nothing."]
