"""The code makes no step that the model does not know: what was checked for the model is therefore true for the code.

A rotation is played in several ways, with the function ended at every single call, and with the rotation ended by the
responder before every single call. Every change of the rotation's record and every effect on a certificate is
noted as it happens, and must be one that the walk through the model's states has met, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

from tests.fakes import THING, AwsError, Crash, World, a_world, an_old_certificate
from tests.model.handover import Effect, Model, Record, check
from tests.port_wire import Fate, Wire, wired
from warden.devices.rotation_records import rotation_key
from warden.plan.actions import ROTATE_CERTIFICATE
from warden.respond.followups import job_ended

MODEL = Model(copies=1, keys=2, most_made=3)


class Change(NamedTuple):
    """A change of the record, without the names: what the model and the code have in common."""

    state: str
    to: str
    new: str
    key: str
    more_spent: int
    more_issued: int


def change_of(one: Record, other: Record) -> Change:
    """Leave the names out."""
    new = "kept" if one.new == other.new else f"{'one' if one.new else 'none'} to {'one' if other.new else 'none'}"
    key = "kept" if one.key == other.key else "changed"
    return Change(one.state, other.state, new, key, len(other.spent) - len(one.spent), other.issued - one.issued)


class Recorder:
    """Records the changes of a world's only rotation."""

    def __init__(self) -> None:
        self.wire = Wire(before=self._before, after=self._after)
        self.world = wired(a_world(receives=5), self.wire)
        self.changes: set[Change] = set()
        self.effects: set[Effect] = set()
        self.calls: list[str] = []
        self.meanwhile: Callable[[], None] | None = None
        self.meanwhile_at = 0
        self._numbers: dict[str, int] = {"": 0}
        self._record = self._read()
        self._certificates = self._shown()

    def _number(self, name: str) -> int:
        return self._numbers.setdefault(name, len(self._numbers))

    def _read(self) -> Record | None:
        kept = self.world.ledger.read(rotation_key(THING))
        if kept is None:
            return None
        new, key = self._number(kept["new"]), self._number(kept["request"])
        spent = tuple(self._number(each) for each in kept["spent"])
        return Record(str(kept["state"]), new, key, 0, spent, int(kept["issued"]))

    def _shown(self) -> dict[str, tuple[bool, bool, bool]]:
        registry = self.world.registry
        return {
            name: (stored.status == "ACTIVE", bool(registry.things_of(name)), bool(stored.policies))
            for name, stored in self.world.certificates.stored.items()
        }

    def _before(self, name: str, _args: tuple[Any, ...]) -> None:
        self.calls.append(name)
        if self.meanwhile is not None and len(self.calls) == self.meanwhile_at:
            meanwhile, self.meanwhile = self.meanwhile, None
            meanwhile()

    def _after(self, name: str, _args: tuple[Any, ...]) -> None:
        if name.startswith("certificates."):
            self._note_effects()
        if name == "ledger.commit":
            self._note_change()

    def _note_change(self) -> None:
        before, self._record = self._record, self._read()
        if before is not None and self._record is not None and before != self._record:
            self.changes.add(change_of(before, self._record))

    def _note_effects(self) -> None:
        before, self._certificates = self._certificates, self._shown()
        for name in before.keys() | self._certificates.keys():
            one, other = before.get(name), self._certificates.get(name)
            if one != other:
                self.effects.add(
                    Effect(self._record.state if self._record else "", self._whose(name), _what(one, other))
                )

    def _whose(self, name: str) -> str:
        kept = self.world.ledger.read(rotation_key(THING))
        if kept is None or name in kept["old"]:
            return "old"
        return "spent" if name in kept["spent"] else "new" if name == kept["new"] else "made"


def _what(one: tuple[bool, bool, bool] | None, other: tuple[bool, bool, bool] | None) -> str:
    if one is None:
        return "issued"
    if other is None:
        return "deleted"
    if one[0] != other[0]:
        return "activated" if other[0] else "deactivated"
    if one[1] != other[1]:
        return "attached" if other[1] else "detached"
    return "granted"


# --- the ways of a rotation ----------------------------------------------------------------------------------------


def _job(world: World) -> str:
    (job,) = world.jobs.of(ROTATE_CERTIFICATE)
    return job


def _ask(world: World, key: int) -> None:
    device = world.device
    device.keys = 101 + key
    device.create()


def _confirm(world: World) -> None:
    device = world.device
    stored = world.certificates.stored.get(device.candidate)
    if stored is not None and stored.status == "ACTIVE":
        device.ask("certificate/confirm", {}, over=device.candidate)


def _end(world: World, status: str = "FAILED") -> None:
    if world.jobs.started[_job(world)].status == "IN_PROGRESS":
        world.jobs.move(_job(world), status)
    world.drain()


def _end_meanwhile(world: World) -> None:
    """End it while another function is at work; the responder hears of it at once."""
    world.jobs.started[_job(world)].status = "FAILED"
    job_ended(_job(world), THING, world.context)


def goes_well(world: World) -> None:
    _ask(world, 0)
    _confirm(world)
    _end(world, "SUCCEEDED")
    _ask(world, 0)


def loses_its_key(world: World) -> None:
    _ask(world, 0)
    _ask(world, 1)
    _ask(world, 0)  # a late copy of the first request
    _ask(world, 1)
    _confirm(world)
    _confirm(world)
    _end(world, "SUCCEEDED")


def fails(world: World) -> None:
    _ask(world, 0)
    _end(world)
    _confirm(world)
    _ask(world, 0)


def fails_with_a_lost_key(world: World) -> None:
    _ask(world, 0)
    _ask(world, 1)
    _end(world)


def comes_back_late(world: World) -> None:
    """A message whose function was gone is delivered again only after the device has asked for something else."""
    world.receives = 1
    with suppress(Crash, AwsError):
        _ask(world, 0)
    world.receives = 5
    _ask(world, 1)
    _ask(world, 0)
    _end(world)


def keeps_silent(world: World) -> None:
    world.jobs.loses_events = True


WAYS = (goes_well, loses_its_key, fails, fails_with_a_lost_key, comes_back_late, keeps_silent)


def played(way: Callable[[World], None], prepare: Callable[[Recorder], None] = lambda _: None) -> Recorder:
    """Play a rotation one way, then let all time pass."""
    recorder = Recorder()
    world = recorder.world
    world.report(an_old_certificate())
    world.jobs.move(_job(world), "IN_PROGRESS")
    recorder.calls.clear()
    prepare(recorder)
    way(world)
    world.sweep(after=world.context.settings.rotation_deadline * 2)
    world.sweep(after=world.context.settings.certificate_grace * 2)
    return recorder


def disturbed(way: Callable[[World], None]) -> Iterable[Recorder]:
    """Play it with every single call as the last of its function, and with the rotation ended just before it.

    To die before a call is the same as to die after the previous one: nothing happens in between.
    """
    calls = len(played(way).calls)
    for nth in range(1, calls + 1):
        yield played(way, lambda recorder: recorder.wire.arm(nth, Fate.AFTER))  # noqa: B023 - played at once
        yield played(way, lambda recorder: _end_at(recorder, nth))  # noqa: B023 - played at once


def _end_at(recorder: Recorder, nth: int) -> None:
    recorder.meanwhile, recorder.meanwhile_at = lambda: _end_meanwhile(recorder.world), nth


@cache
def seen() -> tuple[frozenset[Change], frozenset[Effect], int]:
    """Return every change and effect that the code made, and in how many runs."""
    changes: set[Change] = set()
    effects: set[Effect] = set()
    runs = 0
    for way in WAYS:
        for recorder in disturbed(way):
            runs += 1
            changes |= recorder.changes
            effects |= recorder.effects
    return frozenset(changes), frozenset(effects), runs


@cache
def modelled() -> tuple[frozenset[Change], frozenset[Effect]]:
    """Return every change and effect that the model knows."""
    result = check(MODEL)
    return frozenset(change_of(one, other) for one, other in result.edges), result.effects


def test_every_change_of_the_record_is_one_of_the_models(record_property: Callable[[str, object], None]) -> None:
    changes, _, runs = seen()

    print(f"{runs} runs, {len(changes)} kinds of change of {len(modelled()[0])}")  # noqa: T201 - for -rP
    record_property("runs", runs)
    assert changes - modelled()[0] == set()


def test_every_effect_on_a_certificate_is_one_of_the_models() -> None:
    _, effects, _ = seen()

    assert effects - modelled()[1] == set()


def test_the_code_makes_every_change_that_the_model_knows() -> None:
    """So no part of the model lacks its counterpart in the code."""
    changes, _, _ = seen()

    assert modelled()[0] - changes == set()
