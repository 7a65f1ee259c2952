"""How the report on roles reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warden_cli.policy_generation import Generated, Stage
from warden_cli.role_account import Role
from warden_cli.role_report import RoleReport
from warden_cli.role_rights import Judged, Verdict
from warden_cli.terminal import facts, heading, moment, plain, shown

_STYLES = {
    Stage.READY: "green",
    Stage.RUNNING: "cyan",
    Stage.WAITING: "cyan",
    Stage.FAILED: "bold red",
    Stage.QUOTA: "bold red",
    Stage.CANNOT_START: "bold red",
    Stage.ROLE_GONE: "bold red",
    Stage.NOT_KNOWN: "yellow",
}
_WORDS = {
    Verdict.SEEN: "seen",
    Verdict.NOT_SEEN: "not seen: could go",
    Verdict.CANNOT_TELL: "CloudTrail does not say",
    Verdict.DENIED: "denied",
}
_MOST_NAMES = 12


def print_roles(console: Console, reports: Sequence[RoleReport]) -> None:
    """Print each role, and what holds for all of them."""
    if not reports:
        console.print("\nNo role is behind a role alias here.")
    for each in reports:
        console.print()
        words = each.progress.stage.replace("-", " ")
        console.print(
            Text(f"{shown(each.behind.name, 64)}  ", "bold").append(words, style=_STYLES[each.progress.stage])
        )
        console.print(facts(_rows(each), names=10))
        if each.rights:
            console.print(_table(each.rights))
    if any(each.rights for each in reports):
        console.print(heading("Before anything goes"))
        console.print(facts((("-", each) for each in _CAUTIONS), names=1))


_CAUTIONS = (
    "Not seen is not the same as not used: it may be needed once a year, or longer ago than the days looked at.",
    "No generated policy holds data events (objects of S3, publishing to AWS IoT, records of Kinesis) or iam:PassRole, "
    "used or not: add what devices need. Which of them AWS leaves out is verified for a few services only.",
    "Fill in what is left open in a generated policy, such as ${BucketName}.",
    "Nothing was changed in IAM. Keep the old policy's version, to go back to it.",
)


def _rows(report: RoleReport) -> Iterator[tuple[str, str]]:
    role, generated = report.behind.role, report.progress.generated
    yield "Aliases", ", ".join(report.behind.aliases)
    if isinstance(role, Role):
        yield "Last used", moment(role.last_used) if role.last_used else "IAM knows of no use, for 400 days"
        yield "Policies", ", ".join(each.name for each in role.policies) or "none: it may do nothing"
        if role.boundary:
            yield "Boundary", f"{role.boundary} limits it, too"
    if report.progress.says:
        yield "Found", report.progress.says
    if report.progress.fix:
        yield "Fix", report.progress.fix
    if generated:
        yield from _results(report, generated)


def _results(report: RoleReport, generated: Generated) -> Iterator[tuple[str, str]]:
    if generated.since and generated.until:
        yield "Looked at", f"{moment(generated.since)} to {moment(generated.until)}"
    if not generated.complete:
        yield "Incomplete", "AWS says that for some services it knows not all actions"
    yield "Could go", _some(report.could_go) or "nothing"
    if report.cannot_tell:
        yield "Not told", _some(report.cannot_tell)
    if report.file:
        long = "; too long for one managed policy" if report.is_too_long else ""
        yield "Written", f"{report.file}{long}"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{', '.join(names[:_MOST_NAMES])}{more}"


def _table(rights: Sequence[Judged]) -> Table:
    """Lay out what is allowed beside what was seen; a second line says on what, and by which policy."""
    table = Table(box=None, padding=(0, 2, 0, 2), header_style="dim")
    for name in ("ALLOWED", "CLOUDTRAIL"):
        table.add_column(name, overflow="fold")
    for each in rights:
        right = each.right
        action = f"everything but {', '.join(right.excluded)}" if right.excluded else right.action
        on = _some(right.resources) + (", conditionally" if right.conditional else "")
        seen = f"{_WORDS[each.verdict]}: {_some(each.seen)}" if each.seen else _WORDS[each.verdict]
        table.add_row(plain(action, "bold"), plain(seen))
        table.add_row(plain(f"  on {on}", "dim"), plain(f"by {right.policy}", "dim"))
    return table
