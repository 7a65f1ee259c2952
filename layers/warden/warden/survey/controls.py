"""The eleven controls, as `controls.toml` beside this module has them.

The file is the package's own data: the survey runs from the layer, where there is no `baseline/` folder, and the
command and the tests import the same package. `tests/baseline` holds it to both templates.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

EVERY_CHECK = "*"


@dataclass(frozen=True)
class ControlTerms:
    """What the survey needs to know of a control."""

    number: int
    key: str
    title: str
    checks: Sequence[str]
    closes: Sequence[str]
    resources: Sequence[str] = ()
    """What the baseline's stack makes for it, by the names of its template."""


@dataclass(frozen=True)
class Baseline:
    """The controls, and the regions that lack what they need."""

    controls: Mapping[str, ControlTerms]
    regions_without_audit: frozenset[str]
    """The region lacks Device Defender and its audit; it may have AWS IoT."""

    @property
    def checks(self) -> frozenset[str]:
        """Every audit check that a control names."""
        return frozenset(check for each in self.controls.values() for check in each.checks) - {EVERY_CHECK}

    def controls_of(self, resource: str) -> tuple[int, ...]:
        """List the numbers of the controls that a resource of the baseline's template belongs to."""
        return tuple(each.number for each in self.controls.values() if resource in each.resources)


def controls_data() -> dict[str, Any]:
    """Read the file as it is, with parameters and prices."""
    return tomllib.loads(files("warden.survey").joinpath("controls.toml").read_text(encoding="utf-8"))


@cache
def baseline() -> Baseline:
    """Read what the survey needs of the file."""
    data = controls_data()
    terms = {
        each["key"]: ControlTerms(
            number=each["number"],
            key=each["key"],
            title=each["title"],
            checks=tuple(each["checks"]),
            closes=tuple(each["closes"]),
            resources=tuple(each["resources"]),
        )
        for each in data["control"]
    }
    regions = data["regions"]
    return Baseline(terms, frozenset((*regions["no_audit"], *regions["no_iot"])))
