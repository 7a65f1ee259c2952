"""A survey in plain values, for programs: the bucket keeps it, the pages and the `warden` command are made of it."""

from __future__ import annotations

from typing import Any

from warden.core.clock import to_text
from warden.survey.model import Control, Difference, Drift, Liveness, Mend, Survey

SCHEMA_VERSION = 1
"""Counts up when a name changes its meaning or goes; a new name alone does not count."""


def survey_json(survey: Survey) -> dict[str, Any]:
    """Return a survey as JSON values: ISO times, the enums of `survey/model.py` by their words."""
    return {
        "schema_version": SCHEMA_VERSION,
        "at": to_text(survey.at),
        "account": survey.account,
        "region": survey.region,
        "stack": survey.stack,
        "baseline_stack": survey.baseline_stack,
        "states": {str(state): number for state, number in survey.states.items()},
        "wrong": len(survey.wrong),
        "controls": [_control(each) for each in survey.controls],
        "liveness": [_liveness(each) for each in survey.liveness],
        "lacking": list(survey.lacking),
        "drift": _drift(survey.drift),
        "mends": [_mend(each) for each in survey.mends],
    }


def _mend(mend: Mend) -> dict[str, Any]:
    return {
        "resource": mend.resource,
        "type": mend.type,
        "property": mend.path,
        "found": mend.found,
        "back_to": mend.back_to,
        "at": to_text(mend.at),
        "state": mend.state.value,
        "why": mend.why,
    }


def _drift(drift: Drift) -> dict[str, Any]:
    return {
        "state": drift.state.value,
        "at": to_text(drift.at) if drift.at else "",
        "says": list(drift.says),
        "differences": [_difference(each) for each in drift.differences],
        "left_out": drift.left_out,
        "not_checked": [{"resource": each.resource, "type": each.type, "why": each.why} for each in drift.not_checked],
    }


def _difference(difference: Difference) -> dict[str, Any]:
    return {
        "resource": difference.resource,
        "type": difference.type,
        "property": difference.path,
        "expected": difference.expected,
        "found": difference.found,
        "since": to_text(difference.since),
        "controls": list(difference.controls),
        "says": list(difference.says),
        "closes": list(difference.closes),
    }


def _control(control: Control) -> dict[str, Any]:
    return {
        "number": control.number,
        "key": control.key,
        "title": control.title,
        "state": control.state.value,
        "owner": control.owner.value,
        "since": to_text(control.since),
        "says": list(control.says),
        "evidence": dict(control.evidence),
        "closes": list(control.closes),
    }


def _liveness(liveness: Liveness) -> dict[str, Any]:
    return {
        "key": liveness.key,
        "title": liveness.title,
        "pulse": liveness.pulse.value,
        "since": to_text(liveness.since),
        "says": list(liveness.says),
        "evidence": dict(liveness.evidence),
        "fix": liveness.fix,
    }
