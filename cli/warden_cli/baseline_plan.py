"""`warden baseline plan`: the parameters of the baseline that fit this account, why, and what they cost."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from warden.core.account_facts import Denied, Unread
from warden.survey.controls import controls_data
from warden_cli.account_size import Amount, Size
from warden_cli.baseline_account import Account, read_account
from warden_cli.baseline_costs import Cost, controls_of, costs_of
from warden_cli.baseline_files import writer_of
from warden_cli.baseline_plan_page import not_known, print_plan
from warden_cli.baseline_proposal import Proposal, Proposals, is_unread, propose
from warden_cli.baseline_rules import Choice
from warden_cli.errors import BadUsage, Exit
from warden_cli.terminal import as_json, heading, pasted, print_command, shown

LOG_RETENTION_DAYS, TRAIL_EXPIRY_DAYS = 365, 400
"""The template's defaults that the prices of storage depend on; a test compares them with it."""

_DAYS_A_MONTH = 30.0


def plan_baseline(arguments: Namespace, console: Console) -> Exit:
    """Propose the parameters of the baseline for this account, and write them into a file."""
    data = controls_data()
    wishes = _wishes(arguments.set, data)
    write = writer_of(arguments.write, arguments.stack) if arguments.write else None
    account = read_account(region=arguments.region, profile=arguments.profile, stack=arguments.stack)
    proposals = propose(account.facts, wishes)
    size = _assumed(account, arguments.assume, wishes, data)
    costs = _costs(proposals, size, data)
    if arguments.json:
        console.out(as_json(_answer(account, proposals, costs, size, data)))
    else:
        print_plan(console, account.facts, proposals, costs, size, data)
    if proposals.conflicts:
        return Exit.REFUSED
    if write is not None:
        write(proposals.parameters)
        _say_how_to_deploy(console, arguments)
    return Exit.DONE if all(each.is_known for each in proposals.modes) else Exit.FOUND


def _wishes(given: Iterable[str], data: Mapping[str, Any]) -> dict[str, str]:
    modes = {part["mode"] for each in data["control"] for part in each["parts"]}
    known = modes | {name for each in data["control"] for name in each["parameters"]}
    wishes = {}
    for each in given:
        name, equals, value = each.partition("=")
        if not equals or name not in known:
            raise BadUsage(f"--set {shown(each, 80)}: give a parameter of baseline/template.yaml as NAME=VALUE")
        if name in modes and value not in [*Choice]:
            raise BadUsage(f"--set {shown(each, 80)}: {name} is one of {', '.join(Choice)}")
        wishes[name] = value
    return wishes


def _assumed(account: Account, given: Iterable[str], wishes: Mapping[str, str], data: Mapping[str, Any]) -> Size:
    """Add to what was counted what follows from the template, and what the caller knows."""
    trails = account.facts.trails
    days = {
        "log_months": ("LogRetentionDays", LOG_RETENTION_DAYS),
        "trail_months": ("TrailExpiryDays", TRAIL_EXPIRY_DAYS),
    }
    size: dict[str, Amount | Unread | None] = {
        **account.size,
        "analyzers": Amount(1, "one is made"),
        "keys": Amount(1, "one for topic, logs and bucket"),
        **{name: Amount(_days(wishes, *each) / _DAYS_A_MONTH, each[0]) for name, each in days.items()},
    }
    if not is_unread(trails):
        size["further_trail_copies"] = Amount(min(len(trails), 1), "DescribeTrails: another trail is there or not")
    inputs = {name for price in data["prices"].values() for name in price["inputs"]}
    for each in given:
        name, _, number = each.partition("=")
        if name not in inputs or not _is_number(number):
            raise BadUsage(f"--assume {shown(each, 80)}: give NAME=NUMBER, with one of {', '.join(sorted(inputs))}")
        size[name] = Amount(float(number), "assumed")
    return size


def _days(wishes: Mapping[str, str], name: str, default: int) -> float:
    wish = wishes.get(name, "")
    return float(wish) if _is_number(wish) else default


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit()


def _costs(proposals: Proposals, size: Size, data: Mapping[str, Any]) -> dict[str, Sequence[Cost]]:
    """Work out the cost of each mode that is made, or could be; the key is made once and counted once."""
    costs: dict[str, Sequence[Cost]] = {}
    has_key = bool(proposals.others.get("KmsKeyArn"))
    for each in proposals.modes:
        found = costs_of(each.parameter, data, size) if _has_a_price(each) else ()
        costs[each.parameter] = [cost for cost in found if cost.price != "key" or not has_key]
        has_key = has_key or (each.value == Choice.CREATE and any(cost.price == "key" for cost in found))
    return costs


def _has_a_price(proposal: Proposal) -> bool:
    """Whether it is made, or is off and could be made."""
    return proposal.value == Choice.CREATE or (
        proposal.value == Choice.OFF and proposal.is_known and proposal.is_offered
    )


def _answer(
    account: Account,
    proposals: Proposals,
    costs: Mapping[str, Sequence[Cost]],
    size: Size,
    data: Mapping[str, Any],
) -> dict[str, Any]:
    read = [*vars(account.facts).values(), *account.facts.trail_status.values(), *account.size.values()]
    return {
        "account": account.facts.account,
        "region": account.facts.region,
        "parameters": proposals.parameters,
        "modes": [
            {
                "parameter": each.parameter,
                "value": each.value,
                "controls": [*controls_of(each.parameter, data)],
                "why": each.why,
                "then": each.then,
                "known": each.is_known,
                "costs": [{**vars(cost), "date": str(cost.date)} for cost in costs[each.parameter]],
            }
            for each in proposals.modes
        ],
        "size": {
            name: {"value": each.value, "at_least": each.at_least, "source": each.source}
            for name, each in size.items()
            if isinstance(each, Amount)
        },
        "not_known": [*not_known(account.facts, size)],
        "lacking": sorted({each.action for each in read if isinstance(each, Denied)}),
        "conflicts": [*proposals.conflicts],
    }


def _say_how_to_deploy(console: Console, arguments: Namespace) -> None:
    if arguments.json:
        return
    file = str(Path(arguments.write).resolve())
    console.print(heading("Deploy it"))
    if file.endswith(".toml"):
        print_command(console, f"sam deploy --template baseline/template.yaml --config-file {pasted(file)}")
        return
    print_command(
        console,
        f"aws cloudformation deploy --stack-name {pasted(arguments.stack)} "
        f"--template-file baseline/template.yaml --capabilities CAPABILITY_IAM "
        f"--parameter-overrides {pasted(f'file://{file}')}",
    )
