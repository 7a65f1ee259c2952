"""The survey's page has what the survey has: it is made of the very JSON that programs get."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest

from tests.pages.samples import SURVEY
from tests.unit.survey.drifts import NO_SUCH_TYPE, a_difference, a_failed_mend
from warden.survey.model import (
    Control,
    Drift,
    DriftState,
    Liveness,
    MendState,
    Owner,
    Pulse,
    State,
    Survey,
)
from warden.survey.views import survey_json
from warden_pages import survey as page
from warden_pages.survey import survey_page

NOW = datetime(2026, 11, 25, 4, 10, tzinfo=UTC)


def a_survey() -> Survey:
    """Make one with every state, every owner and every pulse."""
    controls = [
        Control(
            number=number,
            key=f"control-{number}",
            title=f"Control of state {state}",
            state=state,
            owner=[*Owner][number % len(Owner)],
            since=NOW - timedelta(days=number),
            says=(f"found in {number}", "and more"),
            evidence={"name": f"value {number}"},
            closes=(f"Parameter{number}=create",),
        )
        for number, state in enumerate(State, 1)
    ]
    liveness = [
        Liveness(key=pulse, title=f"Line of pulse {pulse}", pulse=pulse, since=NOW, says=("said",), fix=f"mend {pulse}")
        for pulse in Pulse
    ]
    return Survey(
        at=NOW,
        account="123456789012",
        region="eu-central-1",
        stack="fleet-warden",
        baseline_stack="iot-baseline",
        controls=controls,
        liveness=liveness,
        lacking=("iot:ListAuditTasks",),
        drift=Drift(
            state=DriftState.DRIFTED,
            at=NOW,
            says=("said about the drift",),
            differences=(a_difference(NOW, says=("said about the property",)),),
            left_out=4,
            not_checked=(NO_SUCH_TYPE,),
        ),
        mends=(a_failed_mend(NOW, "no right to change it"),),
    )


def test_everything_that_the_survey_says_is_on_the_page() -> None:
    survey = survey_json(a_survey())
    written = survey_page(survey)

    for each in survey["controls"]:
        for text in (each["title"], *each["says"], *each["evidence"].values(), *each["closes"]):
            assert text in written
    for each in survey["liveness"]:
        for text in (each["title"], *each["says"]):
            assert text in written
        assert (each["fix"] in written) == (each["pulse"] in ("wrong", "not-known"))
    assert "iot:ListAuditTasks" in written
    assert "2026-11-24 04:10" in written


def test_the_drift_and_what_was_changed_back_are_on_the_page() -> None:
    survey = survey_json(a_survey())
    written = survey_page(survey)

    drift = survey["drift"]
    for text in (*drift["says"], *drift["not_checked"][0].values(), "Differences beside these: 4."):
        assert text in written
    for each in drift["differences"]:
        for text in (
            each["resource"] + each["property"],
            each["expected"],
            each["found"],
            *each["says"],
            *each["closes"],
        ):
            assert text in written
    for text in ("DailyAudit/Frequency", "MONTHLY", "DAILY", "no right to change it", "not changed back"):
        assert text in written


def test_the_sample_of_the_other_tests_has_the_form_of_the_product() -> None:
    product = survey_json(a_survey())

    assert set(SURVEY) == set(product)
    assert set(SURVEY["drift"]) == set(product["drift"])
    for rows in ("differences", "not_checked"):
        assert [*SURVEY["drift"][rows][0]] == [*product["drift"][rows][0]]
    for rows in ("controls", "liveness", "mends"):
        assert {name for each in SURVEY[rows] for name in each} == {name for each in product[rows] for name in each}


def test_what_is_wrong_stands_before_what_is_well() -> None:
    written = survey_page(survey_json(a_survey()))

    lines = re.findall(r"Line of pulse ([a-z-]+)</th>", written)
    assert lines[:3] == ["wrong", "not-known", "not-yet"]


def test_a_survey_from_before_drift_was_read_has_a_page() -> None:
    before = {name: value for name, value in SURVEY.items() if name not in ("drift", "mends")}

    assert "as it was deployed" not in survey_page(before)


@pytest.mark.parametrize("state", [*State, *Pulse, *DriftState, *MendState])
def test_every_state_has_a_tone_of_its_own_or_is_calm(state: str) -> None:
    calm = {State.NOT_AVAILABLE_HERE, Pulse.NOT_YET, Pulse.NOT_AVAILABLE_HERE, DriftState.NO_STACK, MendState.BEGUN}

    assert (state in page._TONES) != (state in calm)


def test_a_time_that_is_none_stays_as_it_is() -> None:
    assert "half past four" in survey_page(SURVEY | {"at": "half past four"})


def test_evidence_without_a_value_says_so() -> None:
    bare = SURVEY | {"controls": [SURVEY["controls"][0] | {"evidence": {"analyzers": ""}}]}

    assert "analyzers: <code>none</code>" in survey_page(bare)


def test_a_control_that_is_on_asks_for_nothing() -> None:
    whole = SURVEY | {"controls": [SURVEY["controls"][0]], "liveness": []}

    assert 'class="wide none"' in survey_page(whole)
