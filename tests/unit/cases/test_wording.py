"""The words in which people read what the ledger keeps as values."""

from __future__ import annotations

import pytest

from warden.cases.model import Outcome, Progress, Step, StepKind, action_step
from warden.cases.wording import words_of


@pytest.mark.parametrize("kind", StepKind)
def test_every_kind_of_step_has_words(kind: StepKind) -> None:
    said = words_of(Step(kind, "who", facts={"action": "quarantine", "decision": "release"}))

    assert said
    assert "{" not in said


def test_the_words_of_an_action_name_it() -> None:
    step = action_step("quarantine", Outcome(Progress.FAILED, "pump-3 has no certificate"))

    assert (words_of(step), step.why) == ("quarantine failed", "pump-3 has no certificate")
    assert words_of(Step(StepKind.DECISION_TAKEN, "who", facts={"decision": "release"})) == "release"
