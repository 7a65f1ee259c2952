"""The operator's command that answers with the last survey."""

from __future__ import annotations

from tests.fakes import a_world
from tests.unit.survey.accounts import Surveyor, fill
from warden.operate.commands import operate
from warden.survey.views import survey_json


def test_before_the_first_survey_there_is_none() -> None:
    assert operate({"command": "survey"}, "arn", "request", a_world().context) == {"survey": None}


def test_it_is_the_last_survey_as_the_bucket_has_it() -> None:
    world = a_world()
    fill(world.account)
    ours = Surveyor(world)
    ours.survey()
    ours.pass_day()

    survey = ours.survey()

    assert operate({"command": "survey"}, "arn", "request", world.context) == {"survey": survey_json(survey)}
