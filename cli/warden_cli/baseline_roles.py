"""`warden baseline roles`: what the roles behind role aliases may do, what CloudTrail saw them use, what could go."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial

from rich.console import Console

from warden.core import quotas
from warden.core.account_facts import Read
from warden_cli.baseline_proposal import is_unread, why_unread
from warden_cli.baseline_roles_page import print_roles
from warden_cli.errors import BadUsage, Exit
from warden_cli.generation_source import source_of
from warden_cli.policy_generation import Generations, Job, Progress, Source, Stage, is_fresh
from warden_cli.reading import account_of, read, session_of
from warden_cli.role_account import Behind, roles_behind_aliases
from warden_cli.role_report import NEEDS_A_POLICY, RoleReport, folder_at, report_on, written
from warden_cli.terminal import as_json, heading, plain, shown

_PENDING = frozenset([Stage.RUNNING, Stage.WAITING])
_ENDED_BADLY = frozenset([Stage.FAILED, Stage.QUOTA])
_FOR_ALL = frozenset([Stage.QUOTA, Stage.NOT_KNOWN])
"""AWS would refuse the next start for the same reason."""


def report_roles(arguments: Namespace, console: Console) -> Exit:
    """Start missing generations, read finished ones, and report on each role. IAM is never changed."""
    if not 1 <= arguments.days <= quotas.GENERATION_DAYS:
        raise BadUsage(f"--days {arguments.days}: a generation looks back for 1 to {quotas.GENERATION_DAYS} days")
    folder = folder_at(arguments.write)
    session = session_of(arguments.region, arguments.profile)
    account = account_of(session)
    found = roles_behind_aliases(session)
    roles = [] if is_unread(found) else found
    _check_names(arguments.again, found)
    work = _Work(roles, Generations(session), partial(source_of, session, account, arguments), arguments.again)
    progress = _followed(work, arguments) if roles else {}
    reports = [written(report_on(each, progress.get(each.arn)), folder) for each in roles]
    not_known = why_unread(found) if is_unread(found) else ""
    if arguments.json:
        where = {"account": account, "region": session.region_name, "not_known": not_known}
        console.out(as_json({**where, "roles": [each.as_json() for each in reports]}))
    else:
        console.print(plain(f"Roles behind role aliases of account {account}, {session.region_name}", "bold"))
        print_roles(console, reports)
        if not_known:
            console.print(heading("Not known"))
            console.print(plain(f"{not_known}. {NEEDS_A_POLICY}"))
    return Exit.FOUND if not_known else _exit(reports)


def _check_names(names: Collection[str], found: Read[list[Behind]]) -> None:
    if is_unread(found):
        return
    known = {each.name for each in found}
    for each in names:
        if each not in known:
            known_here = ", ".join(sorted(map(shown, known))) or "no role is"
            raise BadUsage(f"--again {shown(each, 80)}: behind a role alias here: {known_here}")


def _followed(work: _Work, arguments: Namespace) -> Mapping[str, Progress]:
    """Go one step, or with --wait as many as the time allows."""
    until = time.monotonic() + arguments.timeout
    progress = work.advance()
    while arguments.wait and _is_pending(progress.values()) and time.monotonic() < until:
        time.sleep(arguments.poll)
        progress = work.advance()
    return progress


def _is_pending(progress: Collection[Progress]) -> bool:
    return any(each.stage in _PENDING for each in progress)


@dataclass
class _Work:
    """The generations of all roles. AWS keeps the state, so that a second run continues where the first ended."""

    roles: Sequence[Behind]
    generations: Generations
    find_source: Callable[[], Source]
    again: Collection[str]
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    settled: dict[str, Progress] = field(default_factory=dict)

    @cached_property
    def source(self) -> Source:
        """The trail to generate from, looked up before the first generation starts."""
        return self.find_source()

    def advance(self) -> Mapping[str, Progress]:
        """Read each existing job, and start the next one where none runs."""
        jobs = read("access-analyzer", self.generations.jobs)
        if is_unread(jobs):
            unknown = Progress(stage=Stage.NOT_KNOWN, says=why_unread(jobs), fix=NEEDS_A_POLICY)
            return {each.arn: unknown for each in self.roles if each.role is not None}
        running = any(job.status == "IN_PROGRESS" for several in jobs.values() for job in several)
        blocked = Progress(stage=Stage.WAITING, says="another generation is running") if running else None
        found: dict[str, Progress] = {}
        for each in self.roles:
            if each.role is None:
                continue
            latest = next(iter(jobs.get(each.arn, ())), None)
            found[each.arn] = self._standing(each, latest) or blocked or self._start(each, latest)
            blocked = blocked or _what_blocks(found[each.arn])
        return found

    def _standing(self, behind: Behind, latest: Job | None) -> Progress | None:
        """Return the result of the latest job; None if another has to be started."""
        if behind.arn in self.settled:
            return self.settled[behind.arn]
        if latest is None or not is_fresh(latest, datetime.now(UTC)) or self._is_to_be_repeated(behind, latest):
            return None
        progress = read("access-analyzer", partial(self.generations.progress, latest))
        if is_unread(progress):
            return Progress(stage=Stage.NOT_KNOWN, job=latest, says=why_unread(progress), fix=NEEDS_A_POLICY)
        if progress.stage not in _PENDING:
            self.settled[behind.arn] = progress
        return progress

    def _is_to_be_repeated(self, behind: Behind, job: Job) -> bool:
        is_old = job.started_at < self.began and not self.generations.has_started(job)
        return behind.name in self.again and is_old and job.status != "IN_PROGRESS"

    def _start(self, behind: Behind, latest: Job | None) -> Progress:
        if self.source.missing:
            return Progress(stage=Stage.CANNOT_START, says=self.source.missing, fix=self.source.fix)
        start = partial(self.generations.start, behind.arn, self.source, latest, datetime.now(UTC))
        progress = read("access-analyzer", start)
        if is_unread(progress):
            return Progress(stage=Stage.NOT_KNOWN, says=why_unread(progress), fix=NEEDS_A_POLICY)
        return progress


def _what_blocks(progress: Progress) -> Progress | None:
    """Return the progress of the next role, if this one's generation keeps it from starting."""
    if progress.stage in _PENDING:
        return Progress(stage=Stage.WAITING, says="another generation is running")
    return progress if progress.stage in _FOR_ALL and progress.job is None else None


def _exit(reports: Sequence[RoleReport]) -> Exit:
    stages = {each.progress.stage for each in reports}
    unread = any(is_unread(each.behind.role) for each in reports)
    if unread or stages & {Stage.NOT_KNOWN, Stage.CANNOT_START, Stage.ROLE_GONE}:
        return Exit.FOUND
    if stages & _ENDED_BADLY:
        return Exit.REFUSED
    return Exit.NOT_YET if stages & _PENDING else Exit.DONE
