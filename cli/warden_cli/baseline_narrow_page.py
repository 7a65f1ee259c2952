"""How the report on a narrower policy reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from warden.core import quotas
from warden_cli.baseline_proposal import is_unread
from warden_cli.narrow_proposal import Change, Verdict
from warden_cli.narrow_report import Narrowing
from warden_cli.terminal import facts, heading, plain, print_command, shown

_STYLES = {Verdict.STAYS: "dim", Verdict.NARROWED: "green", Verdict.KEPT: "yellow", Verdict.GOES: "bold red"}
_MOST_LOSSES = 40


def print_narrowing(console: Console, found: Narrowing) -> None:
    """Print the fate of each right, what the sample loses, the document, and how to apply it and undo that."""
    console.print(
        Text(f"{shown(found.policy.name, 128)}  ", "bold").append(f"version {shown(found.policy.version, 20)}")
    )
    console.print(facts(_about(found), names=9))
    console.print(heading("What becomes of it"))
    console.print(_changes(found.proposal.changes))
    console.print(heading("Could before and cannot after"))
    console.print(facts(_losses(found), names=1))
    if found.doubts:
        console.print(heading("Look at this first"))
        console.print(facts((("-", each) for each in found.doubts), names=1))
    if not found.proposal.is_narrower:
        console.print("\nThere is nothing to narrow.")
        return
    if not found.file:
        console.print(heading("The document"))
        console.print(plain_json(found))
    if found.refusals:
        console.print(Text("\nIt cannot be taken", style="bold red"))
        console.print(facts((("-", each) for each in found.refusals), names=1))
        return
    console.print(heading("Take it"))
    for each in found.how_to_take:
        print_command(console, each)
    console.print("AWS IoT needs six to eight minutes to follow. Try it first as a policy of its own on one device.")
    console.print(heading("Back"))
    print_command(console, found.how_to_go_back)


def plain_json(found: Narrowing) -> Text:
    """Return the document, escaped like any text from outside."""
    lines = json.dumps(found.proposal.document, indent=2).splitlines()
    return Text("\n".join(shown(each, 400) for each in lines))


def _about(found: Narrowing) -> Iterator[tuple[str, str]]:
    if not is_unread(found.reach):
        which = "all" if found.reach.is_all else "the first"
        yield (
            "Compared",
            f"{which} {len(found.comparisons)} devices, offline; conditions other than IsAttached taken for met",
        )
    yield "Length", f"{found.proposal.characters} of {quotas.POLICY_CHARACTERS} characters"
    proof = "every statement lies within one of the policy's, and the denials stay"
    yield "Proven", f"it allows nothing that was not allowed: {proof}"
    if found.trial:
        tried = f"{found.trial.questions} questions about {found.trial.devices} devices to AWS IoT itself"
        yield "Tried", f"{tried}; the policy {found.trial.policy} was made for it, and deleted again"
    else:
        yield "Tried", "not in AWS: nothing was written there (--try-in-account)"
    if found.file:
        yield "Written", found.file


def _changes(changes: Sequence[Change]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    together: dict[tuple[str, Verdict, tuple[str, ...], str], list[str]] = {}
    for each in changes:
        now = tuple(_local(resource) for resource in (*each.becomes, *each.kept) if _local(resource) != each.resource)
        together.setdefault((each.resource, each.verdict, now, each.why), []).append(each.action)
    for (resource, verdict, now, why), actions in together.items():
        what = f"{_joined(actions)} on {resource}" if resource else f"the rest of {_joined(actions)}"
        table.add_row(Text(f"  {verdict}", style=_STYLES[verdict]), plain(what))
        if now:
            table.add_row("", plain(f"-> {', '.join(now)}"))
        if why:
            table.add_row("", plain(why, "dim"))
    return table


def _joined(actions: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(each if "*" in each else each.removeprefix("iot:") for each in actions))


def _local(resource: str) -> str:
    return resource.split(":", 5)[-1]


def _losses(found: Narrowing) -> Iterator[tuple[str, str]]:
    lost, number = found.lost, len(found.comparisons)
    if others := sum(each.is_about_others for each in lost):
        yield "-", f"{others} ways to reach what belongs to another device, as it is meant to be (--json lists them)"
    own: dict[tuple[str, int], list[str]] = {}
    for each, devices in lost.items():
        if not each.is_about_others:
            own.setdefault((each.resource, len(devices)), []).append(each.action)
    for (resource, count), actions in [*own.items()][:_MOST_LOSSES]:
        yield "-", f"{_joined(actions)} {resource}".rstrip() + f": {count} of {number} devices"
    if len(own) > _MOST_LOSSES:
        yield "-", f"and {len(own) - _MOST_LOSSES} more (--json lists them)"
    if not lost:
        yield "-", "nothing" if number else "not compared"
