"""What is known to break, with how many of the schedules did when it was last counted.

Each entry has to break: the change that mends it removes it, and the table becomes empty.
"""

from __future__ import annotations

from collections.abc import Mapping

ONE_SWITCH: Mapping[str, str] = {
    "release x quarantine of the other": "4 of 86",
    "release x release of the other": "5 of 90",
    "end of a release's rotation x quarantine of the other": "3 of 107",
    "end of a release's rotation x release of the other": "6 of 110",
}
TWO_SWITCHES: Mapping[str, str] = {}
THREE_AT_A_TIME: Mapping[str, str] = {}
OLD_ANSWERS: Mapping[str, str] = {}
