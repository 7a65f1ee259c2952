"""The detection of drift, a step a run: CloudFormation compares for minutes, and no function waits for it.

A survey makes a detection due. One run begins it, a later one reads how far it is, and the answer is put into the
survey on record. A run that dies repeats its step: a second detection costs nothing and finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Protocol

from warden.core.account_facts import Denied, Read, Unanswered, Unread
from warden.core.drift import ResourceDrift
from warden.core.ports import StackDrift
from warden.settings import Settings
from warden.survey.controls import Baseline
from warden.survey.drift import NO_STACK, drift_of, not_known
from warden.survey.facts import Facts, is_unread, may_pass
from warden.survey.mends import annotated, is_of_mend
from warden.survey.model import Change, Difference, Drift, DriftState
from warden.survey.records import Owed, SurveyRecord, Watch, WatchState, owing

_GIVE_UP_AFTER = timedelta(hours=1)
"""CloudFormation takes "up to several minutes" (DetectStackDrift, API reference); it may be busy with the stack."""

_UNDER_WAY = Unanswered("cloudformation:DescribeStackDriftDetectionStatus", "DETECTION_IN_PROGRESS")

_KEY = "drift"
_NAMED = 10
"""How many properties of a resource a notice names."""

TITLE = "What the baseline made is as it was deployed"


class Ports(Protocol):
    """What the detection of drift touches."""

    @property
    def stack_drift(self) -> StackDrift: ...


def watch_of_survey(facts: Facts, last: SurveyRecord | None) -> Watch:
    """Return the stack to compare after a survey, if there is one and no detection is running."""
    if last is not None and last.watch.state is WatchState.RUNNING:
        return last.watch
    if not is_unread(facts.stack) and not facts.stack:
        return Watch()
    return Watch(state=WatchState.DUE, since=facts.now)


def drift_of_survey(facts: Facts, last: SurveyRecord | None) -> Drift:
    """Return what a survey says of drift before CloudFormation has answered: what it found last."""
    if not is_unread(facts.stack) and not facts.stack:
        return replace(NO_STACK, at=facts.now)
    before = last.survey.drift if last is not None else Drift()
    return Drift() if before.state is DriftState.NO_STACK else before


def step(
    record: SurveyRecord, ports: Ports, settings: Settings, baseline: Baseline, now: datetime
) -> SurveyRecord | None:
    """Take the next step; None if there is none to take now."""
    stack = settings.baseline_stack
    waited = abs(now - (record.watch.since or now))  # a clock that was set back gives up, rather than wait until then
    match record.watch.state:
        case WatchState.DUE:
            begun = ports.stack_drift.begin(stack)
            if not is_unread(begun):
                watch = Watch(state=WatchState.RUNNING, since=now, detection=begun)
                return replace(record, watch=watch)
            return _unanswered(record, begun, now) if _is_final(begun, waited) else None
        case WatchState.RUNNING:
            found = _found(record.watch.detection, ports.stack_drift, stack)
            if found is None or is_unread(found):
                unread = found or _UNDER_WAY
                return _unanswered(record, unread, now) if _is_final(unread, waited) else None
            drift = drift_of(found, baseline, record.survey.drift, now)
            return _answered(record, annotated(drift, record.survey.mends, may_mend=settings.mends_drift, now=now))
        case _:
            return None


def _found(detection: str, stack_drift: StackDrift, stack: str) -> Read[Sequence[ResourceDrift]] | None:
    """Read what a detection found; None while it runs."""
    read = stack_drift.detection(detection)
    if is_unread(read):
        return read
    return stack_drift.resources(stack, read.began) if read.is_over else None


def _is_final(unread: Unread, waited: timedelta) -> bool:
    """A denial is not lifted by waiting; a stack that is being deployed is compared later."""
    return isinstance(unread, Denied) or waited >= _GIVE_UP_AFTER


def _unanswered(record: SurveyRecord, unread: Unread, now: datetime) -> SurveyRecord:
    lacking = {*record.survey.lacking, *([unread.action] if isinstance(unread, Denied) else [])}
    survey = replace(record.survey, lacking=tuple(sorted(lacking)))
    return _answered(replace(record, survey=survey), not_known(unread, now), is_news=not may_pass(unread))


def _answered(record: SurveyRecord, drift: Drift, *, is_news: bool = True) -> SurveyRecord:
    """Put an answer into the survey on record, with what became worse and is now to be told."""
    answered = replace(
        record,
        survey=replace(record.survey, drift=drift),
        known=_known(record, drift),
        watch=Watch(),
        owed=owing(record, Owed.DRIFT_METRIC, Owed.REPORTS),
    )
    worse = tuple(_worse(record, drift)) if is_news else ()
    if not worse:
        return answered
    told_now = {each.key for each in worse}
    untold = record.changes if Owed.NOTICE in record.owed else ()
    return replace(
        answered,
        changes=(*(each for each in untold if each.key not in told_now), *worse),
        changed_at=drift.at,
        owed=owing(record, Owed.DRIFT_METRIC, Owed.REPORTS, Owed.EVENT, Owed.NOTICE),
    )


def _known(record: SurveyRecord, drift: Drift) -> dict[str, str]:
    if drift.state is DriftState.NOT_KNOWN:
        return dict(record.known)
    others = {key: state for key, state in record.known.items() if not is_of_drift(key)}
    properties = {_key_of(each): DriftState.DRIFTED.value for each in drift.differences}
    return {**others, **properties, _KEY: drift.state.value}


def is_of_drift(key: str) -> bool:
    """Check whether something to be told is the drift, a part of it, or what was done about it."""
    return key == _KEY or key.startswith(f"{_KEY}:") or is_of_mend(key)


def _key_of(difference: Difference) -> str:
    return f"{_KEY}:{difference.key}"


def still_so(change: Change, drift: Drift) -> bool:
    """Check whether what a change of the drift says is so in another answer; what was done stays done."""
    if is_of_mend(change.key):
        return True
    if change.key == _KEY:
        return drift.state is DriftState.NOT_KNOWN
    return change.key in {f"{_KEY}:{each.resource}" for each in drift.differences}


def _worse(record: SurveyRecord, drift: Drift) -> Iterator[Change]:
    """List each resource with properties that newly drifted, and whether the drift is no longer known."""
    before = record.survey.drift.state
    if drift.state is DriftState.NOT_KNOWN and before in (DriftState.IN_SYNC, DriftState.DRIFTED):
        yield Change(key=_KEY, title=TITLE, before=before.value, after=drift.state.value, says=drift.says)
    new = [each for each in drift.differences if _key_of(each) not in record.known]
    for resource in dict.fromkeys(each.resource for each in new):
        properties = [each for each in new if each.resource == resource]
        yield Change(
            key=f"{_KEY}:{resource}",
            title=f"{resource} ({properties[0].type})",
            before=DriftState.IN_SYNC.value,
            after=DriftState.DRIFTED.value,
            says=tuple(_sentences(properties)),
            todo=properties[0].closes,
        )


def _sentences(properties: Sequence[Difference]) -> Iterator[str]:
    for each in properties[:_NAMED]:
        says = "".join(f" {sentence}" for sentence in each.says)
        yield f"{each.path or 'The resource'}: expected {each.expected}, found {each.found}.{says}"
    if more := len(properties[_NAMED:]):
        yield f"Properties beside these: {more}."
