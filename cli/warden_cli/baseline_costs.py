"""What a part of the baseline costs a month: the list prices of `controls.toml` times the account's own numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import prod
from typing import Any

from warden_cli.account_size import Amount, Size


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One price at this account's size. `usd` is None where an input is not known; the formula names it."""

    price: str
    usd: float | None
    at_least: bool
    formula: str
    source: str
    date: date
    unverified: bool


def costs_of(mode: str, data: Mapping[str, Any], size: Size) -> Sequence[Cost]:
    """Multiply the prices of a mode."""
    names = {name: None for part in _parts(mode, data) for name in part["prices"]}
    return [_cost(name, data["prices"][name], size) for name in names]


def controls_of(mode: str, data: Mapping[str, Any]) -> Sequence[int]:
    """Return the numbers of the controls that a mode is about."""
    return [each["number"] for each in data["control"] if any(part["mode"] == mode for part in each["parts"])]


def _parts(mode: str, data: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return [part for each in data["control"] for part in each["parts"] if part["mode"] == mode]


def _cost(name: str, terms: Mapping[str, Any], size: Size) -> Cost:
    inputs: Sequence[str] = terms["inputs"]
    amounts = [amount for each in inputs if isinstance(amount := size.get(each), Amount)]
    complete = len(amounts) == len(inputs) or terms["usd"] == 0 or any(each.value == 0 for each in amounts)
    return Cost(
        price=name,
        usd=terms["usd"] * prod(each.value for each in amounts) / terms["per"] if complete else None,
        at_least=any(each.at_least for each in amounts),
        formula=_formula(terms, size),
        source=terms["source"],
        date=terms["date"],
        unverified=terms["unverified"],
    )


def _formula(terms: Mapping[str, Any], size: Size) -> str:
    per = f" / {terms['per']:,}" if terms["per"] != 1 else ""
    return " x ".join([f"{terms['usd']:g}{per}", *(_input(name, size) for name in terms["inputs"])])


def _input(name: str, size: Size) -> str:
    amount = size.get(name)
    return f"{amount.value:,.6g} {name}" if isinstance(amount, Amount) else f"{name} (not known)"
