"""Survey account: once a day, which baseline controls the account has, and whether findings can arrive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.logging import logger, metrics
from warden.survey.model import State
from warden.survey.surveys import survey_when_due

_GAUGES = {
    "ControlsOff": State.OFF,
    "ControlsPartly": State.PARTLY,
    "ControlsNotKnown": State.NOT_KNOWN,
}


@logger.inject_lambda_context(clear_state=True)
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Survey if it is due, or if `now` says so; the presence of the metrics shows that surveys are made."""
    surveying = bootstrap.surveying(_page)
    run = survey_when_due(surveying, now=event.get("now") is True)
    if run.owed:  # the next run, in a quarter of an hour, sends it
        logger.warning("not everybody could be told", extra={"owed": run.owed})
    if run.survey or run.drift:
        metrics.add_dimension("stack", surveying.settings.event_source)
    if run.drift:
        count = len(run.drift.differences) + run.drift.left_out
        metrics.add_metric("PropertiesDrifted", MetricUnit.Count, count)
        logger.info("drift read", extra={"state": run.drift.state, "count": count})
    survey = run.survey
    if survey is None:
        return {"surveyed": False}
    for name, state in _GAUGES.items():
        metrics.add_metric(name, MetricUnit.Count, survey.states[state])
    metrics.add_metric("LivenessWrong", MetricUnit.Count, len(survey.wrong))
    wrong = [each.key for each in survey.wrong]
    logger.info("account surveyed", extra={"states": dict(survey.states), "wrong": wrong, "lacking": survey.lacking})
    return {"surveyed": True, "wrong": wrong}


def _page(survey: Mapping[str, Any]) -> str:
    """Make the page. Of a hundred runs a day one needs the templates, so only that one imports them."""
    from warden_pages.survey import survey_page

    return survey_page(survey)
