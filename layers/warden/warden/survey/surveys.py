"""The survey of every day: made, put on record, and people and programs told of what became worse.

The record is written first, with what is still owed. The owed parts are done in order, and each is marked as done
afterwards: the next run finishes one that died. Every part may be done twice (decision 6). A part that fails stays
owed, and stops neither later parts nor the next survey; the caller fails the run at the end.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from warden.core.clock import Clock, to_text
from warden.core.errors import Conflict
from warden.core.ledger import EXPIRY, Key, Put, retry_on_conflict, version_of
from warden.core.ports import AccountReader, Announcements, HasLedger, HasNotices, Reports
from warden.logs.group_level import GroupLevel, read_group_level
from warden.settings import Settings
from warden.survey.controls import Baseline
from warden.survey.facts import lacking, read_facts
from warden.survey.judge import JUDGES
from warden.survey.liveness import LINES, Heard, Sign
from warden.survey.mends import Ports as MendPorts
from warden.survey.mends import Terms, mend
from warden.survey.model import Change, Control, Drift, Liveness, Pulse, State, Survey
from warden.survey.notice import body_of, subject_of
from warden.survey.records import LATEST, SURVEYS, Owed, SurveyRecord, WatchState, read_latest
from warden.survey.verdicts import Verdict
from warden.survey.views import SCHEMA_VERSION, survey_json
from warden.survey.watch import drift_of_survey, is_of_drift, step, still_so, watch_of_survey

_EVERY = timedelta(hours=23, minutes=50)
"""A schedule of every quarter of an hour finds a survey due once a day, at about the same time."""

_TRIES_AT_ONCE = 2
_NOTICE_AGAIN = timedelta(minutes=25)
_NOTICE_AT_LAST = timedelta(hours=6)
"""A notice that the ledger does not take as sent is sent by two runs, then after 25 minutes, 50, and so on."""

_PRINTED = (Owed.METRICS, Owed.DRIFT_METRIC)
"""The parts that need no service of AWS: if the ledger cannot record that one is done, the next parts follow anyway."""

_FOLDER = "reports/baseline"
_OFF_RECORD = "off-record"
"""The name of a survey made without the ledger: it does not know since when, and takes no other's place."""


type Page = Callable[[Mapping[str, Any]], str]
"""Makes the page for people from the JSON for programs. It is handed in: its templates are a layer of their own."""


class Ports(HasNotices, MendPorts, Protocol):
    """What a survey touches."""

    @property
    def account_reader(self) -> AccountReader: ...
    @property
    def announcements(self) -> Announcements: ...
    @property
    def reports(self) -> Reports: ...


@dataclass(frozen=True, kw_only=True)
class Surveying:
    """What a survey is handed. It has no plan: a plan that cannot be read is one of its findings."""

    ports: Ports
    settings: Settings
    baseline: Baseline
    clock: Clock
    plan_fault: Callable[[], str]
    """Returns what is wrong with the plan; empty if nothing is."""
    page: Page
    count: Callable[[Survey], None]
    count_drift: Callable[[Drift], None]
    """Print the metrics at once: a run that dies later has printed them."""


@dataclass(frozen=True)
class Run:
    """What a run did: the survey that was due, the drift that was answered, what is still owed, and what failed."""

    survey: Survey | None
    drift: Drift | None
    owed: Sequence[Owed]
    failures: Sequence[Exception]


def survey_when_due(surveying: Surveying, *, now: bool = False) -> Run:
    """Survey the account if a day has passed, or `now`, and do what is owed about the last survey."""
    failures: list[Exception] = []
    try:
        record = read_latest(surveying.ports)
    except Exception as error:  # noqa: BLE001 - whatever it is, the account is surveyed, and then the run fails
        failures.append(error)
        return _off_record(_judged(_NOTHING_READ, surveying), surveying, failures, (_OFF_RECORD,))
    if record is not None:
        record = _settle(record, surveying, failures)
        if not now and _is_of_today(record.survey, surveying.clock()):
            return replace(_watch(record, surveying, failures), survey=None)
    made, is_kept = retry_on_conflict(lambda: _survey_on_record(surveying, failures))
    if not is_kept:
        return _off_record(made, surveying, failures, _names(made))
    return _watch(_settle(made, surveying, failures), surveying, failures)


def _off_record(made: SurveyRecord, surveying: Surveying, failures: list[Exception], names: Sequence[str]) -> Run:
    """Count and store a survey that is not in the ledger: neither step needs the ledger."""
    with _noted(failures):
        _count(made, surveying)
    with _noted(failures):
        _keep(made, surveying, names)
    return Run(made.survey, None, (), failures)


def _is_of_today(survey: Survey, now: datetime) -> bool:
    """Check whether the next survey is not due. One of the future was made before the clock was set back."""
    return timedelta() <= now - survey.at < _EVERY


@contextmanager
def _noted(failures: list[Exception]) -> Iterator[None]:
    """Note what fails, so that the rest is done."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever it is, it ends the run when the rest is done
        failures.append(error)


def _watch(record: SurveyRecord, surveying: Surveying, failures: list[Exception]) -> Run:
    """Take the next step of drift detection and of a change back, and report the result."""
    settings, now = surveying.settings, surveying.clock()
    drift = None
    with _noted(failures):
        if after := step(record, surveying.ports, settings, surveying.baseline, now):
            record = _kept(after, surveying)
            drift = record.survey.drift if record.watch.state is WatchState.IDLE else None
    terms = Terms(mends=settings.mends_drift, stack=settings.baseline_stack, now=now)
    with _noted(failures):
        for _ in ("put on record", "sent"):
            if not (mended := mend(record, surveying.ports, terms)):
                break
            record = _kept(mended, surveying)
    if Owed.METRICS not in record.owed:  # else the ledger took no mark just now
        record = _settle(record, surveying, failures)
    return Run(record.survey, drift, record.owed, failures)


def _committed(record: SurveyRecord, surveying: Surveying) -> SurveyRecord:
    surveying.ports.ledger.commit(Put(LATEST, SURVEYS.record(record), record.version))
    return replace(record, version=record.version + 1)


def _survey_on_record(surveying: Surveying, failures: list[Exception]) -> tuple[SurveyRecord, bool]:
    """Survey, and say whether the ledger took it.

    The next run surveys again what the ledger did not record. Nobody is notified of it, as every run would do so again.
    """
    made = _survey(surveying)
    try:
        return _kept(made, surveying), True
    except Conflict:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the reports are written, and then the run fails
        failures.append(error)
        return made, False


@dataclass(frozen=True, kw_only=True)
class _OfLedger:
    """What a survey takes from the ledger."""

    last: SurveyRecord | None = None
    group_level: GroupLevel | None = None
    audits: frozenset[str] = frozenset()
    was_read: bool = True


_NOTHING_READ = _OfLedger(was_read=False)


def _survey(surveying: Surveying) -> SurveyRecord:
    ports = surveying.ports
    last = read_latest(ports)
    audits = _audits_heard(ports, surveying.baseline)
    return _judged(_OfLedger(last=last, group_level=read_group_level(ports.ledger), audits=audits), surveying)


def _judged(known: _OfLedger, surveying: Surveying) -> SurveyRecord:
    ports, settings, now = surveying.ports, surveying.settings, surveying.clock()
    last = known.last
    facts = read_facts(ports.account_reader, settings, now, known.group_level, has_ledger=known.was_read)
    heard = Heard(plan_fault=surveying.plan_fault(), began=last.began if last else now, audits=known.audits)
    verdicts = {each: JUDGES[each](facts, settings, surveying.baseline) for each in surveying.baseline.controls}
    signs = {each.key: each.judge(facts, settings, heard) for each in LINES}
    survey = Survey(
        at=now,
        account=settings.account,
        region=settings.region,
        stack=settings.event_source,
        baseline_stack=settings.baseline_stack,
        controls=tuple(_controls(verdicts, surveying.baseline, now, last)),
        liveness=tuple(_liveness(signs, now, last)),
        lacking=tuple(lacking(facts)),
        drift=drift_of_survey(facts, last),
        mends=last.survey.mends if last else (),
    )
    may_pass = {f"control:{key}" for key, each in verdicts.items() if each.may_pass}
    may_pass |= {f"liveness:{key}" for key, each in signs.items() if each.may_pass}
    worse = tuple(_worse(survey, last)) if last else ()
    unheard = tuple(each.key for each in worse if each.after == State.NOT_KNOWN and each.key in may_pass)
    changes = tuple(each for each in worse if each.key not in unheard)
    record = SurveyRecord(
        survey=survey,
        began=heard.began,
        known={**(last.known if last else {}), **_known(survey)},
        changes=changes,
        owed=tuple(_owed(changes, last)),
        watch=watch_of_survey(facts, last),
        unheard=unheard,
        tries=last.tries if last and Owed.NOTICE in last.owed else 0,
        tried_at=last.tried_at if last else None,
    )
    return replace(record, version=last.version if last else 0)


def _owed(changes: Sequence[Change], last: SurveyRecord | None) -> Iterator[Owed]:
    yield Owed.METRICS
    if last and Owed.DRIFT_METRIC in last.owed:
        yield Owed.DRIFT_METRIC
    yield Owed.REPORTS
    if changes:
        yield from (Owed.EVENT, Owed.NOTICE)


def _kept(record: SurveyRecord, surveying: Surveying) -> SurveyRecord:
    """Commit a survey as the last one and as that of its day."""
    ledger, at = surveying.ports.ledger, record.survey.at
    day = Key("SURVEY", f"{at:%Y-%m-%d}")
    of_day = {**SURVEYS.record(record), EXPIRY: int((at + surveying.settings.case_retention).timestamp())}
    ledger.commit(
        Put(LATEST, SURVEYS.record(record), record.version),
        Put(day, of_day, version_of(ledger.read(day))),
    )
    return replace(record, version=record.version + 1)


def _audits_heard(ports: HasLedger, baseline: Baseline) -> frozenset[str]:
    """List the audits that `ingest` has read a check of, the last of each check."""
    records = (ports.ledger.read(Key(f"AUDIT#{check}", "SETTLE")) for check in sorted(baseline.checks))
    return frozenset(record["task"] for record in records if record is not None)


def _controls(
    verdicts: Mapping[str, Verdict], baseline: Baseline, now: datetime, last: SurveyRecord | None
) -> Iterator[Control]:
    before = {each.key: each for each in last.survey.controls} if last else {}
    for key, terms in baseline.controls.items():
        verdict = verdicts[key]
        same = key in before and before[key].state is verdict.state
        yield Control(
            number=terms.number,
            key=key,
            title=terms.title,
            state=verdict.state,
            owner=verdict.owner,
            since=before[key].since if same else now,
            says=verdict.says,
            evidence=verdict.evidence,
            closes=verdict.closes,
        )


def _liveness(signs: Mapping[str, Sign], now: datetime, last: SurveyRecord | None) -> Iterator[Liveness]:
    before = {each.key: each for each in last.survey.liveness} if last else {}
    for line in LINES:
        sign = signs[line.key]
        same = line.key in before and before[line.key].pulse is sign.pulse
        yield Liveness(
            key=line.key,
            title=line.title,
            pulse=sign.pulse,
            since=before[line.key].since if same else now,
            says=sign.says,
            evidence=sign.evidence,
            fix=line.fix,
        )


# --- What became worse -----------------------------------------------------------------------------------------------

_RANKS: Mapping[str, int] = {State.ON: 2, State.PARTLY: 1, State.OFF: 0, Pulse.OK: 2, Pulse.WRONG: 0}
"""The states that can be compared; the others say that there is nothing to compare."""


def _entries(survey: Survey) -> Iterator[tuple[str, str, Control | Liveness]]:
    yield from ((f"control:{each.key}", each.state.value, each) for each in survey.controls)
    yield from ((f"liveness:{each.key}", each.pulse.value, each) for each in survey.liveness)


def _known(survey: Survey) -> dict[str, str]:
    return {key: state for key, state, _ in _entries(survey) if state in _RANKS}


def _worse(survey: Survey, last: SurveyRecord) -> Iterator[Change]:
    """List what is worse than it was last known to be, and what of the last survey nobody was told."""
    states = {key: state for key, state, _ in _entries(last.survey)}
    untold = {each.key: each.before for each in last.changes if Owed.NOTICE in last.owed}
    for key, after, entry in _entries(survey):
        before = untold.get(key, _last_of(key, after, states, last))
        if before and _is_worse(before, after):
            todo = entry.closes if isinstance(entry, Control) else (entry.fix,)
            yield Change(key=key, title=entry.title, before=before, after=after, says=entry.says, todo=todo)
    if Owed.NOTICE in last.owed:
        yield from (each for each in last.changes if is_of_drift(each.key) and still_so(each, survey.drift))


def _last_of(key: str, after: str, states: Mapping[str, str], last: SurveyRecord) -> str:
    """Return the state to compare with: the very last if this one is not known, so that it is said once."""
    is_said_once = after == State.NOT_KNOWN and key not in last.unheard
    return states.get(key, "") if is_said_once else last.known.get(key, "")


def _is_worse(before: str, after: str) -> bool:
    if after == State.NOT_KNOWN:
        return _RANKS.get(before, 0) > 0
    return after in _RANKS and _RANKS[after] < _RANKS.get(before, 0)


# --- What is owed ----------------------------------------------------------------------------------------------------


def _settle(record: SurveyRecord, surveying: Surveying, failures: list[Exception]) -> SurveyRecord:
    """Do what is owed; what cannot be done now stays owed, and what comes after it is done all the same.

    Where the ledger takes no mark that something was done, the rest waits: every run would do it again.
    """
    for each in record.owed:
        if each is Owed.NOTICE and _waits(record, surveying.clock()):
            continue
        try:
            record = _settled(each, record, surveying, failures)
        except Exception as error:  # noqa: BLE001 - a mark that was not made; a conflict, too: the next run reads again
            failures.append(error)
            if each not in _PRINTED:
                break
    return record


def _settled(duty: Owed, record: SurveyRecord, surveying: Surveying, failures: list[Exception]) -> SurveyRecord:
    """Do one thing that is owed, and mark it. A notice is marked as tried before, so that it is not sent for ever."""
    before = record
    if duty is Owed.NOTICE:
        record = _committed(replace(record, tries=record.tries + 1, tried_at=surveying.clock()), surveying)
    try:
        _DUTIES[duty](record, surveying)
    except Exception as error:  # noqa: BLE001 - whatever it is, it stays owed, and the run fails at its end
        failures.append(error)
        if duty is not Owed.NOTICE:
            return record
        return _committed(replace(before, version=record.version), surveying)  # nothing was sent: it needs no wait
    owed = tuple(each for each in record.owed if each is not duty)
    tries = 0 if duty is Owed.NOTICE else record.tries
    return _committed(replace(record, owed=owed, tries=tries), surveying)


def _waits(record: SurveyRecord, now: datetime) -> bool:
    """Check whether the notice may have been sent already, and more than once: it is sent again ever more seldom."""
    if record.tries < _TRIES_AT_ONCE or record.tried_at is None:
        return False
    doublings = min(record.tries - _TRIES_AT_ONCE, 8)
    return abs(now - record.tried_at) < min(_NOTICE_AGAIN * (1 << doublings), _NOTICE_AT_LAST)


def _count(record: SurveyRecord, surveying: Surveying) -> None:
    surveying.count(record.survey)


def _count_drift(record: SurveyRecord, surveying: Surveying) -> None:
    surveying.count_drift(record.survey.drift)


def _keep_reports(record: SurveyRecord, surveying: Surveying) -> None:
    _keep(record, surveying, _names(record))


def _names(record: SurveyRecord) -> Sequence[str]:
    return f"{record.survey.at:%Y-%m-%d}", "latest"


def _keep(record: SurveyRecord, surveying: Surveying, names: Sequence[str]) -> None:
    """Keep the survey for programs and then for people: a page that cannot be made costs only the page."""
    survey = survey_json(record.survey)
    keep, text = surveying.ports.reports.keep_page, json.dumps(survey, indent=1)
    for name in names:
        keep(f"{_FOLDER}/{name}.json", text, "application/json")
    page = surveying.page(survey)
    for name in names:
        keep(f"{_FOLDER}/{name}.html", page, "text/html; charset=utf-8")


def _announce(record: SurveyRecord, surveying: Surveying) -> None:
    surveying.ports.announcements.publish_survey(event_of(record))


def _tell_people(record: SurveyRecord, surveying: Surveying) -> None:
    report = f"s3://{surveying.settings.evidence_bucket}/{_FOLDER}/latest.json"
    surveying.ports.notices.send(subject_of(record.changes), body_of(record.survey, record.changes, report))


def event_of(record: SurveyRecord) -> dict[str, Any]:
    """Return the event: what became worse. Its id is the same however often it is sent."""
    survey, at = record.survey, to_text(record.changed_at or record.survey.at)
    return {
        "schema": SCHEMA_VERSION,
        "id": f"survey:{at}",
        "account": survey.account,
        "region": survey.region,
        "at": at,
        "changes": [
            {"key": each.key, "before": each.before, "after": each.after, "says": [*each.says]}
            for each in record.changes
        ],
    }


_DUTIES: Mapping[Owed, Callable[[SurveyRecord, Surveying], None]] = {
    Owed.METRICS: _count,
    Owed.DRIFT_METRIC: _count_drift,
    Owed.REPORTS: _keep_reports,
    Owed.EVENT: _announce,
    Owed.NOTICE: _tell_people,
}
