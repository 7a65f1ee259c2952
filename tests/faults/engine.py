"""The engine: a flow without a fault, to learn its calls and its end; then again with a fault at each of them.

A flow is a row of invocations of functions, with what the world does in between. What an invocation does depends on the
world that it finds and on nothing else (an environment is always one that was just started), which saves most of the
work without leaving out a point:

- The clean run keeps the world as it was before each call, and every answer. A fault at a call begins there: the
  function runs again from its first line, is given the answers that it had, and the struck call is made for real.
- What an invocation leaves is what it found and the requests that AWS carried out, in their order. Where two faults in
  one invocation leave the same, and the same comes back from it, all that follows is the same: it is played once, and
  what is found holds for both. Every read that fails, in whatever way, is one that leaves the message on its queue.
- A repetition that has the clean run's answer, with the clean run's requests carried out, goes on as the clean run.

A run that is continued is played to the end: the rest of the flow, the repeated deliveries, the sweep, and everything
from outside again. test_engine.py plays faults whole, from the flow's beginning, and finds the same.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from tests.fakes import NOON, Crash
from tests.faults import invariants
from tests.faults.cloud import Snapshot
from tests.faults.environment import Ground
from tests.faults.fault_transport import Call, FaultKind, FaultPoint, Remembered
from tests.faults.flows import Flow
from tests.faults.state_digest import asked_of, digest_of, is_compared
from tests.faults.world import World, furnish

_REST = timedelta(hours=2)
"""More than the visibility timeouts of all deliveries together: the last sweep is at the same time in each run."""

_SHOWN = 10

_SIGNED_AGAIN = frozenset(["signed"])
"""What two faults may change: AWS Private CA forgets a token after five minutes (API reference, IssueCertificate), and
the second delivery again comes after six. A certificate that is signed a second time is registered nowhere.
"""

type Runner = Callable[[str, Mapping[str, Any]], Any]
type Effects = tuple[tuple[int, str, str, bool, bool], ...]


@dataclass(frozen=True)
class Outcome:
    """What came back from an invocation: an answer, or that it raised; with what it logged last of a failure."""

    answer: bytes | None
    raised: str = ""
    logged: str = ""

    def given(self, ground: Ground) -> Any:
        """Replay it for the caller."""
        ground.errors[:] = [self.logged]
        if self.answer is None:
            raise RuntimeError(self.raised)
        return pickle.loads(self.answer)  # noqa: S301 - our own, of a moment ago

    @property
    def told(self) -> bytes | None:
        """What of it anybody looks at: nobody asks how a function failed."""
        return self.answer


@dataclass(frozen=True)
class Made:
    """A call of the clean run: the world before it, and what came of it; what was carried out until then, and by it."""

    world: Snapshot
    came: Remembered
    effects: Effects


@dataclass
class Invocation:
    """A function's run in the clean run: in which step, after how many calls, and all that it did."""

    step: int
    function: str
    event: bytes
    begin: int
    runs: int
    after: Snapshot
    calls: list[Made] = field(default_factory=list)
    outcome: Outcome = Outcome(None)


@dataclass
class Recording:
    """A flow's clean run: the world before each step, every invocation, how many calls, and the end."""

    flow: Flow
    before: list[Snapshot] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    calls: int = 0
    ended_at: datetime = NOON
    end: dict[str, object] = field(default_factory=dict)
    judged: dict[bytes, list[str]] = field(default_factory=dict)
    """What is wrong in the end, by what an invocation left, and by the world before an invocation later on."""


@dataclass
class Tried:
    """How many points were tried, how many were left, how many played on to the end, and what is broken at which."""

    points: int = 0
    left: int = 0
    played: int = 0
    broken: dict[tuple[FaultPoint, ...], list[str]] = field(default_factory=dict)

    def __str__(self) -> str:
        """List what is broken, at the first points."""
        return "\n".join(why for wrong in list(self.broken.values())[:_SHOWN] for why in wrong)


class _AsBefore(BaseException):
    """From here on all is as in the clean run."""


class _AsJudged(BaseException):
    """From here on all is as in another run; `wrong` is what that one ended with."""

    def __init__(self, wrong: list[str]) -> None:
        super().__init__()
        self.wrong = wrong


class _Recorder:
    """Follows an invocation of the clean run."""

    def __init__(self, world: World, invocation: Invocation) -> None:
        self._world = world
        self._made = invocation.calls
        self._before = world.snapshot()
        self._changes = len(world.cloud.state.effects)

    def before(self, _call: Call) -> None:
        """Keep the world; it is the same until something is carried out."""
        changes = len(self._world.cloud.state.effects)
        if changes != self._changes:
            self._changes, self._before = changes, self._world.snapshot()

    def after(self, _call: Call, came: Remembered) -> None:
        """Keep what came of the call."""
        self._made.append(Made(self._before, came, effects_of(self._world)))


class _Comparison:
    """Ends a run when it is again where the clean run was after the same call."""

    def __init__(self, world: World, number: int, made: Made) -> None:
        self._world = world
        self._number = number
        self._made = made

    def before(self, _call: Call) -> None:
        """Nothing is known yet."""

    def after(self, call: Call, came: Remembered) -> None:
        """Compare the struck call's answer, and all that was carried out."""
        as_before = call.number == self._number and came == self._made.came
        if as_before and effects_of(self._world) == self._made.effects and not self._world.ground.wire.denied:
            raise _AsBefore


class Engine:
    """Plays flows on one ground, one after the other."""

    def __init__(self, ground: Ground) -> None:
        self.world = World(ground)
        self._wire = ground.wire
        self._watch(False)
        furnish(self.world)
        self._base = self.world.snapshot()

    def _watch(self, on: bool) -> None:
        def after(call: Call) -> None:
            invariants.instant(self.world, call)

        self.world.cloud.after = after if on else lambda _call: None

    # --- the clean run -------------------------------------------------------------------------------------------

    def recording(self, flow: Flow) -> Recording:
        """Play a flow without a fault."""
        recording = Recording(flow)
        self._watch(False)
        self._wire.calm()
        self.world.runner = self.world.run
        self.world.ground.deploy(flow.deployment)
        self.world.restore(self._base)
        for step in flow.before:
            step(self.world)
        self._watch(True)
        self._wire.begin()
        self.world.runner = lambda function, event: self._record(recording, function, event)
        for number, step in enumerate(flow.steps):
            recording.before.append(self.world.snapshot())
            self.world.begin(number)
            step(self.world)
        recording.calls = self._wire.count
        recording.ended_at = self.world.clock()
        self._close(recording, self.world.run)
        wrong = invariants.broken(self.world, flow.deployment.plan, may_park=False)
        assert wrong == [], f"{flow.name} breaks promises without any fault: {wrong}"
        recording.end = invariants.state_of(self.world)
        return recording

    def _record(self, recording: Recording, function: str, event: Mapping[str, Any]) -> Any:
        step, begin, runs = len(recording.before) - 1, self._wire.count, self.world.state.runs
        invocation = Invocation(step, function, pickle.dumps(event), begin, runs, self.world.snapshot())
        recording.invocations.append(invocation)
        self._wire.watcher = _Recorder(self.world, invocation)
        invocation.outcome = self._outcome(function, event)
        self._wire.watcher = None
        invocation.after = self.world.snapshot()
        recording.judged[self._left(len(recording.invocations) - 1, invocation.outcome)] = []
        return invocation.outcome.given(self.world.ground)

    def _outcome(self, function: str, event: Mapping[str, Any]) -> Outcome:
        try:
            answer = self.world.run(function, event)
        except (Exception, Crash) as error:  # noqa: BLE001 - the caller gets it as an outcome, whatever went wrong
            return Outcome(None, repr(error), self._logged())
        return Outcome(pickle.dumps(answer), "", self._logged())

    def _logged(self) -> str:
        return next(reversed(self.world.ground.errors), "")

    def _close(self, recording: Recording, runner: Runner) -> None:
        """Let everything come to rest: one sweep, and a second delivery of everything from outside."""
        self._wire.armed = False
        self.world.runner = runner
        self.world.begin("rest")
        self.world.clock.time = max(self.world.clock(), recording.ended_at + _REST)
        self.world.sweep()
        self.world.replay()

    # --- faults --------------------------------------------------------------------------------------------------

    def points(self, recording: Recording) -> list[FaultPoint]:
        """List every single fault of a flow."""
        return [FaultPoint(number, fate) for number in range(1, recording.calls + 1) for fate in FaultKind]

    def every_point(self, recording: Recording, chosen: Callable[[FaultPoint], bool] = lambda _point: True) -> Tried:
        """Try every single fault of a flow, or those that are chosen."""
        tried = Tried()
        for nth, invocation in enumerate(recording.invocations):
            for place in range(len(invocation.calls)):
                for fate in FaultKind:
                    strike = FaultPoint(invocation.begin + place + 1, fate)
                    if not chosen(strike):
                        tried.left += 1
                        continue
                    tried.points += 1
                    played, wrong = self._strike(recording, nth, place, strike)
                    tried.played += played
                    if wrong:
                        tried.broken[(strike,)] = wrong
        return tried

    def _strike(self, recording: Recording, nth: int, place: int, strike: FaultPoint) -> tuple[bool, list[str]]:
        """Make a fault; tells whether it had to be played to the end, and everything that is wrong then."""
        invocation = recording.invocations[nth]
        made = invocation.calls[place]
        self._watch(True)
        self.world.restore(made.world)
        self.world.state.runs = invocation.runs
        self._wire.begin(invocation.begin, (strike,), [each.came for each in invocation.calls[:place]])
        self._wire.watcher = _Comparison(self.world, strike.at, made)
        try:
            outcome = self._outcome(invocation.function, pickle.loads(invocation.event))  # noqa: S301 - our own
        except _AsBefore:
            return False, []
        struck = list(self._wire.struck)
        if not struck:
            return False, [f"{recording.flow.name}, {strike} never struck"]
        left = self._left(nth, outcome)
        played = left not in recording.judged
        if played:
            recording.judged[left] = self._play_on(recording, nth, outcome)
        return played, [f"{recording.flow.name}, {'; '.join(struck)}: {why}" for why in recording.judged[left]]

    def _left(self, nth: int, outcome: Outcome) -> bytes:
        """Return what an invocation has left behind: if that is the same, everything that follows is the same."""
        state = self.world.cloud.state
        beside = state.stack_answers, self.world.state.broken, sorted(self._wire.denied)
        return sha256(repr((nth, outcome.told, effects_of(self.world), *beside)).encode()).digest()

    def _play_on(self, recording: Recording, nth: int, outcome: Outcome) -> list[str]:
        """Play the rest of the flow, after an invocation that left the world as it is now."""
        left, denied = self.world.snapshot(), set(self._wire.denied)
        self._wire.calm()

        def came() -> Any:
            self.world.restore(left)
            self._wire.denied = denied
            return outcome.given(self.world.ground)

        passed: list[bytes] = []

        def runner(function: str, event: Mapping[str, Any]) -> Any:
            asked = asked_of(function, event)
            if is_compared(self.world, asked):
                digest = digest_of(self.world, asked, frozenset(self._wire.denied))
                if digest in recording.judged:
                    raise _AsJudged(recording.judged[digest])
                passed.append(digest)
            return self.world.run(function, event)

        try:
            self._from(recording, nth, came, runner)
            wrong = self._judge(recording, runner)
        except _AsJudged as judged:
            wrong = judged.wrong
        recording.judged.update(dict.fromkeys(passed, wrong))
        return wrong

    def strike(self, recording: Recording, *strikes: FaultPoint) -> list[str]:
        """Play a flow with faults, by the SDK, from the step with the first; return everything that is wrong then."""
        first = min(each.at for each in strikes)
        nth = max(nth for nth, each in enumerate(recording.invocations) if each.begin < first)
        invocation = recording.invocations[nth]
        self._watch(True)

        def came() -> Any:
            self._wire.begin(invocation.begin, strikes)
            self._wire.shortens = False
            try:
                return self.world.run(invocation.function, pickle.loads(invocation.event))  # noqa: S301 - our own
            finally:
                self._wire.shortens = True

        self._wire.calm()
        self._from(recording, nth, came, self.world.run)
        struck = "; ".join(self._wire.struck)
        if not struck:
            return [f"{strikes} never struck"]
        signed_again = _SIGNED_AGAIN if len(strikes) > 1 else frozenset()
        wrong = self._judge(recording, self.world.run, beside=signed_again)
        return [f"{recording.flow.name}, {struck}: {why}" for why in wrong]

    def _from(self, recording: Recording, nth: int, came: Callable[[], Any], after: Runner) -> None:
        """Play a flow from the step of its nth invocation: those before it as they went, that one as it comes."""
        step = recording.invocations[nth].step
        ahead = iter(range(next(i for i, each in enumerate(recording.invocations) if each.step == step), nth))

        def runner(_function: str, _event: Mapping[str, Any]) -> Any:
            if (known := next(ahead, None)) is None:
                self.world.runner = after
                return came()
            self.world.restore(recording.invocations[known].after)
            return recording.invocations[known].outcome.given(self.world.ground)

        self.world.restore(recording.before[step])
        self.world.runner = runner
        for number in range(step, len(recording.flow.steps)):
            self.world.begin(number)
            recording.flow.steps[number](self.world)

    def _judge(self, recording: Recording, runner: Runner, beside: frozenset[str] = frozenset()) -> list[str]:
        denied = bool(self._wire.denied)
        self._close(recording, runner)
        wrong = invariants.broken(self.world, recording.flow.deployment.plan, may_park=denied)
        if not denied:
            state = dict.fromkeys(beside)
            wrong += list(_differences(invariants.state_of(self.world) | state, recording.end))
        return wrong


def effects_of(world: World) -> Effects:
    """Write down what was carried out in an invocation, in its order, for whom; runs that only read leave nothing."""
    found = world.cloud.state.effects
    changing = {each.run for each in found if not each.reads}
    kept = [each for each in found if each.run in changing]
    names: dict[str, int] = {}
    return tuple(
        (names.setdefault(each.run, len(names)), each.call, "" if each.reads else each.text, each.heard, each.done)
        for each in kept
    )


def _differences(state: dict[str, Any], clean: dict[str, Any]) -> Iterator[str]:
    for name, value in state.items():
        if value is not None and value != clean[name]:
            yield f"2: {name} are {value}, and {clean[name]} after a clean run"
