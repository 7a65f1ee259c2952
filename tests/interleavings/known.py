"""The pairs that are known to break, with the number of schedules that broke at the last count. Each entry has to
break: the change that fixes it removes it.
"""

from __future__ import annotations

from collections.abc import Mapping

ONE_SWITCH: Mapping[str, str] = {}

TWO_SWITCHES: Mapping[str, str] = {}

THREE_AT_A_TIME: Mapping[str, str] = {}

OLD_ANSWERS: Mapping[str, str] = {}
