"""controls.toml says what the two templates have: parameters, resources, plans, regions; prices are dated."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from tests.baseline.test_stack import FOREIGN, TEMPLATE
from tests.template.read_handlers import HANDLERS, NOT_COMPARED, UPDATES
from tests.template.transformed import written
from warden.ingest.detectors.audit import CHECKS
from warden.survey.controls import baseline, controls_data
from warden.survey.mending import event_of

DATA = controls_data()
CONTROLS: list[dict[str, Any]] = DATA["control"]


def modes_of(control: dict[str, Any]) -> set[str]:
    return {part["mode"] for part in control["parts"]}


def test_there_are_eleven_in_order() -> None:
    assert [control["number"] for control in CONTROLS] == list(range(1, 12))
    assert len({control["key"] for control in CONTROLS}) == 11


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control["key"])
class TestAControl:
    def test_its_parameters_are_those_of_the_templates(self, control: dict[str, Any]) -> None:
        assert modes_of(control) | set(control["parameters"]) <= set(TEMPLATE["Parameters"])
        assert set(control["service"]) <= set(written()["Parameters"])
        assert modes_of(control) or control["service"]

    def test_its_resources_are_made_where_its_modes_say_so(self, control: dict[str, Any]) -> None:
        assert set(control["resources"]) <= set(TEMPLATE["Resources"])
        assert set(control["only_one"]) == set(control["resources"]) & set(FOREIGN)
        for logical in control["only_one"]:
            assert FOREIGN[logical][0] in modes_of(control)

    def test_what_closes_it_is_a_parameter_or_a_command(self, control: dict[str, Any]) -> None:
        assert control["closes"]
        for each in control["closes"]:
            name, _, value = each.partition("=")
            if not each.startswith("warden "):
                assert not value or value in TEMPLATE["Parameters"][name]["AllowedValues"]
        said = {each.partition("=")[0] for each in control["closes"]}
        assert modes_of(control) <= said

    def test_its_prices_are_in_the_table(self, control: dict[str, Any]) -> None:
        assert {price for part in control["parts"] for price in part["prices"]} <= set(DATA["prices"])
        assert {part["scope"] for part in control["parts"]} <= {"account", "region"}


def test_every_parameter_and_every_resource_is_of_a_control() -> None:
    parameters = {name for control in CONTROLS for name in (*modes_of(control), *control["parameters"])}
    resources = {logical for control in CONTROLS for logical in control["resources"]}

    assert parameters == set(TEMPLATE["Parameters"])
    assert resources == set(TEMPLATE["Resources"])


def test_every_check_is_of_a_control() -> None:
    named = {check for control in CONTROLS for check in control["checks"]} - {"*"}

    assert named == set(CHECKS)


def test_once_for_the_account_is_what_is_off_unless_asked_for() -> None:
    once = {part["mode"] for control in CONTROLS for part in control["parts"] if part["scope"] == "account"}

    assert once == {"PolicyGenerationMode", "TrailMode", "UnusedAccessAnalyzerMode"}
    assert {TEMPLATE["Parameters"][name]["Default"] for name in once} == {"off"}


def test_the_regions_are_those_of_the_rules() -> None:
    no_audit, no_iot = DATA["regions"]["no_audit"], DATA["regions"]["no_iot"]

    def refused(rule: str) -> list[str]:
        [assertion] = TEMPLATE["Rules"][rule]["Assertions"]
        [contains] = assertion["Assert"]["Fn::Not"]
        return list(contains["Fn::Contains"][0])

    assert refused("AuditInThisRegion") == refused("DetectInThisRegion") == no_audit + no_iot
    assert refused("LoggingInThisRegion") == no_iot


def test_the_optional_plans_are_those_of_the_detector() -> None:
    features = TEMPLATE["Resources"]["Detector"]["Properties"]["Features"]

    assert [(plan["feature"], plan["parameter"]) for plan in DATA["guardduty_plan"]] == [
        (each["Name"], each["Status"]["Ref"]) for each in features
    ]
    assert {plan["price"] for plan in DATA["guardduty_plan"] if "price" in plan} <= set(DATA["prices"])


@pytest.mark.parametrize("name", DATA["prices"])
def test_a_price_says_where_and_when_it_was_read(name: str) -> None:
    price = DATA["prices"][name]

    assert price["usd"] >= 0
    assert price["per"] > 0
    assert price["inputs"]
    assert isinstance(price["date"], datetime.date)
    assert price["unverified"] is (price["source"] == "from memory" or "not seen" in price["source"])


def test_every_price_is_one_of_a_control_or_a_plan() -> None:
    used = {price for control in CONTROLS for part in control["parts"] for price in part["prices"]}
    used |= {plan["price"] for plan in DATA["guardduty_plan"] if "price" in plan}

    assert used == set(DATA["prices"])


def test_what_the_survey_may_read_covers_every_type_of_the_stack() -> None:
    types = {resource["Type"] for resource in TEMPLATE["Resources"].values()}

    assert types == {*HANDLERS, *NOT_COMPARED}
    assert not {*HANDLERS} & {*NOT_COMPARED}
    assert {resource for resource in TEMPLATE["Resources"] if not baseline().controls_of(resource)} == set()


def test_what_may_be_changed_back_has_its_rights_and_an_event() -> None:
    changed = {kind for kind in HANDLERS if event_of(kind)}

    assert changed == {*UPDATES}
