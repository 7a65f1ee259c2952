"""Follow a case after a decision, until no work on it is under way."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from warden.cases.model import StepKind
from warden_cli.errors import NotReached, NotYet
from warden_cli.responses import CaseFile, Entry, case_file_in, cases_in, understood
from warden_cli.terminal import pasted, shown

_FAILURES_BORNE = 5
"""How many requests in a row may go unanswered; the work continues in the meantime."""


class Service(Protocol):
    """The service that is asked."""

    def ask(self, command: str, **arguments: str) -> Mapping[str, Any]: ...


class Told(Protocol):
    """The page that gets each new line."""

    def __call__(self, entry: Entry, /) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a followed case came to rest."""

    file: CaseFile
    went_wrong: Sequence[Entry]

    @property
    def wrong(self) -> list[dict[str, str]]:
        """What went wrong, for programs."""
        return [{"kind": each.kind, "what": each.what, "why": each.why} for each in self.went_wrong]

    @property
    def complaint(self) -> str:
        """What went wrong last, in words; empty if nothing did."""
        if not self.went_wrong:
            return ""
        last = self.went_wrong[-1]
        return f"Not all went well. {shown(f'{last.what}: {last.why}' if last.why else last.what)}"


@dataclass(frozen=True, kw_only=True)
class Awaited:
    """The decision to follow: its own line in the timeline shows that the service began with it.

    Without a decision it is a case to follow from its beginning: the plan's answer shows that the service began.
    """

    case: str
    decision: str
    request: str
    lines_before: int

    def is_taken(self, new: Sequence[Entry]) -> bool:
        """Check whether the service has begun with it."""
        if not self.decision:
            return any(entry.kind == StepKind.DECIDED for entry in new)
        if any(self.request and entry.facts.get("request") == self.request for entry in new):
            return True
        return not self.request and any(
            entry.kind in _TAKEN and entry.facts.get("decision") == self.decision for entry in new
        )


_TAKEN = (StepKind.DECISION_TAKEN, StepKind.DECISION_REFUSED)


def follow(service: Service, awaited: Awaited, told: Told, *, seconds: float, pause: float = 2.0) -> Ending:
    """Ask repeatedly and print each new line, until the case is at rest.

    Raises:
        NotYet: when that takes longer than `seconds`.
        NotReached: when the service stops answering.
    """
    seen, taken = awaited.lines_before, False

    def look() -> Ending | None:
        nonlocal seen, taken
        file = understood(case_file_in, service.ask("show", case=awaited.case))
        for entry in file.timeline[seen:]:
            told(entry)
        seen = max(seen, len(file.timeline))
        new = file.timeline[awaited.lines_before :]
        taken = awaited.is_taken(new)
        if not (taken and _is_at_rest(file)):
            return None
        return Ending(file=file, went_wrong=[entry for entry in new if entry.is_failure])

    return _until(look, lambda: _still(awaited, taken, seconds), seconds=seconds, pause=pause)


def case_of(service: Service, thing: str, finding: str, *, seconds: float, pause: float = 2.0) -> str:
    """Ask repeatedly for the case of a thing that has a finding; return its id.

    Raises:
        NotYet: when none has it within `seconds`.
        NotReached: when the service stops answering.
    """

    def look() -> str | None:
        listed = understood(cases_in, service.ask("cases", thing=thing))
        return next((case.id for case in listed if finding in case.findings), None)

    def late() -> str:
        where = f"`warden cases --thing {pasted(thing)}`"
        return f"the finding was not taken up within {seconds:g} s; it stays queued: look with {where}"

    return _until(look, late, seconds=seconds, pause=pause)


def _until[T](look: Callable[[], T | None], late: Callable[[], str], *, seconds: float, pause: float) -> T:
    """Look repeatedly until something is found; `late` returns what is known when the time is up."""
    deadline, unanswered = time.monotonic() + seconds, 0
    while True:
        try:
            found = look()
            unanswered = 0
        except NotReached:
            unanswered += 1
            if unanswered > _FAILURES_BORNE:
                raise
        else:
            if found is not None:
                return found
        if time.monotonic() >= deadline:
            raise NotYet(late())
        time.sleep(pause)


def _is_at_rest(file: CaseFile) -> bool:
    case = file.case
    if case.state == "closed":
        return True  # other jobs of the device end by themselves and do not change this case's state
    if case.state in ("responding", "recovering"):
        return False
    # On a contained device an action that is planned is one that was just asked for.
    busy = ("started", "planned") if case.state == "contained" else ("started",)
    return not any(action.progress in busy for action in case.actions)


def _still(awaited: Awaited, taken: bool, seconds: float) -> str:
    case = shown(awaited.case)
    if not taken:
        return (
            f"it was not taken up within {seconds:g} s; it stays queued, unless it was refused meanwhile: "
            f"look with `warden show {case}`"
        )
    return f"still under way after {seconds:g} s; the service continues by itself: look with `warden show {case}`"
