"""A log record is one line of printable ASCII within bounds, whatever it carries."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from warden.core.logging import one_line


@pytest.mark.parametrize(
    "text", ["\n", "\r\n", "\x85", "\u2028", "\u2029", "\x1b[2J", "\x9b31m", "\x7f", "\ud800", "\u202e", "\x00"]
)
def test_nothing_in_a_text_ends_the_line_or_moves_the_cursor(text: str) -> None:
    line = one_line({"thing": f"pump{text}3"})

    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line) == {"thing": f"pump{text}3"}


@pytest.mark.parametrize("error", [str, ValueError])
def test_a_long_text_keeps_its_beginning_and_its_end(error: type[str | ValueError]) -> None:
    written = json.loads(one_line({"exception": error(f"begin{'x' * 100_000}end")}))["exception"]

    assert len(written) == 2_005
    assert written.startswith("beginx")
    assert written.endswith("xend")


def test_of_many_frames_the_last_are_kept() -> None:
    written = json.loads(one_line({"stack_trace": {"frames": [{"line": number} for number in range(1_000)]}}))

    assert written["stack_trace"]["frames"] == [{"line": number} for number in range(980, 1_000)]


def test_what_is_no_json_is_written_as_text() -> None:
    assert one_line({"left": Decimal("1.5"), "of": (1, None, True)}) == '{"left":"1.5","of":[1,null,true]}'
