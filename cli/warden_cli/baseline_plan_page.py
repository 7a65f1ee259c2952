"""How the plan of a baseline reads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from warden.core.account_facts import Unavailable
from warden_cli.account_size import Size
from warden_cli.baseline_costs import Cost, controls_of
from warden_cli.baseline_proposal import Facts, Proposal, Proposals, is_unread, why_unread
from warden_cli.baseline_rules import Choice
from warden_cli.terminal import facts, heading, plain, shown


def print_plan(
    console: Console,
    account: Facts,
    proposals: Proposals,
    costs: Mapping[str, Sequence[Cost]],
    size: Size,
    data: Mapping[str, Any],
) -> None:
    """Print each mode with its reason and cost, then what is not known, what is in the way, and the prices."""
    where = f"Baseline for account {account.account}, {account.region}"
    console.print(plain(where, "bold"))
    for each in proposals.modes:
        console.print()
        numbers = ", ".join(str(number) for number in controls_of(each.parameter, data))
        console.print(
            Text(f"{each.parameter}={shown(each.value, 40)}", style="bold").append(f"  control {numbers}", "dim")
        )
        console.print(facts(_rows(each, costs[each.parameter]), names=8))
    if proposals.others:
        console.print(heading("Other parameters"))
        console.print(facts(proposals.others.items(), names=24))
    if rows := [*not_known(account, size)]:
        console.print(heading("Not known"))
        console.print(facts((("-", each) for each in rows), names=1))
    if proposals.conflicts:
        console.print(Text("\nThis cannot be deployed", style="bold red"))
        console.print(facts((("-", each) for each in proposals.conflicts), names=1))
    console.print(heading("A month"))
    console.print(plain(_sum(proposals, costs)))
    console.print(heading("Prices"))
    console.print(facts((("-", each) for each in _price_notes(costs)), names=1))


def _rows(proposal: Proposal, costs: Sequence[Cost]) -> Iterator[tuple[str, str]]:
    yield "Why", proposal.why
    if proposal.then:
        yield "Then", proposal.then
    label = "A month" if proposal.value == Choice.CREATE else "If made"
    for number, cost in enumerate(costs):
        yield "" if number else label, _amount(cost)


def _amount(cost: Cost) -> str:
    mark = " (price unverified)" if cost.unverified else ""
    if cost.usd is None:
        return f"{cost.price}: not known = {cost.formula}{mark}"
    least = "at least " if cost.at_least else ""
    return f"{cost.price}: {least}{cost.usd:,.2f} USD = {cost.formula}{mark}"


def _sum(proposals: Proposals, costs: Mapping[str, Sequence[Cost]]) -> str:
    making = [cost for each in proposals.modes if each.value == Choice.CREATE for cost in costs[each.parameter]]
    known = [cost.usd for cost in making if cost.usd is not None]
    least = "at least " if any(cost.at_least for cost in making) else ""
    text = f"{least}{sum(known):,.2f} USD for what is made"
    if missing := len(making) - len(known):
        text += f", and {missing} prices whose amounts are not known (give one: --assume management_events=2000000)"
    return text


def _price_notes(costs: Mapping[str, Sequence[Cost]]) -> Iterator[str]:
    yield "List prices of us-east-1 without free tiers. Check them on AWS's own pages first: most were read elsewhere."
    named = {cost.price: cost for each in costs.values() for cost in each}
    for name, cost in named.items():
        mark = "unverified, " if cost.unverified else ""
        yield f"{name}: {mark}{cost.source}, {cost.date}"


def not_known(account: Facts, size: Size) -> Iterator[str]:
    """List what could not be read, each reason once."""
    read = [*(value for value in vars(account).values()), *account.trail_status.values(), *size.values()]
    read += account.trail_records_management.values()
    unread = [each for each in read if is_unread(each) and not isinstance(each, Unavailable)]
    yield from dict.fromkeys(why_unread(each) for each in unread)
