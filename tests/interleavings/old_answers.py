"""AWS IoT with old answers: lists are some writes behind, and a later list may be older than an earlier one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from tests.fakes import World
from warden.core.ports import Execution, Thing

MOST_WRITES = 6
MOST_TIME = timedelta(minutes=6)


class Shown(NamedTuple):
    """What the lists of AWS IoT show at a moment."""

    groups: Mapping[str, Sequence[str]]
    attached: Sequence[tuple[str, str]]
    policies: Mapping[str, Sequence[str]]
    executions: Mapping[tuple[str, str], tuple[str, Mapping[str, str]]]
    lists_findings: bool = True
    """Whether detectors list what they have just reported."""


@dataclass
class OldAnswers:
    """Answers each list at random with the current state, or with one of up to six writes and six minutes ago."""

    world: World
    chance: Random
    old: int = 0

    def __post_init__(self) -> None:
        now, shown = self.world.clock(), self._shown()
        self._history: list[tuple[datetime, Shown]] = [(now, shown._replace(lists_findings=False)), (now, shown)]

    def answer(self, name: str, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Any:
        """Make a call. Every change, of the service or of others, is a write."""
        self.note()
        read = _READS.get(name)
        if read is not None:
            return read(self._choose(), real, args, named)
        answer = real(*args, **named)
        self.note()
        return answer

    def note(self) -> None:
        """Record what is shown from now on."""
        shown = self._shown()
        if shown != self._history[-1][1]:
            self._history.append((self.world.clock(), shown))

    def _choose(self) -> Shown:
        """Choose among the states of the last six minutes; one answer in two is current."""
        reach = self._reach()
        behind = self.chance.randint(1, reach) if reach and self.chance.random() < 0.5 else 0
        self.old += behind > 0
        return self._history[-1 - behind][1]

    def _reach(self) -> int:
        """Return how many writes an answer may be behind."""
        oldest = self.world.clock() - MOST_TIME
        until = [at for at, _ in self._history[1:]]
        behind = 0
        while behind < min(MOST_WRITES, len(until)) and until[-1 - behind] >= oldest:
            behind += 1
        return behind

    def _shown(self) -> Shown:
        world = self.world
        world.registry.propagate()
        return Shown(
            groups={thing: tuple(groups) for thing, groups in world.registry.groups.items()},
            attached=tuple(world.registry.attached),
            policies={name: tuple(stored.policies) for name, stored in world.certificates.stored.items()},
            executions={
                (job_id, thing): (execution.status, dict(execution.details))
                for job_id, job in world.jobs.started.items()
                for thing, execution in job.executions.items()
            },
        )


class PlannedAnswers(OldAnswers):
    """Answers the reads that a plan numbers with a state of that many writes ago; all other answers are current."""

    def __init__(self, world: World, plan: Mapping[int, int], before: Sequence[Shown] = ()) -> None:
        super().__init__(world, Random())  # noqa: S311 - nothing is by chance
        self._history[:0] = [(world.clock(), shown) for shown in before]
        self._plan = plan
        self.reach: list[int] = []
        """How many writes each read could be behind."""

    def _choose(self) -> Shown:
        reach = self._reach()
        behind = min(self._plan.get(len(self.reach), 0), reach)
        self.reach.append(reach)
        self.old += behind > 0
        return self._history[-1 - behind][1]


type _Read = Callable[[Shown, Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


def _thing(shown: Shown, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> Thing | None:
    thing: Thing | None = real(*args, **named)
    return thing and replace(thing, groups=shown.groups.get(thing.name, ()))


def _certificates_of(shown: Shown, _real: object, args: tuple[Any, ...], _named: object) -> list[str]:
    return [certificate for certificate, thing in shown.attached if thing == args[0]]


def _things_of(shown: Shown, _real: object, args: tuple[Any, ...], _named: object) -> list[str]:
    return [thing for certificate, thing in shown.attached if certificate == args[0]]


def _policies_of(shown: Shown, _real: object, args: tuple[Any, ...], _named: object) -> list[str]:
    return list(shown.policies.get(args[0], ()))


def _execution(shown: Shown, _real: object, args: tuple[Any, ...], _named: object) -> Execution | None:
    found = shown.executions.get((args[0], args[1]))
    return Execution(found[0], dict(found[1])) if found else None


def _confirms(shown: Shown, real: Callable[..., Any], args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    return shown.lists_findings and bool(real(*args, **named))


_READS: Mapping[str, _Read] = {
    "detectors.confirms": _confirms,
    "registry.thing": _thing,
    "registry.certificates_of": _certificates_of,
    "registry.things_of": _things_of,
    "certificates.policies_of": _policies_of,
    "jobs.execution": _execution,
}
"""Reads of open findings, the registry, what is attached, and executions of jobs; not DescribeCertificate."""
