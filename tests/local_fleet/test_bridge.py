"""A bridge that no longer fits says so instead of doing something else."""

from types import ModuleType
from typing import Any

import pytest

from local_fleet import bridge


def a_module(function: Any) -> ModuleType:
    module = ModuleType("ministack.services.some")
    module.answer = function  # type: ignore[attr-defined]
    return module


def test_a_function_that_is_gone_is_an_error_that_names_it() -> None:
    with pytest.raises(bridge.BridgeError, match=r"ministack\.services\.some\.reply is gone"):
        bridge.original(a_module(lambda: None), "reply")


def test_a_function_that_takes_other_parameters_is_an_error() -> None:
    with pytest.raises(bridge.BridgeError, match="takes question, tone; the bridge knows question"):
        bridge.original(a_module(lambda question, tone: (question, tone)), "answer", "question")


def test_a_function_that_is_as_it_was_is_returned() -> None:
    def answer(question: str) -> str:
        return question

    assert bridge.original(a_module(answer), "answer", "question") is answer
