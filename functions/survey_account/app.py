"""Survey account: once a day, which baseline controls the account has, and whether findings can arrive."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.typing import LambdaContext

from warden import bootstrap
from warden.core.logging import logger, metrics
from warden.settings import settings_from
from warden.survey.model import Drift, Pulse, State, Survey
from warden.survey.surveys import Run, survey_when_due

_HOURS, _MINUTES = 6, 15

_GAUGES = {
    "ControlsOff": State.OFF,
    "ControlsPartly": State.PARTLY,
    "ControlsNotKnown": State.NOT_KNOWN,
}

_PULSES = {Pulse.OK: 0, Pulse.NOT_AVAILABLE_HERE: 0, Pulse.WRONG: 1}
"""What a line's metric is. A line that is not known, or not known yet, has no value: its alarm stays as it is."""


@logger.inject_lambda_context(clear_state=True)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Survey if it is due, or if `now` says so; the presence of the metrics shows that surveys are made.

    Raises:
        ExceptionGroup: when something failed, after all else is done, in a run whose failure is parked. The next run
            does what is owed.
    """
    surveying = bootstrap.surveying(_page, _count_survey, _count_drift)
    bootstrap.patience().begin()
    try:
        run = survey_when_due(surveying, now=event.get("now") is True)
    except Exception as error:  # noqa: BLE001 - whatever it is, it fails the run as below
        run = Run(None, None, (), [error])
    if run.failures:
        failed = ExceptionGroup("not everything could be done", run.failures)
        # Lambda's own line names only the group.
        logger.error("not everything could be done", extra={"owed": run.owed}, exc_info=failed)
        _count_failures(len(run.failures))
        if _is_parked(event):
            raise failed
    return {"surveyed": True, "wrong": _wrong(run.survey)} if run.survey else {"surveyed": False}


def _is_parked(event: Mapping[str, Any]) -> bool:
    """Check whether a failure fails the run: an outage should not park a message every quarter of an hour. Of the
    scheduled runs, only the first of every six hours fails: the next run does what is owed anyway.
    """
    try:
        began = datetime.fromisoformat(str(event["time"]))
    except (KeyError, ValueError):
        return True
    return began.hour % _HOURS == 0 and began.minute < _MINUTES


def _count_drift(drift: Drift) -> None:
    count = len(drift.differences) + drift.left_out
    metrics.add_metric("PropertiesDrifted", MetricUnit.Count, count)
    _print_metrics()
    logger.info("drift read", extra={"state": drift.state, "count": count})


def _count_failures(failures: int) -> None:
    """Count them in every run, whether it is parked or not: an alarm watches them."""
    metrics.add_metric("SurveyFailures", MetricUnit.Count, failures)
    _print_metrics()


def _print_metrics() -> None:
    """Print them now: the record says that they were printed before anything else is done."""
    metrics.add_dimension("stack", settings_from().event_source)
    metrics.flush_metrics()


def _count_survey(survey: Survey) -> None:
    for name, state in _GAUGES.items():
        metrics.add_metric(name, MetricUnit.Count, survey.states[state])
    metrics.add_metric("LivenessWrong", MetricUnit.Count, len(survey.wrong))
    metrics.add_metric("LivenessNotKnown", MetricUnit.Count, len(survey.not_known))
    _print_metrics()
    for line in survey.liveness:
        if line.pulse in _PULSES:
            metrics.add_metric("LineWrong", MetricUnit.Count, _PULSES[line.pulse])
            metrics.add_dimension("line", line.key)
            _print_metrics()
    states, wrong = dict(survey.states), _wrong(survey)
    logger.info("account surveyed", extra={"states": states, "wrong": wrong, "lacking": survey.lacking})


def _wrong(survey: Survey) -> list[str]:
    return [each.key for each in survey.wrong]


def _page(survey: Mapping[str, Any]) -> str:
    """Make the page. Of a hundred runs a day one needs the templates, so only that one imports them."""
    from warden_pages.survey import survey_page

    return survey_page(survey)
