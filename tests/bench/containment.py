"""What containing a device costs in calls to AWS IoT, and how many devices a second the default quotas let through."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial

from tests.bench.fleet import NOON, PREFIX, QUOTAS, Fleet, FleetShape
from tests.bench.report import Bench, Row
from tests.bench.virtual_time import in_turns, sleeping_in
from tests.fakes import PLAN, a_finding, a_world
from warden.aws.certificates import IotCertificates
from warden.aws.connections import IotConnections
from warden.aws.detectors import AwsDetectors
from warden.aws.registry import IotRegistry
from warden.bootstrap import _CONFIG
from warden.cases.model import Case, CaseState
from warden.context import Context
from warden.respond.responder import respond

MOST_CALLS = 10
STORM = 600
WORKERS = (2, 4, 10)
"""Ten is what the template lets `respond` run side by side."""

_VERIFIES, _CHECKS = "ListActiveViolations", "GetEffectivePolicies"
_NO_LIMIT = PLAN.replace("devices_per_hour = 20", "devices_per_hour = 100000")


@dataclass(frozen=True)
class Contained:
    """What it took to contain some devices: every call is of AWS IoT, the question to Device Defender included."""

    devices: int
    calls: Mapping[str, int]
    throttled: int
    seconds: float

    @property
    def calls_per_device(self) -> float:
        """All calls that were answered, except those turned down, which cost nothing."""
        return sum(self.calls.values()) / self.devices

    @property
    def to_contain(self) -> float:
        """The calls without those before and after: whether the violation is active, and whether it worked."""
        return self.calls_per_device - (self.calls[_VERIFIES] + self.calls[_CHECKS]) / self.devices

    @property
    def per_second(self) -> float:
        """Devices contained a second."""
        return self.devices / self.seconds

    @property
    def bound(self) -> tuple[str, float]:
        """The tightest quota, and how many devices a second it lets through."""
        rates = {name: QUOTAS[name] * self.devices / count for name, count in self.calls.items()}
        tightest = min(rates, key=lambda name: rates[name])
        return tightest, rates[tightest]


def the_service(fleet: Fleet) -> Context:
    """Return the service on this fleet: AWS IoT over HTTP, everything else in memory."""
    world = a_world(plan=_NO_LIMIT)
    iot, data = fleet.client("iot", _CONFIG), fleet.client("iot-data", _CONFIG)
    ports = replace(
        world.context.ports,
        registry=IotRegistry(iot, PREFIX),
        certificates=IotCertificates(iot, PREFIX),
        connections=IotConnections(data),
        detectors=AwsDetectors(iot),
    )
    return replace(world.context, ports=ports, clock=lambda: NOON + timedelta(seconds=fleet.clock.now))


def contain(fleet: Fleet, context: Context, number: int) -> Case:
    """Deal with a violation of one device.

    Raises:
        RuntimeError: when it is not contained at the end.
    """
    thing = fleet.thing(number)
    finding = a_finding(thing, id=f"violation-of-{thing}", kind="aws:num-messages-sent")
    case = respond(finding, context)
    if case is None or case.state is not CaseState.CONTAINED:
        raise RuntimeError(f"{thing} is not contained: {case}")
    return case


def storm(devices: int, workers: int) -> tuple[list[Contained], Contained]:
    """Contain one device, another of its groups, and then a storm; return the two and the storm."""
    random.seed(7)  # botocore's pauses between two attempts
    fleet = Fleet(FleetShape(size=devices + 2, due=0, now=NOON))
    context = the_service(fleet)
    with sleeping_in(fleet.clock):
        works = [partial(contain, fleet, context, number) for number in range(devices + 2)]
        alone = [_measured(fleet, 1, work) for work in works[:2]]
        return alone, _measured(fleet, devices, lambda: in_turns(fleet.clock, workers, works[2:]))


def _measured(fleet: Fleet, devices: int, work: Callable[[], object]) -> Contained:
    calls, throttled, begin = Counter(fleet.calls), fleet.throttled.total(), fleet.clock.now
    work()
    made = fleet.calls - calls
    return Contained(devices, dict(made), fleet.throttled.total() - throttled, fleet.clock.now - begin)


def bench(devices: int = STORM) -> Bench:
    """Measure a device by itself, the next one of the same groups, and a storm with more and more workers."""
    found = {workers: storm(devices, workers) for workers in WORKERS}
    first, next_one = found[WORKERS[0]][0]
    rows = [
        Row("first device of its two groups: calls", f"{first.calls_per_device:g}"),
        Row(
            "of them from the look at it until it is restricted and disconnected",
            f"{first.to_contain:g}",
            f"at most {MOST_CALLS}",
            within=first.to_contain <= MOST_CALLS,
        ),
        Row(
            "every further one within the hour: calls, the check included",
            f"{next_one.calls_per_device:g}",
            f"at most {MOST_CALLS}",
            within=next_one.calls_per_device <= MOST_CALLS,
        ),
        Row(
            "of them from the look at it until it is restricted and disconnected",
            f"{next_one.to_contain:g}",
            f"at most {MOST_CALLS}",
            within=next_one.to_contain <= MOST_CALLS,
        ),
    ]
    for workers, (_, many) in found.items():
        tightest, bound = many.bound
        rows += [
            Row(f"{devices} devices, {workers} at a time: calls for each", f"{many.calls_per_device:.2f}"),
            Row(f"contained a second, bound by {tightest}", f"{many.per_second:.2f} of {bound:.2f}"),
            Row("turned down for being too many, then repeated", f"{many.throttled:,}"),
        ]
    storms = {workers: _details(many) for workers, (_, many) in found.items()}
    details = {"first": dict(first.calls), "next": dict(next_one.calls), "storms": storms}
    return Bench("containment", "Containing a device: calls to AWS IoT, default quotas, 40 ms a call", rows, details)


def _details(many: Contained) -> dict[str, object]:
    tightest, bound = many.bound
    return {
        "devices": many.devices,
        "calls": dict(many.calls),
        "throttled": many.throttled,
        "virtual_seconds": round(many.seconds, 2),
        "per_second": round(many.per_second, 3),
        "tightest_quota": tightest,
        "bound_per_second": round(bound, 3),
    }
