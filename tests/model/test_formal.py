"""The models in formal/ name functions that exist, and `tools/check-model` runs what they declare.

TLC itself needs Java and some minutes: `make check-model`. A scene or a defect with a misspelt constant would run the
plain model, and a renamed function would leave a step without a counterpart.
"""

from __future__ import annotations

import re
from dataclasses import fields
from datetime import timedelta
from functools import reduce
from importlib import import_module
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.fakes import DEVICE_POLICY, RESTRICTED_POLICY, THING, a_world
from warden.containment.desired import Desired, desired_put, reconcile
from warden.containment.snapshot import ContainmentState

ROOT = Path(__file__).parents[2]
CHECK = (ROOT / "tools/check-model").read_text()
CONTAINMENT = (ROOT / "formal/containment.tla").read_text()
CONFIGURATION = (ROOT / "formal/containment.cfg").read_text()
ROTATION = (ROOT / "formal/rotation.tla").read_text()
MODULES = {
    "decisions": "warden.respond.decisions",
    "desired": "warden.containment.desired",
    "followups": "warden.respond.followups",
    "looks": "warden.respond.looks",
    "quarantine": "warden.respond.actions.quarantine",
    "release": "warden.containment.release",
    "requests": "warden.devices.requests",
    "rotation": "warden.devices.rotation",
    "snapshot": "warden.containment.snapshot",
}
MECHANISMS = ("Fence", "Recheck", "Unconditional", "Look")
COMMENTS = "\n".join(re.findall(r"\\\*.*", CONTAINMENT)).replace("rotation.tla", "")
NAMED = sorted(set(re.findall(rf"\b({'|'.join(MODULES)})((?:\.\w+)+)", COMMENTS)))


def table(name: str) -> list[list[str]]:
    """Return the lines of a table in tools/check-model, in columns."""
    found = re.search(rf"<<'{name}'\n(.*?)\n{name}\n", CHECK, re.DOTALL)
    assert found
    return [line.split("|") for line in found[1].splitlines()]


def defects_of(model: str) -> set[str]:
    """Return the defects that a model may have."""
    return set(re.findall(r'Defect /?= "([^"]+)"', model)) - {"none"}


@pytest.mark.parametrize(("module", "name"), NAMED, ids="".join)
def test_each_function_beside_a_step_is_there(module: str, name: str) -> None:
    reduce(getattr, name.strip(".").split("."), import_module(MODULES[module]))


def test_nearly_every_step_names_the_function_that_it_stands_for() -> None:
    assert len(NAMED) > 35


@pytest.mark.parametrize("line", [*table("SCENES"), *table("DEFECTS")], ids=lambda line: line[0])
def test_each_scene_changes_constants_that_there_are(line: list[str]) -> None:
    constants = dict(re.findall(r"^  (\w+) = (.+)$", CONFIGURATION, re.MULTILINE))

    for name, _ in (each.split("=", 1) for each in line[1].split()):
        assert name in constants
        assert re.search(rf"^ +(CONSTANTS )?{name},? +\\\*|^CONSTANTS {name},", CONTAINMENT, re.MULTILINE)


def test_each_mechanism_is_taken_out_and_each_defect_tried() -> None:
    tried = " ".join(line[1] for line in table("DEFECTS"))

    assert [each for each in MECHANISMS if f"{each}=FALSE" not in tried] == []
    assert set(re.findall(r'Defect="([^"]+)"', tried)) == defects_of(CONTAINMENT)


def test_each_defect_of_the_rotation_is_tried() -> None:
    tried = re.search(r"for defect in (.*?); do", CHECK, re.DOTALL)

    assert tried
    assert set(re.findall(r'"([^"]+)"', tried[1])) == defects_of(ROTATION)


def python_of(expression: str) -> str:
    """Translate an expression of TLA+ without quantifiers, and with one IF at most."""
    words = {"\\notin": "not in", "\\in": "in", "\\/": "or", "/\\": "and", "/=": "!="}
    one_line = reduce(lambda text, word: text.replace(word, words[word]), words, " ".join(expression.split()))
    return re.sub(r"IF (.*) THEN (.*) ELSE (.*)", r"(\2) if (\1) else (\3)", one_line)


def planned(want: SimpleNamespace, shown: set[str]) -> tuple[bool, bool]:
    """Return whether the model's pass over a certificate attaches a policy, and whether it detaches one."""
    lines = re.search(r"Planned\(me, want, shown\) ==.*?LET (.*?)\n  IN", CONTAINMENT, re.DOTALL)
    assert lines
    known = {"want": want, "shown": shown, "Unconditional": True, "Defect": "none"}
    for name, expression in re.findall(r"(\w+) == (.*?)(?=\n +\w+ ==|\Z)", lines[1], re.DOTALL):
        known[name] = eval(python_of(expression), {}, known)  # noqa: S307 - of our own file
    return bool(known["give"]), bool(known["take"])


@pytest.mark.parametrize("shown", [[], ["own"], ["ours"], ["own", "ours"]], ids="-".join)
@pytest.mark.parametrize(("held", "young", "before", "touched"), [*product([True, False], repeat=4)])
def test_a_pass_makes_the_calls_of_the_model(
    *, held: bool, young: bool, before: bool, touched: bool, shown: list[str]
) -> None:
    world = a_world()
    names = {"own": DEVICE_POLICY, "ours": RESTRICTED_POLICY}
    certificate, certificates = world.device.certificate, world.certificates
    calls = list[tuple[str, str, str]]()

    def attach(certificate_id: str, policy: str) -> None:
        calls.append(("give", policy, certificate_id))

    def detach(certificate_id: str, policy: str) -> None:
        calls.append(("take", policy, certificate_id))

    certificates.attach_policy = attach  # type: ignore[method-assign]  # notes it
    certificates.detach_policy = detach  # type: ignore[method-assign]  # notes it
    wanted = Desired(
        certificate=certificate,
        holders=(THING,) if held else (),
        before=(DEVICE_POLICY,) if before else (),
        touched=touched,
        changed_at=world.clock() - timedelta(minutes=0 if young else 9),
    )
    world.ledger.commit(desired_put(wanted))

    reconcile(certificate, world.context, [names[each] for each in shown])

    gives, takes = planned(SimpleNamespace(held=held, young=young, before=before, touched=touched), set(shown))
    given, taken = (RESTRICTED_POLICY, DEVICE_POLICY) if held else (DEVICE_POLICY, RESTRICTED_POLICY)
    expected = [("give", given, certificate)] if gives else []
    assert calls == [*expected, *([("take", taken, certificate)] if takes else [])]


def test_the_promises_are_checked() -> None:
    for model, configuration in ((CONTAINMENT, CONFIGURATION), (ROTATION, (ROOT / "formal/rotation.cfg").read_text())):
        promises = model.partition("the promises ---")[2]
        checked = configuration.partition("INVARIANTS")[2].partition("PROPERTY")[0].split()
        assert checked
        assert [each for each in checked if f"\n{each} ==" not in promises] == []


def test_the_records_of_the_model_are_those_of_the_code() -> None:
    record = re.search(r"NoRecord == \[(.*?)\]", CONTAINMENT, re.DOTALL)

    assert record
    modelled = set(re.findall(r"(\w+) \|->", record[1])) - {"is", "young"}  # whether it is written, and its time
    assert {each.name for each in fields(Desired)} - {"certificate", "drift", "changed_at", "version"} == modelled
    for state in ContainmentState:
        assert f'"{state}"' in CONTAINMENT
