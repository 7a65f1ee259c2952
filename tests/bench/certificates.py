"""What it costs to find and renew the certificates that are due: ours beside the obvious way, on fleets of three sizes.

Each size is measured in a process of its own, so that its memory is its own. The obvious way is run on the smallest
fleet and computed for the others from what a call took there: it would take days of calls.
"""

from __future__ import annotations

import random
import resource
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import timedelta
from functools import partial
from math import ceil
from multiprocessing import get_context
from typing import Any

from botocore import retryhandler
from botocore.config import Config

from tests.bench.fleet import LATENCY_S, NOON, PREFIX, QUOTAS, Fleet, FleetShape
from tests.bench.report import Bench, Row
from tests.bench.virtual_time import sleeping_in
from tests.fakes import PLAN, World, a_world
from warden.aws.certificates import IotCertificates
from warden.aws.jobs import IotJobs
from warden.aws.registry import IotRegistry
from warden.bootstrap import _CONFIG
from warden.campaigns.inventory import Turn, resume_run, sweep_certificates
from warden.campaigns.records import CAMPAIGN_KEY, MemberState, member_from, read_campaign
from warden.campaigns.rollout import advance, note_end
from warden.cases.model import Outcome, Progress
from warden.context import Context
from warden.core.throttle import RateLimiter

SIZES = (10_000, 1_000_000, 10_000_000)
DUE = 1_000
MANY_DUE = 10_000
MOST_CALLS = 1.02
LEAST_SHARE = 0.90
MOST_MB = 160
MOST_GROWTH = 1.05
LAMBDA = timedelta(minutes=15)

_PLAN = PLAN.replace("[[rule]]", '[rotation]\nmode = "enforce"\ndevices_per_day = 100000\n\n[[rule]]', 1)


@dataclass(frozen=True)
class Sweep:
    """What finding and renewing took: `longest_s` the longest run of a function, `throttled` what was turned down."""

    size: int
    due: int
    found: int
    list_calls: int
    lookup_calls: int
    job_calls: int
    other_calls: int
    throttled: int
    seconds: float
    runs: int
    longest_s: float
    peak_mb: float

    @property
    def calls_per_due(self) -> float:
        """Calls to AWS IoT for each certificate that was due, list pages and jobs included."""
        return (self.list_calls + self.lookup_calls + self.job_calls + self.other_calls) / self.due

    @property
    def share_of_quota(self) -> float:
        """How much of the tightest quota, the look-up of a certificate's things, the sweep used while it ran."""
        return self.lookup_calls / self.seconds / QUOTAS["ListPrincipalThings"]


# --- our way -----------------------------------------------------------------------------------------------------


def our_way(size: int, due: int, *, with_jobs: bool = True) -> Sweep:
    """Sweep a fleet with the service's own code and pace, in runs of a Lambda function, then send the jobs.

    Raises:
        RuntimeError: when not every due certificate was enrolled, or not every one was given a job.
    """
    random.seed(7)
    fleet = Fleet(FleetShape(size=size, due=due, now=NOON))
    world, context = _on(fleet)
    runs: list[float] = []
    with sleeping_in(fleet.clock):
        runs.append(_lambda_run(fleet, context, partial(sweep_certificates, trigger="bench")))
        while world.renewal_queue.runs:
            run = world.renewal_queue.runs.pop(0)
            runs.append(_lambda_run(fleet, context, partial(resume_run, run)))
        swept = dict(fleet.calls)
        if with_jobs:
            _play_campaign(fleet, world, context)
    found = len(world.ledger.of_type("member"))
    asked = sum(fleet.jobs.values())
    if found != due or (with_jobs and asked != due):
        raise RuntimeError(f"{found} of {due} certificates were enrolled, {asked} given a job")
    others = fleet.calls.total() - sum(fleet.calls[name] for name in _COUNTED)
    return Sweep(
        size=size,
        due=due,
        found=found,
        list_calls=fleet.calls["ListCertificates"],
        lookup_calls=swept["ListPrincipalThings"],
        job_calls=fleet.calls["CreateJob"],
        other_calls=others,
        throttled=fleet.throttled.total(),
        seconds=sum(runs),
        runs=len(runs),
        longest_s=max(runs),
        peak_mb=_peak_mb(),
    )


_COUNTED = ("ListCertificates", "ListPrincipalThings", "CreateJob")


def _on(fleet: Fleet) -> tuple[World, Context]:
    world = a_world(plan=_PLAN)
    iot = fleet.client("iot", _CONFIG)
    ports = replace(
        world.context.ports,
        registry=IotRegistry(iot, PREFIX),
        certificates=IotCertificates(iot, PREFIX),
        jobs=IotJobs(iot, PREFIX),
    )
    return world, replace(world.context, ports=ports, clock=lambda: NOON + timedelta(seconds=fleet.clock.now))


def _lambda_run(fleet: Fleet, context: Context, work: Callable[[Turn], object]) -> float:
    """Run once within the time that Lambda allows; return how many seconds it took."""
    begin = fleet.clock.now

    def time_left() -> timedelta:
        return LAMBDA - timedelta(seconds=fleet.clock.now - begin)

    pace = RateLimiter(context.settings.lookups_per_second, lambda: fleet.clock.now, fleet.clock.sleep)
    work(Turn(context, time_left, pace))
    return fleet.clock.now - begin


def _play_campaign(fleet: Fleet, world: World, context: Context) -> None:
    """Go through the campaign's steps, each device coming through: what devices do is not counted here."""
    while (campaign := read_campaign(world.ledger)) is not None and campaign.waiting:
        record = world.ledger.read(CAMPAIGN_KEY)
        assert record is not None
        before = fleet.calls["CreateJob"]
        advance(CAMPAIGN_KEY, record, context)
        done = Outcome(Progress.DONE, "renewed")
        for member in map(member_from, world.ledger.of_type("member")):
            if member.state is MemberState.SENT:
                note_end(member.thing, member.job_id, done, "SUCCEEDED", context)
        if fleet.calls["CreateJob"] == before and sum(fleet.jobs.values()) == campaign.size:
            return
        fleet.clock.sleep(300)


# --- the obvious way ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Obvious:
    """What the obvious way took, or would take."""

    size: int
    due: int
    calls: int
    hours: float
    is_computed: bool

    @property
    def fits_lambda(self) -> bool:
        """Whether one run of a function is enough: it writes down nothing to go on from."""
        return timedelta(hours=self.hours) <= LAMBDA


def obvious_way(size: int, due: int) -> Obvious:
    """List everything as it comes, look each certificate up, send each device a job of its own; botocore's defaults."""
    fleet = Fleet(FleetShape(size=size, due=due, now=NOON))
    iot = fleet.client("iot", Config())
    with sleeping_in(fleet.clock), _the_same_pauses():
        for page in iot.get_paginator("list_certificates").paginate():
            for listed in page["certificates"]:
                described = iot.describe_certificate(certificateId=listed["certificateId"])["certificateDescription"]
                if NOON - described["creationDate"] < timedelta(days=365):
                    continue
                for thing in iot.list_principal_things(principal=listed["certificateArn"])["things"]:
                    arn = f"{PREFIX}thing/{thing}"
                    iot.create_job(jobId=f"rotate-{thing}", targets=[arn], document="{}")
    if len(fleet.jobs) != due:
        raise RuntimeError(f"{len(fleet.jobs)} of {due} devices were given a job")
    return Obvious(size, due, fleet.calls.total(), fleet.clock.now / 3600, is_computed=False)


@contextmanager
def _the_same_pauses() -> Iterator[None]:
    """Make botocore's pauses the same in every run, whatever other threads draw from `random`."""
    retries: Any = retryhandler  # the stubs do not show what it imports
    real, retries.random = retries.random, random.Random(7)  # noqa: S311 - it only spreads retries
    try:
        yield
    finally:
        retries.random = real


def obvious_calls(size: int, due: int) -> int:
    """Count the calls of the obvious way: pages of 25, a look at each certificate, two calls for each that is due."""
    return ceil(size / 25) + size + 2 * due


def obvious_from(measured: Obvious, size: int) -> Obvious:
    """Compute it for another fleet: each call takes what it took in the fleet that was measured."""
    calls = obvious_calls(size, measured.due)
    return Obvious(size, measured.due, calls, measured.hours / measured.calls * calls, is_computed=True)


# --- the bench ---------------------------------------------------------------------------------------------------


def bench(sizes: Sequence[int] = SIZES, due: int = DUE, many_due: int = MANY_DUE) -> Bench:
    """Measure ours for each size, a sweep too long for one run, and the obvious way."""
    ours = [in_a_process(our_way, size, due) for size in sizes]
    long_one = in_a_process(_without_jobs, sizes[-1], many_due)
    measured = in_a_process(obvious_way, sizes[0], due)
    theirs = [measured, *(obvious_from(measured, size) for size in sizes[1:])]
    least = min(sweep.peak_mb for sweep in ours)
    rows = []
    for sweep in ours:
        fleet = f"{sweep.size:,} certificates, {sweep.due:,} due"
        calls, share, peak = sweep.calls_per_due, sweep.share_of_quota, sweep.peak_mb
        is_flat = peak < MOST_MB and peak <= least * MOST_GROWTH
        rows += [
            Row(f"{fleet}: calls for each", f"{calls:.3f}", f"at most {MOST_CALLS}", within=calls <= MOST_CALLS),
            Row("  of ListPrincipalThings' quota", f"{share:.0%}", "at least 90%", within=share >= LEAST_SHARE),
            Row("  answers of 'too many requests'", f"{sweep.throttled}", "none", within=sweep.throttled == 0),
            Row("  peak memory, the simulator included", f"{peak:.1f} MB", f"{MOST_MB} MB, flat", within=is_flat),
        ]
    rows.append(
        Row(
            f"{long_one.size:,}, {long_one.due:,} due: runs, the longest",
            f"{long_one.runs}, {long_one.longest_s / 60:.1f} min",
            "under 15 min",
            within=long_one.longest_s < LAMBDA.total_seconds() and long_one.throttled == 0,
        )
    )
    rows += [
        Row(
            f"the obvious way, {each.size:,} certificates{', computed' if each.is_computed else ''}",
            f"{each.calls / each.due:,.0f} calls, {each.hours:,.1f} h",
            "" if each.fits_lambda else "no Lambda's 15 min",
        )
        for each in theirs
    ]
    details = {
        "ours": [asdict(sweep) | {"calls_per_due": sweep.calls_per_due} for sweep in ours],
        "long": asdict(long_one),
        "obvious": [asdict(each) for each in theirs],
        "latency_s": LATENCY_S,
    }
    return Bench("certificates", "Renewing certificates: calls to AWS IoT, default quotas, 40 ms a call", rows, details)


def in_a_process[T](work: Callable[[int, int], T], size: int, due: int) -> T:
    """Run something in a new process, whose memory is its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, size, due).result()


def _without_jobs(size: int, due: int) -> Sweep:
    return our_way(size, due, with_jobs=False)


def _peak_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 * 1024 if sys.platform == "darwin" else 1024), 1)
