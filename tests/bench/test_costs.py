"""The prices behind the sums, and the page that tells them, say the same."""

import re
import tomllib

import pytest

from tests.bench.costs import DEVICES, DUE, PRICES, costs
from tests.conftest import ROOT

TABLE = tomllib.loads(PRICES.read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "costs.md").read_text(encoding="utf-8")


def numbers(text: str) -> set[float]:
    return {float(each.replace(",", "")) for each in re.findall(r"\d[\d,]*(?:\.\d+)?", text)}


@pytest.mark.parametrize("name", [name for name in TABLE if name != "known"])
def test_a_price_is_dated_has_its_source_and_stands_on_the_page(name: str) -> None:
    assert TABLE["known"] == "2026-11"
    assert TABLE[name]["page"].startswith("aws.amazon.com/")
    assert TABLE[name]["usd"] in numbers(PAGE)


def test_the_page_tells_the_sums_for_a_million_devices() -> None:
    section = PAGE.partition("## A million devices")[2].partition("\n## ")[0]
    found = costs()

    told = numbers(section)

    assert {DUE, round(found.at_rest_month, 2), round(found.per_sweep_without_jobs, 2)} <= told
    assert {round(found.per_sweep), round(found.per_containment * DEVICES)} <= told
