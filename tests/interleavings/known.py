"""What is known to break, with how many of the schedules did when it was last counted.

Each entry has to break: the change that mends it removes it, and the table becomes empty.
"""

from __future__ import annotations

from collections.abc import Mapping

ONE_SWITCH: Mapping[str, str] = {}

TWO_SWITCHES: Mapping[str, str] = {}

THREE_AT_A_TIME: Mapping[str, str] = {}

OLD_ANSWERS: Mapping[str, str] = {}
