"""What each field of each record and each log line may hold: an enum's value, an id, a time, a number, or words.

Words stand only where WORDS is said here. What a detector or a device sent is OUTSIDE: kept, never decided on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from warden.campaigns.inventory_runs import InventoryResult
from warden.campaigns.records import CampaignState, MemberResult, MemberState
from warden.cases.allowed import Decision
from warden.cases.model import CaseState, Progress, Resolution, StepKind
from warden.containment.snapshot import ContainmentState
from warden.core.findings import Severity, Source, SubjectType
from warden.core.mode import Mode
from warden.devices.rotation_records import RotationState
from warden.logs.group_level import LevelState
from warden.plan.actions import TOUCHING
from warden.plan.governor import Grounds
from warden.respond.followups import Retired
from warden.survey.model import DriftState, MendState, Owner, Pulse, State
from warden.survey.records import Owed, WatchState

type Form = Callable[[Any], bool]

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_ID = re.compile(r"[!-~]{1,400}")
_CODE = re.compile(r"[a-z]+(-[a-z]+)*")


def one_of(*enums: type[StrEnum]) -> Form:
    """Accept the values of enums, which are in kebab-case themselves."""
    values = {str(value): enum.__name__ for enum in enums for value in enum}
    faults = [f"{enum}: {value!r}" for value, enum in values.items() if not _CODE.fullmatch(value)]
    assert not faults, f"not in kebab-case: {', '.join(faults)}"
    return lambda value: value in values


def or_none(form: Form) -> Form:
    """Accept the empty string too."""
    return lambda value: value == "" or form(value)


def each(form: Form) -> Form:
    """Accept a list of them."""
    return lambda value: isinstance(value, list | tuple) and all(map(form, value))


def by_name(names: Form, values: Form) -> Form:
    """Accept an object with such names and values."""
    return lambda value: isinstance(value, Mapping) and all(names(k) and values(v) for k, v in value.items())


def fields(**forms: Form) -> Form:
    """Accept an object with exactly these fields."""
    return lambda value: value.keys() == forms.keys() and all(form(value[name]) for name, form in forms.items())


def TIME(value: Any) -> bool:  # noqa: N802 - read as constants in the table
    return isinstance(value, str) and bool(_TIME.fullmatch(value))


def ID(value: Any) -> bool:  # noqa: N802
    return isinstance(value, str) and bool(_ID.fullmatch(value))


def CODE(value: Any) -> bool:  # noqa: N802
    return isinstance(value, str) and bool(_CODE.fullmatch(value))


def NUMBER(value: Any) -> bool:  # noqa: N802
    return isinstance(value, int) and not isinstance(value, bool)


def FLAG(value: Any) -> bool:  # noqa: N802
    return isinstance(value, bool)


def WORDS(value: Any) -> bool:  # noqa: N802
    return isinstance(value, str)


def OUTSIDE(value: Any) -> bool:  # noqa: N802, ARG001
    return True


def SUBJECT(value: Any) -> bool:  # noqa: N802
    """Accept a thing's name, or what else a case is about: its type and its name."""
    kind, _, name = str(value).partition(" ")
    return ID(value) or (kind in (*SubjectType, "thing", "certificate") and name != "")


def WINDOW(value: Any) -> bool:  # noqa: N802
    """Accept what is counted over which time; a rule's name may have blanks."""
    return bool(re.fullmatch(r"(all|campaign|rule [ -~]+)#(hour|day)", str(value)))


ACTION: Form = TOUCHING.__contains__
TALLY = by_name(CODE, NUMBER)
STEP_FACTS: dict[str, Form] = {
    "action": ACTION,
    "decision": one_of(Decision),
    "grounds": one_of(Grounds),
    "code": CODE,
    "job": ID,
    "request": ID,
    "campaign": ID,
    "batch": NUMBER,
    "topic": OUTSIDE,
    "files": OUTSIDE,
    "certificates": each(ID),
    "policies": each(ID),
    "groups": each(ID),
}


def FACTS(value: Any) -> bool:  # noqa: N802
    """Accept the facts of a step; under any other name stands what a detector said."""
    return isinstance(value, Mapping) and all(STEP_FACTS.get(name, OUTSIDE)(fact) for name, fact in value.items())


DUE: dict[str, Form] = {"due": ID, "due_at": TIME}
FORMS: dict[str, dict[str, Form]] = {
    "case": {
        "case_id": ID,
        "problem": ID,
        "source": one_of(Source),
        "kind": OUTSIDE,
        "subject": fields(type=one_of(SubjectType), name=OUTSIDE),
        "severity": one_of(Severity),
        "title": WORDS,
        "case_state": one_of(CaseState),
        "opened_at": TIME,
        "findings": by_name(OUTSIDE, FLAG),
        "attributes": OUTSIDE,
        "evidence": OUTSIDE,
        "rule": or_none(ID),
        "mode": or_none(one_of(Mode)),
        "outcomes": by_name(ACTION, fields(progress=one_of(Progress), detail=WORDS, job_id=or_none(ID))),
        "admitted": FLAG,
        "affected": each(ID),
        "approved_by": or_none(ID),
        "approved_at": or_none(TIME),
        "released_by": or_none(ID),
        "released_at": or_none(TIME),
        "accepts_changes": FLAG,
        "resolution": or_none(one_of(Resolution)),
        "closed_at": or_none(TIME),
        "acted_before": or_none(TIME),
        "decided_on": OUTSIDE,
        "case_thing": ID,
    },
    "step": {"at": TIME, "kind": one_of(StepKind), "who": SUBJECT, "why": WORDS, "facts": FACTS},
    "problem": {
        "case_id": or_none(ID),
        "is_open": FLAG,
        "generation": NUMBER,
        "closed_at": or_none(TIME),
        "acted_at": or_none(TIME),
        "ended": by_name(OUTSIDE, TIME),
    },
    "passed": {"thing": ID},
    "unconfirmed": {"thing": SUBJECT, "finding": OUTSIDE, "asked": NUMBER},
    "outbox": {
        "case_id": ID,
        "thing": SUBJECT,
        "announced_states": each(ID),
        "announced": or_none(ID),
        "in_security_hub": or_none(ID),
        "refusals_seen": each(ID),
        "handled_request_ids": each(ID),
        "held_for_all": FLAG,
        "told_version": NUMBER,
    },
    "refusal": {"code": CODE, "reason": WORDS, "about": OUTSIDE, "at": TIME},
    "digest": {"thing": ID, "state": one_of(CaseState), "since": TIME, "told": each(ID)},
    "switch": {"stopped": FLAG, "who": ID, "why": WORDS, "at": TIME},
    "switch-order": {"stopped": FLAG, "who": ID, "why": WORDS, "at": TIME},
    "counter": {"window": WINDOW, "counts": by_name(TIME, NUMBER)},
    "audit-check": {"thing": ID, "task": ID, "check": ID, "read_at": TIME},
    "group": {"group": ID, "carries_policies": FLAG, "read_at": TIME},
    "group-level": {
        "state": one_of(LevelState),
        "wanted": FLAG,
        "ours": FLAG,
        "action": or_none(ID),
        "code": or_none(ID),
        "found": or_none(ID),
        "since": TIME,
        "checked_at": TIME,
    },
    "containment": {
        "thing": ID,
        "state": one_of(ContainmentState),
        "policies": by_name(ID, each(ID)),
        "groups": each(ID),
        "all_groups": each(ID),
        "cases": each(ID),
        "began_at": TIME,
        "in_restricted_group": FLAG,
        "released_at": or_none(TIME),
        "looked_at": or_none(TIME),
    },
    "desired": {
        "certificate": ID,
        "holders": each(ID),
        "before": each(ID),
        "drift": each(ID),
        "leaving": each(ID),
        "touched": FLAG,
        "changed_at": TIME,
    },
    "job": {"job_id": ID, "action": ACTION, "case_id": ID, "thing": ID, "began_at": TIME, "uploads": OUTSIDE},
    "job-look": {"job_id": ID, "thing": ID, "looks": NUMBER},
    "key": {"thing": ID, "certificate": or_none(ID)},
    "retirement": {"certificate": ID, "thing": ID, "outcome": one_of(Retired), "seen_in_use": FLAG, "unused": FLAG},
    "rotation": {
        "thing": ID,
        "job_id": ID,
        "case_id": ID,
        "state": one_of(RotationState),
        "old": each(ID),
        "new": or_none(ID),
        "request": or_none(ID),
        "key": or_none(ID),
        "issuing_since": or_none(TIME),
        "issued": NUMBER,
        "spent": each(ID),
        "confirmed_at": or_none(TIME),
    },
    "campaign": {
        "thing": ID,
        "campaign": ID,
        "state": one_of(CampaignState),
        "size": NUMBER,
        "began_at": TIME,
        "step": NUMBER,
        "batches": NUMBER,
        "out": NUMBER,
        "of_step": TALLY,
        "in_all": TALLY,
        "why": WORDS,
        "who": or_none(ID),
        "requests": each(ID),
        "announced_states": each(ID),
        "quiet_since": or_none(TIME),
    },
    "member": {
        "thing": ID,
        "campaign": ID,
        "certificate": or_none(ID),
        "created_at": TIME,
        "state": one_of(MemberState),
        "waits_since": TIME,
        "enrolled_by": ID,
        "attempts": NUMBER,
        "batch": NUMBER,
        "job_id": or_none(ID),
        "note": WORDS,
        "case_id": or_none(ID),
    },
    "batch": {
        "thing": ID,
        "campaign": ID,
        "number": NUMBER,
        "job_id": ID,
        "step": NUMBER,
        "things": each(ID),
        "began_at": TIME,
        "sent": FLAG,
        "outcomes": by_name(ID, one_of(MemberResult)),
        "counted": FLAG,
    },
    "sweep": {
        "thing": ID,
        "run": ID,
        "campaign": ID,
        "began_at": TIME,
        "touched_at": TIME,
        "trigger": or_none(ID),
        "page": or_none(ID),
        "inactive": NUMBER,
        "recorded": NUMBER,
        "ended_at": or_none(TIME),
        "enlarged": FLAG,
        "reported": FLAG,
    },
    "renewal": {
        "certificate": ID,
        "created_at": TIME,
        "run": ID,
        "campaign": ID,
        "things": by_name(ID, one_of(InventoryResult)),
    },
    "survey": {
        "survey": fields(
            at=TIME,
            account=ID,
            region=ID,
            stack=ID,
            baseline_stack=ID,
            controls=each(
                fields(
                    number=NUMBER,
                    key=CODE,
                    title=WORDS,
                    state=one_of(State),
                    owner=one_of(Owner),
                    since=TIME,
                    says=each(WORDS),
                    evidence=by_name(CODE, OUTSIDE),
                    closes=each(WORDS),
                )
            ),
            liveness=each(
                fields(
                    key=CODE,
                    title=WORDS,
                    pulse=one_of(Pulse),
                    since=TIME,
                    says=each(WORDS),
                    evidence=by_name(CODE, OUTSIDE),
                    fix=WORDS,
                )
            ),
            lacking=each(ID),
            drift=fields(
                state=one_of(DriftState),
                at=or_none(TIME),
                says=each(WORDS),
                differences=each(
                    fields(
                        resource=OUTSIDE,
                        type=OUTSIDE,
                        path=OUTSIDE,
                        expected=OUTSIDE,
                        found=OUTSIDE,
                        since=TIME,
                        controls=each(NUMBER),
                        mend=OUTSIDE,
                        says=each(WORDS),
                        closes=each(WORDS),
                    )
                ),
                left_out=NUMBER,
                not_checked=each(fields(resource=OUTSIDE, type=OUTSIDE, why=OUTSIDE)),
            ),
            mends=each(
                fields(
                    resource=OUTSIDE,
                    type=OUTSIDE,
                    id=OUTSIDE,
                    path=OUTSIDE,
                    found=OUTSIDE,
                    back_to=OUTSIDE,
                    at=TIME,
                    patch=OUTSIDE,
                    once=ID,
                    request=or_none(ID),
                    state=one_of(MendState),
                    why=WORDS,
                )
            ),
        ),
        "watch": fields(state=one_of(WatchState), since=or_none(TIME), detection=or_none(ID)),
        "changed_at": or_none(TIME),
        "unheard": each(ID),
        "tries": NUMBER,
        "tried_at": or_none(TIME),
        "began": TIME,
        "known": by_name(ID, one_of(State, Pulse, DriftState)),
        "changes": each(
            fields(
                key=ID,
                title=WORDS,
                before=one_of(State, Pulse, DriftState),
                after=one_of(State, Pulse, DriftState, MendState),
                says=each(WORDS),
                todo=each(WORDS),
            )
        ),
        "owed": each(one_of(Owed)),
    },
}
"""The record types. Any of them may stand in the index of what is due, expire, and have a version."""


def faults_in(record: Mapping[str, Any]) -> Iterator[str]:
    """List the fields of a record that this table does not know, or that hold what they may not."""
    forms = FORMS.get(str(record.get("type")))
    if forms is None:
        yield f"a record of no known type: {record.get('type')!r}"
        return
    known = {"type": CODE, "expires_at": NUMBER, "version": NUMBER, "v": NUMBER, **DUE, **forms}
    for name, value in record.items():
        if name not in known:
            yield f"{record['type']}.{name}: no form is known"
        elif not known[name](value):
            yield f"{record['type']}.{name}: {value!r}"


LINES: dict[str, dict[str, Form]] = {
    "message refused": {"message_id": ID, "result": CODE, "reason": WORDS},
    "message taken in": {"message_id": ID, "findings": NUMBER},
    "message handled": {"message_id": ID, "type": OUTSIDE, "result": CODE, "reason": WORDS},
    "message waits": {"message_id": ID},
    "message failed": {"message_id": ID},
    "device answered": {"message_id": ID, "thing": ID, "resource": OUTSIDE, "verb": OUTSIDE, "result": CODE},
    "job event": {"message_id": ID, "result": CODE},
    "certificates swept": {"message_id": or_none(ID), "result": CODE},
    "account surveyed": {
        "states": by_name(one_of(State), NUMBER),
        "wrong": each(CODE),
        "lacking": each(ID),
    },
    "drift read": {"state": one_of(DriftState), "count": NUMBER},
    "not everything could be done": {"owed": each(one_of(Owed))},
    "swept": {"queued": NUMBER},
    "level of the restricted group": {
        "state": one_of(LevelState),
        "action": or_none(ID),
        "code": or_none(ID),
        "found": or_none(ID),
    },
    "operator answered": {"who": ID, "command": CODE, "case": or_none(ID)},
    "operator refused": {"who": or_none(ID), "code": CODE},
    "account set up": {"request": ID},
    "account not set up": {},
}
"""The log lines and what stands beside each."""


def faults_in_line(message: str, extra: Mapping[str, Any]) -> Iterator[str]:
    """List the fields of a log line that hold what they may not."""
    forms = LINES.get(message)
    if forms is None:
        yield f"a line that is not known: {message!r}"
        return
    for name, value in extra.items():
        if name not in forms:
            yield f"{message}: {name}: no form is known"
        elif not forms[name](value):
            yield f"{message}: {name}: {value!r}"
