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
"""The lock is a device's and the change a certificate's: two devices on one certificate undo each other."""

TWO_SWITCHES: Mapping[str, str] = {
    "release x quarantine of the other": "116 of 3,354",
    "release x release of the other": "205 of 3,698",
    "end of a release's rotation x quarantine of the other": "84 of 4,992",
    "end of a release's rotation x release of the other": "373 of 5,376",
}

THREE_AT_A_TIME: Mapping[str, str] = {
    "quarantine x release x create, on one certificate": "658 of 14,560",
    "quarantine x release x sweep": "288 of 7,036",
}

OLD_ANSWERS: Mapping[str, str] = {
    "release x quarantine of the other": "14 of 100",
    "release x release of the other": "1 of 100",
    "end of a release's rotation x quarantine of the other": "7 of 100",
    "end of a release's rotation x release of the other": "3 of 100",
    "end of a release's rotation x that of the other": "5 of 100",
    "end of a renewal x that of the other": "5 of 100",
    "create x quarantine of the other": "1 of 100",
    "release with a new certificate x quarantine of the other": "2 of 100",
    "create of a release x quarantine of the other": "11 of 100",
    "create of a release x release of the other": "9 of 100",
    "create x the same create": "10 of 100",
    "second disconnect x create": "5 of 100",
    "second disconnect x operator releases": "5 of 100",
    "another finding x create of a release": "5 of 100",
    "release x device begins": "10 of 100",
    "campaign x release": "1 of 100",
    "campaign x create": "14 of 100",
}
"""Two kinds besides: after a confirmation, one old list of a device's certificates has the new one deleted; of two
devices that leave a certificate together, each may be shown the other, and nobody sets it INACTIVE.
"""
