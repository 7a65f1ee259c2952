"""What a finding costs us: our own CPU time for each stage, and the memory of an audit of 50,000 findings.

`make bench` prints a table and writes build/bench/findings.json; it fails when a limit is passed. The fakes stand for
AWS, and the time spent in them is taken off: what remains is the code that we wrote.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import mean, quantiles
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.audit_memory import AuditMemory, measure
from tests.fakes import PLAN, SETTINGS, World, a_finding, an_old_certificate
from tests.unit.ingest.detectors.samples import findings_of, message_of
from warden.cases.model import Case, CaseState
from warden.context import Context
from warden.core.findings import Finding
from warden.core.mode import Mode
from warden.core.ports import Ports
from warden.ingest.detectors import Envelope
from warden.ingest.intake import ingest
from warden.notify.case_notices import body_of, subject_of
from warden.queues.messages import send_finding
from warden.respond.dispatch import dispatch

FINDINGS = 2_000
LIMIT_MS = 5.0
LIMIT_MB = 200
AUDIT_FINDINGS = 50_000
RESULT = Path(__file__).parents[2] / "build" / "bench" / "findings.json"

SAMPLES = (
    "detect-violation-in-alarm",
    "audit-finding-certificate",
    "guardduty-device-credentials",
    "security-hub-detect",
    "generic-finding",
)
NO_LIMIT = PLAN.replace("devices_per_hour = 20", "devices_per_hour = 100000")
HELD_AFTER = 20
"""What the limit of the fakes' plan lets through."""

TO_APPROVE = NO_LIMIT.replace('mode = "enforce"', 'mode = "approve"')


@dataclass(frozen=True)
class Stage:
    """What one stage costs; 99 of 100 findings cost at most `p99_ms`."""

    stage: str
    what: str
    findings: int
    mean_ms: float
    p99_ms: float

    @property
    def is_within(self) -> bool:
        """Whether it keeps the limit, also in a bad moment."""
        return self.p99_ms < LIMIT_MS


class Stopwatch:
    """Counts this process's CPU time, except what is spent in the ports."""

    def __init__(self) -> None:
        self._elsewhere = 0.0

    def time(self, work: Callable[[], object]) -> float:
        """Run something; return our own seconds of it."""
        elsewhere, begin = self._elsewhere, process_time()
        work()
        return process_time() - begin - (self._elsewhere - elsewhere)

    def leaves_out(self, context: Context) -> Context:
        """Return the same service with ports whose time is not counted."""
        ports = {port.name: _Apart(getattr(context.ports, port.name), self) for port in fields(Ports)}
        return replace(context, ports=Ports(**ports))

    def elsewhere(self, work: Callable[[], Any]) -> Any:
        """Run something whose time does not count."""
        begin = process_time()
        try:
            found = work()
            # What is read lazily would be read on our time.
            return iter(list(found)) if isinstance(found, Iterator) else found
        finally:
            self._elsewhere += process_time() - begin


class _Apart:
    """A port whose time does not count."""

    def __init__(self, port: Any, watch: Stopwatch) -> None:
        self._port = port
        self._watch = watch

    def __getattr__(self, name: str) -> Callable[..., Any]:
        call = getattr(self._port, name)
        return lambda *args, **kwargs: self._watch.elsewhere(lambda: call(*args, **kwargs))


def _stage(stage: str, what: str, seconds: Sequence[float]) -> Stage:
    return Stage(
        stage, what, len(seconds), round(mean(seconds) * 1000, 3), round(quantiles(seconds, n=100)[-1] * 1000, 3)
    )


# --- intake: a message becomes a finding on the case queue ---------------------------------------------------------


def intake_stages() -> Iterator[Stage]:
    """Read one message after the other, each of its own finding."""
    for name in SAMPLES:
        message, envelope = message_of(name)
        known = findings_of(name)[0].id
        bodies = [json.dumps(message).replace(known, f"finding-{number}") for number in range(FINDINGS)]
        yield _stage("intake", name, _taken_in(bodies, envelope))


def _taken_in(bodies: Sequence[str], envelope: Envelope) -> list[float]:
    world, watch = _a_world([], NO_LIMIT), Stopwatch()
    context = watch.leaves_out(world.context)
    seconds = [watch.time(partial(ingest, body, envelope, context, _plenty)) for body in bodies]
    if len(world.queue) != len(bodies):
        raise SystemExit(f"{len(world.queue)} of {len(bodies)} findings were queued: {world.refusals[:3]}")
    return seconds


def _plenty() -> timedelta:
    return timedelta(minutes=10)


# --- respond, and what people are told -----------------------------------------------------------------------------


def respond_stages() -> Iterator[Stage]:
    """Deal with one finding after the other, each of a device of its own; the notices of a world are written again."""
    names = [f"pump-{number}" for number in range(FINDINGS)]
    stages: Sequence[tuple[str, str, Callable[[str], Finding], CaseState]] = (
        ("quarantined, logs asked for", NO_LIMIT, a_finding, CaseState.CONTAINED),
        ("rotation begun", NO_LIMIT, an_old_certificate, CaseState.RESPONDING),
        ("waits for approval", TO_APPROVE, a_finding, CaseState.AWAITING_APPROVAL),
        ("held by the limit", PLAN, a_finding, CaseState.HELD),
        ("recorded and told", NO_LIMIT, lambda name: a_finding(name, kind="aws:source-ip-address"), CaseState.OPEN),
    )
    for what, plan, finding, state in stages:
        world, watch = _a_world(names, plan), Stopwatch()
        context = watch.leaves_out(world.context)
        yield _stage("respond", what, [_responded(finding(name), world, context, watch) for name in names])
        cases = world.cases
        reached = sum(case.state is state for case in cases)
        if reached < FINDINGS - HELD_AFTER:
            raise SystemExit(
                f"{what}: only {reached} of {FINDINGS} findings are {state}, so something else was measured"
            )
        told = [watch.time(partial(_write_notice, case, world.context)) for case in cases]
        yield _stage("notice", what, told)


def _responded(finding: Finding, world: World, context: Context, watch: Stopwatch) -> float:
    send_finding(world.queue, replace(finding, id=f"finding-of-{finding.subject.name}"))
    spent = 0.0

    def handle(message: Mapping[str, Any]) -> None:
        nonlocal spent
        spent += watch.time(lambda: dispatch(message, context))

    world.queue.drain(handle, receives=1)
    world.queue.groups.clear()
    if world.queue.parked:
        raise world.queue.parked[0].error
    return spent


def _write_notice(case: Case, context: Context) -> None:
    subject_of(case)
    body_of(case, context.settings, "why")


def _a_world(names: Sequence[str], plan: str) -> World:
    world = World(plan=plan, settings=replace(SETTINGS, mode=Mode.ENFORCE), receives=1)
    for name in names:
        world.enrol(name)
    return world


# --- the report ----------------------------------------------------------------------------------------------------


def main() -> int:
    """Measure everything; 1 when a limit is passed."""
    console = Console(width=100)
    # First, while this process is small: a child's peak begins with that of the process it was forked from.
    audits = [measure(AUDIT_FINDINGS // 10), measure(AUDIT_FINDINGS)]
    stages = [*intake_stages(), *respond_stages()]
    console.print(_stage_table(stages), _audit_table(audits))
    within = all(stage.is_within for stage in stages) and all(audit.peak_mb < LIMIT_MB for audit in audits)
    result = {
        "limits": {"ms_per_finding_and_stage": LIMIT_MS, "audit_mb": LIMIT_MB},
        "stages": [asdict(stage) for stage in stages],
        "audits": [asdict(audit) for audit in audits],
        "within": within,
    }
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(f"{json.dumps(result, indent=2)}\n", encoding="utf-8")
    console.print(f"{'Within the limits' if within else 'PAST A LIMIT'}; written to {RESULT.relative_to(Path.cwd())}")
    return 0 if within else 1


def _stage_table(stages: Sequence[Stage]) -> Table:
    table = Table(title=f"Our own CPU time for a finding (limit {LIMIT_MS:g} ms)", title_justify="left")
    for name in ("stage", "what"):
        table.add_column(name)
    for name in ("findings", "mean ms", "p99 ms", "of the limit"):
        table.add_column(name, justify="right")
    for each in stages:
        share = f"{each.p99_ms / LIMIT_MS:.0%}" if each.is_within else "[red]PAST IT[/]"
        table.add_row(each.stage, each.what, f"{each.findings:,}", f"{each.mean_ms:.3f}", f"{each.p99_ms:.3f}", share)
    return table


def _audit_table(audits: Sequence[AuditMemory]) -> Table:
    table = Table(title=f"An audit in one run (limit {LIMIT_MB} MB)", title_justify="left")
    for name in ("findings", "peak MB", "MB before", "CPU s"):
        table.add_column(name, justify="right")
    for each in audits:
        style = "" if each.peak_mb < LIMIT_MB else "red"
        table.add_row(
            f"{each.findings:,}", f"{each.peak_mb:.1f}", f"{each.before_mb:.1f}", f"{each.cpu_s:.1f}", style=style
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
