"""The command about campaigns: show the campaign that renews certificates, and decide about it."""

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from warden.campaigns.records import MemberResult
from warden_cli.client import Service
from warden_cli.errors import Exit, NotReached
from warden_cli.terminal import as_json, facts, heading, moment, plain, shown, who, word

_STEPS = {1: "1 of 3, one device", 2: "2 of 3, a percent", 3: "3 of 3, the rest"}

PURPOSES = {
    "start": "start it",
    "pause": "stop sending jobs for now",
    "resume": "send jobs again",
    "cancel": "end it",
}

_IN_STATE = {
    ("stopped", "resume"): "send jobs again, once the cause is fixed",
    ("awaiting-approval", "cancel"): "leave it",
}


def campaign(arguments: Namespace, console: Console) -> Exit:
    """Show where the campaign stands, or send a decision about it to the service."""
    service = Service(arguments.url, region=arguments.region, profile=arguments.profile)
    if arguments.decision:
        return _decide(service, arguments, console)
    answer = service.ask("campaign")
    if arguments.json:
        console.out(as_json(answer))
        return Exit.DONE
    found = answer.get("campaign")
    if found is None:
        console.print("No campaign yet: the sweep of certificates opens one when any are past their age.")
        return Exit.DONE
    try:
        _print(console, found)
    except (KeyError, TypeError, ValueError) as error:
        raise NotReached(f"the service's answer cannot be read ({error!r}); is it of another version?") from error
    return Exit.DONE


def _decide(service: Service, arguments: Namespace, console: Console) -> Exit:
    answer = service.ask(f"campaign-{arguments.decision}", why=arguments.why)
    if arguments.json:
        console.out(as_json(answer))
        return Exit.DONE
    named = shown(str(answer.get("campaign", "")))
    console.print(f"Queued: {arguments.decision} of campaign {named}, as {shown(str(answer.get('who', '')))}")
    console.print(Text("Watch it with: warden campaign", style="dim"))
    return Exit.DONE


def _print(console: Console, told: Mapping[str, Any]) -> None:
    state = str(told["state"])
    console.print(Text(f"Campaign {shown(str(told['campaign']))} ", style="bold").append_text(word(state)))
    if told.get("why"):
        said_by = f" ({shown(who(str(told['who'])))})" if told.get("who") else ""
        console.print(plain(f"{told['why']}{said_by}"))
    console.print(facts(_standing(told), names=14))
    console.print(heading("Devices"))
    console.print(facts(_devices(told), names=14))
    if rows := list(_next(state, told.get("allowed", []))):
        console.print(heading("What can be done"))
        console.print(facts(rows, names=14))


def _next(state: str, allowed: Iterable[str]) -> Iterator[tuple[str, Text]]:
    """List the decisions that the service allows; one that this version of the command does not know is left out."""
    for decision in allowed:
        if decision in PURPOSES:
            purpose = _IN_STATE.get((state, decision), PURPOSES[decision])
            yield purpose, Text(f"warden campaign {decision}", style="bold")


def _standing(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Began", moment(datetime.fromisoformat(str(told["began"])).astimezone(UTC))
    yield "Step", _STEPS.get(int(told["step"]), str(told["step"]))
    yield "Jobs sent", str(told["jobs"])
    yield "Budget", f"{told['roomToday']} of {told['devicesPerDay']} devices left within 24 hours"


def _devices(told: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, words in (
        ("enrolled", ""),
        ("waiting", "for their turn"),
        ("sent", "are asked, or their jobs are being counted"),
        (MemberResult.DONE, "are on a new certificate"),
        (MemberResult.FAILED, "are back on the old one: warden cases --state open"),
        (MemberResult.UNREACHABLE, "did not come; the next sweep finds them again"),
        (MemberResult.SKIPPED, "were gone, contained, or in another rotation"),
    ):
        yield name.capitalize(), f"{int(told[name]):>7,}  {words}".rstrip()
