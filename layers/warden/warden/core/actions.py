"""The name of the action that a case knows by itself; `plan/actions.py` has all of them, with their terms."""

QUARANTINE = "quarantine"
